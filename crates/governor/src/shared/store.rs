//! The connection to the server: one question at a time, each under a deadline. What fails is never repeated here: a
//! question that got no answer may have been decided all the same, and only the member knows what to ask next.

use std::time::Duration;

use paceline_clock::Clock;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError, Script, Value};

use super::config::SharedConfig;
use super::wire::{Answer, Preamble, Question};

/// The script is one; its halves are two files.
const SCRIPT: &str = concat!(include_str!("state.lua"), include_str!("decide.lua"));

/// Why a question got no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The address cannot be used. It is not shown, for it may hold a password.
    #[error(
        "the address of the Redis server cannot be used ({0}); write redis://[user:password@]host[:port][/db]"
    )]
    Address(String),
    /// No connection, or no answer in time.
    #[error("the Redis server cannot be reached: {0}")]
    Away(String),
    /// The server refused the question or answered something else.
    #[error(
        "the Redis server cannot share this budget: {0}; it must be Redis 5 or later and allow scripts"
    )]
    Refused(String),
    /// Other members share a budget of this name with other settings.
    #[error(
        "another process shares the budget with other settings ({theirs}; here {ours}): give all processes the same, \
         give this budget another name, or stop all that use it and try again when its longest window is over"
    )]
    Settings {
        /// What the server has.
        theirs: String,
        /// What this process has.
        ours: String,
    },
}

pub(super) struct Store {
    client: Client,
    script: Script,
    preamble: Preamble,
    settings: String,
    deadline: Duration,
    clock: Clock,
    /// With the identity of the server process behind it.
    connection: Option<(MultiplexedConnection, String)>,
}

impl Store {
    pub(super) fn new(
        config: &SharedConfig,
        preamble: Preamble,
        settings: String,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        // Only the kind of the mistake: the text could quote the address.
        let client = Client::open(config.url.as_str())
            .map_err(|error| StoreError::Address(format!("{:?}", error.kind())))?;
        let script = Script::new(SCRIPT);
        let deadline = config.deadline;
        Ok(Self { client, script, preamble, settings, deadline, clock, connection: None })
    }

    /// Asks; connects first if there is no connection. After a failure the connection is dropped, so that no late answer
    /// is taken for the next one.
    pub(super) async fn ask(&mut self, mut question: Question) -> Result<Answer, StoreError> {
        let (mut connection, run) = match self.connection.take() {
            Some(connected) => connected,
            None => self.within_deadline(self.connect()).await?,
        };
        question.run.clone_from(&run);
        let argument = self.preamble.write(&question);
        let reply: Vec<Value> = {
            let mut invocation = self.script.prepare_invoke();
            for key in self.preamble.keys() {
                invocation.key(key);
            }
            invocation.arg(argument);
            self.within_deadline(async { invocation.invoke_async(&mut connection).await }).await?
        };
        let answer = Answer::read(&reply)
            .ok_or_else(|| StoreError::Refused("the script's answer cannot be read".to_owned()))?;
        self.connection = Some((connection, run));
        Ok(answer)
    }

    async fn connect(&self) -> Result<(MultiplexedConnection, String), RedisError> {
        // The deadline around this is the only one: two would tell two stories.
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let mut connection =
            self.client.get_multiplexed_async_connection_with_config(&config).await?;
        // A server that may not tell who it is only loses this way of noticing its restart.
        let info: Result<String, RedisError> =
            redis::cmd("INFO").arg("server").query_async(&mut connection).await;
        let run = info.ok().and_then(|info| run_id(&info)).unwrap_or_default();
        Ok((connection, run))
    }

    async fn within_deadline<T>(
        &self,
        work: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, StoreError> {
        tokio::select! {
            done = work => done.map_err(|error| self.explain(&error)),
            () = self.clock.sleep(self.deadline) => {
                Err(StoreError::Away(format!("no answer within {:?}", self.deadline)))
            }
        }
    }

    fn explain(&self, error: &RedisError) -> StoreError {
        if error.code() == Some("SETTINGS") {
            let theirs = error.detail().unwrap_or_default().to_owned();
            return StoreError::Settings { theirs, ours: self.settings.clone() };
        }
        if error.code().is_some() {
            StoreError::Refused(error.to_string())
        } else {
            StoreError::Away(error.to_string())
        }
    }
}

fn run_id(info: &str) -> Option<String> {
    info.lines().find_map(|line| line.strip_prefix("run_id:")).map(|id| id.trim().to_owned())
}
