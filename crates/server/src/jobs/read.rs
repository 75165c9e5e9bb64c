//! Reading an import's file on a thread of its own, a batch ahead of the database.

use std::fs::File;
use std::path::{Path, PathBuf};

use paceline_files::{FileFormat, Reader, typed};
use paceline_model::Column;
use tokio::sync::mpsc;

use super::batch::{Batch, End, Record};
use crate::App;

/// Values of a batch at the most, and bytes of its records as written: three batches are in memory at once.
const BATCH_VALUES_MAX: usize = 500_000;
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Faults of one record that are told.
const FAULTS_TOLD_MAX: usize = 3;

/// What is read, and how.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) path: PathBuf,
    pub(crate) format: FileFormat,
    /// Records that were read before.
    pub(crate) skip: u64,
    /// For each column of the file the one of the table that it goes to, and that one's place among those written.
    pub(crate) columns: Vec<Option<usize>>,
    /// The columns that are written.
    pub(crate) targets: Vec<Column>,
    /// Rows that one transaction takes.
    pub(crate) rows_max: usize,
}

/// The names of a file's columns. Of JSONL that takes a look at every line. Blocks.
///
/// # Errors
/// What is wrong with the file.
pub(crate) fn header(path: &Path, format: FileFormat) -> Result<Vec<String>, String> {
    let file = File::open(path).map_err(|error| format!("it cannot be opened: {error}"))?;
    let mut reader =
        Reader::open_file("the file", format, file).map_err(|error| error.to_string())?;
    if format == FileFormat::Jsonl {
        // The keys of bad lines do not count, and their faults are told when they are imported.
        for row in reader.by_ref() {
            if row.is_err_and(|refusal| refusal.last) {
                break;
            }
        }
        if reader.columns().is_empty() {
            return Err("there is no line with a JSON object in it".to_owned());
        }
    }
    Ok(reader.columns().to_vec())
}

/// The batches of a file; the last one says why it is.
pub(crate) fn batches(app: &App, reading: Reading) -> mpsc::Receiver<Batch> {
    let (sender, receiver) = mpsc::channel(1);
    let _busy = app.clock.busy();
    tokio::task::spawn_blocking(move || produce(&reading, &sender));
    receiver
}

fn produce(reading: &Reading, sender: &mpsc::Sender<Batch>) {
    let opened = File::open(&reading.path).map_err(|error| error.to_string()).and_then(|file| {
        Reader::open_file("the file", reading.format, file).map_err(|error| error.to_string())
    });
    let mut reader = match opened {
        Ok(reader) => reader,
        Err(reason) => {
            let end = Some(End::Broken(format!("the file cannot be read: {reason}")));
            let _ = sender.blocking_send(Batch { records: Vec::new(), end });
            return;
        }
    };
    for _ in 0..reading.skip {
        if reader.next().is_none() {
            break;
        }
    }
    loop {
        let batch = batch(reading, &mut reader);
        let last = batch.end.is_some();
        // Nobody takes it if the job has ended meanwhile.
        if sender.blocking_send(batch).is_err() || last {
            return;
        }
    }
}

fn batch(reading: &Reading, reader: &mut Reader) -> Batch {
    let rows_max = BATCH_VALUES_MAX / reading.targets.len().max(1);
    let rows_max = rows_max.clamp(1, reading.rows_max);
    let mut batch = Batch::default();
    let mut bytes = 0;
    while batch.records.len() < rows_max && bytes < BATCH_BYTES_MAX && batch.end.is_none() {
        match reader.next() {
            None => batch.end = Some(End::Whole),
            Some(Ok(row)) => {
                bytes += row.bytes();
                batch.records.push(record(reading, row, reader.columns()));
            }
            Some(Err(refusal)) => {
                bytes += refusal.record.len();
                if refusal.last {
                    batch.end = Some(End::Broken(refusal.to_string()));
                }
                batch.records.push(Record {
                    line: refusal.line,
                    row: Err(refusal.fault.to_string()),
                    text: Some(refusal.record),
                });
            }
        }
    }
    batch
}

fn record(reading: &Reading, row: paceline_files::Row, names: &[String]) -> Record {
    let line = row.line;
    let described = (reading.format == FileFormat::Parquet).then(|| row.clone());
    let (given, text) = row.into_parts();
    let mut values = vec![paceline_model::Value::Null; reading.targets.len()];
    let mut faults = Vec::new();
    for (value, target) in given.into_iter().zip(&reading.columns) {
        let Some((place, column)) =
            target.and_then(|place| Some((place, reading.targets.get(place)?)))
        else {
            continue;
        };
        match typed(column, value) {
            Ok(value) => values[place] = value,
            Err(reason) if faults.len() < FAULTS_TOLD_MAX => {
                faults.push(format!("{}: {reason}", column.name));
            }
            Err(_) => {}
        }
    }
    if faults.is_empty() {
        return Record { line, text, row: Ok(values) };
    }
    let text = text.or_else(|| Some(described?.text(names)));
    Record { line, text, row: Err(faults.join("; ")) }
}
