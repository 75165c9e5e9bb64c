//! Acceptance 1 of issue 4: 200 jobs through Hex's own limits, in virtual time.

use std::time::Duration;

use paceline_clock::SimClock;
use paceline_hex::Options;
use paceline_lab::{HexConfig, HexLimits, HexProject, HexStats, Policy};

use crate::support::{SimWire, Token, batch, job, session, word};

struct Outcome {
    ends: Vec<&'static str>,
    stats: HexStats,
    elapsed: Duration,
}

fn run(
    jobs: usize,
    projects: usize,
    concurrency: usize,
    options: Options,
    config: HexConfig,
) -> Outcome {
    SimClock::new().run(|clock| async move {
        let wire = SimWire::new(config, &clock);
        let token = Token::new("hxtp_1");
        let session = session(options, std::sync::Arc::clone(&wire) as _, &token, &clock);
        let jobs = (0..jobs).map(|n| job(n, projects)).collect();
        let ends = batch(&session, jobs, concurrency, &clock).await;
        Outcome {
            ends: ends.iter().map(word).collect(),
            stats: wire.hex.stats(),
            elapsed: clock.now() - paceline_clock::Tick::ZERO,
        }
    })
}

/// Hex with its documented limits.
fn hex(policy: &Policy, net: &str, seed: u64) -> HexConfig {
    let limits = HexLimits::documented(policy);
    HexConfig { limits, net: net.parse().unwrap(), seed, kernels: Some(25), ..HexConfig::default() }
}

fn refused(stats: &HexStats) -> [u64; 3] {
    [stats.runs.refused, stats.reads.refused, stats.overall.refused]
}

#[expect(clippy::print_stdout, reason = "the table of the measurement")]
fn check(name: &str, jobs: usize, outcome: &Outcome) {
    let Outcome { ends, stats, elapsed } = outcome;
    println!(
        "{name}: refused {:?}, last start {} s, {} reads, {} calls, end {} s",
        refused(stats),
        stats.last_start_ms.unwrap() / 1_000,
        stats.reads.accepted,
        stats.overall.accepted,
        elapsed.as_secs(),
    );
    assert_eq!(refused(stats), [0, 0, 0], "{name}");
    assert!(ends.iter().all(|end| *end == "completed"), "{name}: {ends:?}");
    assert_eq!((stats.started, stats.double_started), (jobs as u64, 0), "{name}");
    assert!(stats.run_list.iter().all(|run| run.end_told), "{name}: an end that was not seen");
}

/// `cargo test -p paceline-hex 200_jobs -- --nocapture` prints the table.
#[test]
fn hex_200_jobs_are_never_refused_and_end_when_the_limits_allow() {
    for policy in ["fixed", "first_call", "log"] {
        for (net, seed) in [("0..2000", 0), ("0..2000", 1), ("20", 2)] {
            let config = hex(&policy.parse().unwrap(), net, seed);
            let outcome = run(200, 10, 25, Options::default(), config);
            let name = format!("{policy} {net} {seed}");
            check(&name, 200, &outcome);
            let last = outcome.stats.last_start_ms.unwrap();
            assert!((10_692_000..=10_908_000).contains(&last), "{name}: {last}");
        }
    }
}

#[test]
fn one_project_and_two_hundred_projects_do_as_well() {
    let policy: Policy = "log".parse().unwrap();
    for (projects, run_ms) in
        [(1, "2000"), (1, "60000..600000"), (200, "2000"), (200, "60000..600000")]
    {
        let mut config = hex(&policy, "0..2000", 3);
        config.projects = (1..=projects).map(HexProject::numbered).collect();
        config.projects.iter_mut().for_each(|project| project.run = run_ms.parse().unwrap());
        let outcome = run(200, projects as usize, 25, Options::default(), config);
        let name = format!("{projects} projects, runs of {run_ms} ms");
        check(&name, 200, &outcome);
        // 200 projects take 400 reads before their triggers, and Hex allows 30 a minute: the first 20 triggers wait for
        // theirs, and every hour begins that much later.
        let most = if projects == 1 { 10_908_000 } else { 10_960_000 };
        let last = outcome.stats.last_start_ms.unwrap();
        assert!(last <= most, "{name}: {last}");
    }
}

#[test]
fn the_seed_s_own_figures() {
    for (jobs, hours) in [(15, 0), (65, 1), (100, 1)] {
        let config = hex(&Policy::FirstCall, "20..400", 4);
        let outcome = run(jobs, 10, 5, Options::default(), config);
        check(&format!("{jobs} jobs"), jobs, &outcome);
        assert_eq!(outcome.elapsed.as_secs() / 3_600, hours, "{jobs}");
    }
}

#[test]
fn a_spacing_is_kept_between_all_triggers() {
    let options = Options { min_spacing: Some(Duration::from_secs(5)), ..Options::default() };
    let outcome = run(30, 10, 25, options, hex(&Policy::FirstCall, "20..400", 5));
    check("spaced", 30, &outcome);
    let starts: Vec<u64> = outcome.stats.run_list.iter().map(|run| run.started_at_ms).collect();
    assert!(starts.windows(2).all(|pair| pair[1] - pair[0] >= 5_000), "{starts:?}");
}
