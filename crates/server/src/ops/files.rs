//! Imports and exports, and the jobs that do them.

use paceline_clock::Timestamp;
use paceline_files::FileFormat;
use paceline_model::{ColumnId, Item, Table, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::{column, iso, table};
use crate::App;
use crate::envelope::{Hint, Outcome};
use crate::error::{ApiError, Code, Result};
use crate::jobs::{
    self, Asked, Export, ExportPlan, Files, ImportPlan, Job, JobStatus, KIND, Link, Told, Upload,
    Work, blocking,
};

/// Bytes of an export that stand in a reply of JSON; a longer one becomes a file. A model reads about 25,000 tokens.
const INLINE_BYTES_MAX: usize = 100 * 1024;

#[derive(Debug, Deserialize)]
pub(crate) struct ImportRows {
    pub(crate) table: String,
    pub(crate) data: Option<String>,
    pub(crate) format: Option<String>,
    pub(crate) mapping: Option<Map<String, Json>>,
    pub(crate) create_columns: Option<bool>,
    pub(crate) mode: Option<String>,
    pub(crate) key: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ExportRows {
    table: String,
    format: Option<String>,
    r#where: Option<Json>,
    order_by: Option<Json>,
    columns: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ListJobs {
    table: Option<String>,
    limit: Option<usize>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ThisJob {
    job: i64,
}

/// A job as its callers see it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct JobView {
    id: i64,
    /// `import` or `export`.
    kind: &'static str,
    table: Option<i64>,
    format: &'static str,
    status: JobStatus,
    /// Why it ended as it did.
    reason: Option<String>,
    /// Records of the file that were read; of an export rows that were written.
    rows_read: u64,
    rows_inserted: u64,
    rows_updated: u64,
    /// Records that could not be taken; the report says why.
    rows_bad: u64,
    /// What became of the columns of an import's file.
    columns: Option<Told>,
    /// The bad rows with line, reason and record, as JSONL and as CSV, once the import has ended.
    bad_rows: Vec<Link>,
    /// The file of an export.
    file: Option<Link>,
    created_at: Option<String>,
    updated_at: Option<String>,
    ended_at: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Exported {
    /// Rows that there are.
    rows: u64,
    /// The file itself, if it is text and short.
    content: Option<String>,
    /// The job that makes the file otherwise; ask for it until it has a link.
    job: Option<JobView>,
}

/// The format of that name; CSV if none is named.
pub(crate) fn format(name: Option<&str>) -> Result<FileFormat> {
    let Some(name) = name else { return Ok(FileFormat::Csv) };
    FileFormat::parse(name).ok_or_else(|| {
        let names = FileFormat::ALL.map(FileFormat::as_str);
        let meant = paceline_model::suggest(name, names);
        ApiError::field("format", format!("is not one of {}", names.join(", "))).meant(meant)
    })
}

/// An error of the file system while something is taken in.
pub(crate) fn no_room(error: &std::io::Error) -> ApiError {
    if error.kind() == std::io::ErrorKind::StorageFull {
        return ApiError::new(Code::Conflict, error.to_string())
            .fix("wait until files of earlier exports have expired");
    }
    ApiError::internal(format!("a file cannot be written: {error}"))
}

pub(crate) async fn import_rows(app: App, mut input: ImportRows) -> Result<Outcome<JobView>> {
    check(&app, &input).await?;
    let Some(data) = input.data.take() else {
        return Err(ApiError::field("data", "is required: the rows as text"));
    };
    let format = format(input.format.as_deref())?;
    if format == FileFormat::Parquet {
        let problem = "parquet is no text; upload the file instead";
        return Err(ApiError::field("format", problem));
    }
    let files = Files::needed(&app)?;
    let (start, random) = (app.jobs.start.clone(), app.random.next_u64());
    let written = blocking(&app, move || {
        let mut upload = Upload::begin(&files, (&start, random), format)?;
        let whole = upload.add(data.as_bytes())?;
        std::io::Result::Ok((upload, whole))
    });
    let (upload, whole) = written.await?.map_err(|error| no_room(&error))?;
    if !whole {
        return Err(ApiError::new(Code::BodyTooLarge, "there is no room for so much data"));
    }
    import_upload(app, input, format, upload).await
}

/// Whether an import may begin, before its data is there.
pub(crate) async fn check(app: &App, input: &ImportRows) -> Result<()> {
    Files::needed(app)?;
    let table = table(app, &input.table).await?;
    key(&table, input).map(drop)
}

/// The columns of the key; none if rows are inserted.
fn key(table: &Table, input: &ImportRows) -> Result<Vec<ColumnId>> {
    let names = input.key.as_deref().unwrap_or_default();
    match input.mode.as_deref() {
        None | Some("insert") if names.is_empty() => Ok(Vec::new()),
        None | Some("insert") => {
            Err(ApiError::field("key", "belongs to the mode upsert; every row is inserted"))
        }
        Some("upsert") if names.is_empty() => {
            Err(ApiError::field("key", "is required: the columns that a row is known by"))
        }
        Some("upsert") => {
            names.iter().map(|name| column(table, name).map(|column| column.id)).collect()
        }
        Some(_) => Err(ApiError::field("mode", "is not one of insert, upsert")),
    }
}

/// Makes a job of a file that is there.
pub(crate) async fn import_upload(
    app: App,
    input: ImportRows,
    format: FileFormat,
    upload: Upload,
) -> Result<Outcome<JobView>> {
    let table = table(&app, &input.table).await?;
    let key = key(&table, &input)?;
    let looked = blocking(&app, move || {
        let (name, path, _) = upload.finish()?;
        let found = (name.to_owned(), jobs::header(path, format));
        std::io::Result::Ok((upload, found))
    });
    let (upload, (file, names)) = looked.await?.map_err(|error| no_room(&error))?;
    let names = names.map_err(|reason| {
        ApiError::field("data", format!("is not {format} that can be imported: {reason}"))
    })?;
    let create_columns = input.create_columns.unwrap_or(false);
    let asked = Asked { mapping: input.mapping.unwrap_or_default(), create_columns };
    let mapping = jobs::map(&app, &table, &names, &asked).await?;
    if let Some(missing) = key.iter().find(|id| !mapping.columns.contains(&Some(**id))) {
        let name = table.columns.iter().find(|column| column.id == *missing);
        let name = name.map_or("", |column| column.name.as_str());
        let problem = format!("the file has no column for {name:?}");
        return Err(ApiError::field("key", problem));
    }
    let plan = ImportPlan { file, format, columns: mapping.columns, key, told: mapping.told };
    let item = jobs::submit(&app, &table, Job::new(Work::Import(plan))).await?;
    upload.keep();
    if let Err(error) = crate::sources::record_import(&app, &table, "import", item.id).await {
        // The import is under way all the same; only the list of sources does not tell of it.
        tracing::warn!(table = table.name, what = error.0.message, "an import is not listed");
    }
    let view = JobView::of(&app, &item)?;
    Ok(Outcome::new(view).meta("table", table.name).hint(watch(item.id)))
}

fn watch(id: i64) -> Hint {
    Hint::new("get_job", "see how far it has come").with("job", id)
}

pub(crate) async fn export_rows(app: App, input: ExportRows) -> Result<Outcome<Exported>> {
    let table = table(&app, &input.table).await?;
    let plan = ExportPlan {
        format: format(input.format.as_deref())?,
        filter: input.r#where,
        order_by: input.order_by,
        columns: input.columns,
    };
    let mut export = Export::of(&table, &plan)?;
    let rows = export.count(&app).await?;
    let few = rows <= u64::try_from(app.config.limits.export_inline_rows_max).unwrap_or(u64::MAX);
    if few && plan.format != FileFormat::Parquet {
        let content = jobs::text(&app, plan.format, &mut export, INLINE_BYTES_MAX).await?;
        if content.is_some() {
            let data = Exported { rows, content, job: None };
            return Ok(Outcome::new(data).meta("table", table.name));
        }
    }
    Files::needed(&app)?;
    let item = jobs::submit(&app, &table, Job::new(Work::Export(plan))).await?;
    let job = Some(JobView::of(&app, &item)?);
    let outcome = Outcome::new(Exported { rows, content: None, job });
    Ok(outcome.meta("table", table.name).hint(watch(item.id)))
}

pub(crate) async fn list(app: App, input: ListJobs) -> Result<Outcome<Vec<JobView>>> {
    let of = match &input.table {
        Some(name) => Some(table(&app, name).await?.id),
        None => None,
    };
    let items = app.engine.store().items(KIND, of).await?;
    let limit = input.limit.unwrap_or(limits::PAGE_ROWS_DEFAULT);
    let newest = items.iter().rev().take(limit).map(|item| JobView::of(&app, item));
    Ok(Outcome::new(newest.collect::<Result<_>>()?))
}

pub(crate) async fn get(app: App, input: ThisJob) -> Result<Outcome<JobView>> {
    let item = jobs::find(&app, input.job).await?;
    Ok(Outcome::new(JobView::of(&app, &item)?))
}

pub(crate) async fn cancel(app: App, input: ThisJob) -> Result<Outcome<JobView>> {
    let item = jobs::cancel(&app, input.job).await?;
    Ok(Outcome::new(JobView::of(&app, &item)?))
}

impl JobView {
    fn of(app: &App, item: &Item) -> Result<Self> {
        let job = Job::of(item)?;
        let (kind, format) = (job.work.as_str(), job.work.format());
        let ended = job.ended_at.map(Timestamp::from_micros);
        let (mut bad_rows, mut file) = (Vec::new(), None);
        let (now, lifetime) = (app.clock.wall(), app.config.limits.file_link_lifetime);
        let is_import = matches!(job.work, Work::Import(_));
        if let Some(ended) = ended.filter(|_| is_import && job.bad > 0)
            && now.since(ended) < limits::IMPORT_REPORT_KEPT
        {
            let link = |format, bytes| {
                jobs::link(app, &Files::report(item.id, format), now + lifetime, bytes)
            };
            bad_rows.push(link(FileFormat::Jsonl, Some(job.report_bytes)));
            bad_rows.push(link(FileFormat::Csv, None));
        }
        if let (Some(bytes), Some(ended)) = (job.file_bytes, ended)
            && now < ended + lifetime
        {
            let name = Files::export(item.id, format);
            file = Some(jobs::link(app, &name, ended + lifetime, Some(bytes)));
        }
        let inserted = job.written.saturating_sub(job.updated);
        let reason = match (job.status, job.reason) {
            (JobStatus::Cancelled, Some(reason)) if is_import => Some(format!(
                "{reason}; the {} rows inserted and {} updated until then stay",
                inserted, job.updated
            )),
            (_, reason) => reason,
        };
        Ok(Self {
            id: item.id,
            kind,
            table: item.table.map(|table| table.0),
            format: format.as_str(),
            status: job.status,
            reason,
            rows_read: job.read,
            rows_inserted: inserted,
            rows_updated: job.updated,
            rows_bad: job.bad,
            columns: match job.work {
                Work::Import(plan) => Some(plan.told),
                Work::Export(_) => None,
            },
            bad_rows,
            file,
            created_at: iso(item.created_at),
            updated_at: iso(item.updated_at),
            ended_at: ended.and_then(iso),
        })
    }
}
