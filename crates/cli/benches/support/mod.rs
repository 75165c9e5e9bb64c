//! What both benches need: the binary, a lab in a process of its own, and one enrichment with its report.

use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use paceline_lab::AIRPORTS_CSV;
use serde_json::Value as Json;

pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const PACELINE: &str = env!("CARGO_BIN_EXE_paceline");

/// A lab in a process of its own, killed when dropped.
pub(crate) struct LabProcess {
    child: Child,
    pub(crate) url: String,
}

impl LabProcess {
    pub(crate) fn start(args: &[&str]) -> Outcome<Self> {
        let mut child = Command::new(PACELINE)
            .args(["lab", "--listen", "127.0.0.1:0"])
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("the lab has no output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let url =
            line.trim().strip_prefix("listening on ").ok_or("the lab did not start")?.to_owned();
        Ok(Self { child, url })
    }
}

impl Drop for LabProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What one enrichment took.
pub(crate) struct Enriched {
    /// The object that `--json` prints.
    pub(crate) report: Json,
    /// Most memory held at once, in bytes.
    pub(crate) memory_bytes: u64,
}

impl Enriched {
    pub(crate) fn number(&self, field: &str) -> f64 {
        self.report[field].as_f64().unwrap_or(f64::NAN)
    }
}

/// Enriches `input` from the lab at `url` and waits for the end.
pub(crate) fn enrich(input: &Path, url: &str, args: &[&str]) -> Outcome<Enriched> {
    let output = input.with_extension("out.csv");
    let template = format!("{url}/geo/nearest?lat={{{{latitude}}}}&lon={{{{longitude}}}}");
    let mut child = Command::new(PACELINE)
        .arg("enrich")
        .arg(input)
        .arg("-o")
        .arg(&output)
        .args([
            "--column",
            "near",
            "--url",
            &template,
            "--extract",
            "$.name",
            "--allow-private",
            "--restart",
            "--json",
        ])
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let stdout = child.stdout.take().ok_or("no output")?;
    let status = format!("/proc/{}/status", child.id());
    let watch = std::thread::spawn(move || most_memory(&status));
    let last = BufReader::new(stdout).lines().map_while(Result::ok).last().unwrap_or_default();
    let exit = child.wait()?;
    if !exit.success() {
        return Err(format!("enrich ended with {exit}: {last}").into());
    }
    let memory_bytes = watch.join().map_err(|_| "the watcher died")?;
    Ok(Enriched { report: serde_json::from_str(&last)?, memory_bytes })
}

/// Reads the peak (`VmHWM`) of a process until it is gone.
fn most_memory(status: &str) -> u64 {
    let mut most = 0;
    while let Ok(text) = std::fs::read_to_string(status) {
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes =
            peak.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
        match kilobytes {
            Some(kilobytes) => most = most.max(kilobytes * 1024),
            // A process that has ended and was not waited for has no memory any more.
            None => break,
        }
        std::thread::park_timeout(std::time::Duration::from_millis(20));
    }
    most
}

/// The airports, repeated to so many rows, as a CSV in `dir`. Each stands a millimetre further east than the row before: equal
/// requests would be called once, and a bench of calls wants as many calls as rows.
pub(crate) fn airports(dir: &Path, rows: usize) -> Outcome<PathBuf> {
    let mut lines = AIRPORTS_CSV.lines();
    let header = lines.next().ok_or("no airports")?;
    let lines: Vec<&str> = lines.collect();
    let mut text = String::with_capacity(rows * 70);
    text.push_str(header);
    for row in 0..rows {
        let (rest, longitude) =
            lines[row % lines.len()].rsplit_once(',').ok_or("an odd airport")?;
        let longitude = longitude.parse::<f64>()? + row as f64 * 1e-8;
        write!(text, "\n{rest},{longitude:.8}")?;
    }
    text.push('\n');
    let path = dir.join(format!("airports-{rows}.csv"));
    std::fs::write(&path, text)?;
    Ok(path)
}
