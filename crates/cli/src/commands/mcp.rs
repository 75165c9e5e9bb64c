//! `paceline mcp`: tables for an agent over MCP on stdin and stdout, from a directory of its own or through a running
//! server. Stdout belongs to the protocol; whatever a person should read goes to stderr.

mod upstream;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use paceline_clock::{Clock, Random};
use paceline_engine::{EngineConfig, OutboundGuard};
use paceline_model::limits;
use paceline_server::{
    ApiKeys, App, AppParts, ServerConfig, Toolsets, UnknownToolset, mcp_bridge, mcp_stdio,
};

use self::upstream::Upstream;
use super::serve;
use crate::args::McpArgs;
use crate::env;
use crate::exit::{Exit, Failure, usage};
use crate::signals::Signals;

/// Bytes of a file with a key in it.
const KEY_FILE_BYTES_MAX: u64 = 4_096;

pub(crate) async fn run(args: McpArgs) -> Result<Exit, Failure> {
    let toolsets = args.toolsets.parse();
    let toolsets: Toolsets =
        toolsets.map_err(|error: UnknownToolset| usage(format!("--toolsets: {error}")))?;
    match (&args.data, args.url.clone().or_else(env::url)) {
        (Some(data), _) => {
            let data = data.clone();
            alone(args, data, toolsets).await
        }
        (None, Some(url)) => through(&url, args.key_file.as_deref(), &args.toolsets).await,
        (None, None) => Err(usage(
            "give --data DIR for tables of its own, or --url URL (PACELINE_URL) for those of a running server",
        )),
    }
}

async fn alone(args: McpArgs, data: PathBuf, toolsets: Toolsets) -> Result<Exit, Failure> {
    let clock = Clock::system();
    let random = Random::system();
    let outbound =
        OutboundGuard { allow_private: args.allow_private, allow: args.allow_hosts.into() };
    let functions = serve::functions(&clock, limits::FUNCTION_TIMEOUT);
    let formulas = serve::formulas(&clock);
    let recordings = Some(paceline_server::recordings(&data, limits::RECORDING_BYTES_MAX));
    let config =
        EngineConfig { outbound, formulas, functions, recordings, ..EngineConfig::default() };
    let opened = serve::engine(args.store, &data, config, &clock, &random).await;
    let engine = opened.map_err(|failure| {
        if !failure.is_busy {
            return failure;
        }
        usage(format!(
            "{failure}; if that is `paceline serve`, go through it: paceline mcp --url http://127.0.0.1:7223 --key-file FILE"
        ))
    })?;
    let mut signals = Signals::listen()?;
    serve::resume(&engine).await?;
    let app = App::new(AppParts {
        engine: engine.clone(),
        clock,
        random,
        keys: ApiKeys::default(),
        config: ServerConfig::default(),
        dir: Some(data),
    });
    let spoken = tokio::select! {
        spoken = mcp_stdio(app, toolsets, async move { signals.next().await }) => spoken,
        // It never ends. Dropped in between, it has lost nothing: what was seen is kept after its runs were made.
        () = engine.run_automatically() => Ok(()),
    };
    engine.shutdown().await;
    spoken.map_err(usage)?;
    Ok(Exit::Done)
}

async fn through(url: &str, key_file: Option<&Path>, toolsets: &str) -> Result<Exit, Failure> {
    let key = match key_file {
        Some(path) => Some(key_of(path)?),
        None => env::api_key(),
    };
    let key = key.ok_or_else(|| {
        usage("there is no API key for the server; give --key-file FILE or set PACELINE_API_KEY")
    })?;
    let upstream = Upstream::new(url, &key, toolsets, &Clock::system())?;
    let mut signals = Signals::listen()?;
    mcp_bridge(Arc::new(upstream), async move { signals.next().await }).await.map_err(usage)?;
    Ok(Exit::Done)
}

fn key_of(path: &Path) -> Result<String, Failure> {
    use std::io::Read;
    let wrong = |error: String| usage(format!("--key-file {}: {error}", path.display()));
    let file = std::fs::File::open(path).map_err(|error| wrong(error.to_string()))?;
    let mut key = String::new();
    // A device or a whole disk is no key file.
    file.take(KEY_FILE_BYTES_MAX)
        .read_to_string(&mut key)
        .map_err(|error| wrong(error.to_string()))?;
    let key = key.trim();
    if key.is_empty() {
        return Err(wrong("it is empty".to_owned()));
    }
    Ok(key.to_owned())
}
