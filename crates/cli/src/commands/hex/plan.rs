//! `paceline hex batch --plan`: when the last run would start and end, and which limit binds. No call is made.

use std::time::Duration;

use paceline_clock::Clock;
use paceline_governor::{Limit, PlanRequest, plan_after};
use paceline_model::Store;
use serde_json::json;

use super::account::{Account, Settings};
use super::file::Input;
use super::ledger::{COLUMN, TABLE};
use super::state::State;
use crate::args::hex::BatchArgs;
use crate::commands::plan::number;
use crate::exit::{Exit, Failure, usage};
use crate::output;

/// One limit, and when the last run would start if it were the only one.
struct Alone {
    name: String,
    last_start_ms: f64,
}

pub(super) async fn print(
    args: &BatchArgs,
    account: &Account,
    settings: &Settings,
    input: &Input,
    clock: &Clock,
) -> Result<Exit, Failure> {
    let service = Duration::try_from_secs_f64(args.run_seconds)
        .map_err(|_| usage("--run-seconds must be a number of seconds, 0 or more"))?;
    let ages = spent(account, settings, clock).await;
    let request = PlanRequest {
        calls: input.spooled.rows,
        limits: settings.trigger_limits.clone(),
        concurrency: Some(args.concurrency),
        service,
    };
    let plan = plan_after(&request, &ages)?;
    let at_once = format!("{} at once, {} s each", args.concurrency, args.run_seconds);
    let name = |name: &str| if name == "concurrency" { at_once.clone() } else { name.to_owned() };
    let binding = plan.binding_limit.as_deref().map(name);
    let alone = alone(&request, &ages, &at_once)?;
    if args.account.json {
        let limits: Vec<_> = alone
            .iter()
            .map(|one| json!({ "limit": one.name, "last_start_ms": number(one.last_start_ms) }))
            .collect();
        let line = json!({
            "jobs": plan.calls,
            "started_in_the_last_window": ages.len(),
            "first_start_ms": number(plan.first_start_ms),
            "last_start_ms": number(plan.last_start_ms),
            "end_ms": number(plan.end_ms),
            "binding_limit": binding,
            "limits": limits,
        });
        output::result(&line.to_string());
        return Ok(Exit::Done);
    }
    let now = clock.wall();
    let at = |ms: f64| {
        let wait = Duration::try_from_secs_f64(ms / 1e3).unwrap_or_default();
        format!("{} (at {})", output::duration(ms), output::time_of_day(now + wait))
    };
    let mut lines = vec![format!(
        "{} jobs; {} starts of this account are still inside a window",
        output::thousands(plan.calls),
        ages.len()
    )];
    lines.extend(alone.iter().map(|one| {
        let mark = if binding.as_ref() == Some(&one.name) { "   <- binds" } else { "" };
        format!(
            "  {:<24} alone: last start after {}{mark}",
            one.name,
            output::duration(one.last_start_ms)
        )
    }));
    lines.push(format!(
        "the last run starts after {}, all end after {}; no call was made",
        at(plan.last_start_ms),
        at(plan.end_ms)
    ));
    lines.iter().for_each(|line| output::result(line));
    Ok(Exit::Done)
}

/// Each limit by itself.
fn alone(request: &PlanRequest, ages: &[Duration], at_once: &str) -> Result<Vec<Alone>, Failure> {
    let limits = |limits: Vec<Limit>| PlanRequest { limits, ..request.clone() };
    let mut found = Vec::new();
    for limit in &request.limits {
        let one = PlanRequest { concurrency: None, ..limits(vec![*limit]) };
        let last_start_ms = plan_after(&one, ages)?.last_start_ms;
        found.push(Alone { name: limit.to_string(), last_start_ms });
    }
    let last_start_ms = plan_after(&limits(Vec::new()), &[])?.last_start_ms;
    found.push(Alone { name: at_once.to_owned(), last_start_ms });
    Ok(found)
}

/// How long ago each start was that a limit still remembers.
async fn spent(account: &Account, settings: &Settings, clock: &Clock) -> Vec<Duration> {
    let longest = settings.trigger_limits.iter().map(Limit::window).max().unwrap_or_default();
    let now = clock.wall();
    let Some(store) = State::peek(account, clock) else { return Vec::new() };
    // A state that cannot be read is as good as none: the plan says how many starts it knows of.
    let calls = async {
        let table = store.table(TABLE).await.ok()??;
        let column = table.column(COLUMN)?.id;
        store.calls_since(column, now.before(longest), usize::MAX).await.ok()
    };
    let calls = calls.await.unwrap_or_default();
    calls.iter().map(|call| now.since(call.seen_at)).collect()
}
