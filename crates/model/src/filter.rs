//! Which rows: a filter as a tree of tests, and the order they come in (hypertab.md a5, with `or` groups and JSON paths).
//! What stands here is the same on every store: text is compared by code points, numbers as numbers (3 is 3.0), false
//! comes before true, a JSON value is compared as the text it was written as.

mod eval;
mod moment;
mod operator;
mod parse;
mod show;
mod sort;
mod target;
#[cfg(test)]
mod tests;
mod value;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{CellState, ColumnId, Value};
pub use eval::FilterRow;

/// Which rows are meant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Filter {
    /// Those that pass all of these; all rows if there are none.
    All(Vec<Filter>),
    /// Those that pass any of these; no row if there are none.
    Any(Vec<Filter>),
    /// Those that pass a test.
    Test(Test),
    /// Those whose cell of a smart column is in one of these states; `None` is idle: nobody asked for it yet.
    Cell {
        /// The smart column.
        column: ColumnId,
        /// The states.
        states: Vec<Option<CellState>>,
    },
}

/// A test of one value of a row. A row whose value is empty passes only `Neq` and `IsNull(true)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Test {
    /// What is looked at.
    pub subject: Subject,
    /// Where inside it, for columns that hold JSON; empty for the whole.
    pub path: Vec<PathStep>,
    /// What it is held against.
    pub operator: Operator,
}

/// A part of a row that can be tested and sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Subject {
    /// The row's id.
    Id,
    /// When the row was inserted; compared with text in ISO 8601 that became [`Value::Int`], wall microseconds.
    CreatedAt,
    /// When a value of the row last changed; as `CreatedAt`.
    UpdatedAt,
    /// The value of a column.
    Column(ColumnId),
}

/// A step into a JSON value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PathStep {
    /// The field of an object.
    Key(String),
    /// The item of a list, from 0.
    Index(usize),
}

/// How a value is held against others. The others are of the column's type; of a JSON path they are booleans, numbers
/// or text, and only a value of the same kind is compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Operator {
    /// The same, to the letter.
    Eq(Value),
    /// Another one, or none.
    Neq(Value),
    /// Greater.
    Gt(Value),
    /// Greater or the same.
    Gte(Value),
    /// Less.
    Lt(Value),
    /// Less or the same.
    Lte(Value),
    /// Has this text somewhere in it, the letters a-z in capitals or not, all others as they are; of a list of options,
    /// is one of its items to the letter.
    Contains(String),
    /// Begins with this text, to the letter.
    StartsWith(String),
    /// One of these.
    In(Vec<Value>),
    /// Between these, either included.
    Between(Value, Value),
    /// Empty, or not.
    IsNull(bool),
}

/// One key of an order. Empty values come last either way; what is alike in all keys comes in the order of row ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    /// What to sort by.
    pub subject: Subject,
    /// The greatest first.
    pub descending: bool,
}

/// Why JSON is no filter or no order: what is wrong where, and what was probably meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    /// The place in the JSON, as in `or[1].price.gt`; empty for the whole.
    pub field: String,
    /// What is wrong with it and what it takes; never a value of it.
    pub problem: String,
    /// The name that was probably meant.
    pub did_you_mean: Option<String>,
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.problem)?;
        match &self.did_you_mean {
            Some(meant) => write!(f, "; did you mean {meant:?}?"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for FilterError {}

impl FilterError {
    fn new(field: &str, problem: impl Into<String>) -> Self {
        Self { field: field.to_owned(), problem: problem.into(), did_you_mean: None }
    }

    fn meant(self, did_you_mean: Option<&str>) -> Self {
        Self { did_you_mean: did_you_mean.map(str::to_owned), ..self }
    }
}
