//! The token in use, and reading it again once when it is refused, however many calls found that out at once.

use std::sync::Arc;

use tokio::sync::Mutex;

use crate::{Secret, TokenError, TokenSource};

/// A token, and which reading of the source it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) secret: Secret,
    reading: u64,
}

pub(crate) struct Tokens {
    source: Arc<dyn TokenSource>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    reading: u64,
    secret: Option<Secret>,
}

impl Tokens {
    pub(crate) fn new(source: Arc<dyn TokenSource>) -> Self {
        Self { source, held: Mutex::default() }
    }

    /// The token that is in use; read, if none is.
    pub(crate) async fn current(&self) -> Result<Token, TokenError> {
        let mut held = self.held.lock().await;
        match &held.secret {
            Some(secret) => Ok(Token { secret: secret.clone(), reading: held.reading }),
            None => self.read(&mut held).await,
        }
    }

    /// After `refused` was refused: what the source says now. Who comes while another reads, or after it, gets what that
    /// one read.
    pub(crate) async fn renew(&self, refused: &Token) -> Result<Token, TokenError> {
        let mut held = self.held.lock().await;
        match &held.secret {
            Some(secret) if held.reading != refused.reading => {
                Ok(Token { secret: secret.clone(), reading: held.reading })
            }
            _ => self.read(&mut held).await,
        }
    }

    /// `refused` was refused although it was just read: the next call reads anew.
    pub(crate) async fn forget(&self, refused: &Token) {
        let mut held = self.held.lock().await;
        if held.reading == refused.reading {
            held.secret = None;
        }
    }

    async fn read(&self, held: &mut Held) -> Result<Token, TokenError> {
        held.secret = None;
        let secret = self.source.read().await?;
        held.reading += 1;
        held.secret = Some(secret.clone());
        Ok(Token { secret, reading: held.reading })
    }
}
