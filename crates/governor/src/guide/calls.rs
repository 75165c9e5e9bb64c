//! Part two of the [guide](crate::guide): hints, waiting, two gates, tokens, failures, memory, many keys, many processes,
//! adapters.
//!
//! Contents: [hints](#hints) · [waiting](#waiting) · [two gates](#two-gates) · [tokens](#tokens) · [failures](#failures) ·
//! [memory](#memory) · [many keys](#many-keys) · [many processes](#many-processes) · [adapters](#adapters) · [no
//! runtime](#without-a-runtime)
//!
//! # Hints
//!
//! [`Hints::read`](crate::Hints::read) reads `Retry-After` and the RateLimit header families of one response. The two
//! go different ways:
//!
//! - The wait goes with the outcome: [`classify_response`](crate::classify_response) puts it there, and
//!   [`Permit::finish`](crate::Permit::finish) holds the budget for it unless the call was a success.
//! - The quotas go to [`Permit::heard`](crate::Permit::heard). They only ever tighten. Where less is left than this
//!   budget believes, somebody else uses the key, and no more is sent than is left until the reset; a limit that the
//!   vendor names lower than configured is kept from then on. One that is named higher changes nothing. With
//!   [`heed_hints`](crate::BudgetConfig::heed_hints) off nothing is heeded.
//!
//! ```
//! use paceline_clock::{SimClock, Timestamp};
//! use paceline_governor::{Budget, BudgetConfig, Hints, Reason, classify_response};
//!
//! let status = SimClock::new().run(|clock| async move {
//!     let budget = Budget::new(BudgetConfig::new(["10/min".parse().unwrap()]), clock).unwrap();
//!     let mut permit = budget.acquire().await.unwrap();
//!     permit.sent();
//!     permit.seen();
//!     // Ours was one call of ten; the vendor has counted ten.
//!     let headers: [(&str, &[u8]); 3] =
//!         [("RateLimit-Limit", b"10"), ("RateLimit-Remaining", b"0"), ("RateLimit-Reset", b"30")];
//!     let hints = Hints::read(headers.into_iter(), Timestamp::default());
//!     permit.heard(&hints);
//!     permit.finish(&classify_response(200, &hints, &[]));
//!     budget.status()
//! });
//! assert_eq!(status.held_by, Some(Reason::Quota));
//! assert_eq!(status.next_slot.unwrap().as_millis(), 30_000);
//! ```
//!
//! # Waiting
//!
//! [`Budget::acquire`](crate::Budget::acquire) is first come, first served. [`Ask`](crate::Ask) says more: a
//! [`Priority`](crate::Priority) (a lower one that was passed over eight times in a row gets the next turn, so it never
//! starves), and a turn key with a share (lines of one priority take turns; a backfill of a million calls does not
//! stand before a person's one). The queue is bounded by [`queue_max`](crate::BudgetConfig::queue_max); a dropped
//! future gives its place back. [`Budget::eta`](crate::Budget::eta) says when the n-th call from now may be expected to
//! go.
//!
//! ```
//! use paceline_clock::SimClock;
//! use paceline_governor::{Ask, Budget, BudgetConfig, Outcome, OutcomeClass, Priority};
//!
//! let seconds = SimClock::new().run(|clock| async move {
//!     let budget = Budget::new(BudgetConfig::new(["1/s".parse().unwrap()]), clock.clone()).unwrap();
//!     let call = async |ask: Ask| {
//!         let mut permit = budget.acquire_with(ask).await.unwrap();
//!         permit.sent();
//!         permit.seen();
//!         permit.finish(&Outcome::of(OutcomeClass::Success));
//!         clock.now().as_millis() / 1000
//!     };
//!     call(Ask::new()).await;
//!     assert_eq!(budget.eta(2).at.as_millis() / 1000, 2);
//!     // Two of a tenant's calls, one of another tenant's, and one that somebody watches.
//!     let (first, other) = (Ask::new().turn(1, 1), Ask::new().turn(2, 1));
//!     tokio::join!(call(first), call(first), call(other), call(Ask::new().priority(Priority::High)))
//! });
//! assert_eq!(seconds, (2, 4, 3, 1));
//! ```
//!
//! # Two gates
//!
//! [`Gates`](crate::Gates): a call passes a budget of its own (a column's, a tenant's) and one that it shares (the
//! key's) at once, or neither. A caller without room in its own does not stand in the shared line. What a response
//! teaches goes where it belongs: a 429 and the hints to the shared budget, failures to the own breaker, a refused
//! credential to both.
//!
//! ```
//! use paceline_clock::SimClock;
//! use paceline_governor::{Budget, BudgetConfig, Gates};
//!
//! SimClock::new().run(|clock| async move {
//!     let key = Budget::new(BudgetConfig::new(["10/s".parse().unwrap()]), clock.clone()).unwrap();
//!     let one_at_once = BudgetConfig { concurrent_max: Some(1), ..BudgetConfig::new([]) };
//!     let slow = Gates::new(Budget::new(one_at_once, clock).unwrap(), key.clone());
//!     let held = slow.acquire().await.unwrap();
//!     let mut waits = Box::pin(slow.acquire());
//!     assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(waits.as_mut().poll(cx).is_pending())).await);
//!     assert!(key.try_acquire().is_ok()); // nobody stands in the shared line
//!     held.not_sent(None);
//!     assert!(waits.await.is_ok());
//! });
//! ```
//!
//! # Tokens
//!
//! A [`Limit`](crate::Limit) may count tokens: `90000 tokens/min`, or [`Limit::tokens`](crate::Limit::tokens). A call
//! reserves what it is expected to take and settles what its response says: what was reserved beyond is free at once,
//! what was reserved too little is charged. An ask that no whole window can hold is refused at once
//! ([`Refused::NeverFits`](crate::Refused)). Such limits are always kept as bursts, whatever the shape.
//!
//! ```
//! use paceline_clock::SimClock;
//! use paceline_governor::{Ask, Budget, BudgetConfig, Outcome, OutcomeClass};
//!
//! SimClock::new().run(|clock| async move {
//!     let limits = ["60/min".parse().unwrap(), "1000 tokens/min".parse().unwrap()];
//!     let budget = Budget::new(BudgetConfig::new(limits), clock.clone()).unwrap();
//!     let mut permit = budget.acquire_with(Ask::new().tokens(800)).await.unwrap();
//!     permit.sent();
//!     permit.seen();
//!     assert_eq!(budget.status().limits[1].used, 800);
//!     permit.settle(300); // before `finish`
//!     permit.finish(&Outcome::of(OutcomeClass::Success));
//!     let permit = budget.acquire_with(Ask::new().tokens(700)).await.unwrap();
//!     assert_eq!(clock.now().as_millis(), 0); // 300 + 700 fit
//!     # drop(permit);
//! });
//! ```
//!
//! # Failures
//!
//! A 429 is none. More than half of at least ten calls within a minute that failed, or three refused credentials in a
//! row, trip the [breaker](crate::BreakerConfig): who waits is refused, until the cause was mended and
//! [`Budget::reset_breaker`](crate::Budget::reset_breaker) said so (or until a probe, if one is configured).
//! [`RetryPolicy`](crate::RetryPolicy) says whether and when to try again; a retry waits for a permit like any call.
//!
//! ```
//! use std::time::Duration;
//! use paceline_clock::SimClock;
//! use paceline_governor::{
//!     Backoff, Budget, BudgetConfig, Next, Refused, RetryPolicy, Strategy, TaskHistory, classify_status,
//! };
//!
//! SimClock::new().run(|clock| async move {
//!     let budget = Budget::new(BudgetConfig::new(["100/s".parse().unwrap()]), clock).unwrap();
//!     for _ in 0..3 {
//!         let mut permit = budget.acquire().await.unwrap();
//!         permit.sent();
//!         permit.seen();
//!         permit.finish(&classify_status(401, None, &[]));
//!     }
//!     assert!(matches!(budget.acquire().await, Err(Refused::Breaker(_))));
//!     budget.reset_breaker(); // somebody has put in a new key
//!     assert!(budget.acquire().await.is_ok());
//! });
//!
//! let policy = RetryPolicy {
//!     backoff: Backoff { strategy: Strategy::Exponential, base: Duration::from_secs(1) },
//!     max_retries: 3,
//!     throttle_deadline: Duration::from_secs(900),
//! };
//! let failed = |errors| TaskHistory { errors, ..TaskHistory::default() };
//! let next = |errors| policy.next(&classify_status(502, None, &[]), failed(errors));
//! assert_eq!(next(2), Next::RetryAfter(Duration::from_secs(2)));
//! assert_eq!(next(4), Next::GiveUp);
//! ```
//!
//! # Memory
//!
//! A process that starts anew gets no fresh hour if it [restores](crate::Budget::restore) what the last one
//! [remembered](crate::Budget::snapshot): the logs, what was under way (taken as counted at the restoring), a
//! `Retry-After`, and what shape `Auto` learnt. It is `serde` data and holds ages, not times.
//!
//! ```
//! use std::time::Duration;
//! use paceline_clock::SimClock;
//! use paceline_governor::{Budget, BudgetConfig, Snapshot};
//!
//! let config = BudgetConfig::new(["1/h".parse()?]);
//! let before = Budget::new(config.clone(), SimClock::new().clock())?;
//! drop(before.try_acquire()); // counts as a call that was made
//! let saved = serde_json::to_string(&before.snapshot())?;
//!
//! let after = Budget::new(config, SimClock::new().clock())?;
//! let snapshot: Snapshot = serde_json::from_str(&saved)?;
//! after.restore(&snapshot, Duration::from_secs(600)); // ten minutes later
//! assert!(after.try_acquire().is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Many keys
//!
//! [`Keyed`](crate::Keyed): one configuration, a budget for every tenant, host or credential. A key that nobody uses
//! takes a few words and is forgotten once its windows are empty; there is a maximum of keys.
//!
//! ```
//! use paceline_clock::SimClock;
//! use paceline_governor::{BudgetConfig, Keyed};
//!
//! let clock = SimClock::new();
//! let keyed: Keyed<u64> = Keyed::with_keys_max(BudgetConfig::new(["1/s".parse()?]), clock.clock(), 1_000)?;
//! assert!(keyed.budget(&1)?.try_acquire().is_ok());
//! assert!(keyed.budget(&1)?.try_acquire().is_err());
//! assert!(keyed.budget(&2)?.try_acquire().is_ok());
//! assert_eq!(keyed.len(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Many processes
//!
//! With the feature `redis`, `shared::SharedBudget` is one budget for many processes: the logs are on a Redis server,
//! in its time, and permits come in blocks. While the server is away a process is silent for one longest window, then
//! has a stated share of every limit for a stated time, and nothing where that makes less than one call. Only limits of calls
//! are shared, with shape `Auto` or `Burst`. The module's
//! page says what is guaranteed and what it stands on.
//!
//! ```
//! # #[cfg(feature = "redis")] {
//! use paceline_governor::BudgetConfig;
//! use paceline_governor::shared::SharedConfig;
//!
//! let limits = BudgetConfig::new(["50/s".parse().unwrap(), "600/min".parse().unwrap()]);
//! let of_four = SharedConfig::new("redis://127.0.0.1/", "vendor-key-1", 0.25);
//! assert!(of_four.check(&limits).is_ok());
//! assert!(SharedConfig { fallback_share: 4.0, ..of_four }.check(&limits).is_err());
//! # }
//! ```
//!
//! # Adapters
//!
//! With the feature `tower`, `adapter::tower::GovernorLayer` is a layer whose clones share the budget:
//!
//! ```
//! # #[cfg(feature = "tower")] {
//! use paceline_clock::SimClock;
//! use paceline_governor::adapter::tower::GovernorLayer;
//! use paceline_governor::{Budget, BudgetConfig};
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! let took_s = SimClock::new().run(|clock| async move {
//!     let budget = Budget::new(BudgetConfig::new(["2/s".parse().unwrap()]), clock.clone()).unwrap();
//!     let vendor = service_fn(|_: http::Request<()>| async { Ok::<_, std::io::Error>(http::Response::new(())) });
//!     let governed = GovernorLayer::new(budget).layer(vendor);
//!     for _ in 0..5 {
//!         governed.clone().oneshot(http::Request::new(())).await.unwrap();
//!     }
//!     clock.now().as_millis() / 1000
//! });
//! assert_eq!(took_s, 2);
//! # }
//! ```
//!
//! With the feature `reqwest`, `adapter::reqwest::GovernedClient` is a client that asks for a permit per attempt, tells
//! the guard how long connections took, and counts a call as under way until its body was read:
//!
//! ```
//! # #[cfg(feature = "reqwest")] {
//! use paceline_clock::Clock;
//! use paceline_governor::adapter::reqwest::GovernedClient;
//! use paceline_governor::{Budget, BudgetConfig};
//!
//! let budget = Budget::new(BudgetConfig::new(["20/min".parse().unwrap()]), Clock::system()).unwrap();
//! let builder = reqwest::Client::builder().timeout(std::time::Duration::from_secs(30));
//! let client = GovernedClient::new(builder, budget).unwrap();
//! let request = client.inner().get("https://api.vendor.example/v1/things");
//! let call = client.send(request); // awaited, it waits for its turn and goes
//! # drop(call);
//! # }
//! ```
//!
//! # Without a runtime
//!
//! [`Core`](crate::Core) is the same budget as plain state: the time is an argument, a refusal says until when, and
//! whoever embeds it waits in a way of their own. [`plan`](crate::plan()) and [`RetryPolicy`](crate::RetryPolicy) are
//! pure functions. A [`Budget`](crate::Budget) spawns nothing and waits by its [`Clock`](paceline_clock::Clock) alone:
//! `Clock::system()` sleeps on tokio's timer, so whoever awaits a permit with it does so inside a tokio runtime with
//! time enabled; [`Budget::try_acquire`](crate::Budget::try_acquire) needs none.
//!
//! ```
//! use paceline_clock::Tick;
//! use paceline_governor::{BudgetConfig, Core, Reason};
//!
//! let mut core = Core::new(BudgetConfig::new(["1/s".parse()?]))?;
//! let slot = core.admit(Tick::ZERO).map_err(|refusal| format!("{refusal:?}"))?;
//! core.sent(slot, Tick::ZERO);
//! core.seen(slot, Tick::from_millis(40));
//! let refusal = core.admit(Tick::from_millis(40)).unwrap_err();
//! assert_eq!(refusal.reason, Reason::Limit(0));
//! assert!(core.admit(refusal.until.ok_or("no end in sight")?).is_ok());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
