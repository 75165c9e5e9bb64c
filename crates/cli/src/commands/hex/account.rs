//! One user at one Hex: where Hex is, where the user's state is kept, and the settings.

use std::path::PathBuf;

use paceline_engine::{IntegrationSpec, OutboundGuard};
use paceline_governor::Limit;
use paceline_hex::Options;
use serde_json::{Map, Value as Json, json};
use url::Url;

use crate::args::hex::{AccountArgs, OnConflict, TuningArgs};
use crate::env;
use crate::exit::{Failure, usage};

/// Where Hex is for most.
const BASE_URL: &str = "https://app.hex.tech";

/// One user at one Hex.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) base_url: String,
    pub(super) state: PathBuf,
    pub(super) outbound: OutboundGuard,
}

impl Account {
    pub(super) fn of(args: &AccountArgs) -> Result<Self, Failure> {
        let outbound = OutboundGuard::private(args.allow_private);
        let (named, base_url) = match (&args.base_url, env::hex_base_url()) {
            (Some(url), _) => ("--base-url", url.clone()),
            (None, Some(url)) => ("HEX_BASE_URL", url),
            (None, None) => ("the default", BASE_URL.to_owned()),
        };
        let base_url = base_url.trim_end_matches('/').to_owned();
        let wrong = |error: String| usage(format!("{named}: {error}"));
        let url = outbound.check_url(&base_url).map_err(|error| wrong(error.to_string()))?;
        if url.scheme() == "http" && !args.allow_private {
            let problem = "http would send the token in plain text; write https, or allow it with --allow-private";
            return Err(wrong(problem.to_owned()));
        }
        let options = Options { base_url: base_url.clone(), ..Options::default() };
        options.check().map_err(|error| wrong(error.to_string()))?;
        let state = match &args.state {
            Some(state) => state.clone(),
            None => default_state(&url, args.account.as_deref())?,
        };
        Ok(Self { base_url, state, outbound })
    }
}

/// `STATE_HOME/paceline/hex/HOST[-ACCOUNT]`.
fn default_state(url: &Url, account: Option<&str>) -> Result<PathBuf, Failure> {
    let home = env::state_home()
        .ok_or_else(|| usage("neither XDG_STATE_HOME nor HOME is set; give --state DIR"))?;
    let mut name = url.host_str().unwrap_or_default().replace(['[', ']', ':'], "_");
    if let Some(port) = url.port() {
        name = format!("{name}_{port}");
    }
    if let Some(account) = account {
        let is_name =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'@');
        if account.is_empty() || account.len() > 64 || !account.bytes().all(is_name) {
            return Err(usage("--account: write 1 to 64 letters, digits, or any of - _ . @"));
        }
        name = format!("{name}-{account}");
    }
    Ok(home.join("paceline/hex").join(name))
}

/// The settings of a column, as the engine takes them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    pub(super) config: Json,
    pub(super) rate: Json,
    /// The limits on starts, the spacing among them.
    pub(super) trigger_limits: Vec<Limit>,
}

impl Settings {
    pub(super) fn of(
        account: &Account,
        tuning: &TuningArgs,
        concurrency: u32,
    ) -> Result<Self, Failure> {
        let mut config = json!({
            "provider": "hex",
            "project": "{{project_id}}",
            "params": "{{params}}",
            "base_url": account.base_url,
        });
        if let Some(fields) = config.as_object_mut() {
            fields.extend(options(tuning));
        }
        IntegrationSpec::from_json(&config).map_err(|error| usage(in_flags(&error)))?;
        let mut rate = json!({ "max_concurrent": concurrency });
        let mut trigger_limits = Options::default().trigger_limits;
        if !tuning.limits.is_empty() {
            rate["limits"] = texts(&tuning.limits);
            trigger_limits.clone_from(&tuning.limits);
        }
        if let Some(spacing) = tuning.min_spacing.filter(|spacing| !spacing.is_zero()) {
            rate["min_spacing_ms"] = json!(millis(spacing));
            let spacing =
                Limit::new(1, spacing).map_err(|error| usage(format!("--min-spacing: {error}")))?;
            trigger_limits.push(spacing);
        }
        Ok(Self { config, rate, trigger_limits })
    }

    /// The settings of a session outside of any run.
    pub(super) fn options(&self) -> Result<Options, Failure> {
        Ok(IntegrationSpec::from_json(&self.config)?.options()?)
    }
}

fn options(tuning: &TuningArgs) -> Map<String, Json> {
    let times = [
        ("poll_interval_ms", tuning.poll_interval),
        ("running_max_ms", tuning.stuck_after),
        ("pending_max_ms", tuning.pending_max),
        ("kernel_wait_ms", tuning.kernel_wait),
        ("throttle_pause_ms", tuning.throttle_pause),
        ("call_timeout_ms", tuning.call_timeout),
    ];
    let mut options = Map::new();
    let mut put = |name: &str, value: Json| options.insert(name.to_owned(), value);
    for (name, time) in times {
        time.map(|time| put(name, json!(millis(time))));
    }
    tuning.kernels.map(|kernels| put("kernels", json!(kernels)));
    tuning.on_conflict.map(|policy| {
        let policy = match policy {
            OnConflict::Wait => "wait",
            OnConflict::Attach => "attach",
            OnConflict::Fail => "fail",
        };
        put("conflict", json!(policy))
    });
    for (name, limits) in
        [("poll_limits", &tuning.poll_limits), ("overall_limits", &tuning.overall_limits)]
    {
        (!limits.is_empty()).then(|| put(name, texts(limits)));
    }
    if !tuning.settle_waits.is_empty() {
        let waits: Vec<u64> = tuning.settle_waits.iter().copied().map(millis).collect();
        put("settle_waits_ms", json!(waits));
    }
    let mut retry = Map::new();
    let mut put_retry = |name: &str, value: Json| retry.insert(name.to_owned(), value);
    if let Some(base) = tuning.retry_429_base {
        put_retry("throttle_base_ms", json!(millis(base)));
        // The seed's 5 s on 30 s, in proportion where the wait is shorter.
        put_retry("throttle_jitter_ms", json!(millis(base / 6).min(5_000)));
    }
    tuning.retry_5xx_base.map(|base| put_retry("error_base_ms", json!(millis(base))));
    tuning.retries.map(|retries| put_retry("retries", json!(retries)));
    if !retry.is_empty() {
        options.insert("retry".to_owned(), Json::Object(retry));
    }
    options
}

/// What is wrong with a setting, with the flag in place of the field that it sets.
fn in_flags(error: &paceline_engine::Error) -> String {
    let flags = [
        ("poll_interval_ms", "--poll-interval"),
        ("running_max_ms", "--stuck-after"),
        ("pending_max_ms", "--pending-max"),
        ("kernel_wait_ms", "--kernel-wait"),
        ("throttle_pause_ms", "--throttle-pause"),
        ("call_timeout_ms", "--call-timeout"),
        ("settle_waits_ms", "--settle-waits"),
        ("throttle_base_ms", "--retry-429-base"),
        ("error_base_ms", "--retry-5xx-base"),
    ];
    let text = error.to_string();
    let found = flags.iter().find(|(field, _)| text.contains(field));
    found.map_or_else(
        || text.clone(),
        |(field, flag)| {
            let text = text.replace(field, &format!("{flag} (in ms)"));
            text.trim_start_matches("config: ").trim_start_matches("config.").to_owned()
        },
    )
}

fn texts(limits: &[Limit]) -> Json {
    limits.iter().map(|limit| json!(limit.to_string())).collect()
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
