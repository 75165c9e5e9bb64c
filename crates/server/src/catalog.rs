//! One row per operation: what it is called, where it stands in REST, what it takes, who may call it, and the function
//! that does it. Every face is drawn from this page.

mod check;
mod field;
mod table;

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};

pub(crate) use check::from_text;
pub use field::{Field, Kind, Place};
pub use table::CATALOGUE;

use crate::envelope::{self, Outcome};
use crate::error::{ApiError, Result};
use crate::{App, KeyScope};

/// How an operation is asked for over REST.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Look; changes nothing.
    Get,
    /// Make or do.
    Post,
    /// Change a part.
    Patch,
}

impl Verb {
    /// The method's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
        }
    }
}

/// The envelope of an answer, or why there is none.
type Answer = Pin<Box<dyn Future<Output = Result<Bytes>> + Send>>;

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
    /// What it takes.
    pub fields: &'static [Field],
    run: fn(Call) -> Answer,
}

/// The operation of that name.
pub(crate) fn find(name: &str) -> Option<&'static Operation> {
    CATALOGUE.iter().find(|operation| operation.name == name)
}

impl Operation {
    /// Checks the arguments and does it; answers the whole envelope.
    pub(crate) async fn call(
        &'static self,
        app: App,
        mut arguments: Map<String, Json>,
    ) -> Result<Bytes> {
        let attempted = self.attempt(&arguments);
        let answer = match check::arguments(self.fields, &mut arguments) {
            Ok(()) => (self.run)(Call { name: self.name, app, arguments }).await,
            Err(error) => Err(error),
        };
        answer.map_err(|error| error.attempting(|| attempted))
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

/// An operation's call with its arguments checked, before they have the operation's own type.
struct Call {
    name: &'static str,
    app: App,
    arguments: Map<String, Json>,
}

impl Call {
    /// Ties the operation's types to the catalogue's: arguments in, envelope out.
    fn of<I, O, F>(self, operation: fn(App, I) -> F) -> Answer
    where
        I: DeserializeOwned + Send + 'static,
        O: Serialize + Send,
        F: Future<Output = Result<Outcome<O>>> + Send + 'static,
    {
        Box::pin(async move {
            // What the fields allow and the input does not take is caught here; a test holds the two together.
            let input = serde_json::from_value(Json::Object(self.arguments))
                .map_err(|error| ApiError::field("arguments", error.to_string()))?;
            let mut outcome = operation(self.app, input).await?;
            outcome.meta.insert("operation".to_owned(), self.name.into());
            envelope::success(&outcome)
        })
    }
}
