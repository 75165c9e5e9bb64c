//! Files of rows: whatever is read is written so that it is read again as the same.

use std::io::Cursor;

use paceline_files::{FileFormat, Format, OutColumn, Reader, Source, Writer};
use paceline_model::{ColumnType, Value};

/// Records that are read of one input; a longer one only repeats.
const RECORDS_MAX: usize = 2_000;

/// The first byte chooses the format, the rest is the file.
pub fn csv(data: &[u8]) {
    let Some((first, file)) = data.split_first() else { return };
    let format = match first % 4 {
        0 => Some(Format::Csv),
        1 => Some(Format::Tsv),
        2 => Some(Format::Jsonl),
        // Looked at to find out.
        _ => None,
    };
    let Some((columns, rows)) = read(format, file.to_vec()) else { return };
    if columns.is_empty() || format.is_none() || format == Some(Format::Jsonl) {
        return;
    }
    let out = columns.iter().map(|name| OutColumn { name: name.clone(), kind: ColumnType::Text });
    let Ok(mut writer) = Writer::new(FileFormat::Csv, out.collect(), Vec::new()) else { return };
    for row in &rows {
        if writer.write(row).is_err() {
            return;
        }
    }
    let Ok(written) = writer.finish() else { return };
    let again = read(Some(Format::Csv), written);
    assert_eq!(again, Some((columns, rows)), "what was written is read as something else");
}

/// The columns and the good rows, as wide as the table; `None` if it is no file of rows.
fn read(format: Option<Format>, file: Vec<u8>) -> Option<(Vec<String>, Vec<Vec<Value>>)> {
    let mut reader = Reader::open(Source::reader("fuzz", format, Cursor::new(file))).ok()?;
    let mut rows = Vec::new();
    for record in reader.by_ref().take(RECORDS_MAX) {
        match record {
            Ok(row) => rows.push(row.values),
            Err(refusal) => {
                assert!(refusal.line >= 1);
                if refusal.last {
                    break;
                }
            }
        }
    }
    let columns = reader.columns().to_vec();
    for row in &mut rows {
        row.resize(columns.len(), Value::Null);
    }
    Some((columns, rows))
}
