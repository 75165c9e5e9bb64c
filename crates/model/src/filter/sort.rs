//! From JSON to an order and back.

use serde_json::{Map, Value as Json};

use super::operator::Kind;
use super::show::key;
use super::target::target;
use super::{FilterError, Sort};
use crate::{ColumnType, Table, limits};

type Result<T> = std::result::Result<T, FilterError>;

impl Sort {
    /// Reads the order of a table's rows: `{"price": "desc", "name": "asc"}`, the first key first, or a list of such
    /// objects or of names, of which `-name` is descending. Nothing is the order of row ids.
    ///
    /// # Errors
    /// Says where it is wrong and what was probably meant. JSON and lists of options have no order.
    pub fn parse(table: &Table, json: &Json) -> Result<Vec<Self>> {
        let mut sort = Vec::new();
        match json {
            Json::Null => {}
            Json::Object(fields) => named(table, fields, "", &mut sort)?,
            Json::String(name) => add(table, name, "", &mut sort)?,
            Json::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let at = format!("[{index}]");
                    match item {
                        Json::Object(fields) => named(table, fields, &format!("{at}."), &mut sort)?,
                        Json::String(name) => add(table, name, &at, &mut sort)?,
                        _ => return Err(FilterError::new(&at, FORM)),
                    }
                }
            }
            _ => return Err(FilterError::new("", FORM)),
        }
        Ok(sort)
    }

    /// An order as [`Sort::parse`] reads it.
    #[must_use]
    pub fn to_json(table: &Table, sort: &[Self]) -> Json {
        let direction = |sort: &Self| if sort.descending { "desc" } else { "asc" };
        let fields =
            sort.iter().map(|sort| (key(table, sort.subject, &[]), direction(sort).into()));
        Json::Object(fields.collect())
    }
}

const FORM: &str =
    "an order is an object, as in {\"column\": \"desc\"}, or a list of names, as in [\"-column\"]";

fn named(
    table: &Table,
    fields: &Map<String, Json>,
    before: &str,
    sort: &mut Vec<Sort>,
) -> Result<()> {
    for (name, direction) in fields {
        let at = format!("{before}{name}");
        let descending = match direction.as_str().map(str::to_ascii_lowercase).as_deref() {
            Some("asc") => false,
            Some("desc") => true,
            _ => return Err(FilterError::new(&at, "the direction is \"asc\" or \"desc\"")),
        };
        push(table, name, descending, &at, sort)?;
    }
    Ok(())
}

/// A name, with its direction before it.
fn add(table: &Table, name: &str, at: &str, sort: &mut Vec<Sort>) -> Result<()> {
    match name.strip_prefix('-') {
        Some(name) => push(table, name, true, at, sort),
        None => push(table, name, false, at, sort),
    }
}

fn push(table: &Table, name: &str, descending: bool, at: &str, sort: &mut Vec<Sort>) -> Result<()> {
    let target = target(table, name, at)?;
    let problem = match target.kind {
        Kind::Inside | Kind::Column(ColumnType::Json | ColumnType::MultiSelect) => {
            "JSON and lists of options have no order; sort by another column".to_owned()
        }
        _ if sort.iter().any(|earlier| earlier.subject == target.subject) => {
            "is named twice".to_owned()
        }
        _ if sort.len() >= limits::SORT_KEYS_MAX => {
            format!("an order has at most {} keys", limits::SORT_KEYS_MAX)
        }
        _ => {
            sort.push(Sort { subject: target.subject, descending });
            return Ok(());
        }
    };
    Err(FilterError::new(at, problem))
}
