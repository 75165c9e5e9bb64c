-- The spine: what Paceline knows about tables, columns, cells, runs, calls and changes.
--
-- This file is append-only history: a database remembers its checksum and refuses to open if it changes. Add the next
-- number instead. The user's own tables are not here: each is a real SQL table of its own name, made when it is asked
-- for, so that filters and sorts are the database's and any SQL tool can read them.
--
-- All times are wall microseconds since 1970. Hot tables carry no foreign keys: their keys come from rows read in the
-- same transaction, and a look-up per row would cost as much as the write.

CREATE TABLE _ht_tables (
    id           INTEGER PRIMARY KEY,
    name         TEXT    NOT NULL UNIQUE,
    description  TEXT    NOT NULL,
    -- The greatest row id ever given out, so that no id comes twice even if the last rows are deleted.
    last_row     INTEGER NOT NULL DEFAULT 0,
    -- How many rows of _ht_changes belong to this table, so that trimming them needs no count.
    changes_kept INTEGER NOT NULL DEFAULT 0,
    created_at   INTEGER NOT NULL
) STRICT;

CREATE TABLE _ht_columns (
    id         INTEGER PRIMARY KEY,
    table_id   INTEGER NOT NULL REFERENCES _ht_tables (id),
    name       TEXT    NOT NULL,
    title      TEXT,
    kind       TEXT    NOT NULL,
    -- The next four are there together, for smart columns, or not at all.
    smart_kind TEXT,
    config     TEXT,
    rate_limit TEXT,
    version    INTEGER,
    UNIQUE (table_id, name),
    CHECK ((smart_kind IS NULL) = (config IS NULL)),
    CHECK ((smart_kind IS NULL) = (rate_limit IS NULL)),
    CHECK ((smart_kind IS NULL) = (version IS NULL))
) STRICT;

-- One record per cell that came to an end; a cell without one is idle. Keyed by column and row and clustered on that,
-- so that a batch sorted by row touches few pages.
CREATE TABLE _ht_cells (
    column_id     INTEGER NOT NULL,
    row_id        INTEGER NOT NULL,
    state         TEXT    NOT NULL,
    error_code    TEXT,
    error_message TEXT,
    -- Of the column's config when the cell was made.
    version       INTEGER NOT NULL,
    -- The run that made it.
    run_id        INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    PRIMARY KEY (column_id, row_id)
) STRICT, WITHOUT ROWID;

-- Partial: retrying failed cells reads it, and a cell that succeeds never pays for it.
CREATE INDEX _ht_cells_failed ON _ht_cells (column_id, row_id) WHERE state = 'failed';

CREATE TABLE _ht_runs (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    table_id   INTEGER NOT NULL REFERENCES _ht_tables (id),
    column_id  INTEGER NOT NULL REFERENCES _ht_columns (id),
    scope      TEXT    NOT NULL,
    status     TEXT    NOT NULL,
    reason     TEXT,
    -- Due rows up to and including cursor_row have been claimed at least once; the run ends at last_row, the table's
    -- last when the run was made, so that a table that grows all the time does not keep a run from ending.
    cursor_row INTEGER NOT NULL DEFAULT 0,
    last_row   INTEGER NOT NULL,
    total      INTEGER NOT NULL,
    completed  INTEGER NOT NULL DEFAULT 0,
    failed     INTEGER NOT NULL DEFAULT 0,
    skipped    INTEGER NOT NULL DEFAULT 0,
    unknown    INTEGER NOT NULL DEFAULT 0,
    calls      INTEGER NOT NULL DEFAULT 0,
    throttled  INTEGER NOT NULL DEFAULT 0,
    retries    INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE INDEX _ht_runs_by_table ON _ht_runs (table_id, id);

-- At most one run of a column is not final: two would call for the same cells.
CREATE UNIQUE INDEX _ht_runs_active ON _ht_runs (column_id)
    WHERE status IN ('queued', 'running', 'paused');

-- Only tasks that are claimed or were given back: a run does not write a task per row up front, it moves its cursor.
-- The table stays as small as what is in flight, which is why searches by owner or lease need no index of their own.
CREATE TABLE _ht_tasks (
    run_id          INTEGER NOT NULL,
    row_id          INTEGER NOT NULL,
    -- Token of the holder; null once given back.
    owner           INTEGER,
    lease_until     INTEGER NOT NULL,
    -- Set just before the call is sent (intent before effect); cleared by whatever is reported of it.
    intent_at       INTEGER,
    attempts        INTEGER NOT NULL DEFAULT 0,
    errors          INTEGER NOT NULL DEFAULT 0,
    throttled_since INTEGER,
    not_before      INTEGER,
    PRIMARY KEY (run_id, row_id)
) STRICT, WITHOUT ROWID;

-- Every outbound call, clustered by cell. `twin` tells apart attempts of one number: the late one of a holder that lost
-- its task, and the one of the next holder.
CREATE TABLE _ht_attempts (
    column_id     INTEGER NOT NULL,
    row_id        INTEGER NOT NULL,
    run_id        INTEGER NOT NULL,
    number        INTEGER NOT NULL,
    twin          INTEGER NOT NULL,
    sent_at       INTEGER,
    seen_at       INTEGER NOT NULL,
    status        INTEGER,
    class         TEXT    NOT NULL,
    error_code    TEXT,
    error_message TEXT,
    PRIMARY KEY (column_id, row_id, run_id, number, twin)
) STRICT, WITHOUT ROWID;

-- When calls were sent and seen, for limits that must survive a restart. One row per recorded batch with all its times
-- packed: an index over the attempts by time would cost an insert per call, and trimming a cell's attempts must not make
-- a limit forget calls.
CREATE TABLE _ht_calls (
    id         INTEGER PRIMARY KEY,
    column_id  INTEGER NOT NULL,
    -- The newest seen_at in `times`.
    seen_until INTEGER NOT NULL,
    times      BLOB    NOT NULL
) STRICT;

CREATE INDEX _ht_calls_by_time ON _ht_calls (column_id, seen_until);

-- What happened, numbered, written in the transaction that did it. AUTOINCREMENT so that no number comes twice after
-- old changes are dropped.
CREATE TABLE _ht_changes (
    sequence  INTEGER PRIMARY KEY AUTOINCREMENT,
    table_id  INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    kind      TEXT    NOT NULL,
    -- The column of `cells`, the run of `run`.
    subject   INTEGER,
    -- The range of `rows_inserted`.
    first_row INTEGER,
    last_row  INTEGER,
    -- The rows of `cells`, packed.
    rows      BLOB
) STRICT;

CREATE INDEX _ht_changes_by_table ON _ht_changes (table_id, sequence);

CREATE TABLE _ht_settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
