//! Nobody waits for ever, whatever else is waited for.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use async_trait::async_trait;
use paceline_clock::{Random, SimClock};
use paceline_hex::{
    Budgets, EndKind, Job, Note, Options, RunId, Secret, Session, TokenError, TokenSource,
};
use paceline_lab::HexConfig;

use crate::script::{Ask, Script, reply};
use crate::support::{Desk, SimWire, Token, batch, job, perform, session, unlimited, word};

/// Longer than anything here may take.
const TOO_LONG: Duration = Duration::from_secs(24 * 3600);

#[test]
fn triggers_that_hold_every_overall_slot_still_get_their_baselines() {
    for overall in ["1/min", "2/min", "5/min"] {
        SimClock::new().run(|clock| async move {
            let wire = SimWire::new(
                HexConfig { net: "50".parse().unwrap(), ..HexConfig::default() },
                &clock,
            );
            let options = Options { overall_limits: vec![overall.parse().unwrap()], ..unlimited() };
            let session = session(options, Arc::clone(&wire) as _, &Token::new("t"), &clock);
            let jobs = (0..6).map(|n| job(n, 6)).collect();
            let ends = tokio::select! {
                ends = batch(&session, jobs, 6, &clock) => ends,
                () = clock.sleep(TOO_LONG) => panic!("{overall}: {:?}", session.gauge()),
            };
            assert!(ends.iter().all(|end| word(end) == "completed"), "{overall}: {ends:?}");
        });
    }
}

/// A command that hangs the second time.
#[derive(Default)]
struct Hangs(AtomicBool);

#[async_trait]
impl TokenSource for Hangs {
    async fn read(&self) -> Result<Secret, TokenError> {
        if self.0.swap(true, SeqCst) { pending().await } else { Secret::new("hxtp_old") }
    }
}

#[test]
fn a_token_source_that_hangs_holds_up_no_stop() {
    SimClock::new().run(|clock| async move {
        let script = Script::new(&clock);
        script.say(Ask::Post, [reply(401, "Unauthorized")]);
        let (options, tokens) = (unlimited(), Arc::new(Hangs::default()));
        let budgets = Budgets::new(&options, &clock).unwrap();
        let wire = Arc::clone(&script) as _;
        let session =
            Session::new(options, budgets, wire, tokens, clock.clone(), Random::seeded(1)).unwrap();
        for posts in [1, 1] {
            let desk = Desk::default();
            let (end, ()) = tokio::join!(perform_in_time(&session, &desk, &clock), async {
                clock.sleep(Duration::from_secs(5)).await;
                desk.stop();
            });
            assert_eq!((end, script.times(Ask::Post).len()), (EndKind::Stopped, posts));
        }
    });
}

async fn perform_in_time(session: &Session, desk: &Desk, clock: &paceline_clock::Clock) -> EndKind {
    let job = Job::new("p");
    tokio::select! {
        end = perform(session, &job, desk, clock) => end,
        () = clock.sleep(TOO_LONG) => panic!("the job hangs"),
    }
}

#[test]
fn a_listing_that_cannot_be_read_keeps_no_job_from_its_end() {
    for bad in [
        reply(200, r#"{"runs":[{"runId":"a","status":"RUNNING"},{"runId":null}]}"#),
        reply(403, r#"{"code":"FORBIDDEN","message":"no listings for you"}"#),
    ] {
        SimClock::new().run(|clock| async move {
            let script = Script::new(&clock);
            let session =
                session(unlimited(), Arc::clone(&script) as _, &Token::new("hxtp_secret0"), &clock);
            script.say(Ask::Runs, [bad]);
            let note = |run: &str| Note::attach("p", RunId(run.to_owned()), clock.wall());
            let job = Job::new("p");
            let (a, b) = (Desk::default(), Desk::default());
            script.say(
                Ask::Status,
                [
                    reply(200, r#"{"runId":"a","status":"COMPLETED"}"#),
                    reply(200, r#"{"runId":"b","status":"COMPLETED"}"#),
                ],
            );
            let (a, b) = tokio::join!(
                session.perform(&job, Some(note("a")), &a),
                session.perform(&job, Some(note("b")), &b)
            );
            assert_eq!((word(&a.kind), word(&b.kind)), ("completed", "completed"));
            assert!(clock.now().as_millis() < 300_000);
        });
    }
}

#[test]
fn a_cancel_is_sent_until_hex_takes_it() {
    SimClock::new().run(|clock| async move {
        let script = Script::new(&clock);
        let session =
            session(unlimited(), Arc::clone(&script) as _, &Token::new("hxtp_secret0"), &clock);
        script.say(Ask::Status, [reply(200, r#"{"runId":"r","status":"RUNNING"}"#)]);
        let desk = Desk::default();
        script.say(Ask::Cancel, (0..6).map(|_| reply(502, "<html>")).chain([reply(204, "")]));
        let (end, ()) = tokio::join!(perform_in_time(&session, &desk, &clock), async {
            while script.times(Ask::Cancel).len() < 7 && clock.now().as_millis() < 5_000_000 {
                clock.sleep(Duration::from_secs(1)).await;
            }
            script.say(Ask::Status, [reply(200, r#"{"runId":"r","status":"KILLED"}"#)]);
        });
        assert_eq!((word(&end), script.times(Ask::Cancel).len()), ("STUCK", 7), "{end:?}");
    });
}

#[test]
fn a_cancelled_run_that_nobody_could_look_at_is_not_said_to_go_on() {
    SimClock::new().run(|clock| async move {
        let script = Script::new(&clock);
        let token = Token::new("hxtp_secret0");
        let session = session(unlimited(), Arc::clone(&script) as _, &token, &clock);
        script.say(Ask::Status, [reply(200, r#"{"runId":"r","status":"RUNNING"}"#)]);
        let desk = Desk::default();
        let (end, ()) = tokio::join!(perform_in_time(&session, &desk, &clock), async {
            while script.times(Ask::Cancel).is_empty() {
                clock.sleep(Duration::from_secs(1)).await;
            }
            script.say(Ask::Status, [reply(503, "<html>")]);
            clock.sleep(Duration::from_secs(15 * 60)).await;
            script.say(Ask::Status, [reply(200, r#"{"runId":"r","status":"COMPLETED"}"#)]);
        });
        assert_eq!(word(&end), "completed", "{end:?}");
    });
}
