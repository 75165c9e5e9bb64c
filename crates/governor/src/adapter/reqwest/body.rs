//! A body that keeps its call under way until it has been read to the end, breaks off or is dropped.

use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::{Body as HttpBody, Frame, SizeHint};
use reqwest::{Body, Response, ResponseBuilderExt};

use super::flight::Flight;
use crate::{Outcome, Transport, classify_transport};

/// The same response; its call ends with its body.
pub(super) fn hold(response: Response, flight: Flight, outcome: Outcome) -> Response {
    if response.content_length() == Some(0) {
        flight.finish(&outcome);
        return response;
    }
    // The way there and back drops the URL, and only a builder can put it in again.
    let named = http::Response::builder().url(response.url().clone()).body(());
    let mut response: http::Response<Body> = response.into();
    if let Ok(named) = named {
        response.extensions_mut().extend(named.into_parts().0.extensions);
    }
    response.map(|inner| Body::wrap(Held { inner, flight: Some(flight), outcome })).into()
}

struct Held {
    inner: Body,
    flight: Option<Flight>,
    outcome: Outcome,
}

impl Held {
    fn end(&mut self, outcome: &Outcome) {
        if let Some(flight) = self.flight.take() {
            flight.finish(outcome);
        }
    }
}

impl HttpBody for Held {
    type Data = <Body as HttpBody>::Data;
    type Error = <Body as HttpBody>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let frame = std::task::ready!(Pin::new(&mut self.inner).poll_frame(cx));
        match &frame {
            Some(Err(_)) => self.end(&classify_transport(Transport::Broken)),
            Some(Ok(_)) if !self.inner.is_end_stream() => {}
            _ => {
                let outcome = self.outcome;
                self.end(&outcome);
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Not read to the end because nobody wanted it: the call itself was answered.
        let outcome = self.outcome;
        self.end(&outcome);
    }
}
