-- The twin of migrations/sqlite/0005, where everything is explained.

ALTER TABLE paceline._ht_cells ADD COLUMN fingerprint bytea;
ALTER TABLE paceline._ht_cells ADD COLUMN parts bytea;
ALTER TABLE paceline._ht_cells ADD COLUMN locked boolean NOT NULL DEFAULT false;

CREATE INDEX _ht_cells_reusable ON paceline._ht_cells (column_id, fingerprint)
    WHERE fingerprint IS NOT NULL AND state = 'completed';

CREATE INDEX _ht_cells_skipped ON paceline._ht_cells (column_id, row_id) WHERE state = 'skipped';

CREATE INDEX _ht_cells_locked ON paceline._ht_cells (column_id, row_id) WHERE locked;

ALTER TABLE paceline._ht_runs ADD COLUMN options text;
ALTER TABLE paceline._ht_runs ADD COLUMN cost_micros bigint NOT NULL DEFAULT 0;

ALTER TABLE paceline._ht_tasks ADD COLUMN waits boolean NOT NULL DEFAULT false;

ALTER TABLE paceline._ht_attempts ADD COLUMN request text;
ALTER TABLE paceline._ht_attempts ADD COLUMN source text;
ALTER TABLE paceline._ht_attempts ADD COLUMN cost_micros bigint NOT NULL DEFAULT 0;

CREATE TABLE paceline._ht_spent (
    column_id   bigint NOT NULL,
    day         bigint NOT NULL,
    calls       bigint NOT NULL,
    cost_micros bigint NOT NULL,
    PRIMARY KEY (column_id, day)
);
