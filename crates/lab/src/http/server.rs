//! Accepting connections, and ending all of them.

use std::error::Error as _;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::HeaderName;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use paceline_clock::Clock;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::StartError;
use super::body::ReplyBody;
use super::endpoint::Work;
use super::reply::{Ended, respond};
use super::{ai, control, hex};
use crate::{
    AiConfig, AiVendor, Airports, Call, HexConfig, HexVendor, Stats, Vendor, VendorConfig,
};

/// The most connections that are served at once; further ones wait to be accepted.
pub const CONNECTIONS_MAX: usize = 8192;

/// How long to wait when a connection cannot be accepted, for lack of descriptors say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Starts vendors behind HTTP.
///
/// | endpoint | what it does |
/// |---|---|
/// | `GET` or `POST /geo/nearest?lat=&lon=` | the nearest other airport, its distance and bearing |
/// | any method, `/echo` | the request as JSON |
/// | any, `/api/v1/...` | a simulated Hex, [`HexVendor`], with limits and faults of its own |
/// | `POST .../chat/completions`, `POST /v1/messages`, `POST /v1beta/models/MODEL:generateContent`, lists of models | simulated vendors of language models, [`AiVendor`], with limits and faults of their own |
/// | `GET /_lab/stats` | [`Stats`]; never governed or delayed, like all of `/_lab` |
/// | `POST /_lab/reset` | [`Vendor::reset`], [`HexVendor::reset`] and [`AiVendor::reset`] |
/// | `POST /_lab/fault?law=LAW` | [`Vendor::set_faults`]; `none` heals |
/// | `GET /_lab/hex` | [`HexStats`](crate::HexStats) |
/// | `POST /_lab/hex/fault?law=LAW` | [`HexVendor::set_faults`]; `none` heals |
/// | `GET /_lab/ai` | [`AiStats`](crate::AiStats) |
/// | `POST /_lab/ai/fault?law=LAW` | [`AiVendor::set_faults`]; `none` heals |
#[derive(Debug)]
pub struct Lab;

/// What a lab serves.
#[derive(Clone, Debug, Default)]
pub struct LabConfig {
    /// The vendor of airports.
    pub vendor: VendorConfig,
    /// The simulated Hex.
    pub hex: HexConfig,
    /// The simulated vendors of language models.
    pub ai: AiConfig,
}

/// A vendor behind a socket. Dropping it ends every connection, as [`Running::shutdown`] does.
#[derive(Debug)]
pub struct Running {
    addr: SocketAddr,
    vendor: Arc<Vendor>,
    hex: Arc<HexVendor>,
    ai: Arc<AiVendor>,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Lab {
    /// Listens on `addr` (port 0 is any free port) and serves a vendor, and a Hex as it is by default, until shut down,
    /// on the current runtime.
    ///
    /// # Errors
    /// If the vendor cannot be built as described, or the address cannot be listened on.
    ///
    /// ```
    /// use paceline_clock::Clock;
    /// use paceline_lab::{Lab, VendorConfig};
    ///
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let config = VendorConfig { limits: vec!["20/min".parse()?], ..VendorConfig::default() };
    /// let lab = Lab::start(config, Clock::system(), ([127, 0, 0, 1], 0).into()).await?;
    /// assert_ne!(lab.addr().port(), 0);
    /// assert_eq!(lab.stats().accepted, 0);
    /// lab.shutdown().await;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn start(
        config: VendorConfig,
        clock: Clock,
        addr: SocketAddr,
    ) -> Result<Running, StartError> {
        Self::start_with_hex(config, HexConfig::default(), clock, addr).await
    }

    /// As [`Lab::start`], with a Hex of your own.
    ///
    /// # Errors
    /// As [`Lab::start`], and if the Hex cannot be built as described.
    pub async fn start_with_hex(
        config: VendorConfig,
        hex: HexConfig,
        clock: Clock,
        addr: SocketAddr,
    ) -> Result<Running, StartError> {
        Self::start_with(LabConfig { vendor: config, hex, ..LabConfig::default() }, clock, addr)
            .await
    }

    /// As [`Lab::start`], with everything of your own.
    ///
    /// # Errors
    /// As [`Lab::start`], for each of what it serves.
    pub async fn start_with(
        config: LabConfig,
        clock: Clock,
        addr: SocketAddr,
    ) -> Result<Running, StartError> {
        let vendor = Arc::new(Vendor::new(config.vendor, clock.clone())?);
        let hex = Arc::new(HexVendor::new(config.hex, clock.clone())?);
        let ai = Arc::new(AiVendor::new(config.ai, clock.clone())?);
        let listen = |source| StartError::Listen { addr, source };
        let listener = bind(addr).map_err(listen)?;
        let addr = listener.local_addr().map_err(listen)?;
        // Built now, so that the first call does not pay for it.
        let _ = Airports::all();
        let (stop, stopped) = watch::channel(false);
        let served = Served {
            vendor: Arc::clone(&vendor),
            hex: Arc::clone(&hex),
            ai: Arc::clone(&ai),
            stopped,
        };
        let accepting = tokio::spawn(accept(listener, served, clock));
        Ok(Running { addr, vendor, hex, ai, stop, accepting })
    }
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The vendor behind the socket.
    #[must_use]
    pub fn vendor(&self) -> &Vendor {
        &self.vendor
    }

    /// The Hex behind the socket.
    #[must_use]
    pub fn hex(&self) -> &HexVendor {
        &self.hex
    }

    /// The vendors of language models behind the socket.
    #[must_use]
    pub fn ai(&self) -> &AiVendor {
        &self.ai
    }

    /// What the vendor has seen so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.vendor.stats()
    }

    /// Stops listening and ends every connection, whatever it is doing; returns what the vendor saw.
    pub async fn shutdown(self) -> Stats {
        self.stop.send_replace(true);
        // It only ends early if it panicked, and then its connections ended with it.
        let _ = self.accepting.await;
        self.vendor.stats()
    }
}

/// What every connection needs.
#[derive(Clone, Debug)]
pub(super) struct Served {
    pub(super) vendor: Arc<Vendor>,
    pub(super) hex: Arc<HexVendor>,
    pub(super) ai: Arc<AiVendor>,
    stopped: watch::Receiver<bool>,
}

impl Served {
    /// Ends when the lab is shut down or dropped.
    async fn stopped(&mut self) {
        let _ = self.stopped.wait_for(|stopped| *stopped).await;
    }
}

/// Listens with room for every connection there may be: one that finds no room is tried again a second later by the
/// kernel, and that is a delay that no law asked for.
fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX))
}

async fn accept(listener: TcpListener, served: Served, clock: Clock) {
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
    if parts.uri.path().starts_with(hex::PREFIX) {
        return hex::answer(&parts, body, served, place).await;
    }
    if ai::is_ours(parts.uri.path()) {
        return ai::answer(&parts, body, served, place).await;
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
