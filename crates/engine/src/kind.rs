//! What each kind of smart column is to the engine: a configuration that is read, bound to a table, renamed, sealed and
//! shown; and what is done for a row.

pub(crate) mod ai;
mod extract;
mod fields;
mod formula;
mod function;
mod hex;
mod http;
mod lookup;
mod outside;
mod plain;
mod slack;
#[cfg(test)]
mod tests;
mod waterfall;
mod webhook;

use std::sync::Arc;

use async_trait::async_trait;
use paceline_clock::Timestamp;
use paceline_governor::{Ceilings, Outcome, OutcomeClass, Rate};
use paceline_model::{CellError, Column, ColumnId, ColumnType, SmartKind, Table, Task, Value};
use serde_json::Value as Json;

use self::ai::AiSpec;
use self::extract::ExtractSpec;
use self::formula::FormulaSpec;
use self::function::FunctionSpec;
use self::lookup::LookupSpec;
pub(crate) use self::outside::{Around, Elsewhere, Outside};
pub(crate) use self::plain::{Filled, Tools};
use crate::integration::IntegrationColumn;
use crate::{Error, HttpSpec, IntegrationSpec, OutboundGuard, Reply, Request, Result, Sealer};
use slack::SlackSpec;
use waterfall::WaterfallSpec;
pub(crate) use waterfall::{Source, Until, Waterfall};
use webhook::WebhookSpec;

/// Gives a template with the references to one column under its new name.
pub(crate) type Rename<'a> = &'a dyn Fn(&str) -> Result<String>;

/// The configuration of one kind, as users write it.
#[async_trait]
pub(crate) trait KindSpec: Send + Sync {
    /// As the store has it, and as it was given.
    fn to_json(&self) -> Json;

    /// Checked against a table (`own` is the column's own name, which it may not refer to).
    fn bind(&self, table: &Table, own: &str, guard: &OutboundGuard) -> Result<Bound>;

    /// The columns whose values it needs, as [`KindSpec::bind`] has them, for who asks for many columns and often: nothing is
    /// compiled for it.
    fn inputs(&self, table: &Table, own: &str, guard: &OutboundGuard) -> Result<Vec<ColumnId>> {
        Ok(self.bind(table, own, guard)?.inputs().to_vec())
    }

    /// With `rename` done to each of its templates and names of columns.
    fn renamed(self: Box<Self>, rename: Rename<'_>) -> Result<Box<dyn KindSpec>>;

    /// With its secrets sealed for `place`.
    fn sealed(self: Box<Self>, sealer: Option<&Sealer>, place: &str) -> Result<Box<dyn KindSpec>>;

    /// With its secrets opened.
    fn opened(self: Box<Self>, sealer: Option<&Sealer>, place: &str) -> Result<Box<dyn KindSpec>>;

    /// As a person or program may see it.
    fn masked(self: Box<Self>) -> Box<dyn KindSpec>;

    /// Whom it calls and as whom, if that is the same for every row; secrets must be open.
    fn calls(&self) -> Option<Called> {
        None
    }

    /// Who makes its calls: itself, or each of its sources. `rate` is the column's.
    fn callers(&self, rate: &Rate, ceilings: Ceilings) -> Result<Vec<Caller>> {
        let _ = ceilings;
        Ok(vec![Caller { source: None, called: self.calls(), rate: rate.clone() }])
    }

    /// Another one of the same.
    fn boxed(&self) -> Box<dyn KindSpec>;

    /// Whether a column of this type can hold its values, as far as the configuration tells.
    fn check_type(&self, kind: ColumnType) -> Result<()> {
        let _ = kind;
        Ok(())
    }

    /// Reads the column's rate; null stands for what fits the kind.
    fn rate(&self, json: &Json, ceilings: Ceilings) -> Result<Rate> {
        Rate::from_json(json, ceilings).map_err(Error::Rate)
    }

    /// With what it needs that stands outside its table, as that is now: a stored AI provider, a stored function, another
    /// table.
    ///
    /// # Errors
    /// The field, if there is no such thing.
    async fn resolved(&self, around: Around<'_>) -> Result<Box<dyn KindSpec>> {
        let _ = around;
        Ok(self.boxed())
    }

    /// What of that shapes the values, once it is resolved; none where the configuration says it all.
    fn outside(&self) -> Option<Outside> {
        None
    }

    /// The stored AI provider that it was given: its service and its address.
    fn stored_provider(&self) -> Option<(&str, &str)> {
        None
    }

    /// What it reads of another table, if it does.
    fn elsewhere(&self) -> Option<Elsewhere> {
        None
    }

    /// With other names for what it reads of another table, in the order of [`KindSpec::elsewhere`].
    fn renamed_elsewhere(self: Box<Self>, names: Elsewhere) -> Box<dyn KindSpec> {
        let _ = names;
        self.boxed()
    }
}

/// Reads a configuration of that kind.
///
/// # Errors
/// The field and the remedy; never a secret.
pub(crate) fn read(kind: SmartKind, config: &Json) -> Result<Box<dyn KindSpec>> {
    Ok(match kind {
        SmartKind::Http => Box::new(HttpSpec::from_json(config)?),
        SmartKind::Integration => match config.get("provider").and_then(Json::as_str) {
            Some(webhook::PROVIDER) => Box::new(WebhookSpec::from_json(config)?),
            Some(slack::PROVIDER) => Box::new(SlackSpec::from_json(config)?),
            // It names all of them where the name is wrong.
            _ => Box::new(IntegrationSpec::from_json(config)?),
        },
        SmartKind::Waterfall => Box::new(WaterfallSpec::from_json(config)?),
        SmartKind::Ai => Box::new(AiSpec::from_json(config)?),
        SmartKind::Formula => Box::new(FormulaSpec::from_json(config)?),
        SmartKind::Function => Box::new(FunctionSpec::from_json(config)?),
        SmartKind::Lookup => Box::new(LookupSpec::from_json(config)?),
        SmartKind::Extract => Box::new(ExtractSpec::from_json(config)?),
    })
}

/// Whom a column calls, and by which secret it is known there: where both are the same, a vendor counts calls together.
pub(crate) struct Called {
    /// With its port.
    pub(crate) host: String,
    /// Never shown and never kept: columns are compared by a hash of it.
    pub(crate) secret: Option<String>,
}

/// Whoever makes calls of a column at a rate of its own.
pub(crate) struct Caller {
    /// The source's name, of a column that has several.
    pub(crate) source: Option<String>,
    pub(crate) called: Option<Called>,
    pub(crate) rate: Rate,
}

/// The host of an address, with its port; `text` may go on with a template after its host.
pub(crate) fn host_of(text: &str) -> Option<String> {
    let url = url::Url::parse(text).ok()?;
    Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?))
}

/// A configuration that fits its table, by what has to be done for a row.
pub(crate) enum Bound {
    /// One call.
    Call(Arc<dyn Call>),
    /// A job of Hex, and what its session is made from.
    Job(Box<IntegrationSpec>, Box<IntegrationColumn>),
    /// No call.
    Local(Arc<dyn Local>),
}

impl Bound {
    /// The columns whose values it needs, in the order in which a task has them.
    pub(crate) fn inputs(&self) -> &[ColumnId] {
        match self {
            Self::Call(call) => call.inputs(),
            Self::Job(_, column) => &column.inputs,
            Self::Local(local) => local.inputs(),
        }
    }

    /// See [`Call::identity`].
    pub(crate) fn identity(&self) -> String {
        match self {
            Self::Call(call) => call.identity(),
            Self::Job(spec, _) => spec.identity(),
            Self::Local(local) => local.identity(),
        }
    }
}

/// One call per row: what is sent for its values, and what an answer means.
pub(crate) trait Call: Send + Sync {
    /// The columns whose values [`Call::render`] takes, in this order.
    fn inputs(&self) -> &[ColumnId];

    /// Whether it may be made again when nobody knows whether it took effect.
    fn repeatable(&self) -> bool;

    /// Whether its own configuration says how long a call may take.
    fn names_timeout(&self) -> bool {
        false
    }

    /// Everything that decides what is called for a row, as text without secrets: two configurations with the same one make
    /// the same call.
    fn identity(&self) -> String;

    /// The request for a row. `key` tells the vendor that two attempts are one call.
    fn render(&self, values: &[Value], key: &str) -> std::result::Result<Request, CellError>;

    /// The value that an answer gives, which says by its status that it worked.
    fn read(&self, reply: &Reply, column: &Column) -> std::result::Result<Answer, CellError>;

    /// The request as it leaves at this moment: with a signature over the time, say.
    fn stamped(&self, request: Request, at: Timestamp) -> Request {
        let _ = at;
        request
    }

    /// Whether who knows the path of its address may do what it does: then no record tells it.
    fn secret_path(&self) -> bool {
        false
    }

    /// What an answer says that its status does not, or says better: a vendor's own words for no.
    fn refusal(&self, reply: &Reply) -> Option<Refusal> {
        let _ = reply;
        None
    }

    /// The several calls that it is in truth, one after the other.
    fn waterfall(&self) -> Option<&Waterfall> {
        None
    }

    /// How many tokens a request is thought to take, for limits of tokens.
    fn tokens(&self, request: &Request) -> u64 {
        let _ = request;
        0
    }

    /// What a refusal's body says of its cause, where its status alone would mislead.
    fn cause(&self, reply: &Reply) -> Option<Cause> {
        let _ = reply;
        None
    }
}

/// Why a vendor refused a call.
pub(crate) struct Cause {
    /// What is done about it.
    pub(crate) outcome: Outcome,
    /// What the cell is told.
    pub(crate) error: CellError,
    /// Whether no row can work until a person has done something: then the run stops, and no cell fails for it.
    pub(crate) stops: bool,
}

/// A vendor's no in its own words.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// What is done about it.
    pub(crate) class: OutcomeClass,
    /// Whether the credential was refused: the breaker counts these.
    pub(crate) credential: bool,
    /// It may have taken effect all the same.
    pub(crate) unknown: bool,
    /// What the cell says.
    pub(crate) error: CellError,
}

/// What an answer comes to.
pub(crate) struct Answer {
    /// The cell's value.
    pub(crate) value: Value,
    /// How many tokens it took in truth, where the vendor says so.
    pub(crate) tokens: Option<u64>,
}

/// What is done for a row without a call.
#[async_trait]
pub(crate) trait Local: Send + Sync {
    /// The columns whose values it needs, in the order in which a task has them.
    fn inputs(&self) -> &[ColumnId];

    /// As [`Call::identity`].
    fn identity(&self) -> String;

    /// The other table that it reads, if it does: its rows may move without anything moving here.
    fn reads(&self) -> Option<&str> {
        None
    }

    /// The values of these rows' cells, in their order.
    ///
    /// # Errors
    /// What no row can be filled for: the store cannot be read, the other table or the function is gone. The run pauses
    /// with it, and no cell fails.
    async fn fill(&self, tools: &Tools, column: &Column, rows: &[Task]) -> Result<Vec<Filled>>;
}
