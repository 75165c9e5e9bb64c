//! The hub of one table: reads its changes once, and hands each message to all of its clients.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use paceline_clock::Tick;
use paceline_model::{RunId, Table, TableId, limits};
use tokio::sync::OnceCell;
use tokio::task::AbortHandle;

use super::client::Client;
use super::close::End;
use super::feed;
use super::message::{Frame, Message};
use crate::App;
use crate::error::Result;
use crate::follow;

/// How long to wait when the store could not be read.
const FAULT_PAUSE: Duration = Duration::from_secs(1);

/// See above.
#[derive(Debug)]
pub(super) struct Hub {
    pub(super) table: TableId,
    /// Places that are taken, of clients that come and of those that are here; [`super::Feeds`] counts them.
    pub(super) seats: AtomicUsize,
    state: Mutex<State>,
    reader: OnceCell<AbortHandle>,
}

#[derive(Debug)]
struct State {
    /// What all live clients have been sent, or will be: changes up to here.
    position: i64,
    clients: Vec<Arc<Client>>,
    /// Why nobody can come any more.
    closed: Option<End>,
}

impl Hub {
    pub(super) fn new(table: TableId) -> Self {
        let state = State { position: 0, clients: Vec::new(), closed: None };
        Self {
            table,
            seats: AtomicUsize::new(0),
            state: Mutex::new(state),
            reader: OnceCell::new(),
        }
    }

    /// Begins to read, unless it has.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn begin(self: &Arc<Self>, app: &App, table: Table) -> Result<()> {
        let begun = self.reader.get_or_try_init(|| async {
            self.lock().position = follow::last_sequence(app, self.table).await?;
            let reader = Reader {
                app: app.clone(),
                hub: Arc::clone(self),
                table: Arc::new(table),
                runs: BTreeSet::new(),
                progress_at: app.clock.now(),
            };
            Result::Ok(tokio::spawn(reader.read_on()).abort_handle())
        });
        begun.await.map(|_| ())
    }

    /// Ends the reading, when nobody is left.
    pub(super) fn stop(&self) {
        if let Some(reader) = self.reader.get() {
            reader.abort();
        }
    }

    /// Takes a client in, live from here on; answers from where. The oldest of its own beyond `max` have to go.
    pub(super) fn attach(&self, client: &Arc<Client>, max: usize) -> i64 {
        let mut state = self.lock();
        if let Some(end) = state.closed {
            client.end(end);
        }
        let same = state.clients.iter().filter(|other| other.who == client.who).count();
        let mut surplus = (same + 1).saturating_sub(max.max(1));
        state.clients.retain(|other| {
            let goes = surplus > 0 && other.who == client.who;
            if goes {
                surplus -= 1;
                other.end(End::Replaced);
            }
            !goes
        });
        client.go_live();
        state.clients.push(Arc::clone(client));
        state.position
    }

    pub(super) fn detach(&self, client: &Arc<Client>) {
        self.lock().clients.retain(|other| !Arc::ptr_eq(other, client));
    }

    /// Has a client go on with what comes from here on; answers where that is.
    pub(super) fn go_live(&self, client: &Client) -> i64 {
        let state = self.lock();
        client.go_live();
        state.position
    }

    /// Has a client that has read up to `at` go on live, if nothing was sent to the others since then.
    pub(super) fn catches_up(&self, client: &Client, at: i64) -> bool {
        let state = self.lock();
        let is_there = state.position <= at;
        if is_there {
            client.go_live();
        }
        is_there
    }

    pub(super) fn position(&self) -> i64 {
        self.lock().position
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed.is_some()
    }

    /// Ends all clients, and whoever comes.
    pub(super) fn close(&self, end: End) {
        let mut state = self.lock();
        state.closed.get_or_insert(end);
        for client in state.clients.drain(..) {
            client.end(end);
        }
    }

    fn publish(&self, frames: &[Frame], position: i64) {
        let mut state = self.lock();
        for client in &state.clients {
            for frame in frames {
                client.push(frame);
            }
        }
        state.position = position;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task of a hub.
struct Reader {
    app: App,
    hub: Arc<Hub>,
    table: Arc<Table>,
    /// Runs that may be at work.
    runs: BTreeSet<RunId>,
    progress_at: Tick,
}

impl Reader {
    /// To the end of the table.
    async fn read_on(mut self) {
        let store = Arc::clone(self.app.engine.store());
        let clock = self.app.clock.clone();
        self.find_runs().await;
        let mut seen = 0;
        loop {
            let progress = async {
                match self.runs.is_empty() {
                    true => std::future::pending().await,
                    false => clock.sleep_until(self.progress_at).await,
                }
            };
            let step = tokio::select! {
                biased;
                () = progress => self.tell_progress().await.map(|()| true),
                number = store.next_change(seen) => {
                    seen = number;
                    self.tell_changes().await
                }
            };
            match step {
                Ok(true) => clock.sleep(limits::WEBSOCKET_COALESCE).await,
                Ok(false) => return self.hub.close(End::TableDeleted),
                Err(error) => {
                    let what = error.0.internal.unwrap_or(error.0.message);
                    tracing::warn!(table = %self.hub.table, what, "a feed could not be read");
                    clock.sleep(FAULT_PAUSE).await;
                    seen = 0;
                }
            }
        }
    }

    /// Runs that were begun before anybody looked.
    async fn find_runs(&mut self) {
        let runs = self.app.engine.store().unfinished_runs(Some(self.hub.table)).await;
        // Without them their progress is told from their next change on.
        self.runs.extend(runs.unwrap_or_default().into_iter().map(|run| run.id));
    }

    /// False when the table is deleted.
    async fn tell_changes(&mut self) -> Result<bool> {
        loop {
            let after = self.hub.position();
            let read = feed::read(&self.app, &mut self.table, after).await?;
            if read.missed {
                let sequence = follow::last_sequence(&self.app, self.hub.table).await?;
                let gap = Message::Gap { from: after + 1, to: sequence, sequence };
                self.hub.publish(&[Frame::of(sequence, &gap)?], sequence);
                continue;
            }
            self.hub.publish(&read.frames, read.last);
            if read.gone {
                return Ok(false);
            }
            for (run, is_final) in read.runs {
                match is_final {
                    true => self.runs.remove(&run),
                    false => self.runs.insert(run),
                };
            }
            if !read.is_full {
                return Ok(true);
            }
        }
    }

    async fn tell_progress(&mut self) -> Result<()> {
        self.progress_at = self.app.clock.now() + limits::WEBSOCKET_PROGRESS;
        let position = self.hub.position();
        let mut frames = Vec::new();
        for run in self.runs.iter().copied().collect::<Vec<_>>() {
            match feed::progress(&self.app, &self.table, run, position).await? {
                Some(frame) => frames.push(frame),
                // A change will tell when it goes on.
                None => {
                    self.runs.remove(&run);
                }
            }
        }
        self.hub.publish(&frames, position);
        Ok(())
    }
}
