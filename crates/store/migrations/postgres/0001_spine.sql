-- The spine on PostgreSQL: the twin of migrations/sqlite/0001 to 0003, where the tables are explained. Here stands what
-- is different and why.
--
-- This file is append-only history, as those are: a database remembers its checksum and refuses to open if it changes.
-- Everything lies in the schema `paceline`, the user's tables too, and every statement names it: what search_path says
-- does not matter. Names compare and sort by their bytes (COLLATE "C"), as in SQLite, whatever the server's locale.
--
-- All times are wall microseconds since 1970. Every whole number is a bigint, so that one Rust type reads them all.

CREATE TABLE paceline._ht_tables (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name         text   COLLATE "C" NOT NULL UNIQUE,
    description  text   NOT NULL,
    last_row     bigint NOT NULL DEFAULT 0,
    -- How many rows of _ht_changes belong to this table; one more than are kept means that the oldest goes next.
    -- Whoever writes a change updates this first and so holds the row until the commit: the changes of one table are
    -- numbered in the order in which they become visible, and no reader can pass over one that commits late.
    changes_kept bigint NOT NULL DEFAULT 0,
    created_at   bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE paceline._ht_columns (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_id   bigint NOT NULL REFERENCES paceline._ht_tables (id),
    name       text   COLLATE "C" NOT NULL,
    title      text,
    kind       text   NOT NULL,
    smart_kind text,
    -- As text: what is read is what was written, to the byte.
    config     text,
    rate_limit text,
    version    bigint,
    UNIQUE (table_id, name),
    CHECK ((smart_kind IS NULL) = (config IS NULL)),
    CHECK ((smart_kind IS NULL) = (rate_limit IS NULL)),
    CHECK ((smart_kind IS NULL) = (version IS NULL))
);

CREATE TABLE paceline._ht_cells (
    column_id     bigint NOT NULL,
    row_id        bigint NOT NULL,
    state         text   NOT NULL,
    error_code    text,
    error_message text,
    version       bigint NOT NULL,
    run_id        bigint NOT NULL,
    updated_at    bigint NOT NULL,
    PRIMARY KEY (column_id, row_id)
);

CREATE INDEX _ht_cells_failed ON paceline._ht_cells (column_id, row_id) WHERE state = 'failed';
CREATE INDEX _ht_cells_unknown ON paceline._ht_cells (column_id, row_id) WHERE state = 'unknown';

-- The row of a run is also the lock of its tasks: whoever moves one holds it first, so that no two transactions wait for
-- each other. Half of each page is left free: the counts move with every batch, and stay on their page this way.
CREATE TABLE paceline._ht_runs (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_id   bigint NOT NULL REFERENCES paceline._ht_tables (id),
    column_id  bigint NOT NULL REFERENCES paceline._ht_columns (id),
    scope      text   NOT NULL,
    status     text   NOT NULL,
    reason     text,
    cursor_row bigint NOT NULL DEFAULT 0,
    last_row   bigint NOT NULL,
    total      bigint NOT NULL,
    completed  bigint NOT NULL DEFAULT 0,
    failed     bigint NOT NULL DEFAULT 0,
    skipped    bigint NOT NULL DEFAULT 0,
    unknown    bigint NOT NULL DEFAULT 0,
    calls      bigint NOT NULL DEFAULT 0,
    throttled  bigint NOT NULL DEFAULT 0,
    retries    bigint NOT NULL DEFAULT 0,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
) WITH (fillfactor = 50);

CREATE INDEX _ht_runs_by_table ON paceline._ht_runs (table_id, id);
CREATE INDEX _ht_runs_by_column ON paceline._ht_runs (column_id, id);

CREATE UNIQUE INDEX _ht_runs_active ON paceline._ht_runs (column_id)
    WHERE status IN ('queued', 'running', 'paused');

-- Small and always moving: swept when a thousand rows are dead, not when a share of the table is.
CREATE TABLE paceline._ht_tasks (
    run_id          bigint NOT NULL,
    row_id          bigint NOT NULL,
    owner           bigint,
    lease_until     bigint NOT NULL,
    intent_at       bigint,
    attempts        bigint NOT NULL DEFAULT 0,
    errors          bigint NOT NULL DEFAULT 0,
    throttled_since bigint,
    not_before      bigint,
    PRIMARY KEY (run_id, row_id)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

CREATE TABLE paceline._ht_attempts (
    column_id     bigint NOT NULL,
    row_id        bigint NOT NULL,
    run_id        bigint NOT NULL,
    number        bigint NOT NULL,
    twin          bigint NOT NULL,
    sent_at       bigint,
    seen_at       bigint NOT NULL,
    status        bigint,
    class         text   NOT NULL,
    error_code    text,
    error_message text,
    PRIMARY KEY (column_id, row_id, run_id, number, twin)
);

CREATE TABLE paceline._ht_calls (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    column_id  bigint NOT NULL,
    seen_until bigint NOT NULL,
    times      bytea  NOT NULL
);

CREATE INDEX _ht_calls_by_time ON paceline._ht_calls (column_id, seen_until, id);

-- Numbers come from here only while the row of their table is held; see _ht_tables. One that a failed transaction took
-- is not given out again.
CREATE SEQUENCE paceline._ht_changes_sequence;

CREATE TABLE paceline._ht_changes (
    sequence  bigint PRIMARY KEY,
    table_id  bigint NOT NULL,
    at        bigint NOT NULL,
    kind      text   NOT NULL,
    subject   bigint,
    first_row bigint,
    last_row  bigint,
    rows      bytea
);

CREATE INDEX _ht_changes_by_table ON paceline._ht_changes (table_id, sequence);

CREATE TABLE paceline._ht_settings (
    name  text COLLATE "C" PRIMARY KEY,
    value text NOT NULL
);

CREATE TABLE paceline._ht_budgets (
    key      text COLLATE "C" PRIMARY KEY,
    snapshot text   NOT NULL,
    saved_at bigint NOT NULL
);

CREATE TABLE paceline._ht_notes (
    column_id bigint NOT NULL,
    row_id    bigint NOT NULL,
    note      text   NOT NULL,
    at        bigint NOT NULL,
    PRIMARY KEY (column_id, row_id)
);
