//! Tables: list, make, show, rename, delete and bring back.

use std::collections::HashSet;

use paceline_engine::ColumnSpec;
use paceline_model::{ColumnType, DeletedTable, SmartKind, Table, TableChange};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::columns::{ColumnView, PlainColumn};
use super::rows::unconfirmed;
use super::{check_new_name, iso, smart, table};
use crate::App;
use crate::envelope::{Hint, Outcome};
use crate::error::{ApiError, Code, Result};

/// How long a deleted table can be restored. (hypertab.md a4)
const RESTORABLE_DAYS: i64 = 30;

/// Nothing is asked.
#[derive(Debug, Deserialize)]
pub(crate) struct Nothing {}

#[derive(Debug, Deserialize)]
pub(crate) struct CreateTable {
    name: String,
    #[serde(default)]
    description: String,
    columns: Vec<CreateColumn>,
}

#[derive(Debug, Deserialize)]
struct CreateColumn {
    name: String,
    #[serde(rename = "type")]
    kind: ColumnType,
    title: Option<String>,
    #[serde(default)]
    config: Map<String, Json>,
    #[serde(rename = "kind")]
    smart: Option<SmartKind>,
    rate_limit: Option<Json>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct GetTable {
    table: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct UpdateTable {
    table: String,
    name: Option<String>,
    description: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct DeleteTable {
    table: String,
    #[serde(default)]
    confirm: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RestoreTable {
    table: String,
    name: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TableLine {
    id: i64,
    name: String,
    description: String,
    rows: u64,
    columns: usize,
    created_at: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TableView {
    id: i64,
    name: String,
    description: String,
    columns: Vec<ColumnView>,
    created_at: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DeletedView {
    id: i64,
    name: String,
    deleted_at: Option<String>,
    /// Until when it can be restored.
    kept_until: Option<String>,
}

impl TableView {
    fn of(app: &App, table: Table) -> Self {
        let columns = table.columns.iter().map(|column| ColumnView::of(app, column)).collect();
        Self {
            id: table.id.0,
            created_at: iso(table.created_at),
            name: table.name,
            description: table.description,
            columns,
        }
    }
}

impl DeletedView {
    fn of(deleted: DeletedTable) -> Self {
        let kept = std::time::Duration::from_secs(RESTORABLE_DAYS.unsigned_abs() * 24 * 3600);
        Self {
            id: deleted.id.0,
            name: deleted.name,
            deleted_at: iso(deleted.deleted_at),
            kept_until: iso(deleted.deleted_at + kept),
        }
    }
}

pub(crate) async fn list(app: App, Nothing {}: Nothing) -> Result<Outcome<Vec<TableLine>>> {
    let store = app.engine.store();
    let mut lines = Vec::new();
    for table in store.tables().await? {
        lines.push(TableLine {
            id: table.id.0,
            rows: store.count_rows(table.id, None).await?,
            columns: table.columns.len(),
            created_at: iso(table.created_at),
            name: table.name,
            description: table.description,
        });
    }
    Ok(Outcome::new(lines))
}

pub(crate) async fn create(app: App, input: CreateTable) -> Result<Outcome<TableView>> {
    check_new_name("table", "name", &input.name)?;
    let columns = new_columns(input.columns)?;
    let made = app.engine.create_table(input.name.clone(), input.description, columns).await;
    let table = made.map_err(|error| taken(error.into(), input.name))?;
    // An example that can be sent as it is: one row with nothing in it.
    let plain = table.columns.iter().filter(|column| column.smart.is_none());
    let row: Map<String, Json> =
        plain.take(5).map(|column| (column.name.clone(), Json::Null)).collect();
    let hint = Hint::new("insert_rows", "fill it with rows")
        .with("table", table.name.as_str())
        .with("rows", vec![Json::Object(row)]);
    let name = table.name.clone();
    Ok(Outcome::new(TableView::of(&app, table)).meta("table", name).hint(hint))
}

/// The error where a table of that name is there already.
fn taken(error: ApiError, name: String) -> ApiError {
    let is_taken = error.0.code == Code::Conflict;
    let error = error.recode(Code::Conflict, Code::TableAlreadyExists);
    if !is_taken {
        return error;
    }
    error.hint(Hint::new("get_table_schema", "see the table of that name").with("table", name))
}

fn new_columns(given: Vec<CreateColumn>) -> Result<Vec<ColumnSpec>> {
    if given.is_empty() {
        return Err(ApiError::field("columns", "a table has at least one column"));
    }
    check_labels(&given)?;
    let checked = given.into_iter().enumerate().map(|(index, column)| {
        let at = format!("columns[{index}].");
        let CreateColumn { name, kind, title, config, smart, rate_limit } = column;
        let Some(smart) = smart else {
            if rate_limit.is_some() {
                let problem = "belongs to a smart column; give kind as well, or leave it out";
                return Err(ApiError::field(format!("{at}rate_limit"), problem));
            }
            let plain = PlainColumn { name, kind, title, config };
            return plain.checked(&at).map(ColumnSpec::Plain);
        };
        let spec = smart::spec(name, title, kind, smart, Json::Object(config), rate_limit);
        spec.map(ColumnSpec::Smart).map_err(|error| error.under(&at))
    });
    checked.collect()
}

/// Each name in order, and no label for two columns: templates and rows may use either name or title.
fn check_labels(given: &[CreateColumn]) -> Result<()> {
    let mut labels = HashSet::new();
    for (index, column) in given.iter().enumerate() {
        check_new_name("column", &format!("columns[{index}].name"), &column.name)?;
        let title = column.title.as_deref().filter(|title| *title != column.name);
        let own = std::iter::once(("name", column.name.as_str()));
        for (field, label) in own.chain(title.map(|title| ("title", title))) {
            if !labels.insert(label) {
                let message = format!(
                    "columns[{index}].{field}: {label:?} is the {field} of an earlier column too"
                );
                return Err(ApiError::new(Code::DuplicateColumn, message));
            }
        }
    }
    Ok(())
}

pub(crate) async fn schema(app: App, input: GetTable) -> Result<Outcome<TableView>> {
    let table = table(&app, &input.table).await?;
    let name = table.name.clone();
    let hint = Hint::new("query_rows", "look at its rows").with("table", name.as_str());
    Ok(Outcome::new(TableView::of(&app, table)).meta("table", name).hint(hint))
}

pub(crate) async fn update(app: App, input: UpdateTable) -> Result<Outcome<TableView>> {
    let table = table(&app, &input.table).await?;
    let change = TableChange {
        name: input.name.clone(),
        description: input.description,
        ..TableChange::default()
    };
    if change == TableChange::default() {
        let problem = "give name or description; there is nothing to change";
        return Err(ApiError::field("name", problem));
    }
    let name = input.name.unwrap_or_else(|| table.name.clone());
    check_new_name("table", "name", &name)?;
    let updated = app.engine.update_table(table.id, change).await;
    let updated = updated.map_err(|error| taken(error.into(), name))?;
    let name = updated.name.clone();
    let hint = Hint::new("get_table_schema", "see the table").with("table", name.as_str());
    Ok(Outcome::new(TableView::of(&app, updated)).meta("table", name).hint(hint))
}

pub(crate) async fn delete(app: App, input: DeleteTable) -> Result<Outcome<DeletedView>> {
    let table = table(&app, &input.table).await?;
    if !input.confirm {
        let rows = app.engine.store().count_rows(table.id, None).await?;
        let what = format!(
            "this deletes table {:?} with its {rows} rows; it can be restored for {RESTORABLE_DAYS} days",
            table.name
        );
        let again = Hint::new("delete_table", "delete it")
            .with("table", table.name.as_str())
            .with("confirm", true);
        return Err(unconfirmed(what, again));
    }
    let deleted = DeletedView::of(app.engine.delete_table(table.id).await?);
    let hint = Hint::new("restore_table", "bring it back").with("table", deleted.id.to_string());
    Ok(Outcome::new(deleted).meta("table", table.name).hint(hint))
}

pub(crate) async fn list_deleted(
    app: App,
    Nothing {}: Nothing,
) -> Result<Outcome<Vec<DeletedView>>> {
    let deleted = app.engine.store().deleted_tables().await?;
    let mut outcome = Outcome::new(Vec::new());
    if let Some(newest) = deleted.first() {
        let hint = Hint::new("restore_table", "bring the newest back");
        outcome = outcome.hint(hint.with("table", newest.id.to_string()));
    }
    outcome.data = deleted.into_iter().map(DeletedView::of).collect();
    Ok(outcome)
}

pub(crate) async fn restore(app: App, input: RestoreTable) -> Result<Outcome<TableView>> {
    if let Some(name) = &input.name {
        check_new_name("table", "name", name)?;
    }
    let Some(gone) = deleted(&app, &input.table).await? else {
        let there = table(&app, &input.table).await?;
        let message = format!("table {:?} is not deleted; there is nothing to restore", there.name);
        let hint = Hint::new("get_table_schema", "see the table").with("table", there.name);
        return Err(ApiError::new(Code::Conflict, message).hint(hint));
    };
    let name = input.name.clone().unwrap_or_else(|| gone.name.clone());
    let restored = app.engine.store().restore_table(gone.id, input.name).await;
    let restored = restored.map_err(|error| {
        let error = taken(error.into(), name);
        let fix = "restore it under another name, as in {\"name\": \"leads_old\"}";
        if error.0.code == Code::TableAlreadyExists { error.fix(fix) } else { error }
    })?;
    let name = restored.name.clone();
    let hint = Hint::new("query_rows", "look at its rows").with("table", name.as_str());
    Ok(Outcome::new(TableView::of(&app, restored)).meta("table", name).hint(hint))
}

/// The deleted table of that id, or the one of that name that was deleted last.
pub(super) async fn deleted(app: &App, name: &str) -> Result<Option<DeletedTable>> {
    let deleted = app.engine.store().deleted_tables().await?;
    Ok(deleted.into_iter().find(|table| table.name == name || table.id.to_string() == name))
}

/// That the table asked for was deleted.
pub(super) fn is_deleted(gone: &DeletedTable) -> ApiError {
    let when = iso(gone.deleted_at).unwrap_or_default();
    let message = format!("table {:?} was deleted at {when}", gone.name);
    ApiError::new(Code::TableDeleted, message)
        .hint(Hint::new("restore_table", "bring it back").with("table", gone.id.to_string()))
        .hint(Hint::new("list_tables", "see which tables there are"))
}
