//! One governed call: waiting for its permit, then under way.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tower::Service;

use super::{Classify, GovernedError, GovernorLayer};
use crate::{Acquire, Permit, classify_transport};

/// A call through a [`Governed`](super::Governed) service.
///
/// Dropping it is exact at any moment: before its turn it leaves no trace; once the inner service was called its slot
/// is held as if the vendor had counted it. There is no moment in between.
#[must_use = "a future does nothing unless it is awaited"]
pub struct GovernedFuture<S: Service<R>, R, C> {
    layer: GovernorLayer<C>,
    state: State<S, R>,
}

enum State<S: Service<R>, R> {
    Waiting { acquire: Acquire, call: Option<(S, R)> },
    // Boxed, so that futures which must not move need no unsafe code here.
    Calling { permit: Option<Permit>, answer: Pin<Box<S::Future>> },
}

// Nothing in it is pinned in place: the one future that must not move is in a box.
impl<S: Service<R>, R, C> Unpin for GovernedFuture<S, R, C> {}

impl<S: Service<R>, R, C> GovernedFuture<S, R, C> {
    pub(super) fn new(layer: GovernorLayer<C>, ready: S, request: R) -> Self {
        let state =
            State::Waiting { acquire: layer.budget.acquire(), call: Some((ready, request)) };
        Self { layer, state }
    }
}

impl<S, R, C> Future for GovernedFuture<S, R, C>
where
    S: Service<R>,
    C: Classify<S::Response, S::Error>,
{
    type Output = Result<S::Response, GovernedError<S::Error>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            match &mut this.state {
                State::Waiting { acquire, call } => {
                    let permit = std::task::ready!(Pin::new(acquire).poll(cx));
                    let mut permit = permit.map_err(GovernedError::Refused)?;
                    // Taken once: a refusal or the next state ends this one.
                    let Some((mut ready, request)) = call.take() else { return Poll::Pending };
                    // Before `call`, for there are services that send there and not when polled.
                    permit.sent();
                    if !this.layer.connected {
                        // It may have to make a connection first, and nobody would say when that is there.
                        (permit.on_connect())(false);
                    }
                    let answer = Box::pin(ready.call(request));
                    this.state = State::Calling { permit: Some(permit), answer };
                }
                State::Calling { permit, answer } => {
                    let answer = std::task::ready!(answer.as_mut().poll(cx));
                    if let Some(permit) = permit.take() {
                        this.settle(permit, &answer);
                    }
                    return Poll::Ready(answer.map_err(GovernedError::Inner));
                }
            }
        }
    }
}

impl<S, R, C> GovernedFuture<S, R, C>
where
    S: Service<R>,
    C: Classify<S::Response, S::Error>,
{
    /// Tells the budget how the call ended.
    fn settle(&self, mut permit: Permit, answer: &Result<S::Response, S::Error>) {
        match answer {
            Ok(response) => {
                permit.seen();
                let wall = self.layer.budget.clock().wall();
                permit.heard(&self.layer.classify.hints(response, wall));
                permit.finish(&self.layer.classify.response(response, wall));
            }
            Err(error) => {
                let transport = self.layer.classify.error(error);
                let outcome = classify_transport(transport);
                if transport.may_have_arrived() {
                    permit.finish(&outcome);
                } else {
                    permit.not_sent(Some(&outcome));
                }
            }
        }
    }
}

impl<S: Service<R>, R, C> fmt::Debug for GovernedFuture<S, R, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Waiting { .. } => "waiting",
            State::Calling { .. } => "calling",
        };
        f.debug_struct("GovernedFuture").field("state", &state).finish_non_exhaustive()
    }
}
