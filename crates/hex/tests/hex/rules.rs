//! One rule at a time, against a script.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use paceline_clock::{Clock, Random, SimClock, Tick};
use paceline_governor::{OutcomeClass, Transport};
use paceline_hex::{Books, Budgets, EndKind, Error, Job, Note, Options, RunId, Session};

use crate::script::{Ask, Say, Script, reply};
use crate::support::{Desk, Token, perform, session, unlimited, word};

/// A session over a script, in virtual time.
fn play<T>(scene: impl AsyncFnOnce(Session, Arc<Script>, Clock) -> T) -> T {
    play_with(unlimited(), scene)
}

fn play_with<T>(options: Options, scene: impl AsyncFnOnce(Session, Arc<Script>, Clock) -> T) -> T {
    SimClock::new().run(|clock| async move {
        let script = Script::new(&clock);
        let session =
            session(options, Arc::clone(&script) as _, &Token::new("hxtp_secret0"), &clock);
        scene(session, script, clock).await
    })
}

#[test]
fn what_a_post_s_answer_means_for_its_job() {
    let hex_503 = r#"{"code":"SERVICE_UNAVAILABLE","message":"no kernels"}"#;
    let cases: [(&str, Say, &str, Option<bool>); 12] = [
        ("429", reply(429, ""), "THROTTLED", Some(false)),
        ("no connection", Say::Fail(Transport::Connect), "NO_CONNECTION", Some(true)),
        ("no such host", Say::Fail(Transport::UnknownHost), "NO_CONNECTION", None),
        ("422", reply(422, r#"{"code":"X","message":"m"}"#), "HTTP_STATUS", None),
        ("403", reply(403, ""), "HTTP_STATUS", None),
        ("302", reply(302, ""), "HTTP_STATUS", None),
        ("409", reply(409, ""), "CONFLICT", None),
        ("422, then broken off", Say::BreakAfter(422), "HTTP_STATUS", None),
        ("no kernel", reply(503, hex_503), "NO_KERNEL", Some(true)),
        ("a proxy's 503", reply(503, "<html>"), "unknown", None),
        ("an unreadable 201", reply(201, "{}"), "unknown", None),
        ("broken", Say::Fail(Transport::Broken), "unknown", None),
    ];
    for (name, answer, wanted, counts) in cases {
        let (end, asked) = play(async |session, script, _| {
            script.say(Ask::Post, [answer]);
            let desk = Desk::default();
            let end = session.perform(&Job::new("p"), None, &desk).await;
            let posts = script.times(Ask::Post).len() as u64;
            let recorded = desk.posts.lock().unwrap().len() + usize::from(end.post.is_some());
            assert_eq!(recorded as u64, posts, "{name}: every POST is told once");
            let keeps = matches!(end.note, Some(Note::Sending { .. }));
            assert_eq!(keeps, matches!(end.kind, EndKind::Unknown { .. }), "{name}");
            (end.kind, posts)
        });
        assert_eq!(word(&end), wanted, "{name}: {end:?}");
        if let EndKind::Again { counts_as_error, outcome, .. } = &end {
            assert_eq!(Some(*counts_as_error), counts, "{name}");
            assert_eq!(outcome.class == OutcomeClass::Throttled, wanted == "THROTTLED", "{name}");
        }
        assert!(asked == 1 || matches!(name, "no kernel" | "409"), "{name}: {asked} POSTs");
    }
}

#[test]
fn a_blip_before_the_start_costs_the_job_nothing() {
    let blip = || reply(502, "<html>");
    let project = || reply(200, r#"{"id":"p","lastPublishedAt":"2026-01-01T00:00:00Z"}"#);
    let runs = || reply(200, r#"{"runs":[]}"#);
    let cases = [
        ("one each", [vec![blip(), project()], vec![blip(), runs()]], "completed", 1),
        ("all tries", [vec![blip()], vec![runs()]], "HTTP_STATUS", 0),
        // It may be run, not looked at.
        ("forbidden", [vec![reply(403, "")], vec![runs()]], "completed", 1),
        ("gone", [vec![reply(404, "")], vec![runs()]], "HTTP_STATUS", 0),
    ];
    for (name, [projects, listings], wanted, posts) in cases {
        play(async |session, script, clock| {
            script.say(Ask::Project, projects);
            script.say(Ask::Runs, listings);
            let end = session.perform(&Job::new("p"), None, &Desk::default()).await;
            assert_eq!(word(&end.kind), wanted, "{name}: {end:?}");
            assert_eq!(script.times(Ask::Post).len(), posts, "{name}");
            let patient = matches!(end.kind, EndKind::Again { counts_as_error: true, .. });
            assert_eq!(patient, name == "all tries", "{name}: {end:?}");
            assert_eq!(patient, clock.now() >= Tick::from_millis(15_000), "{name}");
        });
    }
}

#[test]
fn the_gauge_tells_when_the_read_limits_let_a_run_be_looked_at() {
    // Both reads of the minute are spent before the start.
    let options = Options { poll_limits: vec!["2/min".parse().unwrap()], ..unlimited() };
    play_with(options, async |session, _, clock| {
        let (job, desk) = (Job::new("p"), Desk::default());
        let look = async {
            clock.sleep(Duration::from_secs(20)).await;
            session.gauge()
        };
        let (end, gauge) = tokio::join!(session.perform(&job, None, &desk), look);
        assert_eq!(word(&end.kind), "completed");
        assert_eq!((gauge.triggered, gauge.pending, gauge.ended), (1, 1, 0));
        let wait_ms = gauge.next_look_ms.unwrap();
        assert!((39_000..41_000).contains(&wait_ms), "{wait_ms}");
        assert!(clock.now() >= Tick::from_millis(60_000));
        assert_eq!(session.gauge().next_look_ms, None, "nothing is watched any more");
    });
}

#[test]
fn a_429_waits_for_what_it_says_and_pauses_triggers_alone() {
    let headers = |name, value: &str| vec![(name, value.to_owned())];
    // A date names a second of which nobody knows how much is over: one more.
    for (headers, seconds) in [
        (headers("retry-after", "90"), 90),
        (headers("retry-after", "Thu, 01 Jan 2026 00:02:00 GMT"), 121),
        (headers("ratelimit-reset", "45"), 45),
        (vec![("ratelimit-remaining", "0".to_owned()), ("ratelimit-reset", "200".to_owned())], 200),
        (Vec::new(), 60),
    ] {
        play(async |session, script, clock| {
            script.say(
                Ask::Post,
                [Say::Reply(429, headers, String::new()), reply(201, r#"{"runId":"r"}"#)],
            );
            let desk = Desk::default();
            let end = session.perform(&Job::new("p"), None, &desk).await;
            desk.close(&end);
            let EndKind::Again { outcome, .. } = end.kind else { panic!("a 429 is tried again") };
            assert_eq!(outcome.retry_after, Some(Duration::from_secs(seconds)));
            // Reads, cancels and listings go on; the next trigger does not.
            session.run_status("p", &RunId("r".to_owned())).await.unwrap();
            session.cancel("p", &RunId("r".to_owned())).await.unwrap();
            assert_eq!(clock.now(), Tick::ZERO);
            assert_eq!(word(&perform(&session, &Job::new("p"), &desk, &clock).await), "completed");
            assert_eq!(script.times(Ask::Post), [0, seconds]);
        });
    }
}

#[test]
fn a_poll_s_429_pauses_reads_and_no_trigger() {
    play(async |session, script, clock| {
        let slow = Say::Reply(429, vec![("retry-after", "300".to_owned())], String::new());
        let done = reply(200, r#"{"runId":"r","status":"COMPLETED"}"#);
        script.say(Ask::Status, [slow, done]);
        let (first, second) = (Desk::default(), Desk::default());
        let job = Job::new("p");
        let (a, b) = tokio::join!(perform(&session, &job, &first, &clock), async {
            clock.sleep(Duration::from_secs(20)).await;
            script.say(Ask::Post, [reply(201, r#"{"runId":"r"}"#)]);
            perform(&session, &job, &second, &clock).await
        });
        assert_eq!((word(&a), word(&b)), ("completed", "completed"));
        assert_eq!(script.times(Ask::Post), [0, 20]);
        assert_eq!(script.times(Ask::Status)[..2], [5, 305]);
    });
}

#[test]
fn no_failing_look_fails_a_job_and_an_unknown_status_is_no_end() {
    play(async |session, script, clock| {
        script.say(
            Ask::Status,
            [
                reply(500, "oops"),
                Say::Fail(Transport::Broken),
                Say::Fail(Transport::Connect),
                reply(200, "not json"),
                reply(404, r#"{"code":"NOT_FOUND","message":"no run"}"#),
                reply(200, r#"{"runId":"r","status":"WARMING_UP"}"#),
                reply(200, r#"{"runId":"r","status":"RUNNING","startTime":null}"#),
                reply(200, r#"{"runId":"r","status":"COMPLETED","elapsedTime":1234}"#),
            ],
        );
        let end = perform(&session, &Job::new("p"), &Desk::default(), &clock).await;
        let EndKind::Completed(report) = end else { panic!("{end:?}") };
        assert_eq!((report.elapsed_ms, script.times(Ask::Post).len()), (Some(1234), 1));
    });
}

#[test]
fn a_run_that_hex_does_not_show_any_more_is_for_a_person() {
    play(async |session, script, clock| {
        script.say(Ask::Status, [reply(404, r#"{"code":"NOT_FOUND","message":"no run"}"#)]);
        let end = perform(&session, &Job::new("p"), &Desk::default(), &clock).await;
        let EndKind::Unknown { candidates, message } = end else { panic!("{end:?}") };
        assert_eq!(candidates, [RunId("r".to_owned())]);
        assert!(message.contains("no run") && clock.now().as_millis() < 400_000, "{message}");
    });
}

#[test]
fn a_token_that_the_server_repeats_is_in_no_output() {
    play(async |session, script, clock| {
        let body =
            r#"{"code":"BAD","message":"Bearer hxtp_secret0 is bad","traceId":"hxtp_secret0"}"#;
        script.say(Ask::Post, [reply(400, body)]);
        let end = perform(&session, &Job::new("p"), &Desk::default(), &clock).await;
        assert!(format!("{end:?}").contains("********") && !format!("{end:?}").contains("secret0"));
        script.say(Ask::Project, [reply(403, body)]);
        let error = session.project("p").await.unwrap_err();
        assert!(!format!("{error:?} {session:?}").contains("secret0"), "{error:?}");
        assert!(matches!(error, Error::Status { status: 403, .. }));
    });
}

#[test]
fn nothing_is_sent_that_is_not_on_record() {
    play(async |session, script, _| {
        let desk = Desk::default();
        *desk.broken.lock().unwrap() = true;
        let end = session.perform(&Job::new("p"), None, &desk).await;
        assert_eq!((end.kind, script.times(Ask::Post).len()), (EndKind::Stopped, 0));
        assert_eq!(desk.sendings.load(SeqCst), 1);
    });
}

#[test]
fn at_most_one_unsettled_post_per_project() {
    play(async |session, script, clock| {
        script.say(Ask::Post, [Say::Fail(Transport::Broken), reply(201, r#"{"runId":"r"}"#)]);
        let (first, second) = (Desk::default(), Desk::default());
        let (one, two) = (Job::new("p").param("n", 1), Job::new("p").param("n", 2));
        let (a, b) = tokio::join!(
            perform(&session, &one, &first, &clock),
            perform(&session, &two, &second, &clock)
        );
        assert_eq!((word(&a), word(&b)), ("unknown", "completed"));
        assert_eq!(
            script.times(Ask::Post),
            [0, 60],
            "the second waited until the first was settled"
        );
        assert_eq!(script.times(Ask::Runs)[..5], [0, 2, 10, 30, 60]);
    });
}

#[test]
fn a_job_that_cannot_be_is_refused_before_anything_is_asked() {
    play(async |session, script, clock| {
        let job = Job { view_id: Some("v".to_owned()), ..Job::new("p").param("a", 1) };
        let end = perform(&session, &job, &Desk::default(), &clock).await;
        assert_eq!((word(&end), script.calls.lock().unwrap().len()), ("INVALID_JOB", 0));
    });
}

#[test]
fn a_stop_is_heard_while_a_job_waits_for_its_turn() {
    let options = Options { trigger_limits: vec!["1/h".parse().unwrap()], ..unlimited() };
    play_with(options, async |session, script, clock| {
        let first = perform(&session, &Job::new("p"), &Desk::default(), &clock).await;
        assert_eq!(word(&first), "completed");
        let (desk, job) = (Desk::default(), Job::new("p"));
        let (end, ()) = tokio::join!(perform(&session, &job, &desk, &clock), async {
            clock.sleep(Duration::from_secs(100)).await;
            desk.stop();
        });
        assert_eq!((end, script.times(Ask::Post).len()), (EndKind::Stopped, 1));
        assert!(clock.now().as_millis() < 200_000 && desk.note().is_none());
    });
}

#[test]
fn who_starts_anew_after_publishing_is_not_told_that_it_is_unpublished() {
    SimClock::new().run(|clock| async move {
        let (script, books) = (Script::new(&clock), Books::default());
        let published = reply(200, r#"{"id":"p","lastPublishedAt":"2026-01-01T00:00:00Z"}"#);
        script.say(Ask::Project, [reply(200, r#"{"id":"p","lastPublishedAt":null}"#), published]);
        for wanted in ["UNPUBLISHED", "completed"] {
            let (options, tokens) = (unlimited(), Token::new("hxtp_secret0"));
            let budgets = Budgets::new(&options, &clock).unwrap();
            let wire = Arc::clone(&script) as _;
            let (clock, random) = (clock.clone(), Random::seeded(1));
            let session =
                Session::with_books(&books, options, budgets, wire, tokens, clock.clone(), random);
            for _ in 0..2 {
                let desk = Desk::default();
                let end = perform(session.as_ref().unwrap(), &Job::new("p"), &desk, &clock).await;
                assert_eq!(word(&end), wanted);
            }
            clock.sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(script.times(Ask::Project).len(), 2);
    });
}
