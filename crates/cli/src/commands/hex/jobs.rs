//! The rows of a file as jobs: which column says what, and every row checked before anything is sent.

use paceline_hex::Job;
use paceline_model::{ColumnType, Value, limits, suggest};
use serde_json::{Map, Value as Json};

use super::params::{Kind, Param};
use crate::exit::{Failure, usage};
use paceline_files::Spooled;

/// Jobs of one batch: at 60 an hour they would take a month.
pub(super) const JOBS_MAX: u64 = 50_000;
const PROJECT: &str = "project_id";
const PARAMS: &str = "params";
const NAMED: &str = "param.";
/// What others call the project's column and the parameters', and what would quietly start runs without parameters.
const MISNAMED: [(&str, &str); 7] = [
    ("project", PROJECT),
    ("projectId", PROJECT),
    ("projectID", PROJECT),
    ("id", PROJECT),
    ("inputParams", PARAMS),
    ("input_params", PARAMS),
    ("parameters", PARAMS),
];

/// What the result adds to each row.
pub(super) const RESULT: [&str; 6] =
    ["run_id", "status", "elapsed_ms", "run_url", "trace_id", "error"];

/// One job, and the line of the file that it comes from.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct JobRow {
    pub(super) line: u64,
    pub(super) project: String,
    pub(super) params: Map<String, Json>,
}

/// Which columns of a file say what.
#[derive(Debug)]
pub(super) struct Columns {
    /// Of the file: the project's, the parameters' object's if there is one, and those of single parameters.
    places: Vec<usize>,
    has_params: bool,
    named: Vec<(String, Kind)>,
}

impl Columns {
    /// Finds them.
    pub(super) fn of(file: &Spooled) -> Result<Self, Failure> {
        let wrong = |problem: String| usage(format!("{}: {problem}", file.name));
        let place = |name: &str| file.columns.iter().position(|column| column == name);
        let Some(project) = place(PROJECT) else {
            return Err(wrong(format!(
                "there is no column {PROJECT}, which says what to run{}",
                meant(&file.columns, PROJECT)
            )));
        };
        if let Some(taken) = RESULT.iter().find(|name| place(name).is_some()) {
            return Err(wrong(format!(
                "it has a column {taken}, which the result adds; rename or remove it"
            )));
        }
        let params = place(PARAMS);
        let mut columns = Self {
            places: std::iter::once(project).chain(params).collect(),
            has_params: params.is_some(),
            named: Vec::new(),
        };
        for (at, column) in file.columns.iter().enumerate() {
            if let Some(name) = column.strip_prefix(NAMED) {
                let (name, kind) = Kind::split(name)
                    .map_err(|problem| wrong(format!("column {:?}: {problem}", clip(column))))?;
                if columns.named.iter().any(|(known, _)| *known == name) {
                    return Err(wrong(format!("parameter {:?} has two columns", clip(name))));
                }
                columns.named.push((name.to_owned(), kind));
                columns.places.push(at);
            } else if column.starts_with("params.") || column.starts_with("parameter.") {
                let name = column.split_once('.').map_or("", |(_, name)| name);
                return Err(wrong(format!(
                    "column {:?} is no parameter; did you mean {NAMED}{}?",
                    clip(column),
                    clip(name)
                )));
            } else if let Some(meant) = misnamed(column, PARAMS).filter(|_| params.is_none()) {
                return Err(wrong(format!(
                    "column {:?} is no parameter; did you mean {meant}, or {NAMED}NAME?",
                    clip(column)
                )));
            }
        }
        Ok(columns)
    }

    /// Reads and checks every row; `defaults` are parameters of the rows that have none of that name.
    pub(super) fn read(
        &self,
        file: &Spooled,
        defaults: &[Param],
        mut take: impl FnMut(JobRow) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if file.rows > JOBS_MAX {
            return Err(usage(format!(
                "{} has {} rows; a batch has at most {JOBS_MAX}: split it",
                file.name, file.rows
            )));
        }
        let mut batches = file.batches(&self.places, limits::PAGE_ROWS_MAX)?;
        while let Some(batch) = batches.next() {
            for (row, line) in batch?.into_iter().zip(batches.lines()) {
                let job = self
                    .job(row, *line, defaults)
                    .map_err(|problem| usage(format!("{}, line {line}: {problem}", file.name)))?;
                take(job)?;
            }
        }
        Ok(())
    }

    fn job(&self, row: Vec<Value>, line: u64, defaults: &[Param]) -> Result<JobRow, String> {
        let mut values = row.into_iter();
        let project = match values.next().unwrap_or_default() {
            Value::Text(text) | Value::Json(Json::String(text)) => text.trim().to_owned(),
            Value::Null => return Err(format!("{PROJECT} is empty; write the project's id")),
            _ => return Err(format!("{PROJECT} must be text")),
        };
        let mut params = match self.has_params {
            true => object(values.next().unwrap_or_default())?,
            false => Map::new(),
        };
        for ((name, kind), value) in self.named.iter().zip(values) {
            let value = match value {
                Value::Null => continue,
                Value::Text(text) => kind.read(&text),
                other => kind.check(other.to_json()),
            };
            let shown = clip(name);
            let value = value.map_err(|problem| format!("{NAMED}{shown}: {problem}"))?;
            if params.insert(name.clone(), value).is_some() {
                return Err(format!("parameter {shown:?} is given twice, in {PARAMS} too"));
            }
        }
        for param in defaults {
            if !params.contains_key(&param.name) {
                params.insert(param.name.clone(), param.value.clone());
            }
        }
        check(JobRow { line, project, params })
    }
}

/// Whether Hex could take the job, and the state could keep it.
pub(super) fn check(row: JobRow) -> Result<JobRow, String> {
    let job = Job { params: row.params.clone(), ..Job::new(row.project.as_str()) };
    job.check().map_err(|error| error.to_string())?;
    Value::from_json(ColumnType::Json, Json::Object(job.params))
        .map_err(|error| format!("the parameters: {error}"))?;
    Ok(row)
}

/// What stands in the column of all parameters.
fn object(value: Value) -> Result<Map<String, Json>, String> {
    let wrong = || format!("{PARAMS} must be a JSON object such as {{\"day\":\"2026-01-31\"}}");
    let json = match value {
        Value::Null => return Ok(Map::new()),
        Value::Text(text) => {
            serde_json::from_str(&text).map_err(|error| format!("{}; {error}", wrong()))?
        }
        other => other.to_json(),
    };
    match json {
        Json::Object(fields) => Ok(fields),
        _ => Err(wrong()),
    }
}

fn misnamed(column: &str, what: &str) -> Option<&'static str> {
    let same = |name: &str| name.eq_ignore_ascii_case(column);
    MISNAMED.iter().find(|(name, meant)| *meant == what && same(name)).map(|(_, meant)| *meant)
}

/// A column that was probably meant.
fn meant(columns: &[String], wanted: &str) -> String {
    let names = || columns.iter().map(String::as_str);
    let alias = names().find(|column| misnamed(column, wanted).is_some());
    match alias.or_else(|| suggest(wanted, names())) {
        Some(found) => format!("; did you mean {:?}? Rename it", clip(found)),
        None => String::new(),
    }
}

pub(super) fn clip(text: &str) -> String {
    text.chars().take(40).collect()
}
