//! The rate of an `integration` column: how many jobs are started, and how many are at work at once.

use std::time::Duration;

use paceline_governor::{Ceilings, Rate, RateError};
use paceline_hex::Options;
use serde_json::{Map, Value as Json, json};

use crate::{Error, HttpColumn, Result};

/// Jobs at work at once if the rate does not say. (seed A)
const CONCURRENT_DEFAULT: u32 = 5;
/// What the rate may say. Retries and waits are the provider's.
const FIELDS: [&str; 3] = ["limits", "max_concurrent", "min_spacing_ms"];

/// Reads the rate of an `integration` column; null stands for the vendor's own limits and five jobs at once.
pub(crate) fn rate(json: &Json, ceilings: Ceilings) -> Result<Rate> {
    let none = Map::new();
    let given = match json {
        Json::Null => &none,
        Json::Object(fields) => fields,
        _ => {
            let problem = "give an object with limits, max_concurrent or min_spacing_ms: the presets are for http columns";
            return Err(fault("", problem.to_owned(), None));
        }
    };
    if given.contains_key("budget") {
        let problem = "the columns with one token share their limits by themselves (list_shared_budgets shows them), and a job \
                       passes two budgets already; leave the field out, and lower limits of one column hold for all of them";
        return Err(fault("budget", problem.to_owned(), None));
    }
    if let Some(name) = given.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        let shown: String = name.chars().take(40).collect();
        let problem = format!(
            "there is no such field for a column of kind integration; the fields are {}; retries are config.retry",
            FIELDS.join(", ")
        );
        let meant = paceline_model::suggest(name, FIELDS).map(str::to_owned);
        return Err(fault(&shown, problem, meant));
    }
    // What an http column has to say stands for nothing here, but the reader wants it.
    let vendor = Options::default().trigger_limits;
    let vendor: Vec<String> = vendor.iter().map(ToString::to_string).collect();
    let mut whole = json!({
        "limits": vendor, "max_concurrent": CONCURRENT_DEFAULT.min(ceilings.concurrent_max),
        "retry_strategy": "exponential", "max_retries": 0, "retry_delay_ms": 1000, "cool_down_on_429": true,
    });
    if let Some(fields) = whole.as_object_mut() {
        fields.extend(given.clone());
    }
    let ceilings = Ceilings { rate_optional: true, ..ceilings };
    let rate = Rate::from_json(&whole, ceilings).map_err(Error::Rate)?;
    HttpColumn::check_rate(&rate)?;
    if rate.limits.is_empty() {
        let problem = "at least one limit is needed; leave the field out for the vendor's own";
        return Err(fault("limits", problem.to_owned(), None));
    }
    Ok(rate)
}

/// The spacing, as the provider's settings have it.
pub(crate) fn spacing(rate: &Rate) -> Option<Duration> {
    (!rate.spacing_min.is_zero()).then_some(rate.spacing_min)
}

fn fault(field: &str, problem: String, did_you_mean: Option<String>) -> Error {
    Error::Rate(vec![RateError { field: field.to_owned(), problem, did_you_mean }])
}
