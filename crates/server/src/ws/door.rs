//! Opening a WebSocket: the key, the table and a place are settled before anything is upgraded, so that a refusal is an
//! ordinary reply in the ordinary envelope.

use std::sync::Arc;

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::response::Response;
use axum::routing::{Router, get};
use http::header::AUTHORIZATION;
use http::request::Parts;
use paceline_model::limits;

use super::client::Who;
use super::feeds::Seat;
use super::session;
use crate::auth::Caller;
use crate::auth::access::{Entry, Refused, Shown};
use crate::auth::caller::{Face, Peer};
use crate::auth::gate::Quota;
use crate::error::{ApiError, Result};
use crate::rest::{Shared, refused, wrong_method};

/// Bytes of what a client calls itself.
const CLIENT_ID_BYTES_MAX: usize = 64;
/// What is read from a socket in one go: clients say little.
const READ_BUFFER_BYTES: usize = 4 * 1024;

/// `/ws/{table}`, which asks for the key itself: a page in a browser cannot send the header.
pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/ws/{table}", get(open).fallback(wrong_method))
}

/// What stands in the query.
#[derive(Debug, Default, PartialEq)]
struct Asked {
    token: Option<String>,
    client_id: Option<String>,
}

type PathResult = std::result::Result<RawPathParams, RawPathParamsRejection>;

async fn open(State(shared): State<Arc<Shared>>, path: PathResult, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    let attempted = "GET /ws/{table}";
    let asked = match Asked::read(parts.uri.query().unwrap_or_default()) {
        Ok(asked) => asked,
        Err(error) => return refused(&error.attempting(|| attempted.to_owned())),
    };
    let (answer, quota) = match enter(&shared, &parts, &asked, attempted).await {
        Err(Refused { error, quota }) => (Err(error), quota),
        Ok(Entry { caller, quota }) => {
            (upgrade(&shared, &mut parts, path, caller, asked.client_id).await, quota)
        }
    };
    let mut response =
        answer.unwrap_or_else(|error| refused(&error.attempting(|| attempted.to_owned())));
    quota.iter().for_each(|quota: &Quota| quota.tell(&mut response));
    response
}

/// By the header if there is one, else by the token.
async fn enter(
    shared: &Shared,
    parts: &Parts,
    asked: &Asked,
    what: &str,
) -> std::result::Result<Entry, Refused> {
    let shown = match (parts.headers.get(AUTHORIZATION), &asked.token) {
        // What is not text is not of the right form either.
        (Some(value), _) => Shown::Header(value.to_str().unwrap_or_default()),
        (None, Some(token)) => Shown::Key(token),
        (None, None) => Shown::Nothing,
    };
    let address = parts.extensions.get::<Peer>().map(|peer| peer.0.ip());
    shared.app.access.enter(shown, address, Face::WebSocket, what).await
}

async fn upgrade(
    shared: &Shared,
    parts: &mut Parts,
    path: PathResult,
    caller: Caller,
    client_id: Option<String>,
) -> Result<Response> {
    let app = &shared.app;
    let path = path
        .map_err(|_| ApiError::field("path", "is not UTF-8 once its percent signs are decoded"))?;
    let name = path.iter().find(|(name, _)| *name == "table").map_or("", |(_, value)| value);
    let table = crate::ops::table(app, name).await?;
    let upgrade = WebSocketUpgrade::from_request_parts(parts, &()).await.map_err(|error| {
        ApiError::field("Upgrade", format!("this address speaks WebSocket: {error}"))
            .fix("open it with a WebSocket client, as in `new WebSocket(\"ws://.../ws/TABLE?token=KEY\")`")
    })?;
    let seat = Seat::take(app, table.id)?;
    seat.hub.begin(app, table.clone()).await?;
    let who = Who { key: caller.key, name: client_id };
    let app = app.clone();
    let max = limits::WEBSOCKET_MESSAGE_BYTES_MAX;
    Ok(upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        // Each message goes out at once, and no more than one waits in the socket.
        .write_buffer_size(0)
        .max_message_size(max)
        .max_frame_size(max)
        .on_upgrade(move |socket| session::serve(app, seat, table, who, socket)))
}

impl Asked {
    fn read(query: &str) -> Result<Self> {
        let mut asked = Self::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let place = match name.as_ref() {
                "token" => &mut asked.token,
                "client_id" => &mut asked.client_id,
                other => {
                    let shown: String = other.chars().take(40).collect();
                    let problem = "there is no such field here; the fields are token and client_id";
                    return Err(ApiError::field(shown, problem));
                }
            };
            *place = Some(value.into_owned());
        }
        let length = asked.client_id.as_ref().map_or(1, String::len);
        if !(1..=CLIENT_ID_BYTES_MAX).contains(&length) {
            let problem = format!("has {length} bytes; it has 1 to {CLIENT_ID_BYTES_MAX}");
            return Err(ApiError::field("client_id", problem));
        }
        Ok(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_names_the_key_and_the_client_and_nothing_else() {
        let asked = Asked::read("token=a%20b&client_id=page").unwrap();
        assert_eq!(
            (asked.token.as_deref(), asked.client_id.as_deref()),
            (Some("a b"), Some("page"))
        );
        assert_eq!(Asked::read("").unwrap(), Asked::default());
        let long = format!("client_id={}", "x".repeat(CLIENT_ID_BYTES_MAX + 1));
        for (query, words) in
            [("since=1", "token and client_id"), ("client_id=", "1 to 64"), (&long, "65 bytes")]
        {
            let error = Asked::read(query).unwrap_err();
            assert!(error.0.message.contains(words), "{query}: {}", error.0.message);
        }
    }
}
