//! One job, from its note to its end.
//!
//! ```text
//! none, Resend -> published? -> turn of the project -> kernel -> permit -> baseline -> note Sending -> POST
//!     201                          -> note Started -> watch
//!     ambiguous                    -> reconcile -> Started, or Unknown
//!     503 of Hex's                 -> note Resend, wait for a kernel, again
//!     409                          -> wait for the other run, attach to it, or fail
//!     401                          -> note Resend, token read again, again once
//!     429, other 4xx, no connection -> end: no run was started
//! Sending -> reconcile
//! Started -> watch
//! ```
//!
//! From the moment a POST may have left until its run id is on record nothing here listens to [`Host::stopped`]; everywhere
//! else it is a safe point.

mod check;
mod clocks;
mod conflict;
mod journal;
mod settle;
mod trigger;
mod watch;

use std::future::Future;
use std::sync::Arc;

use paceline_clock::{Tick, Timestamp};

use crate::client::Called;
use crate::kernels::Seat;
use crate::note::millis;
use crate::projects::ProjectState;
use crate::session::Inner;
use crate::token::mask_tokens;
use crate::{End, EndKind, Error, Host, Job, Note, PostRecord, RunId, codes};
use watch::Started;

/// One job on its way.
pub(crate) struct Performance<'a> {
    session: &'a Inner,
    job: &'a Job,
    host: &'a dyn Host,
    project: Arc<ProjectState>,
    /// What is on record.
    note: Option<Note>,
}

/// What comes next, unless it is the end.
enum Step {
    Watch(Started, Seat),
    Again,
}

impl<'a> Performance<'a> {
    pub(crate) fn new(session: &'a Inner, job: &'a Job, host: &'a dyn Host) -> Self {
        let project = session.projects.get(&job.project);
        Self { session, job, host, project, note: None }
    }

    pub(crate) async fn run(mut self, note: Option<Note>) -> End {
        self.note.clone_from(&note);
        let (Ok(end) | Err(end)) = self.steps(note).await;
        end
    }

    async fn steps(&mut self, note: Option<Note>) -> Result<End, End> {
        let step = match note {
            Some(Note::Started { project, run_id, run_url, trace_id, started_at_ms, attached }) => {
                // The note's word, not the job's: its row may have been changed since.
                self.project = self.session.projects.get(&project);
                self.project.book().own(&run_id, None);
                let started_at = self.tick_of(started_at_ms);
                let seat = self.session.kernels.occupied();
                let started = Started { project, run_id, run_url, trace_id, started_at, attached };
                Step::Watch(Started { started_at, ..started }, seat)
            }
            Some(Note::Sending { project, baseline, body_hash, sent_at_ms }) => {
                self.project = self.session.projects.get(&project);
                self.resettle(project, baseline, body_hash, sent_at_ms).await?
            }
            Some(Note::Resend) | None => Step::Again,
        };
        let (started, seat) = match step {
            Step::Watch(started, seat) => (started, seat),
            Step::Again => {
                self.project = self.session.projects.get(&self.job.project);
                self.start().await?
            }
        };
        let end = self.watch(started).await;
        drop(seat);
        end
    }

    /// Goes on with `future`, or ends if the host says so first.
    async fn or_stopped<T>(&self, future: impl Future<Output = T>) -> Result<T, End> {
        tokio::select! {
            biased;
            value = future => Ok(value),
            () = self.host.stopped() => Err(self.end(EndKind::Stopped)),
        }
    }

    /// An end that leaves on record what there is.
    fn end(&self, kind: EndKind) -> End {
        End { kind, post: None, note: self.note.clone() }
    }

    /// The end of a job that started no run: nothing stays on record.
    fn failed(&self, code: &'static str, message: impl Into<String>) -> End {
        End {
            kind: EndKind::Failed { code, message: message.into(), run: None },
            post: None,
            note: None,
        }
    }

    /// The end after a call that was not the POST went wrong before anything was sent.
    fn gave_up(&self, error: &Error) -> End {
        let message = error.to_string();
        let kind = match error {
            Error::NoCredentials(_) => EndKind::NoCredentials { message },
            error if error.may_pass() => {
                let counts_as_error = !matches!(error, Error::Throttled { .. } | Error::Budget(_));
                let (outcome, code) = (error.outcome(), error.code());
                EndKind::Again { outcome, counts_as_error, code, message }
            }
            error => EndKind::Failed { code: error.code(), message, run: None },
        };
        End { kind, post: None, note: None }
    }

    /// A moment of wall time that may be another process's.
    fn tick_of(&self, at_ms: i64) -> Tick {
        let clock = &self.session.clock;
        let at = Timestamp::from_micros(at_ms.saturating_mul(1_000));
        clock.now().before(clock.wall().since(at))
    }

    fn started_note(&self, started: &Started) -> Note {
        let wall = self.session.clock.wall();
        let started_at = wall.before(self.session.clock.now() - started.started_at);
        Note::Started {
            project: started.project.clone(),
            run_id: started.run_id.clone(),
            run_url: started.run_url.clone(),
            trace_id: started.trace_id.clone(),
            started_at_ms: millis(started_at),
            attached: started.attached,
        }
    }
}

/// What a person can do about a job of which nobody knows whether it was started.
fn unknown(message: String, candidates: Vec<RunId>) -> EndKind {
    let message = mask_tokens(&message);
    EndKind::Unknown { message, candidates }
}

fn record(called: &Called, ambiguous: bool) -> PostRecord {
    PostRecord {
        sent_at: called.sent_at,
        seen_at: called.seen_at,
        status: called.answer.as_ref().ok().map(|answer| answer.status).or(called.head),
        outcome: called.outcome,
        ambiguous,
    }
}

fn no_kernel_message(job: &Job) -> String {
    format!(
        "Hex had no kernel for project {} for too long (code {}); close notebooks, or lower kernels",
        job.project,
        codes::NO_KERNEL
    )
}
