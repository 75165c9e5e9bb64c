//! What every backend refuses of columns, and what becomes of one that changes.

use std::collections::HashSet;

use paceline_model::{
    Column, ColumnChange, ColumnId, ColumnType, Error, NewColumn, SmartColumn, check_name, limits,
};
use serde_json::Value as Json;

use super::check_length;
use crate::error::{Fault, Result};

/// Refuses a table that would have more columns than a table may have.
pub(crate) fn check_column_count(count: usize, max: usize) -> Result<()> {
    if count > max {
        return Err(Error::invalid(format!(
            "a table has at most {max} columns, this one would have {count}"
        ))
        .into());
    }
    Ok(())
}

/// Refuses names that are no names, and one that comes twice.
pub(crate) fn check_distinct(columns: &[NewColumn]) -> Result<()> {
    let mut names = HashSet::with_capacity(columns.len());
    for column in columns {
        check_name("column", &column.name)?;
        if !names.insert(column.name.as_str()) {
            return Err(column_exists(&column.name));
        }
    }
    Ok(())
}

pub(crate) fn check_title(title: Option<&str>) -> Result<()> {
    check_length("title", title.map_or(0, str::len), limits::VALUE_BYTES_MAX)
}

/// Refuses to delete the only column of a table; `count` is how many it has.
pub(crate) fn check_not_last(column: &Column, count: usize) -> Result<()> {
    if count <= 1 {
        return Err(Error::Conflict(format!(
            "{:?} is the last column of its table; add another one first, or delete the table",
            column.name
        ))
        .into());
    }
    Ok(())
}

/// A column with another config and rate limit, one version on.
pub(crate) fn with_config(mut column: Column, config: &Json, rate_limit: &Json) -> Result<Column> {
    let Some(smart) = column.smart.as_mut() else {
        return Err(Error::invalid(format!(
            "column {:?} is not a smart column; add a smart column instead",
            column.name
        ))
        .into());
    };
    *smart = SmartColumn {
        kind: smart.kind,
        config: config.clone(),
        rate_limit: rate_limit.clone(),
        version: smart.version + 1,
    };
    Ok(column)
}

/// A column as a change leaves it; `all` are the columns of its table.
pub(crate) fn with_change(
    column: &Column,
    change: &ColumnChange,
    all: &[Column],
) -> Result<Column> {
    let mut changed = column.clone();
    if let Some(name) = &change.name {
        check_name("column", name)?;
        if all.iter().any(|other| other.id != column.id && other.name == *name) {
            return Err(column_exists(name));
        }
        changed.name.clone_from(name);
    }
    if let Some(title) = &change.title {
        check_title(title.as_deref())?;
        changed.title.clone_from(title);
    }
    if let Some(options) = &change.options {
        changed.options.clone_from(options);
    }
    Ok(changed)
}

/// Options that are not there any more.
pub(crate) fn gone<'o>(before: &'o [String], after: &[String]) -> Vec<&'o str> {
    let after: HashSet<&String> = after.iter().collect();
    before.iter().filter(|option| !after.contains(option)).map(String::as_str).collect()
}

pub(crate) fn option_held(column: &str, option: &str) -> Fault {
    Error::Conflict(format!(
        "a row has {option:?} in column {column:?}; give it another value first, or keep the option"
    ))
    .into()
}

/// Options as they are kept; none for a column that has none.
pub(crate) fn options_text(kind: ColumnType, options: &[String]) -> Result<Option<String>> {
    check_options(kind, options)?;
    Ok((!options.is_empty()).then(|| Json::from(options).to_string()))
}

/// The options of a changed column as they are kept. Those of a column that was made before there were options, none, are
/// refused only if they are asked for.
pub(crate) fn changed_options(change: &ColumnChange, changed: &Column) -> Result<Option<String>> {
    if change.options.is_none() && changed.options.is_empty() {
        return Ok(None);
    }
    options_text(changed.kind, &changed.options)
}

/// Kept options.
pub(crate) fn parse_options(text: Option<String>) -> Result<Vec<String>> {
    let Some(text) = text else { return Ok(Vec::new()) };
    serde_json::from_str(&text)
        .map_err(|_| Error::Corrupt("stored options are no list of texts".into()).into())
}

fn check_options(kind: ColumnType, options: &[String]) -> Result<()> {
    let chosen = matches!(kind, ColumnType::Select | ColumnType::MultiSelect);
    if chosen == options.is_empty() {
        let problem = if chosen { "needs options to choose from" } else { "has no options" };
        return Err(Error::invalid(format!("a column of type {kind} {problem}")).into());
    }
    if options.len() > limits::OPTIONS_MAX {
        return Err(Error::invalid(format!(
            "{} options; a column has at most {}",
            options.len(),
            limits::OPTIONS_MAX
        ))
        .into());
    }
    let mut known = HashSet::with_capacity(options.len());
    for option in options {
        check_length("option", option.len(), limits::OPTION_BYTES_MAX)?;
        if option.is_empty() || option.contains('\0') {
            return Err(Error::invalid(format!("{option:?} cannot be an option")).into());
        }
        if !known.insert(option) {
            return Err(Error::invalid(format!("the option {option:?} comes twice")).into());
        }
    }
    Ok(())
}

pub(crate) fn column_exists(name: &str) -> Fault {
    Error::Exists(format!("the table has a column named {name:?} already; choose another name"))
        .into()
}

pub(crate) fn missing_column(column: ColumnId) -> Fault {
    Error::Missing(format!("there is no column {column}")).into()
}
