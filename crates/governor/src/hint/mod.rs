//! What vendors say about their limits, read purely: the response's header fields and the time are arguments.
//!
//! Headers are untrusted input. Whatever cannot be read says nothing; nothing here panics, blocks or asks a clock.

mod body;
mod draft;
mod field;
mod parts;
mod quota;
mod rfc3339;
mod structured;
mod time;

use std::time::Duration;

use paceline_clock::Timestamp;

pub use body::retry_after_in_body;
pub use quota::{Quota, QuotaName, QuotaUnit, Quotas};

use draft::Policies;
use field::{Field, Fields};

/// A wait longer than this is taken for this: a vendor that says "next year" is broken, and a person must look.
pub const HINT_MAX: Duration = Duration::from_secs(24 * 3600);

/// What one response says about its vendor's limits. All waits count from the moment its head was seen.
///
/// | family | as documented by |
/// |---|---|
/// | `Retry-After` in seconds or as a date | RFC 9110, section 10.2.3 |
/// | `retry-after-ms`, `x-ms-retry-after-ms` | Azure OpenAI "Provisioned throughput"; Azure Cosmos DB "Common response headers" |
/// | `RateLimit-Limit`, `-Remaining`, `-Reset` | draft-ietf-httpapi-ratelimit-headers-00 to -06 |
/// | `RateLimit`, `RateLimit-Policy` | the same draft, -07 as a dictionary, -08 and later as named items |
/// | `X-RateLimit-*`, `X-Rate-Limit-*` | GitHub "Rate limits for the REST API", X "Rate limits", Discord "Rate Limits", Kong "Rate Limiting" |
/// | `x-ratelimit-*-requests`, `-tokens` | OpenAI "Rate limits", Groq and Cerebras the same |
/// | `anthropic-ratelimit-*` | Anthropic "Rate limits", response headers |
///
/// What only a refusal's JSON body says is read by [`retry_after_in_body`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// The wait that `Retry-After` or a relative of it asks for; the longest, if there are several.
    pub retry_after: Option<Duration>,
    /// Where the vendor's quotas stand.
    pub quotas: Quotas,
}

impl Hints {
    /// Reads the header fields of one response: names in any case, values of any bytes.
    ///
    /// Absolute times are read against the response's own `Date`, because clocks differ by more than limits forgive;
    /// `wall` serves only where there is none. No wait is longer than [`HINT_MAX`]. A response from a cache (a positive
    /// `Age`) says nothing about quotas: its numbers are old.
    ///
    /// ```
    /// use paceline_clock::Timestamp;
    /// use paceline_governor::Hints;
    /// let headers: [(&str, &[u8]); 2] =
    ///     [("RateLimit-Policy", b"\"hour\";q=60;w=3600"), ("RateLimit", b"\"hour\";r=0;t=90")];
    /// let hints = Hints::read(headers.into_iter(), Timestamp::default());
    /// let hour = hints.quotas.iter().next().unwrap();
    /// assert_eq!((hour.limit, hour.remaining), (Some(60), Some(0)));
    /// assert_eq!(hints.hold().unwrap().as_secs(), 90);
    /// ```
    #[must_use]
    pub fn read<'h>(headers: impl Iterator<Item = (&'h str, &'h [u8])>, wall: Timestamp) -> Self {
        let fields = Fields::gather(headers);
        let base = fields.date().unwrap_or(wall);
        let mut hints = Self { retry_after: longest_wait(&fields, base), ..Self::default() };
        if !fields.is_cached() {
            let mut policies = Policies::gather(&fields);
            draft::read(&fields, base, &mut policies, &mut hints.quotas);
            parts::read(&fields, base, &mut policies, &mut hints.quotas);
            policies.rest(&mut hints.quotas);
        }
        hints.capped(HINT_MAX)
    }

    /// The same with no wait longer than `max`. Windows stay: they are no waits.
    #[must_use]
    pub fn capped(mut self, max: Duration) -> Self {
        self.retry_after = self.retry_after.map(|wait| wait.min(max));
        self.quotas.cap(max);
        self
    }

    /// Whether the response said nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// How long the vendor wants no call at all, whatever it answered: what `Retry-After` says, which takes precedence
    /// (draft-ietf-httpapi-ratelimit-headers-10, section 6), else until the last of the spent quotas is refilled. A quota
    /// of something unknown holds nothing.
    #[must_use]
    pub fn hold(&self) -> Option<Duration> {
        self.retry_after.or_else(|| self.last_reset(|quota| quota.remaining == Some(0)))
    }

    /// As [`hold`](Hints::hold), for a response that refused the call: if that says nothing, the resets of quotas that do
    /// not tell what is left count too (Azure OpenAI has refused with `x-rate-limit-reset-tokens` and nothing else).
    #[must_use]
    pub fn hold_after_refusal(&self) -> Option<Duration> {
        self.hold().or_else(|| self.last_reset(|quota| quota.remaining.is_none()))
    }

    fn last_reset(&self, counts: impl Fn(&Quota) -> bool) -> Option<Duration> {
        let known = self.quotas.iter().filter(|quota| quota.unit != QuotaUnit::Unknown);
        known.filter(|quota| counts(quota)).filter_map(|quota| quota.reset).max()
    }
}

fn longest_wait(fields: &Fields<'_>, base: Timestamp) -> Option<Duration> {
    let waits = fields.iter().filter_map(|(field, value)| match field {
        Field::RetryAfter => time::retry_after(value, base),
        Field::RetryAfterMs => time::millis(value),
        _ => None,
    });
    waits.max()
}

/// The wait that a `Retry-After` header asks for: seconds, or an HTTP date.
///
/// A date is read against the `Date` header of the same response, never against the local clock if that can be helped:
/// clocks differ by more than limits forgive. `wall` serves where the response has no `Date`. `None` if the header is
/// neither (then it is ignored); at most a day.
///
/// ```
/// use paceline_clock::Timestamp;
/// use paceline_governor::retry_after;
/// let wait = retry_after("120", None, Timestamp::default());
/// assert_eq!(wait.unwrap().as_secs(), 120);
/// ```
#[must_use]
pub fn retry_after(value: &str, date: Option<&str>, wall: Timestamp) -> Option<Duration> {
    let base = date.and_then(time::http_date).unwrap_or(wall);
    Some(time::retry_after(value, base)?.min(HINT_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIX: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const SEVEN: &str = "Sun, 06 Nov 1994 08:50:07 GMT";

    #[test]
    fn every_form_and_every_nonsense() {
        // 1994-11-06T08:49:37Z as seconds since the epoch.
        let wall = Timestamp::from_seconds(784_111_777);
        let far_off = Timestamp::from_seconds(1_800_000_000);
        let cases = [
            ("0", None, wall, Some(0)),
            (" 7 ", None, wall, Some(7)),
            ("1.5", None, wall, Some(1)),
            ("99999999999999", None, wall, Some(86_400)),
            (SEVEN, None, wall, Some(31)),
            (SEVEN, Some(SIX), far_off, Some(31)),
            (SIX, Some(SEVEN), wall, Some(1)),
            (SEVEN, Some("no date"), wall, Some(31)),
            ("-5", None, wall, None),
            ("+5", None, wall, None),
            ("soon", None, wall, None),
            ("", None, wall, None),
            ("NaN", None, wall, None),
            ("inf", None, wall, None),
            ("99999999999999999999999999", None, wall, Some(86_400)),
            ("1e999", None, wall, Some(86_400)),
        ];
        for (value, date, wall, wanted) in cases {
            let wait = retry_after(value, date, wall).map(|wait| wait.as_secs());
            assert_eq!(wait, wanted, "{value:?} {date:?}");
        }
    }
}
