//! The text form of a fault law, read and written.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{Entry, FAULTS_MAX, Fault, FaultKind, FaultLaw};
use crate::ConfigError;

impl FromStr for FaultLaw {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let refuse =
            |reason: &str| ConfigError::Fault { text: text.to_owned(), reason: reason.to_owned() };
        if matches!(text.trim(), "" | "none") {
            return Ok(Self::none());
        }
        let entries: Vec<Entry> =
            text.split(',').take(FAULTS_MAX + 1).map(parse_entry).collect::<Result<_, _>>()?;
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
    let refuse =
        |reason: &str| ConfigError::Fault { text: text.to_owned(), reason: reason.to_owned() };
    let (kind, rest) = text.split_once(':').ok_or_else(|| refuse("the chance is missing"))?;
    let (chance, span) = match rest.split_once('@') {
        Some((chance, span)) => (chance, Some(span)),
        None => (rest, None),
    };
    let chance = chance.trim().parse().ok().filter(|chance| (0.0..=1.0).contains(chance));
    let chance = chance.ok_or_else(|| refuse("the chance must be a number between 0 and 1"))?;
    let (from, to) = span.map_or(Ok((Duration::ZERO, None)), parse_span).map_err(refuse)?;
    let fault = parse_fault(kind.trim()).map_err(|reason| refuse(&reason))?;
    Ok(Entry { fault, chance, from, to })
}

fn parse_fault(text: &str) -> Result<Fault, String> {
    let (name, seconds) = match text.split_once('=') {
        Some((name, seconds)) => (name, Some(seconds)),
        None => (text, None),
    };
    let Some(kind) = FaultKind::ALL.into_iter().find(|kind| kind.name() == name) else {
        let known: Vec<&str> = FaultKind::ALL.into_iter().map(FaultKind::name).collect();
        return Err(format!("there is no kind `{name}`, only {}", known.join(", ")));
    };
    let retry_after_s = match seconds {
        None => 1,
        Some(_) if !kind.tells_when() => return Err(format!("`{name}` takes no seconds")),
        Some(seconds) => seconds.parse().map_err(|_| "the seconds are not a whole number")?,
    };
    Ok(Fault { kind, retry_after_s })
}

/// Reads `0s..20s` or `20s..`: a span since the first call.
pub(crate) fn parse_span(text: &str) -> Result<(Duration, Option<Duration>), &'static str> {
    let (from, to) = text.split_once("..").ok_or("a span is written FROM..TO, as in 0s..20s")?;
    let from = parse_moment(from.trim())?;
    let to = if to.trim().is_empty() { None } else { Some(parse_moment(to.trim())?) };
    if to.is_some_and(|to| to <= from) {
        return Err("the span ends before it begins");
    }
    Ok((from, to))
}

fn parse_moment(text: &str) -> Result<Duration, &'static str> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let number: u64 =
        number.parse().map_err(|_| "a span is written with whole numbers, as in 0s..20s")?;
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
    use paceline_clock::Random;

    use super::*;
    use crate::FAULT_GRAMMAR;

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
            assert!(error.contains(reason) && error.contains("KIND:CHANCE"), "{text}: {error}");
        }
        assert!("500:0.6@0s..8s,400:0.6@8s..".parse::<FaultLaw>().is_ok());
        assert!(vec!["500:0"; 33].join(",").parse::<FaultLaw>().is_err());
    }

    #[test]
    fn chances_are_kept_as_written() {
        let law: FaultLaw = "500:0.3,reset:0.1".parse().unwrap();
        let random = Random::seeded(5);
        let drawn: Vec<_> = (0..20_000).map(|_| law.draw(Duration::ZERO, &random)).collect();
        let share = |kind| {
            let struck = drawn.iter().flatten().filter(|fault| fault.kind == kind).count();
            struck as f64 / 20_000.0
        };
        assert!((share(FaultKind::Internal) - 0.3).abs() < 0.01);
        assert!((share(FaultKind::Reset) - 0.1).abs() < 0.01);
    }
}
