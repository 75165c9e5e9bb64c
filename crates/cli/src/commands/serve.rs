//! `paceline serve`: the store, the engine and the server put together.

mod settings;

use std::path::Path;
use std::time::Duration;

use paceline_clock::{Clock, Random};
use paceline_engine::{Engine, EngineConfig, OutboundGuard, Sealer};
use paceline_governor::Ceilings;
use paceline_model::{Store, limits};
use paceline_script::{FunctionCommand, FunctionHost, Pool};
use paceline_server::{ApiKeys, App, AppParts, ServerConfig};

use crate::args::ServeArgs;
use crate::exit::{Exit, Failure, usage};
use crate::patience::patiently;
use crate::signals::Signals;
use crate::store::StoreUrl;
use crate::{env, keys, output, store};

pub(crate) async fn run(args: ServeArgs) -> Result<Exit, Failure> {
    let limits = settings::read(args.limits.as_deref())?;
    let clock = Clock::system();
    let random = Random::system();
    let config = EngineConfig {
        ceilings: Ceilings {
            concurrent_max: limits.column_concurrent_max,
            rate_max: limits.column_rate_max,
            rate_optional: false,
        },
        outbound: OutboundGuard {
            allow_private: args.allow_private,
            allow: args.allow_hosts.into(),
        },
        formulas: formulas(&clock),
        functions: functions(&clock, limits.function_timeout),
        ..EngineConfig::default()
    };
    let engine = engine(args.store, &args.data, config, &clock, &random).await?;
    let (keys, shown) = api_keys(engine.store().as_ref(), &random, args.new_key).await?;
    let mut signals = Signals::listen()?;
    let listener = tokio::net::TcpListener::bind(args.listen).await.map_err(|error| {
        usage(format!("cannot listen on {}: {error}; choose another with --listen", args.listen))
    })?;
    resume(&engine).await?;
    if let Some(key) = shown {
        output::note(&format!(
            "API key (shown this once, send it as Authorization: Bearer): {key}"
        ));
    }
    output::result(&format!("listening on http://{}", listener.local_addr()?));
    let app = App::new(AppParts {
        engine: engine.clone(),
        clock,
        random,
        keys,
        config: ServerConfig {
            loopback_hosts_only: args.listen.ip().is_loopback(),
            key_limit: Some(args.key_limit),
            limits,
            ..ServerConfig::default()
        },
        dir: Some(args.data),
    });
    let stop = async move {
        signals.next().await;
        output::note("stopping: calls in flight are finished first");
    };
    paceline_server::serve(listener, app, stop).await;
    engine.shutdown().await;
    Ok(Exit::Done)
}

/// The engine over a store that this process opens for itself.
pub(super) async fn engine(
    url: Option<StoreUrl>,
    data: &Path,
    config: EngineConfig,
    clock: &Clock,
    random: &Random,
) -> Result<Engine, Failure> {
    let url = url.or_else(env::store);
    let store = patiently(clock, || store::open(url.as_ref(), data, clock)).await?;
    let sealer = Sealer::new(&directory_key(data, random)?, random.clone());
    let config = EngineConfig { sealer: Some(sealer), ..config };
    Ok(Engine::new(store, clock.clone(), random.clone(), config))
}

/// Where functions run: in processes of this same program.
pub(super) fn functions(clock: &Clock, timeout: Duration) -> Option<FunctionHost> {
    Some(FunctionHost::new(worker()?, clock.clone(), timeout, limits::FUNCTION_PROCESSES_MAX))
}

/// Where formulas run: on as many threads as there are cores, and what these cannot stop in processes of this program.
pub(super) fn formulas(clock: &Clock) -> Pool {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    match worker() {
        Some(command) => Pool::with_children(clock.clone(), threads, command),
        None => Pool::new(clock.clone(), threads),
    }
}

fn worker() -> Option<FunctionCommand> {
    let program = env::program()?.into_os_string();
    Some(FunctionCommand { program, args: vec!["sandbox-worker".into()] })
}

/// Lets the runs go on that an earlier process left behind, and says so.
pub(super) async fn resume(engine: &Engine) -> Result<(), Failure> {
    for run in engine.resume_left_behind().await? {
        output::note(&format!(
            "run {} goes on where it stood: {} cells ended",
            run.id,
            run.counts.ended()
        ));
    }
    Ok(())
}

fn directory_key(dir: &Path, random: &Random) -> Result<[u8; 32], Failure> {
    keys::directory_key(dir, random)
        .map_err(|error| usage(format!("the key of {}: {error}", dir.display())))
}

/// The keys in force, and the key itself if it was made just now.
async fn api_keys(
    store: &dyn Store,
    random: &Random,
    new_key: bool,
) -> Result<(ApiKeys, Option<String>), Failure> {
    if let Some(key) = env::api_key() {
        let keys = ApiKeys::from_key(&key);
        let keys = keys.ok_or_else(|| {
            usage("PACELINE_API_KEY holds spaces or signs that a header cannot carry")
        })?;
        return Ok((keys, None));
    }
    let kept = store.setting(ApiKeys::SETTING).await?;
    if !new_key && let Some(keys) = kept.as_deref().and_then(ApiKeys::from_hash) {
        output::note(
            "the API key of the first start is in force; --new-key makes another, PACELINE_API_KEY sets one",
        );
        return Ok((keys, None));
    }
    let (key, keys) = ApiKeys::made(random);
    store.set_setting(ApiKeys::SETTING, &ApiKeys::hash_of(&key)).await?;
    Ok((keys, Some(key)))
}
