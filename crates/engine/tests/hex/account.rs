//! Spec G2, G11, H10: columns of several tables with one token share its limits, fairly and over restarts, and after a
//! restart none of them takes another one's run for its own.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use paceline_clock::{Clock, SimClock, Timestamp};
use paceline_engine::Engine;
use paceline_lab::{HexConfig, HexLimits, HexStats, HexStatus, HexVendor, Policy};
use paceline_model::{CellState, RunId, Scope, Table};
use paceline_store::SqliteStore;
use serde_json::{Value as Json, json};

use crate::support::{
    COLUMN, TokenFile, add_column, cells, config, engine, fast, fast_reads, jobs_named, states,
    values,
};

/// Two tables with a column of jobs each, of the same projects on one token. The jobs of each say which table's they are.
const TABLES: [&str; 2] = ["one", "two"];

async fn make(engine: &Engine, rows: usize, more: &Json, rates: [Json; 2]) {
    for (name, rate) in TABLES.into_iter().zip(rates) {
        let table = jobs_named(engine, name, rows).await;
        let mut more = more.clone();
        more["params"] = json!({name: "{{n}}"});
        add_column(engine, &table, config(more), rate).await.unwrap();
    }
}

async fn opened(engine: &Engine, name: &str) -> Table {
    engine.store().table(name).await.unwrap().unwrap()
}

/// How many runs each table's jobs have started, of the first `most` that were started at all.
fn shares(stats: &HexStats, most: usize) -> BTreeMap<&'static str, usize> {
    let mut shares = BTreeMap::new();
    for run in stats.run_list.iter().take(most) {
        let params = run.input_params.as_ref().unwrap();
        let table = TABLES.into_iter().find(|table| params.get(*table).is_some());
        *shares.entry(table.unwrap()).or_default() += 1;
    }
    shares
}

fn assert_none_refused(stats: &HexStats, what: &str) {
    for (group, seen) in
        [("runs", &stats.runs), ("reads", &stats.reads), ("overall", &stats.overall)]
    {
        assert_eq!(seen.refused, 0, "{what}: {group}: {seen:?}");
    }
    assert_eq!(stats.double_started, 0, "{what}");
}

/// One life of a process that works on both columns and dies after so long. Answers how many cells are unknown
/// if both came to their end.
fn life(
    sim: &SimClock,
    dir: &Path,
    vendor: &Arc<HexVendor>,
    (rows, rates): (usize, &[Json; 2]),
    die_after: Duration,
) -> Option<usize> {
    sim.run(|clock: Clock| async move {
        let store = SqliteStore::open(dir, clock.clone()).unwrap();
        let engine = engine(&store, &clock, vendor, TokenFile::of("token"));
        let runs: Vec<RunId> = if engine.store().tables().await.unwrap().is_empty() {
            make(&engine, rows, &json!({"kernels": 100}), rates.clone()).await;
            let mut runs = Vec::new();
            // The other way round than they are taken up after a restart.
            for name in TABLES.into_iter().rev() {
                let table = opened(&engine, name).await;
                runs.push(engine.start_run(&table, COLUMN, Scope::All).await.unwrap().id);
            }
            runs
        } else {
            let left = engine.resume_left_behind().await.unwrap();
            left.iter().map(|run| run.id).collect()
        };
        let all = async {
            for run in runs {
                let run = engine.wait(run).await.unwrap();
                assert!(run.status.is_final(), "{:?}", run.reason);
            }
            unknown_of(&engine, vendor).await
        };
        tokio::select! {
            unknown = all => Some(unknown),
            () = clock.sleep(die_after) => None,
        }
    })
}

/// Every cell holds a run of its own, or was on its way when the process died and never arrived: how many of these.
async fn unknown_of(engine: &Engine, vendor: &HexVendor) -> usize {
    let stats = vendor.stats();
    let params: BTreeMap<&str, &Json> = stats
        .run_list
        .iter()
        .filter_map(|run| Some((run.run_id.as_str(), run.input_params.as_ref()?)))
        .collect();
    let mut unknown = 0;
    for name in TABLES {
        let table = opened(engine, name).await;
        let (cells, values) = (cells(engine, &table).await, values(engine, &table).await);
        for (cell, value) in cells.iter().zip(&values) {
            if cell.state == CellState::Unknown {
                assert!(cell.error.as_ref().unwrap().message.contains("no run of it appeared"));
                assert!(params.values().all(|params| params[name] != cell.row.0), "{cell:?}");
                unknown += 1;
                continue;
            }
            assert_eq!(cell.state, CellState::Completed, "{cell:?}");
            assert_eq!(params[value["runId"].as_str().unwrap()][name], cell.row.0, "its own run");
        }
    }
    unknown
}

#[test]
fn two_tables_on_one_token_are_never_refused_and_take_turns_over_restarts() {
    const ROWS: usize = 60;
    const DEATHS_MS: &[u64] = &[9_000, 61_500, 400, 3_000_000];
    let cases = [
        ("log", &[][..]),
        ("log", DEATHS_MS),
        ("fixed:17000", DEATHS_MS),
        ("first_call", DEATHS_MS),
    ];
    for (name, deaths) in cases {
        let dir = tempfile::tempdir().unwrap();
        let sim = SimClock::new();
        let policy: Policy = name.parse().unwrap();
        let mut hex = HexConfig {
            limits: HexLimits::documented(&policy),
            net: "20..2000".parse().unwrap(),
            seed: 11,
            ..HexConfig::default()
        };
        hex.projects.iter_mut().for_each(|one| one.run = "1000..20000".parse().unwrap());
        let vendor = Arc::new(HexVendor::new(hex, sim.clock()).unwrap());
        // One has twice as many jobs at once, and no more of the limits for it.
        let rates = [json!({"max_concurrent": 48}), json!({"max_concurrent": 24})];
        for death in deaths {
            let after = Duration::from_millis(*death);
            life(&sim, dir.path(), &vendor, (ROWS, &rates), after);
        }
        let after = Duration::from_secs(100_000);
        let unknown = life(&sim, dir.path(), &vendor, (ROWS, &rates), after).unwrap();

        let stats = vendor.stats();
        assert_none_refused(&stats, name);
        assert_eq!(stats.started as usize + unknown, 2 * ROWS, "{name}");
        assert!(unknown <= 3 * deaths.len(), "{name}: {unknown}");
        let shares = shares(&stats, ROWS);
        println!("{name}, {} deaths: {shares:?} of the first {ROWS}", deaths.len());
        let least = shares.values().min().copied().unwrap_or_default();
        // Every start begins with one job per project of the column that comes first.
        let tenths = if deaths.is_empty() { 4 } else { 3 };
        assert!(shares.len() == 2 && least * 10 >= ROWS * tenths, "{name}: {shares:?}");
        let hours = Duration::from_millis(stats.last_start_ms.unwrap()).as_secs_f64() / 3600.0;
        // 120 at 60 an hour: the last one after the first hour, in the burst that the second one begins with.
        assert!(hours < 1.2, "{name}: the last trigger came after {hours:.2} h");
    }
}

#[test]
fn what_the_other_column_had_under_way_when_the_process_died_is_counted() {
    let mut were_under_way = 0;
    for died_ms in (12_000..17_000).step_by(500) {
        let dir = tempfile::tempdir().unwrap();
        let sim = SimClock::new();
        let mut hex =
            HexConfig { limits: HexLimits::documented(&Policy::LOG), ..HexConfig::default() };
        (hex.net, hex.seed) = ("2000..4000".parse().unwrap(), died_ms);
        let vendor = Arc::new(HexVendor::new(hex, sim.clock()).unwrap());
        let rates = [Json::Null, Json::Null];
        life(&sim, dir.path(), &vendor, (10, &rates), Duration::from_millis(died_ms));
        let started = vendor.stats().started as usize;
        let (used, known) = sim.run(|clock| {
            let (dir, vendor) = (dir.path().to_owned(), Arc::clone(&vendor));
            async move {
                let store = SqliteStore::open(&dir, clock.clone()).unwrap();
                let engine = engine(&store, &clock, &vendor, TokenFile::of("token"));
                let table = opened(&engine, "one").await;
                let run = engine.store().runs(table.id, 1).await.unwrap().remove(0);
                let mut known = 0;
                for name in TABLES {
                    let column = opened(&engine, name).await.column(COLUMN).unwrap().id;
                    let since = Timestamp::default();
                    known += engine.store().calls_since(column, since, 99).await.unwrap().len();
                }
                engine.resume_run(run.id).await.unwrap();
                let budgets = engine.budgets();
                let triggers = budgets.iter().find(|budget| budget.purpose == "triggers");
                (triggers.unwrap().status.limits[0].used, known)
            }
        });
        assert!(used >= started, "died after {died_ms} ms: {used} of {started} are known");
        were_under_way += started.saturating_sub(known);
    }
    assert!(were_under_way > 0, "or nothing was tried");
}

#[test]
fn after_a_kill_the_runs_are_looked_at_again_within_seconds() {
    let dir = tempfile::tempdir().unwrap();
    let sim = SimClock::new();
    let mut hex = HexConfig { limits: HexLimits::documented(&Policy::LOG), ..HexConfig::default() };
    hex.projects.iter_mut().for_each(|one| one.run = "20000".parse().unwrap());
    let vendor = Arc::new(HexVendor::new(hex, sim.clock()).unwrap());
    let rates = [Json::Null, Json::Null];
    // Hardly any of the reads are used, and when it dies nobody knows how many since the last save.
    let killed_after = Duration::from_secs(12);
    assert_eq!(life(&sim, dir.path(), &vendor, (1, &rates), killed_after), None);
    let soon = Duration::from_secs(25);
    assert_eq!(life(&sim, dir.path(), &vendor, (1, &rates), soon), Some(0));
    assert_none_refused(&vendor.stats(), "log");
}

/// What the other column was at when the process died.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Other {
    Done,
    Failed,
    UnderWay,
    Unsettled,
}

#[test]
fn after_a_restart_no_column_takes_another_ones_run() {
    for other in [Other::Done, Other::Failed, Other::UnderWay, Other::Unsettled] {
        let dir = tempfile::tempdir().unwrap();
        let sim = SimClock::new();
        // The first trigger is lost on its way: nothing of it is ever started.
        let faults = match other {
            Other::Unsettled => "drop-before-start:#1,drop-after-start:#2",
            _ => "drop-before-start:#1",
        };
        let mut hex = HexConfig { faults: faults.parse().unwrap(), ..HexConfig::default() };
        hex.net = "50".parse().unwrap();
        for project in &mut hex.projects {
            project.run = "30000".parse().unwrap();
            if other == Other::Failed {
                project.ends = HexStatus::Errored;
            }
        }
        let vendor = Arc::new(HexVendor::new(hex, sim.clock()).unwrap());
        let open = |clock: &Clock| {
            let store = SqliteStore::open(dir.path(), clock.clone()).unwrap();
            engine(&store, clock, &vendor, TokenFile::of("token"))
        };
        let first = sim.run(|clock| async move {
            let engine = open(&clock);
            make(&engine, 1, &fast_reads(), [fast(), fast()]).await;
            let table = opened(&engine, "one").await;
            let run = engine.start_run(&table, COLUMN, Scope::All).await.unwrap();
            clock.sleep(Duration::from_secs(1)).await;
            run.id
        });
        sim.run(|clock| async move {
            let engine = open(&clock);
            let table = opened(&engine, "two").await;
            let run = engine.start_run(&table, COLUMN, Scope::All).await.unwrap();
            match other {
                Other::Done | Other::Failed => {
                    engine.wait(run.id).await.unwrap();
                }
                Other::UnderWay => clock.sleep(Duration::from_secs(10)).await,
                Other::Unsettled => clock.sleep(Duration::from_secs(1)).await,
            }
        });
        sim.run(|clock| async move {
            let engine = open(&clock);
            engine.resume_run(first).await.unwrap();
            engine.wait(first).await.unwrap();
            let table = opened(&engine, "one").await;
            assert_eq!(
                states(&engine, &table).await,
                BTreeMap::from([("unknown", 1)]),
                "{other:?}: {:?}",
                values(&engine, &table).await
            );
            for run in engine.resume_left_behind().await.unwrap() {
                engine.wait(run.id).await.unwrap();
            }
            let table = opened(&engine, "two").await;
            let wanted = if other == Other::Failed { "failed" } else { "completed" };
            assert_eq!(
                states(&engine, &table).await,
                BTreeMap::from([(wanted, 1)]),
                "{other:?}: {:?}",
                cells(&engine, &table).await
            );
        });
        assert_eq!(vendor.stats().started, 1, "{other:?}");
    }
}
