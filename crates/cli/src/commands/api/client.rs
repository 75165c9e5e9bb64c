//! Calls to a running server, through the one door that calls leave by.

use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method};
use paceline_clock::{Clock, Random};
use paceline_engine::{Engine, EngineConfig, FetchReply, FetchRequest, OutboundGuard};
use paceline_model::limits;
use paceline_store::SqliteStore;
use serde_json::Value as Json;

use super::call::{self, Call};
use crate::exit::{Failure, usage};

/// A server gives up on a request after 60 s; a little more, so that it is the server that says so.
const PATIENCE: Duration = Duration::from_secs(65);

/// A server, and the key that opens it.
pub(super) struct Client {
    engine: Engine,
    server: String,
    authorization: HeaderValue,
}

impl Client {
    pub(super) fn new(server: &str, key: &str, clock: Clock) -> Result<Self, Failure> {
        let store = SqliteStore::open_in_memory(clock.clone())?;
        // Whoever sits at the command line is the operator, and the server is mostly on this machine.
        let outbound = OutboundGuard { allow_private: true, ..OutboundGuard::default() };
        let config = EngineConfig { outbound, ..EngineConfig::default() };
        let engine = Engine::new(store, clock, Random::system(), config);
        let authorization = HeaderValue::from_str(&format!("Bearer {key}"))
            .map_err(|_| usage("the key holds spaces or signs that a header cannot carry"))?;
        Ok(Self { engine, server: server.to_owned(), authorization })
    }

    pub(super) async fn send(&self, call: Call) -> Result<FetchReply, Failure> {
        let (method, address) = (call.method, call.url.clone());
        let request = FetchRequest {
            method: Method::from_bytes(call.method.as_bytes())
                .map_err(|error| usage(error.to_string()))?,
            headers: vec![
                (AUTHORIZATION, self.authorization.clone()),
                (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            ],
            body: call.body.map(|body| body.to_string().into()),
            timeout: PATIENCE,
            reply_bytes_max: limits::FETCH_REPLY_BYTES_MAX,
            ..FetchRequest::get(call.url)
        };
        let reply = self.engine.fetch(request).await;
        reply.map_err(|error| usage(format!("{method} {address}: {error}; is it running there?")))
    }

    /// Calls an operation by its name; answers the status and what came as JSON.
    pub(super) async fn operation(
        &self,
        name: &str,
        words: &[String],
    ) -> Result<(u16, Json), Failure> {
        let call = call::read(super::known(name)?, words, &self.server)?;
        let reply = self.send(call).await?;
        Ok((reply.status, serde_json::from_slice(&reply.body).unwrap_or(Json::Null)))
    }
}
