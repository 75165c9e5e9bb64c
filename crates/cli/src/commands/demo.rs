//! `paceline demo`: the whole of it on one screen, against a vendor of its own.

use paceline_clock::{Clock, Random};
use paceline_lab::{AIRPORTS_CSV, Lab, VendorConfig};

use super::enrich;
use crate::args::{DemoArgs, EnrichArgs};
use crate::exit::{Exit, Failure, usage};
use crate::output;

/// The vendor's limits: the short one shapes the bursts, the long one the whole.
const LIMITS: [&str; 2] = ["150/s", "600/5s"];
const NET: &str = "2..30";
const SERVICE: &str = "20..200";

pub(crate) async fn run(args: DemoArgs) -> Result<Exit, Failure> {
    let config = VendorConfig {
        limits: LIMITS.iter().map(|text| text.parse()).collect::<Result<_, _>>()?,
        policy: "log".parse()?,
        net: NET.parse()?,
        service: SERVICE.parse()?,
        seed: 1,
        ..VendorConfig::default()
    };
    let lab = Lab::start(config, Clock::system(), ([127, 0, 0, 1], 0).into()).await?;
    let dir = std::env::temp_dir()
        .join(format!("paceline-demo-{:08x}", Random::system().next_u64() as u32));
    std::fs::create_dir(&dir)
        .map_err(|error| usage(format!("cannot make {}: {error}", dir.display())))?;
    let input = dir.join("airports.csv");
    let output_path = dir.join("airports-enriched.csv");
    std::fs::write(&input, AIRPORTS_CSV)?;
    output::note(
        "A vendor on this machine takes 150 calls per second and 600 per 5 seconds at once, and answers 429 to every \
         call beyond.\nWe ask it for the nearest other airport of 3,376 airports, as early as both limits allow. It takes \
         about 28 s.",
    );
    let request = EnrichArgs {
        input,
        output: output_path.clone(),
        column: "nearest".to_owned(),
        url: format!(
            "http://{}/geo/nearest?lat={{{{latitude}}}}&lon={{{{longitude}}}}",
            lab.addr()
        ),
        method: "GET".to_owned(),
        headers: Vec::new(),
        body: None,
        extract: Some("$.name".to_owned()),
        rate: None,
        limits: LIMITS.iter().map(|text| text.parse()).collect::<Result<_, _>>()?,
        concurrency: Some(128),
        shape: None,
        guard: None,
        timeout_ms: None,
        record: None,
        retry_failed: false,
        restart: false,
        allow_private: true,
        json: args.json,
        report_on_stdout: !args.json,
    };
    let exit = enrich::run(request).await?;
    let stats = lab.shutdown().await;
    output::note(&format!(
        "The vendor counted {} calls, refused {}, and saw no more than {}.",
        output::thousands(stats.accepted + stats.refused),
        stats.refused,
        stats
            .limits
            .iter()
            .map(|limit| format!("{} in {} ms", limit.busiest, limit.window_ms))
            .collect::<Vec<_>>()
            .join(" and "),
    ));
    show_rows(&output_path);
    Ok(exit)
}

/// The first rows of the result.
fn show_rows(path: &std::path::Path) {
    let Ok(text) = std::fs::read_to_string(path) else { return };
    output::note(&format!("\n{}:", path.display()));
    text.lines().take(4).for_each(output::note);
}
