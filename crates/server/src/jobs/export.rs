//! An export: rows of a table, page by page, and a job that writes them into a file.

use std::io::{self, BufWriter, Write};

use paceline_files::{Draft, FileFormat, OutColumn, Writer};
use paceline_model::{
    ColumnId, ColumnType, Item, Row, RowQuery, Sort, Subject, Table, Value, limits,
};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{Files, Job, JobStatus, KIND, blocking};
use crate::App;
use crate::error::{ApiError, Result};
use crate::ops;
use crate::ops::rows::filters;

/// Bytes of the rows of one page that are aimed at: their number follows from the size of those before.
const PAGE_BYTES: usize = 4 * 1024 * 1024;
const PAGE_ROWS_FIRST: usize = 64;

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

pub(super) fn value_bytes(value: &Value) -> usize {
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

pub(super) fn cannot_write(error: io::Error) -> ApiError {
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
