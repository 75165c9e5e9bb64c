//! What was asked for, checked as far as that is possible before the input is read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use paceline_engine::{HttpColumn, HttpSpec};
use paceline_governor::{Ceilings, Limit, Preset, Rate};
use paceline_model::limits;
use serde_json::{Value as Json, json};

use crate::args::{EnrichArgs, ShapeArg};
use crate::exit::{Failure, usage};
use paceline_files::{Format, check_writable};

/// What the operator may ask for on the command line.
pub(crate) const CEILINGS: Ceilings = Ceilings {
    concurrent_max: limits::CLI_CONCURRENT_MAX,
    rate_max: limits::CLI_RATE_MAX,
    rate_optional: true,
};
/// Calls at once where nothing else is said. (seed B)
const CONCURRENCY: u32 = 6;
/// The preset where nothing is said about the rate: the one for strict APIs.
const DEFAULT_PRESET: Preset = Preset::Conservative;
/// On the command line only: no limit but the calls at once.
const UNLIMITED: &str = "unlimited";

/// A checked request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) input: PathBuf,
    pub(crate) output: PathBuf,
    /// `None`: as the input's.
    pub(crate) output_format: Option<Format>,
    pub(crate) column: String,
    pub(crate) spec: HttpSpec,
    pub(crate) rate: Rate,
    pub(crate) rate_json: Json,
    /// Nobody said how fast to call, and the default holds.
    pub(crate) is_default_rate: bool,
    pub(crate) allow_private: bool,
    /// Where the run is recorded.
    pub(crate) record: Option<PathBuf>,
    pub(crate) json: bool,
    pub(crate) report_on_stdout: bool,
}

impl Request {
    /// Checks the arguments.
    pub(crate) fn check(args: &EnrichArgs) -> Result<Self, Failure> {
        let output_format = output_format(&args.output)?;
        if !is_pipe(&args.output) {
            check_writable(&args.output)?;
        }
        if let Some(record) = &args.record {
            check_record(record, args)?;
        }
        let rate_json = rate_json(args)?;
        let rate = Rate::from_json(&rate_json, CEILINGS).map_err(|faults| {
            usage(faults.iter().map(|fault| fault.to_string()).collect::<Vec<_>>().join("; "))
        })?;
        HttpColumn::check_rate(&rate).map_err(usage)?;
        let spec = HttpSpec {
            url: args.url.clone(),
            method: Some(args.method.to_ascii_uppercase()),
            headers: headers(&args.headers)?,
            body: args.body.clone().map(Json::String),
            extract: args.extract.clone(),
            timeout_ms: args.timeout_ms,
            repeatable: None,
        };
        Ok(Self {
            input: args.input.clone(),
            output: args.output.clone(),
            output_format,
            column: args.column.clone(),
            spec,
            rate,
            rate_json,
            is_default_rate: args.rate.is_none() && args.limits.is_empty(),
            allow_private: args.allow_private,
            record: args.record.clone(),
            json: args.json,
            report_on_stdout: args.report_on_stdout,
        })
    }

    /// What a person should know before the first call, if anything.
    pub(crate) fn note(&self) -> Option<String> {
        let limits = || self.rate.limits.iter().map(Limit::to_string).collect::<Vec<_>>();
        self.is_default_rate.then(|| {
            format!(
                "no --rate and no --limit: calling at the preset {}, {}",
                DEFAULT_PRESET.as_str(),
                limits().join(" + ")
            )
        })
    }

    /// Whether the output goes down a pipe.
    pub(crate) fn pipes_out(&self) -> bool {
        is_pipe(&self.output)
    }
}

fn check_record(record: &Path, args: &EnrichArgs) -> Result<(), Failure> {
    if is_pipe(record) || *record == args.input || *record == args.output {
        let name = record.display();
        return Err(usage(format!("--record {name}: a recording goes into a file of its own")));
    }
    Ok(check_writable(record)?)
}

fn is_pipe(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn output_format(path: &Path) -> Result<Option<Format>, Failure> {
    if is_pipe(path) {
        return Ok(None);
    }
    match Format::of_path(path) {
        Some(format) => Ok(Some(format)),
        None => Err(usage(format!(
            "the name of OUT, {}, does not say what to write; end it in .csv, .tsv or .jsonl, or write - for a pipe",
            path.display()
        ))),
    }
}

fn headers(given: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let mut headers = BTreeMap::new();
    for (index, header) in given.iter().enumerate() {
        // The value may be a secret: it is never shown.
        let (name, value) = header.split_once(':').ok_or_else(|| {
            usage(format!(
                "--header number {}: there is no colon; write it as 'Name: value'",
                index + 1
            ))
        })?;
        let name = name.trim().to_owned();
        if headers.keys().any(|known: &String| known.eq_ignore_ascii_case(&name)) {
            return Err(usage(format!("--header {name} is given twice; give it once")));
        }
        headers.insert(name, value.trim().to_owned());
    }
    Ok(headers)
}

/// The rate as one object: the preset or object, with what the other flags change of it.
fn rate_json(args: &EnrichArgs) -> Result<Json, Failure> {
    let mut rate = match args.rate.as_deref() {
        None if args.limits.is_empty() => expand(&DEFAULT_PRESET.rate()),
        None | Some(UNLIMITED) => {
            let plain =
                Rate { limits: Vec::new(), concurrent_max: CONCURRENCY, ..Preset::Moderate.rate() };
            expand(&plain)
        }
        Some(text) if text.trim_start().starts_with('{') => {
            let json: Json = serde_json::from_str(text)
                .map_err(|error| usage(format!("--rate is not JSON: {error}")))?;
            Rate::from_json(&json, CEILINGS).map_err(|faults| {
                usage(faults.iter().map(|fault| fault.to_string()).collect::<Vec<_>>().join("; "))
            })?;
            json
        }
        Some(name) => {
            let rate =
                Rate::from_json(&Json::String(name.to_owned()), CEILINGS).map_err(|faults| {
                    let meant = faults.iter().find_map(|fault| fault.did_you_mean.as_deref());
                    let meant =
                        meant.map_or_else(String::new, |name| format!("; did you mean {name}?"));
                    let told =
                        faults.iter().map(|fault| fault.to_string()).collect::<Vec<_>>().join("; ");
                    usage(format!("--rate: {told}{meant}"))
                })?;
            expand(&rate)
        }
    };
    for limit in &args.limits {
        if limit.rate_per_second() > CEILINGS.rate_max {
            return Err(usage(format!(
                "--limit {limit} is over {} calls per second",
                CEILINGS.rate_max
            )));
        }
    }
    if !args.limits.is_empty() {
        let mut limits: Vec<Json> = rate["limits"].as_array().cloned().unwrap_or_default();
        limits.extend(args.limits.iter().map(|limit| json!(limit.to_string())));
        rate["limits"] = Json::Array(limits);
    }
    if let Some(concurrency) = args.concurrency {
        rate["max_concurrent"] = json!(concurrency);
    }
    if let Some(shape) = args.shape {
        rate["shape"] = json!(match shape {
            ShapeArg::Auto => "auto",
            ShapeArg::Burst => "burst",
            ShapeArg::Paced => "paced",
            ShapeArg::CounterSafe => "counter_safe",
        });
    }
    if let Some(guard) = &args.guard {
        rate["guard"] = guard.parse::<u64>().map_or_else(|_| json!(guard), |ms| json!(ms));
    }
    Ok(rate)
}

/// A preset as the object it stands for.
pub(crate) fn expand(rate: &Rate) -> Json {
    let mut object = json!({
        "max_concurrent": rate.concurrent_max,
        "retry_strategy": rate.backoff.strategy.as_str(),
        "max_retries": rate.max_retries,
        "retry_delay_ms": millis(rate.backoff.base),
        "cool_down_on_429": rate.cool_down_on_429,
    });
    if let Some(first) = rate.limits.first() {
        object["requests_per_second"] = json!(first.rate_per_second());
    }
    object
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
