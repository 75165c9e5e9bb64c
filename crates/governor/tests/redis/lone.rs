//! One process and its server: what a call costs, what is said when something is wrong, and going in order.

use std::time::Duration;

use paceline_clock::{Clock, Random};
use paceline_governor::shared::{Link, SharedBudget, SharedConfig, SharedError, StoreError};
use paceline_governor::{Budget, BudgetConfig, Outcome, OutcomeClass, Reason};

use crate::server::Server;

fn limits(texts: &[&str]) -> BudgetConfig {
    BudgetConfig::new(texts.iter().map(|text| text.parse().unwrap()))
}

async fn share(server: &Server, texts: &[&str]) -> Result<SharedBudget, SharedError> {
    let config = SharedConfig::new(server.url(), "lone", 0.5);
    SharedBudget::connect(limits(texts), config, Clock::system(), &Random::system()).await
}

/// In, and past the learning.
async fn at_work(server: &Server, texts: &[&str]) -> SharedBudget {
    let shared = share(server, texts).await.unwrap();
    call(shared.budget()).await;
    assert_eq!(shared.link(), Link::Connected);
    shared
}

async fn call(budget: &Budget) {
    let mut permit = budget.acquire().await.unwrap();
    permit.sent();
    permit.seen();
    permit.finish(&Outcome::of(OutcomeClass::Success));
}

/// Waits until `done`, two seconds at most.
async fn until(done: impl Fn() -> bool) -> bool {
    for _ in 0..200 {
        if done() {
            return true;
        }
        Clock::system().sleep(Duration::from_millis(10)).await;
    }
    false
}

#[tokio::test]
async fn a_call_costs_no_round_trip_of_its_own() {
    let server = Server::start();
    let shared = at_work(&server, &["50000/s"]).await;
    let before = server.questions().0;
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let budget = shared.budget().clone();
            tokio::spawn(async move {
                for _ in 0..40 {
                    call(&budget).await;
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    let together = server.questions().0 - before;
    println!("2000 calls of 50 callers: {together} questions");
    assert!(together <= 200, "{together} questions for 2000 calls");
}

#[tokio::test]
async fn what_cannot_be_is_said_before_anything_is_sent() {
    let server = Server::start();
    let try_with = async |budget: BudgetConfig, config: SharedConfig| {
        SharedBudget::connect(budget, config, Clock::system(), &Random::system())
            .await
            .unwrap_err()
            .to_string()
    };
    let config = || SharedConfig::new(server.url(), "lone", 0.5);
    let plain = || limits(&["5/s"]);
    let cases = [
        (limits(&[]), config(), "has nothing to share"),
        (limits(&["100001/h"]), config(), "at most 100000 per window"),
        (plain(), SharedConfig { fallback_share: 1.5, ..config() }, "from 0"),
        (plain(), SharedConfig { name: "a{b}".to_owned(), ..config() }, "1 to 100 characters"),
        (plain(), SharedConfig { lease: Duration::ZERO, ..config() }, "a lease must be from"),
        (plain(), SharedConfig { learning: Duration::from_secs(1), ..config() }, "come back"),
        (plain(), SharedConfig { deadline: Duration::ZERO, ..config() }, "10 ms to 10 s"),
        (
            BudgetConfig { shape: paceline_governor::Shape::Paced, ..plain() },
            config(),
            "the shape paced is kept by each process",
        ),
        (
            plain(),
            SharedConfig { url: "http://u:hunter2@x".to_owned(), ..config() },
            "write redis://",
        ),
        (
            plain(),
            SharedConfig { url: "redis://u:hunter2@127.0.0.1:1/".to_owned(), ..config() },
            "cannot be reached",
        ),
    ];
    for (budget, config, wanted) in cases {
        let shown = format!("{config:?}");
        let error = try_with(budget, config).await;
        assert!(error.contains(wanted), "{error}");
        assert!(!error.contains("hunter2") && !shown.contains("hunter2"), "{error} {shown}");
    }
}

#[tokio::test]
async fn other_settings_under_one_name_are_refused_with_both() {
    let server = Server::start();
    let _first = share(&server, &["5/s"]).await.unwrap();
    let error = share(&server, &["6/s"]).await.unwrap_err();
    let SharedError::Store { problem: StoreError::Settings { theirs, ours }, .. } = &error else {
        panic!("{error}")
    };
    assert!(theirs.starts_with("5/s, lease 1s") && ours.starts_with("6/s, lease 1s"), "{error}");
}

#[tokio::test]
async fn who_leaves_takes_nothing_along() {
    let server = Server::start();
    let first = at_work(&server, &["100/min"]).await;
    let second = at_work(&server, &["100/min"]).await;
    assert!(second.leave().await, "the farewell was heard");
    let members: Vec<String> =
        redis::cmd("HKEYS").arg("paceline:{lone}:members").query(&mut server.connection()).unwrap();
    assert_eq!(members.len(), 1);
    let log = || -> usize {
        redis::cmd("ZCARD").arg("paceline:{lone}:log1").query(&mut server.connection()).unwrap()
    };
    // One call each; what the first has in stock goes back at the end of its lease.
    assert!(until(|| log() == 2).await, "{}", log());
    assert_eq!(first.link(), Link::Connected);
}

#[tokio::test]
async fn a_wait_asked_of_one_holds_the_other() {
    let server = Server::start();
    let first = at_work(&server, &["100/min"]).await;
    let second = at_work(&server, &["100/min"]).await;
    let mut permit = first.budget().acquire().await.unwrap();
    permit.sent();
    permit.finish(&Outcome {
        retry_after: Some(Duration::from_secs(30)),
        ..Outcome::of(OutcomeClass::Throttled)
    });
    let held = || second.budget().status().held_by == Some(Reason::RetryAfter);
    assert!(until(held).await, "{:?}", second.budget().status());
}

#[tokio::test]
async fn a_budget_tells_that_its_server_is_away_and_that_it_is_back() {
    let mut server = Server::start();
    let shared = at_work(&server, &["100/min"]).await;
    server.kill();
    assert!(until(|| matches!(shared.link(), Link::Fallback { .. })).await);
    let Link::Fallback { share, sends_from, sends_until, problem, .. } = shared.link() else {
        panic!("{}", shared.link())
    };
    assert_eq!(share, 0.5);
    assert!(sends_from < sends_until, "{sends_from:?} {sends_until:?}");
    assert!(problem.contains("cannot be reached"), "{problem}");
    assert_eq!(shared.budget().try_acquire().unwrap_err().until, sends_from);
    server.run();
    assert!(until(|| matches!(shared.link(), Link::Learning { .. })).await);
    call(shared.budget()).await;
    assert_eq!(shared.link(), Link::Connected);
    assert!(shared.budget().status().limits[0].used >= 2, "what was sent before counts on");
}
