//! A filter held against one row in memory. What passes here passes in every store: the contract suite compares them on
//! random rows and filters.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value as Json;

use super::{Filter, Operator, PathStep, Subject, Test};
use crate::{CellState, ColumnId, Value};

/// A row in memory, as far as a filter looks at it.
pub trait FilterRow {
    /// What it has there; [`Value::Null`] for what it does not have.
    fn value(&self, subject: Subject) -> Cow<'_, Value>;

    /// The state of its cell of a smart column; `None` is idle.
    fn state(&self, column: ColumnId) -> Option<CellState>;
}

impl Filter {
    /// Whether a row passes.
    ///
    /// ```
    /// use std::borrow::Cow;
    /// use paceline_model::{
    ///     CellState, ColumnId, Filter, FilterRow, Operator, Subject, Test, Value,
    /// };
    ///
    /// struct Price(i64);
    /// impl FilterRow for Price {
    ///     fn value(&self, _: Subject) -> Cow<'_, Value> {
    ///         Cow::Owned(Value::Int(self.0))
    ///     }
    ///     fn state(&self, _: ColumnId) -> Option<CellState> {
    ///         None
    ///     }
    /// }
    ///
    /// let operator = Operator::Gte(Value::Number(4.5));
    /// let dear = Filter::Test(Test { subject: Subject::Column(ColumnId(1)), path: vec![], operator });
    /// assert!(dear.passes(&Price(5)) && !dear.passes(&Price(4)));
    /// ```
    pub fn passes(&self, row: &impl FilterRow) -> bool {
        self.unmet(row).is_none()
    }

    /// The part of the filter that a row does not pass, for people: the first one where several must all pass.
    pub fn unmet(&self, row: &impl FilterRow) -> Option<&Self> {
        let passes = match self {
            Self::All(filters) => return filters.iter().find_map(|filter| filter.unmet(row)),
            Self::Any(filters) => filters.iter().any(|filter| filter.passes(row)),
            Self::Test(test) => test.passes(&row.value(test.subject)),
            Self::Cell { column, states } => states.contains(&row.state(*column)),
        };
        (!passes).then_some(self)
    }

    /// The columns whose values it looks at, and those of whose cells it looks at the state only.
    #[must_use]
    pub fn columns(&self) -> (Vec<ColumnId>, Vec<ColumnId>) {
        let (mut values, mut states) = (Vec::new(), Vec::new());
        self.visit(&mut |filter| match filter {
            Self::Test(Test { subject: Subject::Column(id), .. }) => values.push(*id),
            Self::Cell { column, .. } => states.push(*column),
            _ => {}
        });
        for columns in [&mut values, &mut states] {
            columns.sort_unstable();
            columns.dedup();
        }
        states.retain(|column| !values.contains(column));
        (values, states)
    }

    /// Shows itself and every part of it. No deeper than a filter may be nested.
    fn visit(&self, see: &mut impl FnMut(&Self)) {
        see(self);
        if let Self::All(filters) | Self::Any(filters) = self {
            filters.iter().for_each(|filter| filter.visit(see));
        }
    }
}

impl Test {
    fn passes(&self, value: &Value) -> bool {
        let seen = Seen::inside(value, &self.path);
        let is = |other: &Value, wanted: &[Ordering]| {
            seen.compare(&Seen::of(other)).is_some_and(|order| wanted.contains(&order))
        };
        let same = |other: &Value| seen.same(&Seen::of(other));
        match &self.operator {
            Operator::IsNull(wanted) => (seen == Seen::Null) == *wanted,
            // Nothing equals an empty cell, so this can only mean that there is none, or one.
            Operator::Eq(other) if other.is_null() => seen == Seen::Null,
            Operator::Neq(other) if other.is_null() => seen != Seen::Null,
            Operator::Eq(other) => same(other),
            Operator::Neq(other) => !same(other),
            Operator::Gt(other) => is(other, &[Ordering::Greater]),
            Operator::Gte(other) => is(other, &[Ordering::Greater, Ordering::Equal]),
            Operator::Lt(other) => is(other, &[Ordering::Less]),
            Operator::Lte(other) => is(other, &[Ordering::Less, Ordering::Equal]),
            Operator::Between(first, last) => {
                is(first, &[Ordering::Greater, Ordering::Equal])
                    && is(last, &[Ordering::Less, Ordering::Equal])
            }
            Operator::In(others) => others.iter().any(same),
            Operator::Contains(part) => match seen {
                Seen::Text(text) => text.to_ascii_lowercase().contains(&part.to_ascii_lowercase()),
                // Of a column's options; a list somewhere inside JSON is no text and holds none.
                Seen::Json(Json::Array(items)) if self.path.is_empty() => {
                    items.iter().any(|item| item.as_str() == Some(part))
                }
                _ => false,
            },
            Operator::StartsWith(start) => {
                matches!(seen, Seen::Text(text) if text.starts_with(start))
            }
        }
    }
}

/// A value, or what stands somewhere inside one.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Seen<'v> {
    Null,
    Bool(bool),
    Int(i64),
    Number(f64),
    Text(&'v str),
    Json(&'v Json),
}

impl<'v> Seen<'v> {
    fn of(value: &'v Value) -> Self {
        match value {
            Value::Null | Value::Json(Json::Null) => Self::Null,
            Value::Bool(b) => Self::Bool(*b),
            Value::Int(n) => Self::Int(*n),
            Value::Number(x) => Self::Number(*x),
            Value::Text(text) => Self::Text(text),
            Value::Json(json) => Self::Json(json),
        }
    }

    fn inside(value: &'v Value, path: &[PathStep]) -> Self {
        if path.is_empty() {
            return Self::of(value);
        }
        let Value::Json(json) = value else { return Self::Null };
        let inside = path.iter().try_fold(json, |json, step| match step {
            PathStep::Key(name) => json.as_object()?.get(name),
            PathStep::Index(index) => json.as_array()?.get(*index),
        });
        match inside {
            None | Some(Json::Null) => Self::Null,
            Some(Json::Bool(b)) => Self::Bool(*b),
            Some(Json::String(text)) => Self::Text(text),
            Some(Json::Number(n)) => match (n.as_i64(), n.as_f64()) {
                (Some(n), _) => Self::Int(n),
                (None, Some(x)) => Self::Number(x),
                (None, None) => Self::Null,
            },
            Some(json) => Self::Json(json),
        }
    }

    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            // To the letter, the order of keys too.
            (Self::Json(one), Self::Json(other)) => one.to_string() == other.to_string(),
            _ => self.compare(other) == Some(Ordering::Equal),
        }
    }

    /// `None` for what cannot be compared.
    fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(one), Self::Bool(other)) => Some(one.cmp(other)),
            (Self::Text(one), Self::Text(other)) => Some(one.cmp(other)),
            (Self::Int(one), Self::Int(other)) => Some(one.cmp(other)),
            (Self::Number(one), Self::Number(other)) => one.partial_cmp(other),
            (Self::Int(whole), Self::Number(x)) => exactly(*whole, *x),
            (Self::Number(x), Self::Int(whole)) => exactly(*whole, *x).map(Ordering::reverse),
            _ => None,
        }
    }
}

/// A whole number beside a double, neither of them rounded.
fn exactly(whole: i64, x: f64) -> Option<Ordering> {
    // All doubles from 2^63 on are beyond every i64; -2^63 is the least of them.
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    if x.is_nan() {
        return None;
    }
    if x >= BEYOND {
        return Some(Ordering::Less);
    }
    if x < -BEYOND {
        return Some(Ordering::Greater);
    }
    #[expect(clippy::cast_possible_truncation, reason = "its whole part fits, as was just asked")]
    let floor = x.floor() as i64;
    Some(match whole.cmp(&floor) {
        Ordering::Equal if x.fract() != 0.0 => Ordering::Less,
        order => order,
    })
}
