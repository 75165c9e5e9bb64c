-- What budgets learnt of their vendors, kept over a restart (spec G11). The calls themselves stand in _ht_calls, to the
-- call; this is what no call on record tells: how the vendor enforces its limits, and until when it asked to wait.

CREATE TABLE _ht_budgets (
    -- Which budget: `column:7` is the one of column 7.
    key      TEXT PRIMARY KEY,
    -- JSON of the governor; nobody here looks into it.
    snapshot TEXT    NOT NULL,
    -- Wall microseconds since 1970: what waits in it is as old as that.
    saved_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
