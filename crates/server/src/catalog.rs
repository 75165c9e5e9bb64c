//! One row per operation: what it is called, where it stands in REST, what it takes, who may call it, and the function
//! that does it. Every face is drawn from this page.

mod access;
mod answer;
mod check;
mod columns;
mod field;
mod files;
mod functions;
mod http;
mod providers;
mod rows;
mod runs;
mod schema;
mod smart;
mod sources;
mod system;
mod tables;
mod webhooks;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use schemars::{Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};

use answer::{Answering, hinted};
pub(crate) use answer::{MaybeStream, Sent, Streamed};
pub(crate) use check::{check_rows, from_text, shown};
pub use field::{Field, Kind, Place};

pub(crate) use crate::auth::Caller;
use crate::auth::audit::Draft;
use crate::error::{ApiError, Code, Result};
use crate::ops::insert::GivenRows;
use crate::{App, KeyScope, ServerConfig};

/// What is left to tell a caller that the call it asked for took too long.
const PROXY_GRACE: Duration = Duration::from_secs(5);

/// How an operation is asked for over REST.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Look; changes nothing.
    Get,
    /// Make or do.
    Post,
    /// Change a part.
    Patch,
    /// Take away.
    Delete,
}

impl Verb {
    /// The method's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// What is sent back, or why nothing is.
type Reply = Pin<Box<dyn Future<Output = Result<Sent>> + Send>>;

/// Operations about one thing: a chapter of the documentation, and a toolset over MCP.
#[derive(Debug)]
pub struct Chapter {
    /// Its name, as a client asks for the toolset.
    pub name: &'static str,
    /// What it is about, in one line.
    pub about: &'static str,
    /// Its operations.
    pub operations: &'static [Operation],
}

/// Every operation, in the order of the documentation.
pub static CATALOGUE: &[Chapter] = &[
    tables::CHAPTER,
    columns::CHAPTER,
    rows::CHAPTER,
    smart::CHAPTER,
    runs::CHAPTER,
    files::CHAPTER,
    http::CHAPTER,
    providers::CHAPTER,
    access::CHAPTER,
    sources::CHAPTER,
    webhooks::CHAPTER,
    functions::CHAPTER,
    system::CHAPTER,
];

/// Every operation of [`CATALOGUE`].
pub fn operations() -> impl Iterator<Item = &'static Operation> {
    CATALOGUE.iter().flat_map(|chapter| chapter.operations)
}

/// One operation.
#[derive(Debug)]
pub struct Operation {
    /// Its name; over MCP with the prefix `hypertab_`.
    pub name: &'static str,
    /// Its method over REST.
    pub verb: Verb,
    /// Its path over REST, with `{field}` for the fields of [`Place::Path`].
    pub path: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// What a key must be allowed to do.
    pub scope: KeyScope,
    /// Whether a client of MCP gets it without asking for its toolset. These are [`DEFAULT_TOOLS_MAX`] at the most.
    pub default_tool: bool,
    /// What it takes.
    pub fields: &'static [Field],
    run: fn(Ask<'_>) -> Answer,
}

/// Operations that every client of MCP gets: each costs its context. (hypertab.md c, 15)
pub const DEFAULT_TOOLS_MAX: usize = 15;

/// The operation of that name.
pub(crate) fn find(name: &str) -> Option<&'static Operation> {
    operations().find(|operation| operation.name == name)
}

impl Operation {
    /// Whether a caller may do this. Who may not is on record.
    pub(crate) fn allow(&self, app: &App, caller: &Caller) -> Result<()> {
        if caller.scope >= self.scope {
            return Ok(());
        }
        app.access.audit.forbidden(caller, self.name);
        let message =
            format!("this key may not {}; that needs the scope {}", self.name, self.scope.as_str());
        Err(ApiError::new(Code::Forbidden, message))
    }

    /// Checks the arguments and does it; answers the whole envelope. What it came to is on record.
    pub(crate) async fn call(
        &'static self,
        app: App,
        caller: Caller,
        arguments: Map<String, Json>,
    ) -> Result<Bytes> {
        match self.answer(app, caller, Given { arguments, rows: None }).await? {
            Sent::Whole(envelope) => Ok(envelope),
            Sent::Stream(_) => Err(ApiError::field(
                "limit",
                "0 streams all rows, which only REST does; read page by page",
            )),
        }
    }

    /// As [`Operation::call`], for a face that can send a stream.
    pub(crate) async fn answer(
        &'static self,
        app: App,
        caller: Caller,
        given: Given,
    ) -> Result<Sent> {
        let Given { mut arguments, rows } = given;
        let attempted = self.attempt(&arguments);
        let subject = arguments.get("table").and_then(Json::as_str).map(str::to_owned);
        let store = Arc::clone(app.engine.store());
        self.allow(&app, &caller).map_err(|error| error.attempting(|| self.name.to_owned()))?;
        let (draft, access) = (Draft::of(self, &caller, &arguments), Arc::clone(&app.access));
        let answer = match check::arguments(self.fields, &mut arguments) {
            Ok(()) => {
                let call = Call { name: self.name, app, caller, arguments, rows };
                match (self.run)(Ask::Call(Box::new(call))) {
                    Answer::Reply(reply) => reply.await,
                    Answer::Schema(_) => {
                        Err(ApiError::internal("a call was answered with a schema"))
                    }
                }
            }
            Err(error) => Err(error),
        };
        if let Some(draft) = draft {
            access.audit.ended(draft, answer.as_ref().err());
        }
        match answer {
            Ok(sent) => Ok(sent),
            Err(error) => {
                Err(hinted(error, &*store, subject.as_deref()).await.attempting(|| attempted))
            }
        }
    }

    /// How long a request for it may take over REST. A call of the proxy ends by itself, and with a better word.
    pub(crate) fn timeout(&self, config: &ServerConfig) -> Duration {
        match self.name {
            "http_request" => {
                config.request_timeout.max(config.limits.proxy_timeout_max + PROXY_GRACE)
            }
            _ => config.request_timeout,
        }
    }

    /// What its `data` is when it succeeds.
    pub fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        match (self.run)(Ask::Schema(generator)) {
            Answer::Schema(schema) => schema,
            Answer::Reply(_) => Schema::default(),
        }
    }

    /// What is being tried, in a few words: the name, and what it is about.
    pub(crate) fn attempt(&self, arguments: &Map<String, Json>) -> String {
        let subjects: Vec<String> = self
            .fields
            .iter()
            .filter(|field| field.place == Place::Path || field.name == "name")
            .filter_map(|field| Some((field.name, arguments.get(field.name)?)))
            .map(|(name, value)| format!("{name} {}", check::shown(value)))
            .collect();
        if subjects.is_empty() {
            return self.name.to_owned();
        }
        format!("{} ({})", self.name, subjects.join(", "))
    }
}

/// What the function of a row of the catalogue is asked for.
enum Ask<'g> {
    /// To do it.
    Call(Box<Call>),
    /// To say what it answers.
    Schema(&'g mut SchemaGenerator),
}

/// The answer to an [`Ask`].
enum Answer {
    Reply(Reply),
    Schema(Schema),
}

/// An operation's call with its arguments checked, before they have the operation's own type.
struct Call {
    name: &'static str,
    app: App,
    caller: Caller,
    arguments: Map<String, Json>,
    rows: Option<Bytes>,
}

/// Arguments as a face has them.
pub(crate) struct Given {
    pub(crate) arguments: Map<String, Json>,
    /// The text of the field of [`Kind::Rows`], where the face has one: an empty list stands among the arguments for it.
    pub(crate) rows: Option<Bytes>,
}

impl Call {
    fn take_rows(&mut self) -> GivenRows {
        match (self.rows.take(), self.arguments.shift_remove("rows")) {
            (Some(text), _) => GivenRows::Text(text),
            (None, Some(Json::Array(rows))) => GivenRows::Parsed(rows),
            _ => GivenRows::Parsed(Vec::new()),
        }
    }
}

impl Ask<'_> {
    /// Ties the operation's types to the catalogue's: arguments in, envelope out. Its schema comes from the same types, so
    /// that the documentation cannot say anything else.
    fn of<I, O, F>(self, operation: fn(App, I) -> F) -> Answer
    where
        I: DeserializeOwned + Send + 'static,
        O: Answering,
        F: Future<Output = Result<O>> + Send + 'static,
    {
        self.by(move |app, _, input| operation(app, input))
    }

    /// As [`Ask::of`], for an operation that wants to know who asks.
    fn by<I, O, F>(self, operation: impl FnOnce(App, Caller, I) -> F + Send + 'static) -> Answer
    where
        I: DeserializeOwned + Send + 'static,
        O: Answering,
        F: Future<Output = Result<O>> + Send + 'static,
    {
        self.tie(
            |_| GivenRows::Parsed(Vec::new()),
            move |app, caller, input, _| operation(app, caller, input),
        )
    }

    /// As [`Ask::by`], for an operation with a field of [`Kind::Rows`]: they come beside its other input.
    fn with_rows<I, O, F>(
        self,
        operation: impl FnOnce(App, Caller, I, GivenRows) -> F + Send + 'static,
    ) -> Answer
    where
        I: DeserializeOwned + Send + 'static,
        O: Answering,
        F: Future<Output = Result<O>> + Send + 'static,
    {
        self.tie(Call::take_rows, operation)
    }

    fn tie<I, O, F>(
        self,
        rows: fn(&mut Call) -> GivenRows,
        operation: impl FnOnce(App, Caller, I, GivenRows) -> F + Send + 'static,
    ) -> Answer
    where
        I: DeserializeOwned + Send + 'static,
        O: Answering,
        F: Future<Output = Result<O>> + Send + 'static,
    {
        let mut call = match self {
            Self::Schema(generator) => return Answer::Schema(O::schema(generator)),
            Self::Call(call) => call,
        };
        Answer::Reply(Box::pin(async move {
            // What the fields allow and the input does not take is caught here; a test holds the two together.
            let rows = rows(&mut call);
            let input = serde_json::from_value(Json::Object(call.arguments))
                .map_err(|error| ApiError::field("arguments", error.to_string()))?;
            let vitals = Arc::clone(&call.app.vitals);
            let answer = operation(call.app, call.caller, input, rows).await?;
            if let Some(rows) = answer.rows_affected() {
                vitals.metrics.rows(call.name, rows);
            }
            answer.sent(call.name)
        }))
    }
}
