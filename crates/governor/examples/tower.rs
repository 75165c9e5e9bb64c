//! A tower layer against a strict vendor on loopback: nothing is refused, and it takes as long as the plan says.
//!
//! `cargo run -p paceline-governor --features tower --example tower`
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::process::ExitCode;
use std::time::Duration;

use http::Request;
use http_body_util::Empty;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use paceline_clock::Clock;
use paceline_governor::adapter::tower::GovernorLayer;
use paceline_governor::{Budget, BudgetConfig, Limit, PlanRequest, plan};
use paceline_lab::{Lab, Policy, VendorConfig};
use tower::{ServiceBuilder, ServiceExt};

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

    // Any HTTP client that is a tower service; here hyper's. Its clones, and the layer's, share one budget.
    let budget = Budget::new(BudgetConfig::new(limits.clone()), clock.clone())?;
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<&'static [u8]>>();
    let client = ServiceBuilder::new().layer(GovernorLayer::new(budget)).service(client);

    let began = clock.now();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..CALLS {
        let request = Request::get(format!("http://{}/echo", lab.addr())).body(Empty::new())?;
        calls.spawn(client.clone().oneshot(request));
    }
    while let Some(answer) = calls.join_next().await {
        answer??;
    }
    let took_ms = (clock.now() - began).as_millis();

    let request = PlanRequest { calls: CALLS, limits, concurrency: None, service: Duration::ZERO };
    let planned_ms = plan(&request)?.end_ms;
    let stats = lab.shutdown().await;
    println!("accepted {}, refused {}", stats.accepted, stats.refused);
    println!("took {took_ms} ms, planned {planned_ms:.0} ms");
    Ok(if stats.refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
