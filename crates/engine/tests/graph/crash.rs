//! Spec R4 over a graph: a process dies in the middle, and the next one goes on with what is not finished.

use std::time::Duration;

use paceline_clock::{SimClock, Tick};
use paceline_model::{RunStatus, Scope};
use proptest::prelude::*;

use crate::support::{Scene, Server};

/// Rows of the table.
const ROWS: usize = 30;

/// Lives for so long on what is in `dir`. Answers its calls, how many cells are finished, the clock, and whether the runs
/// have ended.
fn life(dir: &std::path::Path, at: Tick, die_after: Duration) -> (Vec<String>, u64, Tick, bool) {
    SimClock::starting_at(at).run(|clock| async move {
        let scene = Scene::open(&clock, Server::good(&clock), dir);
        let runs = if scene.engine.store().tables().await.unwrap().is_empty() {
            scene.fill(ROWS).await;
            scene.add_diamond().await;
            scene.start(&["a", "b", "c", "d"], Scope::Empty).await
        } else {
            scene.engine.resume_left_behind().await.unwrap()
        };
        let ended = tokio::select! {
            runs = scene.wait(runs) => {
                assert!(runs.iter().all(|run| run.status == RunStatus::Completed), "{runs:?}");
                true
            }
            () = scene.clock.sleep(die_after) => false,
        };
        let mut finished = 0;
        for column in ["a", "b", "c", "d"] {
            finished += scene.cells(column).await.len() as u64;
        }
        (scene.server.calls(), finished, clock.now(), ended)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(12) })]

    /// Nothing finished is called for again: over all lives there are as many calls as cells, and at most one more for
    /// each that was in flight at a death.
    #[test]
    fn lives_cut_short_finish_every_cell_of_the_graph_once(
        deaths in prop::collection::vec(1_u64..1_500, 1..4),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut now = Tick::SYSTEM_START;
        let (mut calls, mut finished) = (0, 0);
        for death_ms in &deaths {
            let (its, cells, at, _) = life(dir.path(), now, Duration::from_millis(*death_ms));
            prop_assert!(cells >= finished);
            (calls, finished, now) = (calls + its.len(), cells, at);
        }
        let (its, cells, _, ended) = life(dir.path(), now, Duration::from_secs(100_000));
        prop_assert!(ended);
        prop_assert_eq!(cells, 4 * ROWS as u64);
        let most = 4 * ROWS + deaths.len() * 4 * 4;
        prop_assert!(calls + its.len() <= most, "{} calls", calls + its.len());
    }
}
