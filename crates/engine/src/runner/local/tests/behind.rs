//! Runs without calls whose rows come from other runs.

use super::*;

/// A run that comes after another one, which is over.
async fn behind_another(scene: &Scene) -> RunId {
    let upstream = column("other", Some(SmartKind::Formula));
    let upstream = scene.store.add_column(scene.table.id, upstream).await.unwrap();
    let before = NewRun::new(scene.table.id, upstream.id, Scope::All);
    let before = scene.store.create_run(before).await.unwrap().id;
    scene.store.set_run_status(before, RunStatus::Cancelled, None).await.unwrap();
    scene.run(Scope::All, RunOptions { after: vec![before], ..RunOptions::default() }).await
}

#[test]
fn rows_that_come_from_other_runs_are_filled_in_batches_of_those_that_are_ready() {
    case(async |clock| {
        let scene = Scene::new(clock, 100..1_100, Duration::from_millis(1)).await;
        let run = behind_another(&scene).await;
        let mut ctx = scene.context(run).await;
        let alone = Arc::get_mut(&mut ctx).unwrap();
        (alone.concurrent_max, alone.control) = (64, Control::new(64));
        let done = runner::work(ctx).await.unwrap();
        assert_eq!((done.status, done.counts.completed), (RunStatus::Completed, 1_000));
        assert_eq!((scene.filled(1), done.counts.calls), (1_000, 0));
        let batches = scene.doubles.batches.lock().unwrap().clone();
        assert!(
            batches[0] <= FIRST_ROWS / 16 && batches.iter().all(|rows| *rows <= 32),
            "{batches:?}"
        );
        assert!(batches.len() < 1_000 / 20, "{batches:?}");
        let cells = scene.store.cells(scene.column().id, RowId(1), RowId(1)).await.unwrap();
        assert!(cells[0].fingerprint.is_some());
    });
}

#[test]
fn a_run_behind_another_that_is_paused_gives_back_what_it_holds() {
    case(async |clock| {
        let scene = Scene::new(clock.clone(), 100..700, Duration::from_millis(20)).await;
        let run = behind_another(&scene).await;
        let ctx = scene.context(run).await;
        let stopper = Arc::clone(&ctx);
        let (paused, ()) = tokio::join!(runner::work(ctx), async {
            clock.sleep(Duration::from_millis(210)).await;
            stopper.stop(Stop::Pause);
        });
        let paused = paused.unwrap();
        assert_eq!(paused.status, RunStatus::Paused);
        assert!((1..600).contains(&paused.counts.completed), "{:?}", paused.counts);
        let done = scene.work(run).await;
        assert_eq!((done.status, done.counts.completed), (RunStatus::Completed, 600));
        assert_eq!(scene.filled(1), 600, "what was cut off had given nothing yet");
    });
}
