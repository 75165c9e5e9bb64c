//! Spec G15, the reqwest adapter: on loopback, against the lab and against vendors that follow a script.

mod retry;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use paceline_clock::{Clock, SimClock};
use paceline_governor::adapter::reqwest::{CallError, GovernedClient};
use paceline_governor::{
    BreakerConfig, BreakerState, Budget, BudgetConfig, Guard, Reason, Transport,
};
use paceline_lab::{Lab, Policy, VendorConfig};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{ClientBuilder, Method, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const EMPTY: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
/// The connection ends without an answer.
const DROPPED: &str = "";

fn any_port() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

fn builder() -> ClientBuilder {
    #[expect(
        clippy::disallowed_methods,
        reason = "the builder is the caller's, and here that is us"
    )]
    reqwest::Client::builder().no_proxy()
}

fn budget(limits: &[&str], clock: Clock) -> Budget {
    let limits = limits.iter().map(|text| text.parse().unwrap());
    Budget::new(BudgetConfig { guard: Guard::Strict, ..BudgetConfig::new(limits) }, clock).unwrap()
}

/// A client under 1000 a minute, which none of these tests reaches.
fn client() -> GovernedClient {
    GovernedClient::new(builder(), budget(&["1000/min"], Clock::system())).unwrap()
}

fn used(client: &GovernedClient) -> (usize, usize) {
    let status = client.budget().status();
    (status.limits[0].used, status.in_flight)
}

fn request(method: Method, url: &str) -> Request {
    Request::new(method, url.parse().unwrap())
}

/// Answers one connection after the other with the next reply; says how many it answered.
async fn scripted(replies: &'static [&'static str]) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(any_port()).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let answered = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&answered);
    tokio::spawn(async move {
        for reply in replies {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_head(&mut stream).await;
            count.fetch_add(1, Relaxed);
            stream.write_all(reply.as_bytes()).await.unwrap();
        }
    });
    (url, answered)
}

async fn read_head(stream: &mut TcpStream) {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut read).await.unwrap() == 0 {
            return;
        }
    }
}

#[tokio::test]
async fn many_calls_at_once_and_a_strict_vendor_refuses_none() {
    let clock = Clock::system();
    let config = VendorConfig {
        limits: vec!["20/s".parse().unwrap()],
        policy: Policy::LOG_COUNTING,
        net: "0..20".parse().unwrap(),
        ..VendorConfig::default()
    };
    let lab = Lab::start(config, clock.clone(), any_port()).await.unwrap();
    let client = GovernedClient::new(builder(), budget(&["20/s"], clock)).unwrap();
    let calls: Vec<_> = (0..45)
        .map(|_| {
            let client = client.clone();
            let request = client.inner().get(format!("http://{}/echo", lab.addr()));
            tokio::spawn(async move { client.send(request).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().status(), 200);
    }
    let stats = lab.shutdown().await;
    assert_eq!((stats.accepted, stats.refused), (45, 0));
}

#[tokio::test]
async fn a_call_that_cannot_connect_gives_its_place_back_and_keeps_its_secrets() {
    let closed = TcpListener::bind(any_port()).await.unwrap().local_addr().unwrap();
    let client = client();
    let url = format!("http://me:SECRET@{closed}/hook/SECRET?key=SECRET");
    let error = client.execute(request(Method::POST, &url)).await.unwrap_err();
    assert!(matches!(error, CallError::Transport { kind: Transport::Connect, .. }), "{error:?}");
    assert_eq!(used(&client), (0, 0));
    let text = format!("{error} {error:?}");
    assert!(text.contains(&closed.to_string()) && !text.contains("SECRET"), "{text}");
}

#[tokio::test]
async fn a_request_that_cannot_be_sent_leaves_no_trace() {
    let client = client();
    for url in ["ftp://vendor.example/?key=SECRET", "data:SECRET"] {
        let error = client.execute(request(Method::GET, url)).await.unwrap_err();
        assert!(matches!(error, CallError::Invalid { .. }), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("SECRET"), "{error:?}");
    }
    let unbuilt = client.inner().get("no address, SECRET");
    let error = client.send(unbuilt).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("SECRET"), "{error:?}");
    assert_eq!(used(&client), (0, 0));
}

/// Finds an address once it is told to: until then the call waits for its connection.
struct Gated {
    asked: watch::Sender<bool>,
    open: watch::Receiver<Option<SocketAddr>>,
}

impl Resolve for Gated {
    fn resolve(&self, _: Name) -> Resolving {
        self.asked.send_replace(true);
        let mut open = self.open.clone();
        Box::pin(async move {
            let found = *open.wait_for(Option::is_some).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// A client for `vendor.test`, the channel that lets its connection come about, and the one that says it is waited for.
fn gated(
    builder: ClientBuilder,
    budget: Budget,
) -> (GovernedClient, watch::Sender<Option<SocketAddr>>, watch::Receiver<bool>) {
    let (asked, waits) = watch::channel(false);
    let (opener, open) = watch::channel(None);
    let builder = builder.dns_resolver(Gated { asked, open });
    (GovernedClient::new(builder, budget).unwrap(), opener, waits)
}

#[tokio::test]
async fn who_is_dropped_while_connecting_leaves_no_trace() {
    let budget = budget(&["1000/min"], Clock::system());
    let (client, _opener, mut waits) = gated(builder(), budget);
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.execute(request(Method::POST, "http://vendor.test/")).await }
    });
    waits.wait_for(|waits| *waits).await.unwrap();
    assert_eq!(used(&client), (1, 1));
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    assert_eq!(used(&client), (0, 0));
}

#[tokio::test]
async fn a_time_out_while_connecting_gives_the_place_back() {
    let soon = Duration::from_millis(50);
    for builder in [builder().timeout(soon), builder().connect_timeout(soon)] {
        let (client, _opener, _waits) = gated(builder, budget(&["1000/min"], Clock::system()));
        let error = client.execute(request(Method::POST, "http://vendor.test/")).await.unwrap_err();
        let kind = Transport::Connect;
        assert!(matches!(&error, CallError::Transport { kind: k, .. } if *k == kind), "{error:?}");
        assert_eq!(used(&client), (0, 0));
    }
}

#[tokio::test]
async fn a_call_keeps_its_slot_until_its_connection_is_there_whatever_the_guard() {
    let (url, _) = scripted(&[OK]).await;
    let vendor: SocketAddr = url.trim_matches(['h', 't', 'p', ':', '/']).parse().unwrap();
    let sim = SimClock::new();
    let config = BudgetConfig {
        guard: Guard::Fixed(Duration::ZERO),
        ..BudgetConfig::new(["1000/s".parse().unwrap()])
    };
    let budget = Budget::new(config, sim.clock()).unwrap();
    let (client, opener, mut waits) = gated(builder(), budget);
    let call = tokio::spawn({
        let client = client.clone();
        let url = format!("http://vendor.test:{}/", vendor.port());
        async move { client.execute(request(Method::GET, &url)).await }
    });
    waits.wait_for(|waits| *waits).await.unwrap();
    sim.advance(Duration::from_secs(5));
    assert_eq!(used(&client), (1, 1), "it has not left yet");
    opener.send_replace(Some(vendor));
    assert_eq!(call.await.unwrap().unwrap().text().await.unwrap(), "ok");
    sim.advance(Duration::from_millis(999));
    assert_eq!(used(&client), (1, 0));
    sim.advance(Duration::from_millis(10));
    assert_eq!(used(&client), (0, 0), "a window after it left");
}

#[tokio::test]
async fn who_is_dropped_after_sending_counts_as_sent() {
    let listener = TcpListener::bind(any_port()).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let client = client();
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.execute(request(Method::GET, &url)).await }
    });
    let (mut stream, _) = listener.accept().await.unwrap();
    read_head(&mut stream).await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    assert_eq!(used(&client), (1, 0));
}

#[tokio::test]
async fn a_broken_and_a_late_answer_keep_their_slots() {
    let (url, _) = scripted(&[DROPPED]).await;
    let broken = client();
    let error = broken.execute(request(Method::GET, &url)).await.unwrap_err();
    assert!(matches!(error, CallError::Transport { kind: Transport::Broken, .. }), "{error:?}");
    assert_eq!(used(&broken), (1, 0));

    let listener = TcpListener::bind(any_port()).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let soon = builder().timeout(Duration::from_millis(50));
    let late = GovernedClient::new(soon, budget(&["1000/min"], Clock::system())).unwrap();
    let error = late.execute(request(Method::GET, &url)).await.unwrap_err();
    assert!(matches!(error, CallError::Transport { kind: Transport::Timeout, .. }), "{error:?}");
    assert_eq!(used(&late), (1, 0));
}

#[tokio::test]
async fn a_response_is_under_way_until_its_body_is_read_or_dropped() {
    let (url, _) = scripted(&[OK, OK, EMPTY]).await;
    let client = client();
    let response = client.execute(request(Method::GET, &url)).await.unwrap();
    assert_eq!(used(&client), (1, 1));
    assert_eq!((response.url().as_str(), response.content_length()), (url.as_str(), Some(2)));
    assert!(response.remote_addr().is_some());
    assert_eq!(response.text().await.unwrap(), "ok");
    assert_eq!(used(&client), (1, 0));

    let unread = client.execute(request(Method::GET, &url)).await.unwrap();
    assert_eq!(used(&client), (2, 1));
    drop(unread);
    assert_eq!(used(&client), (2, 0));

    let _empty = client.execute(request(Method::GET, &url)).await.unwrap();
    assert_eq!(used(&client), (3, 0));
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_failure_to_the_breaker() {
    let (url, _) = scripted(&["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"]).await;
    let breaker = BreakerConfig { calls_min: 1, ..BreakerConfig::default() };
    let config = BudgetConfig { breaker, ..BudgetConfig::new([]) };
    let budget = Budget::new(config, Clock::system()).unwrap();
    let client = GovernedClient::new(builder(), budget).unwrap();
    let response = client.execute(request(Method::GET, &url)).await.unwrap();
    assert_eq!(client.budget().status().breaker, BreakerState::Admitting);
    response.text().await.unwrap_err();
    assert!(matches!(client.budget().status().breaker, BreakerState::Refusing { .. }));
    let refused = client.execute(request(Method::GET, &url)).await.unwrap_err();
    assert!(matches!(refused, CallError::Refused(_)), "{refused:?}");
}

#[tokio::test]
async fn a_429_holds_the_budget_before_its_body_is_read_and_a_redirect_is_an_answer() {
    const ASKS: &str = "HTTP/1.1 429 X\r\nretry-after: 30\r\ncontent-length: 4\r\n\r\nslow";
    let (url, answered) = scripted(&["HTTP/1.1 302 X\r\nlocation: /\r\n\r\n", ASKS]).await;
    let client = client();
    let moved = client.execute(request(Method::GET, &url)).await.unwrap();
    assert_eq!((moved.status().as_u16(), answered.load(Relaxed)), (302, 1));
    let _throttled = client.execute(request(Method::GET, &url)).await.unwrap();
    let status = client.budget().status();
    assert_eq!((status.held_by, status.in_flight), (Some(Reason::RetryAfter), 0));
}
