//! What a caller wants a source to be, checked against its table.

use http::Method;
use paceline_engine::OutboundError;
use paceline_model::{Table, limits};
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use serde_json_path::JsonPath;

use super::kept::{Pull, Source, SourceKind};
use super::schedule::Schedule;
use super::{Mapping, Way, filter_of, place_of, sealed_headers};
use crate::App;
use crate::error::{ApiError, Code, Result};
use crate::kept::Standing;
use crate::ops;

/// What stands in `config`. Which of them belong to which type is checked here, so that a field of another type is a
/// mistake that is told and not one that is ignored.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Draft {
    field_mapping: Option<Json>,
    url: Option<String>,
    method: Option<String>,
    headers: Option<Json>,
    body: Option<Json>,
    records_path: Option<String>,
    next_path: Option<String>,
    upsert_by: Option<Vec<String>>,
    schedule: Option<String>,
    timeout_ms: Option<u64>,
    source_table: Option<String>,
    filter: Option<Json>,
    include_existing: Option<bool>,
}

const PULL_FIELDS: [&str; 10] = [
    "url",
    "method",
    "headers",
    "body",
    "records_path",
    "next_path",
    "field_mapping",
    "upsert_by",
    "schedule",
    "timeout_ms",
];
const CONNECTED_FIELDS: [&str; 4] = ["source_table", "filter", "field_mapping", "include_existing"];

impl Draft {
    /// Reads the configuration of a source of that type.
    pub(crate) fn read(kind: &str, config: Option<Json>) -> Result<Self> {
        let given = match config {
            None => Map::new(),
            Some(Json::Object(given)) => given,
            Some(_) => return Err(ApiError::field("config", "is not an object")),
        };
        let fields: &[&str] = match kind {
            "webhook" => &["field_mapping"],
            "api_pull" => &PULL_FIELDS,
            "connected_table" => &CONNECTED_FIELDS,
            "manual" => &[],
            _ => {
                let problem = "is made by import_rows, which lists its file among the sources";
                return Err(ApiError::field("type", format!("{kind} {problem}")));
            }
        };
        if let Some(name) = given.keys().find(|name| !fields.contains(&name.as_str())) {
            let known = if fields.is_empty() { "none".to_owned() } else { fields.join(", ") };
            let shown: String = name.chars().take(80).collect();
            let meant = paceline_model::suggest(name, fields.iter().copied());
            let problem = format!("is no setting of a source of type {kind}; there are {known}");
            return Err(ApiError::field(format!("config.{shown}"), problem).meant(meant));
        }
        // Only the kind of what is wrong is told: a value may be a secret.
        serde_json::from_value(Json::Object(given)).map_err(|error| {
            let told = error.to_string();
            let kind = told.split([':', ',']).next().unwrap_or_default();
            ApiError::field("config", format!("a setting is of the wrong kind ({kind})"))
        })
    }

    /// Whether the rows that the other table has already are copied.
    pub(crate) fn include_existing(&self) -> bool {
        self.include_existing.unwrap_or(true)
    }

    /// A webhook, of which the hash of the secret is kept.
    pub(crate) fn webhook(&self, table: &Table, secret: &str) -> Result<SourceKind> {
        Ok(SourceKind::Webhook {
            field_mapping: Mapping::read(table, self.field_mapping.as_ref(), Way::In)?,
            secret_hash: hash(secret),
        })
    }

    /// A connected table.
    pub(crate) fn connected(&self, table: &Table, other: &Table) -> Result<SourceKind> {
        if other.id == table.id {
            let problem = "is the table itself; each row would be copied again and again";
            return Err(ApiError::field("config.source_table", problem));
        }
        let field_mapping = self.cross_mapping(table, other)?;
        filter_of(other, "config.filter", self.filter.as_ref())?;
        Ok(SourceKind::ConnectedTable {
            source_table: other.id,
            filter: self.filter.clone(),
            field_mapping,
        })
    }

    /// The other table of a connected table.
    pub(crate) async fn other_table(&self, app: &App) -> Result<Table> {
        let Some(name) = &self.source_table else {
            return Err(ApiError::field(
                "config.source_table",
                "is required: the name of the table whose rows are copied",
            ));
        };
        ops::table(app, name).await
    }

    /// From columns of the other table to columns of this one.
    fn cross_mapping(&self, table: &Table, other: &Table) -> Result<Mapping> {
        let mapping = Mapping::read(table, self.field_mapping.as_ref(), Way::In)?;
        if let Json::Object(shown) = mapping.shown(table) {
            for path in shown.keys() {
                let column = path.split(['.', '[']).next().unwrap_or_default();
                if other.column(column).is_none() {
                    let names = other.columns.iter().map(|column| column.name.as_str());
                    let meant = paceline_model::suggest(column, names);
                    let problem = format!("table {:?} has no column {column:?}", other.name);
                    let field = format!("config.field_mapping.{path}");
                    return Err(ApiError::field(field, problem).meant(meant));
                }
            }
        }
        Ok(mapping)
    }

    /// An API that is asked. Its headers are sealed for its state and its host.
    pub(crate) fn pull(&self, app: &App, table: &Table, state: i64) -> Result<Pull> {
        let Some(url) = &self.url else {
            return Err(ApiError::field("config.url", "is required: the address that is asked"));
        };
        app.engine.outbound().check_url(url).map_err(refused_url)?;
        let method = self.method.clone().unwrap_or_else(|| "GET".to_owned());
        if !matches!(Method::from_bytes(method.as_bytes()), Ok(Method::GET | Method::POST)) {
            return Err(ApiError::field("config.method", "is not GET or POST"));
        }
        for (field, path) in
            [("config.records_path", &self.records_path), ("config.next_path", &self.next_path)]
        {
            if let Some(Err(error)) = path.as_deref().map(JsonPath::parse) {
                return Err(ApiError::field(field, format!("is not a JSONPath: {error}")));
            }
        }
        if let Some(Err(problem)) = self.schedule.as_deref().map(Schedule::parse) {
            return Err(ApiError::field("config.schedule", problem));
        }
        let timeout = self.timeout_ms.unwrap_or(millis(limits::CALL_TIMEOUT_DEFAULT));
        if !(100..=millis(limits::CALL_TIMEOUT_MAX)).contains(&timeout) {
            let max = millis(limits::CALL_TIMEOUT_MAX);
            return Err(ApiError::field("config.timeout_ms", format!("is not from 100 to {max}")));
        }
        let field_mapping = Mapping::read(table, self.field_mapping.as_ref(), Way::In)?;
        let upsert_by = self.key(table, &field_mapping)?;
        Ok(Pull {
            headers: sealed_headers(
                app,
                self.headers.as_ref(),
                &place_of(Source::KIND, state, url),
            )?,
            url: url.clone(),
            method,
            body: self.body.clone(),
            records_path: self.records_path.clone(),
            next_path: self.next_path.clone(),
            field_mapping,
            upsert_by,
            schedule: self.schedule.clone(),
            timeout_ms: timeout,
        })
    }

    /// The columns of `upsert_by`, which must all be among those that are filled.
    fn key(&self, table: &Table, mapping: &Mapping) -> Result<Vec<i64>> {
        let filled = mapping.bind(table, Way::In)?.ids();
        let names = self.upsert_by.as_deref().unwrap_or_default();
        let mut key = Vec::with_capacity(names.len());
        for name in names {
            let column = table.column(name).filter(|column| filled.contains(&column.id));
            let Some(column) = column else {
                let names = table.columns.iter().map(|column| column.name.as_str());
                let problem = format!("{name:?} is no column that the records fill");
                let meant = paceline_model::suggest(name, names);
                return Err(ApiError::field("config.upsert_by", problem).meant(meant));
            };
            if key.contains(&column.id.0) {
                return Err(ApiError::field("config.upsert_by", format!("names {name:?} twice")));
            }
            key.push(column.id.0);
        }
        Ok(key)
    }
}

/// What is kept of a secret of ours.
pub(super) fn hash(secret: &str) -> String {
    blake3::hash(secret.as_bytes()).to_hex().to_string()
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The refusal of an address by the guard.
pub(crate) fn refused_url(error: OutboundError) -> ApiError {
    match error {
        error @ OutboundError::NotAUrl(_) => ApiError::field("url", error.to_string()),
        error => ApiError::new(Code::BlockedUrl, format!("url: {error}")),
    }
}
