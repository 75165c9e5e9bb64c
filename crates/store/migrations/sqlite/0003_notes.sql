-- What must be known of a cell before anything more is done for it: the job that another service was asked to do. Kept
-- beside the task and not in it, because it outlives the task where the outcome stays unknown.

CREATE TABLE _ht_notes (
    column_id INTEGER NOT NULL,
    row_id    INTEGER NOT NULL,
    -- JSON of whoever does the job; nobody here looks into it.
    note      TEXT    NOT NULL,
    -- Wall microseconds since 1970.
    at        INTEGER NOT NULL,
    PRIMARY KEY (column_id, row_id)
) STRICT, WITHOUT ROWID;

-- Partial, as that of the failed cells: looking up what is unknown reads it, and nothing else pays for it.
CREATE INDEX _ht_cells_unknown ON _ht_cells (column_id, row_id) WHERE state = 'unknown';
