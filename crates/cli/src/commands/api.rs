//! `paceline api`: the operations of a running server from the command line. What there is, and what each takes, comes
//! from the same catalogue that the server answers by.

mod call;
mod client;
mod help;
mod wait;

use std::path::Path;

use paceline_clock::Clock;
use paceline_model::suggest;
use paceline_server::{Operation, operations};
use serde_json::Value as Json;

use crate::args::ApiArgs;
use crate::exit::{Exit, Failure, usage};
use crate::{env, output};

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
    let clock = Clock::system();
    let client = client::Client::new(&args.url, &key, clock.clone())?;
    let reply = client.send(call).await?;
    let json: Option<Json> = serde_json::from_slice(&reply.body).ok();
    if let (200..300, true, Some(json)) = (reply.status, args.wait, &json) {
        return wait::wait(&client, json, &clock).await;
    }
    let shown = json.as_ref().map(readable);
    output::result(&shown.unwrap_or_else(|| String::from_utf8_lossy(&reply.body).into_owned()));
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

fn readable(json: &Json) -> String {
    serde_json::to_string_pretty(json).unwrap_or_else(|_| json.to_string())
}
