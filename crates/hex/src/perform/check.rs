//! What is looked at before a POST: whether the project is published, and which runs it has already.

use std::future::Future;

use paceline_clock::Tick;

use super::Performance;
use crate::budgets::Group;
use crate::client::PAGE;
use crate::{End, Error, Run, RunId, codes};

/// Pages of one listing that are read at most.
const PAGES_MAX: usize = 5;

impl Performance<'_> {
    /// Finds out before anything is spent that a project has no published version (spec H9).
    pub(super) async fn check_published(&self) -> Result<(), End> {
        let mut published = self.or_stopped(self.project.published.lock()).await?;
        let now = self.session.clock.now();
        let known = published.filter(|(published, at)| {
            // What was published stays so; what was not may be published any time, and who starts a session anew may
            // just have done so.
            let young = now.since(*at) < self.session.options.baseline_max_age;
            *published || (*at >= self.session.began && young)
        });
        let is_published = match known {
            Some((is_published, _)) => is_published,
            None => {
                let project = self.patiently(|| self.session.client.project(&self.job.project));
                let is_published = match self.or_stopped(project).await? {
                    Ok(project) => project.last_published_at.is_some(),
                    // A token may be allowed to run what it may not look at; the start itself will tell.
                    Err(Error::Status { status: 403, .. }) => true,
                    Err(error) => return Err(self.gave_up(&error)),
                };
                *published = Some((is_published, now));
                is_published
            }
        };
        if is_published {
            return Ok(());
        }
        Err(self.failed(
            codes::UNPUBLISHED,
            format!(
                "project {} has no published version, and only a published one can be run; publish it in Hex, then retry",
                self.job.project
            ),
        ))
    }

    /// Makes a call that changes nothing again, some times, where it may pass: a blip is not the job's fault.
    async fn patiently<T, F>(&self, call: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        for wait in &self.session.options.check_waits {
            match call().await {
                // For those there is a pause already.
                Err(error @ (Error::Throttled { .. } | Error::Budget(_))) => return Err(error),
                Err(error) if error.may_pass() => self.session.clock.sleep(*wait).await,
                result => return result,
            }
        }
        call().await
    }

    /// The runs that are there: from what is known if that is young enough, else from a listing.
    pub(super) async fn baseline(&self) -> Result<Vec<RunId>, Error> {
        let (now, age_max) = (self.session.clock.now(), self.session.options.baseline_max_age);
        if let Some(baseline) = self.project.book().baseline(now, age_max) {
            return Ok(baseline);
        }
        let asked_at = now;
        let list = || self.session.client.runs(Group::Check, &self.job.project, 0);
        let page = self.patiently(list).await?;
        let mut book = self.project.book();
        book.listing(&page.runs, asked_at);
        // Of whatever age: it was listed for this.
        let listed = page.runs.into_iter().map(|run| run.run_id);
        Ok(book.baseline(asked_at, age_max).unwrap_or_else(|| listed.collect()))
    }

    /// The baseline, unless it takes too long to hold a permit meanwhile: those who do may hold every slot that the listing
    /// waits for.
    pub(super) async fn baseline_soon(&self) -> Result<Option<Vec<RunId>>, Error> {
        tokio::select! {
            biased;
            baseline = self.baseline() => baseline.map(Some),
            () = self.session.clock.sleep(self.session.options.call_timeout) => Ok(None),
        }
    }

    /// The newest runs of a project, as far back as one that is known: a page mostly.
    pub(super) async fn newest(
        &self,
        project: &str,
        baseline: &[RunId],
    ) -> Result<(Vec<Run>, Tick), Error> {
        let asked_at = self.session.clock.now();
        let mut runs = Vec::new();
        for page in 0..PAGES_MAX {
            let found = self.session.client.runs(Group::Check, project, page * PAGE).await?.runs;
            let is_last = found.len() < PAGE || baseline.is_empty();
            let known = found.iter().any(|run| baseline.contains(&run.run_id));
            runs.extend(found);
            if is_last || known {
                break;
            }
        }
        Ok((runs, asked_at))
    }
}
