//! Any interleaving of claims, reports, expiry, cancelling and crashes over runs that come after one another hands every
//! row out once to each run, only when no run before is at it, and brings every run to its end.
//!
//! A small model says which rows each run has in hand and which came to an end. Failure means: a claim brought a row that
//! is held or ended, or that a run before is not done with; it brought none although one was ready; a run was said to be
//! exhausted too early, or never; or at the end a row was not finished exactly once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use paceline_clock::{SimClock, Timestamp};
use paceline_model::{
    CellState, Column, ColumnType, NewRun, Recovery, RowId, Run, RunOptions, RunStatus, Scope,
    TaskReport, TaskStep,
};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::backends::Home;
use crate::support::{LEASE, Scene, claimed, finish, give_back, smart};

const ROWS: i64 = 8;

/// Which runs each run comes after, by their places.
const CHAIN: &[&[usize]] = &[&[], &[0], &[1]];
const DIAMOND: &[&[usize]] = &[&[], &[0], &[0], &[1, 2]];

#[derive(Clone, Debug)]
enum Step {
    Claim {
        run: usize,
        token: i64,
        max: usize,
    },
    /// Reports the row for the token, whether or not it holds it.
    End {
        run: usize,
        token: i64,
        row: i64,
        how: How,
    },
    /// The process dies: nobody holds anything any more, and what may have been sent is given back.
    Crash,
    Wait {
        seconds: u64,
    },
    Cancel {
        run: usize,
    },
}

#[derive(Clone, Copy, Debug)]
enum How {
    Complete,
    Fail,
    Leave,
    GiveBack,
}

fn steps(runs: usize) -> impl Strategy<Value = Vec<Step>> {
    let how = prop_oneof![
        5 => Just(How::Complete),
        1 => Just(How::Fail),
        1 => Just(How::Leave),
        2 => Just(How::GiveBack),
    ];
    let (run, token) = (0..runs, 1..3_i64);
    let step = prop_oneof![
        20 => (run.clone(), token.clone(), 0..12_usize)
            .prop_map(|(run, token, max)| Step::Claim { run, token, max }),
        40 => (run.clone(), token, 1..=ROWS, how)
            .prop_map(|(run, token, row, how)| Step::End { run, token, row, how }),
        2 => Just(Step::Crash),
        3 => (1..50_u64).prop_map(|seconds| Step::Wait { seconds }),
        1 => run.prop_map(|run| Step::Cancel { run }),
    ];
    prop::collection::vec(step, 1..80)
}

/// What must be true of one run.
#[derive(Debug, Default)]
struct Model {
    /// Rows in hand or given back: whose, until when.
    tasks: BTreeMap<i64, (Option<i64>, Timestamp)>,
    ended: BTreeSet<i64>,
    over: bool,
}

struct Graph<'s> {
    scene: &'s Scene,
    after: &'static [&'static [usize]],
    runs: Vec<Run>,
    models: Vec<Model>,
}

impl<'s> Graph<'s> {
    async fn new(scene: &'s Scene, after: &'static [&'static [usize]]) -> Self {
        let (table, city) = scene.filled(ROWS).await;
        let mut columns: Vec<Column> = vec![city];
        for number in 1..after.len() {
            let new = smart(&format!("made{number}"), ColumnType::Text);
            columns.push(scene.store.add_column(table.id, new).await.unwrap());
        }
        let mut runs: Vec<Run> = Vec::new();
        for (column, before) in columns.iter().zip(after) {
            let after = before.iter().map(|place| runs[*place].id).collect();
            let options = RunOptions { after, ..RunOptions::default() };
            let new = NewRun { options, ..NewRun::new(table.id, column.id, Scope::All) };
            runs.push(scene.store.create_run(new).await.unwrap());
        }
        let models = runs.iter().map(|_| Model::default()).collect();
        Self { scene, after, runs, models }
    }

    fn is_ready(&self, run: usize, row: i64) -> bool {
        let done = |before: &usize| {
            let before = &self.models[*before];
            before.over || before.ended.contains(&row)
        };
        self.after[run].iter().all(done)
    }

    /// Whether that holder may be given the row.
    fn is_free(&self, run: usize, token: i64, row: i64) -> bool {
        let model = &self.models[run];
        let now = self.scene.clock.wall();
        match model.tasks.get(&row) {
            _ if model.over || model.ended.contains(&row) => false,
            Some((None, _)) => true,
            Some((Some(owner), until)) => *owner != token && *until <= now,
            None => self.is_ready(run, row),
        }
    }

    async fn claim(&mut self, run: usize, token: i64, max: usize) -> (Vec<i64>, bool) {
        let free: Vec<i64> = (1..=ROWS).filter(|row| self.is_free(run, token, *row)).collect();
        let claim = self.scene.claim(&self.runs[run], token, max).await;
        let rows = claimed(&claim);
        assert!(rows.iter().all(|row| free.contains(row)), "{run}: {rows:?} of {free:?}");
        assert!(rows.len() <= max && rows.is_sorted());
        // Of a claim for all that there is, everything is expected.
        if max >= 2 * ROWS as usize {
            assert_eq!(rows, free, "run {run}");
        }
        assert_eq!(rows.is_empty(), free.is_empty() || max == 0, "run {run}: {free:?}");
        let until = self.scene.clock.wall() + LEASE;
        self.models[run].tasks.extend(rows.iter().map(|row| (*row, (Some(token), until))));
        let model = &self.models[run];
        let taken =
            (1..=ROWS).all(|row| model.tasks.contains_key(&row) || model.ended.contains(&row));
        let free_to_end = self.after[run].iter().all(|before| self.models[*before].over);
        assert_eq!(claim.exhausted, model.over || (taken && free_to_end), "run {run}");
        (rows, claim.exhausted)
    }

    async fn end(&mut self, run: usize, token: i64, row: i64, how: How) {
        let now = self.scene.clock.wall();
        let report = match how {
            How::Complete => finish(row, CellState::Completed, now),
            How::Fail => finish(row, CellState::Failed, now),
            How::Leave => TaskReport::new(RowId(row), None, TaskStep::Leave),
            How::GiveBack => give_back(row),
        };
        self.scene.store.record(self.runs[run].id, token, vec![report]).await.unwrap();
        let model = &mut self.models[run];
        if model.tasks.get(&row).is_none_or(|(owner, _)| *owner != Some(token)) {
            return;
        }
        if matches!(how, How::GiveBack) {
            model.tasks.insert(row, (None, now));
        } else {
            model.tasks.remove(&row);
            assert!(model.ended.insert(row), "row {row} of run {run} ended twice");
        }
    }

    async fn set_over(&mut self, run: usize, status: RunStatus) {
        if !self.models[run].over {
            self.scene.store.set_run_status(self.runs[run].id, status, None).await.unwrap();
            self.models[run].over = true;
            self.models[run].tasks.clear();
        }
    }

    async fn take(&mut self, step: &Step) {
        match *step {
            Step::Claim { run, token, max } => {
                let max = if max == 11 { 2 * ROWS as usize } else { max };
                self.claim(run, token, max).await;
            }
            Step::End { run, token, row, how } => self.end(run, token, row, how).await,
            Step::Crash => {
                for (run, model) in self.runs.iter().zip(&mut self.models) {
                    self.scene.store.recover_run(run.id, Recovery::Repeatable).await.unwrap();
                    model.tasks.values_mut().for_each(|task| task.0 = None);
                }
            }
            Step::Wait { seconds } => self.scene.sim.advance(Duration::from_secs(seconds)),
            Step::Cancel { run } => self.set_over(run, RunStatus::Cancelled).await,
        }
    }

    /// Somebody new brings all runs to their ends, a few rows of each in turn.
    async fn bring_to_its_end(&mut self) {
        self.take(&Step::Crash).await;
        for _ in 0..10 * ROWS {
            for run in 0..self.runs.len() {
                let (rows, exhausted) = self.claim(run, 9, 3).await;
                for row in &rows {
                    self.end(run, 9, *row, How::Complete).await;
                }
                if exhausted && rows.is_empty() {
                    self.set_over(run, RunStatus::Completed).await;
                }
            }
        }
        for (number, (run, model)) in self.runs.iter().zip(&self.models).enumerate() {
            assert!(model.over, "run {number} never ends: {model:?}");
            let run = self.scene.store.run(run.id).await.unwrap().unwrap();
            if run.status == RunStatus::Completed {
                assert_eq!(model.ended.len() as i64, ROWS, "run {number}");
                assert_eq!(run.counts.total, run.counts.ended(), "run {number}");
            }
        }
    }
}

/// Runs one interleaving on a store with nothing in it.
fn interleave(home: &Home, after: &'static [&'static [usize]], steps: &[Step]) {
    let sim = SimClock::new();
    sim.run(|clock| async {
        let scene = Scene::open(home, &sim, clock);
        let mut graph = Graph::new(&scene, after).await;
        for step in steps {
            graph.take(step).await;
        }
        graph.bring_to_its_end().await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]
    #[test]
    fn rows_flow_through_a_chain_once_and_in_order(steps in steps(CHAIN.len())) {
        interleave(&Home::memory(), CHAIN, &steps);
    }

    #[test]
    fn rows_flow_through_a_diamond_once_and_in_order(steps in steps(DIAMOND.len())) {
        interleave(&Home::memory(), DIAMOND, &steps);
    }
}

#[test]
fn rows_flow_through_a_graph_once_and_in_order_on_postgresql() {
    let Some(home) = Home::postgres() else { return };
    for after in [CHAIN, DIAMOND] {
        let config = ProptestConfig { cases: 4, ..ProptestConfig::default() };
        let ran = TestRunner::new(config).run(&steps(after.len()), |steps| {
            home.shell("DROP SCHEMA IF EXISTS paceline CASCADE");
            interleave(&home, after, &steps);
            Ok(())
        });
        ran.unwrap();
    }
}
