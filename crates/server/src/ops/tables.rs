//! Tables: list, make, show.

use std::collections::HashSet;

use paceline_model::{Column, ColumnType, NewColumn, NewTable, Table};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::{check_new_name, iso, table};
use crate::App;
use crate::envelope::{Hint, Outcome};
use crate::error::{ApiError, Code, Result};

/// Nothing is asked.
#[derive(Debug, Deserialize)]
pub(crate) struct ListTables {}

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
}

#[derive(Debug, Deserialize)]
pub(crate) struct GetTable {
    table: String,
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
pub(crate) struct ColumnView {
    id: i64,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(rename = "type")]
    kind: ColumnType,
    #[serde(skip_serializing_if = "Option::is_none")]
    smart: Option<SmartView>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct SmartView {
    kind: &'static str,
    config: Json,
    rate_limit: Json,
    version: i64,
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

impl ColumnView {
    /// A column with its secrets masked.
    pub(super) fn of(app: &App, column: &Column) -> Self {
        let smart = column.smart.as_ref().map(|smart| SmartView {
            kind: smart.kind.as_str(),
            config: app.engine.masked_config(smart),
            rate_limit: smart.rate_limit.clone(),
            version: smart.version,
        });
        Self {
            id: column.id.0,
            name: column.name.clone(),
            title: column.title.clone(),
            kind: column.kind,
            smart,
        }
    }
}

pub(crate) async fn list(app: App, ListTables {}: ListTables) -> Result<Outcome<Vec<TableLine>>> {
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
    let new = NewTable { name: input.name.clone(), description: input.description, columns };
    let table = app.engine.store().create_table(new).await.map_err(|error| {
        let taken = matches!(error, paceline_model::Error::Exists(_));
        let error = ApiError::from(error).recode(Code::Conflict, Code::TableAlreadyExists);
        if !taken {
            return error;
        }
        error.hint(
            Hint::new("get_table_schema", "see the table of that name").with("table", input.name),
        )
    })?;
    // An example that can be sent as it is: one row with nothing in it.
    let row: Map<String, Json> =
        table.columns.iter().take(5).map(|column| (column.name.clone(), Json::Null)).collect();
    let hint = Hint::new("insert_rows", "fill it with rows")
        .with("table", table.name.as_str())
        .with("rows", vec![Json::Object(row)]);
    let name = table.name.clone();
    Ok(Outcome::new(TableView::of(&app, table)).meta("table", name).hint(hint))
}

fn new_columns(given: Vec<CreateColumn>) -> Result<Vec<NewColumn>> {
    if given.is_empty() {
        return Err(ApiError::field("columns", "a table has at least one column"));
    }
    let mut names = HashSet::new();
    for (index, column) in given.iter().enumerate() {
        let field = format!("columns[{index}].name");
        check_new_name("column", &field, &column.name)?;
        if !names.insert(column.name.as_str()) {
            let message =
                format!("{field}: {:?} is the name of an earlier column too", column.name);
            return Err(ApiError::new(Code::DuplicateColumn, message));
        }
    }
    drop(names);
    let column = |column: CreateColumn| NewColumn {
        name: column.name,
        title: column.title,
        kind: column.kind,
        options: Vec::new(),
        smart: None,
    };
    Ok(given.into_iter().map(column).collect())
}

pub(crate) async fn schema(app: App, input: GetTable) -> Result<Outcome<TableView>> {
    let table = table(&app, &input.table).await?;
    let name = table.name.clone();
    let hint = Hint::new("query_rows", "look at its rows").with("table", name.as_str());
    Ok(Outcome::new(TableView::of(&app, table)).meta("table", name).hint(hint))
}
