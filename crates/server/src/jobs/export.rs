//! An export: rows of a table, page by page, into a file or straight into a reply.

use std::io::{self, BufWriter, Write};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use paceline_files::{Draft, FileFormat, OutColumn, Writer};
use paceline_model::{
    ColumnId, ColumnType, Item, Row, RowQuery, Sort, Subject, Table, Value, limits,
};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tokio::sync::mpsc;

use super::{Files, Job, JobStatus, KIND, blocking};
use crate::App;
use crate::error::{ApiError, Result};
use crate::ops;
use crate::ops::rows::filters;

/// Bytes of the rows of one page that are aimed at: their number follows from the size of those before.
const PAGE_BYTES: usize = 4 * 1024 * 1024;
const PAGE_ROWS_FIRST: usize = 64;
/// Parts of a reply that are ready while the caller reads.
const PARTS_AHEAD: usize = 2;

/// What an export was asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ExportPlan {
    pub(crate) format: FileFormat,
    #[serde(rename = "where")]
    pub(crate) filter: Option<Json>,
    pub(crate) order_by: Option<Json>,
    pub(crate) columns: Option<Vec<String>>,
}

/// Where a column of the file comes from.
#[derive(Clone, Copy, Debug)]
enum Origin {
    Id,
    CreatedAt,
    UpdatedAt,
    /// This value among those that are read.
    Value(usize),
}

/// Rows on their way out.
#[derive(Debug)]
pub(crate) struct Export {
    pub(crate) columns: Vec<OutColumn>,
    origins: Vec<Origin>,
    /// The keys of the order, where they come from.
    keys: Vec<Origin>,
    query: RowQuery,
    ended: bool,
}

impl Export {
    /// What a plan means for a table.
    ///
    /// # Errors
    /// A filter, an order or columns that the table does not have.
    pub(crate) fn of(table: &Table, plan: &ExportPlan) -> Result<Self> {
        let mut query = RowQuery::of(table.id);
        query.limit = PAGE_ROWS_FIRST;
        query.filter = filters::filter(table, plan.filter.as_ref())?;
        query.sort = filters::order(table, plan.order_by.as_ref())?;
        let mut export = Self {
            columns: Vec::new(),
            origins: Vec::new(),
            keys: Vec::new(),
            query,
            ended: false,
        };
        let all = || table.columns.iter().map(|column| column.name.clone()).collect();
        for name in plan.columns.clone().unwrap_or_else(all) {
            let (name, kind, origin) = match name.as_str() {
                "_ht_id" => (name, ColumnType::Relation, Origin::Id),
                "_ht_created_at" => (name, ColumnType::Datetime, Origin::CreatedAt),
                "_ht_updated_at" => (name, ColumnType::Datetime, Origin::UpdatedAt),
                _ => {
                    let column = ops::column(table, &name)?;
                    (column.name.clone(), column.kind, export.value(column.id))
                }
            };
            if export.columns.iter().any(|known| known.name == name) {
                return Err(ApiError::field("columns", format!("{name:?} is named twice")));
            }
            export.columns.push(OutColumn { name, kind });
            export.origins.push(origin);
        }
        let subjects: Vec<Sort> = export.query.sort.clone();
        for Sort { subject, .. } in subjects {
            let key = match subject {
                Subject::Id => Origin::Id,
                Subject::CreatedAt => Origin::CreatedAt,
                Subject::UpdatedAt => Origin::UpdatedAt,
                Subject::Column(id) => export.value(id),
            };
            export.keys.push(key);
        }
        Ok(export)
    }

    /// How many rows there are.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn count(&self, app: &App) -> Result<u64> {
        let RowQuery { table, filter, .. } = self.query.clone();
        Ok(app.engine.store().count_rows(table, filter).await?)
    }

    /// The place of a column among those that are read.
    fn value(&mut self, column: ColumnId) -> Origin {
        let known = self.query.columns.iter().position(|known| *known == column);
        Origin::Value(known.unwrap_or_else(|| {
            self.query.columns.push(column);
            self.query.columns.len() - 1
        }))
    }

    /// The next rows, none at the end.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn page(&mut self, app: &App) -> Result<Vec<Vec<Value>>> {
        if self.ended {
            return Ok(Vec::new());
        }
        let page = app.engine.store().rows(self.query.clone()).await?;
        self.ended = page.len() < self.query.limit;
        if let Some(last) = page.last() {
            self.query.after = last.id;
            self.query.after_keys =
                self.keys.iter().map(|key| value(*key, last, Value::Int)).collect();
        }
        let bytes: usize = page.iter().flat_map(|row| &row.values).map(value_bytes).sum();
        let rows = PAGE_BYTES.saturating_mul(page.len().max(1)) / bytes.max(1);
        // No faster than the rows show: the next ones may be longer.
        self.query.limit =
            rows.clamp(1, self.query.limit.saturating_mul(4)).min(limits::PAGE_ROWS_MAX);
        let moment = |micros: i64| {
            let at = paceline_clock::Timestamp::from_micros(micros);
            ops::iso(at).map_or(Value::Null, Value::Text)
        };
        let rows = page
            .iter()
            .map(|row| self.origins.iter().map(|origin| value(*origin, row, moment)).collect());
        Ok(rows.collect())
    }
}

fn value(origin: Origin, row: &Row, moment: impl Fn(i64) -> Value) -> Value {
    match origin {
        Origin::Id => Value::Int(row.id.0),
        Origin::CreatedAt => moment(row.created_at.as_micros()),
        Origin::UpdatedAt => moment(row.updated_at.as_micros()),
        Origin::Value(at) => row.values.get(at).cloned().unwrap_or_default(),
    }
}

fn value_bytes(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len() + 32,
        Value::Json(json) => json.to_string().len() * 4,
        _ => 32,
    }
}

/// Works on an export until it has ended.
///
/// # Errors
/// The registry does not answer, or the job is gone.
pub(crate) async fn run(app: &App, files: &Files, item: Item, plan: ExportPlan) -> Result<()> {
    let mut work = Work { app, job: Job::of(&item)?, item };
    // An earlier process may have begun: what it wrote is gone with it.
    work.job.status = JobStatus::Running;
    work.job.read = 0;
    if !work.save().await? {
        return Ok(());
    }
    match work.write(files, &plan).await {
        Ok(None) => {}
        Ok(Some(bytes)) => {
            work.job.file_bytes = Some(bytes);
            work.job.end(app, JobStatus::Completed, None);
            if !work.save().await? {
                let (files, name) = (files.clone(), Files::export(work.item.id, plan.format));
                blocking(app, move || files.remove(&name)).await?;
            }
        }
        Err(error) => {
            work.job.end(app, JobStatus::Failed, Some(error.0.message));
            work.save().await?;
        }
    }
    Ok(())
}

struct Work<'a> {
    app: &'a App,
    item: Item,
    job: Job,
}

impl Work<'_> {
    /// Writes the file; answers its bytes, or nothing if somebody ended the job.
    async fn write(&mut self, files: &Files, plan: &ExportPlan) -> Result<Option<u64>> {
        let store = self.app.engine.store();
        let table = self.item.table.unwrap_or_default().to_string();
        let table = store.table(&table).await?;
        let table = table.ok_or_else(|| ApiError::internal("the table was deleted"))?;
        let mut export = Export::of(&table, plan)?;
        let name = Files::export(self.item.id, plan.format);
        let (files, format, columns) = (files.clone(), plan.format, export.columns.clone());
        let begun = blocking(self.app, move || {
            let room = files.room()?;
            let draft = Draft::create(&files.path(&name))?;
            let bounded = Bounded { output: BufWriter::new(draft), bytes: 0, bytes_max: room };
            Writer::new(format, columns, bounded)
        });
        let mut writer = begun.await?.map_err(cannot_write)?;
        loop {
            let rows = export.page(self.app).await?;
            if rows.is_empty() {
                break;
            }
            self.job.read += u64::try_from(rows.len()).unwrap_or_default();
            let written = blocking(self.app, move || {
                rows.iter().try_for_each(|row| writer.write(row)).map(|()| writer)
            });
            writer = written.await?.map_err(cannot_write)?;
            if !self.save().await? {
                return Ok(None);
            }
        }
        let done = blocking(self.app, move || {
            let Bounded { output, bytes, .. } = writer.finish()?;
            output.into_inner().map_err(io::IntoInnerError::into_error)?.commit()?;
            Ok(bytes)
        });
        done.await?.map(Some).map_err(cannot_write)
    }

    /// Keeps how the job stands; false if somebody has ended it.
    async fn save(&mut self) -> Result<bool> {
        let (id, version, body) = (self.item.id, self.item.version, self.job.to_json()?);
        match self.app.engine.store().update_item(KIND, id, version, body).await {
            Ok(item) => self.item = item,
            Err(paceline_model::Error::Conflict(_)) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        Ok(true)
    }
}

fn cannot_write(error: io::Error) -> ApiError {
    ApiError::internal(error.to_string()).saying(format!("the file cannot be written: {error}"))
}

/// A file that may have only so many bytes.
struct Bounded<W> {
    output: W,
    bytes: u64,
    bytes_max: u64,
}

impl<W: Write> Write for Bounded<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes >= self.bytes_max {
            return Err(io::Error::new(
                io::ErrorKind::StorageFull,
                "the files of imports and exports take all the room that they may",
            ));
        }
        let written = self.output.write(bytes)?;
        self.bytes += u64::try_from(written).unwrap_or_default();
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

/// What a writer wrote since it was last taken.
#[derive(Clone, Debug, Default)]
struct Taken(Arc<Mutex<Vec<u8>>>);

impl Taken {
    fn take(&self) -> Bytes {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).into()
    }
}

impl Write for Taken {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The bytes of an export as they are made, no further ahead than the caller reads. A caller that reads nothing for longer
/// than a request may take is left.
pub(crate) fn stream(
    app: &App,
    format: FileFormat,
    mut export: Export,
) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
    let (sender, receiver) = mpsc::channel::<io::Result<Bytes>>(PARTS_AHEAD);
    let app = app.clone();
    tokio::spawn(async move {
        if let Err(error) = send(&app, format, &mut export, &sender).await {
            tracing::warn!(error = %error.0.message, internal = ?error.0.internal, "an export broke off");
            // A reply that breaks off is not taken for a whole one.
            let _ = sender.try_send(Err(io::Error::other("the export broke off")));
        }
    });
    stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) })
}

async fn send(
    app: &App,
    format: FileFormat,
    export: &mut Export,
    sender: &mpsc::Sender<io::Result<Bytes>>,
) -> Result<()> {
    let taken = Taken::default();
    let mut writer =
        Writer::new(format, export.columns.clone(), taken.clone()).map_err(cannot_write)?;
    loop {
        let rows = export.page(app).await?;
        if rows.is_empty() {
            break;
        }
        let written = blocking(app, move || {
            rows.iter().try_for_each(|row| writer.write(row)).map(|()| writer)
        });
        writer = written.await?.map_err(cannot_write)?;
        pass(app, &taken, sender).await?;
    }
    writer.finish().map_err(cannot_write)?;
    pass(app, &taken, sender).await
}

/// Hands on what was written.
async fn pass(app: &App, taken: &Taken, sender: &mpsc::Sender<io::Result<Bytes>>) -> Result<()> {
    let bytes = taken.take();
    if bytes.is_empty() {
        return Ok(());
    }
    tokio::select! {
        sent = sender.send(Ok(bytes)) => sent.map_err(|_| ApiError::internal("the caller has gone")),
        () = app.clock.sleep(app.config.request_timeout) => {
            Err(ApiError::internal("the caller reads nothing any more"))
        }
    }
}

/// The whole of a small export as text; none if it is longer than `bytes_max`.
///
/// # Errors
/// The store's.
pub(crate) async fn text(
    app: &App,
    format: FileFormat,
    export: &mut Export,
    bytes_max: usize,
) -> Result<Option<String>> {
    let mut writer =
        Writer::new(format, export.columns.clone(), Vec::new()).map_err(cannot_write)?;
    let mut bytes = 0_usize;
    loop {
        let rows = export.page(app).await?;
        if rows.is_empty() {
            break;
        }
        bytes += rows.iter().flatten().map(value_bytes).sum::<usize>() / 32;
        if bytes > bytes_max {
            return Ok(None);
        }
        rows.iter().try_for_each(|row| writer.write(row)).map_err(cannot_write)?;
    }
    let text = String::from_utf8(writer.finish().map_err(cannot_write)?).ok();
    Ok(text.filter(|text| text.len() <= bytes_max))
}
