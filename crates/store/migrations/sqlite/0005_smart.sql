-- What cells were made from, what runs may do and may spend, and what became of each call.

-- As hashes: `fingerprint` of all that decides the value, only where cells with the same one may share a call; `parts` of
-- the configuration and of each input, four bytes each, little end first.
ALTER TABLE _ht_cells ADD COLUMN fingerprint BLOB;
ALTER TABLE _ht_cells ADD COLUMN parts BLOB;
-- A person wrote the value: no run touches the cell.
ALTER TABLE _ht_cells ADD COLUMN locked INTEGER NOT NULL DEFAULT 0;

-- Partial: a cell that may not be shared never pays for it.
CREATE INDEX _ht_cells_reusable ON _ht_cells (column_id, fingerprint)
    WHERE fingerprint IS NOT NULL AND state = 'completed';

-- Partial, as that of the failed cells: what was left out because of another column's cell is looked for here.
CREATE INDEX _ht_cells_skipped ON _ht_cells (column_id, row_id) WHERE state = 'skipped';

-- Partial: nearly no cell is locked, and counting what a run may take needs those that are.
CREATE INDEX _ht_cells_locked ON _ht_cells (column_id, row_id) WHERE locked = 1;

-- JSON of what narrows the run and what holds it back; null for neither.
ALTER TABLE _ht_runs ADD COLUMN options TEXT;
-- In millionths of the column's currency.
ALTER TABLE _ht_runs ADD COLUMN cost_micros INTEGER NOT NULL DEFAULT 0;

-- Set for a task that nobody may have yet, because a run before it is still at its row.
ALTER TABLE _ht_tasks ADD COLUMN waits INTEGER NOT NULL DEFAULT 0;

ALTER TABLE _ht_attempts ADD COLUMN request TEXT;
ALTER TABLE _ht_attempts ADD COLUMN source TEXT;
ALTER TABLE _ht_attempts ADD COLUMN cost_micros INTEGER NOT NULL DEFAULT 0;

-- What the calls of a column came to, by UTC day (days since 1970).
CREATE TABLE _ht_spent (
    column_id   INTEGER NOT NULL,
    day         INTEGER NOT NULL,
    calls       INTEGER NOT NULL,
    cost_micros INTEGER NOT NULL,
    PRIMARY KEY (column_id, day)
) STRICT, WITHOUT ROWID;
