//! The rate of a smart column as users write it: a preset's name or an object (spec G5, G6), every range checked, all
//! faults told at once.

mod object;

use std::time::Duration;

use serde_json::Value as Json;

use crate::{Backoff, BudgetConfig, Guard, Limit, RetryPolicy, Shape, Strategy};

/// How long a cell may be throttled before it fails visibly, if the rate does not say (spec G8)...
const THROTTLE_DEADLINE: Duration = Duration::from_secs(15 * 60);
/// ...stretched to this many of the longest window, so that a cell may wait its turn in an hour's window.
const THROTTLE_DEADLINE_WINDOWS: u32 = 4;
/// The base delay of the presets, which the seed leaves open.
const PRESET_BASE: Duration = Duration::from_millis(1000);

/// The four presets of the seed, exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Preset {
    /// 500/s, 6 at once, 3 retries, exponential.
    Aggressive,
    /// 50/s, 6 at once, 3 retries, exponential.
    Moderate,
    /// 10/s, 5 at once, 5 retries, exponential.
    Conservative,
    /// 2/s, 1 at once, 5 retries, linear.
    Gentle,
}

impl Preset {
    /// Every preset.
    pub const ALL: [Self; 4] = [Self::Aggressive, Self::Moderate, Self::Conservative, Self::Gentle];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aggressive => "aggressive",
            Self::Moderate => "moderate",
            Self::Conservative => "conservative",
            Self::Gentle => "gentle",
        }
    }

    /// The rate it stands for.
    #[must_use]
    pub fn rate(self) -> Rate {
        let (per_second, concurrent_max, max_retries, strategy) = match self {
            Self::Aggressive => (500.0, 6, 3, Strategy::Exponential),
            Self::Moderate => (50.0, 6, 3, Strategy::Exponential),
            Self::Conservative => (10.0, 5, 5, Strategy::Exponential),
            Self::Gentle => (2.0, 1, 5, Strategy::Linear),
        };
        Rate {
            limits: Limit::per_second(per_second).into_iter().collect(),
            concurrent_max,
            backoff: Backoff { strategy, base: PRESET_BASE },
            max_retries,
            cool_down_on_429: true,
            budget: None,
            spacing_min: Duration::ZERO,
            shape: Shape::Auto,
            guard: Guard::Auto,
            timeout: None,
            retry_on: Vec::new(),
            throttle_deadline: None,
        }
    }
}

/// How fast a column may call, and how it retries.
#[derive(Clone, Debug, PartialEq)]
pub struct Rate {
    /// All limits; the first is `requests_per_second`.
    pub limits: Vec<Limit>,
    /// Calls at once.
    pub concurrent_max: u32,
    /// Waits between retries.
    pub backoff: Backoff,
    /// Retries of one cell.
    pub max_retries: u32,
    /// Whether a 429 lowers the rate; see [`BudgetConfig::cool_down_on_429`].
    pub cool_down_on_429: bool,
    /// The shared budget that calls pass as well.
    pub budget: Option<String>,
    /// Time from one sending to the next.
    pub spacing_min: Duration,
    /// How calls are spread.
    pub shape: Shape,
    /// How the stamp is made.
    pub guard: Guard,
    /// Time for one call; `None` leaves it to whoever makes the call.
    pub timeout: Option<Duration>,
    /// Statuses to try again beside those that always are.
    pub retry_on: Vec<u16>,
    /// How long a cell may be throttled before it fails visibly; `None` for four of the longest window, at least 15
    /// minutes.
    pub throttle_deadline: Option<Duration>,
}

/// How much a rate may ask for: the platform's ceilings, or the operator's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ceilings {
    /// Calls at once.
    pub concurrent_max: u32,
    /// Calls per second.
    pub rate_max: f64,
    /// Whether `requests_per_second` may be left out, so that `limits` alone (or nothing but the concurrency) say the
    /// rate: on the command line, where the person is the operator.
    pub rate_optional: bool,
}

/// One fault of a rate: the field, what was given, and what is accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rate_limit{}: {problem}", if .field.is_empty() { String::new() } else { format!(".{field}") })]
pub struct RateError {
    /// The field, empty for the rate as a whole.
    pub field: String,
    /// What was given, what is accepted.
    pub problem: String,
    /// What was probably meant.
    pub did_you_mean: Option<String>,
}

impl Rate {
    /// Reads a preset's name or an object.
    ///
    /// # Errors
    /// Every fault, in the order of the fields.
    ///
    /// ```
    /// use paceline_governor::{Ceilings, Rate};
    /// let ceilings = Ceilings { concurrent_max: 6, rate_max: 1000.0, rate_optional: false };
    /// let rate = Rate::from_json(&serde_json::json!("conservative"), ceilings).unwrap();
    /// assert_eq!((rate.limits[0].to_string().as_str(), rate.concurrent_max), ("10/s", 5));
    ///
    /// let faults = Rate::from_json(&serde_json::json!("agressive"), ceilings).unwrap_err();
    /// assert_eq!(faults[0].did_you_mean.as_deref(), Some("aggressive"));
    /// ```
    pub fn from_json(json: &Json, ceilings: Ceilings) -> Result<Self, Vec<RateError>> {
        match json {
            Json::String(name) => preset(name).map_err(|fault| vec![fault]),
            Json::Object(fields) => object::read(fields, ceilings),
            _ => Err(vec![RateError {
                field: String::new(),
                problem: format!("give a preset's name ({}) or an object", preset_names()),
                did_you_mean: None,
            }]),
        }
    }

    /// The budget that keeps it.
    #[must_use]
    pub fn budget_config(&self) -> BudgetConfig {
        BudgetConfig {
            concurrent_max: Some(self.concurrent_max),
            spacing_min: self.spacing_min,
            shape: self.shape,
            guard: self.guard,
            cool_down_on_429: self.cool_down_on_429,
            ..BudgetConfig::new(self.limits.iter().copied())
        }
    }

    /// How its cells are retried.
    #[must_use]
    pub fn retry_policy(&self) -> RetryPolicy {
        let longest = self.limits.iter().map(Limit::window).max().unwrap_or_default();
        let deadline = self
            .throttle_deadline
            .unwrap_or(THROTTLE_DEADLINE.max(longest * THROTTLE_DEADLINE_WINDOWS));
        RetryPolicy {
            backoff: self.backoff,
            max_retries: self.max_retries,
            throttle_deadline: deadline,
        }
    }
}

fn preset(name: &str) -> Result<Rate, RateError> {
    let found = Preset::ALL.into_iter().find(|preset| preset.as_str() == name);
    found.map(Preset::rate).ok_or_else(|| {
        let did_you_mean = nearest(name, Preset::ALL.iter().map(|preset| preset.as_str()));
        let shown: String = name.chars().take(40).collect();
        RateError {
            field: String::new(),
            problem: format!("there is no preset {shown:?}; the presets are {}", preset_names()),
            did_you_mean,
        }
    })
}

fn preset_names() -> String {
    Preset::ALL.map(Preset::as_str).join(", ")
}

/// The name that was probably meant: within two edits, three for long names.
fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let allowed = if name.len() > 8 { 3 } else { 2 };
    names
        .map(|candidate| (strsim::osa_distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate.to_owned())
}

#[cfg(test)]
mod tests;
