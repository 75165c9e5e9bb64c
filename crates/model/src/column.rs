//! Columns: what type their values have, and for smart columns how a cell is filled.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::{ColumnId, TableId};

/// The 13 column types (hypertab.md a4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// Any text.
    Text,
    /// A whole number or a double.
    Number,
    /// True or false.
    Boolean,
    /// An e-mail address.
    Email,
    /// A web address.
    Url,
    /// A phone number.
    Phone,
    /// A moment, ISO 8601.
    Datetime,
    /// Any JSON value.
    Json,
    /// One of the options of the column's config.
    Select,
    /// Several of the options of the column's config.
    MultiSelect,
    /// The id of a row of another table.
    Relation,
    /// An amount of money.
    Currency,
    /// The address of an image.
    ImageUrl,
}

impl ColumnType {
    /// Every type, in the order of the documentation.
    pub const ALL: [ColumnType; 13] = [
        Self::Text,
        Self::Number,
        Self::Boolean,
        Self::Email,
        Self::Url,
        Self::Phone,
        Self::Datetime,
        Self::Json,
        Self::Select,
        Self::MultiSelect,
        Self::Relation,
        Self::Currency,
        Self::ImageUrl,
    ];

    /// The name in the API and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Email => "email",
            Self::Url => "url",
            Self::Phone => "phone",
            Self::Datetime => "datetime",
            Self::Json => "json",
            Self::Select => "select",
            Self::MultiSelect => "multi_select",
            Self::Relation => "relation",
            Self::Currency => "currency",
            Self::ImageUrl => "image_url",
        }
    }

    /// The type of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Whether its values are text.
    #[must_use]
    pub fn is_text(self) -> bool {
        matches!(
            self,
            Self::Text
                | Self::Email
                | Self::Url
                | Self::Phone
                | Self::Datetime
                | Self::Select
                | Self::ImageUrl
        )
    }

    pub(crate) fn takes(self) -> &'static str {
        match self {
            Self::Number | Self::Currency => "a number",
            Self::Relation => "the number of a row (from 1)",
            Self::Boolean => "true or false",
            Self::Json => "any JSON",
            Self::MultiSelect => "a list of options",
            Self::Select => "one of its options as text",
            Self::Datetime => "a moment as text",
            _ => "text",
        }
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a smart column fills its cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SmartKind {
    /// One HTTP call per row.
    Http,
    /// One question to a language model per row.
    Ai,
    /// Something another service does per row, once: a webhook, a message, a notebook's run.
    Integration,
    /// An expression in JavaScript over the row's values.
    Formula,
    /// A function of JavaScript that a person wrote, in a process of its own.
    Function,
    /// The value of another table's row.
    Lookup,
    /// A part of another column's JSON.
    Extract,
    /// Several sources, asked in turn until one has a value.
    Waterfall,
}

impl SmartKind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 8] = [
        Self::Http,
        Self::Ai,
        Self::Integration,
        Self::Formula,
        Self::Function,
        Self::Lookup,
        Self::Extract,
        Self::Waterfall,
    ];

    /// The name in the API and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Ai => "ai",
            Self::Integration => "integration",
            Self::Formula => "formula",
            Self::Function => "function",
            Self::Lookup => "lookup",
            Self::Extract => "extract",
            Self::Waterfall => "waterfall",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Whether its cells are filled without a call: nothing is limited, paid or sent, and filling one again is free.
    #[must_use]
    pub fn is_local(self) -> bool {
        matches!(self, Self::Formula | Self::Function | Self::Lookup | Self::Extract)
    }

    /// Whether its cells may have notes; see [`Task::note`](crate::Task::note).
    #[must_use]
    pub fn has_notes(self) -> bool {
        matches!(self, Self::Integration | Self::Waterfall)
    }
}

/// What makes a column smart. Both JSON values are as the user gave them, checked by the engine before they are stored;
/// secrets among them are sealed (the engine's `secret` module) before they come here.
#[derive(Clone, Debug, PartialEq)]
pub struct SmartColumn {
    /// Which provider makes the call.
    pub kind: SmartKind,
    /// The provider's configuration.
    pub config: Json,
    /// A preset's name or an object (spec C3).
    pub rate_limit: Json,
    /// Grows with every change of `config`; cells remember it.
    pub version: i64,
}

impl SmartColumn {
    /// Whether its cells are jobs that go on after their call, so that what became of one can be looked up at the vendor:
    /// those of Hex. The other providers of kind `integration` make one call, like `http`.
    ///
    /// ```
    /// use paceline_model::{SmartColumn, SmartKind};
    /// use serde_json::json;
    /// let of = |provider| SmartColumn {
    ///     kind: SmartKind::Integration,
    ///     config: json!({"provider": provider}),
    ///     rate_limit: json!(null),
    ///     version: 1,
    /// };
    /// assert!(of("hex").is_job() && !of("webhook").is_job());
    /// ```
    #[must_use]
    pub fn is_job(&self) -> bool {
        const ONE_CALL: [&str; 2] = ["webhook", "slack"];
        let provider = self.config.get("provider").and_then(Json::as_str).unwrap_or_default();
        self.kind == SmartKind::Integration && !ONE_CALL.contains(&provider)
    }
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its id, unique over all tables.
    pub id: ColumnId,
    /// The table it belongs to.
    pub table: TableId,
    /// Its name in the API and in the database.
    pub name: String,
    /// What a person called it, where that is not a legal name (a CSV header, say); templates may use either.
    pub title: Option<String>,
    /// The type of its values.
    pub kind: ColumnType,
    /// What its values are chosen from: of the types select and multi_select, which have at least one; else empty.
    pub options: Vec<String>,
    /// Present if its cells are filled by calls.
    pub smart: Option<SmartColumn>,
}

impl Column {
    /// What a person sees: the title if there is one, else the name.
    #[must_use]
    pub fn label(&self) -> &str {
        self.title.as_deref().unwrap_or(&self.name)
    }
}

/// A column to be made. `name` must pass [`crate::check_name`] and be new in its table.
#[derive(Clone, Debug, PartialEq)]
pub struct NewColumn {
    /// See [`Column::name`].
    pub name: String,
    /// See [`Column::title`].
    pub title: Option<String>,
    /// See [`Column::kind`].
    pub kind: ColumnType,
    /// See [`Column::options`].
    pub options: Vec<String>,
    /// See [`Column::smart`]; the version given here is ignored and begins at 1.
    pub smart: Option<SmartColumn>,
}
