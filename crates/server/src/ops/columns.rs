//! Columns: add, change, delete; and how one is shown.

use paceline_model::{Column, ColumnChange, ColumnType, NewColumn, Table, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::rows::unconfirmed;
use super::{SYSTEM_PREFIX, check_new_name, column, schema_hint, table};
use crate::App;
use crate::envelope::{Hint, Outcome};
use crate::error::{ApiError, Code, Result};

#[derive(Debug, Deserialize)]
pub(crate) struct AddColumn {
    table: String,
    #[serde(flatten)]
    column: PlainColumn,
}

/// A column that holds data, as a caller describes it.
#[derive(Debug, Deserialize)]
pub(super) struct PlainColumn {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: ColumnType,
    pub(super) title: Option<String>,
    #[serde(default)]
    pub(super) config: Map<String, Json>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct UpdateColumn {
    table: String,
    column: String,
    name: Option<String>,
    title: Option<String>,
    config: Option<Map<String, Json>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct DeleteColumn {
    table: String,
    column: String,
    #[serde(default)]
    confirm: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ColumnView {
    id: i64,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(rename = "type")]
    kind: ColumnType,
    /// Of the types select and multi_select.
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<ConfigView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    smart: Option<SmartView>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ConfigView {
    options: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct SmartView {
    kind: &'static str,
    config: Json,
    rate_limit: Json,
    version: i64,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ColumnDeleted {
    /// The name it had.
    deleted: String,
}

impl ColumnView {
    /// A column with its secrets masked.
    pub(super) fn of(app: &App, column: &Column) -> Self {
        let smart = column.smart.as_ref().map(|smart| SmartView {
            kind: smart.kind.as_str(),
            config: app.engine.masked_config(smart),
            rate_limit: smart.rate_limit.clone(),
            version: smart.version,
        });
        let options = takes_options(column.kind) && !column.options.is_empty();
        Self {
            id: column.id.0,
            name: column.name.clone(),
            title: column.title.clone(),
            kind: column.kind,
            config: options.then(|| ConfigView { options: column.options.clone() }),
            smart,
        }
    }
}

pub(crate) async fn add(app: App, input: AddColumn) -> Result<Outcome<ColumnView>> {
    let table = table(&app, &input.table).await?;
    check_label(&table, None, "name", Some(&input.column.name))?;
    check_label(&table, None, "title", input.column.title.as_deref())?;
    let new = input.column.checked("")?;
    let column = app.engine.store().add_column(table.id, new).await?;
    let hint = schema_hint(&table);
    Ok(Outcome::new(ColumnView::of(&app, &column)).meta("table", table.name).hint(hint))
}

pub(crate) async fn update(app: App, input: UpdateColumn) -> Result<Outcome<ColumnView>> {
    let table = table(&app, &input.table).await?;
    let column = own_column(&table, &input.column)?;
    let title = input.title.map(|title| (!title.is_empty()).then_some(title));
    check_label(&table, Some(column), "name", input.name.as_deref())?;
    check_label(&table, Some(column), "title", title.as_ref().and_then(Option::as_deref))?;
    let options = match input.config {
        None => None,
        Some(mut config) => {
            let options = take_options("config.options", column.kind, &mut config)?;
            no_more("config", &config)?;
            Some(options)
        }
    };
    let change = ColumnChange { name: input.name, title, options, references: Vec::new() };
    if change == ColumnChange::default() {
        let problem = "give name, title or config; there is nothing to change";
        return Err(ApiError::field("name", problem));
    }
    let updated = app.engine.update_column(table.id, column.id, change).await?;
    let hint = schema_hint(&table);
    Ok(Outcome::new(ColumnView::of(&app, &updated)).meta("table", table.name).hint(hint))
}

pub(crate) async fn delete(app: App, input: DeleteColumn) -> Result<Outcome<ColumnDeleted>> {
    let table = table(&app, &input.table).await?;
    let column = own_column(&table, &input.column)?;
    let users = app.engine.users_of(&table, column.id)?;
    if !users.is_empty() {
        let names: Vec<&str> = users.iter().map(|user| user.name.as_str()).collect();
        let (used, by) = (&column.name, names.join(", "));
        let message = format!("column {used:?} is used by the smart columns {by}");
        let fix = "change or delete these smart columns first; nothing was changed";
        return Err(ApiError::new(Code::Conflict, message).fix(fix).hint(schema_hint(&table)));
    }
    if !input.confirm {
        let rows = app.engine.store().count_rows(table.id, None).await?;
        let what = format!(
            "this deletes column {:?} and its values in {rows} rows, for good",
            column.name
        );
        let again = Hint::new("delete_column", "delete it for good")
            .with("table", table.name.as_str())
            .with("column", column.name.as_str())
            .with("confirm", true);
        return Err(unconfirmed(what, again));
    }
    app.engine.delete_column(table.id, column.id).await?;
    let hint = schema_hint(&table);
    let data = ColumnDeleted { deleted: column.name.clone() };
    Ok(Outcome::new(data).meta("table", table.name.as_str()).hint(hint))
}

/// A column that may be changed: the system's may not.
fn own_column<'t>(table: &'t Table, name: &str) -> Result<&'t Column> {
    if name.starts_with(SYSTEM_PREFIX) {
        let message =
            format!("{name:?} is a system column; it cannot be renamed, changed or deleted");
        return Err(ApiError::new(Code::SystemColumnImmutable, message).hint(schema_hint(table)));
    }
    column(table, name)
}

impl PlainColumn {
    /// The column, its options checked. `at` is where it stands in the request.
    pub(super) fn checked(mut self, at: &str) -> Result<NewColumn> {
        check_new_name("column", &format!("{at}name"), &self.name)?;
        let options = take_options(&format!("{at}config.options"), self.kind, &mut self.config)?;
        no_more(&format!("{at}config"), &self.config)?;
        Ok(NewColumn { name: self.name, title: self.title, kind: self.kind, options, smart: None })
    }
}

pub(super) fn takes_options(kind: ColumnType) -> bool {
    matches!(kind, ColumnType::Select | ColumnType::MultiSelect)
}

/// The options out of a config: required of the types that choose from them, not taken by the others.
pub(super) fn take_options(
    field: &str,
    kind: ColumnType,
    config: &mut Map<String, Json>,
) -> Result<Vec<String>> {
    let wrong = |problem: String| Err(ApiError::field(field, problem));
    let given = match (config.shift_remove("options"), takes_options(kind)) {
        (None, false) => return Ok(Vec::new()),
        (Some(_), false) => {
            return wrong(format!("belongs to select and multi_select columns, not to {kind}"));
        }
        (None, true) => {
            return wrong(format!(
                "is required of a {kind} column, as in {{\"options\": [\"lead\", \"customer\"]}}"
            ));
        }
        (Some(given), true) => given,
    };
    let most = limits::OPTIONS_MAX;
    let Some(items) = given.as_array().filter(|items| (1..=most).contains(&items.len())) else {
        return wrong(format!("is not a list of 1 to {most} texts"));
    };
    let mut options: Vec<String> = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let bytes_max = limits::OPTION_BYTES_MAX;
        match item.as_str() {
            Some(text) if text.is_empty() || text.len() > bytes_max => {
                return wrong(format!("item {index} is not a text of 1 to {bytes_max} bytes"));
            }
            Some(text) if options.iter().any(|known| known == text) => {
                return wrong(format!("{text:?} stands there twice"));
            }
            Some(text) => options.push(text.to_owned()),
            None => return wrong(format!("item {index} is not text")),
        }
    }
    Ok(options)
}

/// That nothing unknown is left in a config.
fn no_more(field: &str, config: &Map<String, Json>) -> Result<()> {
    let Some(name) = config.keys().next() else { return Ok(()) };
    let shown: String = name.chars().take(limits::NAME_BYTES_MAX).collect();
    let problem = "there is no such field; a column that holds data takes options, a smart one also needs kind";
    Err(ApiError::field(format!("{field}.{shown}"), problem))
}

/// That a name or title means no other column as well: templates and rows may use either.
pub(super) fn check_label(
    table: &Table,
    own: Option<&Column>,
    field: &str,
    label: Option<&str>,
) -> Result<()> {
    let Some(label) = label else { return Ok(()) };
    if field == "name" {
        check_new_name("column", "name", label)?;
    }
    let others = table.columns.iter().filter(|other| own.is_none_or(|own| own.id != other.id));
    for other in others {
        if other.name == label || other.title.as_deref() == Some(label) {
            let message = format!("{field}: table {:?} has a column {label:?} already", table.name);
            return Err(ApiError::new(Code::ColumnAlreadyExists, message).hint(schema_hint(table)));
        }
    }
    Ok(())
}
