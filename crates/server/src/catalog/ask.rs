//! Ties the functions of the operations to the catalogue: their types to its arguments and envelopes.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use schemars::{Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};

use super::answer::{Answering, Sent};
use crate::App;
use crate::auth::Caller;
use crate::error::{ApiError, Result};
use crate::ops::insert::GivenRows;

/// What is sent back, or why nothing is.
type Reply = Pin<Box<dyn Future<Output = Result<Sent>> + Send>>;

/// What the function of a row of the catalogue is asked for.
pub(super) enum Ask<'g> {
    /// To do it.
    Call(Box<Call>),
    /// To say what it answers.
    Schema(&'g mut SchemaGenerator),
}

/// The answer to an [`Ask`].
pub(super) enum Answer {
    Reply(Reply),
    Schema(Schema),
}

/// An operation's call with its arguments checked, before they have the operation's own type.
pub(super) struct Call {
    pub(super) name: &'static str,
    pub(super) app: App,
    pub(super) caller: Caller,
    pub(super) arguments: Map<String, Json>,
    pub(super) rows: Option<Bytes>,
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
    pub(super) fn of<I, O, F>(self, operation: fn(App, I) -> F) -> Answer
    where
        I: DeserializeOwned + Send + 'static,
        O: Answering,
        F: Future<Output = Result<O>> + Send + 'static,
    {
        self.by(move |app, _, input| operation(app, input))
    }

    /// As [`Ask::of`], for an operation that wants to know who asks.
    pub(super) fn by<I, O, F>(
        self,
        operation: impl FnOnce(App, Caller, I) -> F + Send + 'static,
    ) -> Answer
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
    pub(super) fn with_rows<I, O, F>(
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
