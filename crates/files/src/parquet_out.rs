//! Parquet out: our column types as a schema, row groups of bounded size, zstd.

use std::io::{self, Write};
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use paceline_model::{ColumnType, Value};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::{OutColumn, text_of};

/// Rows and bytes that are gathered before they are encoded.
const BATCH_ROWS_MAX: usize = 1_024;
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Rows and encoded bytes of a row group, which stands in memory until it is whole.
const GROUP_ROWS_MAX: usize = 50_000;
const GROUP_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Writes a Parquet file, batch by batch.
pub(crate) struct ParquetWriter<W: Write + Send> {
    writer: ArrowWriter<W>,
    schema: SchemaRef,
    kinds: Vec<ColumnType>,
    batch: Vec<Vec<Value>>,
    batch_bytes: usize,
    rows: u64,
}

impl<W: Write + Send> ParquetWriter<W> {
    pub(crate) fn new(columns: &[OutColumn], output: W) -> io::Result<Self> {
        let fields: Vec<Field> = columns
            .iter()
            .map(|column| Field::new(&column.name, data_type(column.kind), true))
            .collect();
        let schema = Arc::new(Schema::new(fields));
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(GROUP_ROWS_MAX))
            .build();
        let writer = ArrowWriter::try_new(output, Arc::clone(&schema), Some(properties))?;
        let kinds = columns.iter().map(|column| column.kind).collect();
        Ok(Self { writer, schema, kinds, batch: Vec::new(), batch_bytes: 0, rows: 0 })
    }

    pub(crate) fn write(&mut self, values: &[Value]) -> io::Result<()> {
        self.rows += 1;
        for (kind, (field, value)) in self.kinds.iter().zip(self.schema.fields().iter().zip(values))
        {
            if let Value::Int(whole) = value
                && *kind != ColumnType::Relation
                && exact(*whole).is_none()
            {
                let message = format!(
                    "row {}, column {:?}: {whole} is a whole number that no double holds, and numbers are doubles in \
                     Parquet; write CSV or JSONL, or make it a column of text",
                    self.rows,
                    field.name()
                );
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
            self.batch_bytes += match value {
                Value::Text(text) => text.len() + 8,
                _ => 32,
            };
        }
        self.batch.push(values.to_vec());
        if self.batch.len() >= BATCH_ROWS_MAX || self.batch_bytes >= BATCH_BYTES_MAX {
            self.encode()?;
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.encode()?;
        Ok(self.writer.into_inner()?)
    }

    fn encode(&mut self) -> io::Result<()> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let columns = self.kinds.iter().enumerate().map(|(at, kind)| array(*kind, at, &self.batch));
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns.collect());
        let batch = batch.map_err(io::Error::other)?;
        self.writer.write(&batch)?;
        if self.writer.in_progress_size() >= GROUP_BYTES_MAX {
            self.writer.flush()?;
        }
        self.batch.clear();
        self.batch_bytes = 0;
        Ok(())
    }
}

fn data_type(kind: ColumnType) -> DataType {
    match kind {
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::Number | ColumnType::Currency => DataType::Float64,
        ColumnType::Relation => DataType::Int64,
        _ => DataType::Utf8,
    }
}

/// The values at `at` of all rows. What is not of the column's type cannot come out of the store.
fn array(kind: ColumnType, at: usize, rows: &[Vec<Value>]) -> ArrayRef {
    let values = rows.iter().map(|row| row.get(at).unwrap_or(&Value::Null));
    match data_type(kind) {
        DataType::Boolean => Arc::new(BooleanArray::from_iter(values.map(|value| match value {
            Value::Bool(flag) => Some(*flag),
            _ => None,
        }))),
        DataType::Float64 => Arc::new(Float64Array::from_iter(values.map(|value| match value {
            Value::Int(whole) => exact(*whole),
            Value::Number(number) => Some(*number),
            _ => None,
        }))),
        DataType::Int64 => Arc::new(Int64Array::from_iter(values.map(|value| match value {
            Value::Int(whole) => Some(*whole),
            _ => None,
        }))),
        _ => Arc::new(StringArray::from_iter(
            values.map(|value| (!value.is_null()).then(|| text_of(kind, value))),
        )),
    }
}

/// A whole number as a double, if there is one that is just that.
fn exact(whole: i64) -> Option<f64> {
    // Beyond 2^53 not every whole number is a double; what is lost there does not come back the same.
    (whole.unsigned_abs() <= 1 << f64::MANTISSA_DIGITS).then_some(whole as f64)
}
