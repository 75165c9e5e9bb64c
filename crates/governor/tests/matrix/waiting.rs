//! The spot check: the same jobs through a whole budget, with tasks that really wait. What the driver says of the core
//! must be true of what users call.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use paceline_clock::{Clock, SimClock, Tick};
use paceline_governor::{Budget, BudgetConfig, Outcome, OutcomeClass, Shape};
use paceline_lab::{Enforcer, Verdict};

use crate::drive;
use crate::scenario::{Case, Delays, Enforcement, Guarding, Latency, RetryAfter, VENDORS};

/// What all tasks of one job share.
struct Job {
    clock: Clock,
    budget: Budget,
    delays: Delays,
    enforcer: Mutex<Enforcer>,
    starts: Mutex<Vec<Tick>>,
}

impl Job {
    fn new(case: &Case, clock: Clock) -> Self {
        let config = BudgetConfig {
            shape: case.shape,
            guard: case.guarding.guard(),
            ..BudgetConfig::new(case.vendor.parsed())
        };
        let policy = case.enforcement.policy(case.vendor);
        let enforcer = Enforcer::new(&case.vendor.enforced(), &policy).unwrap();
        Self {
            budget: Budget::new(config, clock.clone()).unwrap(),
            clock,
            delays: Delays::new(case.latency, case.run),
            enforcer: Mutex::new(enforcer),
            starts: Mutex::default(),
        }
    }

    /// One call, the vendor included; answers whether it was refused.
    async fn call(&self) -> bool {
        let mut permit = self.budget.acquire().await.unwrap();
        permit.sent();
        self.starts.lock().unwrap().push(self.clock.now());
        self.clock.sleep(self.delays.way()).await;
        let verdict = self.enforcer.lock().unwrap().decide(self.clock.now());
        self.clock.sleep(self.delays.service() + self.delays.way()).await;
        permit.seen();
        permit.finish(&Outcome::of(OutcomeClass::Success));
        verdict != Verdict::Accepted
    }
}

/// Runs the job; answers the refused calls and when the last call started.
fn wait_for(case: &Case) -> (usize, Duration) {
    let case = *case;
    SimClock::starting_at(case.start()).run(|clock| async move {
        let job = Arc::new(Job::new(&case, clock));
        let calls: Vec<_> = (0..case.calls)
            .map(|_| {
                let job = Arc::clone(&job);
                tokio::spawn(async move { job.call().await })
            })
            .collect();
        let mut refused = 0;
        for call in calls {
            refused += usize::from(call.await.unwrap());
        }
        let last = *job.starts.lock().unwrap().iter().max().unwrap();
        (refused, last - case.start())
    })
}

#[test]
fn a_budget_with_waiting_tasks_does_what_the_driver_says_of_its_core() {
    for enforcement in [Enforcement::Fixed, Enforcement::FirstCall, Enforcement::Log] {
        for latency in [Latency::Zero, Latency::Uniform, Latency::HeavyTail] {
            let case = Case {
                vendor: &VENDORS[0],
                enforcement,
                latency,
                shape: Shape::Burst,
                guarding: Guarding::Strict,
                retry_after: RetryAfter::default(),
                calls: 200,
                run: 7,
            };
            let driven = drive::run(&case).last_start().as_secs_f64();
            let (refused, waited) = wait_for(&case);
            let what = format!("{} under {}", enforcement.name(), latency.name());
            assert_eq!(refused, 0, "{what}");
            let waited = waited.as_secs_f64();
            assert!((waited / driven - 1.0).abs() < 0.01, "{what}: {waited} s, driven {driven} s");
            assert!((10_800.0..10_810.0).contains(&waited), "{what}: {waited} s, T* is 10,800 s");
        }
    }
}
