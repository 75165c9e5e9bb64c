//! `paceline serve`: the store, the engine and the server put together.

use std::path::Path;

use paceline_clock::{Clock, Random};
use paceline_engine::{Engine, EngineConfig, OutboundGuard, Sealer};
use paceline_model::Store;
use paceline_server::{ApiKeys, App};
use paceline_store::SqliteStore;

use crate::args::ServeArgs;
use crate::exit::{Exit, Failure, usage};
use crate::signals::Signals;
use crate::{env, keys, output};

/// Where the hash of the key that was made at the first start is kept.
const KEY_HASH: &str = "api_key_hash";

pub(crate) async fn run(args: ServeArgs) -> Result<Exit, Failure> {
    let clock = Clock::system();
    let random = Random::system();
    let store = SqliteStore::open(&args.data, clock.clone())?;
    let sealer = Sealer::new(&directory_key(&args.data, &random)?, random.clone());
    let (hash, shown) = api_key_hash(store.as_ref(), &random, args.new_key).await?;
    let config = EngineConfig {
        outbound: OutboundGuard { allow_private: args.allow_private },
        sealer: Some(sealer),
        ..EngineConfig::default()
    };
    let engine = Engine::new(store, clock.clone(), random, config);
    let mut signals = Signals::listen()?;
    let listener = tokio::net::TcpListener::bind(args.listen)
        .await
        .map_err(|error| usage(format!("cannot listen on {}: {error}; choose another with --listen", args.listen)))?;
    for run in engine.resume_left_behind().await? {
        output::note(&format!("run {} goes on where it stood: {} cells ended", run.id, run.counts.ended()));
    }
    if let Some(key) = shown {
        output::note(&format!("API key (shown this once, send it as Authorization: Bearer): {key}"));
    }
    output::result(&format!("listening on http://{}", listener.local_addr()?));
    let app = App::new(engine.clone(), clock, ApiKeys::of_hash(hash));
    let stop = async move {
        signals.next().await;
        output::note("stopping: calls in flight are finished first");
    };
    paceline_server::serve(listener, app, stop).await?;
    engine.shutdown().await;
    Ok(Exit::Done)
}

fn directory_key(dir: &Path, random: &Random) -> Result<[u8; 32], Failure> {
    keys::directory_key(dir, random).map_err(|error| usage(format!("the key of {}: {error}", dir.display())))
}

/// The hash of the key in force, and the key itself if it was made just now.
async fn api_key_hash(store: &dyn Store, random: &Random, new_key: bool) -> Result<(String, Option<String>), Failure> {
    if let Some(key) = env::api_key() {
        return Ok((ApiKeys::hash(&key), None));
    }
    if !new_key && let Some(hash) = store.setting(KEY_HASH).await? {
        output::note("the API key of the first start is in force; --new-key makes another, PACELINE_API_KEY sets one");
        return Ok((hash, None));
    }
    let mut bytes = [0; 32];
    random.fill(&mut bytes);
    let key: String = std::iter::once("ht_sk_".to_owned()).chain(bytes.iter().map(|b| format!("{b:02x}"))).collect();
    let hash = ApiKeys::hash(&key);
    store.set_setting(KEY_HASH, &hash).await?;
    Ok((hash, Some(key)))
}
