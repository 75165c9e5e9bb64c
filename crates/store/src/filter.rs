//! Filters and orders as SQL, with bound parameters only. What both databases say alike stands here, what they say
//! differently in their own `filter.rs`, behind [`Dialect`]. In every statement the user's table is called `t`.

mod bounds;
mod order;

use paceline_model::{
    CellState, ColumnId, ColumnType, Error, Filter, Operator, PathStep, Result, Subject, Test,
    Value,
};

use crate::codec::kind_of;
pub(crate) use bounds::columns_of;

/// A column that a filter or an order names.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) id: ColumnId,
    /// What it is called in a statement: `t."name"`.
    pub(crate) sql: String,
    pub(crate) kind: ColumnType,
}

/// What the values of a test are compared as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Int,
    Number,
    Boolean,
    Text,
    /// As the text that the JSON was written as.
    Json,
}

/// What a test looks at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'f> {
    pub(crate) sql: &'f str,
    /// Where inside it; empty for the whole.
    pub(crate) path: &'f [PathStep],
}

/// Writes the parts of a statement in the words of one database, and keeps the parameters that they name. Values have
/// been found to fit their kind when they come here.
pub(crate) trait Dialect {
    /// The value as one of that kind; NULL where it is of another or not there.
    fn operand(&mut self, place: Place<'_>, kind: Kind) -> String;
    /// True where there is no value, false where there is one.
    fn is_null(&mut self, place: Place<'_>) -> String;
    /// A parameter for a value, to be compared with an operand of that kind.
    fn bind(&mut self, kind: Kind, value: &Value) -> String;
    /// Whether the operand is one of the values, of which there is at least one.
    fn one_of(&mut self, operand: &str, kind: Kind, values: &[&Value]) -> String;
    /// Whether two things differ, where NULL differs from all but NULL.
    fn differ(&self, one: &str, other: &str) -> String;
    /// What an operand of that kind is ordered by.
    fn ordered(&self, operand: &str, kind: Kind) -> String;
    /// A parameter for a value, to be compared with what [`Dialect::ordered`] answers.
    fn bind_ordered(&mut self, kind: Kind, value: &Value) -> String;
    /// Whether a text has another in it, with ASCII letters in either case. The other one is not empty.
    fn contains(&mut self, operand: &str, needle: &str) -> String;
    fn starts_with(&mut self, operand: &str, start: &str) -> String;
    /// Whether a list in a column has this text as one of its items.
    fn has_item(&mut self, column: &str, item: &str) -> String;
    /// Whether the cell of the row is in one of these states, of which there is at least one.
    fn cell_in(&mut self, column: ColumnId, states: &[CellState]) -> String;
    /// Whether the cell of the row has no record.
    fn cell_idle(&mut self, column: ColumnId) -> String;
}

/// Writes filters and orders of one table.
pub(crate) struct Writer<D> {
    pub(crate) dialect: D,
    pub(crate) columns: Vec<Known>,
}

impl<D: Dialect> Writer<D> {
    /// The condition that rows pass. Only of what [`columns_of`] has found to be bounded.
    ///
    /// Fails with `Invalid` for a test that its column does not take, with `Missing` for a column that is not known.
    pub(crate) fn condition(&mut self, filter: &Filter) -> Result<String> {
        match filter {
            Filter::All(filters) => self.join(filters, " AND ", "TRUE"),
            Filter::Any(filters) => self.join(filters, " OR ", "FALSE"),
            Filter::Test(test) => self.test(test),
            Filter::Cell { column, states } => Ok(self.cell(*column, states)),
        }
    }

    fn join(&mut self, filters: &[Filter], with: &str, none: &str) -> Result<String> {
        if filters.is_empty() {
            return Ok(none.to_owned());
        }
        let parts = filters.iter().map(|filter| self.condition(filter));
        Ok(format!("({})", parts.collect::<Result<Vec<_>>>()?.join(with)))
    }

    fn cell(&mut self, column: ColumnId, states: &[Option<CellState>]) -> String {
        let there: Vec<CellState> = states.iter().copied().flatten().collect();
        let mut parts = Vec::new();
        if states.contains(&None) {
            parts.push(self.dialect.cell_idle(column));
        }
        if !there.is_empty() {
            parts.push(self.dialect.cell_in(column, &there));
        }
        if parts.is_empty() { "FALSE".to_owned() } else { format!("({})", parts.join(" OR ")) }
    }

    fn test(&mut self, test: &Test) -> Result<String> {
        let (sql, column) = self.place(test.subject)?;
        if !test.path.is_empty() && column != Some(ColumnType::Json) {
            return Err(Error::invalid("only inside a json column a path can be tested"));
        }
        let place = Place { sql: &sql, path: &test.path };
        let tested = Tested { place, whole: whole_kind(column, &test.path) };
        match &test.operator {
            Operator::IsNull(is) => Ok(self.null(place, *is)),
            // Nothing equals an empty cell, so this can only mean that there is none, or one.
            Operator::Eq(value) if value.is_null() => Ok(self.null(place, true)),
            Operator::Neq(value) if value.is_null() => Ok(self.null(place, false)),
            Operator::Eq(value) => self.compare(tested, "=", value),
            Operator::Neq(value) => {
                let kind = tested.kind(value)?;
                let operand = self.dialect.operand(place, kind);
                let other = self.dialect.bind(kind, value);
                Ok(self.dialect.differ(&operand, &other))
            }
            Operator::Gt(value) => self.order(tested, ">", value),
            Operator::Gte(value) => self.order(tested, ">=", value),
            Operator::Lt(value) => self.order(tested, "<", value),
            Operator::Lte(value) => self.order(tested, "<=", value),
            Operator::Between(first, last) => {
                let (first, last) =
                    (self.order(tested, ">=", first)?, self.order(tested, "<=", last)?);
                Ok(format!("({first} AND {last})"))
            }
            Operator::In(values) => self.one_of(tested, values),
            Operator::Contains(needle) if column == Some(ColumnType::MultiSelect) => {
                Ok(self.dialect.has_item(&sql, needle))
            }
            Operator::Contains(needle) => {
                let operand = self.text(tested)?;
                Ok(match needle.as_str() {
                    "" => format!("{operand} IS NOT NULL"),
                    needle => self.dialect.contains(&operand, needle),
                })
            }
            Operator::StartsWith(start) => {
                let operand = self.text(tested)?;
                Ok(match start.as_str() {
                    "" => format!("{operand} IS NOT NULL"),
                    start => self.dialect.starts_with(&operand, start),
                })
            }
        }
    }

    fn null(&mut self, place: Place<'_>, is: bool) -> String {
        let null = self.dialect.is_null(place);
        if is { null } else { format!("NOT {null}") }
    }

    fn compare(&mut self, tested: Tested<'_>, sign: &str, value: &Value) -> Result<String> {
        let kind = tested.kind(value)?;
        let operand = self.dialect.operand(tested.place, kind);
        Ok(format!("{operand} {sign} {}", self.dialect.bind(kind, value)))
    }

    fn order(&mut self, tested: Tested<'_>, sign: &str, value: &Value) -> Result<String> {
        let kind = tested.kind(value)?;
        if matches!(kind, Kind::Boolean | Kind::Json) {
            return Err(Error::invalid("neither JSON nor true and false are less or greater"));
        }
        let operand = self.dialect.operand(tested.place, kind);
        let ordered = self.dialect.ordered(&operand, kind);
        Ok(format!("{ordered} {sign} {}", self.dialect.bind_ordered(kind, value)))
    }

    /// Inside JSON the values may be of several kinds.
    fn one_of(&mut self, tested: Tested<'_>, values: &[Value]) -> Result<String> {
        let mut groups: Vec<(Kind, Vec<&Value>)> = Vec::new();
        for value in values {
            let kind = tested.kind(value)?;
            match groups.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, group)) => group.push(value),
                None => groups.push((kind, vec![value])),
            }
        }
        let mut parts = Vec::new();
        for (kind, values) in groups {
            let operand = self.dialect.operand(tested.place, kind);
            parts.push(self.dialect.one_of(&operand, kind, &values));
        }
        Ok(if parts.is_empty() { "FALSE".to_owned() } else { format!("({})", parts.join(" OR ")) })
    }

    fn text(&mut self, tested: Tested<'_>) -> Result<String> {
        match tested.whole {
            None | Some(Kind::Text) => Ok(self.dialect.operand(tested.place, Kind::Text)),
            Some(_) => Err(Error::invalid("only text can be searched for a part of it")),
        }
    }

    /// What a subject is called, and the type of the column if it is one.
    fn place(&self, subject: Subject) -> Result<(String, Option<ColumnType>)> {
        match subject {
            Subject::Id => Ok(("t._ht_id".to_owned(), None)),
            Subject::CreatedAt => Ok(("t._ht_created_at".to_owned(), None)),
            Subject::UpdatedAt => Ok(("t._ht_updated_at".to_owned(), None)),
            Subject::Column(id) => {
                let known = self.columns.iter().find(|known| known.id == id);
                let known =
                    known.ok_or_else(|| Error::Missing(format!("the table has no column {id}")))?;
                Ok((known.sql.clone(), Some(known.kind)))
            }
        }
    }
}

/// What a test looks at, and what its values are compared as.
#[derive(Clone, Copy)]
struct Tested<'f> {
    place: Place<'f>,
    /// `None` inside JSON, where the other value decides.
    whole: Option<Kind>,
}

impl Tested<'_> {
    /// What this is compared as with that value.
    ///
    /// Fails with `Invalid` if they cannot be compared.
    fn kind(&self, value: &Value) -> Result<Kind> {
        let kind = match (self.whole, value) {
            (Some(kind), _) => kind,
            (None, Value::Bool(_)) => Kind::Boolean,
            (None, Value::Int(_) | Value::Number(_)) => Kind::Number,
            (None, _) => Kind::Text,
        };
        check_fits(kind, value)?;
        Ok(kind)
    }
}

fn whole_kind(column: Option<ColumnType>, path: &[PathStep]) -> Option<Kind> {
    if !path.is_empty() {
        return None;
    }
    Some(match column {
        None | Some(ColumnType::Relation) => Kind::Int,
        Some(ColumnType::Number | ColumnType::Currency) => Kind::Number,
        Some(ColumnType::Boolean) => Kind::Boolean,
        Some(ColumnType::Json | ColumnType::MultiSelect) => Kind::Json,
        Some(_) => Kind::Text,
    })
}

fn check_fits(kind: Kind, value: &Value) -> Result<()> {
    let fits = match (kind, value) {
        (Kind::Int | Kind::Number, Value::Int(_))
        | (Kind::Boolean, Value::Bool(_))
        | (Kind::Text, Value::Text(_)) => true,
        (Kind::Number, Value::Number(x)) => x.is_finite(),
        (Kind::Json, Value::Json(_)) => !value.is_null(),
        _ => false,
    };
    if fits {
        return Ok(());
    }
    let wanted = match kind {
        Kind::Int => "a whole number",
        Kind::Number => "a number",
        Kind::Boolean => "true or false",
        Kind::Text => "text",
        Kind::Json => "JSON",
    };
    Err(Error::invalid(format!(
        "{} is compared with what takes {wanted}; for empty cells ask whether they are null",
        kind_of(value)
    )))
}
