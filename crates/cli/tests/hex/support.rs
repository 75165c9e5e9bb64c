//! What the tests share: a folder, a Hex, commands with scaled settings, and what must hold whatever happened.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use paceline_clock::Clock;
use paceline_lab::{HexConfig, HexProject, Lab, Running, VendorConfig};
use serde_json::Value as Json;
use tempfile::TempDir;
use tokio::process::Command;

use crate::process::{Ended, Process};

/// The token of the tests. It must never be seen anywhere.
pub(crate) const TOKEN: &str = "hxtp_5ec2e75ec2e75ec2e75ec2e7";

/// Settings that make minutes of Hex's fractions of a second.
const SCALED: [&str; 21] = [
    "--allow-private",
    "--poll-interval",
    "100ms",
    "--poll-limit",
    "300/s",
    "--overall-limit",
    "600/s",
    "--settle-waits",
    "150ms,300ms,600ms",
    "--retry-429-base",
    "200ms",
    "--retry-5xx-base",
    "50ms",
    "--throttle-pause",
    "200ms",
    "--kernel-wait",
    "200ms",
    "--call-timeout",
    "2s",
    "--state",
    "state",
];

/// Waits until something holds that this process can only look at.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let clock = Clock::system();
    let last = clock.now() + Duration::from_secs(30);
    while !holds() {
        assert!(clock.now() < last, "it never came to this: {what}");
        clock.sleep(Duration::from_millis(3)).await;
    }
}

/// A folder with a Hex beside it.
pub(crate) struct Bench {
    dir: TempDir,
    pub(crate) lab: Running,
}

/// The id of a project of the default Hex, from 1 on.
pub(crate) fn project(number: u32) -> String {
    HexProject::numbered(number).id
}

/// A Hex whose runs take as long as `run` says, in ms.
pub(crate) fn hex(run: &str) -> HexConfig {
    let mut config = HexConfig { tokens: vec![TOKEN.to_owned()], ..HexConfig::default() };
    config.projects.iter_mut().for_each(|project| project.run = run.parse().unwrap());
    config
}

/// The same with faults.
pub(crate) fn sick(run: &str, faults: &str) -> HexConfig {
    HexConfig { faults: faults.parse().unwrap(), ..hex(run) }
}

impl Bench {
    pub(crate) async fn new(config: HexConfig) -> Self {
        let addr = ([127, 0, 0, 1], 0).into();
        let lab = Lab::start_with_hex(VendorConfig::default(), config, Clock::system(), addr);
        Self { dir: tempfile::tempdir().unwrap(), lab: lab.await.expect("a Hex") }
    }

    /// With so many jobs in `jobs.csv`, each with a parameter `job` of its own, over the ten projects in turn.
    pub(crate) async fn with_jobs(config: HexConfig, jobs: u32) -> Self {
        let bench = Self::new(config).await;
        let row = |job: u32| format!("{},{job},note {job}\n", project(job % 10 + 1));
        let rows: String = (0..jobs).map(row).collect();
        bench.write("jobs.csv", format!("project_id,param.job:number,note\n{rows}"));
        bench
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Every name in the folder, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Starts `paceline hex` with these flags, no others, and this token in the environment.
    pub(crate) fn start_plain(&self, args: &[&str], token: Option<&str>) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_paceline"));
        command.arg("hex").args(args).current_dir(self.dir.path()).stdin(Stdio::null());
        for name in ["PACELINE_LOG", "HEX_TOKEN", "HEX_BASE_URL", "XDG_STATE_HOME"] {
            command.env_remove(name);
        }
        command.env("HEX_BASE_URL", format!("http://{}", self.lab.addr()));
        command.env("HOME", self.dir.path());
        command.envs(token.map(|token| ("HEX_TOKEN", token)));
        Process::spawn(&mut command)
    }

    /// Starts a command that needs the scaled settings: `batch` or `run`.
    pub(crate) fn start(&self, args: &[&str]) -> Process {
        let args: Vec<&str> = args.iter().chain(&SCALED).copied().collect();
        self.start_plain(&args, Some(TOKEN))
    }

    pub(crate) async fn run(&self, args: &[&str]) -> Ended {
        self.start(args).ended().await
    }

    /// `paceline hex batch jobs.csv --json`, as many starts as it likes.
    pub(crate) async fn batch(&self, flags: &[&str]) -> Ended {
        self.start_batch(flags).ended().await
    }

    pub(crate) fn start_batch(&self, flags: &[&str]) -> Process {
        let args = ["batch", "jobs.csv", "--json", "--limit", "300/s"];
        self.start(&args.iter().chain(flags).copied().collect::<Vec<_>>())
    }

    /// `list`, `status` and `cancel` have no settings.
    pub(crate) async fn ask(&self, args: &[&str]) -> Ended {
        let args: Vec<&str> =
            args.iter().copied().chain(["--allow-private", "--state", "state"]).collect();
        self.start_plain(&args, Some(TOKEN)).ended().await
    }

    /// The runs that Hex started for each job, by its parameter `job`.
    fn runs(&self) -> HashMap<u64, Vec<String>> {
        let mut runs: HashMap<u64, Vec<String>> = HashMap::new();
        for run in self.lab.hex().stats().run_list.into_iter().filter(|run| !run.foreign) {
            let job = run.input_params.as_ref().and_then(|params| params["job"].as_u64());
            runs.entry(job.expect("a job of ours")).or_default().push(run.run_id);
        }
        runs
    }

    /// How many runs Hex started for each job.
    pub(crate) fn starts(&self) -> HashMap<u64, u64> {
        self.runs().into_iter().map(|(job, runs)| (job, runs.len() as u64)).collect()
    }

    /// The token is nowhere: not in the output, and in no file below the folder.
    #[track_caller]
    pub(crate) fn assert_no_token(&self, ended: &[&Ended]) {
        for ended in ended {
            let said = ended.stdout.contains(TOKEN) || ended.stderr.contains(TOKEN);
            assert!(!said, "the token is in the output");
        }
        let found = files_holding(self.dir.path(), TOKEN);
        let found: Vec<_> = found.iter().filter(|path| !path.ends_with("token")).collect();
        assert!(found.is_empty(), "the token is in {found:?}");
    }

    /// Acceptance 2: whatever happened, each job was started once, or is listed as unknown with what settles it; none twice.
    #[track_caller]
    pub(crate) fn assert_each_once(&self, ended: &Ended, jobs: u64) {
        let stats = self.lab.hex().stats();
        assert_eq!(stats.double_started, 0, "{:?}", stats.faults);
        let runs = self.runs();
        let told = ended.json();
        let told = told["jobs"].as_array().unwrap();
        assert_eq!(told.len() as u64, jobs);
        for (job, told) in told.iter().enumerate() {
            let runs = runs.get(&(job as u64)).map(Vec::as_slice).unwrap_or_default();
            match told["outcome"].as_str().unwrap() {
                "completed" => {
                    assert_eq!(runs.len(), 1, "{told}");
                    assert_eq!(told["run_id"], runs[0].as_str(), "it is another job's run");
                }
                "unknown" => {
                    assert!(runs.len() <= 1, "{told}");
                    assert_eq!(told["code"], "OUTCOME_UNKNOWN");
                    assert!(told["error"].as_str().is_some_and(|reason| reason.len() > 20));
                    let line = told["line"].as_u64().unwrap();
                    let command = told["settle"].as_str().unwrap();
                    assert!(command.starts_with("paceline hex batch jobs.csv "), "{command}");
                    assert!(command.contains(&format!(" --settle {line}=")), "{command}");
                    ended.told(command);
                }
                other => panic!("{other}: {told}"),
            }
        }
    }
}

fn files_holding(folder: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_holding(&path, text));
        } else if fs::read(&path).unwrap().windows(text.len()).any(|part| part == text.as_bytes()) {
            found.push(path);
        }
    }
    found
}

/// How many jobs of a report have which code; those without one count as "".
pub(crate) fn codes(ended: &Ended) -> BTreeMap<String, u64> {
    let mut codes = BTreeMap::new();
    for job in ended.json()["jobs"].as_array().unwrap() {
        *codes.entry(job["code"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    codes
}

/// The job of a line in a report.
pub(crate) fn job_of(ended: &Ended, line: u64) -> Json {
    let told = ended.json();
    let jobs = told["jobs"].as_array().unwrap();
    jobs.iter().find(|job| job["line"] == line).expect("a job of this line").clone()
}
