//! From what came back to what is done about it (spec G10). Each class has one documented reaction.

use std::time::Duration;

use crate::Hints;

/// How a call ended, by what is done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutcomeClass {
    /// It worked.
    Success,
    /// Refused for its rate (429, 503 with `Retry-After`): tried again when the vendor says, uses up no retry, is no
    /// failure for the breaker, but has a deadline.
    Throttled,
    /// It may work later (5xx, time-out, connection): tried again, uses up a retry, counts for the breaker.
    Transient,
    /// This row cannot work (400, 404, 409, 422, a reply without what was asked for): not tried again, counts for the
    /// breaker.
    RowCaused,
    /// No row can work until somebody changes something (401, 403, unknown host, redirect): not tried again; three
    /// refused keys in a row trip the breaker.
    ConfigurationCaused,
}

/// How a call ended, with what the vendor asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The class.
    pub class: OutcomeClass,
    /// The wait that the vendor asked for.
    pub retry_after: Option<Duration>,
    /// Whether the vendor refused the credential (401, 403).
    pub credential_refused: bool,
}

impl Outcome {
    /// An outcome without a hint.
    #[must_use]
    pub fn of(class: OutcomeClass) -> Self {
        Self { class, retry_after: None, credential_refused: false }
    }
}

/// What went wrong before there was a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// No connection came about (refused, unreachable, TLS failed); nothing of the request left.
    Connect,
    /// The name of the host has no address.
    UnknownHost,
    /// The address is one that may not be called.
    Blocked,
    /// The connection broke after something was written.
    Broken,
    /// No answer in time, after something was written.
    Timeout,
}

/// The outcome of a response with this status. `retry_on` are statuses the user wants tried again as transient.
///
/// ```
/// use paceline_governor::{OutcomeClass, classify_status};
/// assert_eq!(classify_status(200, None, &[]).class, OutcomeClass::Success);
/// assert_eq!(classify_status(429, None, &[]).class, OutcomeClass::Throttled);
/// ```
#[must_use]
pub fn classify_status(status: u16, retry_after: Option<Duration>, retry_on: &[u16]) -> Outcome {
    let class = match status {
        200..=299 => OutcomeClass::Success,
        429 => OutcomeClass::Throttled,
        503 if retry_after.is_some() => OutcomeClass::Throttled,
        _ if retry_on.contains(&status) => OutcomeClass::Transient,
        // 408 and 425 say "again"; every 5xx is the vendor's fault and may pass.
        408 | 425 | 500..=599 => OutcomeClass::Transient,
        // A redirect is not followed (each hop would be one more call): the URL must be changed.
        300..=399 | 401 | 403 | 405 | 407 => OutcomeClass::ConfigurationCaused,
        _ => OutcomeClass::RowCaused,
    };
    let credential_refused =
        matches!(status, 401 | 403) && class == OutcomeClass::ConfigurationCaused;
    Outcome { class, retry_after, credential_refused }
}

/// The outcome of a response with this status and these hints: a refusal waits for what any of them says.
///
/// ```
/// use paceline_clock::Timestamp;
/// use paceline_governor::{Hints, classify_response};
/// let headers: [(&str, &[u8]); 2] = [("x-ratelimit-remaining", b"0"), ("x-ratelimit-reset-after", b"3")];
/// let hints = Hints::read(headers.into_iter(), Timestamp::default());
/// assert_eq!(classify_response(429, &hints, &[]).retry_after.unwrap().as_secs(), 3);
/// ```
#[must_use]
pub fn classify_response(status: u16, hints: &Hints, retry_on: &[u16]) -> Outcome {
    let outcome = classify_status(status, hints.retry_after, retry_on);
    match outcome.class {
        OutcomeClass::Throttled => Outcome { retry_after: hints.hold_after_refusal(), ..outcome },
        _ => outcome,
    }
}

/// The outcome of a call that got no response.
#[must_use]
pub fn classify_transport(transport: Transport) -> Outcome {
    Outcome::of(match transport {
        Transport::Connect | Transport::Broken | Transport::Timeout => OutcomeClass::Transient,
        Transport::UnknownHost | Transport::Blocked => OutcomeClass::ConfigurationCaused,
    })
}

impl Transport {
    /// Whether something of the request may have reached the vendor.
    #[must_use]
    pub fn may_have_arrived(self) -> bool {
        matches!(self, Self::Broken | Self::Timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use OutcomeClass::{ConfigurationCaused, RowCaused, Success, Throttled, Transient};

    #[test]
    fn every_status_has_one_class() {
        let wait = Some(Duration::from_secs(1));
        let cases = [
            (200, None, Success),
            (204, None, Success),
            (301, None, ConfigurationCaused),
            (400, None, RowCaused),
            (401, None, ConfigurationCaused),
            (403, None, ConfigurationCaused),
            (404, None, RowCaused),
            (408, None, Transient),
            (409, None, RowCaused),
            (422, None, RowCaused),
            (429, None, Throttled),
            (429, wait, Throttled),
            (500, None, Transient),
            (502, None, Transient),
            (503, None, Transient),
            (503, wait, Throttled),
            (504, None, Transient),
            (999, None, RowCaused),
            (0, None, RowCaused),
        ];
        for (status, wait, class) in cases {
            assert_eq!(classify_status(status, wait, &[]).class, class, "{status}");
        }
        assert_eq!(classify_status(404, None, &[404]).class, Transient);
        assert_eq!(classify_status(429, None, &[429]).class, Throttled, "a throttle stays one");
        assert!(!classify_status(403, None, &[403]).credential_refused);
    }
}
