//! The hubs of a server, and the places for their clients.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use paceline_model::{TableId, limits};
use tokio::sync::watch;

use super::close::End;
use super::hub::Hub;
use crate::App;
use crate::error::{ApiError, Code, Result};

/// See above. One per [`App`].
#[derive(Debug)]
pub(crate) struct Feeds {
    inner: Mutex<Inner>,
    /// Places taken.
    open: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Inner {
    hubs: HashMap<TableId, Arc<Hub>>,
    is_stopped: bool,
}

impl Feeds {
    pub(crate) fn new() -> Self {
        Self { inner: Mutex::default(), open: watch::Sender::new(0) }
    }

    /// Ends all of them, and lets nobody in any more. Ends itself when all have gone.
    pub(crate) async fn close(&self) {
        {
            let mut inner = self.lock();
            inner.is_stopped = true;
            for hub in inner.hubs.values() {
                hub.close(End::Shutdown);
            }
        }
        // The sender is here.
        let _ = self.open.subscribe().wait_for(|open| *open == 0).await;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one client, free again when this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    app: App,
    pub(super) hub: Arc<Hub>,
}

impl Seat {
    /// Takes a place on a table.
    ///
    /// # Errors
    /// All are taken, or the server stops.
    pub(super) fn take(app: &App, table: TableId) -> Result<Self> {
        let feeds = &app.feeds;
        let mut inner = feeds.lock();
        if inner.is_stopped {
            return Err(ApiError::new(Code::NotReady, "this server is stopping"));
        }
        if *feeds.open.borrow() >= limits::WEBSOCKETS_MAX {
            return Err(full("this server", limits::WEBSOCKETS_MAX));
        }
        // One whose table was deleted has nothing for those who come after the table was restored.
        inner.hubs.retain(|_, hub| !hub.is_closed());
        let hub = inner.hubs.entry(table).or_insert_with(|| Arc::new(Hub::new(table)));
        if hub.seats.load(Ordering::Relaxed) >= limits::WEBSOCKETS_PER_TABLE_MAX {
            return Err(full("this table", limits::WEBSOCKETS_PER_TABLE_MAX));
        }
        hub.seats.fetch_add(1, Ordering::Relaxed);
        feeds.open.send_modify(|open| *open += 1);
        app.vitals.metrics.websockets.inc();
        Ok(Self { app: app.clone(), hub: Arc::clone(hub) })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let feeds = &self.app.feeds;
        let mut inner = feeds.lock();
        if self.hub.seats.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.hub.stop();
            inner.hubs.retain(|_, hub| !Arc::ptr_eq(hub, &self.hub));
        }
        feeds.open.send_modify(|open| *open = open.saturating_sub(1));
        self.app.vitals.metrics.websockets.dec();
    }
}

fn full(what: &str, max: usize) -> ApiError {
    let message = format!("{what} has {max} WebSockets open, as many as it may have");
    ApiError::new(Code::RateLimited, message)
        .retry_after(limits::WEBSOCKET_PING)
        .fix("close one that is not needed, or come again later")
}
