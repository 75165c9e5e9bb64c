//! `paceline lab`: a simulated vendor on loopback.

use paceline_clock::Clock;
use paceline_lab::{Lab, VendorConfig};

use crate::args::LabArgs;
use crate::exit::{Exit, Failure, usage};
use crate::output;
use crate::signals::Signals;

pub(crate) async fn run(args: LabArgs) -> Result<Exit, Failure> {
    if !args.listen.ip().is_loopback() {
        return Err(usage(format!(
            "--listen {}: the lab only listens on loopback; write 127.0.0.1:PORT",
            args.listen
        )));
    }
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
    let lab = Lab::start(config, Clock::system(), args.listen).await?;
    output::result(&format!("listening on http://{}", lab.addr()));
    signals.next().await;
    let stats = lab.shutdown().await;
    output::note(&format!(
        "accepted {}, refused {}, duplicates {}",
        output::thousands(stats.accepted),
        output::thousands(stats.refused),
        output::thousands(stats.duplicates),
    ));
    Ok(Exit::Done)
}
