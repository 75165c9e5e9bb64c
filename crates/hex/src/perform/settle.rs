//! What became of a POST without a clean answer: listings, until one run is clearly ours or a person has to say.

use std::time::Duration;

use paceline_clock::{Tick, Timestamp};
use paceline_governor::{Outcome, OutcomeClass};

use super::watch::Started;
use super::{Performance, Step, unknown};
use crate::projects::Post;
use crate::reconcile::{Finding, Reconcile};
use crate::{End, EndKind, Error, PostRecord, Run, RunId};

/// The longest wait between two listings that fail.
const LISTING_WAIT_MAX: Duration = Duration::from_secs(60);

/// A POST whose end is not known.
pub(super) struct Open {
    pub(super) project: String,
    pub(super) baseline: Vec<RunId>,
    pub(super) post: Post,
    pub(super) record: PostRecord,
    /// What came instead of an answer.
    pub(super) message: String,
    /// When to list, counted from now.
    pub(super) waits: Vec<Duration>,
}

impl Performance<'_> {
    /// Goes on from a note that says that a POST may have been made.
    pub(super) async fn resettle(
        &mut self,
        project: String,
        baseline: Vec<RunId>,
        body_hash: String,
        sent_at_ms: i64,
    ) -> Result<Step, End> {
        let (options, now) = (&self.session.options, self.session.clock.now());
        let sent_at = self.tick_of(sent_at_ms);
        let post = Post { body_hash, sent_at_ms, blocks_until: now + self.settle_span() };
        self.project.book().remember(post.clone());
        // Whatever was on its way when the process died has long arrived: one look is enough.
        let long_ago = now.since(sent_at) >= self.settle_span();
        let waits = if long_ago { vec![Duration::ZERO] } else { options.settle_waits.clone() };
        let record = PostRecord {
            sent_at: Some(sent_at),
            seen_at: now,
            status: None,
            outcome: Outcome::of(OutcomeClass::Transient),
            ambiguous: true,
        };
        let message = format!("triggering project {project}: paceline ended before the answer");
        let mut seat = self.session.kernels.occupied();
        let open = Open { project, baseline, post, record, message, waits };
        let found = self.settle(open).await?;
        Ok(match found {
            Some(started) => {
                seat.started();
                Step::Watch(started, seat)
            }
            None => Step::Again,
        })
    }

    /// Looks for the run: found, or to be started again (`None`, if that is allowed), or an end.
    pub(super) async fn settle(&mut self, open: Open) -> Result<Option<Started>, End> {
        self.project.book().doubt();
        let sent_at = Timestamp::from_micros(open.post.sent_at_ms.saturating_mul(1_000));
        let skew = self.session.options.clock_skew_max;
        let mut reconcile = Reconcile::new(open.baseline.clone(), sent_at, skew);
        let began = self.session.clock.now();
        let mut waits = open.waits.clone();
        waits.sort_unstable();
        for (index, wait) in waits.iter().enumerate() {
            let listed = self.listed_at(began + *wait, &open).await;
            let (runs, asked_at) = listed.map_err(|end| with_post(end, &open))?;
            let last = index + 1 == waits.len();
            let finding = {
                let mut book = self.project.book();
                book.listing(&runs, asked_at);
                let rivals = book.rivals(&open.post);
                reconcile.listed(&runs, |run| book.is_others(run, &open.post), rivals, last)
            };
            match finding {
                Finding::Wait => {}
                Finding::Ours(run) => return self.adopt(&open, &run).await.map(Some),
                Finding::None if self.session.options.start_again_if_not_found => {
                    self.project.settle(&open.post);
                    self.void(&open.record).await?;
                    return Ok(None);
                }
                Finding::None => return Err(self.undecided(&open, Vec::new())),
                Finding::Several(candidates) => return Err(self.undecided(&open, candidates)),
            }
        }
        Err(self.undecided(&open, Vec::new()))
    }

    /// A listing at `at`, or as soon after as one can be had.
    async fn listed_at(&self, at: Tick, open: &Open) -> Result<(Vec<Run>, Tick), End> {
        let clock = &self.session.clock;
        self.or_stopped(clock.sleep_until(at)).await?;
        let mut wait = self.session.options.poll_interval;
        loop {
            let listing = self.newest(&open.project, &open.baseline);
            let error = match self.or_stopped(listing).await? {
                Ok(listed) => return Ok(listed),
                Err(error) => error,
            };
            if let Error::NoCredentials(message) = error {
                return Err(self.end(EndKind::NoCredentials { message }));
            }
            let late = clock.now().since(at) >= self.session.options.settle_max;
            if late || !error.may_pass() {
                self.project.settle(&open.post);
                let message = format!(
                    "{}; and its runs cannot be listed: {error}. Look in Hex whether it was started, then attach that run \
                     or have it sent again",
                    open.message
                );
                return Err(self.end(unknown(message, Vec::new())));
            }
            self.or_stopped(clock.sleep(wait)).await?;
            wait = (wait * 2).min(LISTING_WAIT_MAX);
        }
    }

    async fn adopt(&mut self, open: &Open, run: &Run) -> Result<Started, End> {
        let started = Started {
            project: open.project.clone(),
            run_id: run.run_id.clone(),
            run_url: run.run_url.clone(),
            trace_id: run.trace_id.clone(),
            started_at: self.tick_of(open.post.sent_at_ms),
            attached: false,
        };
        self.project.book().own(&run.run_id, Some(&open.post));
        self.project.settle(&open.post);
        tracing::info!(run = %run.run_id, "the answer to a trigger was lost; its run was found by listing");
        self.on_record(&started, &open.record).await?;
        Ok(started)
    }

    fn undecided(&self, open: &Open, candidates: Vec<RunId>) -> End {
        // A person's from here on; others need not wait.
        self.project.settle(&open.post);
        let what = if candidates.is_empty() {
            "no run of it appeared, which does not prove that none was started"
        } else {
            "it may be any of the runs that appeared since"
        };
        let message = format!(
            "{}; {what}. Look in Hex, then attach the run that is its own or have it sent again",
            open.message
        );
        with_post(self.end(unknown(message, candidates)), open)
    }
}

fn with_post(end: End, open: &Open) -> End {
    End { post: Some(open.record.clone()), ..end }
}
