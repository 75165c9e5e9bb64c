//! Hex clients that nobody here wrote, against the simulated Hex: the SDKs and command lines of hex-toolkit 0.6.0 and
//! hex-api 0.1.0 list, run, poll and cancel, and the judge counts.
//!
//! They live in a virtual environment of their own under the target folder, from `requirements.txt`. `scripts/test` makes
//! it and runs this; `cargo test` alone leaves it out. By hand: `cargo test -p paceline-cli --test hex_clients`.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on ends here")]

mod command_line;
#[expect(dead_code, reason = "the tests of the command line use the rest")]
#[path = "../cli/process.rs"]
mod process;
mod sdk;
#[expect(dead_code, reason = "the tests of the command line use the rest")]
#[path = "../cli/support.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use paceline_clock::Clock;
use paceline_lab::{HexConfig, HexProject, Lab, Running, VendorConfig};
use process::{Ended, Process};
use tokio::process::Command;

/// The first project of the default.
const P1: &str = "00000000-0000-4000-8000-000000000001";
/// A project without a published version.
const UNPUBLISHED: &str = "00000000-0000-4000-8000-00000000dead";

/// A Hex on a port of its own whose runs are soon over, with one project that is not published.
async fn hex(change: impl FnOnce(&mut HexConfig)) -> Running {
    let mut hex = HexConfig::default();
    for project in &mut hex.projects {
        (project.pending, project.run) = ("200".parse().unwrap(), "300".parse().unwrap());
    }
    hex.projects.push(HexProject { published: false, ..HexProject::new(UNPUBLISHED, "Draft") });
    change(&mut hex);
    let any = ([127, 0, 0, 1], 0).into();
    Lab::start_with_hex(VendorConfig::default(), hex, Clock::system(), any).await.unwrap()
}

/// A program of the virtual environment that talks to `lab`.
fn client(program: &str, lab: &Running) -> Command {
    let path = environment().join("bin").join(program);
    assert!(
        path.exists(),
        "{} is not there: scripts/test installs what crates/cli/tests/hex_clients/requirements.txt names",
        path.display()
    );
    let mut command = Command::new(path);
    // Nothing of the machine: no proxy, no settings, no width of a terminal that would cut an id in two.
    command.env_clear().env("COLUMNS", "200").env("PYTHONDONTWRITEBYTECODE", "1");
    command.env("HEX_API_KEY", "hxtp_of_the_tests").stdin(Stdio::null());
    command.env("HEX_API_BASE_URL", format!("http://{}/api", lab.addr()));
    command
}

async fn run(mut command: Command) -> Ended {
    Process::spawn(&mut command).ended().await
}

/// The folder beside the profiles of the target folder, where `scripts/test` puts it.
fn environment() -> PathBuf {
    let binary = Path::new(env!("CARGO_BIN_EXE_paceline"));
    binary.ancestors().nth(2).expect("target/PROFILE/paceline").join("hex-clients")
}

/// The judge's verdict on a client that did nothing wrong.
#[track_caller]
fn assert_nothing_twice_and_nothing_refused(lab: &Running, started: u64) {
    let stats = lab.hex().stats();
    assert_eq!((stats.started, stats.double_started), (started, 0), "{stats:#?}");
    assert_eq!((stats.refused, stats.unauthorized), (0, 0), "{stats:#?}");
    assert!(stats.run_list.iter().all(|run| run.end_told), "an end was not seen: {stats:#?}");
}
