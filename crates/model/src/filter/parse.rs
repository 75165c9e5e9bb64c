//! From JSON to a filter: `{"city": "Bern", "price": {"gte": 5, "lt": 10}, "or": [{...}, {...}]}`. Several tests of one
//! object must all pass. A key that is `or` or `and` is a group if a list stands under it, else a column of that name.

use serde_json::{Map, Value as Json};

use super::operator::{Kind, Name};
use super::target::{Target, target};
use super::value::{between, flag, ordered, states, text, value};
use super::{Filter, FilterError, Operator, Test};
use crate::{ColumnType, Table, Value, limits, suggest};

type Result<T> = std::result::Result<T, FilterError>;

impl Filter {
    /// Reads a filter of a table's rows.
    ///
    /// # Errors
    /// Says where it is wrong, what stands there instead, and what was probably meant. Refused are columns that are not
    /// there, operators that the type does not take, values of another type, and more than
    /// [`limits::FILTER_TESTS_MAX`] tests or [`limits::FILTER_VALUES_MAX`] values.
    ///
    /// ```
    /// use paceline_model::{Column, ColumnId, ColumnType, Filter, Table, TableId};
    /// use serde_json::json;
    ///
    /// let price = Column {
    ///     id: ColumnId(1), table: TableId(1), name: "price".into(), title: None,
    ///     kind: ColumnType::Number, options: vec![], smart: None,
    /// };
    /// let table = Table {
    ///     id: TableId(1), name: "shop".into(), description: String::new(), columns: vec![price],
    ///     created_at: Default::default(),
    /// };
    /// let filter = Filter::parse(&table, &json!({"price": {"gte": 5, "lt": 10}})).unwrap();
    /// assert_eq!(filter.to_json(&table), json!({"price": {"gte": 5, "lt": 10}}));
    ///
    /// let error = Filter::parse(&table, &json!({"or": [{"prize": 5}, {"price": 7}]})).unwrap_err();
    /// assert_eq!((error.field.as_str(), error.did_you_mean.as_deref()), ("or[0].prize", Some("price")));
    /// ```
    pub fn parse(table: &Table, json: &Json) -> Result<Self> {
        Parser { table, tests: 0, values: 0 }.filter(json, "", 0)
    }
}

struct Parser<'t> {
    table: &'t Table,
    /// Tests and groups so far.
    tests: usize,
    /// Values in lists so far.
    values: usize,
}

impl Parser<'_> {
    fn filter(&mut self, json: &Json, at: &str, depth: usize) -> Result<Filter> {
        if depth > limits::FILTER_DEPTH_MAX {
            let problem = format!("groups are nested deeper than {}", limits::FILTER_DEPTH_MAX);
            return Err(FilterError::new(at, problem));
        }
        let Json::Object(fields) = json else {
            let problem = "a filter is an object, as in {\"column\": {\"eq\": \"value\"}}";
            return Err(FilterError::new(at, problem));
        };
        let mut all = Vec::with_capacity(fields.len());
        for (key, value) in fields {
            let at = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
            match (key.as_str(), value) {
                ("or", Json::Array(items)) => {
                    all.push(self.group(items, &at, depth, Filter::Any)?);
                }
                ("and", Json::Array(items)) => {
                    all.push(self.group(items, &at, depth, Filter::All)?);
                }
                _ => self.column(key, value, &at, &mut all)?,
            }
        }
        Ok(alone(all).unwrap_or_else(Filter::All))
    }

    fn group(
        &mut self,
        items: &[Json],
        at: &str,
        depth: usize,
        make: fn(Vec<Filter>) -> Filter,
    ) -> Result<Filter> {
        self.count_test(at)?;
        if items.is_empty() {
            return Err(FilterError::new(
                at,
                "holds no filter; name at least one, or leave it out",
            ));
        }
        let mut filters = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            filters.push(self.filter(item, &format!("{at}[{index}]"), depth + 1)?);
        }
        Ok(alone(filters).unwrap_or_else(make))
    }

    /// The tests of one column.
    fn column(&mut self, key: &str, value: &Json, at: &str, all: &mut Vec<Filter>) -> Result<()> {
        if matches!(key, "or" | "and") && self.table.column(key).is_none() {
            let problem =
                format!("takes a list of filters, as in {{\"{key}\": [{{...}}, {{...}}]}}");
            return Err(FilterError::new(at, problem));
        }
        let target = target(self.table, key, at)?;
        let Json::Object(operators) = value else {
            return self.test(&target, Name::Eq, value, at, all);
        };
        if operators.is_empty() {
            let problem = format!("names no operator; it takes {}", target.kind.operators());
            return Err(FilterError::new(at, problem));
        }
        for (name, value) in operators {
            let at = format!("{at}.{name}");
            let operator =
                Name::parse(name).ok_or_else(|| unknown(name, &target, operators, &at))?;
            self.test(&target, operator, value, &at, all)?;
        }
        Ok(())
    }

    fn test(
        &mut self,
        target: &Target<'_>,
        name: Name,
        value: &Json,
        at: &str,
        all: &mut Vec<Filter>,
    ) -> Result<()> {
        self.count_test(at)?;
        if name == Name::State {
            all.push(states(target, value, at)?);
            return Ok(());
        }
        if !target.kind.takes(name) {
            let problem = format!(
                "{} does not take this operator; it takes {}{}",
                describe(target.kind),
                target.kind.operators(),
                inside_advice(target.kind),
            );
            return Err(FilterError::new(at, problem));
        }
        let operator = self.operator(target.kind, name, value, at)?;
        all.push(Filter::Test(Test {
            subject: target.subject,
            path: target.path.clone(),
            operator,
        }));
        Ok(())
    }

    fn operator(&mut self, kind: Kind, name: Name, json: &Json, at: &str) -> Result<Operator> {
        Ok(match name {
            // Nothing equals an empty cell, so who writes this means what is_null says.
            Name::Eq if json.is_null() => Operator::IsNull(true),
            Name::Neq if json.is_null() => Operator::IsNull(false),
            Name::Eq => Operator::Eq(value(kind, json, at)?),
            Name::Neq => Operator::Neq(value(kind, json, at)?),
            Name::Gt => Operator::Gt(ordered(kind, json, at)?),
            Name::Gte => Operator::Gte(ordered(kind, json, at)?),
            Name::Lt => Operator::Lt(ordered(kind, json, at)?),
            Name::Lte => Operator::Lte(ordered(kind, json, at)?),
            Name::Contains => Operator::Contains(text(json, at)?),
            Name::StartsWith => Operator::StartsWith(text(json, at)?),
            Name::In => Operator::In(self.list(kind, json, at)?),
            Name::Between => between(kind, json, at)?,
            Name::IsNull => Operator::IsNull(flag(json, at)?),
            Name::IsNotNull | Name::State => Operator::IsNull(!flag(json, at)?),
        })
    }

    fn list(&mut self, kind: Kind, json: &Json, at: &str) -> Result<Vec<Value>> {
        let Json::Array(items) = json else {
            return Err(FilterError::new(at, "takes a list of values"));
        };
        self.values += items.len();
        if self.values > limits::FILTER_VALUES_MAX {
            let max = limits::FILTER_VALUES_MAX;
            let problem =
                format!("more than {max} values in the lists of one filter; ask in parts");
            return Err(FilterError::new(at, problem));
        }
        let numbered = items.iter().enumerate();
        numbered.map(|(index, item)| value(kind, item, &format!("{at}[{index}]"))).collect()
    }

    fn count_test(&mut self, at: &str) -> Result<()> {
        self.tests += 1;
        if self.tests > limits::FILTER_TESTS_MAX {
            let problem = format!(
                "more than {} tests in one filter; ask in parts, or use `in`",
                limits::FILTER_TESTS_MAX
            );
            return Err(FilterError::new(at, problem));
        }
        Ok(())
    }
}

/// The only one, or all of them.
fn alone(mut filters: Vec<Filter>) -> std::result::Result<Filter, Vec<Filter>> {
    match filters.pop() {
        Some(only) if filters.is_empty() => Ok(only),
        last => {
            filters.extend(last);
            Err(filters)
        }
    }
}

fn unknown(
    name: &str,
    target: &Target<'_>,
    operators: &Map<String, Json>,
    at: &str,
) -> FilterError {
    let mut problem =
        format!("there is no operator {name:?}; it takes {}", target.kind.operators());
    if target.column.is_some_and(|column| column.smart.is_some()) {
        problem.push_str(", state");
    }
    if matches!(target.kind, Kind::Column(ColumnType::Json)) {
        let inside = operators.keys().next().map_or("key", String::as_str);
        problem.extend(["; to look inside, name the path: \"column.", inside, "\""]);
    }
    FilterError::new(at, problem).meant(suggest(name, Name::names()))
}

fn describe(kind: Kind) -> String {
    match kind {
        Kind::Id => "the row's id".into(),
        Kind::Moment => "a moment".into(),
        Kind::Column(kind) => format!("a column of type {kind}"),
        Kind::Inside => "a value inside JSON".into(),
    }
}

fn inside_advice(kind: Kind) -> &'static str {
    match kind {
        Kind::Column(ColumnType::Json) => "; a path inside it takes all: \"column.path[0].x\"",
        _ => "",
    }
}
