//! From a job without a run to a run: everything that may be waited for, the note, the POST, and what its answer means.

use std::time::Duration;

use paceline_clock::Tick;
use paceline_governor::{Outcome, OutcomeClass, Permit};

use super::settle::Open;
use super::watch::Started;
use super::{Performance, no_kernel_message, record};
use crate::answer::{Answer, PostClass, class_of_post};
use crate::client::Called;
use crate::kernels::Seat;
use crate::note::millis;
use crate::projects::Post;
use crate::tokens::Token;
use crate::types::Triggered;
use crate::wire::WireError;
use crate::{Conflict, End, EndKind, Note, RunId, codes};

/// A baseline that was listed before a permit was there is good for so long, whatever else is asked of one.
const LISTED_AGE_MAX: Duration = Duration::from_secs(120);

/// What the tries of one job have come to so far.
#[derive(Default)]
struct Tries {
    /// The token that was refused, and read again since.
    renewed: bool,
    no_kernel_since: Option<Tick>,
    conflict_since: Option<Tick>,
    conflicts: u32,
}

/// A POST with all that it needs.
struct Sent {
    called: Called,
    class: PostClass,
    triggered: Option<Triggered>,
    post: Post,
    baseline: Vec<RunId>,
    at: Tick,
}

impl Performance<'_> {
    /// Starts the job's run.
    pub(super) async fn start(&mut self) -> Result<(Started, Seat), End> {
        if let Err(error) = self.job.check() {
            return Err(self.failed(codes::INVALID_JOB, error.to_string()));
        }
        self.check_published().await?;
        let line = self.session.lines.get(&self.job.project);
        let _line = self.or_stopped(line.lock()).await?;
        // A handle of its own: the turn is held while `self` goes on.
        let project = std::sync::Arc::clone(&self.project);
        let _turn = self.or_stopped(project.turn.lock()).await?;
        let mut tries = Tries::default();
        loop {
            let mut seat = self.seat(&tries).await?;
            // Its source may be a command that hangs.
            let token = self.or_stopped(self.session.client.token()).await?;
            let token = token.map_err(|error| self.gave_up(&error))?;
            let sent = self.send(&token).await?;
            if let Some(started) = self.judge(sent, &token, &mut tries, &mut seat).await? {
                seat.started();
                return Ok((started, seat));
            }
        }
    }

    /// A kernel for one run, as far as we know of kernels.
    async fn seat(&self, tries: &Tries) -> Result<Seat, End> {
        let Some(since) = tries.no_kernel_since else {
            return self.or_stopped(self.session.kernels.admit()).await;
        };
        let until = since + self.session.options.kernel_wait_max;
        let seat = async {
            tokio::select! {
                seat = self.session.kernels.admit() => Some(seat),
                () = self.session.clock.sleep_until(until) => None,
            }
        };
        let seat = self.or_stopped(seat).await?;
        seat.filter(|_| self.session.clock.now() < until).ok_or_else(|| {
            let message = no_kernel_message(self.job);
            let outcome = Outcome::of(OutcomeClass::Transient);
            let code = codes::NO_KERNEL;
            let kind = EndKind::Again { outcome, counts_as_error: true, code, message };
            End { kind, post: None, note: None }
        })
    }

    /// Permit, baseline, note, POST.
    async fn send(&mut self, token: &Token) -> Result<Sent, End> {
        let body = self.job.body();
        let body_hash = self.body_hash(&body);
        let (permit, post, baseline) = self.ready(&body_hash).await?;
        let note = Note::Sending {
            project: self.job.project.clone(),
            baseline: baseline.clone(),
            body_hash,
            sent_at_ms: post.sent_at_ms,
        };
        if self.host.sending(&note).await.is_err() {
            // Nothing left. Whether the note is on record nobody knows; if so, it leads to a reconcile.
            permit.not_sent(None);
            self.project.settle(&post);
            return Err(self.end(EndKind::Stopped));
        }
        self.note = Some(note);
        let at = self.session.clock.now();
        // From here on nothing is given up until it is known, or on record, what came of it.
        let called = self.session.client.trigger(&self.job.project, body, token, permit).await;
        let triggered = called.answer.as_ref().ok().and_then(Answer::parse::<Triggered>);
        let read = called.answer.as_ref().map(|answer| (answer, triggered.is_some()));
        let class = class_of_post(read, called.head);
        Ok(Sent { called, class, triggered, post, baseline, at })
    }

    /// A permit, a young baseline, and nobody else's POST unsettled.
    async fn ready(&self, body_hash: &str) -> Result<(Permit, Post, Vec<RunId>), End> {
        // Listed without a permit in hand, and when.
        let mut listed: Option<(Vec<RunId>, Tick)> = None;
        loop {
            let permit = self.or_stopped(self.session.client.trigger_permit()).await?;
            let permit = permit.map_err(|error| self.gave_up(&error))?;
            let now = self.session.clock.now();
            let age_max = self.session.options.baseline_max_age.max(LISTED_AGE_MAX);
            let baseline = match listed.take().filter(|(_, at)| now.since(*at) <= age_max) {
                Some((baseline, _)) => baseline,
                None => match self.or_stopped(self.baseline_soon()).await {
                    Ok(Ok(Some(baseline))) => baseline,
                    other => {
                        permit.not_sent(None);
                        other?.map_err(|error| self.gave_up(&error))?;
                        let baseline = self.or_stopped(self.baseline()).await?;
                        let baseline = baseline.map_err(|error| self.gave_up(&error))?;
                        listed = Some((baseline, self.session.clock.now()));
                        continue;
                    }
                },
            };
            let mut settled = std::pin::pin!(self.project.settled.notified());
            // Before the look, so that nothing that happens after it is missed.
            settled.as_mut().enable();
            let (now, wall) = (self.session.clock.now(), self.session.clock.wall());
            let post = Post {
                body_hash: body_hash.to_owned(),
                sent_at_ms: millis(wall),
                blocks_until: now + self.settle_span(),
            };
            let Err(until) = self.project.book().begin(post.clone(), now) else {
                return Ok((permit, post, baseline));
            };
            permit.not_sent(None);
            let waits = async {
                tokio::select! {
                    () = settled => {}
                    () = self.session.clock.sleep_until(until) => {}
                }
            };
            self.or_stopped(waits).await?;
        }
    }

    /// See [`Options::settle_span`](crate::Options::settle_span).
    pub(super) fn settle_span(&self) -> Duration {
        self.session.options.settle_span()
    }

    fn body_hash(&self, body: &[u8]) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.job.project.as_bytes()).update(&[0]).update(body);
        hasher.finalize().to_hex().to_string()
    }

    /// What the answer means: a run, an end, or (`None`) another try.
    async fn judge(
        &mut self,
        sent: Sent,
        token: &Token,
        tries: &mut Tries,
        seat: &mut Seat,
    ) -> Result<Option<Started>, End> {
        if sent.class == PostClass::Ambiguous {
            seat.may_have_started();
            return self.settle_sent(sent).await;
        }
        if let (PostClass::Started, Some(triggered)) = (sent.class, &sent.triggered) {
            let trace = sent.called.answer.as_ref().ok().and_then(|answer| answer.trace_id.clone());
            let started = Started {
                project: self.job.project.clone(),
                run_id: triggered.run_id.clone(),
                run_url: triggered.run_url.clone(),
                trace_id: triggered.trace_id.clone().or(trace),
                started_at: sent.at,
                attached: false,
            };
            self.project.book().own(&started.run_id, Some(&sent.post));
            self.project.settle(&sent.post);
            self.on_record(&started, &record(&sent.called, false)).await?;
            return Ok(Some(started));
        }
        self.project.settle(&sent.post);
        self.refused(sent, token, tries).await
    }

    /// No run was started.
    async fn refused(
        &mut self,
        sent: Sent,
        token: &Token,
        tries: &mut Tries,
    ) -> Result<Option<Started>, End> {
        let tried = format!("triggering project {}", self.job.project);
        let message = describe(&sent.called, &tried);
        let post = record(&sent.called, false);
        let outcome = sent.called.outcome;
        let now = self.session.clock.now();
        let again = |outcome, counts_as_error, code| EndKind::Again {
            outcome,
            counts_as_error,
            code,
            message: message.clone(),
        };
        let kind = match sent.class {
            PostClass::Unauthorized if !tries.renewed => {
                self.void(&post).await?;
                tries.renewed = true;
                let renewed = self.or_stopped(self.session.client.renew(token)).await?;
                return renewed.map(|_| None).map_err(|error| self.gave_up(&error));
            }
            PostClass::Unauthorized => {
                self.session.client.tokens.forget(token).await;
                EndKind::NoCredentials { message }
            }
            PostClass::NoKernel => {
                self.void(&post).await?;
                tries.no_kernel_since.get_or_insert(now);
                self.session.kernels.refused();
                return Ok(None);
            }
            PostClass::Conflict if self.session.options.conflict != Conflict::Fail => {
                let since = *tries.conflict_since.get_or_insert(now);
                if now.since(since) < self.session.options.conflict_wait_max {
                    tries.conflicts = tries.conflicts.saturating_add(1);
                    return self.conflict(&post, tries.conflicts, since).await;
                }
                EndKind::Failed { code: codes::CONFLICT, message, run: None }
            }
            PostClass::Conflict => EndKind::Failed { code: codes::CONFLICT, message, run: None },
            PostClass::Throttled => again(outcome, false, codes::THROTTLED),
            PostClass::NotSent if outcome.class == OutcomeClass::Transient => {
                again(outcome, true, codes::NO_CONNECTION)
            }
            PostClass::NotSent => {
                EndKind::Failed { code: codes::NO_CONNECTION, message, run: None }
            }
            _ => {
                // It may have been unpublished since it was looked at.
                if let Ok(mut published) = self.project.published.try_lock() {
                    *published = None;
                }
                EndKind::Failed { code: codes::HTTP_STATUS, message, run: None }
            }
        };
        Err(End { kind, post: Some(post), note: None })
    }

    /// The POST has no clean answer: its run is looked for.
    async fn settle_sent(&mut self, sent: Sent) -> Result<Option<Started>, End> {
        let tried = format!("triggering project {}", self.job.project);
        let message = describe(&sent.called, &tried);
        let post = record(&sent.called, true);
        let open = Open {
            project: self.job.project.clone(),
            baseline: sent.baseline,
            post: sent.post,
            record: post,
            message,
            waits: self.session.options.settle_waits.clone(),
        };
        self.settle(open).await
    }
}

/// The answer in words; no token is in it.
fn describe(called: &Called, tried: &str) -> String {
    match &called.answer {
        Ok(answer) => answer.describe(tried),
        Err(error @ WireError::TooLong { .. }) => format!("{tried}: {error}"),
        Err(WireError::Transport { message, .. }) => format!("{tried}: {message}"),
    }
}
