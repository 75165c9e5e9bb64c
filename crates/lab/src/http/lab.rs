//! A lab: what it serves, where, and its end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use paceline_clock::Clock;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::StartError;
use super::server::{CONNECTIONS_MAX, Served, accept};
use crate::{
    AiConfig, AiVendor, Airports, HexConfig, HexVendor, SlackConfig, SlackVendor, Stats, Vendor,
    VendorConfig, WebhookConfig, WebhookReceiver,
};

/// Starts vendors behind HTTP.
///
/// | endpoint | what it does |
/// |---|---|
/// | `GET` or `POST /geo/nearest?lat=&lon=` | the nearest other airport, its distance and bearing |
/// | any method, `/echo` | the request as JSON |
/// | any, `/api/v1/...` | a simulated Hex, [`HexVendor`], with limits and faults of its own |
/// | `POST .../chat/completions`, `POST /v1/messages`, `POST /v1beta/models/MODEL:generateContent`, lists of models | simulated vendors of language models, [`AiVendor`], with limits and faults of their own |
/// | `POST /services/T../B../SECRET`, `POST /api/chat.postMessage` | a simulated Slack, [`SlackVendor`] |
/// | `POST /webhook`, and below | a receiver of webhooks, [`WebhookReceiver`] |
/// | `GET /_lab/stats` | [`Stats`]; never governed or delayed, like all of `/_lab` |
/// | `GET /_lab/clock` | the time by which every moment is told, [`Vendor::now_ms`] |
/// | `POST /_lab/reset` | all of them forget what they saw |
/// | `POST /_lab/fault?law=LAW` | [`Vendor::set_faults`]; `none` heals |
/// | `GET /_lab/hex` | [`HexStats`](crate::HexStats) |
/// | `POST /_lab/hex/fault?law=LAW` | [`HexVendor::set_faults`]; `none` heals |
/// | `GET /_lab/ai` | [`AiStats`](crate::AiStats) |
/// | `POST /_lab/ai/fault?law=LAW` | [`AiVendor::set_faults`]; `none` heals |
/// | `GET /_lab/slack`, `GET /_lab/slack/messages` | [`SlackStats`](crate::SlackStats), [`SlackVendor::messages`] |
/// | `POST /_lab/slack/fault?law=LAW` | [`SlackVendor::set_faults`]; `none` heals |
/// | `GET /_lab/webhook`, `GET /_lab/webhook/calls` | [`WebhookStats`](crate::WebhookStats), [`WebhookReceiver::calls`] |
/// | `POST /_lab/webhook/fault?law=LAW` | [`WebhookReceiver::set_faults`]; `none` heals |
/// | `POST /_lab/webhook/secret?secret=SECRET` | [`WebhookReceiver::add_secret`] |
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
    /// The simulated Slack.
    pub slack: SlackConfig,
    /// The receiver of webhooks.
    pub webhook: WebhookConfig,
}

/// A vendor behind a socket. Dropping it ends every connection, as [`Running::shutdown`] does.
#[derive(Debug)]
pub struct Running {
    addr: SocketAddr,
    vendor: Arc<Vendor>,
    hex: Arc<HexVendor>,
    ai: Arc<AiVendor>,
    slack: Arc<SlackVendor>,
    webhook: Arc<WebhookReceiver>,
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
        let slack = Arc::new(SlackVendor::new(config.slack, clock.clone())?);
        let webhook = Arc::new(WebhookReceiver::new(config.webhook, clock.clone())?);
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
            slack: Arc::clone(&slack),
            webhook: Arc::clone(&webhook),
            stopped,
        };
        let accepting = tokio::spawn(accept(listener, served, clock));
        Ok(Running { addr, vendor, hex, ai, slack, webhook, stop, accepting })
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

    /// The Slack behind the socket.
    #[must_use]
    pub fn slack(&self) -> &SlackVendor {
        &self.slack
    }

    /// The receiver of webhooks behind the socket.
    #[must_use]
    pub fn webhook(&self) -> &WebhookReceiver {
        &self.webhook
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

/// Listens with room for every connection there may be: one that finds no room is tried again a second later by the
/// kernel, and that is a delay that no law asked for.
fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX))
}
