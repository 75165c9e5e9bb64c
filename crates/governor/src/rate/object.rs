//! The custom rate object, field by field.

use std::time::Duration;

use serde_json::{Map, Value as Json};

use super::{Ceilings, Rate, RateError, nearest};
use crate::{Backoff, Guard, Limit, Shape, Strategy, Unit};

const REQUIRED: [&str; 6] = [
    "requests_per_second",
    "max_concurrent",
    "retry_strategy",
    "max_retries",
    "retry_delay_ms",
    "cool_down_on_429",
];
const OPTIONAL: [&str; 8] = [
    "limits",
    "budget",
    "min_spacing_ms",
    "shape",
    "guard",
    "timeout_ms",
    "retry_on",
    "max_wait_ms",
];

/// (seed B)
const RATE_MIN: f64 = 0.1;
/// (seed B)
const RETRIES_MAX: u64 = 10;
/// (seed B), in ms
const RETRY_DELAY: (u64, u64) = (100, 60_000);
/// An hour, in ms.
const SPACING_MAX: u64 = 3_600_000;
/// Ten minutes, in ms.
const TIMEOUT: (u64, u64) = (1, 600_000);
/// A week, in ms.
const WAIT: (u64, u64) = (1_000, 604_800_000);
/// A minute, in ms.
const GUARD_MAX: u64 = 60_000;
const LIMITS_MAX: usize = 8;
const NAME_MAX: usize = 64;

pub(super) fn read(fields: &Map<String, Json>, ceilings: Ceilings) -> Result<Rate, Vec<RateError>> {
    let mut reader = Reader { fields, faults: Vec::new() };
    reader.refuse_unknown();
    let left_out = ceilings.rate_optional && !fields.contains_key("requests_per_second");
    let rate = if left_out {
        None
    } else {
        reader.number("requests_per_second", RATE_MIN, ceilings.rate_max)
    };
    let concurrent_max = reader.integer("max_concurrent", 1, u64::from(ceilings.concurrent_max));
    let strategy = reader.name("retry_strategy", &Strategy::ALL.map(|s| (s.as_str(), s)));
    let max_retries = reader.integer("max_retries", 0, RETRIES_MAX);
    let base_ms = reader.integer("retry_delay_ms", RETRY_DELAY.0, RETRY_DELAY.1);
    let cool_down = reader.boolean("cool_down_on_429");
    let limits = reader.limits(ceilings.rate_max);
    let budget = reader.budget();
    let spacing_ms = reader.optional("min_spacing_ms", |r, f| r.integer(f, 0, SPACING_MAX));
    let shape = reader.optional("shape", |r, f| r.name(f, &Shape::ALL.map(|s| (s.as_str(), s))));
    let guard = reader.optional("guard", Reader::guard);
    let timeout_ms = reader.optional("timeout_ms", |r, f| r.integer(f, TIMEOUT.0, TIMEOUT.1));
    let retry_on = reader.optional("retry_on", Reader::statuses);
    let wait_ms = reader.optional("max_wait_ms", |r, f| r.integer(f, WAIT.0, WAIT.1));
    if !reader.faults.is_empty() {
        return Err(reader.faults);
    }
    let first = rate.and_then(Limit::per_second);
    Ok(Rate {
        limits: first.into_iter().chain(limits).collect(),
        concurrent_max: concurrent_max.map_or(1, |n| n as u32),
        backoff: Backoff {
            strategy: strategy.unwrap_or(Strategy::Exponential),
            base: Duration::from_millis(base_ms.unwrap_or_default()),
        },
        max_retries: max_retries.map_or(0, |n| n as u32),
        cool_down_on_429: cool_down.unwrap_or(true),
        budget,
        spacing_min: Duration::from_millis(spacing_ms.unwrap_or_default()),
        shape: shape.unwrap_or_default(),
        guard: guard.unwrap_or_default(),
        timeout: timeout_ms.map(Duration::from_millis),
        retry_on: retry_on.unwrap_or_default(),
        throttle_deadline: wait_ms.map(Duration::from_millis),
    })
}

/// Reads fields and collects every fault, so that all are told at once.
struct Reader<'a> {
    fields: &'a Map<String, Json>,
    faults: Vec<RateError>,
}

impl Reader<'_> {
    fn fault<T>(&mut self, field: &str, problem: String) -> Option<T> {
        self.faults.push(RateError { field: field.to_owned(), problem, did_you_mean: None });
        None
    }

    fn refuse_unknown(&mut self) {
        let known = || REQUIRED.into_iter().chain(OPTIONAL);
        for name in self.fields.keys().filter(|name| !known().any(|known| known == *name)) {
            let did_you_mean = nearest(name, known());
            let meant = did_you_mean
                .as_ref()
                .map_or_else(String::new, |name| format!(" (did you mean {name:?}?)"));
            let all = known().collect::<Vec<_>>().join(", ");
            let shown: String = name.chars().take(40).collect();
            let problem = format!("there is no such field{meant}; the fields are {all}");
            self.faults.push(RateError { field: shown, problem, did_you_mean });
        }
    }

    fn get(&mut self, field: &str, accepted: &str) -> Option<Json> {
        match self.fields.get(field) {
            Some(value) => Some(value.clone()),
            None => self.fault(field, format!("is required: {accepted}")),
        }
    }

    fn number(&mut self, field: &str, min: f64, max: f64) -> Option<f64> {
        let accepted = format!("a number from {min} to {max}");
        let value = self.get(field, &accepted)?;
        match value.as_f64() {
            Some(number) if (min..=max).contains(&number) => Some(number),
            _ => self.fault(field, format!("{} is not {accepted}", shown(&value))),
        }
    }

    fn integer(&mut self, field: &str, min: u64, max: u64) -> Option<u64> {
        let accepted = format!("a whole number from {min} to {max}");
        let value = self.get(field, &accepted)?;
        match value.as_u64() {
            Some(number) if (min..=max).contains(&number) => Some(number),
            _ => self.fault(field, format!("{} is not {accepted}", shown(&value))),
        }
    }

    fn boolean(&mut self, field: &str) -> Option<bool> {
        let value = self.get(field, "true or false")?;
        value
            .as_bool()
            .or_else(|| self.fault(field, format!("{} is not true or false", shown(&value))))
    }

    fn name<T: Copy>(&mut self, field: &str, names: &[(&str, T)]) -> Option<T> {
        let accepted =
            names.iter().map(|(name, _)| format!("{name:?}")).collect::<Vec<_>>().join(", ");
        let value = self.get(field, &format!("one of {accepted}"))?;
        let found = value.as_str().and_then(|text| names.iter().find(|(name, _)| *name == text));
        match found {
            Some((_, found)) => Some(*found),
            None => {
                let did_you_mean = value
                    .as_str()
                    .and_then(|text| nearest(text, names.iter().map(|(name, _)| *name)));
                let problem = format!("{} is not one of {accepted}", shown(&value));
                self.faults.push(RateError { field: field.to_owned(), problem, did_you_mean });
                None
            }
        }
    }

    fn optional<T>(
        &mut self,
        field: &str,
        read: impl FnOnce(&mut Self, &str) -> Option<T>,
    ) -> Option<T> {
        self.fields.contains_key(field).then(|| read(self, field)).flatten()
    }

    fn limits(&mut self, rate_max: f64) -> Vec<Limit> {
        const ACCEPTED: &str = "a list of at most 8 limits, each as \"20/min\"";
        let Some(value) = self.fields.get("limits").cloned() else {
            return Vec::new();
        };
        let Some(items) = value.as_array().filter(|items| items.len() <= LIMITS_MAX) else {
            self.fault::<()>("limits", format!("{} is not {ACCEPTED}", shown(&value)));
            return Vec::new();
        };
        let mut limits = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let field = format!("limits[{index}]");
            match item.as_str().map(str::parse::<Limit>) {
                Some(Ok(limit))
                    if limit.unit() == Unit::Calls && limit.rate_per_second() > rate_max =>
                {
                    self.fault::<()>(
                        &field,
                        format!("{limit} is over {rate_max} calls per second"),
                    );
                }
                Some(Ok(limit)) => limits.push(limit),
                Some(Err(error)) => {
                    self.fault::<()>(&field, error.to_string());
                }
                None => {
                    self.fault::<()>(&field, format!("{} is not text as \"20/min\"", shown(item)));
                }
            }
        }
        limits
    }

    fn budget(&mut self) -> Option<String> {
        let value = self.fields.get("budget").cloned()?;
        match value.as_str().filter(|name| !name.is_empty() && name.len() <= NAME_MAX) {
            Some(name) => Some(name.to_owned()),
            None => self.fault(
                "budget",
                format!("{} is not a name of 1 to {NAME_MAX} characters", shown(&value)),
            ),
        }
    }

    fn guard(&mut self, field: &str) -> Option<Guard> {
        let accepted = format!("\"auto\", \"strict\" or a number of ms from 0 to {GUARD_MAX}");
        let value = self.get(field, &accepted)?;
        match (value.as_str(), value.as_u64()) {
            (Some("auto"), _) => Some(Guard::Auto),
            (Some("strict"), _) => Some(Guard::Strict),
            (_, Some(ms)) if ms <= GUARD_MAX => Some(Guard::Fixed(Duration::from_millis(ms))),
            _ => self.fault(field, format!("{} is not {accepted}", shown(&value))),
        }
    }

    fn statuses(&mut self, field: &str) -> Option<Vec<u16>> {
        const ACCEPTED: &str = "a list of HTTP statuses from 400 to 599";
        let value = self.get(field, ACCEPTED)?;
        let statuses = value.as_array().and_then(|items| {
            let status =
                |item: &Json| item.as_u64().filter(|s| (400..=599).contains(s)).map(|s| s as u16);
            items.iter().map(status).collect::<Option<Vec<u16>>>()
        });
        statuses.or_else(|| self.fault(field, format!("{} is not {ACCEPTED}", shown(&value))))
    }
}

/// A value as it is told back, at most 40 characters of it.
fn shown(value: &Json) -> String {
    let text = value.to_string();
    if text.chars().count() > 40 {
        text.chars().take(40).chain("...".chars()).collect()
    } else {
        text
    }
}
