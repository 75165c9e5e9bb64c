//! Parquet in: any flat schema as values, what is nested as JSON, batch by batch.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow_array::RecordBatch;
use paceline_model::{Value, limits};
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use serde_json::Value as Json;

use crate::reader::Row;
use crate::{COLUMN_NAME_BYTES_MAX, parquet_value};

/// Rows of a batch at the most, and bytes that a batch should have about.
const BATCH_ROWS_MAX: usize = 1_024;
const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// Bytes of one column in one row group, uncompressed: its pages are taken apart in memory. Writers aim at 128 MB for all
/// columns together.
const CHUNK_BYTES_MAX: i64 = 512 * 1024 * 1024;

/// The rows of a Parquet file.
pub(crate) struct ParquetRows {
    reader: ParquetRecordBatchReader,
    batch: Option<RecordBatch>,
    /// The next row of the batch, and how many rows there were before it in the file.
    at: usize,
    row: u64,
}

/// Why a row is none: its number, the reason, and whether it is the end.
pub(crate) type RowFault = (u64, String, bool);

impl ParquetRows {
    /// Opens a file; answers its columns too.
    pub(crate) fn open(file: File) -> Result<(Self, Vec<String>), String> {
        // The library is not written for files that lie about themselves.
        guarded(|| Self::begin(file)).and_then(|opened| opened)
    }

    fn begin(file: File) -> Result<(Self, Vec<String>), String> {
        // What a writer noted about its own types is left aside: the file's are fewer, and always there.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)
            .map_err(|error| format!("this is no Parquet file that can be read: {error}"))?;
        let mut columns = Vec::new();
        for field in builder.schema().fields() {
            let name = field.name().trim();
            if name.is_empty() || name.len() > COLUMN_NAME_BYTES_MAX {
                return Err(format!(
                    "column {} has no name, or one of over {COLUMN_NAME_BYTES_MAX} bytes",
                    columns.len() + 1
                ));
            }
            if columns.iter().any(|known| known == name) {
                return Err(format!("two columns are called {name:?}"));
            }
            columns.push(name.to_owned());
        }
        if columns.is_empty() || columns.len() > limits::TABLE_COLUMNS_MAX {
            let most = limits::TABLE_COLUMNS_MAX;
            return Err(format!("{} columns; a table has 1 to {most}", columns.len()));
        }
        let metadata = builder.metadata();
        let (mut bytes, mut rows) = (0_i64, 0_i64);
        for group in metadata.row_groups() {
            let largest = group.columns().iter().map(|chunk| chunk.uncompressed_size()).max();
            if largest.is_some_and(|largest| largest > CHUNK_BYTES_MAX) {
                let most = CHUNK_BYTES_MAX / 1024 / 1024;
                return Err(format!(
                    "a column of a row group has over {most} MB; write smaller row groups"
                ));
            }
            bytes = bytes.saturating_add(group.total_byte_size());
            rows = rows.saturating_add(group.num_rows());
        }
        let row_bytes = usize::try_from(bytes / rows.max(1)).unwrap_or(BATCH_BYTES).max(1);
        let batch_rows = (BATCH_BYTES / row_bytes).clamp(1, BATCH_ROWS_MAX);
        let reader = builder.with_batch_size(batch_rows).build().map_err(|e| e.to_string())?;
        Ok((Self { reader, batch: None, at: 0, row: 0 }, columns))
    }

    pub(crate) fn next(&mut self) -> Result<Option<Row>, RowFault> {
        loop {
            let number = self.row + 1;
            match &self.batch {
                Some(batch) if self.at < batch.num_rows() => {
                    let values = guarded(|| values(batch, self.at)).and_then(|values| values);
                    self.at += 1;
                    self.row = number;
                    let values = values.map_err(|reason| (number, reason, false))?;
                    return Ok(Some(Row::new(number, values)));
                }
                _ => {}
            }
            self.at = 0;
            let next = guarded(|| self.reader.next()).map_err(|reason| (number, reason, true))?;
            match next {
                None => return Ok(None),
                Some(Ok(batch)) => self.batch = Some(batch),
                Some(Err(error)) => {
                    let reason = format!("the file cannot be read from here on: {error}");
                    return Err((number, reason, true));
                }
            }
        }
    }
}

fn values(batch: &RecordBatch, at: usize) -> Result<Vec<Value>, String> {
    let schema = batch.schema_ref();
    let mut values = Vec::with_capacity(batch.num_columns());
    for (field, array) in schema.fields().iter().zip(batch.columns()) {
        let json = parquet_value::json(array.as_ref(), at)
            .map_err(|reason| format!("column {:?}: {reason}", field.name()))?;
        values.push(match json {
            Json::Null => Value::Null,
            // As in CSV: whether a text is JSON, a moment or a number, the column says that it goes to.
            Json::String(text) => Value::Text(text),
            json => Value::Json(json),
        });
    }
    Ok(values)
}

/// Runs what takes a file apart that may say anything of itself.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work))
        .map_err(|_| "this Parquet file is damaged, or of a kind that cannot be read".to_owned())
}
