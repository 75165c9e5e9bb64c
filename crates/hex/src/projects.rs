//! What a session knows of each project: whether it is published, which runs there are, which are ours, and whether a POST
//! is out of which nobody knows yet what came of it.

mod book;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use paceline_clock::{Clock, Tick, Timestamp};
use tokio::sync::Notify;

pub(crate) use book::{Book, Post};

use crate::{Note, RunId};

/// Projects that are remembered; beyond that those that nobody uses are forgotten.
const PROJECTS_MAX: usize = 10_000;

#[derive(Debug, Default)]
pub(crate) struct Projects(Mutex<HashMap<String, Arc<ProjectState>>>);

/// Locks by project. Those of one session: with one of its jobs at most waiting for a project's turn, sessions get it one
/// after another, however many jobs each has.
#[derive(Debug, Default)]
pub(crate) struct Lines(Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>);

impl Lines {
    pub(crate) fn get(&self, project: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= PROJECTS_MAX && !lines.contains_key(project) {
            lines.retain(|_, line| Arc::strong_count(line) > 1);
        }
        Arc::clone(lines.entry(project.to_owned()).or_default())
    }
}

#[derive(Debug, Default)]
pub(crate) struct ProjectState {
    /// At most one job of a project asks for a run at a time, in the order they came.
    pub(crate) turn: tokio::sync::Mutex<()>,
    /// Whether it was published, and when that was seen. Its lock makes one look of many.
    pub(crate) published: tokio::sync::Mutex<Option<(bool, Tick)>>,
    book: Mutex<Book>,
    /// A POST was settled.
    pub(crate) settled: Notify,
}

impl Projects {
    pub(crate) fn get(&self, project: &str) -> Arc<ProjectState> {
        let mut projects = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if projects.len() >= PROJECTS_MAX && !projects.contains_key(project) {
            projects.retain(|_, state| Arc::strong_count(state) > 1);
        }
        Arc::clone(projects.entry(project.to_owned()).or_default())
    }

    /// These runs are some job's.
    pub(crate) fn own<'r>(&self, project: &str, runs: impl IntoIterator<Item = &'r RunId>) {
        let project = self.get(project);
        let mut book = project.book();
        runs.into_iter().for_each(|run| book.own(run, None));
    }

    /// These notes are on record. `settle_span` after it left, a POST of an earlier process stands in nobody's way: by then its
    /// run is listed, if there is one.
    pub(crate) fn recall<'n>(
        &self,
        notes: impl IntoIterator<Item = &'n Note>,
        settle_span: Duration,
        clock: &Clock,
    ) {
        for note in notes {
            match note {
                Note::Started { project, run_id, .. } => self.own(project, [run_id]),
                Note::Sending { project, body_hash, sent_at_ms, .. } => {
                    let sent_at = Timestamp::from_micros(sent_at_ms.saturating_mul(1_000));
                    let settled_at = sent_at + settle_span;
                    // Its run may still appear, and would be taken for that of a later one.
                    let blocks_until = clock.now() + settled_at.since(clock.wall());
                    let (body_hash, sent_at_ms) = (body_hash.clone(), *sent_at_ms);
                    let post = Post { body_hash, sent_at_ms, blocks_until };
                    self.get(project).book().remember(post);
                }
                Note::Resend => {}
            }
        }
    }
}

impl ProjectState {
    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is known what came of `post`.
    pub(crate) fn settle(&self, post: &Post) {
        self.book().settle(post);
        self.settled.notify_waiters();
    }
}
