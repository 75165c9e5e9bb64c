//! The text form of the simulated Hex's fault law, read and written.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{Entry, HEX_FAULTS_MAX, HexFault, HexFaultKind, HexFaultLaw, When};
use crate::ConfigError;
use crate::fault::parse_span;

/// The largest value of a kind: a day in ms.
const VALUE_MAX: u64 = 86_400_000;

impl FromStr for HexFaultLaw {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        if matches!(text.trim(), "" | "none") {
            return Ok(Self::none());
        }
        let parse = |entry: &str| {
            parse_entry(entry.trim())
                .map_err(|reason| ConfigError::HexFault { text: entry.trim().to_owned(), reason })
        };
        let entries: Vec<Entry> =
            text.split(',').take(HEX_FAULTS_MAX + 1).map(parse).collect::<Result<_, _>>()?;
        Self::none().and(Self { entries })
    }
}

fn parse_entry(text: &str) -> Result<Entry, String> {
    let (kind, rest) = text.split_once(':').ok_or("the chance is missing")?;
    let (when, span) = match rest.split_once('@') {
        Some((when, span)) => (when, Some(span)),
        None => (rest, None),
    };
    let (from, to) = span.map_or(Ok((Duration::ZERO, None)), parse_span)?;
    Ok(Entry { fault: parse_fault(kind.trim())?, when: parse_when(when.trim())?, from, to })
}

fn parse_fault(text: &str) -> Result<HexFault, String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    let Some(kind) = HexFaultKind::named(name) else {
        let known: Vec<&str> = HexFaultKind::ALL.into_iter().map(HexFaultKind::name).collect();
        return Err(format!("there is no kind `{name}`, only {}", known.join(", ")));
    };
    let value = match (value, kind.value_default()) {
        (None, default) => default.unwrap_or(0),
        (Some(_), None) => return Err(format!("`{name}` takes no value")),
        (Some(value), Some(_)) => value
            .parse()
            .ok()
            .filter(|value| *value <= VALUE_MAX)
            .ok_or("the value is not a whole number up to 86400000")?,
    };
    Ok(HexFault { kind, value })
}

fn parse_when(text: &str) -> Result<When, String> {
    let Some(numbers) = text.strip_prefix('#') else {
        let chance = text.parse().ok().filter(|chance| (0.0..=1.0).contains(chance));
        return chance.map(When::Chance).ok_or_else(|| {
            "the chance must be a number between 0 and 1, or #N for the Nth call".to_owned()
        });
    };
    let number = |text: &str| {
        let number = text.trim().parse().ok().filter(|number| *number > 0);
        number.ok_or("the number of a call is a whole number from 1 on")
    };
    let (first, last) = match numbers.split_once("..") {
        None => (number(numbers)?, number(numbers)?),
        Some((first, "")) => (number(first)?, u64::MAX),
        Some((first, last)) => (number(first)?, number(last)?),
    };
    if last < first {
        return Err("the numbers end before they begin".to_owned());
    }
    Ok(When::Calls { first, last })
}

impl fmt::Display for HexFaultLaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_none() {
            return f.write_str("none");
        }
        for (place, entry) in self.entries.iter().enumerate() {
            let HexFault { kind, value } = entry.fault;
            f.write_str(if place == 0 { "" } else { "," })?;
            f.write_str(kind.name())?;
            if kind.value_default().is_some_and(|default| default != value) {
                write!(f, "={value}")?;
            }
            match entry.when {
                When::Chance(chance) => write!(f, ":{chance}")?,
                When::Calls { first, last } if first == last => write!(f, ":#{first}")?,
                When::Calls { first, last: u64::MAX } => write!(f, ":#{first}..")?,
                When::Calls { first, last } => write!(f, ":#{first}..{last}")?,
            }
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
    use crate::HEX_FAULT_GRAMMAR;

    #[test]
    fn reads_every_kind_and_writes_it_back() {
        for kind in HexFaultKind::ALL {
            let text = format!("{}:0.25", kind.name());
            assert_eq!(text.parse::<HexFaultLaw>().unwrap().to_string(), text);
            assert!(HEX_FAULT_GRAMMAR.contains(kind.name()), "{text}");
        }
        for (text, written) in [
            ("none", "none"),
            ("", "none"),
            ("rotate:#20", "rotate:#20"),
            ("errored:#2..4", "errored:#2..4"),
            ("errored:#2..", "errored:#2.."),
            ("late-in-list=5000:1", "late-in-list=5000:1"),
            ("late-in-list=30000:1", "late-in-list:1"),
            ("429-on-read:1@0s..20s", "429-on-read:1@0ms..20000ms"),
        ] {
            let law: HexFaultLaw = text.parse().unwrap();
            assert_eq!(law.to_string(), written);
            assert_eq!(written.parse::<HexFaultLaw>().unwrap(), law);
        }
    }

    #[test]
    fn refuses_what_cannot_happen_and_says_why() {
        for (text, reason) in [
            ("rotate", "chance is missing"),
            ("rotate:", "between 0 and 1"),
            ("rotate:1.5", "between 0 and 1"),
            ("rotate:NaN", "between 0 and 1"),
            ("rotate:#0", "from 1 on"),
            ("rotate:#x", "from 1 on"),
            ("rotate:#4..2", "end before"),
            ("teapot:1", "no kind `teapot`"),
            ("rotate=3:1", "takes no value"),
            ("late-in-list=x:1", "not a whole number"),
            ("late-in-list=86400001:1", "not a whole number"),
            ("errored:1@5s", "FROM..TO"),
        ] {
            let error = text.parse::<HexFaultLaw>().unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains("KIND:CHANCE"), "{text}: {error}");
        }
        assert!(vec!["errored:0"; 33].join(",").parse::<HexFaultLaw>().is_err());
    }
}
