//! What a session knows of each project: whether it is published, which runs there are, which are ours, and whether a POST
//! is out of which nobody knows yet what came of it.

mod book;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use paceline_clock::Tick;
use tokio::sync::Notify;

pub(crate) use book::{Book, Post};

/// Projects that are remembered; beyond that those that nobody uses are forgotten.
const PROJECTS_MAX: usize = 10_000;

#[derive(Debug, Default)]
pub(crate) struct Projects(Mutex<HashMap<String, Arc<ProjectState>>>);

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
