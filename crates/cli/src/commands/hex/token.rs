//! Where the token comes from: the environment, a file or a command. It is never printed, logged or kept.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use paceline_clock::Clock;
use paceline_hex::{Secret, TokenError, TokenSource};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use crate::args::hex::AccountArgs;
use crate::env;
use crate::exit::{Failure, usage};

/// More is no token.
const TOKEN_BYTES_MAX: u64 = 64 * 1024;
/// How long the command may take; a person may have to touch a key.
const COMMAND_MAX: Duration = Duration::from_secs(60);

/// A source, and what was read from it to see whether it works.
pub(super) struct Tokens {
    source: Source,
    clock: Clock,
    /// The first one who asks gets it.
    first: Mutex<Option<Secret>>,
}

enum Source {
    /// A process cannot be given another environment, so this is the same for ever.
    Environment(Secret),
    File(PathBuf),
    Command(String),
}

impl Tokens {
    /// The source that the flags or the environment name, once it has brought a token.
    pub(super) async fn open(args: &AccountArgs, clock: &Clock) -> Result<Arc<Self>, Failure> {
        let source = match (&args.token_file, &args.token_command, env::hex_token()) {
            (Some(path), ..) => Source::File(path.clone()),
            (None, Some(command), _) => Source::Command(command.clone()),
            (None, None, Some(token)) => Source::Environment(
                Secret::new(&token).map_err(|error| usage(format!("HEX_TOKEN: {error}")))?,
            ),
            (None, None, None) => {
                return Err(usage(
                    "there is no token for Hex: set HEX_TOKEN, or give --token-file PATH or --token-command CMD",
                ));
            }
        };
        let tokens = Self { source, clock: clock.clone(), first: Mutex::default() };
        let first = tokens.fetch().await.map_err(usage)?;
        *tokens.first.lock().unwrap_or_else(PoisonError::into_inner) = Some(first);
        Ok(Arc::new(tokens))
    }

    async fn fetch(&self) -> Result<Secret, TokenError> {
        match &self.source {
            Source::Environment(token) => Ok(token.clone()),
            Source::File(path) => from_file(path).await,
            Source::Command(command) => {
                tokio::select! {
                    read = from_command(command) => read,
                    () = self.clock.sleep(COMMAND_MAX) => Err(TokenError(format!(
                        "--token-command did not end within {} s; run it by hand to see why", COMMAND_MAX.as_secs()
                    ))),
                }
            }
        }
    }
}

#[async_trait]
impl TokenSource for Tokens {
    async fn read(&self) -> Result<Secret, TokenError> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        match first {
            Some(token) => Ok(token),
            None => self.fetch().await,
        }
    }
}

async fn from_file(path: &Path) -> Result<Secret, TokenError> {
    let cannot = |error: std::io::Error| {
        TokenError(format!("cannot read --token-file {}: {error}", path.display()))
    };
    let file = tokio::fs::File::open(path).await.map_err(cannot)?;
    let text = bounded(file).await.map_err(cannot)?;
    Secret::new(&text)
        .map_err(|error| TokenError(format!("--token-file {}: {error}", path.display())))
}

async fn from_command(command: &str) -> Result<Secret, TokenError> {
    let cannot = |error: std::io::Error| {
        TokenError(format!("--token-command: {error}; run it by hand to see why"))
    };
    // What it says besides may hold the token, and nobody could mask it.
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(cannot)?;
    let text = match child.stdout.take() {
        Some(stdout) => bounded(stdout).await.map_err(cannot)?,
        None => String::new(),
    };
    let status = child.wait().await.map_err(cannot)?;
    if !status.success() {
        return Err(TokenError(format!(
            "--token-command ended with {status}; run it by hand to see why"
        )));
    }
    Secret::new(&text).map_err(|error| TokenError(format!("--token-command: {error}")))
}

/// What is read, as text; too much of it is an error.
async fn bounded(from: impl AsyncRead + Unpin) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    from.take(TOKEN_BYTES_MAX + 1).read_to_end(&mut bytes).await?;
    if bytes.len() as u64 > TOKEN_BYTES_MAX {
        return Err(std::io::Error::other(format!("more than {TOKEN_BYTES_MAX} bytes came")));
    }
    String::from_utf8(bytes).map_err(|_| std::io::Error::other("it is not text"))
}
