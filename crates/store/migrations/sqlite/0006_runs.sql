-- PostgreSQL has it from the start. Without it the newest run of a column, and whether a run is a column's first, are looked
-- for among all runs there are: with every batch of reports.
CREATE INDEX _ht_runs_by_column ON _ht_runs (column_id, id);
