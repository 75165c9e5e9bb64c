//! What the child takes from itself before it reads a byte, so that the system holds it to it whatever its engine does: it
//! opens no file, writes none, starts no process, leaves no core, and takes no more memory and processor time than a
//! call may.

use std::io;
use std::time::Duration;

use paceline_model::limits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

/// Stdin, stdout and stderr, and nothing that is opened later.
const OPEN_FILES: u64 = 3;
/// What the child gets beyond the time of a call. The server kills it after two seconds; this is for a child whose server
/// was killed itself while a built-in kept it from finding its stdin closed.
const GRACE: Duration = Duration::from_secs(3);

/// What holds for the child's life. None of it can be taken back.
///
/// # Errors
/// The system's.
pub(super) fn for_good() -> io::Result<()> {
    // Read while a file can still be opened. The allocator of this program sets aside more than it uses, so only what
    // comes on top can be limited.
    if let Some(bytes) = address_space_bytes() {
        limit(Resource::As, bytes + limits::FUNCTION_PROCESS_MEMORY_BYTES_MAX as u64)?;
    }
    limit(Resource::Core, 0)?;
    limit(Resource::Fsize, 0)?;
    limit(Resource::Nproc, 0)?;
    limit(Resource::Nofile, OPEN_FILES)?;
    #[cfg(target_os = "linux")]
    {
        rustix::thread::set_no_new_privs(true)?;
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    }
    Ok(())
}

/// What holds for the call that begins: its time on a processor, after what earlier calls took.
///
/// # Errors
/// The system's.
pub(super) fn for_call(timeout: Duration) -> io::Result<()> {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    let used = Duration::from_secs(u64::try_from(used.tv_sec).unwrap_or_default() + 1);
    let seconds = used.saturating_add(timeout).saturating_add(GRACE).as_secs();
    // The hard limit stays, so that the next call can have more.
    let Rlimit { maximum, .. } = getrlimit(Resource::Cpu);
    let current = maximum.map_or(seconds, |maximum| maximum.min(seconds));
    Ok(setrlimit(Resource::Cpu, Rlimit { current: Some(current), maximum })?)
}

/// Lowers a limit for good; one that is lower already stays.
fn limit(resource: Resource, most: u64) -> io::Result<()> {
    let most = getrlimit(resource).maximum.map_or(most, |maximum| maximum.min(most));
    Ok(setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?)
}

/// What this process has mapped, if the system tells it the way Linux does.
fn address_space_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_ascii_whitespace().next()?.parse().ok()?;
    pages.checked_mul(rustix::param::page_size() as u64)
}
