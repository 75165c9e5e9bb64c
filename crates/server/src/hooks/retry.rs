//! When a delivery is tried again, and when a receiver counts as dead.

use std::time::Duration;

use paceline_clock::Timestamp;
use paceline_engine::FetchReply;
use paceline_governor::Hints;
use paceline_model::limits;

use super::kept::Kept;
use crate::App;

/// The waits after the first, second, ... try that failed: together about an hour.
const WAITS: [Duration; limits::DELIVERY_TRIES_MAX as usize - 1] = [
    Duration::from_secs(30),
    Duration::from_secs(150),
    Duration::from_secs(750),
    Duration::from_secs(2_700),
];
/// The part of a wait that chance takes away or adds, so that receivers that were down are not met by all at once.
const JITTER: f64 = 0.1;

/// Why nothing more is to be sent there, if that is so.
pub(super) fn dead(kept: &Kept, gone: bool, failing: Duration, problem: &str) -> Option<String> {
    if gone {
        return Some("the receiver says that it is gone for good (410)".to_owned());
    }
    let given_up = kept.state.failed_in_a_row;
    if given_up >= limits::DELIVERIES_FAILED_MAX {
        return Some(format!("{given_up} deliveries in a row were given up; the last: {problem}"));
    }
    (failing >= limits::DELIVERY_OUTAGE_MAX).then(|| {
        let hours = limits::DELIVERY_OUTAGE_MAX.as_secs() / 3_600;
        format!("nothing could be delivered for {hours} hours; the last: {problem}")
    })
}

/// How long to wait after so many tries: longer each time, and as long as the receiver asks for.
pub(super) fn wait(app: &App, tries: u32, reply: Option<&FetchReply>, now: Timestamp) -> Duration {
    let step = usize::try_from(tries).unwrap_or(usize::MAX).saturating_sub(1).min(WAITS.len() - 1);
    let own = WAITS[step].mul_f64(1.0 - JITTER + 2.0 * JITTER * app.random.unit());
    let asked = reply.and_then(|reply| {
        let headers = reply.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        Hints::read(headers, now).retry_after
    });
    own.max(asked.unwrap_or_default()).min(limits::DELIVERY_WAIT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_tries_take_about_an_hour() {
        let whole: Duration = WAITS.iter().sum();
        assert!((3_300..4_200).contains(&whole.as_secs()), "{whole:?}");
    }
}
