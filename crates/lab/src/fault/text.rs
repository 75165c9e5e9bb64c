//! The text form of fault laws, read and written: one parser for the laws of every vendor.

use std::fmt;
use std::time::Duration;

use super::entries::{Entries, Entry, FAULTS_MAX, Kind, Struck, When};
use crate::ConfigError;

impl<K: Kind> Entries<K> {
    /// Reads a law. It may have one entry more than is allowed; who asks says so in its own words.
    pub(crate) fn parse(text: &str) -> Result<Self, ConfigError> {
        if matches!(text.trim(), "" | "none") {
            return Ok(Self::default());
        }
        let parse = |entry: &str| {
            let entry = entry.trim();
            parse_entry(entry).map_err(|reason| (K::SYNTAX.refuse)(entry.to_owned(), reason))
        };
        text.split(',').take(FAULTS_MAX + 1).map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// As [`Entries::parse`], and one entry too many is wrong with the whole text.
    pub(crate) fn parse_bounded(text: &str) -> Result<Self, ConfigError> {
        let law = Self::parse(text)?;
        if law.0.len() > FAULTS_MAX {
            let reason = format!("there are more than {FAULTS_MAX} entries");
            return Err((K::SYNTAX.refuse)(text.to_owned(), reason));
        }
        Ok(law)
    }
}

fn parse_entry<K: Kind>(text: &str) -> Result<Entry<K>, String> {
    let (kind, rest) = text.split_once(':').ok_or("the chance is missing")?;
    let (when, span) = match rest.split_once('@') {
        Some((when, span)) => (when, Some(span)),
        None => (rest, None),
    };
    let when = parse_when(when.trim(), K::SYNTAX.numbered)?;
    let (from, to) = span.map_or(Ok((Duration::ZERO, None)), parse_span)?;
    Ok(Entry { fault: parse_fault(kind.trim())?, when, from, to })
}

fn parse_fault<K: Kind>(text: &str) -> Result<Struck<K>, String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    let Some(kind) = K::KINDS.iter().copied().find(|kind| kind.name() == name) else {
        let known: Vec<&str> = K::KINDS.iter().map(|kind| kind.name()).collect();
        return Err(format!("there is no kind `{name}`, only {}", known.join(", ")));
    };
    let value = match (value, kind.value_default()) {
        (None, default) => default.unwrap_or(1),
        (Some(_), None) => return Err(format!("`{name}` takes no {}", K::SYNTAX.value)),
        (Some(value), Some(_)) => {
            let value = value.parse().ok().filter(|value| *value <= K::SYNTAX.value_max);
            value.ok_or(K::SYNTAX.value_wrong)?
        }
    };
    Ok(Struck { kind, value })
}

fn parse_when(text: &str, numbered: bool) -> Result<When, String> {
    let numbers = if numbered { text.strip_prefix('#') } else { None };
    let Some(numbers) = numbers else {
        let chance = text.parse().ok().filter(|chance| (0.0..=1.0).contains(chance));
        return chance.map(When::Chance).ok_or_else(|| {
            let or = if numbered { ", or #N for the Nth call" } else { "" };
            format!("the chance must be a number between 0 and 1{or}")
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

/// Reads `0s..20s` or `20s..`: a span since the first call.
fn parse_span(text: &str) -> Result<(Duration, Option<Duration>), &'static str> {
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

impl<K: Kind> fmt::Display for Entries<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_none() {
            return f.write_str("none");
        }
        for (place, entry) in self.iter().enumerate() {
            f.write_str(if place == 0 { "" } else { "," })?;
            write!(f, "{entry}")?;
        }
        Ok(())
    }
}

impl<K: Kind> fmt::Display for Entry<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Struck { kind, value } = self.fault;
        f.write_str(kind.name())?;
        if kind.value_default().is_some_and(|default| default != value) {
            write!(f, "={value}")?;
        }
        match self.when {
            When::Chance(chance) => write!(f, ":{chance}")?,
            When::Calls { first, last } if first == last => write!(f, ":#{first}")?,
            When::Calls { first, last: u64::MAX } => write!(f, ":#{first}..")?,
            When::Calls { first, last } => write!(f, ":#{first}..{last}")?,
        }
        if self.from > Duration::ZERO || self.to.is_some() {
            write!(f, "@{}ms..", self.from.as_millis())?;
        }
        match self.to {
            Some(to) => write!(f, "{}ms", to.as_millis()),
            None => Ok(()),
        }
    }
}
