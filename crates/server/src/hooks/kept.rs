//! Webhooks at rest: what was asked for, and how far each has come.

use paceline_clock::Timestamp;
use paceline_model::{Filter, Table};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::queue::Queue;
use crate::App;
use crate::error::{ApiError, Code, Result};
use crate::follow::{self, Position, Watch};
use crate::kept::{self, Standing};
use crate::sources::{Headers, Mapping, Micros, filter_of};

/// What sets a webhook off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Trigger {
    /// A row was inserted.
    NewRow,
    /// A value of one column is another one.
    FieldChange,
    /// A row passes a filter that it did not pass before.
    FilterMatch,
}

impl Trigger {
    pub(crate) const ALL: [Self; 3] = [Self::NewRow, Self::FieldChange, Self::FilterMatch];

    /// The name in the API.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NewRow => "new_row",
            Self::FieldChange => "field_change",
            Self::FilterMatch => "filter_match",
        }
    }
}

/// An outgoing webhook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Hook {
    /// The item with its state.
    pub(crate) state: i64,
    pub(crate) enabled: bool,
    /// Why it was disabled, if nobody did it.
    pub(crate) reason: Option<String>,
    pub(crate) url: String,
    pub(crate) trigger: Trigger,
    /// Of a field change: the id of the column.
    pub(crate) column: Option<i64>,
    /// Of a filter match: the filter as it was given.
    pub(crate) filter: Option<Json>,
    pub(crate) field_mapping: Mapping,
    pub(crate) headers: Headers,
    /// Sealed.
    pub(crate) secret: String,
    /// Whether one delivery may tell of several rows.
    pub(crate) batch: bool,
}

/// How far a webhook has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) position: Position,
    /// Rows that are news and in no delivery yet.
    pub(crate) queue: Queue,
    /// The delivery that is under way.
    pub(crate) delivery: Option<Delivery>,
    /// Deliveries that were begun; the number of the last one.
    pub(crate) begun: u64,
    /// Deliveries that arrived.
    pub(crate) delivered: u64,
    /// Deliveries that were given up.
    pub(crate) failed: u64,
    /// How many of those were the last ones.
    pub(crate) failed_in_a_row: u32,
    /// Since when no try has succeeded.
    pub(crate) failing_since: Option<Micros>,
    pub(crate) last_delivery: Option<Micros>,
    pub(crate) last_error: Option<String>,
}

impl State {
    /// Begins afresh after a person has seen to it: the delivery under way is tried at once, and again as often as a new
    /// one.
    pub(crate) fn revive(&mut self, now: Timestamp) {
        (self.failed_in_a_row, self.failing_since) = (0, None);
        if let Some(delivery) = &mut self.delivery {
            (delivery.tries, delivery.due) = (0, now.into());
        }
    }
}

/// A delivery that has begun. Its id stays over tries and restarts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Delivery {
    pub(crate) number: u64,
    pub(crate) rows: Queue,
    /// Tries that were made.
    pub(crate) tries: u32,
    /// When it is tried next.
    pub(crate) due: Micros,
}

/// A webhook as it was read.
pub(crate) type Kept = kept::Kept<Hook>;

impl Standing for Hook {
    type State = State;
    const KIND: &'static str = "webhook";
    const STATE_KIND: &'static str = "webhook_state";

    fn state_item(&self) -> i64 {
        self.state
    }
}

impl Hook {
    /// What it watches for.
    ///
    /// # Errors
    /// Its column was deleted, or its filter does not fit the table any more.
    pub(crate) fn watch(&self, table: &Table) -> Result<Watch> {
        Ok(match self.trigger {
            Trigger::NewRow => Watch::New,
            Trigger::FieldChange => {
                let id = self.column.unwrap_or(0);
                let column = table.columns.iter().find(|column| column.id.0 == id);
                let column = column.ok_or_else(|| {
                    let message = "trigger_column: the column that it watches was deleted";
                    ApiError::new(Code::Conflict, message)
                })?;
                Watch::Field(column.id)
            }
            Trigger::FilterMatch => {
                let filter: Filter = filter_of(table, "trigger_filter", self.filter.as_ref())?;
                Watch::Match { filter, once: false }
            }
        })
    }
}

/// Makes a webhook, which watches from now on. `hook` is told the id of the state, to which secrets are bound.
pub(crate) async fn make(
    app: &App,
    table: &Table,
    name: &str,
    watch: &Watch,
    hook: impl FnOnce(i64) -> Result<Hook>,
) -> Result<Kept> {
    let position = Position::now(app, table, watch, true).await?;
    let state = State { position, ..State::default() };
    kept::make(app, table, name, state, hook).await
}

/// Takes a webhook away, with all that it knows. What stands in the log of deliveries stays there.
pub(crate) async fn forget(app: &App, kept: &Kept) -> Result<()> {
    kept::forget(app, kept).await?;
    follow::forget(app, kept.state.position.items()).await?;
    app.sources.changed();
    Ok(())
}

/// What the key of a webhook's signatures is bound to.
pub(crate) fn signing_place(state: i64) -> String {
    format!("webhook:{state}:signature")
}
