//! A file out of values, row by row.

use std::io::{self, Write};

use paceline_model::{ColumnType, Value};

use crate::object::push_entry;
use crate::parquet_out::ParquetWriter;
use crate::quote::push_field;
use crate::{FileFormat, text_of};

/// A column of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutColumn {
    /// Its name in the file.
    pub name: String,
    /// What its values are.
    pub kind: ColumnType,
}

/// Writes a table in bounded memory. What it writes, [`crate::Reader`] reads and [`crate::typed`] turns into the same
/// values, but for this: CSV and TSV cannot tell an empty text from an empty cell, and Parquet keeps numbers as doubles.
///
/// ```
/// use paceline_files::{FileFormat, OutColumn, Writer};
/// use paceline_model::{ColumnType, Value};
/// let columns = vec![OutColumn { name: "age".into(), kind: ColumnType::Number }];
/// let mut writer = Writer::new(FileFormat::Csv, columns, Vec::new()).unwrap();
/// writer.write(&[Value::Int(36)]).unwrap();
/// assert_eq!(writer.finish().unwrap(), b"age\n36\n");
/// ```
pub struct Writer<W: Write + Send> {
    columns: Vec<OutColumn>,
    output: Output<W>,
    row: Vec<u8>,
}

enum Output<W: Write + Send> {
    Delimited(W, u8),
    Lines(W),
    Parquet(Box<ParquetWriter<W>>),
}

impl<W: Write + Send> Writer<W> {
    /// Begins a file; of CSV and TSV with the header.
    ///
    /// # Errors
    /// Writing fails.
    pub fn new(format: FileFormat, columns: Vec<OutColumn>, output: W) -> io::Result<Self> {
        let mut row = Vec::new();
        let output = match (format, format.text().and_then(crate::Format::delimiter)) {
            (FileFormat::Parquet, _) => {
                Output::Parquet(Box::new(ParquetWriter::new(&columns, output)?))
            }
            (_, None) => Output::Lines(output),
            (_, Some(delimiter)) => {
                let names = columns.iter().map(|column| column.name.as_str());
                push_record(&mut row, names, delimiter);
                Output::Delimited(output, delimiter)
            }
        };
        let mut writer = Self { columns, output, row };
        writer.put()?;
        Ok(writer)
    }

    /// Adds a row: one value for each column, in their order.
    ///
    /// # Errors
    /// Writing fails, or the format cannot hold a value: Parquet a whole number that no double is.
    pub fn write(&mut self, values: &[Value]) -> io::Result<()> {
        let fields = self.columns.iter().zip(values);
        match &mut self.output {
            Output::Parquet(writer) => return writer.write(values),
            Output::Delimited(_, delimiter) => {
                let texts: Vec<String> =
                    fields.map(|(column, value)| text_of(column.kind, value)).collect();
                push_record(&mut self.row, texts.iter().map(String::as_str), *delimiter);
            }
            Output::Lines(_) => {
                self.row.push(b'{');
                for (index, (column, value)) in fields.enumerate() {
                    if index > 0 {
                        self.row.push(b',');
                    }
                    push_entry(&mut self.row, &column.name, value)?;
                }
                self.row.extend_from_slice(b"}\n");
            }
        }
        self.put()
    }

    /// Ends the file and gives back what it was written to, flushed.
    ///
    /// # Errors
    /// Writing fails.
    pub fn finish(self) -> io::Result<W> {
        let mut output = match self.output {
            Output::Parquet(writer) => writer.finish()?,
            Output::Delimited(output, _) | Output::Lines(output) => output,
        };
        output.flush()?;
        Ok(output)
    }

    fn put(&mut self) -> io::Result<()> {
        if let Output::Delimited(output, _) | Output::Lines(output) = &mut self.output {
            output.write_all(&self.row)?;
        }
        self.row.clear();
        Ok(())
    }
}

impl<W: Write + Send> std::fmt::Debug for Writer<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("columns", &self.columns).finish_non_exhaustive()
    }
}

/// Adds a whole record of CSV.
pub(crate) fn push_record<'a>(
    row: &mut Vec<u8>,
    fields: impl Iterator<Item = &'a str>,
    delimiter: u8,
) {
    let mut fields = fields.peekable();
    let mut alone = true;
    while let Some(field) = fields.next() {
        alone &= fields.peek().is_none();
        push_field(row, field, delimiter, alone);
        row.push(if fields.peek().is_some() { delimiter } else { b'\n' });
    }
}
