//! What an operation answers: an envelope, or a stream of the same; and what is said beside an error.

use bytes::Bytes;
use futures_util::stream::BoxStream;
use paceline_model::Store;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

use crate::envelope::{self, Hint, Outcome};
use crate::error::{ApiError, Result};
use crate::ops::schema_hint;

/// What is sent back for a call.
pub(crate) enum Sent {
    /// The envelope.
    Whole(Bytes),
    /// An answer that is made while it is sent. Only REST can do that.
    Stream(Streamed),
}

/// See [`Sent`].
pub(crate) struct Streamed {
    pub(crate) content_type: &'static str,
    /// An error ends it, and must be seen: the connection is cut.
    pub(crate) body: BoxStream<'static, Result<Bytes>>,
}

/// What an operation may answer: an envelope's content, or that or a stream of the same.
pub(super) trait Answering: Send {
    /// Of its `data`.
    fn schema(generator: &mut SchemaGenerator) -> Schema;
    /// Rows that were written, for the metrics.
    fn rows_affected(&self) -> Option<u64>;
    fn sent(self, operation: &'static str) -> Result<Sent>;
}

impl<T: Serialize + JsonSchema + Send> Answering for Outcome<T> {
    fn schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<T>()
    }

    fn rows_affected(&self) -> Option<u64> {
        self.meta.get("rows_affected")?.as_u64()
    }

    fn sent(mut self, operation: &'static str) -> Result<Sent> {
        self.meta.insert("operation".to_owned(), operation.into());
        envelope::success(&self).map(Sent::Whole)
    }
}

/// An outcome, or the same as a stream.
pub(crate) enum MaybeStream<T> {
    Outcome(Outcome<T>),
    Stream(Streamed),
}

impl<T: Serialize + JsonSchema + Send> Answering for MaybeStream<T> {
    fn schema(generator: &mut SchemaGenerator) -> Schema {
        <Outcome<T> as Answering>::schema(generator)
    }

    fn rows_affected(&self) -> Option<u64> {
        match self {
            Self::Outcome(outcome) => outcome.rows_affected(),
            Self::Stream(_) => None,
        }
    }

    fn sent(self, operation: &'static str) -> Result<Sent> {
        match self {
            Self::Outcome(outcome) => outcome.sent(operation),
            Self::Stream(stream) => Ok(Sent::Stream(stream)),
        }
    }
}

/// With a call that makes sense next, for a caller's mistake that brought none of its own.
pub(super) async fn hinted(error: ApiError, store: &dyn Store, table: Option<&str>) -> ApiError {
    if !error.0.hints.is_empty() || !(400..500).contains(&error.0.code.status()) {
        return error;
    }
    let found = match table {
        Some(name) => store.table(name).await.ok().flatten(),
        None => None,
    };
    error.hint(match found {
        Some(table) => schema_hint(&table),
        None => Hint::new("list_tables", "see which tables there are"),
    })
}
