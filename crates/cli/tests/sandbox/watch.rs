//! What a server costs while it works: how long its answers take, and how much memory it and its children take, as the
//! system counts it.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use paceline_clock::Clock;
use tokio::sync::watch;

use crate::server::Caller;

/// Between two calls of one path.
const PAUSE: Duration = Duration::from_millis(5);
/// What a child is told to be.
const WORKER: &[u8] = b"sandbox-worker";
/// Between two looks at the memory.
const LOOK: Duration = Duration::from_millis(20);

/// Calls a path again and again until told to stop; answers how long each call took, the shortest first.
pub(crate) async fn latency(
    caller: Caller,
    path: &'static str,
    stop: watch::Receiver<bool>,
) -> Vec<Duration> {
    let mut all = Vec::new();
    while !*stop.borrow() {
        all.extend(latencies(&caller, path, 1).await);
    }
    all.sort_unstable();
    all
}

/// Calls a path so many times; answers how long each call took, the shortest first.
pub(crate) async fn latencies(caller: &Caller, path: &str, times: usize) -> Vec<Duration> {
    let clock = Clock::system();
    let mut all = Vec::new();
    for _ in 0..times {
        let began = clock.now();
        caller.get(path).await;
        all.push(clock.now() - began);
        clock.sleep(PAUSE).await;
    }
    all.sort_unstable();
    all
}

/// The most memory that a process and its children were seen to have.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Bytes of the process itself.
    pub(crate) own: u64,
    /// Bytes of each child, by its pid.
    pub(crate) children: BTreeMap<u32, u64>,
    /// The most children at a time.
    pub(crate) at_once: usize,
}

/// Looks at the memory of a process and its children until told to stop.
pub(crate) async fn memory(pid: u32, stop: watch::Receiver<bool>) -> Memory {
    let clock = Clock::system();
    let mut most = Memory::default();
    while !*stop.borrow() {
        most.own = most.own.max(peak(pid).unwrap_or_default());
        let children = children(pid);
        most.at_once = most.at_once.max(children.len());
        for child in children {
            // It may be gone by now; or not have begun: until it runs its own program it has its parent's memory.
            let command = fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
            let has_begun = command.windows(WORKER.len()).any(|part| part == WORKER);
            let Some(bytes) = peak(child).filter(|_| has_begun) else { continue };
            let known = most.children.entry(child).or_default();
            *known = bytes.max(*known);
        }
        clock.sleep(LOOK).await;
    }
    most
}

/// The most memory that a process has had so far, in bytes; `None` if it is gone.
pub(crate) fn peak(pid: u32) -> Option<u64> {
    let kib = field(pid, "VmHWM:")?.trim_end_matches("kB").trim().parse::<u64>().ok()?;
    Some(kib << 10)
}

/// The processes that a process has started and that have not ended.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let parent = pid.to_string();
    let all = fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| field(*pid, "PPid:").as_deref() == Some(&parent) && is_alive(*pid)).collect()
}

/// Whether a process is there and has not ended.
pub(crate) fn is_alive(pid: u32) -> bool {
    field(pid, "State:").is_some_and(|state| !state.starts_with(['Z', 'X']))
}

/// What the system says of a process under that name, which ends with a colon.
pub(crate) fn field(pid: u32, name: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().to_owned())
}
