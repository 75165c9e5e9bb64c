//! How far a run has come, and when it will end (spec R6).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use paceline_clock::{Clock, Tick};
use paceline_governor::{Limit, PlanRequest, Reason, Status, plan};
use paceline_hex::{Gauge, Session};
use paceline_model::{Counts, Run};

use crate::gate::GateSwitch;

/// A plan for more calls than this is not worth its time for a progress line; the long-run rate says the same.
const PLAN_CALLS_MAX: u64 = 20_000;

/// A snapshot of a run at work.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Counts as they are on disk.
    pub counts: Counts,
    /// Calls under way.
    pub in_flight: usize,
    /// Nothing more is sent before this long has passed, in ms, and why.
    pub waiting_ms: Option<(f64, String)>,
    /// The run whose rows it waits for, for people.
    pub waits_for: Option<String>,
    /// Cells ended per second since the run went on.
    pub rate_per_second: f64,
    /// When it will end if nothing changes, in ms from now.
    pub eta_ms: Option<f64>,
    /// Since the run went on, in ms, until now or its end.
    pub elapsed_ms: f64,
    /// From the sending of a call to its reply's head, the mean of all, in ms.
    pub call_ms: f64,
    /// Why the vendor refused calls for their rate since the run went on, as far as that can be told: each reason once,
    /// oldest first; of many, the last.
    pub explanations: Vec<String>,
    /// Where the jobs of a column of kind `integration` stand.
    pub jobs: Option<Gauge>,
}

/// What the runner notes and progress is made of.
pub(crate) struct ProgressState {
    clock: Clock,
    gate: Arc<GateSwitch>,
    concurrent_max: u32,
    jobs: Option<Session>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    counts: Counts,
    waits_for: Option<String>,
    ended_before: u64,
    began: Tick,
    ended: Option<Tick>,
    calls: u64,
    in_calls: Duration,
}

impl ProgressState {
    pub(crate) fn new(
        run: &Run,
        clock: Clock,
        gate: Arc<GateSwitch>,
        concurrent_max: u32,
        jobs: Option<Session>,
    ) -> Self {
        let inner = Inner {
            counts: run.counts,
            waits_for: None,
            ended_before: run.counts.ended(),
            began: clock.now(),
            ended: None,
            calls: 0,
            in_calls: Duration::ZERO,
        };
        Self { clock, gate, concurrent_max, jobs, inner: Mutex::new(inner) }
    }

    pub(crate) fn counted(&self, counts: Counts) {
        let mut inner = self.lock();
        // Of two that were written at once, the later one.
        if counts.ended() >= inner.counts.ended() {
            inner.counts = counts;
        }
    }

    /// It waits for another run, or for none.
    pub(crate) fn waits_for(&self, run: Option<String>) {
        self.lock().waits_for = run;
    }

    pub(crate) fn called(&self, took: Duration) {
        let mut inner = self.lock();
        inner.calls += 1;
        inner.in_calls += took;
    }

    pub(crate) fn end(&self) {
        let now = self.clock.now();
        self.lock().ended.get_or_insert(now);
    }

    pub(crate) fn snapshot(&self) -> Progress {
        let now = self.clock.now();
        let gate = self.gate.now();
        let own = gate.own().status();
        let shared = gate.shared().map(|one| (one.name.as_str(), one.budget.status()));
        let inner = self.lock();
        let elapsed = inner.ended.unwrap_or(now) - inner.began;
        let call = inner
            .in_calls
            .checked_div(u32::try_from(inner.calls).unwrap_or(u32::MAX))
            .unwrap_or_default();
        let counts = inner.counts;
        let waits_for = inner.waits_for.clone();
        let ended_here = counts.ended() - inner.ended_before.min(counts.ended());
        let rate_per_second = ended_here as f64 / elapsed.as_secs_f64().max(1e-3);
        let ended = inner.ended.is_some();
        // How long a job takes nobody knows before the first one has ended.
        let is_known = self.jobs.is_none() || inner.calls > 0;
        let (began, until) = (inner.began, inner.ended.unwrap_or(now));
        drop(inner);
        let mut explanations = Vec::new();
        let mut waits = vec![holding(&own, now, self.concurrent_max)];
        explained(&own, began, until, &mut explanations);
        if let Some((name, status)) = &shared {
            let held = holding(status, now, u32::MAX);
            waits.push(held.map(|(wait, reason)| (wait, format!("{reason}, shared: {name}"))));
            explained(status, began, until, &mut explanations);
        }
        // Both have to let it through: the longer wait is the one that counts.
        let waiting = waits.into_iter().flatten().max_by_key(|(wait, _)| *wait);
        let statuses = std::iter::once(&own).chain(shared.iter().map(|(_, status)| status));
        let limits: Vec<Limit> = statuses.flat_map(limits_of).collect();
        let wait = waiting.as_ref().map(|(wait, _)| *wait).unwrap_or_default();
        let remaining = counts.total.saturating_sub(counts.ended());
        Progress {
            counts,
            in_flight: own.in_flight,
            waiting_ms: waiting.map(|(wait, reason)| (millis(wait), reason)),
            waits_for,
            rate_per_second,
            eta_ms: (!ended && is_known)
                .then(|| self.eta(remaining, call, wait, rate_per_second, limits))
                .flatten(),
            elapsed_ms: millis(elapsed),
            call_ms: millis(call),
            explanations,
            jobs: self.jobs.as_ref().map(Session::gauge),
        }
    }

    /// What is left, by the plan; by the rate so far where that is slower (retries, slow answers).
    fn eta(
        &self,
        remaining: u64,
        call: Duration,
        wait: Duration,
        rate_per_second: f64,
        limits: Vec<Limit>,
    ) -> Option<f64> {
        let unlimited = limits.is_empty();
        let request = PlanRequest {
            calls: remaining.min(PLAN_CALLS_MAX),
            limits,
            concurrency: Some(self.concurrent_max),
            service: call,
        };
        let planned =
            plan(&request).ok()?.end_ms * (remaining as f64 / request.calls.max(1) as f64);
        let by_rate =
            if rate_per_second > 0.0 { remaining as f64 / rate_per_second * 1e3 } else { 0.0 };
        // Waiting for a window is no rate: the first burst says nothing about the hour.
        Some(millis(wait) + if unlimited { by_rate.max(planned) } else { planned })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What holds a call back, for people.
pub(crate) fn reason_text(reason: Reason, limits: &[Limit], concurrent_max: u32) -> String {
    let limit = |index: usize| limits.get(index).map_or("a limit".to_owned(), Limit::to_string);
    match reason {
        Reason::Limit(index) => limit(index),
        Reason::Spread(index) => format!("{}, spread evenly", limit(index)),
        Reason::Concurrency => format!("{concurrent_max} calls at once"),
        Reason::Spacing => "the spacing between calls".to_owned(),
        Reason::RetryAfter => "the vendor asked to wait".to_owned(),
        Reason::Quota => "the vendor says that nothing is left".to_owned(),
        Reason::Shared => "the server that shares the budget".to_owned(),
        Reason::Breaker(trip) => trip.to_string(),
        _ => "the budget".to_owned(),
    }
}

/// What holds the next call back, for how long.
fn holding(status: &Status, now: Tick, concurrent_max: u32) -> Option<(Duration, String)> {
    let until = status.next_slot.filter(|until| *until > now)?;
    Some((until - now, reason_text(status.held_by?, &limits_of(status), concurrent_max)))
}

/// The limits of a budget, as configured.
pub(crate) fn limits_of(status: &Status) -> Vec<Limit> {
    status.limits.iter().map(|status| status.limit).collect()
}

/// The explanations of one run: its budgets outlive it.
fn explained(status: &Status, began: Tick, ended: Tick, texts: &mut Vec<String>) {
    for explanation in status.explanations.iter().filter(|one| (began..=ended).contains(&one.at)) {
        let text = explanation.to_string();
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
