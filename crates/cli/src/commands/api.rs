//! `paceline api`: the operations of a running server from the command line. What there is, and what each takes, comes
//! from the same catalogue that the server answers by.

mod call;
mod help;

use std::path::Path;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method};
use paceline_clock::{Clock, Random};
use paceline_engine::{Engine, EngineConfig, FetchReply, FetchRequest, OutboundGuard};
use paceline_model::{limits, suggest};
use paceline_server::{Operation, operations};
use paceline_store::SqliteStore;

use crate::args::ApiArgs;
use crate::exit::{Exit, Failure, usage};
use crate::{env, output};

/// A server gives up on a request after 60 s; a little more, so that it is the server that says so.
const PATIENCE: Duration = Duration::from_secs(65);

pub(crate) async fn run(args: ApiArgs) -> Result<Exit, Failure> {
    let Some((name, words)) = args.words.split_first() else {
        output::result(&help::list());
        return Ok(Exit::Done);
    };
    let operation = known(name)?;
    if words.iter().any(|word| word == "--help" || word == "-h") {
        output::result(&help::of(operation));
        return Ok(Exit::Done);
    }
    let call = call::read(operation, words, &args.url)?;
    let key = key(args.key_file.as_deref())?;
    let reply = send(call, &key).await?;
    output::result(&shown(&reply));
    Ok(match reply.status {
        200..300 => Exit::Done,
        400..500 => Exit::Usage,
        _ => Exit::SomeFailed,
    })
}

fn known(name: &str) -> Result<&'static Operation, Failure> {
    operations().find(|operation| operation.name == name).ok_or_else(|| {
        let meant = suggest(name, operations().map(|operation| operation.name));
        let meant = meant.map_or_else(String::new, |meant| format!("; did you mean {meant}?"));
        usage(format!("there is no operation {name:?}{meant}; `paceline api` lists them"))
    })
}

/// The key of a file, or of the environment. Not of the command line, which other users of this machine can see.
fn key(file: Option<&Path>) -> Result<String, Failure> {
    match file {
        Some(path) => std::fs::read_to_string(path)
            .map(|key| key.trim().to_owned())
            .map_err(|error| usage(format!("--key-file {}: {error}", path.display()))),
        None => env::api_key().ok_or_else(|| {
            usage("there is no key: name a file that holds it with --key-file, or set PACELINE_API_KEY")
        }),
    }
}

async fn send(call: call::Call, key: &str) -> Result<FetchReply, Failure> {
    let (clock, random) = (Clock::system(), Random::system());
    let store = SqliteStore::open_in_memory(clock.clone())?;
    // Whoever sits at the command line is the operator, and the server is mostly on this machine.
    let outbound = OutboundGuard { allow_private: true, ..OutboundGuard::default() };
    let config = EngineConfig { outbound, ..EngineConfig::default() };
    let engine = Engine::new(store, clock, random, config);
    let authorization = HeaderValue::from_str(&format!("Bearer {key}"))
        .map_err(|_| usage("the key holds spaces or signs that a header cannot carry"))?;
    let request = FetchRequest {
        method: Method::from_bytes(call.method.as_bytes())
            .map_err(|error| usage(error.to_string()))?,
        headers: vec![
            (AUTHORIZATION, authorization),
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        ],
        body: call.body.map(|body| body.to_string().into()),
        timeout: PATIENCE,
        reply_bytes_max: limits::FETCH_REPLY_BYTES_MAX,
        ..FetchRequest::get(call.url)
    };
    engine.fetch(request).await.map_err(|error| usage(format!("{error}; is it running there?")))
}

/// JSON made readable; anything else as it came.
fn shown(reply: &FetchReply) -> String {
    let json: Option<serde_json::Value> = serde_json::from_slice(&reply.body).ok();
    json.and_then(|json| serde_json::to_string_pretty(&json).ok())
        .unwrap_or_else(|| String::from_utf8_lossy(&reply.body).into_owned())
}
