//! Which column of a table a column of a file goes to.

use std::collections::HashMap;

use paceline_model::{
    Column, ColumnId, ColumnType, Nearest, NewColumn, Table, check_name, limits, nearest, suggest,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::App;
use crate::error::{ApiError, Code, Result};

/// Names that an answer lists at the most, and bytes of each.
const TOLD_MAX: usize = 100;
const TOLD_BYTES_MAX: usize = 128;

/// What a caller says about it.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// From the names of the file to those of the table; null leaves a column out.
    pub(crate) mapping: Map<String, Json>,
    /// Whether columns that the table does not have are added, as text.
    pub(crate) create_columns: bool,
}

/// What became of the columns of a file.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Told {
    /// Columns of the file that go to one of another name: by its title, without capitals and signs, or within two edits.
    pub(crate) corrected: Vec<Corrected>,
    /// Columns of the file that are not imported, the first hundred of them.
    pub(crate) unmapped: Vec<String>,
    /// How many those are.
    pub(crate) unmapped_count: usize,
    /// Columns that were added to the table.
    pub(crate) created: Vec<String>,
    /// Smart columns that get values from the file: such a cell is locked, and no run touches it.
    #[serde(default)]
    pub(crate) locked: Vec<String>,
}

/// A column of the file under another name in the table.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Corrected {
    /// Its name in the file.
    pub(crate) given: String,
    /// The column of the table.
    pub(crate) column: String,
}

/// For each column of a file the one of the table.
#[derive(Debug, Default)]
pub(crate) struct Mapping {
    pub(crate) columns: Vec<Option<ColumnId>>,
    pub(crate) told: Told,
}

/// Finds the column for each name of a file: the one that the caller names, else by name, by title, by its name without
/// capitals and signs, and within two edits where there is no doubt and the column is not smart: what is written there is
/// locked. A column is taken once. What is left can be added.
///
/// # Errors
/// The caller names a column that is not there, or twice; or no name of the file fits.
pub(crate) async fn map(
    app: &App,
    table: &Table,
    names: &[String],
    asked: &Asked,
) -> Result<Mapping> {
    let mut finder = Finder { table, found: vec![None; names.len()], names };
    let left_out = finder.given(asked)?;
    let open = |at: &usize, finder: &Finder<'_>| finder.found[*at].is_none() && !left_out[*at];
    let tests: [fn(&Column, &str) -> bool; 3] = [
        |column, name| column.name == name,
        |column, name| column.title.as_deref() == Some(name),
        |column, name| {
            let plain = plain(name);
            !plain.is_empty()
                && (column.name == plain
                    || column.title.as_deref().is_some_and(|title| self::plain(title) == plain))
        },
    ];
    for test in tests {
        for (at, name) in names.iter().enumerate() {
            if open(&at, &finder) {
                finder.found[at] = finder.first(|column| test(column, name));
            }
        }
    }
    for (at, name) in names.iter().enumerate() {
        if open(&at, &finder) {
            finder.found[at] = finder.near(name);
        }
    }
    let mut created = HashMap::new();
    if asked.create_columns {
        let missing: Vec<usize> = (0..names.len()).filter(|at| open(at, &finder)).collect();
        for column in create(app, table, names, &missing).await? {
            created.insert(column.0, column.1);
        }
    }
    let mapping = finder.mapping(&created);
    if mapping.columns.iter().all(Option::is_none) {
        let message = format!("no column of the file is one of table {:?}", table.name);
        return Err(ApiError::new(Code::ColumnNotFound, message)
            .fix("say with `mapping` which goes where, or have them added with `create_columns`")
            .hint(crate::ops::schema_hint(table)));
    }
    Ok(mapping)
}

struct Finder<'t> {
    table: &'t Table,
    names: &'t [String],
    found: Vec<Option<&'t Column>>,
}

impl<'t> Finder<'t> {
    /// Takes the columns that the caller names; answers which of the file's are to be left out.
    fn given(&mut self, asked: &Asked) -> Result<Vec<bool>> {
        let mut left_out = vec![false; self.names.len()];
        for (name, target) in &asked.mapping {
            let field = format!("mapping.{}", told(name));
            let Some(at) = self.names.iter().position(|known| known == name) else {
                let meant = suggest(name, self.names.iter().map(String::as_str));
                let problem = "there is no such column in the file";
                return Err(ApiError::field(field, problem).meant(meant));
            };
            match target {
                Json::Null => left_out[at] = true,
                Json::String(target) => self.found[at] = Some(self.named(&field, target)?),
                _ => return Err(ApiError::field(field, "is not the name of a column, nor null")),
            }
        }
        Ok(left_out)
    }

    fn named(&self, field: &str, name: &str) -> Result<&'t Column> {
        let column = crate::ops::column(self.table, name)?;
        if self.taken(column) {
            return Err(ApiError::field(field, "is the column of another one of the file, too"));
        }
        Ok(column)
    }

    fn taken(&self, column: &Column) -> bool {
        self.found.iter().flatten().any(|taken| taken.id == column.id)
    }

    /// The columns that are still to be had.
    fn free(&self) -> impl Iterator<Item = &'t Column> {
        self.table.columns.iter().filter(|column| !self.taken(column))
    }

    fn first(&self, test: impl Fn(&Column) -> bool) -> Option<&'t Column> {
        self.free().find(|column| test(column))
    }

    fn near(&self, name: &str) -> Option<&'t Column> {
        let static_ones = self.free().filter(|column| column.smart.is_none());
        match nearest(&plain(name), static_ones.map(|column| column.name.as_str())) {
            Nearest::One(name) => self.first(|column| column.name == name),
            Nearest::Tie(_) | Nearest::None => None,
        }
    }

    fn mapping(&self, created: &HashMap<usize, Column>) -> Mapping {
        let mut mapping = Mapping::default();
        for (at, name) in self.names.iter().enumerate() {
            let column = self.found[at].or(created.get(&at));
            mapping.columns.push(column.map(|column| column.id));
            let told_to = &mut mapping.told;
            let smart = column.filter(|column| column.smart.is_some());
            told_to.locked.extend(smart.map(|column| column.name.clone()));
            match (column, created.contains_key(&at)) {
                (Some(column), true) => told_to.created.push(column.name.clone()),
                (Some(column), false)
                    if column.name != *name && told_to.corrected.len() < TOLD_MAX =>
                {
                    let corrected = Corrected { given: told(name), column: column.name.clone() };
                    told_to.corrected.push(corrected);
                }
                (Some(_), false) => {}
                (None, _) => {
                    told_to.unmapped_count += 1;
                    if told_to.unmapped.len() < TOLD_MAX {
                        told_to.unmapped.push(told(name));
                    }
                }
            }
        }
        mapping.told.created.truncate(TOLD_MAX);
        mapping.told.locked.truncate(TOLD_MAX);
        mapping
    }
}

/// Adds a column of text for each of these names of the file.
async fn create(
    app: &App,
    table: &Table,
    names: &[String],
    missing: &[usize],
) -> Result<Vec<(usize, Column)>> {
    let count = table.columns.len() + missing.len();
    if count > limits::TABLE_COLUMNS_MAX {
        let message = format!(
            "{count} columns with those to be added; at most {}",
            limits::TABLE_COLUMNS_MAX
        );
        return Err(ApiError::field("create_columns", message));
    }
    let mut taken: Vec<String> = table.columns.iter().map(|column| column.name.clone()).collect();
    let mut made = Vec::new();
    for &at in missing {
        let name = new_name(&names[at], &taken);
        let title = (name != names[at]).then(|| {
            let end = names[at].floor_char_boundary(crate::app::LABEL_BYTES_MAX);
            names[at][..end].to_owned()
        });
        taken.push(name.clone());
        let column =
            NewColumn { name, title, kind: ColumnType::Text, options: Vec::new(), smart: None };
        made.push((at, app.engine.store().add_column(table.id, column).await?));
    }
    Ok(made)
}

/// A legal name for a column that is called anything.
fn new_name(given: &str, taken: &[String]) -> String {
    let mut base = plain(given);
    if check_name("column", &base).is_err() {
        base.insert_str(0, "column_");
    }
    base.truncate(limits::NAME_BYTES_MAX - 5);
    let base = base.trim_end_matches('_');
    let free = |name: &String| !taken.contains(name);
    let numbered = (2..).map(|number| format!("{base}_{number}"));
    // One of the first `taken.len() + 1` is free.
    std::iter::once(base.to_owned()).chain(numbered).find(free).unwrap_or_default()
}

/// A name in the letters of the table's names: `E-Mail (work)` is `e_mail_work`.
fn plain(name: &str) -> String {
    let mut plain = String::new();
    for char in name.chars().flat_map(char::to_lowercase) {
        if char.is_ascii_alphanumeric() {
            plain.push(char);
        } else if !plain.is_empty() && !plain.ends_with('_') {
            plain.push('_');
        }
    }
    plain.truncate(plain.trim_end_matches('_').len());
    plain
}

/// A name as it is told back.
fn told(name: &str) -> String {
    name[..name.floor_char_boundary(TOLD_BYTES_MAX)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_becomes_a_legal_one() {
        let taken = vec!["city".to_owned()];
        let cases = [
            ("E-Mail (work)", "e_mail_work"),
            ("City", "city_2"),
            ("2024", "column_2024"),
            ("städte", "st_dte"),
            ("日本", "column"),
            ("pg_x", "column_pg_x"),
            ("_ht_id", "ht_id"),
        ];
        for (given, wanted) in cases {
            let name = new_name(given, &taken);
            assert_eq!(name, wanted);
            assert!(check_name("column", &name).is_ok());
        }
        let long = new_name(&"x".repeat(200), &taken);
        assert!(check_name("column", &long).is_ok());
    }
}
