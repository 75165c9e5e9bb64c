//! Functions, and formulas that cannot be stopped otherwise: each call in a child process that is killed when it does not
//! answer in time.

use std::ffi::OsString;
use std::fmt;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use paceline_clock::Clock;
use paceline_model::limits;
use serde_json::Value as Json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Semaphore;

use crate::error::{ScriptCode, ScriptError};
use crate::frame::{self, AnswerFrame, CallFrame};
use crate::pool::Outcome;
use crate::realm::Face;
use crate::source::FunctionSource;

/// How long a child may take to start, to stop its own engine and to answer, beyond the time of the call.
const GRACE: Duration = Duration::from_secs(2);

/// What is started as a child: a program that runs [`worker::serve`](crate::worker::serve) on its stdin and stdout.
///
/// The child gets an empty environment, no stderr and no other open file. Its memory is capped inside of it
/// (`limits::SCRIPT_MEMORY_BYTES_MAX`); what the system is to hold it to, the program sets itself before it serves, as
/// `paceline sandbox-worker` does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionCommand {
    /// The program.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
}

/// Runs functions in child processes: one call at a time in each, no more than `children_max` of them. Clones share them.
/// They end with the last clone, and with this process however it ends.
#[derive(Clone)]
pub struct FunctionHost(Arc<Inner>);

struct Inner {
    command: FunctionCommand,
    clock: Clock,
    timeout: Duration,
    places: Semaphore,
    idle: Mutex<Vec<Worker>>,
}

/// A child that waits for a call.
struct Worker {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
}

impl FunctionHost {
    /// A host; no child is started before the first call.
    #[must_use]
    pub fn new(
        command: FunctionCommand,
        clock: Clock,
        timeout: Duration,
        children_max: usize,
    ) -> Self {
        Self(Arc::new(Inner {
            command,
            clock,
            timeout,
            places: Semaphore::new(children_max.max(1)),
            idle: Mutex::default(),
        }))
    }

    /// Calls a function with one argument. Waits for a free child first; the time of the call counts from then.
    ///
    /// A call that is dropped kills its child.
    ///
    /// # Errors
    /// The script's own, or [`ScriptCode::Crashed`] if its child died of it.
    pub async fn call(&self, source: &FunctionSource, row: &Json) -> Result<Json, ScriptError> {
        self.ask(Face::Function, source.text(), row).await.0
    }

    /// What a formula gives for the values of a row, in a list; and whether its child had to be killed.
    pub(crate) async fn formula(&self, source: &str, row: Json) -> (Outcome, bool) {
        self.ask(Face::Formula, source, &row).await
    }

    async fn ask(&self, face: Face, source: &str, row: &Json) -> (Outcome, bool) {
        let inner = &self.0;
        let call = CallFrame {
            face,
            source: source.into(),
            row: std::borrow::Cow::Borrowed(row),
            timeout_ms: u64::try_from(inner.timeout.as_millis()).unwrap_or(u64::MAX),
            memory_bytes: limits::SCRIPT_MEMORY_BYTES_MAX,
        };
        let bytes = match frame::encoded(&call) {
            Ok(bytes) => bytes,
            Err(error) => {
                let problem = format!("the arguments are too long: {error}");
                return (Err(ScriptError::new(ScriptCode::Error, problem)), false);
            }
        };
        let Ok(_place) = inner.places.acquire().await else {
            return (Err(crashed("its host has ended")), false);
        };
        // Simulated time stands still meanwhile: the child's is real.
        let _busy = inner.clock.busy();
        let mut worker = match inner.worker() {
            Ok(worker) => worker,
            Err(error) => return (Err(error), false),
        };
        let answered = tokio::select! {
            biased;
            answered = worker.ask(&bytes) => answered,
            () = inner.clock.sleep(inner.timeout.saturating_add(GRACE)) => {
                return (Err(ScriptError::timeout(inner.timeout)), true);
            }
        };
        match answered {
            Ok(answer) => {
                inner.idle.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
                (answer.outcome, false)
            }
            Err(error) => (Err(crashed(&worker.end(&error).await)), false),
        }
    }
}

impl Inner {
    /// A child that is idle, or a new one.
    fn worker(&self) -> Result<Worker, ScriptError> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(mut worker) = idle.pop() {
            // Somebody may have killed it.
            if matches!(worker.child.try_wait(), Ok(None)) {
                return Ok(worker);
            }
        }
        drop(idle);
        self.command.start().map_err(|error| {
            let problem = format!(
                "the process for scripts cannot be started ({error}); see that the program of this server is still \
                 where it was started from"
            );
            ScriptError::new(ScriptCode::Crashed, problem)
        })
    }
}

impl FunctionCommand {
    fn start(&self) -> std::io::Result<Worker> {
        let mut child = Command::new(&self.program)
            .args(&self.args)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (input, output) = pipes.ok_or_else(|| std::io::Error::other("it has no pipes"))?;
        Ok(Worker { child, input, output })
    }
}

impl Worker {
    async fn ask(&mut self, call: &[u8]) -> std::io::Result<AnswerFrame> {
        self.input.write_all(call).await?;
        self.input.flush().await?;
        let mut head = [0; 4];
        self.output.read_exact(&mut head).await?;
        let mut body = vec![0; frame::length(head)?];
        self.output.read_exact(&mut body).await?;
        Ok(serde_json::from_slice(&body)?)
    }

    /// How it ended; it is killed if it has not.
    async fn end(mut self, error: &std::io::Error) -> String {
        // What closed its pipes is about to end, or is made to.
        let _ = self.child.start_kill();
        match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(_) => error.to_string(),
        }
    }
}

fn crashed(how: &str) -> ScriptError {
    let problem =
        format!("the process of the script died ({how}); other cells are not touched by it");
    ScriptError::new(ScriptCode::Crashed, problem)
}

impl fmt::Debug for FunctionHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { command, timeout, .. } = &*self.0;
        f.debug_struct("FunctionHost")
            .field("command", command)
            .field("timeout", timeout)
            .finish_non_exhaustive()
    }
}
