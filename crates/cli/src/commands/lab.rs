//! `paceline lab`: a simulated vendor and a simulated Hex on loopback.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use paceline_clock::Clock;
use paceline_lab::{HexConfig, HexGroupName, Lab, VendorConfig};

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
    let hex = hex_config(&args)?;
    let config = VendorConfig {
        limits: args.limits,
        policy: args.policy,
        net: args.net_ms,
        service: args.service_ms,
        faults: args.fault,
        seed: args.seed,
        retry_after: args.retry_after,
        rate_headers: args.rate_headers,
    };
    let mut signals = Signals::listen()?;
    let lab = Lab::start_with_hex(config, hex, Clock::system(), args.listen).await?;
    output::result(&format!("listening on http://{}", lab.addr()));
    signals.next().await;
    let hex = lab.hex().stats();
    let stats = lab.shutdown().await;
    output::note(&format!(
        "accepted {}, refused {}, duplicates {}",
        output::thousands(stats.accepted),
        output::thousands(stats.refused),
        output::thousands(stats.duplicates),
    ));
    if hex.overall.accepted + hex.refused + hex.unauthorized > 0 {
        output::note(&format!(
            "hex: accepted {}, refused {}, runs started {}, jobs started twice {}",
            output::thousands(hex.overall.accepted),
            output::thousands(hex.refused),
            output::thousands(hex.started),
            output::thousands(hex.double_started),
        ));
    }
    Ok(Exit::Done)
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
