//! Accepting connections, taking each request to who answers it, and ending all of them.

use std::error::Error as _;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::HeaderName;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use paceline_clock::Clock;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use super::body::ReplyBody;
use super::endpoint::Work;
use super::reply::{Ended, respond};
use super::{control, door};
use crate::{
    AiVendor, Call, HexVendor, SlackVendor, Vendor, WebhookReceiver, ai, hex, slack, webhook,
};

/// The most connections that are served at once; further ones wait to be accepted.
pub const CONNECTIONS_MAX: usize = 8192;

/// How long to wait when a connection cannot be accepted, for lack of descriptors say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What every connection needs.
#[derive(Clone, Debug)]
pub(super) struct Served {
    pub(super) vendor: Arc<Vendor>,
    pub(super) hex: Arc<HexVendor>,
    pub(super) ai: Arc<AiVendor>,
    pub(super) slack: Arc<SlackVendor>,
    pub(super) webhook: Arc<WebhookReceiver>,
    pub(super) stopped: watch::Receiver<bool>,
}

impl Served {
    /// Ends when the lab is shut down or dropped.
    async fn stopped(&mut self) {
        let _ = self.stopped.wait_for(|stopped| *stopped).await;
    }
}

/// Serves until the lab is stopped.
pub(super) async fn accept(listener: TcpListener, served: Served, clock: Clock) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    let mut stop = served.clone();
    loop {
        tokio::select! {
            () = stop.stopped() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            (stream, place) = next_connection(&listener, &places, &clock) => {
                connections.spawn(serve(stream, served.clone(), Arc::new(place)));
            }
        }
    }
    connections.shutdown().await;
}

async fn next_connection(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    clock: &Clock,
) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed, so there is always a place in the end.
    let place = Arc::clone(places).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            Err(_) => clock.sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// A place among the connections. A call holds it too, and so outlives a caller that gave up without adding to the
/// bound.
pub(super) type Place = Arc<Option<OwnedSemaphorePermit>>;

async fn serve(stream: TcpStream, served: Served, place: Place) {
    // Without it replies are late, which a test may notice, but none is lost.
    let _ = stream.set_nodelay(true);
    let service =
        service_fn(|request| Box::pin(answer(request, served.clone(), Arc::clone(&place))));
    let mut connection =
        http1::Builder::new().writev(false).serve_connection(TokioIo::new(stream), service);
    // Not shut down by hyper: it is we who decide how a connection ends.
    let ended = poll_fn(|cx| connection.poll_without_shutdown(cx)).await;
    let stream = connection.into_parts().io.into_inner();
    let reset = ended.is_err_and(|error| {
        error.source().and_then(|source| source.downcast_ref()) == Some(&Ended::Reset)
    });
    if reset {
        // Closing now sends a reset. Where it cannot be set, the caller sees a plain close.
        let _ = stream.set_zero_linger();
    }
}

async fn answer(
    request: Request<Incoming>,
    served: Served,
    place: Place,
) -> Result<Response<ReplyBody>, Ended> {
    if request.uri().path().starts_with(control::PREFIX) {
        return Ok(control::respond(&served, &request));
    }
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    if path.starts_with(hex::PREFIX) {
        return door::answer(Arc::clone(&served.hex), &parts, body, served, place).await;
    }
    if slack::is_ours(path) {
        return door::answer(Arc::clone(&served.slack), &parts, body, served, place).await;
    }
    if webhook::is_ours(path) {
        return door::answer(Arc::clone(&served.webhook), &parts, body, served, place).await;
    }
    if ai::is_ours(path) {
        return door::answer(Arc::clone(&served.ai), &parts, body, served, place).await;
    }
    let work = Work::read(&parts, body).await.ok_or(Ended::Closed)?;
    let mut call = Call::new();
    if let Some(key) = parts.headers.get(IDEMPOTENCY_KEY) {
        call = call.key(key.as_bytes());
    }
    if work.is_invalid() {
        call = call.invalid();
    }
    let vendor = Arc::clone(&served.vendor);
    let answer = if vendor.is_instant() {
        vendor.process(call).await
    } else {
        to_the_end(async move { vendor.process(call).await }, served, place).await?
    };
    respond(answer, work).await
}

/// Makes a call in a task of its own: what has been sent arrives and is done, whether or not the caller still waits.
pub(super) async fn to_the_end<T: Send + 'static>(
    call: impl Future<Output = T> + Send + 'static,
    mut served: Served,
    place: Place,
) -> Result<T, Ended> {
    let task = tokio::spawn(async move {
        let _place = place;
        tokio::select! {
            answer = call => Some(answer),
            () = served.stopped() => None,
        }
    });
    task.await.ok().flatten().ok_or(Ended::Closed)
}
