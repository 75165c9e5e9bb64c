//! Which call a connection is made for: the connector runs inside the future of the call that needs it, and finds the
//! call in a task-local.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};

use tower::{Layer, Service};

use crate::{Budget, Permit};

tokio::task_local! {
    /// The call that is being made: its request's future is what polls the connector.
    static CALL: Arc<Connecting>;
}

/// What a call knows of its connection.
pub(super) struct Connecting {
    budget: Budget,
    on_connect: Arc<dyn Fn(bool) + Send + Sync>,
    stayed: AtomicBool,
}

impl Connecting {
    pub(super) fn new(budget: Budget, permit: &Permit) -> Arc<Self> {
        Arc::new(Self { budget, on_connect: permit.on_connect(), stayed: AtomicBool::new(false) })
    }

    /// Makes the call as this one.
    pub(super) fn scope<F: Future>(self: &Arc<Self>, call: F) -> impl Future<Output = F::Output> {
        CALL.scope(Arc::clone(self), call)
    }

    /// Whether the call was given up while it waited for its connection: then nothing of it left.
    pub(super) fn stayed(&self) -> bool {
        self.stayed.load(Relaxed)
    }
}

impl fmt::Debug for Connecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connecting").field("stayed", &self.stayed).finish_non_exhaustive()
    }
}

/// Tells calls of the connections that are made for them, and the guard how long that took.
#[derive(Clone, Debug)]
pub(super) struct ConnectLayer;

impl<S> Layer<S> for ConnectLayer {
    type Service = Watched<S>;

    fn layer(&self, inner: S) -> Watched<S> {
        Watched(inner)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Watched<S>(S);

impl<S, R> Service<R> for Watched<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
    S::Response: 'static,
    S::Error: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        // What is sent past the governed client has no call to tell.
        let call = CALL.try_with(Arc::clone).ok();
        let connecting = self.0.call(request);
        let Some(call) = call else { return Box::pin(connecting) };
        call.stayed.store(false, Relaxed);
        (call.on_connect)(false);
        let started = call.budget.clock().now();
        Box::pin(async move {
            let unfinished = Unfinished;
            let result = connecting.await;
            std::mem::forget(unfinished);
            if result.is_ok() {
                call.budget.saw_network(call.budget.clock().now() - started);
                // Another connection may have come free first. Then the call left on that one, this one is finished
                // outside of it for whoever comes next, and there is nothing to tell.
                let _ = CALL.try_with(|call| (call.on_connect)(true));
            }
            result
        })
    }
}

/// Dropped with a connection that was given up. If that happens inside the call, the call was still waiting for it: once
/// it has another connection, the client takes this one's making out of the call's future.
struct Unfinished;

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = CALL.try_with(|call| call.stayed.store(true, Relaxed));
    }
}
