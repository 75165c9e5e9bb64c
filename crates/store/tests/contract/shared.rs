//! What cells were made from, and the values that others may share.

use paceline_model::{
    CellState, Column, Error, Fingerprint, RowId, RunStatus, Scope, TaskReport, TaskStep, Value,
    limits,
};

use crate::filters::text;
use crate::support::{Scene, each, finish};

fn made_from(key: Option<u8>, parts: &[u32]) -> Option<Fingerprint> {
    Some(Fingerprint { key: key.map(|key| [key; 16]), parts: parts.to_vec() })
}

/// Finishes every cell of the column, each in the state and from what is told for its row.
async fn fill(scene: &Scene, column: &Column, cells: &[(CellState, Option<Fingerprint>, Value)]) {
    let run = scene.start(column, Scope::All).await;
    scene.claim(&run, 1, cells.len()).await;
    let reports = (1..).zip(cells).map(|(row, (state, fingerprint, value))| {
        let step = TaskStep::Finish { state: *state, value: Some(value.clone()), error: None };
        let fingerprint = fingerprint.clone();
        TaskReport { fingerprint, ..TaskReport::new(RowId(row), None, step) }
    });
    scene.store.record(run.id, 1, reports.collect()).await.unwrap();
    scene.store.set_run_status(run.id, RunStatus::Completed, None).await.unwrap();
}

async fn fingerprints(scene: &Scene, column: &Column) -> Vec<Option<Fingerprint>> {
    let cells = scene.store.cells(column.id, RowId(1), RowId(99)).await.unwrap();
    cells.into_iter().map(|cell| cell.fingerprint).collect()
}

#[test]
fn what_a_cell_was_made_from_is_kept_until_it_ends_without_it() {
    each(|scene| async move {
        let (_, city) = scene.filled(4).await;
        let cases = [
            made_from(Some(1), &[u32::MAX, 0, 0x0102_0304]),
            made_from(None, &[5]),
            made_from(Some(2), &[]),
            None,
        ];
        let cells: Vec<_> = cases
            .iter()
            .map(|made_from| (CellState::Completed, made_from.clone(), text("Bonn")))
            .collect();
        fill(&scene, &city, &cells).await;
        assert_eq!(fingerprints(&scene, &city).await, cases);
        let run = scene.start(&city, Scope::All).await;
        scene.claim(&run, 1, 4).await;
        let now = scene.clock.wall();
        let mut again = finish(2, CellState::Failed, now);
        again.fingerprint = made_from(Some(9), &[1]);
        let reports = vec![finish(1, CellState::Completed, now), again];
        scene.store.record(run.id, 1, reports).await.unwrap();
        let wanted = [None, made_from(Some(9), &[1]), cases[2].clone(), None];
        assert_eq!(fingerprints(&scene, &city).await, wanted);
    });
}

#[test]
fn values_of_completed_cells_are_found_by_what_they_were_made_from() {
    each(|scene| async move {
        let (table, city) = scene.filled(5).await;
        let key = |key| made_from(Some(key), &[1]);
        let cells = [
            (CellState::Completed, key(1), text("Bonn\0")),
            (CellState::Completed, key(2), Value::Null),
            (CellState::Failed, key(3), text("old")),
            (CellState::Completed, None, text("Ulm")),
            (CellState::Completed, key(1), text("Bonn\0")),
        ];
        fill(&scene, &city, &cells).await;
        let keys = [[3; 16], [1; 16], [2; 16], [1; 16], [4; 16]];
        let wanted = [None, Some(text("Bonn\0")), Some(Value::Null), Some(text("Bonn\0")), None];
        assert_eq!(scene.store.reusable_values(city.id, &keys).await.unwrap(), wanted);
        assert_eq!(scene.store.reusable_values(city.id, &[]).await.unwrap(), []);
        // Of another column, of a cell that a person wrote, of rows that are gone: nothing.
        let email = table.columns[0].id;
        assert_eq!(scene.store.reusable_values(email, &[[1; 16]]).await.unwrap(), [None]);
        let all = paceline_model::Filter::All(vec![]);
        scene.store.lock_cells(city.id, all.clone(), true).await.unwrap();
        scene.store.lock_cells(city.id, all, false).await.unwrap();
        assert_eq!(scene.store.reusable_values(city.id, &[[1; 16]]).await.unwrap(), [None]);
        let many = vec![[0; 16]; limits::COMMIT_REPORTS_MAX + 1];
        let error = scene.store.reusable_values(city.id, &many).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error}");
        let missing = paceline_model::ColumnId(99);
        let error = scene.store.reusable_values(missing, &[[1; 16]]).await.unwrap_err();
        assert_eq!(error.code(), "NOT_FOUND");
    });
}
