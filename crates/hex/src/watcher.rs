//! One loop looks at all runs that jobs wait for. It lives as long as there are any.

mod board;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use paceline_clock::{Clock, Tick};
use tokio::sync::{Notify, watch};

pub(crate) use self::board::Pace;
use self::board::{Board, Target};
use crate::budgets::{Group, Looker, Lookers};
use crate::client::Client;
use crate::projects::Projects;
use crate::{Error, Run, RunId};

/// Looks under way at once: a slow answer must not hold up the others.
const LOOKS_MAX: usize = 4;

/// What a job hears of its run.
#[derive(Clone, Debug)]
pub(crate) enum News {
    /// Nothing yet.
    None,
    /// It was seen.
    Seen(Run),
    /// Hex knows no such run, or does not show it.
    Gone(String),
    /// Nobody can look: the token is refused.
    NoCredentials(String),
}

/// The watcher of a session.
pub(crate) struct Watcher {
    client: Arc<Client>,
    projects: Arc<Projects>,
    clock: Clock,
    lookers: Lookers,
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    board: Board,
    awake: bool,
}

/// A job's ear for one run. Dropped, the run is not watched any more.
pub(crate) struct Ear {
    watcher: Arc<Watcher>,
    project: String,
    run: RunId,
    news: watch::Receiver<News>,
}

impl Watcher {
    pub(crate) fn new(
        pace: Pace,
        lookers: Lookers,
        (client, projects): (Arc<Client>, Arc<Projects>),
        clock: Clock,
    ) -> Arc<Self> {
        let state = Mutex::new(State { board: Board::new(pace), awake: false });
        Arc::new(Self { client, projects, clock, lookers, state, changed: Notify::new() })
    }

    /// Watches a run from `due` on.
    pub(crate) fn watch(self: &Arc<Self>, project: &str, run: &RunId, due: Tick) -> Ear {
        let mut state = self.lock();
        let news = state.board.join(project, run, due);
        if !std::mem::replace(&mut state.awake, true) {
            tokio::spawn(Arc::clone(self).work(self.lookers.join()));
        }
        drop(state);
        self.changed.notify_one();
        Ear { watcher: Arc::clone(self), project: project.to_owned(), run: run.clone(), news }
    }

    /// How many runs wait for a kernel (or were not seen yet), and how many run.
    pub(crate) fn count(&self) -> (usize, usize) {
        self.lock().board.count()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn work(self: Arc<Self>, looker: Looker) {
        let mut looks = FuturesUnordered::new();
        loop {
            let next = {
                let mut state = self.lock();
                if state.board.is_empty() {
                    state.awake = false;
                    return;
                }
                state.board.share(looker.count());
                if looks.len() < LOOKS_MAX { state.board.next() } else { None }
            };
            let due = next.as_ref().map_or(Tick::NEVER, |(due, _)| *due);
            tokio::select! {
                biased;
                Some(()) = looks.next(), if !looks.is_empty() => {}
                () = self.changed.notified() => {}
                () = self.clock.sleep_until(due) => {
                    if let Some((_, target)) = next {
                        self.lock().board.begin(&target, self.clock.now());
                        looks.push(self.look(target));
                    }
                }
            }
        }
    }

    async fn look(&self, target: Target) {
        let asked_at = self.clock.now();
        let seen = match &target {
            Target::List(project, _) => {
                let page = self.client.runs(Group::Poll, project, 0).await;
                page.map(|page| page.runs).inspect(|runs| {
                    // A page of runs is a baseline too.
                    self.projects.get(project).book().listing(runs, asked_at);
                })
            }
            Target::Status(project, run) => {
                self.client.run(Group::Poll, project, run).await.map(|run| vec![run])
            }
        };
        let now = self.clock.now();
        let board = &mut self.lock().board;
        match seen {
            Ok(runs) => board.seen(&target, &runs, now),
            Err(Error::NoCredentials(message)) => board.no_credentials(&message, now),
            Err(error) => {
                tracing::debug!(%error, "a look at a run failed; it will be looked at again");
                let gone = matches!(error, Error::Status { .. }) && !error.may_pass();
                if matches!(target, Target::List(..)) && (gone || is_unreadable(&error)) {
                    // Of the listing, not of the runs: another one would end likewise, a look at each may not.
                    return board.alone(&target, now);
                }
                board.failed(&target, gone.then(|| error.to_string()).as_deref(), now);
            }
        }
    }
}

fn is_unreadable(error: &Error) -> bool {
    matches!(error, Error::Unreadable(_))
}

impl Ear {
    /// The next news. Never ends if there are none.
    pub(crate) async fn hear(&mut self) -> News {
        // The sender lives as long as this ear, on the board.
        if self.news.changed().await.is_err() {
            return std::future::pending().await;
        }
        self.news.borrow_and_update().clone()
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.watcher.lock().board.leave(&self.project, &self.run);
        self.watcher.changed.notify_one();
    }
}
