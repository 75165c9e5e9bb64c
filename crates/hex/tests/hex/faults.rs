//! Whatever goes wrong, no job is started twice, and every job ends as completed, failed or unknown.

use std::sync::Arc;
use std::time::Duration;

use paceline_clock::{Clock, Random, SimClock};
use paceline_hex::{Budgets, EndKind, Note, Options, Session};
use paceline_lab::{HexConfig, HexRun, HexStats};
use proptest::prelude::*;

use crate::support::{Desk, SimWire, Token, job, perform, session, session_with, unlimited, word};

const JOBS: usize = 10;

/// What goes wrong in one case.
#[derive(Clone, Debug)]
struct Trouble {
    faults: String,
    projects: usize,
    net: &'static str,
    seed: u64,
    /// Jobs are dropped so often in all.
    drops: u32,
    /// The whole process dies so often.
    kills: u32,
    calm_limits: bool,
}

fn trouble() -> impl Strategy<Value = Trouble> {
    let kinds = [
        "drop-before-start",
        "hang-before-start",
        "500-before-start",
        "503-before-start",
        "503-kernels",
        "429-on-start=5",
        "drop-after-start",
        "hang-after-start",
        "500-after-start",
        "502-after-start",
        "504-after-start",
        "garbled-after-start",
        "drop-on-read",
        "hang-on-read",
        "429-on-read=3",
        "500-on-read",
        "502-on-read",
        "garbled-on-read",
        "late-in-list=5000",
        "late-in-list=40000",
        "409-on-overlap",
        "errored",
        "killed",
        "foreign",
        "401",
    ];
    let fault = (0..kinds.len(), 1_u32..40)
        .prop_map(move |(kind, percent)| format!("{}:0.{percent:02}", kinds[kind]));
    let faults = prop::collection::vec(fault, 0..5).prop_map(|faults| match faults.as_slice() {
        [] => "none".to_owned(),
        faults => faults.join(","),
    });
    let net = prop::sample::select(vec!["0", "20..400", "0..2000"]);
    (faults, 1_usize..4, net, any::<u64>(), 0_u32..12, 0_u32..4, any::<bool>()).prop_map(
        |(faults, projects, net, seed, drops, kills, calm_limits)| Trouble {
            faults,
            projects,
            net,
            seed,
            drops,
            kills,
            calm_limits,
        },
    )
}

/// A job whose future is dropped now and then, and taken up again from its note.
async fn dropped_now_and_then(
    session: &Session,
    n: usize,
    projects: usize,
    desk: &Desk,
    clock: &Clock,
    (drops, random): (u32, &Random),
) -> EndKind {
    let job = job(n, projects);
    for _ in 0..drops {
        let patience = Duration::from_secs_f64(random.unit() * 20.0);
        tokio::select! {
            end = perform(session, &job, desk, clock) => return end,
            () = clock.sleep(patience) => {}
        }
    }
    perform(session, &job, desk, clock).await
}

/// All jobs to their ends, through drops and kills.
async fn all(trouble: &Trouble, wire: &Arc<SimWire>, clock: &Clock) -> Vec<EndKind> {
    let random = Random::seeded(trouble.seed);
    let token = Token::new("hxtp_00");
    let options = if trouble.calm_limits { Options::default() } else { unlimited() };
    let options = Options { conflict_wait_max: Duration::from_secs(600), ..options };
    let budgets = Budgets::new(&options, clock).unwrap();
    let desks: Vec<Arc<Desk>> = (0..JOBS).map(|_| Arc::new(Desk::slow(clock, &random))).collect();
    let mut ends: Vec<Option<EndKind>> = vec![None; JOBS];
    for life in 0..=trouble.kills {
        let wire = Arc::clone(wire) as _;
        let session = session_with(options.clone(), budgets.clone(), wire, &token, clock);
        for (n, desk) in desks.iter().enumerate() {
            if let Some(EndKind::Completed(report)) = &ends[n] {
                session.own(&job(n, trouble.projects).project, [&report.run_id]);
            }
            if let Some(Note::Started { project, run_id, .. }) = desk.note() {
                session.own(&project, [&run_id]);
            }
        }
        let mut order: Vec<usize> = (0..JOBS).filter(|n| ends[*n].is_none()).collect();
        order.sort_by_key(|n| desks[*n].note().is_none());
        let mut tasks = Vec::new();
        for n in order {
            let (session, desk, clock) = (session.clone(), Arc::clone(&desks[n]), clock.clone());
            let (projects, random) = (trouble.projects, random.clone());
            let drops = if n < trouble.drops as usize { 1 + trouble.drops / 6 } else { 0 };
            let task = async move {
                dropped_now_and_then(&session, n, projects, &desk, &clock, (drops, &random)).await
            };
            tasks.push((n, tokio::spawn(task)));
        }
        let killed = (life < trouble.kills).then(|| Duration::from_secs_f64(random.unit() * 60.0));
        let death = async {
            match killed {
                Some(after) => clock.sleep(after).await,
                None => std::future::pending().await,
            }
        };
        let done = async {
            for (n, task) in &mut tasks {
                ends[*n] = Some(task.await.unwrap());
            }
        };
        tokio::select! { () = done => {}, () = death => {} }
        for (n, task) in tasks {
            if ends[n].is_none() {
                task.abort();
                // It may have ended just before it was killed.
                if let Ok(end) = task.await {
                    ends[n] = Some(end);
                }
            }
        }
    }
    ends.into_iter().map(Option::unwrap).collect()
}

fn judge(trouble: &Trouble, ends: &[EndKind], stats: &HexStats) -> Result<(), TestCaseError> {
    prop_assert_eq!(stats.double_started, 0, "{:?}", ends);
    for (n, end) in ends.iter().enumerate() {
        let known = [
            "completed",
            "unknown",
            "ERRORED",
            "KILLED",
            "CONFLICT",
            "NO_KERNEL",
            "HTTP_STATUS",
            "THROTTLED",
            "NO_CONNECTION",
        ];
        // A 401 twice in a row is a pause, and this batch has no engine that resumes it.
        let paused = matches!(end, EndKind::NoCredentials { .. }) && trouble.faults.contains("401");
        prop_assert!(known.contains(&word(end)) || paused, "{n}: {end:?}");
        let report = match end {
            EndKind::Completed(report) | EndKind::Failed { run: Some(report), .. } => report,
            EndKind::Failed { run: None, .. } | EndKind::Again { .. } => {
                let of_job = |run: &&HexRun| {
                    let params = run.input_params.as_ref();
                    !run.foreign && params.is_some_and(|params| params["n"] == n)
                };
                let started = stats.run_list.iter().find(of_job);
                prop_assert!(started.is_none(), "{n}: {end:?} although {started:?}");
                continue;
            }
            _ => continue,
        };
        // The one thing that no listing can tell: somebody else's run that began between the last listing and a POST that
        // never arrived looks as ours would.
        if trouble.faults.contains("foreign") {
            continue;
        }
        let run = stats.run_list.iter().find(|run| run.run_id == report.run_id.0).unwrap();
        let theirs = run.input_params.as_ref().and_then(|params| params["n"].as_u64());
        prop_assert_eq!(theirs, Some(n as u64), "job {} took another one's run", n);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn no_job_is_started_twice(trouble in trouble()) {
        let (ends, stats) = SimClock::new().run(|clock| {
            let trouble = trouble.clone();
            async move {
                let config = HexConfig {
                    faults: trouble.faults.parse().unwrap(),
                    net: trouble.net.parse().unwrap(),
                    seed: trouble.seed,
                    ..HexConfig::default()
                };
                let wire = SimWire::new(config, &clock);
                let ends = all(&trouble, &wire, &clock).await;
                (ends, wire.hex.stats())
            }
        });
        judge(&trouble, &ends, &stats)?;
    }
}

/// One job, one fault: what becomes of it.
#[test]
fn each_lost_answer_is_found_again_or_left_to_a_person() {
    for (fault, wanted, started) in [
        ("drop-after-start", "completed", 1),
        ("hang-after-start", "completed", 1),
        ("500-after-start", "completed", 1),
        ("502-after-start", "completed", 1),
        ("504-after-start", "completed", 1),
        ("garbled-after-start", "completed", 1),
        ("drop-after-start:#1,late-in-list=40000", "completed", 1),
        ("drop-after-start:#1,late-in-list=90000", "unknown", 1),
        ("drop-after-start:#1,foreign", "unknown", 1),
        ("drop-before-start", "unknown", 0),
        ("hang-before-start", "unknown", 0),
        ("500-before-start", "unknown", 0),
        ("502-before-start", "unknown", 0),
        ("503-before-start", "unknown", 0),
        ("503-kernels", "completed", 1),
        ("429-on-start", "completed", 1),
        ("401", "completed", 1),
    ] {
        SimClock::new().run(|clock| async move {
            let faults = format!("{fault}:#1").parse().unwrap();
            let wire = SimWire::new(HexConfig { faults, ..HexConfig::default() }, &clock);
            let session = session(unlimited(), Arc::clone(&wire) as _, &Token::new("t"), &clock);
            let desk = Desk::default();
            let end = perform(&session, &job(0, 1), &desk, &clock).await;
            let stats = wire.hex.stats();
            assert_eq!((word(&end), stats.started), (wanted, started), "{fault}: {end:?}");
            let is_unknown = matches!(end, EndKind::Unknown { .. });
            assert_eq!(is_unknown, matches!(desk.note(), Some(Note::Sending { .. })), "{fault}");
        });
    }
}

#[test]
fn it_is_started_again_only_where_a_person_said_so() {
    SimClock::new().run(|clock| async move {
        let faults = "drop-before-start:#1".parse().unwrap();
        let wire = SimWire::new(HexConfig { faults, ..HexConfig::default() }, &clock);
        let options = Options { start_again_if_not_found: true, ..unlimited() };
        let session = session(options, Arc::clone(&wire) as _, &Token::new("t"), &clock);
        let end = perform(&session, &job(0, 1), &Desk::default(), &clock).await;
        assert_eq!((word(&end), wire.hex.stats().started), ("completed", 1));
    });
}
