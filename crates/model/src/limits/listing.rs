//! How a limit is told: one line of the list that `GET /api/limits` answers.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Number, Value as Json};

/// One limit in words and numbers.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Limit {
    /// Its name: that of its constant, in small letters.
    pub name: String,
    /// What holds on this server, in `unit`.
    pub value: Number,
    /// What it counts.
    pub unit: &'static str,
    /// Where the number comes from.
    pub source: &'static str,
    /// What it limits, in a sentence.
    pub about: String,
    /// Whether `paceline serve --limits FILE` can change it.
    pub settable: bool,
}

impl Limit {
    pub(super) fn of(
        constant: &str,
        value: impl Measure,
        unit: &'static str,
        source: &'static str,
        about: &str,
        settable: bool,
    ) -> Self {
        let (name, about) = (constant.to_ascii_lowercase(), about.trim().to_owned());
        Self { name, value: value.number(), unit, source, about, settable }
    }
}

/// What a limit is measured in: numbers, and times in seconds.
pub(super) trait Measure: Copy + PartialOrd {
    /// As JSON.
    fn number(self) -> Number;
    /// From JSON; `None` if it is no such number.
    fn from_json(json: &Json) -> Option<Self>;
}

macro_rules! whole {
    ($($kind:ty)*) => {$(
        impl Measure for $kind {
            fn number(self) -> Number {
                Number::from(self)
            }

            fn from_json(json: &Json) -> Option<Self> {
                json.as_i64()?.try_into().ok()
            }
        }
    )*};
}

whole!(usize u64 u32 u8 i64);

impl Measure for f64 {
    fn number(self) -> Number {
        // The limits are finite: the page below writes them, and a file of JSON cannot write anything else.
        Number::from_f64(self).unwrap_or_else(|| Number::from(0))
    }

    fn from_json(json: &Json) -> Option<Self> {
        json.as_f64()
    }
}

impl Measure for Duration {
    fn number(self) -> Number {
        match self.subsec_nanos() {
            0 => Number::from(self.as_secs()),
            _ => self.as_secs_f64().number(),
        }
    }

    fn from_json(json: &Json) -> Option<Self> {
        Self::try_from_secs_f64(json.as_f64()?).ok()
    }
}
