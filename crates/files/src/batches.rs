//! The rows of a kept copy, some columns of them, batch by batch.

use std::borrow::Cow;
use std::collections::HashMap;

use paceline_model::Value;

use crate::error::Defect;
use crate::lines::Line;
use crate::object;
use crate::spool::Rows;
use crate::{InputError, ROW_BYTES_MAX, Spooled};

/// Bytes of the rows of one batch as written, so that a batch of long rows is a short one.
const BATCH_BYTES_MAX: usize = ROW_BYTES_MAX;

impl Spooled {
    /// The values of some columns (positions in [`Spooled::columns`]), `rows_max` rows at a time or fewer where cells
    /// are long. A CSV field is text, a value of JSONL is JSON; an empty field, a null and an absent key are
    /// [`Value::Null`].
    ///
    /// # Errors
    /// The copy cannot be opened. Each batch may fail if the copy was changed from outside; then no more follow.
    pub fn batches(&self, columns: &[usize], rows_max: usize) -> Result<Batches, InputError> {
        let mut rows = self.open()?;
        if let Rows::Delimited(records) = &mut rows {
            records.next().map_err(|defect| self.defect(defect))?;
        }
        let wanted = columns.iter().enumerate().filter_map(|(place, &column)| {
            self.columns.get(column).map(|name| (name.clone(), place))
        });
        let mut places: HashMap<String, Vec<usize>> = HashMap::new();
        for (name, place) in wanted {
            places.entry(name).or_default().push(place);
        }
        Ok(Batches {
            spooled: self.clone(),
            rows,
            columns: columns.to_owned(),
            places,
            rows_max: rows_max.max(1),
            rows_read: 0,
            lines: Vec::new(),
            ended: false,
        })
    }
}

/// Rows of some columns, batch by batch; see [`Spooled::batches`].
#[derive(Debug)]
pub struct Batches {
    spooled: Spooled,
    rows: Rows,
    columns: Vec<usize>,
    /// Where the value of a key goes in a row; more than one place if a column is asked for twice.
    places: HashMap<String, Vec<usize>>,
    rows_max: usize,
    rows_read: u64,
    /// Where the rows of the last batch begin.
    lines: Vec<u64>,
    ended: bool,
}

/// A row, where it begins, and how many bytes it was read from.
struct RowRead {
    row: Vec<Value>,
    line: u64,
    bytes: usize,
}

impl Iterator for Batches {
    type Item = Result<Vec<Vec<Value>>, InputError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.read_batch() {
            Ok(batch) if batch.is_empty() => None,
            Ok(batch) => Some(Ok(batch)),
            Err(error) => {
                self.ended = true;
                Some(Err(error))
            }
        }
    }
}

impl Batches {
    /// The lines of the input on which the rows of the last batch begin, from 1.
    pub fn lines(&self) -> &[u64] {
        &self.lines
    }

    fn read_batch(&mut self) -> Result<Vec<Vec<Value>>, InputError> {
        self.lines.clear();
        let mut batch = Vec::new();
        let mut bytes = 0;
        while batch.len() < self.rows_max && bytes < BATCH_BYTES_MAX {
            match self.read_row().map_err(|defect| self.spooled.defect(defect))? {
                Some(RowRead { row, line, bytes: row_bytes }) => {
                    batch.push(row);
                    self.lines.push(line);
                    bytes += row_bytes;
                    self.rows_read += 1;
                }
                None => {
                    self.ended = true;
                    self.spooled.check_rows(self.rows_read)?;
                    break;
                }
            }
        }
        Ok(batch)
    }

    fn read_row(&mut self) -> Result<Option<RowRead>, Defect> {
        match &mut self.rows {
            Rows::Delimited(records) => Ok(records.next()?.map(|record| {
                let row = self.columns.iter().map(|&column| text_value(record.field(column)));
                RowRead { row: row.collect(), line: record.line, bytes: record.text.len() }
            })),
            Rows::Lines(lines) => {
                let Some(line) = lines.next()? else { return Ok(None) };
                let row = object_row(line, self.columns.len(), &self.places)?;
                Ok(Some(RowRead { row, line: line.line, bytes: line.text.len() }))
            }
        }
    }
}

fn text_value(field: Option<Cow<'_, str>>) -> Value {
    match field {
        Some(text) if !text.is_empty() => Value::Text(text.into_owned()),
        _ => Value::Null,
    }
}

fn object_row(
    line: Line<'_>,
    len: usize,
    places: &HashMap<String, Vec<usize>>,
) -> Result<Vec<Value>, Defect> {
    let mut row = vec![Value::Null; len];
    let mut fault = None;
    object::entries(line, |key, raw| {
        for &place in places.get(key.as_ref()).into_iter().flatten() {
            match object::value(raw) {
                Ok(value) => row[place] = value,
                Err(error) => fault = Some(error),
            }
        }
    })?;
    match fault {
        None => Ok(row),
        Some(fault) => Err(Defect { line: line.line, fault }),
    }
}
