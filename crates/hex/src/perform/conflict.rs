//! 409: another run of the project is under way, and a setting says what to do.

use paceline_clock::Tick;

use super::Performance;
use super::watch::Started;
use crate::watcher::News;
use crate::{Conflict, End, PostRecord, Run};

/// Waits without a run to wait for are doubled so many times.
const DOUBLINGS_MAX: u32 = 4;

impl Performance<'_> {
    /// Attaches to the run that is under way, or waits for its end; `None`: try again.
    pub(super) async fn conflict(
        &mut self,
        post: &PostRecord,
        conflicts: u32,
        since: Tick,
    ) -> Result<Option<Started>, End> {
        let listed = self.or_stopped(self.newest(&self.job.project, &[])).await;
        let listed = listed.map_err(|end| End { post: Some(post.clone()), note: None, ..end })?;
        let (runs, _) =
            listed.map_err(|error| End { post: Some(post.clone()), ..self.gave_up(&error) })?;
        let other = runs.into_iter().find(|run| !run.status.is_terminal());
        if let (Some(run), Conflict::Attach) = (&other, self.session.options.conflict) {
            return self.attach(run, post).await.map(Some);
        }
        self.void(post).await?;
        let until = since + self.session.options.conflict_wait_max;
        let waits = async {
            tokio::select! {
                () = self.other_ends(other, conflicts) => {}
                () = self.session.clock.sleep_until(until) => {}
            }
        };
        self.or_stopped(waits).await?;
        Ok(None)
    }

    async fn attach(&mut self, run: &Run, post: &PostRecord) -> Result<Started, End> {
        let started = Started {
            project: self.job.project.clone(),
            run_id: run.run_id.clone(),
            run_url: run.run_url.clone(),
            trace_id: run.trace_id.clone(),
            started_at: self.session.clock.now(),
            attached: true,
        };
        self.project.book().own(&run.run_id, None);
        self.on_record(&started, post).await?;
        Ok(started)
    }

    /// That run is over; without one to look at, some time has passed.
    async fn other_ends(&self, other: Option<Run>, conflicts: u32) {
        let (clock, interval) = (&self.session.clock, self.session.options.poll_interval);
        let Some(run) = other else {
            let doublings = conflicts.saturating_sub(1).min(DOUBLINGS_MAX);
            return clock.sleep(interval.saturating_mul(1 << doublings)).await;
        };
        let due = clock.now() + interval;
        let mut ear = self.session.watcher.watch(&self.job.project, &run.run_id, due);
        loop {
            match ear.hear().await {
                News::Seen(run) if !run.status.is_terminal() => {}
                News::None => {}
                // Whatever it is: the next POST will tell.
                _ => return,
            }
        }
    }
}
