//! One WebSocket from hello to bye.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message as Packet, Utf8Bytes, WebSocket};
use paceline_clock::Tick;
use paceline_model::{Table, limits};

use super::client::{Client, Next, Who};
use super::close::End;
use super::feed;
use super::feeds::Seat;
use super::hub::Hub;
use super::message::{KNOWN, Message, Said};
use crate::App;
use crate::error::ApiError;

/// For the last words, and for the client's.
const BYE_TIMEOUT: Duration = Duration::from_secs(2);

type Step<T = ()> = std::result::Result<T, End>;

struct Session {
    app: App,
    hub: Arc<Hub>,
    table: Arc<Table>,
    client: Arc<Client>,
    socket: WebSocket,
    /// The client has been told changes up to here.
    position: i64,
    ping_at: Tick,
    /// Pings without a sign of life since.
    unanswered: u32,
    /// Messages of the client in the window that began then.
    counted: (u32, Tick),
}

/// Sends a client what happens to its table, until one of them has enough.
pub(super) async fn serve(app: App, seat: Seat, table: Table, who: Who, socket: WebSocket) {
    let (hub, key) = (Arc::clone(&seat.hub), who.key);
    let client = Arc::new(Client::new(who));
    let position = hub.attach(&client, app.config.limits.websockets_per_table_and_client);
    let now = app.clock.now();
    let mut session = Session {
        app: app.clone(),
        hub,
        table: Arc::new(table),
        client: Arc::clone(&client),
        socket,
        position,
        ping_at: now + limits::WEBSOCKET_PING,
        unanswered: 0,
        counted: (0, now),
    };
    // Whatever it is busy with, these end it at once.
    let end = tokio::select! {
        biased;
        end = client.ended() => end,
        () = app.access.keys.gone(key) => End::KeyGone,
        end = session.work() => end,
    };
    session.hub.detach(&client);
    tokio::select! {
        () = session.say_bye(end) => {}
        () = app.clock.sleep(BYE_TIMEOUT) => {}
    }
    drop(seat);
}

impl Session {
    /// To the end of it.
    async fn work(&mut self) -> End {
        match self.talk().await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn talk(&mut self) -> Step<std::convert::Infallible> {
        self.hello().await?;
        loop {
            let clock = self.app.clock.clone();
            tokio::select! {
                biased;
                () = clock.sleep_until(self.ping_at) => self.ping().await?,
                packet = self.socket.recv() => self.hear(packet).await?,
                next = self.client.next() => match next {
                    Next::Resync => self.resync(Some(self.position)).await?,
                    // It has read this from the store.
                    Next::Frame(frame) if !frame.passing && frame.sequence <= self.position => {}
                    Next::Frame(frame) => {
                        self.send_text(frame.text).await?;
                        self.position = self.position.max(frame.sequence);
                    }
                },
            }
        }
    }

    async fn hello(&mut self) -> Step {
        let changes = self.app.engine.store().changes_after(self.table.id, self.position, 1);
        let (_, oldest) = changes.await.map_err(|error| fault(error.into()))?;
        let (table, table_id) = (Arc::clone(&self.table), self.table.id);
        let sequence = self.position;
        self.send(&Message::Hello { sequence, table: &table.name, table_id, oldest }).await
    }

    async fn ping(&mut self) -> Step {
        if self.unanswered >= 2 {
            return Err(End::Silent);
        }
        self.unanswered += 1;
        self.ping_at = self.app.clock.now() + limits::WEBSOCKET_PING;
        self.send_packet(Packet::Ping(Default::default())).await
    }

    async fn hear(&mut self, packet: Option<std::result::Result<Packet, axum::Error>>) -> Step {
        let packet = match packet {
            None => return Err(End::Gone),
            Some(Err(error)) => {
                return Err(if is_too_large(&error) { End::TooLarge } else { End::Gone });
            }
            Some(Ok(packet)) => packet,
        };
        self.unanswered = 0;
        self.count()?;
        match packet {
            Packet::Text(text) => match Said::parse(&text) {
                Ok(Said::Ping) => self.send(&Message::Pong { sequence: self.position }).await,
                Ok(Said::Subscribe { since }) => self.catch_up(since).await,
                Err(message) => {
                    self.send(&Message::Error { message: &message, known: &KNOWN }).await
                }
            },
            Packet::Binary(_) => {
                let message = "messages are JSON in text frames, and this one was binary";
                self.send(&Message::Error { message, known: &KNOWN }).await
            }
            Packet::Close(_) => Err(End::Gone),
            Packet::Ping(_) | Packet::Pong(_) => Ok(()),
        }
    }

    fn count(&mut self) -> Step {
        let now = self.app.clock.now();
        if now - self.counted.1 >= limits::WEBSOCKET_MESSAGES_WINDOW {
            self.counted = (0, now);
        }
        self.counted.0 += 1;
        if self.counted.0 > limits::WEBSOCKET_MESSAGES_MAX { Err(End::TooMany) } else { Ok(()) }
    }

    /// Tells what came after `since`, from the store, until it meets what the hub sends.
    async fn catch_up(&mut self, since: i64) -> Step {
        self.client.hold();
        if !self.is_known(since).await? {
            return self.resync(None).await;
        }
        self.position = since;
        loop {
            let read = feed::read(&self.app, &mut self.table, self.position).await;
            let read = read.map_err(fault)?;
            if read.missed {
                let from = self.position.saturating_add(1);
                self.position = self.hub.go_live(&self.client);
                let sequence = self.position;
                return self.send(&Message::Gap { from, to: sequence, sequence }).await;
            }
            for frame in read.frames {
                self.send_text(frame.text).await?;
            }
            self.position = read.last;
            if read.gone {
                return Err(End::TableDeleted);
            }
            if !read.is_full && self.hub.catches_up(&self.client, self.position) {
                return Ok(());
            }
        }
    }

    /// Whether the table has come as far as that.
    async fn is_known(&mut self, sequence: i64) -> Step<bool> {
        if sequence <= self.hub.position() {
            return Ok(true);
        }
        let store = self.app.engine.store();
        let changes = store.changes_after(self.table.id, sequence.saturating_sub(1), 1).await;
        changes.map(|(changes, _)| !changes.is_empty()).map_err(|error| fault(error.into()))
    }

    /// Goes on from here, and says so.
    async fn resync(&mut self, since: Option<i64>) -> Step {
        self.position = self.hub.go_live(&self.client);
        self.send(&Message::Resync { since, sequence: self.position }).await
    }

    async fn send(&mut self, message: &Message<'_>) -> Step {
        let text = message.text().map_err(fault)?;
        self.send_text(text).await
    }

    async fn send_text(&mut self, text: Utf8Bytes) -> Step {
        self.send_packet(Packet::Text(text)).await
    }

    async fn send_packet(&mut self, packet: Packet) -> Step {
        tokio::select! {
            sent = self.socket.send(packet) => sent.map_err(|_| End::Gone),
            () = self.app.clock.sleep(limits::WEBSOCKET_SEND_TIMEOUT) => Err(End::TooSlow),
        }
    }

    /// Says why, and waits for the client to close: a socket that is closed with bytes unread takes the reason with it.
    async fn say_bye(&mut self, end: End) {
        if let Some((code, reason)) = end.told() {
            if let Ok(text) = (Message::Bye { code, reason }).text() {
                let _ = self.socket.send(Packet::Text(text)).await;
            }
            let frame = CloseFrame { code, reason: reason.into() };
            let _ = self.socket.send(Packet::Close(Some(frame))).await;
        }
        while let Some(Ok(_)) = self.socket.recv().await {}
    }
}

fn is_too_large(error: &axum::Error) -> bool {
    // The library below is not named here: its words are all that comes through.
    error.to_string().contains("too long")
}

/// The log gets what happened, the client that something did.
fn fault(error: ApiError) -> End {
    let what = error.0.internal.unwrap_or(error.0.message);
    tracing::warn!(what, "a WebSocket could not go on");
    End::Fault
}
