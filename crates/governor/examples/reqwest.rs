//! A governed `reqwest` client against a strict vendor on loopback: nothing is refused, and it takes as long as the plan
//! says.
//!
//! `cargo run -p paceline-governor --features reqwest --example reqwest`
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::process::ExitCode;
use std::time::Duration;

use paceline_clock::Clock;
use paceline_governor::adapter::reqwest::GovernedClient;
use paceline_governor::{Budget, BudgetConfig, Guard, Limit, PlanRequest, plan};
use paceline_lab::{Lab, Policy, VendorConfig};

/// The product's 20 a minute and 60 an hour, in seconds.
const LIMITS: [&str; 2] = ["20/s", "60/3s"];
const CALLS: u64 = 100;

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let clock = Clock::system();
    let limits = LIMITS.map(str::parse).into_iter().collect::<Result<_, _>>()?;
    let vendor = VendorConfig { limits, policy: Policy::LOG_COUNTING, ..VendorConfig::default() };
    let lab = Lab::start(vendor, clock.clone(), ([127, 0, 0, 1], 0).into()).await?;
    let limits = LIMITS.map(str::parse).into_iter().collect::<Result<Vec<Limit>, _>>()?;

    // By default a window of a minute is kept strictly; one that was scaled to a second has to ask for it.
    let config = BudgetConfig { guard: Guard::Strict, ..BudgetConfig::new(limits.clone()) };
    let budget = Budget::new(config, clock.clone())?;
    #[expect(
        clippy::disallowed_methods,
        reason = "the ban is for our own crates: the caller's builder"
    )]
    let builder = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30));
    let client = GovernedClient::new(builder, budget)?;

    let began = clock.now();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..CALLS {
        let client = client.clone();
        let request = client.inner().get(format!("http://{}/echo", lab.addr()));
        calls.spawn(async move { client.send(request).await });
    }
    while let Some(answer) = calls.join_next().await {
        answer??.error_for_status()?;
    }
    let took_ms = (clock.now() - began).as_millis();

    let request = PlanRequest { calls: CALLS, limits, concurrency: None, service: Duration::ZERO };
    let planned_ms = plan(&request)?.end_ms;
    let stats = lab.shutdown().await;
    println!("accepted {}, refused {}", stats.accepted, stats.refused);
    println!("took {took_ms} ms, planned {planned_ms:.0} ms");
    Ok(if stats.refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
