//! `paceline plan`: when calls would start and end, without making one.

use std::time::Duration;

use paceline_governor::{PlanRequest, plan};
use serde_json::json;

use crate::args::PlanArgs;
use crate::exit::{Exit, Failure, usage};
use crate::output;

pub(crate) fn run(args: &PlanArgs) -> Result<Exit, Failure> {
    let service = Duration::try_from_secs_f64(args.service_ms / 1e3)
        .map_err(|_| usage("--service-ms must be a number of milliseconds, 0 or more"))?;
    if args.service_ms > 0.0 && args.concurrency.is_none() {
        output::note(
            "without --concurrency any number of calls run at once; --service-ms only moves the end",
        );
    }
    let request = PlanRequest {
        calls: args.calls,
        limits: args.limits.clone(),
        concurrency: args.concurrency,
        service,
    };
    let plan = plan(&request)?;
    if args.json {
        let line = json!({
            "calls": plan.calls,
            "first_start_ms": number(plan.first_start_ms),
            "last_start_ms": number(plan.last_start_ms),
            "end_ms": number(plan.end_ms),
            "binding_limit": plan.binding_limit,
        });
        output::result(&line.to_string());
        return Ok(Exit::Done);
    }
    let binding = plan.binding_limit.as_deref().unwrap_or("nothing");
    output::result(&format!(
        "{} calls: the last starts after {}, all end after {}; what binds: {binding}",
        output::thousands(plan.calls),
        output::duration(plan.last_start_ms),
        output::duration(plan.end_ms),
    ));
    Ok(Exit::Done)
}

/// Whole milliseconds as a whole number.
pub(crate) fn number(ms: f64) -> serde_json::Value {
    if ms.fract() == 0.0 && ms.abs() < 1e15 { json!(ms as i64) } else { json!(ms) }
}
