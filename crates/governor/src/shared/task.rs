//! The background task of a shared budget: asks when the member says so, until the budget's last handle is gone.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::Wake;

use paceline_clock::{Clock, Random, Tick};
use tokio::sync::Notify;

use super::member::{Member, Phase};
use super::question::Asked;
use super::store::{Store, StoreError};
use super::wire::Answer;
use super::{Link, LinkCell};
use crate::budget::Shared;
use crate::core::{Core, Heir};

/// Questions of a farewell; what does not fit counts as used at the end of its lease.
const FAREWELL_TRIES: usize = 2;

/// Wakes the task: there is news, or somebody waits.
#[derive(Debug, Default)]
pub(super) struct Bell(Notify);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.notify_one();
    }
}

pub(super) struct Task {
    pub(super) budget: Weak<Shared>,
    pub(super) heir: Heir,
    pub(super) bell: Arc<Bell>,
    pub(super) member: Member,
    pub(super) store: Store,
    pub(super) link: LinkCell,
    pub(super) clock: Clock,
    pub(super) random: Random,
    pub(super) name: String,
}

impl Task {
    /// Runs until the last handle of the budget is dropped; then gives back what is left.
    pub(super) async fn run(mut self) {
        while let Some(due) = self.due() {
            if self.clock.now() < due {
                tokio::select! {
                    () = self.clock.sleep_until(due) => {}
                    () = self.bell.0.notified() => {}
                }
                continue;
            }
            // The member knows what a failure means; here there is nobody to tell.
            let _ = self.step().await;
        }
        self.farewell().await;
    }

    /// When the next question is due; `None` once the budget is gone.
    fn due(&self) -> Option<Tick> {
        let shared = self.budget.upgrade()?;
        Some(shared.with_core_and_waiting(|core, waiting, now| self.member.due(core, waiting, now)))
    }

    /// One question and its answer.
    pub(super) async fn step(&mut self) -> Result<(), StoreError> {
        let Some(asked) = self.ask_budget() else { return Ok(()) };
        let answer = self.store.ask(asked.question.clone()).await;
        self.tell_budget(&asked, answer.as_ref().ok());
        self.show(answer.as_ref().err());
        answer.map(drop)
    }

    fn ask_budget(&mut self) -> Option<Asked> {
        let shared = self.budget.upgrade()?;
        let member = &mut self.member;
        Some(shared.with_core_and_waiting(|core, waiting, now| member.question(core, waiting, now)))
    }

    fn tell_budget(&mut self, asked: &Asked, answer: Option<&Answer>) {
        let Some(shared) = self.budget.upgrade() else { return };
        let jitter = self.random.unit();
        let member = &mut self.member;
        shared.with_core_then_pump(|core: &mut Core, now| match answer {
            Some(answer) => member.answered(core, asked, answer, now),
            None => member.failed(core, jitter, now),
        });
    }

    /// Whether the process has been let in (and may have to learn first).
    pub(super) fn has_joined(&self) -> bool {
        matches!(self.member.phase(), Phase::Connected | Phase::Learning)
    }

    /// Says where the budget stands, when that has changed.
    fn show(&self, problem: Option<&StoreError>) {
        let now = self.clock.now();
        let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        match (self.member.phase(), &mut *link) {
            (Phase::Connected, Link::Connected) => {}
            (Phase::Connected, link) => {
                tracing::info!(budget = self.name, "shared budget: the server is in order");
                *link = Link::Connected;
            }
            (Phase::Joining { .. } | Phase::Learning, Link::Learning { .. }) => {}
            (Phase::Joining { .. } | Phase::Learning, link) => {
                tracing::info!(
                    budget = self.name,
                    "shared budget: the server learns what was sent"
                );
                *link = Link::Learning { since: now };
            }
            (Phase::Away { .. }, link) => {
                let text = problem.map(ToString::to_string).unwrap_or_default();
                let since = match link {
                    Link::Fallback { since, .. } => *since,
                    _ => {
                        let share = self.share();
                        tracing::warn!(
                            budget = self.name,
                            share,
                            problem = text,
                            "shared budget: without its server; only the own share is sent, and only after a wait"
                        );
                        now
                    }
                };
                let own = self.member.own();
                *link = Link::Fallback {
                    since,
                    share: self.share(),
                    sends_from: own.map(|own| own.from),
                    sends_until: own.map(|own| own.until),
                    problem: text,
                };
            }
        }
    }

    fn share(&self) -> f64 {
        self.member.share_ppm() as f64 / 1e6
    }

    async fn farewell(mut self) {
        let supply = self.heir.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut supply) = supply else { return };
        let Some(question) = self.member.farewell(&mut supply, self.clock.now()) else { return };
        for _ in 0..FAREWELL_TRIES {
            if self.store.ask(question.clone()).await.is_ok() {
                return;
            }
        }
    }
}

/// A place for the last supply.
pub(super) fn heir() -> Heir {
    Arc::new(Mutex::new(None))
}
