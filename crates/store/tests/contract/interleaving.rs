//! Any interleaving of claims, reports, expiry and recovery hands every row out, in order, and finishes it exactly once.
//!
//! A small model says after each step who holds what. Failure means: a claim brought a row that the model says is held
//! or finished, or not in the order it must be; a report was accepted of who does not hold, or refused of who does;
//! counts differ; or the run cannot be brought to its end. Left out: faults of the database itself, and real threads.

use std::collections::BTreeMap;
use std::time::Duration;

use paceline_clock::{SimClock, Timestamp};
use paceline_model::{CellState, Recovery, Run, Scope, TaskReport, TaskStep};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::backends::Home;
use crate::support::{LEASE, Scene, claimed, finish, give_back, lease, numbers};

const ROWS: i64 = 12;

#[derive(Clone, Debug)]
enum Step {
    Claim {
        token: i64,
        max: usize,
    },
    /// Finishes the row for the token, whether or not it holds it.
    Finish {
        token: i64,
        row: i64,
    },
    GiveBack {
        token: i64,
        row: i64,
    },
    /// Says that the call failed and will be made again.
    Retry {
        token: i64,
        row: i64,
    },
    Intend {
        token: i64,
        row: i64,
    },
    Renew {
        token: i64,
    },
    Wait {
        seconds: u64,
    },
    Recover {
        repeatable: bool,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (token, row) = (1..4_i64, 1..=ROWS);
    let step = prop_oneof![
        4 => (token.clone(), 0..5_usize).prop_map(|(token, max)| Step::Claim { token, max }),
        6 => (token.clone(), row.clone()).prop_map(|(token, row)| Step::Finish { token, row }),
        3 => (token.clone(), row.clone()).prop_map(|(token, row)| Step::GiveBack { token, row }),
        2 => (token.clone(), row.clone()).prop_map(|(token, row)| Step::Retry { token, row }),
        2 => (token.clone(), row).prop_map(|(token, row)| Step::Intend { token, row }),
        1 => token.prop_map(|token| Step::Renew { token }),
        2 => (1..50_u64).prop_map(|seconds| Step::Wait { seconds }),
        1 => any::<bool>().prop_map(|repeatable| Step::Recover { repeatable }),
    ];
    prop::collection::vec(step, 1..60)
}

/// What is known of a task that was claimed and has not ended.
#[derive(Clone, Debug, Default)]
struct Held {
    owner: Option<i64>,
    until: Timestamp,
    intent: bool,
}

/// What the store must think.
#[derive(Debug, Default)]
struct Model {
    tasks: BTreeMap<i64, Held>,
    cursor: i64,
    ended: BTreeMap<i64, CellState>,
}

impl Model {
    fn claim(&mut self, token: i64, max: usize, now: Timestamp) -> Vec<i64> {
        let until = now + LEASE;
        let free = |held: &Held| match held.owner {
            None => true,
            Some(owner) => owner != token && held.until <= now && !held.intent,
        };
        let unheld = self.tasks.iter().filter(|(_, held)| free(held)).map(|(row, _)| *row);
        let mut rows: Vec<i64> = unheld.take(max).collect();
        let fresh = (self.cursor + 1)..=ROWS.min(self.cursor + (max - rows.len()) as i64);
        self.cursor = self.cursor.max(*fresh.end());
        rows.extend(fresh);
        for row in &rows {
            let task = self.tasks.entry(*row).or_default();
            (task.owner, task.until) = (Some(token), until);
        }
        rows.sort_unstable();
        rows
    }

    fn holds(&self, token: i64, row: i64) -> bool {
        self.tasks.get(&row).is_some_and(|held| held.owner == Some(token))
    }

    fn recover(&mut self, repeatable: bool) -> u64 {
        let mut without_intent = 0;
        for (row, held) in std::mem::take(&mut self.tasks) {
            without_intent += u64::from(held.owner.is_some() && !held.intent);
            if held.intent && !repeatable {
                self.ended.insert(row, CellState::Unknown);
            } else {
                self.tasks.insert(row, Held::default());
            }
        }
        without_intent
    }
}

async fn take(scene: &Scene, run: &Run, model: &mut Model, step: &Step) {
    let (store, now) = (&scene.store, scene.clock.wall());
    match *step {
        Step::Claim { token, max } => {
            let claim = scene.claim(run, token, max).await;
            assert_eq!(claimed(&claim), model.claim(token, max, now));
            assert_eq!(claim.exhausted, model.cursor == ROWS);
        }
        Step::Finish { token, row } => {
            let reports = vec![finish(row, CellState::Completed, now)];
            store.record(run.id, token, reports).await.unwrap();
            if model.holds(token, row) {
                model.tasks.remove(&row);
                let before = model.ended.insert(row, CellState::Completed);
                assert_eq!(before, None, "row {row} finished twice");
            }
        }
        Step::GiveBack { token, row } => {
            store.record(run.id, token, vec![give_back(row)]).await.unwrap();
            if model.holds(token, row) {
                model.tasks.insert(row, Held::default());
            }
        }
        Step::Retry { token, row } => {
            let step = TaskStep::Retry { errors: 1, not_before: now, throttled_since: None };
            let report = TaskReport { step, ..give_back(row) };
            store.record(run.id, token, vec![report]).await.unwrap();
            if model.holds(token, row) {
                model.tasks.entry(row).or_default().intent = false;
            }
        }
        Step::Intend { token, row } => {
            let rows = [paceline_model::RowId(row)];
            let held = store.record_intents(run.id, token, &rows).await.unwrap();
            assert_eq!(numbers(held) == [row], model.holds(token, row));
            if model.holds(token, row) {
                model.tasks.entry(row).or_default().intent = true;
            }
        }
        Step::Renew { token } => {
            let renewed = store.renew_leases(lease(token)).await.unwrap();
            let held = model.tasks.values_mut().filter(|held| held.owner == Some(token));
            let held = held.map(|held| held.until = now + LEASE).count();
            assert_eq!(renewed, held as u64);
        }
        Step::Wait { seconds } => scene.sim.advance(Duration::from_secs(seconds)),
        Step::Recover { repeatable } => {
            let recovery = if repeatable { Recovery::Repeatable } else { Recovery::Once };
            let without_intent = store.recover_run(run.id, recovery).await.unwrap();
            assert_eq!(without_intent, model.recover(repeatable));
        }
    }
}

/// Somebody new takes up what is left: after recovery nothing may be out of reach.
async fn bring_to_its_end(scene: &Scene, run: &Run, model: &mut Model) -> Run {
    take(scene, run, model, &Step::Recover { repeatable: true }).await;
    loop {
        let claim = scene.claim(run, 9, 5).await;
        assert_eq!(claimed(&claim), model.claim(9, 5, scene.clock.wall()));
        if claim.tasks.is_empty() {
            return scene.store.run(run.id).await.unwrap().unwrap();
        }
        for row in claimed(&claim) {
            take(scene, run, model, &Step::Finish { token: 9, row }).await;
        }
    }
}

/// Runs one interleaving on a store with nothing in it.
fn interleave(home: &Home, steps: &[Step]) {
    let sim = SimClock::new();
    sim.run(|clock| async {
        let scene = Scene::open(home, &sim, clock);
        let (_, city) = scene.filled(ROWS).await;
        let run = scene.start(&city, Scope::All).await;
        let mut model = Model::default();
        for step in steps {
            take(&scene, &run, &mut model, step).await;
        }
        let run = bring_to_its_end(&scene, &run, &mut model).await;
        assert_eq!(run.counts.ended(), ROWS.unsigned_abs());
        let states: BTreeMap<i64, CellState> = scene.states(city.id).await.into_iter().collect();
        assert_eq!(states, model.ended);
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn every_row_is_finished_exactly_once(steps in steps()) {
        interleave(&Home::memory(), &steps);
    }
}

#[test]
fn every_row_is_finished_exactly_once_on_postgresql() {
    let Some(home) = Home::postgres() else { return };
    let config = ProptestConfig { cases: 60, ..ProptestConfig::default() };
    let ran = TestRunner::new(config).run(&steps(), |steps| {
        home.shell("DROP SCHEMA IF EXISTS paceline CASCADE");
        interleave(&home, &steps);
        Ok(())
    });
    ran.unwrap();
}
