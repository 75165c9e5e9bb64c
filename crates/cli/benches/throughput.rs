//! What a durable cell costs: `cargo bench -p paceline-cli --bench throughput`, on a quiet machine.
//!
//! One lab without limits in a process of its own; the same calls by `wrk` (if it is installed), by a plain reqwest loop that
//! keeps nothing, and by `paceline enrich`, which keeps everything. Then the memory of a million rows.
#![expect(clippy::print_stdout, reason = "a bench prints its table")]
#![expect(
    clippy::disallowed_methods,
    reason = "the plain loop is what is compared with, and the clock is the machine's"
)]

mod support;

use std::process::Command;
use std::time::Instant;

use futures_util::StreamExt;
use support::{LabProcess, Outcome, airports, enrich};

const CONCURRENCY: [usize; 3] = [6, 64, 256];
const PATH: &str = "/geo/nearest?lat=34.1&lon=-101.2";
const MEMORY_ROWS: usize = 1_000_000;

fn main() -> Outcome<()> {
    paceline_engine::install_tls();
    let dir = tempfile::tempdir()?;
    println!(
        "| vendor's latency | at once | wrk calls/s | plain reqwest calls/s | durable cells/s | cells/plain | cells/wrk |"
    );
    println!("|--:|--:|--:|--:|--:|--:|--:|");
    for (latency, calls) in [("0", [60_000, 100_000, 100_000]), ("50", [600, 8_000, 25_000])] {
        let lab = LabProcess::start(&["--service-ms", latency])?;
        for (concurrency, calls) in CONCURRENCY.into_iter().zip(calls) {
            let input = airports(dir.path(), calls)?;
            let at_once = concurrency.to_string();
            let mut cells = Vec::new();
            let (mut plain, mut wrk) = (Vec::new(), Vec::new());
            for _ in 0..3 {
                wrk.extend(wrk_rate(&lab.url, concurrency));
                plain.push(plain_rate(&lab.url, concurrency, calls)?);
                let done =
                    enrich(&input, &lab.url, &["--rate", "unlimited", "--concurrency", &at_once])?;
                cells.push(calls as f64 / done.number("elapsed_ms") * 1e3);
            }
            let (wrk, plain, cells) = (median(wrk), median(plain), median(cells));
            println!(
                "| {latency} ms | {concurrency} | {wrk:.0} | {plain:.0} | {cells:.0} | {:.2} | {:.2} |",
                cells / plain,
                cells / wrk
            );
        }
    }
    let lab = LabProcess::start(&[])?;
    let input = airports(dir.path(), MEMORY_ROWS)?;
    let done = enrich(&input, &lab.url, &["--rate", "unlimited", "--concurrency", "64"])?;
    println!(
        "\n{MEMORY_ROWS} rows: {:.0} s, at most {:.0} MB of memory",
        done.number("elapsed_ms") / 1e3,
        done.memory_bytes as f64 / 1e6
    );
    Ok(())
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Calls per second of one thread of wrk; `None` if it is not installed.
fn wrk_rate(url: &str, concurrency: usize) -> Option<f64> {
    let output = Command::new("wrk")
        .args(["-t1", "-d3s", &format!("-c{concurrency}"), &format!("{url}{PATH}")])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .find_map(|line| line.trim().strip_prefix("Requests/sec:"))
        .and_then(|rate| rate.trim().parse().ok())
}

/// Calls per second of a loop that reads every reply and keeps none.
fn plain_rate(url: &str, concurrency: usize, calls: usize) -> Outcome<f64> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().build()?;
        let address = format!("{url}{PATH}");
        let began = Instant::now();
        let calls_made = futures_util::stream::iter(0..calls)
            .map(|_| {
                let call = client.get(&address).send();
                async move { call.await?.bytes().await }
            })
            .buffer_unordered(concurrency)
            .filter_map(async |reply| reply.ok())
            .count()
            .await;
        Ok(calls_made as f64 / began.elapsed().as_secs_f64())
    })
}
