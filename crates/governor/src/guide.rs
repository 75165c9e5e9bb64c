//! How a limit is kept that nobody can see: why two token buckets are wrong, what the stamp is, which shape when, and
//! what a 429 means. Nothing but text, and examples that run. Part two, [`calls`], is about the calls themselves.
//!
//! Contents: [two buckets](#why-two-token-buckets-are-wrong) · [the stamp](#the-stamp-and-the-three-guards) · [the
//! shapes](#which-shape-when) · [a 429](#what-a-429-means)
//!
//! # Why two token buckets are wrong
//!
//! "20 per minute and 60 per hour" is a promise about every minute and every hour: no interval of that length may hold
//! more. A token bucket of 20 that starts full promises something else. It lets 20 calls go at once and refills while
//! the minute runs, so the first minute holds 39, and a bucket of 60 beside it lets 119 into the first hour.
//!
//! ```
//! use std::time::Duration;
//! use paceline_clock::Tick;
//! use paceline_governor::{BudgetConfig, Core, Outcome, OutcomeClass};
//!
//! /// A token bucket of `count` that starts full and refills evenly; times in ms.
//! struct Bucket { count: u64, interval: u64, full_at: u64 }
//! impl Bucket {
//!     fn opens_at(&self) -> u64 { self.full_at.saturating_sub((self.count - 1) * self.interval) }
//!     fn take(&mut self, now: u64) { self.full_at = self.full_at.max(now) + self.interval; }
//! }
//! let mut buckets = [
//!     Bucket { count: 20, interval: 3_000, full_at: 0 },
//!     Bucket { count: 60, interval: 60_000, full_at: 0 },
//! ];
//! let (mut now, mut theirs) = (0, Vec::new());
//! while theirs.len() < 200 {
//!     now = buckets.iter().map(Bucket::opens_at).fold(now, u64::max);
//!     buckets.iter_mut().for_each(|bucket| bucket.take(now));
//!     theirs.push(now);
//! }
//!
//! // Ours, with calls that are answered at once.
//! let mut core = Core::new(BudgetConfig::new(["20/min".parse()?, "60/h".parse()?]))?;
//! let (mut now, mut ours) = (Tick::ZERO, Vec::new());
//! while ours.len() < 200 {
//!     match core.admit(now) {
//!         Ok(slot) => {
//!             core.sent(slot, now);
//!             core.seen(slot, now);
//!             core.finish(slot, &Outcome::of(OutcomeClass::Success), now);
//!             ours.push(now.as_millis());
//!         }
//!         Err(refusal) => now = refusal.until.ok_or("only an answer would free a slot")?,
//!     }
//! }
//!
//! /// The most calls in any interval of this length.
//! fn most_in(starts: &[u64], window: u64) -> usize {
//!     let inside = |from: &u64| starts.iter().filter(|at| (*from..from + window).contains(at)).count();
//!     starts.iter().map(inside).max().unwrap_or(0)
//! }
//! let (minute, hour) = (60_000, 3_600_000);
//! assert_eq!((most_in(&theirs, minute), most_in(&theirs, hour)), (39, 119));
//! assert_eq!((most_in(&ours, minute), most_in(&ours, hour)), (20, 60));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What that costs: of 200 calls at 20/min + 60/h, sent without any latency, clients made of two buckets have 32
//! refused by a vendor of fixed windows (the mean over its phases), 59 by one with a sliding log, 81 by one whose log
//! counts refused calls too; with 1000 calls at 10/s + 300/min and delays of 20 to 400 ms that log refuses 79 %. Where
//! a vendor accepts its limit in every window, `burst` under the strict guard has none refused. Measured by
//! `bench/peers/run` of the source tree, kept in `bench/peers/RESULTS.md`. Our own figures against every kind of vendor
//! are in [the matrix](crate::matrix).
//!
//! What is kept instead is a log per limit: a call goes when, for every limit, the call `count` before it left the
//! window. That is the earliest schedule there is, and [`plan`](crate::plan()) runs it ahead of time.
//!
//! # The stamp, and the three guards
//!
//! A log of sendings is not enough. The vendor counts a call when it arrives; if one call takes 400 ms to arrive and
//! the one that follows it a window later takes 20 ms, the vendor sees both within one window. So a slot does not begin
//! to age when its call is sent, but at its **stamp**: the latest moment at which the vendor can have counted it. The
//! response's head is one, for nobody answers a call before counting it. Windows are held 500 ppm longer than they are,
//! because clocks drift.
//!
//! - [`Guard::Strict`](crate::Guard::Strict): the stamp is the response's head. Never wrong. The sustainable rate
//!   becomes `count / (window + g)`, `g` being the mean time to the head: with 200 ms, a third of a percent at a
//!   minute, a sixth at a second.
//! - [`Guard::Auto`](crate::Guard::Auto), the default: strict wherever that costs under 2 % of the rate, which is every
//!   window of a minute with answers within 1.2 s. Elsewhere the stamp comes a learnt time after the sending at the
//!   latest. That time comes from how long connections took to make
//!   ([`Budget::saw_network`](crate::Budget::saw_network)), lies between 2 % and 25 % of the window, doubles when a
//!   late arrival explains a 429, and comes down slowly. The price: a 429 where the network was slower than it had ever
//!   been.
//! - [`Guard::Fixed`](crate::Guard::Fixed): so long after the sending, or the head if that is sooner. For whoever knows
//!   the network.
//!
//! ```
//! use std::time::Duration;
//! use paceline_clock::Tick;
//! use paceline_governor::{BudgetConfig, Core, Guard, Outcome, OutcomeClass};
//!
//! // The vendor thinks for five seconds. How long after the sending of the second call may the third one go, in ms?
//! let next_after = |guard| {
//!     let config = BudgetConfig { guard, ..BudgetConfig::new(["1/min".parse().unwrap()]) };
//!     let mut core = Core::new(config).unwrap();
//!     let (mut sent, mut next) = (Tick::ZERO, Tick::ZERO);
//!     for _ in 0..2 {
//!         sent = next;
//!         let slot = core.admit(sent).unwrap();
//!         core.sent(slot, sent);
//!         let head = sent + Duration::from_secs(5);
//!         core.seen(slot, head);
//!         core.finish(slot, &Outcome::of(OutcomeClass::Success), head);
//!         next = core.next_slot(head).unwrap();
//!     }
//!     (next - sent).as_millis()
//! };
//! assert_eq!(next_after(Guard::Strict), 65_030); // 5 s, a minute, and 30 ms of drift
//! assert_eq!(next_after(Guard::Auto), 61_230); // strict would cost 8 %; the least bound is 2 % of the window
//! assert_eq!(next_after(Guard::Fixed(Duration::from_millis(200))), 60_230);
//! ```
//!
//! # Which shape when
//!
//! | [`Shape`](crate::Shape) | when | what it costs |
//! |---|---|---|
//! | `Burst` | the vendor is known to accept its limit in every window: fixed windows, sliding logs, buckets of the limit's size | nothing there; the most 429s anywhere else |
//! | `CounterSafe` | the vendor weighs the last window (a sliding counter), or may | a pause of one window after the first burst; then an even pace |
//! | `Paced` | the vendor dislikes bursts, or its bucket is small | a short job: 20 calls at 20/min take 57 s instead of none |
//! | `Auto` | nothing is known of the vendor: the default | some round trips at the start, once; a few 429s where the vendor is of another kind |
//!
//! ```
//! use paceline_clock::SimClock;
//! use paceline_governor::{Budget, BudgetConfig, Outcome, OutcomeClass, Shape};
//!
//! // The last start of so many calls at 20/min, in s, if they are answered at once.
//! let last_start = |shape, calls| SimClock::new().run(|clock| async move {
//!     let config = BudgetConfig { shape, ..BudgetConfig::new(["20/min".parse().unwrap()]) };
//!     let budget = Budget::new(config, clock.clone()).unwrap();
//!     for _ in 0..calls {
//!         let mut permit = budget.acquire().await.unwrap();
//!         permit.sent();
//!         permit.seen();
//!         permit.finish(&Outcome::of(OutcomeClass::Success));
//!     }
//!     clock.now().as_millis() / 1000
//! });
//! let of_20_and_40 = |shape| (last_start(shape, 20), last_start(shape, 40));
//! assert_eq!(of_20_and_40(Shape::Burst), (0, 60));
//! assert_eq!(of_20_and_40(Shape::CounterSafe), (0, 117));
//! assert_eq!(of_20_and_40(Shape::Paced), (57, 117));
//! assert_eq!(of_20_and_40(Shape::Auto), (0, 60));
//! ```
//!
//! `Auto` believes that the vendor accepts whatever keeps the limit, and proves it before it leans on it. Three things
//! may be otherwise: the vendor is a token bucket smaller than its limit; it is a sliding counter; it keeps time in
//! whole seconds. A call that such a vendor might refuse goes out with few others of its kind: a few at first (three on
//! the ground of a burst, beside the first call, which no bucket refuses), then a share of what was accepted there.
//! What nobody has refused half a second after its sending counts as accepted for this; four round trips do, where the
//! network is known, from a tenth of a second on. So a wrong belief costs a few calls ([the matrix](crate::matrix) counts
//! them), and a right one some
//! round trips:
//!
//! ```
//! use std::time::Duration;
//! use paceline_clock::Tick;
//! use paceline_governor::{BudgetConfig, Core, Outcome, OutcomeClass};
//!
//! let mut core = Core::new(BudgetConfig::new(["100/min".parse()?]))?;
//! let (mut now, mut at_once) = (Tick::ZERO, Vec::new());
//! while at_once.iter().sum::<usize>() < 100 {
//!     let slots: Vec<_> = std::iter::from_fn(|| core.admit(now).ok()).collect();
//!     slots.iter().for_each(|slot| core.sent(*slot, now));
//!     now = now + Duration::from_millis(100); // every answer takes as long as this
//!     for slot in &slots {
//!         core.seen(*slot, now);
//!         core.finish(*slot, &Outcome::of(OutcomeClass::Success), now);
//!     }
//!     at_once.push(slots.len());
//! }
//! assert_eq!(at_once, [4, 3, 6, 12, 16, 20, 30, 9]); // a second, not the minutes of an even pace
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Only `Auto` finds out about whole seconds: such a vendor drops a call up to a second late, whatever the spread. A
//! belief that was lost is tried again after 200 good answers, and after five times as many each time that it fails again.
//! [`LimitStatus::learnt`](crate::LimitStatus) says what is believed now.
//!
//! # What a 429 means
//!
//! That the vendor counted otherwise than this budget. It is no failure: the breaker does not see it, and
//! [`RetryPolicy`](crate::RetryPolicy) does not charge it as a retry. What follows:
//!
//! - **It is explained**, once per round trip: by the [`Cause`](crate::Cause) that costs least among those that fit
//!   what was sent. [`Status::explanations`](crate::Status) keeps the last 16, and each is a `tracing` event at `info`.
//!   Shapes other than `Auto` know two causes only: a late arrival, or somebody else.
//! - **The window that refused gets half its slots**, at least one, and only that window; less if it is refused again. As
//!   many good answers as it has slots bring them back. Where it is refused at the same height again, the next time it
//!   comes back at once to four fifths of that, and takes twice as long for the rest (100 good answers at least, then 200
//!   and so on), so that somebody else's use of the key does not cost a refusal every window.
//! - **A storm is waited out**: while every call is refused, whatever the rate, one call alone goes after each pause, and
//!   the pause doubles. The slots are not lowered for refusals that so few calls cannot have caused, what they seemed to
//!   teach is taken back, and with the first good answer the rate is back at half of what it was. A storm of 20 s makes a
//!   job later by half a minute or a minute.
//! - **`Retry-After` holds the whole budget** and is never shortened, but for
//!   [`hint_max`](crate::BudgetConfig::hint_max). Without one the budget pauses for a moment: one call's share of the
//!   window, longer for refusals that nothing explains.
//! - With [`cool_down_on_429`](crate::BudgetConfig::cool_down_on_429) off, neither the halving nor the pause happens.
//!
//! ```
//! use paceline_clock::SimClock;
//! use paceline_governor::{Budget, BudgetConfig, Cause, classify_status};
//!
//! let status = SimClock::new().run(|clock| async move {
//!     let budget = Budget::new(BudgetConfig::new(["20/min".parse().unwrap()]), clock).unwrap();
//!     // A vendor with a bucket of five: it refuses the sixth call.
//!     for answer in [200, 200, 200, 200, 200, 429] {
//!         let mut permit = budget.acquire().await.unwrap();
//!         permit.sent();
//!         permit.seen();
//!         permit.finish(&classify_status(answer, None, &[]));
//!     }
//!     budget.status()
//! });
//! let why = status.explanations[0];
//! assert_eq!(why.cause, Cause::SmallBucket { depth: 5 });
//! assert_eq!(why.to_string(), "20/min: the vendor takes about 5 at once (a token bucket smaller than the limit); no more go at once");
//! assert_eq!(status.limits[0].learnt.burst_max, Some(5));
//! assert_eq!((status.throttled, status.limits[0].allowed), (1, 10));
//! ```

pub mod calls;
