//! Tabular files in and out: CSV, JSONL and Parquet, row by row, with every buffer bounded.
#![warn(missing_docs)]
