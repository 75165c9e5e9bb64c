//! Every way a run can end, each its own clear outcome (acceptance 4 of issue 4).

use std::sync::Arc;
use std::time::Duration;

use paceline_clock::SimClock;
use paceline_hex::{Conflict, EndKind, Note, Options};
use paceline_lab::{HexConfig, HexStats};

use crate::support::{
    Desk, SimWire, Token, batch, job, perform, project, session, unlimited, word,
};

/// One job against a Hex in which this goes wrong: its end, and what Hex saw.
fn one(faults: &str, options: Options) -> (EndKind, HexStats, Duration) {
    several(1, faults, options, |_| {}).map_end()
}

struct Several(Vec<EndKind>, HexStats, Duration);

impl Several {
    fn map_end(mut self) -> (EndKind, HexStats, Duration) {
        (self.0.remove(0), self.1, self.2)
    }
}

fn several(
    jobs: usize,
    faults: &str,
    options: Options,
    change: impl FnOnce(&mut HexConfig),
) -> Several {
    SimClock::new().run(|clock| async move {
        let mut config = HexConfig { faults: faults.parse().unwrap(), ..HexConfig::default() };
        change(&mut config);
        let wire = SimWire::new(config, &clock);
        let session = session(options, Arc::clone(&wire) as _, &Token::new("t"), &clock);
        let jobs = (0..jobs).map(|n| job(n, 1)).collect();
        let ends = batch(&session, jobs, 25, &clock).await;
        Several(ends, wire.hex.stats(), clock.now() - paceline_clock::Tick::ZERO)
    })
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

#[test]
fn each_status_is_an_outcome_of_its_own() {
    for (faults, wanted, status) in [
        ("none", "completed", "COMPLETED"),
        ("errored:1", "ERRORED", "ERRORED"),
        ("killed:1", "KILLED", "KILLED"),
        ("no-kernel:1", "NO_KERNEL", "UNABLE_TO_ALLOCATE_KERNEL"),
        ("stuck-running:1", "STUCK", "KILLED"),
        ("stuck-pending:1", "STUCK", "KILLED"),
        ("stuck-running:1,completes-on-cancel:1", "completed", "COMPLETED"),
    ] {
        let (end, stats, took) = one(faults, unlimited());
        assert_eq!(word(&end), wanted, "{faults}: {end:?}");
        let (EndKind::Completed(report) | EndKind::Failed { run: Some(report), .. }) = end else {
            panic!("{faults}: {end:?}");
        };
        assert_eq!(report.status, status, "{faults}");
        assert_eq!(report.run_id.0, stats.run_list[0].run_id);
        assert!(report.run_url.is_some() && report.trace_id.is_some());
        assert_eq!(stats.started, 1, "{faults}");
        if faults.contains("stuck") {
            assert!(took >= minutes(30) && took < minutes(31), "{faults}: {took:?}");
        }
    }
}

#[test]
fn a_stuck_run_is_left_alone_if_asked() {
    let options = Options { cancel_stuck: false, ..unlimited() };
    let (end, stats, _) = one("stuck-running:1", options);
    assert_eq!((word(&end), stats.cancelled), ("STUCK", 0));
    assert!(matches!(&end, EndKind::Failed { message, .. } if message.contains("left running")));
}

#[test]
fn a_cancel_gets_through_a_hex_that_stumbles() {
    for faults in ["drop-on-cancel:#1", "500-on-cancel:#1..2", "429-on-cancel=3:#1"] {
        let (end, stats, _) = one(&format!("stuck-running:1,{faults}"), unlimited());
        assert_eq!((word(&end), stats.cancelled), ("STUCK", 1), "{faults}");
    }
}

#[test]
fn an_unpublished_project_is_found_before_anything_is_triggered() {
    let Several(ends, stats, _) = several(40, "none", unlimited(), |config| {
        config.projects[0].published = false;
    });
    assert!(ends.iter().all(|end| word(end) == "UNPUBLISHED"), "{ends:?}");
    assert_eq!((stats.calls.get("RunProject"), stats.overall.accepted), (None, 1), "{stats:?}");
}

#[test]
fn what_hex_refuses_for_good_is_told_in_its_words() {
    let Several(ends, stats, _) = several(1, "none", unlimited(), |config| {
        let input = paceline_lab::HexInput::String;
        config.projects[0].inputs.insert("n".to_owned(), input);
    });
    let EndKind::Failed { code, message, run: None } = &ends[0] else { panic!("{ends:?}") };
    assert_eq!((*code, stats.started), ("HTTP_STATUS", 0));
    assert!(message.contains("HTTP 422") && message.contains('n'), "{message}");
}

#[test]
fn without_a_kernel_a_job_waits_for_one_and_fails_at_nothing() {
    let Several(ends, stats, _) = several(20, "none", unlimited(), |config| {
        config.kernels = Some(4);
        config.projects[0].run = "20000".parse().unwrap();
    });
    assert!(ends.iter().all(|end| word(end) == "completed"), "{ends:?}");
    assert_eq!((stats.started, stats.double_started), (20, 0));
    // One refused start closes the door; after that a run starts when one ends, and a try now and then.
    assert!((1..=12).contains(&stats.kernels_refused), "{}", stats.kernels_refused);
}

#[test]
fn our_own_bound_on_kernels_keeps_hex_from_refusing_any() {
    let options = Options { kernels: 4, ..unlimited() };
    let Several(ends, stats, _) = several(20, "none", options, |config| {
        config.kernels = Some(4);
    });
    assert!(ends.iter().all(|end| word(end) == "completed"), "{ends:?}");
    assert_eq!(stats.kernels_refused, 0);
}

#[test]
fn without_a_kernel_for_too_long_a_job_gives_up() {
    let options = Options { kernel_wait_max: minutes(5), ..unlimited() };
    let (end, stats, _) = one("503-kernels:1", options);
    assert_eq!((word(&end), stats.started), ("NO_KERNEL", 0));
}

#[test]
fn each_policy_for_another_run_of_the_project() {
    for (conflict, started, wanted) in [
        (Conflict::Wait, 3, ["completed", "completed", "completed"]),
        (Conflict::Attach, 1, ["completed", "completed", "completed"]),
        (Conflict::Fail, 1, ["completed", "CONFLICT", "CONFLICT"]),
    ] {
        let options = Options { conflict, ..unlimited() };
        let Several(ends, stats, _) = several(3, "409-on-overlap:1", options, |config| {
            config.projects[0].run = "30000".parse().unwrap();
        });
        assert_eq!(ends.iter().map(word).collect::<Vec<_>>(), wanted, "{conflict:?}");
        assert_eq!((stats.started, stats.double_started), (started, 0), "{conflict:?}");
    }
}

#[test]
fn a_run_that_is_not_ours_is_never_cancelled() {
    SimClock::new().run(|clock| async move {
        let faults = "stuck-running:1,409-on-overlap:1".parse().unwrap();
        let wire = SimWire::new(HexConfig { faults, ..HexConfig::default() }, &clock);
        let options = Options { conflict: Conflict::Attach, ..unlimited() };
        let token = Token::new("t");
        let theirs = session(options.clone(), Arc::clone(&wire) as _, &token, &clock);
        let other = {
            let clock = clock.clone();
            tokio::spawn(async move {
                let desk = Desk::default();
                let job = job(0, 1);
                let run = perform(&theirs, &job, &desk, &clock);
                tokio::select! { end = run => panic!("{end:?}"), () = clock.sleep(minutes(29)) => {} }
            })
        };
        clock.sleep(Duration::from_secs(5)).await;
        let ours = session(options, Arc::clone(&wire) as _, &token, &clock);
        let desk = Desk::default();
        let end = perform(&ours, &job(1, 1), &desk, &clock).await;
        other.await.unwrap();
        assert_eq!((word(&end), wire.hex.stats().cancelled, wire.hex.stats().started), ("STUCK", 0, 1));
    });
}

#[test]
fn a_stop_ends_a_job_at_a_safe_point_and_it_goes_on_from_its_note() {
    SimClock::new().run(|clock| async move {
        let mut config = HexConfig::default();
        config.projects[0].run = "60000".parse().unwrap();
        let wire = SimWire::new(config, &clock);
        let session = session(unlimited(), Arc::clone(&wire) as _, &Token::new("t"), &clock);
        let desk = Desk::default();
        let job = job(0, 1);
        let (end, ()) = tokio::join!(perform(&session, &job, &desk, &clock), async {
            clock.sleep(Duration::from_secs(20)).await;
            desk.stop();
        });
        assert_eq!(end, EndKind::Stopped);
        assert!(matches!(desk.note(), Some(Note::Started { .. })));
        assert_eq!(perform(&session, &job, &desk, &clock).await, EndKind::Stopped, "still stopped");
        desk.go_on();
        assert_eq!(word(&perform(&session, &job, &desk, &clock).await), "completed");
        let stats = wire.hex.stats();
        assert_eq!((stats.started, stats.cancelled, desk.note()), (1, 0, None));
        assert_eq!(stats.run_list[0].project_id, project(1));
    });
}
