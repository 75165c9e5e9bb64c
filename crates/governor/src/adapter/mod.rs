//! A budget where calls are made: in front of a `tower` service, or around a `reqwest` client. Each stands behind the
//! feature of its name.
//!
//! Both take a permit for every attempt, say when it is sent and when its answer is here, and give the place back if the
//! attempt is dropped before it is sent. Neither spawns a task.

#[cfg(feature = "reqwest")]
pub mod reqwest;
#[cfg(feature = "tower")]
pub mod tower;

use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, StatusCode};
use paceline_clock::Timestamp;

use crate::{Outcome, classify_status, retry_after};

/// What the head of a response says. The one place where headers become an outcome.
fn outcome_of_head(
    status: StatusCode,
    headers: &HeaderMap,
    wall: Timestamp,
    retry_on: &[u16],
) -> Outcome {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let asked = text(RETRY_AFTER).and_then(|value| retry_after(value, text(DATE), wall));
    classify_status(status.as_u16(), asked, retry_on)
}
