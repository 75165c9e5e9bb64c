//! The served OpenAPI document, judged by what nobody here wrote: `openapi-spec-validator` says whether it is one, and
//! `schemathesis` calls the real server with what the document allows and with what it forbids, and holds every reply to
//! it: all checks, not one failure.
//!
//! They live in a virtual environment of their own under the target folder, from `requirements.txt`. `scripts/test` makes
//! it and runs this; `scripts/test openapi` runs nothing else, and `cargo test` alone leaves it out.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on ends here")]

#[expect(dead_code, reason = "the tests of the command line use the rest")]
#[path = "../cli/process.rs"]
mod process;
#[expect(dead_code, reason = "the tests of the command line use the rest")]
#[path = "../cli/support.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use paceline_clock::Clock;
use process::Process;
use tempfile::TempDir;
use tokio::process::Command;

const KEY: &str = "key-of-the-openapi-tests";
const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/openapi");
/// Requests per operation that the fuzzing phase makes up. More find more and take longer.
const EXAMPLES: &str = "20";
/// How long a program may take.
const END_WITHIN: Duration = Duration::from_secs(300);

/// A server with a data directory of its own.
struct Served {
    url: String,
    _process: Process,
    _dir: TempDir,
}

async fn served() -> Served {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_paceline"));
    // Its key is to be refused for what it asks, and not for how often.
    command.args(["serve", "--listen", "127.0.0.1:0", "--key-limit", "100000/s", "--data"]);
    command
        .arg(dir.path())
        .args(["--limits", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/openapi/limits.json")]);
    command.env("PACELINE_API_KEY", KEY).env("PACELINE_LOG", "error").stdin(Stdio::null());
    let process = Process::spawn(&mut command);
    let line = process.prints("listening on ").await;
    let url = line.trim_start_matches("listening on ").to_owned();
    Served { url, _process: process, _dir: dir }
}

/// Runs a program of the virtual environment to its end.
async fn run(program: &str, args: &[&str]) -> Output {
    let path = environment().join("bin").join(program);
    assert!(
        path.exists(),
        "{} is not there: scripts/test installs what {HERE}/requirements.txt names",
        path.display()
    );
    let scratch = tempfile::tempdir().unwrap();
    let mut command = Command::new(path);
    // Nothing of the machine, and nothing left behind on it: it keeps what it found in the folder it is called in.
    command.env_clear().env("COLUMNS", "160").env("PYTHONDONTWRITEBYTECODE", "1");
    command.env("LANG", "C.UTF-8").current_dir(scratch.path());
    command.args(args).stdin(Stdio::null()).kill_on_drop(true);
    tokio::select! {
        output = command.output() => output.unwrap(),
        () = Clock::system().sleep(END_WITHIN) => panic!("{program} has not ended after {END_WITHIN:?}"),
    }
}

#[track_caller]
fn assert_done(what: &str, output: &Output) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{what}: {}\n{}\n{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
}

async fn judged(config: &str, served: &Served) {
    let (config, document) = (format!("{HERE}/{config}"), format!("{}/openapi.json", served.url));
    let authorization = format!("Authorization: Bearer {KEY}");
    let mut args = vec!["--config-file", &config, "run", &document, "-H", &authorization];
    args.extend(["--checks", "all", "--max-examples", EXAMPLES, "--no-color"]);
    let output = run("schemathesis", &args).await;
    assert_done(&config, &output);
}

/// The folder beside the profiles of the target folder, where `scripts/test` puts it.
fn environment() -> PathBuf {
    let binary = Path::new(env!("CARGO_BIN_EXE_paceline"));
    binary.ancestors().nth(2).expect("target/PROFILE/paceline").join("schemathesis")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_an_openapi_document() {
    let served = served().await;
    let document = format!("{}/openapi.json", served.url);
    let validate = format!("{HERE}/validate.py");
    assert_done(&document, &run("python", &[&validate, &document]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_refuses_as_the_document_says() {
    judged("broad.toml", &served().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_works_as_the_document_says() {
    let served = served().await;
    let seed = format!("{HERE}/seed.py");
    assert_done(&seed, &run("python", &[&seed, &served.url, KEY]).await);
    judged("deep.toml", &served).await;
}
