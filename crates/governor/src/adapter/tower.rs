//! A `tower` layer that keeps a budget. Its clones share it, which those of tower's own rate limit cannot.
//!
//! ```
//! use paceline_clock::SimClock;
//! use paceline_governor::adapter::tower::GovernorLayer;
//! use paceline_governor::{Budget, BudgetConfig};
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! let last_start = SimClock::new().run(|clock| async move {
//!     let budget = Budget::new(BudgetConfig::new(["20/min".parse().unwrap()]), clock.clone()).unwrap();
//!     let vendor = service_fn(|_: http::Request<()>| async { Ok::<_, std::io::Error>(http::Response::new(())) });
//!     let vendor = GovernorLayer::new(budget).layer(vendor);
//!     for _ in 0..21 {
//!         vendor.clone().oneshot(http::Request::new(())).await.unwrap();
//!     }
//!     clock.now().as_millis() / 1000
//! });
//! assert_eq!(last_start, 60);
//! ```
//!
//! Order in a stack: whatever waits or tries again (`Retry`, `Buffer`, another [`GovernorLayer`]) goes outside, so that
//! each try asks for a permit of its own and a call leaves when the budget believes that it leaves. A time-out outside
//! counts the waiting too; one inside counts the call alone.

mod classify;
mod future;

use std::fmt;
use std::task::{Context, Poll};

use tower::{Layer, Service};

use crate::{Budget, Refused};
pub use classify::{Classify, HttpClassify};
pub use future::GovernedFuture;

/// Puts a [`Governed`] in front of a service.
#[derive(Clone, Debug)]
pub struct GovernorLayer<C = HttpClassify> {
    budget: Budget,
    classify: C,
    connected: bool,
}

impl GovernorLayer {
    /// A layer for HTTP: answers are judged by their status and headers.
    #[must_use]
    pub fn new(budget: Budget) -> Self {
        Self { budget, classify: HttpClassify::default(), connected: false }
    }
}

impl<C> GovernorLayer<C> {
    /// The same layer with answers judged by `classify`.
    #[must_use]
    pub fn classify<D>(self, classify: D) -> GovernorLayer<D> {
        GovernorLayer { budget: self.budget, classify, connected: self.connected }
    }

    /// The inner service makes no connections while it is called (it holds one HTTP/2 channel, say), so that a call
    /// leaves when it is made, and the budget's guard may decide when its slot begins to age.
    ///
    /// Without this every call keeps its slot until its response is here, as with [`Guard::Strict`](crate::Guard): a
    /// layer does not see whether a call waits for a connection first, and a guess would be wrong when it matters. That
    /// costs rate only where calls take more than a small part of the shortest window.
    #[must_use]
    pub fn connected(self) -> Self {
        Self { connected: true, ..self }
    }
}

impl<S, C: Clone> Layer<S> for GovernorLayer<C> {
    type Service = Governed<S, C>;

    fn layer(&self, inner: S) -> Governed<S, C> {
        Governed { inner, layer: self.clone() }
    }
}

/// A service that waits for a permit before every call. Clones share the budget.
///
/// It is ready when the inner service is; the permit is waited for in the future that `call` returns, first come, first
/// served in the order in which those futures are first polled. So a clone that is ready and never called, and a future
/// that is dropped before its turn, hold nothing of the budget. They do hold what the inner service gave with its
/// readiness (a place in a `Buffer`, say).
///
/// A call ends with its response: a body that is still to come is not counted as a call under way. The `reqwest`
/// adapter counts that too.
#[derive(Clone, Debug)]
pub struct Governed<S, C = HttpClassify> {
    inner: S,
    layer: GovernorLayer<C>,
}

impl<S> Governed<S> {
    /// `inner` under `budget`, for HTTP; see [`GovernorLayer::classify`] for anything else.
    #[must_use]
    pub fn new(inner: S, budget: Budget) -> Self {
        GovernorLayer::new(budget).layer(inner)
    }
}

impl<S, R, C> Service<R> for Governed<S, C>
where
    S: Service<R> + Clone,
    C: Classify<S::Response, S::Error> + Clone,
{
    type Response = S::Response;
    type Error = GovernedError<S::Error>;
    type Future = GovernedFuture<S, R, C>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(GovernedError::Inner)
    }

    fn call(&mut self, request: R) -> Self::Future {
        // The one that was polled ready makes the call; its clone may not be ready.
        let clone = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, clone);
        GovernedFuture::new(self.layer.clone(), ready, request)
    }
}

/// No answer of the inner service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GovernedError<E> {
    /// There was no permit, and no call was made.
    Refused(Refused),
    /// What the inner service said.
    Inner(E),
}

impl<E: fmt::Display> fmt::Display for GovernedError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refused) => write!(f, "no call was made: {refused}"),
            Self::Inner(error) => error.fmt(f),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for GovernedError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Refused(_) => None,
            Self::Inner(error) => error.source(),
        }
    }
}

impl<E: Into<tower::BoxError>> GovernedError<E> {
    /// Without its type, for inner services whose error is boxed already (a boxed error is no `Error` itself):
    /// `service.map_err(GovernedError::boxed)`.
    #[must_use]
    pub fn boxed(self) -> tower::BoxError {
        match self {
            Self::Refused(refused) => {
                GovernedError::<std::convert::Infallible>::Refused(refused).into()
            }
            Self::Inner(error) => error.into(),
        }
    }
}
