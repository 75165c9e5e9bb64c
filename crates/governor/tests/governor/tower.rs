//! Spec G15, the tower layer: in virtual time, against services that note what is done to them.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use paceline_clock::{Clock, SimClock};
use paceline_governor::adapter::tower::{Classify, Governed, GovernedError, GovernorLayer};
use paceline_governor::{
    Budget, BudgetConfig, Guard, Outcome, OutcomeClass, Reason, Refused, Shape, Transport,
};
use paceline_lab::{Call, Policy, Vendor, VendorConfig};
use tower::{Layer, Service, ServiceExt, service_fn};

fn config(limits: &[&str]) -> BudgetConfig {
    let limits = limits.iter().map(|text| text.parse().unwrap());
    BudgetConfig { guard: Guard::Strict, ..BudgetConfig::new(limits) }
}

fn budget(limits: &[&str], clock: &Clock) -> Budget {
    Budget::new(config(limits), clock.clone()).unwrap()
}

/// Answers every call with this status at once.
fn answering(
    status: u16,
) -> impl Service<Request<()>, Response = Response<()>, Error = Infallible, Future: Send> + Clone {
    service_fn(move |_: Request<()>| async move {
        Ok(Response::builder().status(status).header("retry-after", "30").body(()).unwrap())
    })
}

/// Polls once.
async fn once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx))).await
}

fn used(budget: &Budget) -> usize {
    budget.status().limits[0].used
}

#[test]
fn clones_share_the_budget_and_the_61st_call_waits_for_the_hour() {
    let starts = SimClock::new().run(|clock| async move {
        let starts = Arc::new(Mutex::new(Vec::new()));
        let (noted, now) = (Arc::clone(&starts), clock.clone());
        let vendor = service_fn(move |_: Request<()>| {
            noted.lock().unwrap().push(now.now().as_millis() / 1000);
            async { Ok::<_, Infallible>(Response::new(())) }
        });
        let layer = GovernorLayer::new(budget(&["20/min", "60/h"], &clock));
        // Two services of one layer, a clone per call: all on one budget.
        let services = [layer.layer(vendor.clone()), layer.layer(vendor)];
        let calls: Vec<_> = (0..61)
            .map(|number: usize| {
                let service = services[number % 2].clone();
                tokio::spawn(service.oneshot(Request::new(())))
            })
            .collect();
        for call in calls {
            call.await.unwrap().unwrap();
        }
        starts.lock().unwrap().clone()
    });
    assert_eq!([starts[0], starts[19], starts[20], starts[59], starts[60]], [0, 0, 60, 120, 3601]);
}

#[test]
fn who_is_dropped_before_its_turn_leaves_no_trace() {
    SimClock::new().run(|clock| async move {
        let budget = budget(&["1/min"], &clock);
        let mut service = Governed::new(answering(200), budget.clone());
        service.ready().await.unwrap().call(Request::new(())).await.unwrap();
        // Ready and never called; called and never polled; polled and waiting.
        let ready = service.clone().ready_oneshot().await.unwrap();
        let unpolled = service.ready().await.unwrap().call(Request::new(()));
        let mut waiting = service.ready().await.unwrap().call(Request::new(()));
        assert!(once(&mut waiting).await.is_pending());
        assert_eq!((used(&budget), budget.status().waiting), (1, 1));
        drop((ready, unpolled, waiting));
        assert_eq!((used(&budget), budget.status().waiting, budget.status().in_flight), (1, 0, 0));
        service.ready().await.unwrap().call(Request::new(())).await.unwrap();
        assert_eq!(clock.now().as_millis() / 1000, 60);
    });
}

#[test]
fn who_is_granted_and_dropped_before_it_looks_gives_the_place_back() {
    SimClock::new().run(|clock| async move {
        let config = BudgetConfig { concurrent_max: Some(1), ..config(&["5/min"]) };
        let budget = Budget::new(config, clock.clone()).unwrap();
        let held = budget.acquire().await.unwrap();
        let mut service = Governed::new(answering(200), budget.clone());
        let mut waiting = service.ready().await.unwrap().call(Request::new(()));
        assert!(once(&mut waiting).await.is_pending());
        held.not_sent(None); // grants the one that waits
        assert_eq!((used(&budget), budget.status().in_flight), (1, 1));
        drop(waiting);
        assert_eq!((used(&budget), budget.status().in_flight), (0, 0));
    });
}

#[test]
fn who_is_dropped_after_the_inner_call_counts_as_sent() {
    SimClock::new().run(|clock| async move {
        let budget = budget(&["1/min"], &clock);
        let hanging =
            service_fn(|_: Request<()>| std::future::pending::<Result<Response<()>, Infallible>>());
        let mut service = Governed::new(hanging, budget.clone());
        let mut call = service.ready().await.unwrap().call(Request::new(()));
        assert!(once(&mut call).await.is_pending());
        drop(call);
        assert_eq!((used(&budget), budget.status().in_flight), (1, 0));
        let until = budget.try_acquire().unwrap_err().until.unwrap();
        // The window, its drift, and the grace of a call of which nobody knows when it was counted.
        assert_eq!(until.as_millis() / 1000, 61);
    });
}

/// A service that must be asked whether it is ready before each call, as the contract has it; a clone is not ready.
struct Touchy {
    ready: bool,
    asked: Arc<AtomicUsize>,
}

impl Clone for Touchy {
    fn clone(&self) -> Self {
        Self { ready: false, asked: Arc::clone(&self.asked) }
    }
}

impl Service<Request<()>> for Touchy {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Not ready at the first asking.
        if self.asked.fetch_add(1, Relaxed) == 0 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called without being ready");
        std::future::ready(Ok(Response::new(())))
    }
}

#[test]
fn readiness_is_the_inner_services_and_the_one_that_was_ready_makes_the_call() {
    SimClock::new().run(|clock| async move {
        let asked = Arc::new(AtomicUsize::new(0));
        let inner = Touchy { ready: false, asked: Arc::clone(&asked) };
        let mut service = Governed::new(inner, budget(&["2/min"], &clock));
        let first = poll_fn(|cx| Poll::Ready(service.poll_ready(cx).is_pending())).await;
        assert!(first, "pending as the inner one is");
        for _ in 0..3 {
            service.ready().await.unwrap().call(Request::new(())).await.unwrap();
        }
        assert_eq!(asked.load(Relaxed), 4);
        assert_eq!(clock.now().as_millis() / 1000, 60);
    });
}

#[test]
fn a_refusal_by_the_vendor_holds_every_clone() {
    SimClock::new().run(|clock| async move {
        let budget = budget(&["100/s"], &clock);
        let service = Governed::new(answering(429), budget.clone());
        service.clone().oneshot(Request::new(())).await.unwrap();
        assert_eq!(budget.status().held_by, Some(Reason::RetryAfter));
        service.oneshot(Request::new(())).await.unwrap();
        assert_eq!(clock.now().as_millis(), 30_000);
        assert_eq!(budget.status().throttled, 2);
    });
}

#[test]
fn a_budget_that_refuses_makes_no_call_and_says_so() {
    SimClock::new().run(|clock| async move {
        let config = BudgetConfig { queue_max: 1, ..config(&["1/min"]) };
        let budget = Budget::new(config, clock.clone()).unwrap();
        let calls = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&calls);
        let inner = service_fn(move |_: ()| {
            count.fetch_add(1, Relaxed);
            async { Ok::<_, Infallible>(()) }
        });
        let layer = GovernorLayer::new(budget.clone());
        let service = layer.classify(|(): &()| Outcome::of(OutcomeClass::Success)).layer(inner);
        service.clone().oneshot(()).await.unwrap();
        let waiting = tokio::spawn(service.clone().oneshot(()));
        clock.sleep(Duration::from_millis(1)).await;
        let refused = service.oneshot(()).await.unwrap_err();
        assert_eq!(refused, GovernedError::Refused(Refused::QueueFull { waiting: 1 }));
        assert!(refused.boxed().to_string().contains("no call was made: 1 callers wait"));
        waiting.await.unwrap().unwrap();
        assert_eq!(calls.load(Relaxed), 2);
    });
}

/// Says of every failure that it was this.
#[derive(Clone)]
struct FailedBy(Transport);

impl<R, E> Classify<R, E> for FailedBy {
    fn response(&self, _: &R, _: paceline_clock::Timestamp) -> Outcome {
        Outcome::of(OutcomeClass::Success)
    }

    fn error(&self, _: &E) -> Transport {
        self.0
    }
}

#[test]
fn a_failure_keeps_its_slot_unless_nothing_can_have_left() {
    SimClock::new().run(|clock| async move {
        let broken = || service_fn(|_: Request<()>| async { Err::<Response<()>, _>("broken") });
        let by_default = budget(&["9/min"], &clock);
        let error = Governed::new(broken(), by_default.clone())
            .oneshot(Request::new(()))
            .await
            .unwrap_err();
        assert_eq!((error, used(&by_default)), (GovernedError::Inner("broken"), 1));
        for (transport, kept) in [
            (Transport::Broken, 1),
            (Transport::Timeout, 1),
            (Transport::Connect, 0),
            (Transport::UnknownHost, 0),
        ] {
            let budget = budget(&["9/min"], &clock);
            let layer = GovernorLayer::new(budget.clone()).classify(FailedBy(transport));
            layer.layer(broken()).oneshot(Request::new(())).await.unwrap_err();
            assert_eq!((used(&budget), budget.status().in_flight), (kept, 0), "{transport:?}");
        }
    });
}

/// What a vendor of 20 a second refuses of 60 calls whose way to it takes up to 400 ms, and how long they take in ms.
fn refused_on_a_slow_way(connected: bool) -> (u64, u64) {
    SimClock::new().run(|clock| async move {
        let vendor = VendorConfig {
            limits: vec!["20/s".parse().unwrap()],
            policy: Policy::LOG,
            net: "0..400".parse().unwrap(),
            ..VendorConfig::default()
        };
        let vendor = Arc::new(Vendor::new(vendor, clock.clone()).unwrap());
        let inner = {
            let vendor = Arc::clone(&vendor);
            service_fn(move |_: Request<()>| {
                let vendor = Arc::clone(&vendor);
                async move {
                    let status = vendor.call(Call::new()).await.status().unwrap();
                    Ok::<_, Infallible>(Response::builder().status(status).body(()).unwrap())
                }
            })
        };
        // Not shape auto, which would find its way in steps: the guard alone is looked at.
        let shape = Shape::Burst;
        let config = BudgetConfig { shape, ..BudgetConfig::new(["20/s".parse().unwrap()]) };
        let layer = GovernorLayer::new(Budget::new(config, clock.clone()).unwrap());
        let service = if connected { layer.connected() } else { layer }.layer(inner);
        let calls: Vec<_> =
            (0..60).map(|_| tokio::spawn(service.clone().oneshot(Request::new(())))).collect();
        for call in calls {
            call.await.unwrap().unwrap();
        }
        (vendor.stats().refused, clock.now().as_millis())
    })
}

#[test]
fn a_way_that_nobody_watches_is_not_guessed() {
    let (refused, took_ms) = refused_on_a_slow_way(false);
    assert_eq!(refused, 0);
    assert!(took_ms < 2 * 1000 + 3 * 800, "{took_ms} ms");
    let (refused, _) = refused_on_a_slow_way(true);
    assert!(refused > 0, "who says that the way is short is believed");
}
