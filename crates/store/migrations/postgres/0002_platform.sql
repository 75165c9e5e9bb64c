-- The twin of migrations/sqlite/0004, where the tables are explained. Identities give no id twice, so that _ht_ids is not
-- needed here.

CREATE TABLE paceline._ht_items (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind       text   COLLATE "C" NOT NULL,
    table_id   bigint REFERENCES paceline._ht_tables (id),
    name       text   COLLATE "C" NOT NULL,
    body       text   NOT NULL,
    version    bigint NOT NULL DEFAULT 1,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);

CREATE UNIQUE INDEX _ht_items_by_name ON paceline._ht_items (kind, coalesce(table_id, 0), name);

CREATE INDEX _ht_items_by_table ON paceline._ht_items (table_id) WHERE table_id IS NOT NULL;

CREATE TABLE paceline._ht_entries (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    log      text   COLLATE "C" NOT NULL,
    subject  bigint NOT NULL,
    at       bigint NOT NULL,
    body     text   NOT NULL
);

CREATE INDEX _ht_entries_by_log ON paceline._ht_entries (log, sequence);

CREATE INDEX _ht_entries_by_subject ON paceline._ht_entries (log, subject, sequence);

-- Whoever appends to a log updates this first and so holds it until the commit: its lines become visible in the order of
-- their numbers.
CREATE TABLE paceline._ht_logs (
    log  text COLLATE "C" PRIMARY KEY,
    kept bigint NOT NULL
) WITH (fillfactor = 50);

ALTER TABLE paceline._ht_tables ADD COLUMN deleted_at bigint;
ALTER TABLE paceline._ht_tables ADD COLUMN deleted_name text COLLATE "C"
    CHECK ((deleted_name IS NULL) = (deleted_at IS NULL));

ALTER TABLE paceline._ht_columns ADD COLUMN options text;
