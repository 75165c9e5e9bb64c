//! What an operation takes: fields with their place over REST and what is accepted in them.

use paceline_model::ColumnType;

use crate::app::{DESCRIPTION_BYTES_MAX, LABEL_BYTES_MAX};

/// Where a field stands over REST. Over MCP all of them are arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// In the path.
    Path,
    /// After the question mark.
    Query,
    /// In the JSON body.
    Body,
}

/// What a field accepts.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Text of at most so many bytes.
    Text {
        /// The most.
        bytes_max: usize,
    },
    /// A whole number.
    Whole {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// One of these names.
    OneOf(fn() -> Vec<&'static str>),
    /// A list of names; in a query separated by commas.
    Names {
        /// The most.
        max: usize,
    },
    /// A list of objects of these fields.
    Objects {
        /// The fields of each.
        fields: &'static [Field],
        /// The most.
        max: usize,
    },
    /// A list of objects whose fields are the columns of a table; the operation checks them.
    Rows,
    /// A JSON object that the engine checks.
    Object,
    /// A preset's name or a rate object, which the engine checks.
    Rate,
    /// True or false.
    Flag,
    /// Any JSON value, which the operation checks; in a query written as JSON.
    Any,
}

/// A field of an operation.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Where it stands over REST.
    pub place: Place,
    /// What it accepts.
    pub kind: Kind,
    /// Whether it must be given.
    pub required: bool,
    /// What it is, in one line.
    pub about: &'static str,
}

impl Field {
    pub(super) const fn path(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { name, place: Place::Path, kind, required: true, about }
    }

    pub(super) const fn query(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { name, place: Place::Query, kind, required: false, about }
    }

    pub(super) const fn body(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { name, place: Place::Body, kind, required: true, about }
    }

    pub(super) const fn optional(self) -> Self {
        Self { required: false, ..self }
    }
}

// What several operations take.

pub(super) const NAME: Kind = Kind::Text { bytes_max: LABEL_BYTES_MAX };
pub(super) const LABEL: Kind = Kind::Text { bytes_max: LABEL_BYTES_MAX };
pub(super) const DESCRIPTION: Kind = Kind::Text { bytes_max: DESCRIPTION_BYTES_MAX };
pub(super) const ID: Kind = Kind::Whole { min: 1, max: i64::MAX as u64 };
pub(super) const TYPE: Kind = Kind::OneOf(|| ColumnType::ALL.map(ColumnType::as_str).into());

pub(super) const TABLE: Field = Field::path("table", NAME, "the table's name or id");
pub(super) const COLUMN: Field = Field::path("column", NAME, "the column's name");
pub(super) const RUN: Field = Field::path("run", ID, "the run's id");
