//! Enforcers that nobody here wrote, each against a thousand calls of the real `enrich`: nginx `limit_req`, and
//! `express-rate-limit` with its three kinds of standard headers.
//!
//! What was refused is read from the enforcer's own record. A run **settles** within the first third of its served
//! calls; what is refused until then is the price of learning and is printed, and after it nothing may be refused.
//!
//! These need nginx, node and the packages of `express/package-lock.json`. `scripts/test` installs them and runs this;
//! `cargo test` alone leaves it out. By hand: `cargo test -p paceline-cli --test enforcers -- --nocapture`.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on ends here")]

mod express;
mod nginx;
#[expect(dead_code, reason = "the tests of the command line use the rest")]
#[path = "../cli/process.rs"]
mod process;
#[expect(dead_code, reason = "the tests of the command line use the rest")]
#[path = "../cli/support.rs"]
mod support;
mod verdict;

use std::time::Duration;

use paceline_clock::Clock;
use process::Ended;
use support::{Bench, Enrich};
use tokio::process::Command;
use tokio::sync::{Mutex, MutexGuard};

/// How many rows, and so calls that are served, each enforcer sees.
const CALLS: usize = 1_000;
/// What every enforcer here allows and `enrich` is told.
const RATE_PER_S: u32 = 100;
/// Twice what the limit alone takes: whoever never gets refused because he crawls has not learnt either.
const RUN_MAX: Duration = Duration::from_secs(2 * CALLS as u64 / RATE_PER_S as u64);

/// A thousand rows, each called for once at `address`, with every setting but the limit at its default. A run that takes
/// too long is interrupted, so that there is something to judge.
async fn enrich(bench: &Bench, address: &str) -> Ended {
    bench.write("airports.csv", support::airports(CALLS));
    let url = format!("http://{address}/calls?id={{{{iata}}}}");
    let limit = format!("{RATE_PER_S}/s");
    let flags = ["--extract", "$.ok", "--limit", &limit, "--json"];
    let request = Enrich::of("airports.csv", "out.csv", &url).with(&flags);
    let mut process = bench.start_enrich(&request);
    let clock = Clock::system();
    let last = clock.now() + RUN_MAX;
    while process.is_running() && clock.now() < last {
        clock.sleep(Duration::from_millis(10)).await;
    }
    if process.is_running() {
        process.interrupt().await;
    }
    process.ended().await
}

/// One enforcer at a time: what is measured are milliseconds, and the machine may have two cores.
async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.lock().await
}

/// A program of the machine, which must be there: a test that is left out silently judges nobody.
async fn tool(program: &str, package: &str) -> Command {
    if let Err(error) = Command::new(program).arg("-v").output().await {
        panic!(
            "{program} does not start ({error}): scripts/test installs it, or `apt-get install {package}`"
        );
    }
    Command::new(program)
}
