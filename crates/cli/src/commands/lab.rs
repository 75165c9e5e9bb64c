//! `paceline lab`: a simulated vendor, a simulated Hex, simulated vendors of language models, a simulated Slack and a
//! receiver of webhooks on loopback.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use paceline_clock::Clock;
use paceline_lab::{
    AiConfig, AiDialectStats, HexConfig, HexGroupName, Lab, LabConfig, Running, SlackConfig,
    VendorConfig, WebhookConfig,
};

use crate::args::LabArgs;
use crate::exit::{Exit, Failure, usage};
use crate::output;
use crate::signals::Signals;

/// The longest description of a Hex: ten thousand projects fit.
const HEX_BYTES_MAX: u64 = 8 * 1024 * 1024;

pub(crate) async fn run(args: LabArgs) -> Result<Exit, Failure> {
    if !args.listen.ip().is_loopback() {
        return Err(usage(format!(
            "--listen {}: the lab only listens on loopback; write 127.0.0.1:PORT",
            args.listen
        )));
    }
    let config = LabConfig {
        hex: hex_config(&args)?,
        ai: ai_config(&args)?,
        slack: slack_config(&args),
        webhook: webhook_config(&args),
        vendor: VendorConfig {
            limits: args.limits,
            policy: args.policy,
            net: args.net_ms,
            service: args.service_ms,
            faults: args.fault,
            seed: args.seed,
            retry_after: args.retry_after,
            rate_headers: args.rate_headers,
        },
    };
    let mut signals = Signals::listen()?;
    let lab = Lab::start_with(config, Clock::system(), args.listen).await?;
    output::result(&format!("listening on http://{}", lab.addr()));
    signals.next().await;
    tell(&lab);
    lab.shutdown().await;
    Ok(Exit::Done)
}

/// The verdict: on the vendor, and on each of the others that was called.
fn tell(lab: &Running) {
    let stats = lab.stats();
    output::note(&format!(
        "accepted {}, refused {}, duplicates {}",
        output::thousands(stats.accepted),
        output::thousands(stats.refused),
        output::thousands(stats.duplicates),
    ));
    let hex = lab.hex().stats();
    if hex.overall.accepted + hex.refused + hex.unauthorized > 0 {
        output::note(&format!(
            "hex: accepted {}, refused {}, runs started {}, jobs started twice {}",
            output::thousands(hex.overall.accepted),
            output::thousands(hex.refused),
            output::thousands(hex.started),
            output::thousands(hex.double_started),
        ));
    }
    let ai = lab.ai().stats();
    for (name, stats) in [("openai", ai.openai), ("anthropic", ai.anthropic), ("google", ai.google)]
    {
        tell_ai(name, &stats);
    }
    let slack = lab.slack().stats();
    if slack.first_call_ms.is_some() {
        output::note(&format!(
            "slack: accepted {}, refused {}, posted {}, duplicates {}",
            output::thousands(slack.accepted),
            output::thousands(slack.refused),
            output::thousands(slack.posted),
            output::thousands(slack.duplicates),
        ));
    }
    let webhook = lab.webhook().stats();
    if webhook.calls.first_call_ms.is_some() {
        output::note(&format!(
            "webhook: accepted {}, refused {}, effects {}, duplicates {}, bad signatures {}",
            output::thousands(webhook.calls.accepted),
            output::thousands(webhook.calls.refused),
            output::thousands(webhook.calls.served),
            output::thousands(webhook.calls.duplicates),
            output::thousands(webhook.unsigned + webhook.forged + webhook.stale),
        ));
    }
}

/// The verdict of one vendor of language models, if it was called.
fn tell_ai(name: &str, stats: &AiDialectStats) {
    if stats.accepted + stats.refused + stats.unauthorized + stats.invalid == 0 {
        return;
    }
    let busiest = |limit: &paceline_lab::LimitStats| {
        format!(", at most {} of {}", output::thousands(limit.busiest), limit.limit)
    };
    let busiest: String = stats.tokens.iter().map(busiest).collect();
    output::note(&format!(
        "{name}: accepted {}, refused {}, tokens {}{busiest}",
        output::thousands(stats.accepted),
        output::thousands(stats.refused),
        output::thousands(stats.input_tokens + stats.output_tokens),
    ));
}

fn ai_config(args: &LabArgs) -> Result<AiConfig, Failure> {
    let flags = &args.ai;
    let mut config = AiConfig {
        requests: flags.ai_limits.clone(),
        tokens: flags.ai_tokens.clone(),
        policy: flags.ai_policy,
        service: flags.ai_service_ms,
        keys: flags.ai_keys.clone(),
        models: flags.ai_models.clone(),
        net: args.net_ms,
        seed: args.seed,
        ..AiConfig::default()
    };
    for law in &flags.ai_faults {
        config.faults = config.faults.and(law.clone())?;
    }
    Ok(config)
}

fn slack_config(args: &LabArgs) -> SlackConfig {
    let flags = &args.slack;
    let mut config = SlackConfig {
        policy: flags.slack_policy.clone(),
        tokens: flags.slack_tokens.clone(),
        webhooks: flags.slack_webhooks.clone(),
        channels: flags.slack_channels.clone(),
        net: args.net_ms,
        service: flags.slack_service_ms,
        faults: flags.slack_fault.clone(),
        seed: args.seed,
        ..SlackConfig::default()
    };
    if !flags.slack_limits.is_empty() {
        config.limits.clone_from(&flags.slack_limits);
    }
    config
}

fn webhook_config(args: &LabArgs) -> WebhookConfig {
    let flags = &args.webhook;
    let vendor = VendorConfig {
        limits: flags.webhook_limits.clone(),
        policy: flags.webhook_policy.clone(),
        net: args.net_ms,
        service: flags.webhook_service_ms,
        faults: flags.webhook_fault.clone(),
        seed: args.seed,
        retry_after: args.retry_after,
        rate_headers: args.rate_headers,
    };
    let secrets = flags.webhook_secrets.clone();
    WebhookConfig { vendor, secrets, tolerance_s: flags.webhook_tolerance_s }
}

/// The file, and the flags on top of it.
fn hex_config(args: &LabArgs) -> Result<HexConfig, Failure> {
    let flags = &args.hex;
    let mut config = match &flags.hex {
        Some(path) => read_hex(path)?,
        None => HexConfig::default(),
    };
    for policy in &flags.hex_policies {
        for group in HexGroupName::ALL {
            if policy.group.is_none_or(|named| named == group) {
                config.limits.group_mut(group).policy = policy.policy.clone();
            }
        }
    }
    for limit in &flags.hex_limits {
        config.limits.group_mut(limit.group).limits.push(limit.limit);
    }
    for law in &flags.hex_faults {
        config.faults = config.faults.and(law.clone())?;
    }
    if let Some(run) = flags.hex_run_ms {
        config.projects.iter_mut().for_each(|project| project.run = run);
    }
    config.tokens.extend_from_slice(&flags.hex_tokens);
    Ok(HexConfig {
        kernels: flags.hex_kernels.or(config.kernels),
        net: args.net_ms,
        seed: args.seed,
        retry_after: args.retry_after,
        rate_headers: args.rate_headers,
        ..config
    })
}

fn read_hex(path: &Path) -> Result<HexConfig, Failure> {
    let refuse = |reason: String| usage(format!("--hex {}: {reason}", path.display()));
    let mut text = String::new();
    let file = File::open(path).map_err(|error| refuse(error.to_string()))?;
    let mut limited = file.take(HEX_BYTES_MAX + 1);
    let read = limited.read_to_string(&mut text).map_err(|error| refuse(error.to_string()))?;
    if read as u64 > HEX_BYTES_MAX {
        return Err(refuse(format!("it is longer than {HEX_BYTES_MAX} bytes")));
    }
    HexConfig::from_json(&text).map_err(|error| refuse(error.to_string()))
}
