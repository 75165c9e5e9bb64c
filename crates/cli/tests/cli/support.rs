//! What the tests share: a folder, a vendor, a request, and what the answers must be.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use paceline_clock::Clock;
use paceline_lab::{AIRPORTS_CSV, Airports, Lab, Running, VendorConfig};
use tempfile::TempDir;
use tokio::process::Command;

use crate::process::{Ended, Process};

/// A rate whose retries come soon; there is no limit but the calls at once.
pub(crate) const SOON: &str = r#"{"max_concurrent":6,"retry_strategy":"fixed","max_retries":10,"retry_delay_ms":100,"cool_down_on_429":true}"#;

/// Waits until something holds that this process can only look at: counts of the lab, lines of a child. It looks every
/// few milliseconds and gives up after half a minute. Nothing else here waits by the clock.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let clock = Clock::system();
    let last = clock.now() + Duration::from_secs(30);
    while !holds() {
        assert!(clock.now() < last, "it never came to this: {what}");
        clock.sleep(Duration::from_millis(3)).await;
    }
}

/// A vendor on a port of its own.
pub(crate) async fn lab(config: VendorConfig) -> Running {
    Lab::start(config, Clock::system(), ([127, 0, 0, 1], 0).into()).await.expect("a vendor")
}

/// A vendor whose work takes as long as `service` says.
pub(crate) async fn slow_lab(service: &str) -> Running {
    lab(VendorConfig { service: service.parse().unwrap(), ..VendorConfig::default() }).await
}

/// A vendor with faults.
pub(crate) async fn sick_lab(faults: &str) -> Running {
    lab(VendorConfig { faults: faults.parse().unwrap(), ..VendorConfig::default() }).await
}

/// How often all faults together have struck.
pub(crate) fn faults(lab: &Running) -> u64 {
    lab.stats().faults.values().sum()
}

/// One `enrich`, as its flags.
#[derive(Clone, Debug)]
pub(crate) struct Enrich {
    pub(crate) input: String,
    pub(crate) output: String,
    pub(crate) column: String,
    pub(crate) url: String,
    pub(crate) more: Vec<String>,
}

impl Enrich {
    /// `airports.csv` to `out.csv`, with the name of the nearest other airport.
    pub(crate) fn nearest(lab: &Running) -> Self {
        Self::of("airports.csv", "out.csv", &nearest_url(lab)).with(&["--extract", "$.name"])
    }

    /// Any table, with the column `near`.
    pub(crate) fn of(input: &str, output: &str, url: &str) -> Self {
        Self {
            input: input.to_owned(),
            output: output.to_owned(),
            column: "near".to_owned(),
            url: url.to_owned(),
            more: vec!["--allow-private".to_owned()],
        }
    }

    pub(crate) fn with(mut self, flags: &[&str]) -> Self {
        self.more.extend(flags.iter().map(|flag| (*flag).to_owned()));
        self
    }

    pub(crate) fn without(mut self, flag: &str) -> Self {
        self.more.retain(|known| known != flag);
        self
    }

    fn args(&self) -> Vec<&str> {
        let mut args = vec!["enrich", &self.input, "-o", &self.output];
        args.extend(["--column", &self.column, "--url", &self.url]);
        args.extend(self.more.iter().map(String::as_str));
        args
    }
}

/// Where the vendor tells the nearest airport of the row's position.
pub(crate) fn nearest_url(lab: &Running) -> String {
    format!("http://{}/geo/nearest?lat={{{{latitude}}}}&lon={{{{longitude}}}}", lab.addr())
}

/// A folder of its own for one test, gone afterwards.
pub(crate) struct Bench(TempDir);

impl Bench {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder for the test"))
    }

    /// With the first airports in `airports.csv`.
    pub(crate) fn with_airports(rows: usize) -> Self {
        let bench = Self::new();
        bench.write("airports.csv", airports(rows));
        bench
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Every name in the folder, hidden ones included, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        let mut names: Vec<_> = paths_in(self.0.path()).into_iter().map(name).collect();
        names.sort();
        names
    }

    /// The files anywhere below the folder that hold `text`.
    pub(crate) fn files_holding(&self, text: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.0.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for path in paths_in(&folder) {
                if path.is_dir() {
                    folders.push(path);
                } else if holds(&fs::read(&path).unwrap(), text.as_bytes()) {
                    found.push(path);
                }
            }
        }
        found
    }

    /// Starts a command in this folder.
    pub(crate) fn start(&self, args: &[&str]) -> Process {
        Process::spawn(self.command(args).stdin(Stdio::null()))
    }

    /// Starts a command whose input the test writes.
    pub(crate) fn start_piped(&self, request: &Enrich) -> Process {
        Process::spawn(self.command(&request.args()).stdin(Stdio::piped()))
    }

    /// Starts a command whose input the test writes, with settings.
    pub(crate) fn start_with(&self, args: &[&str], settings: &[(&str, &str)]) -> Process {
        let mut command = self.command(args);
        Process::spawn(command.stdin(Stdio::piped()).envs(settings.iter().copied()))
    }

    pub(crate) async fn run(&self, args: &[&str]) -> Ended {
        self.start(args).ended().await
    }

    pub(crate) fn start_enrich(&self, request: &Enrich) -> Process {
        self.start(&request.args())
    }

    /// As [`Bench::start_enrich`], with a log.
    pub(crate) fn start_logging(&self, filter: &str, request: &Enrich) -> Process {
        let mut command = self.command(&request.args());
        Process::spawn(command.stdin(Stdio::null()).env("PACELINE_LOG", filter))
    }

    pub(crate) async fn enrich(&self, request: &Enrich) -> Ended {
        self.start_enrich(request).ended().await
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_paceline"));
        command.args(args).current_dir(self.0.path());
        command
            .env_remove("PACELINE_LOG")
            .env_remove("PACELINE_API_KEY")
            .env_remove("PACELINE_STORE")
            .env_remove("PACELINE_URL");
        command
    }

    /// `out.csv` is whole: the first airports as they were, each with its nearest one.
    #[track_caller]
    pub(crate) fn assert_out_is_right(&self, rows: usize) {
        let expected: Vec<String> = airports(rows)
            .lines()
            .zip(std::iter::once("near").chain(nearest_names(rows)))
            .map(|(line, cell)| format!("{line},{}", csv_field(cell)))
            .collect();
        assert_eq!(self.read("out.csv").lines().collect::<Vec<_>>(), expected);
    }
}

fn paths_in(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn holds(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

/// The first airports as CSV, with their header.
pub(crate) fn airports(rows: usize) -> String {
    AIRPORTS_CSV.lines().take(rows + 1).flat_map(|line| [line, "\n"]).collect()
}

/// The names of the airports nearest to the first ones, worked out here.
pub(crate) fn nearest_names(rows: usize) -> impl Iterator<Item = &'static str> {
    let all = Airports::all();
    let nearest = |place: usize| all.nearest_other(all.as_slice()[place].position).unwrap();
    (0..rows).map(move |place| nearest(place).airport.name.as_str())
}

fn csv_field(text: &str) -> String {
    let needs_quotes = text.contains(['"', ',', '\n', '\r']);
    if needs_quotes { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}
