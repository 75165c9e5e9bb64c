//! From what the inner service said to what the budget learns.

use paceline_clock::Timestamp;

use crate::adapter::outcome_of_head;
use crate::{Hints, Outcome, Transport};

/// Judges answers for the budget. Any `Fn(&Response) -> Outcome` is one.
pub trait Classify<Response, Error> {
    /// What a response says. `wall` is now: what a date is read against where the response has none of its own.
    fn response(&self, response: &Response, wall: Timestamp) -> Outcome;

    /// What a response says of the vendor's quotas. By default nothing.
    fn hints(&self, response: &Response, wall: Timestamp) -> Hints {
        let _ = (response, wall);
        Hints::default()
    }

    /// In which way a call failed that has no response. By default [`Transport::Broken`]: it may have arrived, so its
    /// slot stays taken. With [`Transport::Connect`] the slot is given back: say that only if nothing can have left.
    fn error(&self, error: &Error) -> Transport {
        let _ = error;
        Transport::Broken
    }
}

impl<Response, Error, F: Fn(&Response) -> Outcome> Classify<Response, Error> for F {
    fn response(&self, response: &Response, _wall: Timestamp) -> Outcome {
        self(response)
    }
}

/// Judges an [`http::Response`] by its status and headers (spec G10), and every error as [`Transport::Broken`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpClassify {
    /// Statuses to be counted as transient, besides those that are.
    pub retry_on: Vec<u16>,
}

impl<B, Error> Classify<http::Response<B>, Error> for HttpClassify {
    fn response(&self, response: &http::Response<B>, wall: Timestamp) -> Outcome {
        outcome_of_head(response.status(), response.headers(), wall, &self.retry_on).0
    }

    fn hints(&self, response: &http::Response<B>, wall: Timestamp) -> Hints {
        outcome_of_head(response.status(), response.headers(), wall, &self.retry_on).1
    }
}
