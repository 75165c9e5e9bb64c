//! What goes wrong at a vendor, and how often: the fault law.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use paceline_clock::Random;

use crate::ConfigError;

/// The most entries a fault law may have.
pub const FAULTS_MAX: usize = 32;

/// How a fault law is written, for help texts.
///
/// ```
/// assert!(paceline_lab::FAULT_GRAMMAR.contains("KIND:CHANCE"));
/// ```
pub const FAULT_GRAMMAR: &str = "\
A comma-separated list of KIND:CHANCE or KIND:CHANCE@FROM..TO, or `none`.

CHANCE is between 0 and 1; the chances that hold at one moment add up to at most 1.
FROM..TO is a span since the first call, in ms, s, min or h; `@20s..` has no end.
Faults strike calls that passed the limits. KIND is one of:

  429         429 without a header
  429-after   429 with Retry-After in seconds (1; 429-after=5 says 5)
  429-date    429 with Retry-After as an HTTP date (1 s ahead; 429-date=5 is 5 s)
  500 502 503 that status, after the service time
  503-after   503 with Retry-After in seconds (1; 503-after=5 says 5)
  401 400     that status, at once
  reset       the connection is reset before anything was done
  drop        the call is done, then the connection ends without a reply
  hang        the call is done, and no reply ever comes
  truncated   the call is done, and the reply ends before its Content-Length
  huge        the call is done, and the reply is 64 MB long
  notjson     the call is done, and the reply is HTML with status 200

Examples: 500:0.1   429:1@0s..20s   reset:0.01,hang:0.005   503-after=2:0.05";

/// One way for a call to go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FaultKind {
    /// 429 without a header.
    TooMany,
    /// 429 with `Retry-After` in seconds.
    TooManyAfter,
    /// 429 with `Retry-After` as an HTTP date.
    TooManyDate,
    /// 500.
    Internal,
    /// 502.
    BadGateway,
    /// 503 without a header.
    Unavailable,
    /// 503 with `Retry-After` in seconds.
    UnavailableAfter,
    /// 401.
    Unauthorized,
    /// 400.
    BadRequest,
    /// The connection is reset before any effect.
    Reset,
    /// The effect is done, then the connection ends without a reply.
    Drop,
    /// The effect is done, and no reply ever comes.
    Hang,
    /// The effect is done, and the reply ends before its `Content-Length`.
    Truncated,
    /// The effect is done, and the reply is 64 MB long.
    Huge,
    /// The effect is done, and the reply is HTML.
    NotJson,
}

impl FaultKind {
    /// Every kind, in the order of the grammar.
    pub const ALL: [FaultKind; 15] = [
        Self::TooMany,
        Self::TooManyAfter,
        Self::TooManyDate,
        Self::Internal,
        Self::BadGateway,
        Self::Unavailable,
        Self::UnavailableAfter,
        Self::Unauthorized,
        Self::BadRequest,
        Self::Reset,
        Self::Drop,
        Self::Hang,
        Self::Truncated,
        Self::Huge,
        Self::NotJson,
    ];

    /// The word for it in a fault law and in the statistics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TooMany => "429",
            Self::TooManyAfter => "429-after",
            Self::TooManyDate => "429-date",
            Self::Internal => "500",
            Self::BadGateway => "502",
            Self::Unavailable => "503",
            Self::UnavailableAfter => "503-after",
            Self::Unauthorized => "401",
            Self::BadRequest => "400",
            Self::Reset => "reset",
            Self::Drop => "drop",
            Self::Hang => "hang",
            Self::Truncated => "truncated",
            Self::Huge => "huge",
            Self::NotJson => "notjson",
        }
    }

    /// The status of the reply; none where no reply comes.
    #[must_use]
    pub fn status(self) -> Option<u16> {
        match self {
            Self::TooMany | Self::TooManyAfter | Self::TooManyDate => Some(429),
            Self::Internal => Some(500),
            Self::BadGateway => Some(502),
            Self::Unavailable | Self::UnavailableAfter => Some(503),
            Self::Unauthorized => Some(401),
            Self::BadRequest => Some(400),
            Self::Reset | Self::Drop | Self::Hang => None,
            Self::Truncated | Self::Huge | Self::NotJson => Some(200),
        }
    }

    /// Whether the call is done all the same, so that repeating it does it twice.
    #[must_use]
    pub fn has_effect(self) -> bool {
        matches!(
            self,
            Self::Drop | Self::Hang | Self::Truncated | Self::Huge | Self::NotJson
        )
    }

    /// Whether the vendor works on the call before it goes wrong, or refuses it at its edge.
    #[must_use]
    pub fn takes_service_time(self) -> bool {
        self.has_effect()
            || matches!(
                self,
                Self::Internal | Self::BadGateway | Self::Unavailable | Self::UnavailableAfter
            )
    }

    fn tells_when(self) -> bool {
        matches!(
            self,
            Self::TooManyAfter | Self::TooManyDate | Self::UnavailableAfter
        )
    }
}

/// A fault that has struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// What `Retry-After` says, where the kind has one.
    pub retry_after_s: u32,
}

/// Which faults strike how often and when; [`FAULT_GRAMMAR`] says how one is written.
///
/// ```
/// use std::time::Duration;
/// use paceline_clock::Random;
/// use paceline_lab::{FaultKind, FaultLaw};
///
/// let law: FaultLaw = "429:1@0s..20s".parse()?;
/// let random = Random::seeded(1);
/// let struck = law.draw(Duration::from_secs(19), &random).map(|fault| fault.kind);
/// assert_eq!(struck, Some(FaultKind::TooMany));
/// assert_eq!(law.draw(Duration::from_secs(20), &random), None);
/// # Ok::<(), paceline_lab::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FaultLaw {
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Entry {
    fault: Fault,
    chance: f64,
    from: Duration,
    to: Option<Duration>,
}

impl Entry {
    fn applies_at(&self, since_first_call: Duration) -> bool {
        self.from <= since_first_call && self.to.is_none_or(|to| since_first_call < to)
    }
}

impl FaultLaw {
    /// A law under which nothing goes wrong.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Whether nothing can go wrong.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.entries.is_empty()
    }

    /// What goes wrong with a call that arrives so long after the first one; mostly nothing.
    #[must_use]
    pub fn draw(&self, since_first_call: Duration, random: &Random) -> Option<Fault> {
        if self.is_none() {
            return None;
        }
        let mut left = random.unit();
        for entry in self
            .entries
            .iter()
            .filter(|entry| entry.applies_at(since_first_call))
        {
            if left < entry.chance {
                return Some(entry.fault);
            }
            left -= entry.chance;
        }
        None
    }

    /// The highest sum of chances at any one moment. It can only rise where a span begins.
    fn highest_chance(&self) -> f64 {
        let sum_at = |moment| -> f64 {
            self.entries
                .iter()
                .filter(|e| e.applies_at(moment))
                .map(|e| e.chance)
                .sum()
        };
        self.entries
            .iter()
            .map(|entry| sum_at(entry.from))
            .fold(0.0, f64::max)
    }
}

impl FromStr for FaultLaw {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let refuse = |reason: &str| ConfigError::Fault {
            text: text.to_owned(),
            reason: reason.to_owned(),
        };
        if matches!(text.trim(), "" | "none") {
            return Ok(Self::none());
        }
        let entries: Vec<Entry> = text
            .split(',')
            .take(FAULTS_MAX + 1)
            .map(parse_entry)
            .collect::<Result<_, _>>()?;
        if entries.len() > FAULTS_MAX {
            return Err(refuse("there are more than 32 entries"));
        }
        let law = Self { entries };
        // A little room, because tenths are not exact.
        if law.highest_chance() > 1.0 + 1e-9 {
            return Err(refuse("the chances at one moment add up to more than 1"));
        }
        Ok(law)
    }
}

fn parse_entry(text: &str) -> Result<Entry, ConfigError> {
    let text = text.trim();
    let refuse = |reason: &str| ConfigError::Fault {
        text: text.to_owned(),
        reason: reason.to_owned(),
    };
    let (kind, rest) = text
        .split_once(':')
        .ok_or_else(|| refuse("the chance is missing"))?;
    let (chance, span) = match rest.split_once('@') {
        Some((chance, span)) => (chance, Some(span)),
        None => (rest, None),
    };
    let chance = chance
        .trim()
        .parse()
        .ok()
        .filter(|chance| (0.0..=1.0).contains(chance));
    let chance = chance.ok_or_else(|| refuse("the chance must be a number between 0 and 1"))?;
    let (from, to) = span
        .map_or(Ok((Duration::ZERO, None)), parse_span)
        .map_err(refuse)?;
    let fault = parse_fault(kind.trim()).map_err(|reason| refuse(&reason))?;
    Ok(Entry {
        fault,
        chance,
        from,
        to,
    })
}

fn parse_fault(text: &str) -> Result<Fault, String> {
    let (name, seconds) = match text.split_once('=') {
        Some((name, seconds)) => (name, Some(seconds)),
        None => (text, None),
    };
    let Some(kind) = FaultKind::ALL.into_iter().find(|kind| kind.name() == name) else {
        let known: Vec<&str> = FaultKind::ALL.into_iter().map(FaultKind::name).collect();
        return Err(format!(
            "there is no kind `{name}`, only {}",
            known.join(", ")
        ));
    };
    let retry_after_s = match seconds {
        None => 1,
        Some(_) if !kind.tells_when() => return Err(format!("`{name}` takes no seconds")),
        Some(seconds) => seconds
            .parse()
            .map_err(|_| "the seconds are not a whole number")?,
    };
    Ok(Fault {
        kind,
        retry_after_s,
    })
}

fn parse_span(text: &str) -> Result<(Duration, Option<Duration>), &'static str> {
    let (from, to) = text
        .split_once("..")
        .ok_or("a span is written FROM..TO, as in 0s..20s")?;
    let from = parse_moment(from.trim())?;
    let to = if to.trim().is_empty() {
        None
    } else {
        Some(parse_moment(to.trim())?)
    };
    if to.is_some_and(|to| to <= from) {
        return Err("the span ends before it begins");
    }
    Ok((from, to))
}

fn parse_moment(text: &str) -> Result<Duration, &'static str> {
    let unit_at = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let number: u64 = number
        .parse()
        .map_err(|_| "a span is written with whole numbers, as in 0s..20s")?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        "" if number == 0 => 1,
        _ => return Err("a span's unit must be ms, s, min or h"),
    };
    Ok(Duration::from_millis(number.saturating_mul(millis)))
}

impl fmt::Display for FaultLaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_none() {
            return f.write_str("none");
        }
        for (place, entry) in self.entries.iter().enumerate() {
            f.write_str(if place == 0 { "" } else { "," })?;
            f.write_str(entry.fault.kind.name())?;
            if entry.fault.retry_after_s != 1 {
                write!(f, "={}", entry.fault.retry_after_s)?;
            }
            write!(f, ":{}", entry.chance)?;
            if entry.from > Duration::ZERO || entry.to.is_some() {
                write!(f, "@{}ms..", entry.from.as_millis())?;
            }
            if let Some(to) = entry.to {
                write!(f, "{}ms", to.as_millis())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_kind_and_writes_it_back() {
        for kind in FaultKind::ALL {
            let text = format!("{}:0.25", kind.name());
            let law: FaultLaw = text.parse().unwrap();
            assert_eq!(law.to_string(), text);
            assert!(FAULT_GRAMMAR.contains(kind.name()), "{text}");
        }
        for (text, written) in [
            ("none", "none"),
            ("", "none"),
            ("429:1@0s..20s", "429:1@0ms..20000ms"),
            ("429-after=5:0.1@1min..", "429-after=5:0.1@60000ms.."),
            (" reset:0.01 , hang:0.005 ", "reset:0.01,hang:0.005"),
        ] {
            let law: FaultLaw = text.parse().unwrap();
            assert_eq!(law.to_string(), written);
            assert_eq!(written.parse::<FaultLaw>().unwrap(), law);
        }
    }

    #[test]
    fn refuses_what_cannot_happen_and_says_why() {
        for (text, reason) in [
            ("500", "chance is missing"),
            ("500:", "between 0 and 1"),
            ("500:1.1", "between 0 and 1"),
            ("500:NaN", "between 0 and 1"),
            ("teapot:1", "no kind `teapot`"),
            ("500=3:1", "takes no seconds"),
            ("429-after=x:1", "not a whole number"),
            ("500:1@5s", "FROM..TO"),
            ("500:1@5s..5s", "ends before"),
            ("500:1@5..9", "unit must be"),
            ("500:0.6,400:0.6", "more than 1"),
            ("500:0.6@0s..9s,400:0.6@8s..", "more than 1"),
        ] {
            let error = text.parse::<FaultLaw>().unwrap_err().to_string();
            assert!(
                error.contains(reason) && error.contains("KIND:CHANCE"),
                "{text}: {error}"
            );
        }
        assert!("500:0.6@0s..8s,400:0.6@8s..".parse::<FaultLaw>().is_ok());
        assert!(vec!["500:0"; 33].join(",").parse::<FaultLaw>().is_err());
    }

    #[test]
    fn chances_are_kept_as_written() {
        let law: FaultLaw = "500:0.3,reset:0.1".parse().unwrap();
        let random = Random::seeded(5);
        let drawn: Vec<_> = (0..20_000)
            .map(|_| law.draw(Duration::ZERO, &random))
            .collect();
        let share = |kind| {
            let struck = drawn
                .iter()
                .flatten()
                .filter(|fault| fault.kind == kind)
                .count();
            struck as f64 / 20_000.0
        };
        assert!((share(FaultKind::Internal) - 0.3).abs() < 0.01);
        assert!((share(FaultKind::Reset) - 0.1).abs() < 0.01);
    }
}
