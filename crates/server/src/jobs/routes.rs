//! What cannot be a row of the catalogue: a file as the body of a request, and files as replies.

use std::io::SeekFrom;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{Router, get, post};
use futures_util::{StreamExt, stream};
use http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use paceline_files::FileFormat;
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::{Export, ExportPlan, Files, Upload, blocking, stream as rows_stream};
use crate::catalog::Caller;
use crate::envelope::{self, Hint};
use crate::error::{ApiError, Code, Result};
use crate::ops::{self, files as operations};
use crate::rest::{Shared, answered, refused};
use crate::{App, KeyScope};

/// Bytes of a file that are read at once.
const PART_BYTES: usize = 64 * 1024;

/// Routes for holders of a key.
pub(crate) fn guarded() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/tables/{table}/imports/upload", post(upload))
        .route("/api/tables/{table}/export", get(export))
}

/// Routes for anyone: a link is its own key.
pub(crate) fn open() -> Router<Arc<Shared>> {
    Router::new().route("/files/{name}", get(file))
}

fn check(request_caller: Option<&Caller>, needed: KeyScope) -> Result<()> {
    if request_caller.is_some_and(|caller| caller.scope >= needed) {
        return Ok(());
    }
    let message = format!("this key may not do that; it needs the scope {}", needed.as_str());
    Err(ApiError::new(Code::Forbidden, message))
}

/// What an upload says in its query: the fields of `import_rows` but the data.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct UploadQuery {
    format: Option<String>,
    mode: Option<String>,
    /// Separated by commas.
    key: Option<String>,
    /// A JSON object.
    mapping: Option<String>,
    create_columns: Option<bool>,
}

async fn upload(
    State(shared): State<Arc<Shared>>,
    path: std::result::Result<Path<String>, axum::extract::rejection::PathRejection>,
    query: std::result::Result<Query<UploadQuery>, axum::extract::rejection::QueryRejection>,
    request: Request,
) -> Response {
    let work = async {
        check(request.extensions().get(), KeyScope::Write)?;
        let Path(table) = path.map_err(|error| ApiError::field("table", error.body_text()))?;
        let Query(query) = query.map_err(|error| ApiError::field("query", error.body_text()))?;
        let typed = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let format = match &query.format {
            Some(name) => FileFormat::parse(name),
            None => typed.and_then(FileFormat::of_media_type),
        };
        let format = format.ok_or_else(|| {
            ApiError::new(Code::UnsupportedMediaType, "neither `format` nor Content-Type names a format that is known")
                .fix("send text/csv, text/tab-separated-values, application/x-ndjson or application/vnd.apache.parquet, or name `format`: csv, tsv, jsonl, parquet")
        })?;
        let mapping = query.mapping.as_deref().map(serde_json::from_str).transpose();
        let mapping = mapping.map_err(|_| ApiError::field("mapping", "is not a JSON object"))?;
        let input = operations::ImportRows {
            table,
            data: None,
            format: None,
            mapping,
            create_columns: query.create_columns,
            mode: query.mode,
            key: query.key.map(|key| key.split(',').map(|name| name.trim().to_owned()).collect()),
        };
        // Before the body comes: a wrong name is told at once.
        operations::check(&shared.app, &input).await?;
        let upload = receive(&shared.app, format, request.into_body()).await?;
        let mut outcome =
            operations::import_upload(shared.app.clone(), input, format, upload).await?;
        outcome.meta.insert("operation".to_owned(), "import_rows".into());
        envelope::success(&outcome)
    };
    match work.await {
        Ok(envelope) => answered(StatusCode::OK, envelope),
        Err(error) => refused(&error.attempting(|| "import_rows (upload)".to_owned())),
    }
}

/// A body onto the disk as it comes. Who sends nothing for a while is left.
async fn receive(app: &App, format: FileFormat, body: Body) -> Result<Upload> {
    let place = app.jobs.uploads.acquire().await;
    let _place = place.map_err(|_| ApiError::internal("uploads are closed"))?;
    let files = Files::needed(app)?;
    let (start, random) = (app.jobs.start.clone(), app.random.next_u64());
    let begun = blocking(app, move || Upload::begin(&files, (&start, random), format)).await?;
    let mut upload = begun.map_err(|error| operations::no_room(&error))?;
    let mut parts = body.into_data_stream();
    loop {
        let part = tokio::select! {
            part = parts.next() => part,
            () = app.clock.sleep(app.config.idle_timeout) => {
                return Err(ApiError::new(Code::Timeout, "the body stopped coming"));
            }
        };
        let Some(part) = part else { return Ok(upload) };
        let part = part.map_err(|_| {
            ApiError::new(Code::InvalidJson, "the body broke off").fix("send the file again")
        })?;
        let added = blocking(app, move || {
            let added = upload.add(&part);
            (upload, added)
        });
        let (back, added) = added.await?;
        upload = back;
        if !added.map_err(|error| operations::no_room(&error))? {
            let message = format!("the file is longer than {} bytes", upload.bytes_max());
            return Err(ApiError::new(Code::BodyTooLarge, message).fix("send it in parts"));
        }
    }
}

/// What an export says in its query: the fields of `export_rows`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExportQuery {
    format: Option<String>,
    /// JSON.
    r#where: Option<String>,
    /// JSON.
    order_by: Option<String>,
    /// Separated by commas.
    columns: Option<String>,
}

async fn export(
    State(shared): State<Arc<Shared>>,
    path: std::result::Result<Path<String>, axum::extract::rejection::PathRejection>,
    query: std::result::Result<Query<ExportQuery>, axum::extract::rejection::QueryRejection>,
    request: Request,
) -> Response {
    let allowed = check(request.extensions().get(), KeyScope::Read);
    drop(request);
    let work = async {
        allowed?;
        let Path(table) = path.map_err(|error| ApiError::field("table", error.body_text()))?;
        let Query(query) = query.map_err(|error| ApiError::field("query", error.body_text()))?;
        let json = |name, text: Option<String>| {
            text.map(|text| serde_json::from_str(&text))
                .transpose()
                .map_err(|_| ApiError::field(name, "is not JSON"))
        };
        let plan = ExportPlan {
            format: operations::format(query.format.as_deref())?,
            filter: json("where", query.r#where)?,
            order_by: json("order_by", query.order_by)?,
            columns: query
                .columns
                .map(|names| names.split(',').map(|name| name.trim().to_owned()).collect()),
        };
        whole(&shared.app, &table, &plan).await
    };
    match work.await {
        Ok(response) => response,
        Err(error) => refused(&error.attempting(|| "export_rows (file)".to_owned())),
    }
}

async fn whole(app: &App, table: &str, plan: &ExportPlan) -> Result<Response> {
    let table = ops::table(app, table).await?;
    let export = Export::of(&table, plan)?;
    let count = export.count(app).await?;
    let most = app.config.limits.export_inline_rows_max;
    if count > u64::try_from(most).unwrap_or(u64::MAX) {
        let message = format!("{count} rows; at most {most} are answered as a file at once");
        let hint = Hint::new("export_rows", "have a file of them all made, with a link")
            .with("table", table.name.as_str())
            .with("format", plan.format.as_str());
        let error = ApiError::new(Code::BatchTooLarge, message);
        return Err(error.fix("have them exported as a job").hint(hint));
    }
    let name = format!("{}.{}", table.name, plan.format);
    let body = Body::from_stream(rows_stream(app, plan.format, export));
    Ok((headers(plan.format, &name), body).into_response())
}

fn headers(format: FileFormat, name: &str) -> [(http::HeaderName, HeaderValue); 2] {
    // Names of tables and of our files are plain letters.
    let attachment = format!("attachment; filename=\"{name}\"");
    let attachment = HeaderValue::from_str(&attachment);
    [
        (CONTENT_TYPE, HeaderValue::from_static(format.media_type())),
        (
            CONTENT_DISPOSITION,
            attachment.unwrap_or_else(|_| HeaderValue::from_static("attachment")),
        ),
    ]
}

/// What a link says.
#[derive(Debug, Deserialize)]
struct LinkQuery {
    expires: i64,
    signature: String,
}

async fn file(
    State(shared): State<Arc<Shared>>,
    path: std::result::Result<Path<String>, axum::extract::rejection::PathRejection>,
    query: std::result::Result<Query<LinkQuery>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let opened = match (path, query) {
        (Ok(Path(name)), Ok(Query(link))) => fetch(&shared.app, &name, &link).await,
        _ => Err(forged()),
    };
    opened.unwrap_or_else(|error| refused(&error.attempting(|| "download of a file".to_owned())))
}

fn forged() -> ApiError {
    ApiError::new(Code::Forbidden, "this link was not given out by this server")
        .fix("ask for the job again (get_job); its answer has a link that holds")
}

async fn fetch(app: &App, name: &str, link: &LinkQuery) -> Result<Response> {
    // Of a name that we signed nothing is to be feared.
    if !app.jobs.links.verify(name, link.expires, &link.signature) {
        return Err(forged());
    }
    let gone = |message: &str| {
        ApiError::new(Code::LinkExpired, message)
            .hint(Hint::new("list_jobs", "see which exports there are"))
    };
    if app.clock.wall().as_micros() >= link.expires.saturating_mul(1_000_000) {
        return Err(gone("this link has expired"));
    }
    let Some(format) = name.rsplit_once('.').and_then(|(_, end)| FileFormat::parse(end)) else {
        return Err(forged());
    };
    let path = Files::needed(app)?.path(name);
    let _busy = app.clock.busy();
    let file = tokio::fs::File::open(path).await;
    let mut file = file.map_err(|_| gone("the file is not there any more"))?;
    let end = file.seek(SeekFrom::End(0)).await;
    let length = match end {
        Ok(length) if file.seek(SeekFrom::Start(0)).await.is_ok() => length,
        _ => return Err(ApiError::internal(format!("the file {name} cannot be read"))),
    };
    let parts = stream::try_unfold(file.take(length), |mut file| async move {
        let mut part = Vec::with_capacity(PART_BYTES);
        (&mut file).take(PART_BYTES as u64).read_to_end(&mut part).await?;
        std::io::Result::Ok((!part.is_empty()).then(|| (bytes::Bytes::from(part), file)))
    });
    let length = [(CONTENT_LENGTH, HeaderValue::from(length))];
    Ok((headers(format, name), length, Body::from_stream(parts)).into_response())
}
