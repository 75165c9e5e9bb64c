//! `paceline replay`: a recorded run once more, without a call and in no time.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use paceline_clock::{SimClock, Tick};
use paceline_engine::Recording;
use paceline_engine::replay::{Altered, Difference, Ending, Report, replay};
use paceline_governor::Rate;
use paceline_model::limits;
use paceline_store::SqliteStore;
use serde_json::{Value as Json, json};

use super::enrich::request::{CEILINGS, expand};
use crate::args::replay::ReplayArgs;
use crate::exit::{Exit, Failure, usage};
use crate::output;

/// Differences that are shown to a person.
const SHOWN_MAX: usize = 20;
/// Differences in the JSON.
const LISTED_MAX: usize = 10_000;
/// Characters of a value that are shown.
const VALUE_SHOWN_MAX: usize = 80;

pub(crate) async fn run(args: ReplayArgs) -> Result<Exit, Failure> {
    // A runtime of its own, whose time is simulated, on a thread of its own.
    let played = tokio::task::spawn_blocking(move || play(&args).map(|played| (played, args.json)));
    let ((recording, report), json) = played.await.map_err(usage)??;
    if json {
        output::result(&as_json(&recording, &report).to_string());
    } else {
        as_text(&recording, &report)
            .iter()
            .for_each(|line| output::result(&output::in_one_line(line)));
    }
    Ok(if report.is_same() { Exit::Done } else { Exit::Different })
}

fn play(args: &ReplayArgs) -> Result<(Recording, Report), Failure> {
    let told = |what: String| usage(format!("{}: {what}", args.file.display()));
    let file = File::open(&args.file).map_err(|error| told(error.to_string()))?;
    let recording =
        Recording::read(BufReader::new(file)).map_err(|error| told(error.to_string()))?;
    let config = args.config.as_deref().map(config).transpose()?;
    let altered = Altered { config, rate_limit: rate_limit(args, &recording)? };
    // The clock begins where the recording does: what a vendor said of times is read as it was.
    let zero = SimClock::new().clock().wall();
    let began = Tick::ZERO + recording.began_at().since(zero);
    let played = &recording;
    let report = SimClock::starting_at(began).run(|clock| async move {
        let store = SqliteStore::open_in_memory(clock.clone())?;
        replay(played, altered, store, &clock).await
    });
    Ok((recording, report?))
}

fn config(path: &Path) -> Result<Json, Failure> {
    let told = |what: String| usage(format!("--config {}: {what}", path.display()));
    let mut text = String::new();
    let most = limits::API_BODY_BYTES_MAX as u64;
    let file = File::open(path).map_err(|error| told(error.to_string()))?;
    file.take(most + 1).read_to_string(&mut text).map_err(|error| told(error.to_string()))?;
    if text.len() as u64 > most {
        return Err(told(format!("is longer than {most} bytes")));
    }
    serde_json::from_str(&text).map_err(|error| told(format!("is not JSON: {error}")))
}

/// The rate that was asked for, if it is not the recorded one.
fn rate_limit(args: &ReplayArgs, recording: &Recording) -> Result<Option<Json>, Failure> {
    let given = match args.rate_limit.as_deref() {
        Some(text) if text.trim_start().starts_with('{') => {
            let json = serde_json::from_str(text);
            Some(json.map_err(|error| usage(format!("--rate-limit is not JSON: {error}")))?)
        }
        name => name.map(|name| Json::String(name.to_owned())),
    };
    let Some(concurrency) = args.concurrency else { return Ok(given) };
    let mut rate = given.unwrap_or_else(|| recording.header.rate_limit.clone());
    if rate.is_null() {
        return Err(usage(
            "--concurrency: the recorded column has no rate of its own; give --rate-limit",
        ));
    }
    if rate.is_string() {
        let preset = Rate::from_json(&rate, CEILINGS).map_err(|faults| {
            usage(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        })?;
        rate = expand(&preset);
    }
    if let Some(fields) = rate.as_object_mut() {
        fields.insert("max_concurrent".to_owned(), concurrency.into());
    }
    Ok(Some(rate))
}

fn as_json(recording: &Recording, report: &Report) -> Json {
    json!({
        "rows": report.rows,
        "same": report.same,
        "different": report.different.len(),
        "not_recorded": report.not_recorded,
        "unfinished": report.unfinished,
        "left_out": report.left_out,
        "status": report.status,
        "reason": report.reason,
        "calls": report.calls,
        "refused": report.refused,
        "elapsed_ms": millis(report.elapsed),
        "calls_unused": report.calls_unused,
        "then": {
            "status": report.status_then,
            "calls": report.calls_then,
            "refused": report.refused_then,
            "elapsed_ms": millis(report.elapsed_then),
            "is_full": recording.is_full,
            "is_torn": recording.is_torn,
        },
        "differences": report.different.iter().take(LISTED_MAX).collect::<Vec<_>>(),
    })
}

fn millis(duration: std::time::Duration) -> f64 {
    duration.as_micros() as f64 / 1e3
}

fn as_text(recording: &Recording, report: &Report) -> Vec<String> {
    let count = |count: u64| output::thousands(count);
    let different = report.different.len() as u64;
    let mut lines = vec![format!(
        "{} rows: {} cells end as they did, {} do not, of which {} were asked for what is not recorded",
        count(report.rows),
        count(report.same),
        count(different),
        count(report.not_recorded),
    )];
    lines.extend(report.different.iter().take(SHOWN_MAX).map(difference));
    if report.different.len() > SHOWN_MAX {
        lines.push(format!("and {} more; --json lists them", report.different.len() - SHOWN_MAX));
    }
    lines.push(format!(
        "calls: {} (then {}), refused {} (then {}); recorded and not made now: {}",
        count(report.calls),
        count(report.calls_then),
        count(report.refused),
        count(report.refused_then),
        count(report.calls_unused),
    ));
    lines.push(format!(
        "time: {} (then {})",
        output::duration(millis(report.elapsed)),
        output::duration(millis(report.elapsed_then)),
    ));
    if let Some(reason) = &report.reason {
        lines.push(format!("the run is {}: {reason}", report.status.as_str()));
    }
    lines.extend(what_is_missing(recording, report));
    lines
}

/// What the recording cannot tell.
fn what_is_missing(recording: &Recording, report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    if report.unfinished > 0 {
        let count = output::thousands(report.unfinished);
        lines.push(format!("{count} cells came to no end, neither then nor now"));
    }
    if report.left_out > 0 {
        let count = output::thousands(report.left_out);
        lines.push(format!(
            "{count} rows are not played: their cells hung on other columns or earlier runs"
        ));
    }
    if recording.is_full {
        lines.push("the recording was full before the run ended: the rest is not in it".to_owned());
    }
    if recording.end.is_none() {
        lines.push("the recording ends where its process was killed".to_owned());
    }
    if let Some(budget) = &recording.header.limits.budget {
        lines.push(format!("the shared budget {budget} is not replayed: nobody shares it here"));
    }
    lines
}

fn difference(difference: &Difference) -> String {
    let Difference { row, then, now, calls_then, calls } = difference;
    format!(
        "row {row}: {} (calls: {calls_then}) -> {} (calls: {calls})",
        ending(then.as_ref()),
        ending(now.as_ref())
    )
}

fn ending(ending: Option<&Ending>) -> String {
    let Some(Ending { state, value, error, message }) = ending else {
        return "no end".to_owned();
    };
    match (error, message) {
        (Some(error), Some(message)) => format!("{} {error}: {message}", state.as_str()),
        (Some(error), None) => format!("{} {error}", state.as_str()),
        _ => {
            let text = value.to_string();
            let shown: String = text.chars().take(VALUE_SHOWN_MAX).collect();
            let more = if shown.len() < text.len() { "..." } else { "" };
            format!("{} {shown}{more}", state.as_str())
        }
    }
}
