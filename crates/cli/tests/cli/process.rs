//! The binary as a child: its output as it comes, signals, and an end that is never waited for without bound.

use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use paceline_clock::Clock;
use serde_json::Value as Json;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::JoinHandle;

use crate::support::until;

/// How long any of the commands here may take. None needs a third of it, even on a busy machine.
const END_WITHIN: Duration = Duration::from_secs(60);

/// A command that is running. Dropped, it is killed.
pub(crate) struct Process {
    child: Child,
    stdout: Stream,
    stderr: Stream,
}

/// What a stream of a child has brought so far.
struct Stream {
    text: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None`: a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Process {
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the binary starts");
        let stdout = Stream::of(child.stdout.take().unwrap());
        let stderr = Stream::of(child.stderr.take().unwrap());
        Self { child, stdout, stderr }
    }

    /// The way in, for a command that was started with one.
    pub(crate) fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("started with stdin piped")
    }

    /// Waits until stderr holds `text`.
    pub(crate) async fn notes(&self, text: &str) {
        until(&format!("stderr says {text:?}"), || self.stderr.text().contains(text)).await;
    }

    /// Waits until stdout holds `text` and the rest of its line; answers that line.
    pub(crate) async fn prints(&self, text: &str) -> String {
        let line = || {
            let printed = self.stdout.text();
            let from = printed.find(text)?;
            printed[from..].split_once('\n').map(|(line, _)| line.to_owned())
        };
        until(&format!("stdout says {text:?}"), || line().is_some()).await;
        line().unwrap()
    }

    /// How often stdout holds `text`.
    pub(crate) fn printed(&self, text: &str) -> usize {
        self.stdout.text().matches(text).count()
    }

    /// Whether it has not ended yet.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("its state is known").is_none()
    }

    /// Sends Ctrl-C.
    pub(crate) async fn interrupt(&self) {
        // A shell knows `kill` by itself; the alternative is unsafe code.
        let command = format!("kill -INT {}", self.child.id().expect("it is running"));
        let sent = Command::new("sh").args(["-c", &command]).status().await;
        assert!(sent.unwrap().success(), "{command}");
    }

    /// Kills it as a crash or `kill -9` would, and waits until it is gone.
    pub(crate) async fn kill(mut self) -> Ended {
        self.child.start_kill().expect("it can be killed");
        self.ended().await
    }

    /// Waits for its end.
    pub(crate) async fn ended(mut self) -> Ended {
        let status = tokio::select! {
            status = self.child.wait() => status.expect("its state is known"),
            () = Clock::system().sleep(END_WITHIN) => {
                panic!("not ended after {END_WITHIN:?}; stderr:\n{}", self.stderr.text())
            }
        };
        let (stdout, stderr) = (self.stdout.all().await, self.stderr.all().await);
        Ended { code: status.code(), stdout, stderr }
    }
}

impl Stream {
    fn of(mut from: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&text);
        let reader = tokio::spawn(async move {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(bytes @ 1..) = from.read(&mut buffer).await {
                lock(&kept).extend_from_slice(&buffer[..bytes]);
            }
        });
        Self { text, reader }
    }

    fn text(&self) -> String {
        String::from_utf8(lock(&self.text).clone()).expect("output is UTF-8")
    }

    async fn all(mut self) -> String {
        (&mut self.reader).await.unwrap();
        self.text()
    }
}

fn lock(bytes: &Mutex<Vec<u8>>) -> std::sync::MutexGuard<'_, Vec<u8>> {
    bytes.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ended {
    /// It ended with this code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// What `--json` printed: the last line of stdout.
    #[track_caller]
    pub(crate) fn json(&self) -> Json {
        let last = self.stdout.lines().last().unwrap_or_else(|| panic!("no stdout: {self:#?}"));
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// A count of what `--json` printed.
    #[track_caller]
    pub(crate) fn count(&self, key: &str) -> u64 {
        self.json()[key].as_u64().unwrap_or_else(|| panic!("no count {key}: {self:#?}"))
    }

    /// The one line that says what was wrong; there is no other.
    #[track_caller]
    pub(crate) fn complaint(&self) -> &str {
        let mut lines = self.stderr.lines();
        let (first, second) = (lines.next().unwrap_or_default(), lines.next());
        assert!(first.starts_with("paceline: ") && second.is_none(), "{self:#?}");
        first
    }

    /// stderr has a line with this text.
    #[track_caller]
    pub(crate) fn told(&self, text: &str) {
        assert!(self.stderr.contains(text), "{text:?} is not in\n{}", self.stderr);
    }
}
