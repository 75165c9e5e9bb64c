-- What the platform keeps besides tables and runs, tables that are deleted and can be restored, and options of columns.

-- Small documents: keys, sources, webhooks, jobs. Who keeps one knows what is in it. AUTOINCREMENT so that no id comes
-- twice: one of a key that was revoked must never be another's.
CREATE TABLE _ht_items (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    kind       TEXT    NOT NULL,
    -- The table that it belongs to; it goes with it.
    table_id   INTEGER REFERENCES _ht_tables (id),
    name       TEXT    NOT NULL,
    body       TEXT    NOT NULL,
    version    INTEGER NOT NULL DEFAULT 1,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

-- No table has the id 0. Without it two items without a table would be different whatever their names.
CREATE UNIQUE INDEX _ht_items_by_name ON _ht_items (kind, coalesce(table_id, 0), name);

CREATE INDEX _ht_items_by_table ON _ht_items (table_id) WHERE table_id IS NOT NULL;

-- Lines of logs, numbered over all logs.
CREATE TABLE _ht_entries (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    log      TEXT    NOT NULL,
    -- The id of an item, or 0.
    subject  INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    body     TEXT    NOT NULL
) STRICT;

CREATE INDEX _ht_entries_by_log ON _ht_entries (log, sequence);

CREATE INDEX _ht_entries_by_subject ON _ht_entries (log, subject, sequence);

-- How many lines each log has, so that trimming it needs no count.
CREATE TABLE _ht_logs (
    log  TEXT PRIMARY KEY,
    kept INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A table that was deleted is called _ht_deleted_ID until it is restored or purged, here and as an SQL table, so that
-- its name is free. Both are there together or not at all.
ALTER TABLE _ht_tables ADD COLUMN deleted_at INTEGER;
ALTER TABLE _ht_tables ADD COLUMN deleted_name TEXT
    CHECK ((deleted_name IS NULL) = (deleted_at IS NULL));

-- A JSON array of texts, of select and multi_select columns.
ALTER TABLE _ht_columns ADD COLUMN options TEXT;

-- The greatest id ever given to a table and to a column, now that both can go: SQLite alone would give the last one
-- again, and whoever still knows the old one (a budget, a reader of changes) would take the new one for it.
CREATE TABLE _ht_ids (
    noun TEXT PRIMARY KEY,
    last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO _ht_ids SELECT 'table', coalesce(max(id), 0) FROM _ht_tables;
INSERT INTO _ht_ids SELECT 'column', coalesce(max(id), 0) FROM _ht_columns;
