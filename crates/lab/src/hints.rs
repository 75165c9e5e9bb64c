//! What a vendor tells its callers about its limits, in the header families that are in use.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, UNIX_EPOCH};

use paceline_clock::{Tick, Timestamp};

use crate::fault::{Fault, FaultKind};
use crate::{ConfigError, Limit, Standing};

/// Headers of one reply. Names are lowercase.
pub(crate) type Headers = Vec<(&'static str, String)>;

/// The last second that an HTTP date can write: the end of the year 9999.
const HTTP_DATE_MAX: u64 = 253_402_300_799;

/// How a refusal by the limits says when to come back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RetryAfter {
    /// It does not.
    None,
    /// `Retry-After` in whole seconds, rounded up.
    #[default]
    Seconds,
    /// `Retry-After` as an HTTP date, rounded up, with the `Date` it is to be read against.
    Date,
}

/// Which headers every governed reply carries about what is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RateHeaders {
    /// None.
    #[default]
    None,
    /// `RateLimit-Policy` and `RateLimit` as structured fields, every limit in them (the current IETF draft).
    Draft,
    /// `RateLimit-Limit`, `-Remaining`, `-Reset` in seconds, of the limit with the least left (draft 03).
    Draft03,
    /// `X-RateLimit-Limit`, `-Remaining`, `-Reset` in seconds since 1970, of the limit with the least left.
    X,
}

impl RetryAfter {
    /// The headers of a refusal that lasts for `wait`.
    pub(crate) fn headers(self, wait: Duration, wall: Timestamp) -> Headers {
        match self {
            Self::None => Headers::new(),
            Self::Seconds => vec![("retry-after", seconds_up(wait).to_string())],
            Self::Date => date_headers(wait, wall),
        }
    }
}

/// The headers of a fault that tells when to come back.
pub(crate) fn fault_headers(fault: Fault, wall: Timestamp) -> Headers {
    match fault.kind {
        FaultKind::TooManyAfter | FaultKind::UnavailableAfter => {
            vec![("retry-after", fault.retry_after_s.to_string())]
        }
        FaultKind::TooManyDate => {
            date_headers(Duration::from_secs(fault.retry_after_s.into()), wall)
        }
        _ => Headers::new(),
    }
}

/// Both dates are cut from one reading of the clock, and the later one is rounded up: their difference never falls
/// short of `wait`.
fn date_headers(wait: Duration, wall: Timestamp) -> Headers {
    let until = epoch(wall) + wait;
    vec![("date", http_date(epoch(wall).as_secs())), ("retry-after", http_date(seconds_up(until)))]
}

impl RateHeaders {
    /// The headers that tell where each limit stands at `now`.
    pub(crate) fn headers(
        self,
        limits: &[Limit],
        standings: &[Standing],
        (now, wall): (Tick, Timestamp),
    ) -> Headers {
        if self == Self::Draft {
            return draft_headers(limits, standings, now);
        }
        let of_both = limits.iter().zip(standings);
        let tightest = of_both.min_by_key(|(_, at)| (at.remaining, std::cmp::Reverse(at.clear_at)));
        let Some((limit, standing)) = tightest else {
            return Headers::new();
        };
        let count = limit.count().to_string();
        let remaining = standing.remaining.to_string();
        let reset = standing.clear_at - now;
        match self {
            Self::None | Self::Draft => Headers::new(),
            Self::Draft03 => vec![
                ("ratelimit-limit", count),
                ("ratelimit-remaining", remaining),
                ("ratelimit-reset", seconds_up(reset).to_string()),
            ],
            Self::X => vec![
                // An absolute time means something only beside the Date of the same reply.
                ("date", http_date(epoch(wall).as_secs())),
                ("x-ratelimit-limit", count),
                ("x-ratelimit-remaining", remaining),
                ("x-ratelimit-reset", seconds_up(epoch(wall) + reset).to_string()),
            ],
        }
    }
}

fn draft_headers(limits: &[Limit], standings: &[Standing], now: Tick) -> Headers {
    if limits.is_empty() {
        return Headers::new();
    }
    let policies = limits
        .iter()
        .map(|limit| format!("\"{limit}\";q={};w={}", limit.count(), seconds_up(limit.window())));
    let left = limits.iter().zip(standings).map(|(limit, at)| {
        format!("\"{limit}\";r={};t={}", at.remaining, seconds_up(at.clear_at - now))
    });
    vec![
        ("ratelimit-policy", policies.collect::<Vec<_>>().join(", ")),
        ("ratelimit", left.collect::<Vec<_>>().join(", ")),
    ]
}

fn epoch(wall: Timestamp) -> Duration {
    wall.since(Timestamp::from_micros(0))
}

fn seconds_up(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

fn http_date(seconds: u64) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds.min(HTTP_DATE_MAX)))
}

impl FromStr for RetryAfter {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match text.trim() {
            "none" => Ok(Self::None),
            "seconds" => Ok(Self::Seconds),
            "date" => Ok(Self::Date),
            _ => Err(ConfigError::Word {
                what: "retry-after",
                text: text.to_owned(),
                accepted: "none, seconds, date",
            }),
        }
    }
}

impl FromStr for RateHeaders {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match text.trim() {
            "none" => Ok(Self::None),
            "draft" => Ok(Self::Draft),
            "draft03" => Ok(Self::Draft03),
            "x" => Ok(Self::X),
            _ => Err(ConfigError::Word {
                what: "rate headers",
                text: text.to_owned(),
                accepted: "none, draft, draft03, x",
            }),
        }
    }
}

impl fmt::Display for RetryAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Seconds => "seconds",
            Self::Date => "date",
        })
    }
}

impl fmt::Display for RateHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Draft => "draft",
            Self::Draft03 => "draft03",
            Self::X => "x",
        })
    }
}
