//! An import at work: records out of a file, batch by batch, each with how far it has come in one transaction.

use paceline_files::FileFormat;
use paceline_model::{Column, ColumnId, Error as StoreError, Item, Note, Table, TableId, limits};
use serde::{Deserialize, Serialize};

use super::batch::{Batch, End, Record, Report, report_as_csv, report_lines};
use super::mapping::Told;
use super::read::{self, Reading};
use super::{Files, Job, JobStatus, KIND, RETRY_PAUSE, blocking};
use crate::App;
use crate::error::{ApiError, Result};

/// What an import was asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ImportPlan {
    /// The upload.
    pub(crate) file: String,
    pub(crate) format: FileFormat,
    /// For each column of the file the one of the table.
    pub(crate) columns: Vec<Option<ColumnId>>,
    /// The columns by which a row is known; without any all are new.
    pub(crate) key: Vec<ColumnId>,
    pub(crate) told: Told,
}

/// An import, and what it knows.
struct Import<'a> {
    app: &'a App,
    files: &'a Files,
    table: TableId,
    item: Item,
    job: Job,
    key: Vec<ColumnId>,
    columns: Vec<Column>,
    report: Option<Report>,
}

/// Whether a job goes on.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Flow {
    On,
    /// It has ended: somebody cancelled it, or it failed.
    Ended,
}

/// Works on an import until it has ended.
///
/// # Errors
/// The registry does not answer, or the job is gone.
pub(crate) async fn run(app: &App, files: &Files, item: Item, plan: ImportPlan) -> Result<()> {
    let job = Job::of(&item)?;
    let table = item.table.unwrap_or_default();
    let (id, key, columns, report) = (item.id, plan.key.clone(), Vec::new(), None);
    let mut import = Import { app, files, table, item, job, key, columns, report };
    import.work(&plan).await?;
    let (files, name) = (files.clone(), plan.file);
    let bad = import.job.bad > 0;
    blocking(app, move || {
        files.remove(&name);
        if !bad {
            files.remove(&Files::report(id, FileFormat::Jsonl));
        } else if let Err(error) = report_as_csv(&files, id) {
            tracing::warn!(job = id, %error, "the report of bad rows cannot be written as CSV");
        }
    })
    .await
}

impl Import<'_> {
    async fn work(&mut self, plan: &ImportPlan) -> Result<()> {
        let table = self.app.engine.store().table(&self.table.to_string()).await?;
        let Some(reading) = table.and_then(|table| self.reading(plan, &table)) else {
            let reason = "the table or one of the columns was deleted".to_owned();
            return self.end(JobStatus::Failed, Some(reason)).await;
        };
        self.columns.clone_from(&reading.targets);
        self.job.status = JobStatus::Running;
        if self.save().await? == Flow::Ended {
            return Ok(());
        }
        let (files, id, bytes) = (self.files.clone(), self.item.id, self.job.report_bytes);
        match blocking(self.app, move || Report::open(&files, id, bytes)).await? {
            Ok(report) => self.report = Some(report),
            Err(error) => {
                let reason = format!("the report of bad rows cannot be written: {error}");
                return self.end(JobStatus::Failed, Some(reason)).await;
            }
        }
        let mut batches = read::batches(self.app, reading);
        loop {
            let busy = self.app.clock.busy();
            let batch = batches.recv().await;
            drop(busy);
            // A thread that ends without a word has panicked.
            let broken = || End::Broken("reading the file failed".to_owned());
            let Batch { records, end } =
                batch.unwrap_or_else(|| Batch { records: Vec::new(), end: Some(broken()) });
            if self.write(records).await? == Flow::Ended {
                return Ok(());
            }
            match end {
                None => {}
                Some(End::Broken(reason)) => {
                    return self.end(JobStatus::Failed, Some(reason)).await;
                }
                Some(End::Whole) if self.job.bad > 0 => {
                    return self.end(JobStatus::CompletedWithErrors, None).await;
                }
                Some(End::Whole) => return self.end(JobStatus::Completed, None).await,
            }
        }
    }

    /// What is to be read; none if a column is gone.
    fn reading(&self, plan: &ImportPlan, table: &Table) -> Option<Reading> {
        let mut targets = Vec::new();
        let mut columns = Vec::with_capacity(plan.columns.len());
        for id in &plan.columns {
            columns.push(match id {
                None => None,
                Some(id) => {
                    targets.push(table.columns.iter().find(|column| column.id == *id)?.clone());
                    Some(targets.len() - 1)
                }
            });
        }
        let (path, format) = (self.files.path(&plan.file), plan.format);
        let rows_max = self.app.config.limits.insert_rows_max;
        Some(Reading { path, format, skip: self.job.read, columns, targets, rows_max })
    }

    /// Brings records into the table. What the store refuses is halved until it is known which record it is about.
    async fn write(&mut self, records: Vec<Record>) -> Result<Flow> {
        let mut parts = vec![records];
        while let Some(mut part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            match self.commit(&part).await? {
                Committed::Well => {}
                Committed::Ended => return Ok(Flow::Ended),
                Committed::Refused(reason) if part.len() == 1 => {
                    let record = part.pop().map(|record| record.refused(&self.columns, reason));
                    parts.push(record.into_iter().collect());
                }
                Committed::Refused(_) => {
                    let later = part.split_off(part.len() / 2);
                    parts.extend([later, part]);
                }
            }
        }
        Ok(Flow::On)
    }

    /// Brings some records into the table, and notes that, in one transaction.
    async fn commit(&mut self, records: &[Record]) -> Result<Committed> {
        let (lines, bad) = report_lines(records);
        let report_before = self.job.report_bytes;
        if let Err(reason) = self.report(lines).await? {
            self.end(JobStatus::Failed, Some(reason)).await?;
            return Ok(Committed::Ended);
        }
        let mut next = self.job.clone();
        next.read += u64::try_from(records.len()).unwrap_or_default();
        next.bad += bad;
        next.written += u64::try_from(records.len()).unwrap_or_default() - bad;
        next.report_bytes = self.report.as_ref().map_or(0, Report::bytes);
        let (store, began) = (self.app.engine.store(), self.app.clock.now());
        loop {
            let columns: Vec<ColumnId> = self.columns.iter().map(|column| column.id).collect();
            let rows: Vec<_> =
                records.iter().filter_map(|record| record.row.as_ref().ok().cloned()).collect();
            let (id, version, body) = (self.item.id, self.item.version, next.to_json()?);
            let note = Note::Item { kind: KIND, id, version, body };
            let fed = store.feed_rows(self.table, &self.key, &columns, rows, vec![note]).await;
            let error = match fed {
                Ok(fed) => {
                    self.item.version += 1;
                    self.job = next;
                    // Kept with the next batch, and with the end.
                    self.job.updated += fed.updated;
                    return Ok(Committed::Well);
                }
                Err(error) => error,
            };
            // A commit whose answer was lost may stand all the same, and somebody may have ended the job.
            match self.look(next.read).await? {
                Seen::Same => {}
                Seen::Written => return Ok(Committed::Well),
                Seen::Ended => return Ok(Committed::Ended),
            }
            match error {
                StoreError::Invalid(reason) => {
                    self.cut_report(report_before).await?;
                    return Ok(Committed::Refused(reason));
                }
                error if error.retryable() && self.app.clock.now() - began < limits::OUTAGE_MAX => {
                    self.app.clock.sleep(RETRY_PAUSE).await;
                }
                error => {
                    self.end(JobStatus::Failed, Some(error.to_string())).await?;
                    return Ok(Committed::Ended);
                }
            }
        }
    }

    /// Adds lines to the report; the reason if that fails.
    async fn report(&mut self, lines: Vec<u8>) -> Result<std::result::Result<(), String>> {
        let Some(mut report) = self.report.take() else { return Ok(Ok(())) };
        let (report, done) = blocking(self.app, move || {
            let done = report.add(&lines);
            (report, done)
        })
        .await?;
        self.report = Some(report);
        Ok(done.map_err(|error| format!("the report of bad rows cannot be written: {error}")))
    }

    async fn cut_report(&mut self, bytes: u64) -> Result<()> {
        let Some(mut report) = self.report.take() else { return Ok(()) };
        let (report, done) = blocking(self.app, move || {
            let done = report.cut(bytes);
            (report, done)
        })
        .await?;
        self.report = Some(report);
        done.map_err(|error| ApiError::internal(format!("the report cannot be cut: {error}")))
    }

    /// The job as it stands in the registry, after a write that failed.
    async fn look(&mut self, read: u64) -> Result<Seen> {
        let Some(item) = self.read_patiently().await? else { return Ok(Seen::Ended) };
        if item.version == self.item.version {
            return Ok(Seen::Same);
        }
        self.adopt(item)?;
        Ok(if self.job.status.ended() {
            Seen::Ended
        } else if self.job.read == read {
            Seen::Written
        } else {
            Seen::Same
        })
    }

    async fn read_patiently(&self) -> Result<Option<Item>> {
        let began = self.app.clock.now();
        loop {
            match self.app.engine.store().item(KIND, self.item.id).await {
                Err(error)
                    if error.retryable() && self.app.clock.now() - began < limits::OUTAGE_MAX =>
                {
                    self.app.clock.sleep(RETRY_PAUSE).await;
                }
                found => return Ok(found?),
            }
        }
    }

    fn adopt(&mut self, item: Item) -> Result<()> {
        self.job = Job::of(&item)?;
        self.item = item;
        Ok(())
    }

    /// Keeps how the job stands, unless somebody has ended it.
    async fn save(&mut self) -> Result<Flow> {
        let (id, version, body) = (self.item.id, self.item.version, self.job.to_json()?);
        match self.app.engine.store().update_item(KIND, id, version, body).await {
            Ok(item) => self.adopt(item)?,
            Err(StoreError::Conflict(_)) => {
                // Only an end comes from elsewhere.
                let item = self.read_patiently().await?;
                item.map(|item| self.adopt(item)).transpose()?;
                return Ok(Flow::Ended);
            }
            Err(error) => return Err(error.into()),
        }
        Ok(Flow::On)
    }

    async fn end(&mut self, status: JobStatus, reason: Option<String>) -> Result<()> {
        self.job.end(self.app, status, reason);
        self.save().await.map(drop)
    }
}

/// What became of some records.
enum Committed {
    Well,
    /// The store takes one of them not, and says why.
    Refused(String),
    Ended,
}

/// What a look at the registry shows.
enum Seen {
    /// Nothing was written.
    Same,
    /// It was written after all.
    Written,
    /// The job has ended.
    Ended,
}
