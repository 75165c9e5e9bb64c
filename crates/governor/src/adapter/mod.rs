//! A budget where calls are made: in front of a `tower` service, or around a `reqwest` client. Each stands behind the
//! feature of its name.
//!
//! Both take a permit for every attempt, say when it is sent and when its answer is here, and give the place back if the
//! attempt is dropped before it is sent. Neither spawns a task.

#[cfg(feature = "reqwest")]
pub mod reqwest;
#[cfg(feature = "tower")]
pub mod tower;

use http::{HeaderMap, StatusCode};
use paceline_clock::Timestamp;

use crate::{Hints, Outcome, classify_response};

/// What the head of a response says. The one place where headers become an outcome.
fn outcome_of_head(
    status: StatusCode,
    headers: &HeaderMap,
    wall: Timestamp,
    retry_on: &[u16],
) -> (Outcome, Hints) {
    let fields = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let hints = Hints::read(fields, wall);
    (classify_response(status.as_u16(), &hints, retry_on), hints)
}
