//! Which header fields say something about limits, gathered from a response once, within bounds.

use std::time::Duration;

use paceline_clock::Timestamp;

use super::quota::{QuotaName, QuotaUnit};
use super::time;

/// Of more header fields only the first are looked at.
const LOOKED_AT_MAX: usize = 256;
/// Of more fields that say something only the first are kept.
const KEPT_MAX: usize = 64;
/// A longer name is none of ours.
const NAME_BYTES_MAX: usize = 64;
/// A longer value is nonsense.
const VALUE_BYTES_MAX: usize = 4096;

/// Kong counts by the calendar ("Rate Limiting": second, minute, hour, day, month, year); of a month and a year the
/// longest is taken, so that nothing is freed too early.
const WINDOWS: [(&str, u64); 6] = [
    ("second", 1),
    ("minute", 60),
    ("hour", 3_600),
    ("day", 86_400),
    ("month", 31 * 86_400),
    ("year", 366 * 86_400),
];

/// A field that says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// When the response was made.
    Date,
    /// For how long it lay in a cache.
    Age,
    /// `Retry-After`.
    RetryAfter,
    /// The same in milliseconds.
    RetryAfterMs,
    /// `RateLimit`, the IETF draft from -07.
    RateLimit,
    /// `RateLimit-Policy`.
    Policy,
    /// One number of a quota that is told in several fields.
    Part(Key, Part),
}

/// Whose number a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) family: Family,
    /// What the field's name adds to the family's: `minute`, `tokens`, `requests-day`, or nothing.
    pub(super) subject: QuotaName,
}

/// Families are kept apart: one response may have two of them, about different windows (Kong's has).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// `RateLimit-*`, the IETF draft up to -06.
    Plain,
    /// `X-RateLimit-*` and `X-Rate-Limit-*`. Azure OpenAI mixes the two about one quota (openai-python, issue 937).
    X,
    /// `anthropic-ratelimit-*`.
    Anthropic,
}

/// Which number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Limit,
    Remaining,
    /// Absolute or not, only its size tells.
    Reset,
    /// Always from now: Discord's and urlscan's `reset-after`.
    ResetAfter,
    /// urlscan's `window` (`minute`, or seconds), Atlassian Data Center's `interval-seconds`.
    Window,
    /// GitHub's `resource`, Discord's `bucket`.
    Name,
}

/// Longer words first: `reset` begins `reset-after`.
const PARTS: [(&str, Part); 8] = [
    ("interval-seconds", Part::Window),
    ("reset-after", Part::ResetAfter),
    ("remaining", Part::Remaining),
    ("resource", Part::Name),
    ("bucket", Part::Name),
    ("window", Part::Window),
    ("limit", Part::Limit),
    ("reset", Part::Reset),
];

/// The fields of one response that say something, in their order.
#[derive(Debug)]
pub(super) struct Fields<'h>(Vec<(Field, &'h str)>);

impl<'h> Fields<'h> {
    pub(super) fn gather(headers: impl Iterator<Item = (&'h str, &'h [u8])>) -> Self {
        let said = headers.take(LOOKED_AT_MAX).filter_map(|(name, value)| {
            let field = classify(name)?;
            let value = str::from_utf8(value).ok()?;
            (value.len() <= VALUE_BYTES_MAX).then_some((field, value))
        });
        Self(said.take(KEPT_MAX).collect())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Field, &'h str)> {
        self.0.iter().copied()
    }

    /// The values of one field, which may stand on several lines.
    pub(super) fn all(&self, wanted: Field) -> impl Iterator<Item = &'h str> {
        self.iter().filter(move |(field, _)| *field == wanted).map(|(_, value)| value)
    }

    /// The response's own time.
    pub(super) fn date(&self) -> Option<Timestamp> {
        self.all(Field::Date).find_map(time::http_date)
    }

    /// Whether a cache answered in the vendor's place (RFC 9111, section 5.1).
    pub(super) fn is_cached(&self) -> bool {
        self.all(Field::Age).filter_map(time::count).any(|age| age > 0)
    }
}

fn classify(name: &str) -> Option<Field> {
    let mut lower = [0; NAME_BYTES_MAX];
    let lower = lower.get_mut(..name.len())?;
    lower.copy_from_slice(name.as_bytes());
    lower.make_ascii_lowercase();
    match str::from_utf8(lower).ok()? {
        "date" => Some(Field::Date),
        "age" => Some(Field::Age),
        // The second one is MailerLite's ("API rate limits").
        "retry-after" | "x-ratelimit-retry-after" => Some(Field::RetryAfter),
        "retry-after-ms" | "x-ms-retry-after-ms" => Some(Field::RetryAfterMs),
        "ratelimit" => Some(Field::RateLimit),
        "ratelimit-policy" => Some(Field::Policy),
        other => classify_part(other),
    }
}

fn classify_part(name: &str) -> Option<Field> {
    let (family, rest) = if let Some(rest) = name.strip_prefix("anthropic-ratelimit-") {
        (Family::Anthropic, rest)
    } else {
        let (family, rest) =
            name.strip_prefix("x-").map_or((Family::Plain, name), |rest| (Family::X, rest));
        (family, rest.strip_prefix("ratelimit-").or_else(|| rest.strip_prefix("rate-limit-"))?)
    };
    // The number's word comes first (`limit-minute`) or last (`requests-limit`).
    PARTS.into_iter().find_map(|(word, part)| {
        let subject = match rest.strip_prefix(word) {
            Some("") => "",
            Some(after) => after.strip_prefix('-')?,
            None => rest.strip_suffix(word)?.strip_suffix('-')?,
        };
        let fits = subject.len() <= QuotaName::BYTES_MAX;
        fits.then(|| Field::Part(Key { family, subject: QuotaName::new(subject) }, part))
    })
}

impl Key {
    /// What the quota counts, as far as its name tells. Without a word for it, calls.
    pub(super) fn unit(&self) -> QuotaUnit {
        let subject = self.subject;
        let mut words = words(&subject).filter(|word| window(word).is_none()).peekable();
        if words.peek().is_none() {
            return QuotaUnit::Requests;
        }
        words.fold(QuotaUnit::Unknown, |unit, word| match word {
            _ if word.starts_with("token") => QuotaUnit::Tokens,
            // Mistral's `req-minute`.
            "request" | "requests" | "req" if unit == QuotaUnit::Unknown => QuotaUnit::Requests,
            _ => unit,
        })
    }

    /// How long its window is, if its name tells.
    pub(super) fn window(&self) -> Option<Duration> {
        words(&self.subject).find_map(window)
    }
}

fn words(subject: &QuotaName) -> impl Iterator<Item = &str> {
    subject.as_str().split(['-', '_']).filter(|word| !word.is_empty())
}

/// The length of a window by its word.
pub(super) fn window(word: &str) -> Option<Duration> {
    let (_, seconds) = WINDOWS.into_iter().find(|(name, _)| *name == word)?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_case_and_either_order() {
        use Family::{Anthropic, Plain, X};
        let cases = [
            ("RateLimit-Limit", Plain, "", Part::Limit),
            ("X-RateLimit-Remaining", X, "", Part::Remaining),
            ("x-rate-limit-reset", X, "", Part::Reset),
            ("X-RateLimit-Reset-After", X, "", Part::ResetAfter),
            ("X-RateLimit-Limit-Minute", X, "minute", Part::Limit),
            ("ratelimit-remaining-hour", Plain, "hour", Part::Remaining),
            ("x-ratelimit-day-limit", X, "day", Part::Limit),
            ("x-ratelimit-reset-requests-day", X, "requests-day", Part::Reset),
            ("anthropic-ratelimit-input-tokens-reset", Anthropic, "input-tokens", Part::Reset),
            ("X-RateLimit-Interval-Seconds", X, "", Part::Window),
            ("x-ratelimit-resource", X, "", Part::Name),
        ];
        for (name, family, subject, part) in cases {
            let key = Key { family, subject: QuotaName::new(subject) };
            assert_eq!(classify(name), Some(Field::Part(key, part)), "{name}");
        }
    }

    #[test]
    fn other_names_are_none_of_ours() {
        let long = format!("x-ratelimit-limit-{}", "x".repeat(40));
        let names = [
            "",
            "x-",
            "ratelimit-used",
            "ratelimit-resettime",
            "x-ratelimit-limits",
            "limit",
            &long,
            "\u{130}",
        ];
        for name in names {
            assert_eq!(classify(name), None, "{name}");
        }
    }

    #[test]
    fn a_subject_tells_what_is_counted_and_how_long() {
        let cases = [
            ("", QuotaUnit::Requests, None),
            ("minute", QuotaUnit::Requests, Some(60)),
            ("requests", QuotaUnit::Requests, None),
            ("req-minute", QuotaUnit::Requests, Some(60)),
            ("tokens-day", QuotaUnit::Tokens, Some(86_400)),
            ("tokens_usage_based", QuotaUnit::Tokens, None),
            ("output-tokens", QuotaUnit::Tokens, None),
            ("videos-second", QuotaUnit::Unknown, Some(1)),
        ];
        for (subject, unit, window_s) in cases {
            let key = Key { family: Family::X, subject: QuotaName::new(subject) };
            assert_eq!(key.unit(), unit, "{subject}");
            assert_eq!(key.window().map(|window| window.as_secs()), window_s, "{subject}");
        }
    }

    #[test]
    fn more_than_enough_is_not_looked_at() {
        let many = std::iter::repeat_n(("retry-after", b"1".as_slice()), 1_000);
        assert_eq!(Fields::gather(many).iter().count(), KEPT_MAX);
        let far = std::iter::repeat_n(("server", b"x".as_slice()), LOOKED_AT_MAX);
        assert_eq!(Fields::gather(far.chain([("age", b"1".as_slice())])).iter().count(), 0);
        let value = vec![b'1'; VALUE_BYTES_MAX + 1];
        assert_eq!(Fields::gather([("age", &value[..])].into_iter()).iter().count(), 0);
        assert_eq!(Fields::gather([("age", &value[1..])].into_iter()).iter().count(), 1);
    }
}
