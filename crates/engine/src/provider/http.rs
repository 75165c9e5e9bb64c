//! The only outbound HTTP client of the engine. No retries, no redirects, no proxy: one permit, one call. Names are
//! resolved here, through the guard, and the connection goes to the address that was checked.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use paceline_clock::Clock;
use paceline_governor::Transport;
use tower::{Layer, Service};

use super::body::{self, Overlong};
use super::resolve::{Blocked, GuardedResolver, NameResolver};
use super::{CallError, CallEvents, ConnectHook, NetworkObserver, Provider, Reply, Request};
use crate::{Error, OutboundGuard};

/// A connection that was not made by then will not be.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Idle connections are kept this long, shorter than servers keep theirs, so that few calls meet a closed one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
const USER_AGENT: &str = concat!("paceline/", env!("CARGO_PKG_VERSION"));

tokio::task_local! {
    /// The call that is being made: its request's future is what polls the connector.
    static CONNECTING: ConnectHook;
}

pub(crate) struct HttpProvider {
    client: reqwest::Client,
    /// For calls to ports that the guard's rules name. A resolver is not told the port of the call, so each of these
    /// ports has a client, whose resolver knows it.
    by_port: HashMap<u16, reqwest::Client>,
    clock: Clock,
    /// Whether somebody wants to know of connections.
    learns: bool,
}

impl HttpProvider {
    pub(crate) fn new(
        guard: &OutboundGuard,
        names: &Arc<dyn NameResolver>,
        clock: Clock,
        observer: Option<NetworkObserver>,
    ) -> crate::Result<Self> {
        let learns = observer.is_some();
        let layer = observer.map(|observer| TimedLayer { clock: clock.clone(), observer });
        let make = |port| {
            let resolver = GuardedResolver { guard: guard.clone(), port, names: Arc::clone(names) };
            client(resolver, layer.clone())
        };
        let mut by_port = HashMap::new();
        for port in guard.ports() {
            by_port.insert(port, make(Some(port))?);
        }
        Ok(Self { client: make(None)?, by_port, clock, learns })
    }

    async fn exchange(
        &self,
        request: Request,
        events: &mut dyn CallEvents,
        overlong: Overlong,
    ) -> Result<(Reply, bool), CallError> {
        let port = request.url.port_or_known_default();
        let client = port.and_then(|port| self.by_port.get(&port)).unwrap_or(&self.client);
        let mut builder = client.request(request.method, request.url);
        for (name, value) in request.headers {
            builder = builder.header(name, value);
        }
        if let Some(body) = request.body {
            builder = builder.body(body);
        }
        let hook = self.learns.then(|| events.on_connect());
        events.sent();
        let sending = builder.send();
        let response = match hook {
            Some(hook) => CONNECTING.scope(hook, sending).await,
            None => sending.await,
        };
        let response = response.map_err(|error| transport(&error))?;
        let status = response.status().as_u16();
        events.head(status, response.headers());
        let headers = response.headers().clone();
        let (body, cut) = body::read(response, request.reply_bytes_max, overlong).await?;
        Ok((Reply { status, headers, body }, cut))
    }

    async fn in_time(
        &self,
        request: Request,
        events: &mut dyn CallEvents,
        overlong: Overlong,
    ) -> Result<(Reply, bool), CallError> {
        let timeout = request.timeout;
        let timer = self.clock.sleep(timeout);
        tokio::select! {
            biased;
            result = self.exchange(request, events, overlong) => result,
            () = timer => Err(CallError::Transport {
                kind: Transport::Timeout,
                message: format!("no whole reply within {} ms", timeout.as_millis()),
            }),
        }
    }
}

#[async_trait]
impl Provider for HttpProvider {
    async fn call(
        &self,
        request: Request,
        events: &mut dyn CallEvents,
    ) -> Result<Reply, CallError> {
        let (reply, _) = self.in_time(request, events, Overlong::Refused).await?;
        Ok(reply)
    }

    async fn call_and_cut(
        &self,
        request: Request,
        events: &mut dyn CallEvents,
    ) -> Result<(Reply, bool), CallError> {
        self.in_time(request, events, Overlong::Cut).await
    }
}

fn client(resolver: GuardedResolver, layer: Option<TimedLayer>) -> crate::Result<reqwest::Client> {
    #[expect(clippy::disallowed_methods, reason = "this is the one door that the lint points to")]
    let builder = reqwest::Client::builder();
    let builder = builder
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .dns_resolver(resolver)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .tcp_nodelay(true);
    // A layer costs every call a little, so it is only there if somebody learns from it.
    let builder = match layer {
        Some(layer) => builder.connector_layer(layer),
        None => builder,
    };
    builder.build().map_err(|error| {
        Error::Internal(format!("the HTTP client cannot be set up: {}", chain(&error)))
    })
}

fn transport(error: &reqwest::Error) -> CallError {
    let blocked = find::<Blocked>(error);
    let kind = match blocked {
        Some(Blocked::Private(_)) => Transport::Blocked,
        Some(Blocked::Unknown(_)) => Transport::UnknownHost,
        None if error.is_connect() => Transport::Connect,
        None if error.is_timeout() => Transport::Timeout,
        None => Transport::Broken,
    };
    let message = match (blocked, kind) {
        (Some(blocked), _) => blocked.to_string(),
        (None, Transport::Connect) => format!("no connection: {}", chain(error)),
        (None, _) => format!("the connection broke before a reply: {}", chain(error)),
    };
    CallError::Transport { kind, message }
}

/// The causes of an error without the URL, which may hold a secret.
pub(super) fn chain(error: &reqwest::Error) -> String {
    let mut causes = Vec::new();
    let mut source = StdError::source(error);
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    if causes.is_empty() { "unknown cause".to_owned() } else { causes.join(": ") }
}

fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut at = Some(error);
    while let Some(error) = at {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        at = error.source();
    }
    None
}

/// Times how long connections take to make: what the guard learns the network from.
#[derive(Clone)]
struct TimedLayer {
    clock: Clock,
    observer: NetworkObserver,
}

impl<S> Layer<S> for TimedLayer {
    type Service = Timed<S>;

    fn layer(&self, inner: S) -> Timed<S> {
        Timed { inner, layer: self.clone() }
    }
}

#[derive(Clone)]
struct Timed<S> {
    inner: S,
    layer: TimedLayer,
}

impl<S, R> Service<R> for Timed<S>
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
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let TimedLayer { clock, observer } = self.layer.clone();
        let started = clock.now();
        // A connection that nobody waits for has no call to tell.
        let _ = CONNECTING.try_with(|hook| hook(false));
        let connecting = self.inner.call(request);
        Box::pin(async move {
            let result = connecting.await;
            if result.is_ok() {
                let _ = CONNECTING.try_with(|hook| hook(true));
                observer(clock.now() - started);
            }
            result
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use paceline_lab::{Lab, VendorConfig};

    use super::*;

    struct Counting(Arc<AtomicUsize>);

    impl CallEvents for Counting {
        fn sent(&mut self) {}
        fn head(&mut self, _: u16, _: &reqwest::header::HeaderMap) {}
        fn on_connect(&self) -> ConnectHook {
            let count = Arc::clone(&self.0);
            Arc::new(move |_| {
                count.fetch_add(1, Ordering::Relaxed);
            })
        }
    }

    #[tokio::test]
    async fn the_call_that_makes_a_connection_is_told_and_the_next_one_is_not() {
        crate::install_tls();
        let clock = Clock::system();
        let any = ([127, 0, 0, 1], 0).into();
        let lab = Lab::start(VendorConfig::default(), clock.clone(), any).await.unwrap();
        let timed = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&timed);
        let observer: NetworkObserver = Arc::new(move |_| {
            seen.fetch_add(1, Ordering::Relaxed);
        });
        let guard = OutboundGuard::private(true);
        let names: Arc<dyn NameResolver> = Arc::new(super::super::resolve::SystemResolver);
        let provider = HttpProvider::new(&guard, &names, clock, Some(observer)).unwrap();
        let told = Arc::new(AtomicUsize::new(0));
        for _ in 0..3 {
            let request = Request {
                method: reqwest::Method::GET,
                url: format!("http://{}/echo", lab.addr()).parse().unwrap(),
                headers: Vec::new(),
                body: None,
                timeout: Duration::from_secs(10),
                reply_bytes_max: 10_000,
            };
            let reply = provider.call(request, &mut Counting(Arc::clone(&told))).await.unwrap();
            assert_eq!(reply.status, 200);
        }
        assert_eq!((told.load(Ordering::Relaxed), timed.load(Ordering::Relaxed)), (2, 1));
    }
}
