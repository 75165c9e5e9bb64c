//! `paceline api --wait`: what a call has set going, a run or a job, is followed to its end.
//!
//! It is the server that works. Whoever stops waiting stops nothing, and a server that is away for a moment is waited for.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use paceline_clock::Clock;
use paceline_engine::Progress;
use paceline_model::Counts;
use serde_json::Value as Json;

use super::client::Client;
use crate::exit::{Exit, Failure, interrupted, usage};
use crate::signals::Signals;
use crate::{output, progress};

/// How often the server is asked: well inside the calls that a key may make in a minute.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How long a server may be away: long enough for a restart.
const AWAY_MAX: Duration = Duration::from_secs(60);

/// What can be waited for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Target {
    Run(i64),
    Job(i64),
}

/// How it stands.
enum Standing {
    AtWork,
    /// It is over, or stopped until somebody does something.
    Ended(Exit),
}

/// Follows what a reply tells of, and the runs that follow that one. Prints the last reply of each, or this one if there is
/// nothing to wait for; answers the worst end.
pub(super) async fn wait(client: &Client, reply: &Json, clock: &Clock) -> Result<Exit, Failure> {
    let mut worst = Exit::Done;
    let targets = targets(reply);
    if targets.is_empty() {
        output::result(&super::readable(reply));
    }
    for target in targets {
        let exit = follow(client, target, clock).await?;
        // The codes stand in the order of how bad they are.
        worst = if exit as u8 > worst as u8 { exit } else { worst };
    }
    Ok(worst)
}

/// The run or job of a reply; none of a reply that tells of something else.
fn targets(reply: &Json) -> Vec<Target> {
    let data = match &reply["data"]["job"] {
        Json::Object(_) => &reply["data"]["job"],
        _ => &reply["data"],
    };
    let Some(id) = data["id"].as_i64() else { return Vec::new() };
    if data["counts"].is_object() {
        let after = data["followed_by"].as_array().into_iter().flatten().filter_map(Json::as_i64);
        return std::iter::once(id).chain(after).map(Target::Run).collect();
    }
    let is_job = matches!(data["kind"].as_str(), Some("import" | "export"));
    if is_job { vec![Target::Job(id)] } else { Vec::new() }
}

async fn follow(client: &Client, target: Target, clock: &Clock) -> Result<Exit, Failure> {
    let mut signals = Signals::listen()?;
    let seen = Mutex::new(Progress::default());
    let asked = ask_until_ended(client, target, clock, &seen);
    let shown = progress::show(clock.clone(), || {
        seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    });
    tokio::select! {
        ended = asked => {
            let (reply, exit) = ended?;
            output::result(&super::readable(&reply));
            Ok(exit)
        }
        () = signals.next() => Err(interrupted(target.goes_on())),
        () = shown => Ok(Exit::Done),
    }
}

async fn ask_until_ended(
    client: &Client,
    target: Target,
    clock: &Clock,
    seen: &Mutex<Progress>,
) -> Result<(Json, Exit), Failure> {
    let mut answered = clock.now();
    loop {
        match client.operation(target.operation(), &target.words()).await {
            Ok((200, reply)) => {
                answered = clock.now();
                let data = &reply["data"];
                *seen.lock().unwrap_or_else(PoisonError::into_inner) = progress_of(data);
                if let Standing::Ended(exit) = standing(data) {
                    return Ok((reply, exit));
                }
            }
            // Too many calls of this key, or a server on its way down or up.
            Ok((429 | 500.., _)) => {}
            Ok((_, reply)) => return Err(usage(reply["error"]["message"].to_string())),
            Err(failure) if clock.now().since(answered) > AWAY_MAX => return Err(failure),
            Err(_) => {}
        }
        clock.sleep(ASK_EVERY).await;
    }
}

impl Target {
    fn operation(self) -> &'static str {
        match self {
            Self::Run(_) => "get_run",
            Self::Job(_) => "get_job",
        }
    }

    fn words(self) -> [String; 2] {
        match self {
            Self::Run(id) => ["--run".to_owned(), id.to_string()],
            Self::Job(id) => ["--job".to_owned(), id.to_string()],
        }
    }

    fn goes_on(self) -> String {
        match self {
            Self::Run(id) => format!(
                "run {id} goes on in the server; `paceline api --wait get_run --run {id}` waits again, `paceline api \
                 cancel_run --run {id}` ends it"
            ),
            Self::Job(id) => format!(
                "job {id} goes on in the server; `paceline api --wait get_job --job {id}` waits again, `paceline api \
                 cancel_job --job {id}` ends it"
            ),
        }
    }
}

fn standing(data: &Json) -> Standing {
    let count = |name: &str| data["counts"][name].as_u64().unwrap_or_default();
    match data["status"].as_str().unwrap_or_default() {
        "queued" | "running" => Standing::AtWork,
        "completed" => Standing::Ended(Exit::Done),
        "paused" => Standing::Ended(Exit::Paused),
        _ if count("unknown") > 0 => Standing::Ended(Exit::SomeUnknown),
        _ => Standing::Ended(Exit::SomeFailed),
    }
}

/// As far as the bar needs it. Rows of a job are its cells.
fn progress_of(data: &Json) -> Progress {
    let live = &data["progress"];
    let counts: Counts = serde_json::from_value(data["counts"].clone()).unwrap_or_else(|_| {
        Counts { completed: data["rows_read"].as_u64().unwrap_or_default(), ..Counts::default() }
    });
    let waiting = &live["waiting"];
    Progress {
        counts,
        in_flight: live["in_flight"].as_u64().and_then(|n| n.try_into().ok()).unwrap_or_default(),
        waiting_ms: waiting["ms"]
            .as_f64()
            .map(|ms| (ms, waiting["reason"].as_str().unwrap_or_default().to_owned())),
        rate_per_second: live["rate_per_second"].as_f64().unwrap_or_default(),
        eta_ms: live["eta_ms"].as_f64(),
        explanations: live["explanations"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|text| text.as_str().map(str::to_owned))
            .collect(),
        ..Progress::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn runs_with_those_that_follow_and_jobs_are_waited_for_and_nothing_else() {
        let counts = json!({"total": 3});
        let run = json!({"data": {"id": 4, "counts": counts, "followed_by": [5, 6]}});
        assert_eq!(targets(&run), [Target::Run(4), Target::Run(5), Target::Run(6)]);
        let import = json!({"data": {"id": 2, "kind": "import", "status": "queued"}});
        assert_eq!(targets(&import), [Target::Job(2)]);
        assert_eq!(
            targets(&json!({"data": {"job": {"id": 3, "kind": "export"}}})),
            [Target::Job(3)]
        );
        for other in [json!({"data": {"id": 1, "name": "airports"}}), json!({"data": []}), json!(1)]
        {
            assert_eq!(targets(&other), [], "{other}");
        }
    }

    #[test]
    fn the_exit_code_tells_how_it_ended() {
        let cases = [
            ("completed", 0, 0, Some(Exit::Done)),
            ("completed_with_errors", 2, 0, Some(Exit::SomeFailed)),
            ("completed_with_errors", 2, 1, Some(Exit::SomeUnknown)),
            ("paused", 0, 0, Some(Exit::Paused)),
            ("cancelled", 0, 0, Some(Exit::SomeFailed)),
            ("running", 0, 1, None),
            ("queued", 0, 0, None),
        ];
        for (status, failed, unknown, wanted) in cases {
            let data = json!({"status": status, "counts": {"failed": failed, "unknown": unknown}});
            let exit = match standing(&data) {
                Standing::AtWork => None,
                Standing::Ended(exit) => Some(exit),
            };
            assert_eq!(exit, wanted, "{data}");
        }
    }
}
