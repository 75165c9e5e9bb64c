//! What a replay plays on: the recorded rows in a table of their own, and the column.

use paceline_model::{
    ColumnId, ColumnType, NewColumn, NewItem, NewTable, RowId, Table, Value, limits,
};
use serde_json::Value as Json;
use url::Url;

use super::Altered;
use crate::recording::{InColumn, Recording, Row, StoredProvider};
use crate::secret::MASK;
use crate::{AiProvider, Engine, Error, Result, SmartSpec};

/// What stands for a secret. It is no secret: it is shown to nobody.
const STAND_IN: &str = "not-recorded";

/// See the module.
pub(super) struct Stage {
    pub(super) table: Table,
    pub(super) column: String,
    pub(super) column_id: ColumnId,
    /// The recorded ids of its rows, in their order: the first is that of row 1.
    pub(super) rows: Vec<RowId>,
    /// Rows that are not there, because what became of them the recording alone cannot tell again.
    pub(super) left_out: u64,
}

impl Stage {
    pub(super) async fn set(
        engine: &Engine,
        recording: &Recording,
        altered: Altered,
    ) -> Result<Self> {
        let header = &recording.header;
        let config = opened(altered.config.unwrap_or_else(|| header.config.clone()));
        if let Some(provider) = &header.provider {
            store_provider(engine, provider, &config).await?;
        }
        let new = NewTable {
            name: header.table.clone(),
            description: String::new(),
            columns: header.inputs.iter().map(new_column).collect(),
        };
        let table = engine.store().create_table(new).await?;
        let InColumn { name, title, kind, options, .. } = header.column.clone();
        let rate_limit =
            without_budget(altered.rate_limit.unwrap_or_else(|| header.rate_limit.clone()));
        let smart =
            SmartSpec { name, title, kind, options, smart: header.kind, config, rate_limit };
        let column = engine
            .add_smart_column(&table, smart)
            .await
            .map_err(|error| with_what_there_is(error, &header.inputs))?;
        let rows: Vec<&Row> =
            recording.rows.values().filter(|row| row.left_out.is_none()).collect();
        let columns: Vec<ColumnId> = table.columns.iter().map(|column| column.id).collect();
        for part in rows.chunks(limits::INSERT_ROWS_MAX) {
            let values = part.iter().map(|row| values(row, &header.inputs)).collect();
            engine.store().insert_rows(table.id, &columns, values).await?;
        }
        let found = engine.store().table(&table.id.to_string()).await?;
        let table =
            found.ok_or_else(|| Error::Internal("the replay's table is gone".to_owned()))?;
        Ok(Self {
            table,
            column: column.name,
            column_id: column.id,
            left_out: (recording.rows.len() - rows.len()) as u64,
            rows: rows.into_iter().map(|row| row.row).collect(),
        })
    }

    /// Each row of its table, with its recorded id.
    pub(super) fn ids(&self) -> impl Iterator<Item = (RowId, RowId)> {
        (1..).map(RowId).zip(self.rows.iter().copied())
    }
}

/// A key for a provider that the column may call by the name that it has in the configuration.
async fn store_provider(engine: &Engine, provider: &StoredProvider, config: &Json) -> Result<()> {
    let StoredProvider { service, base_url } = provider.clone();
    let name = config.get("provider").and_then(Json::as_str).unwrap_or(&service).to_owned();
    let url = Url::parse(&base_url)
        .map_err(|error| Error::config("provider.base_url", error.to_string()))?;
    let key = engine.sealer().and_then(|sealer| AiProvider::seal_key(sealer, STAND_IN, &url));
    let body = AiProvider {
        provider: service,
        base_url,
        key: key.unwrap_or_default(),
        ends: String::new(),
        default_since_micros: Some(0),
        models: Vec::new(),
        tested_at_micros: None,
    };
    let item = NewItem { kind: AiProvider::KIND, table: None, name, body: body.to_json() };
    engine.store().create_item(item).await?;
    Ok(())
}

/// A configuration with something in the place of its masked secrets.
fn opened(config: Json) -> Json {
    match config {
        Json::String(text) if text == MASK => Json::String(STAND_IN.to_owned()),
        Json::Array(items) => items.into_iter().map(opened).collect(),
        Json::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name, opened(value))).collect()
        }
        other => other,
    }
}

/// A rate without the budget that it shares: there is nobody to share with.
fn without_budget(mut rate: Json) -> Json {
    if let Some(fields) = rate.as_object_mut() {
        fields.remove("budget");
    }
    rate
}

/// Where a column is missing, which ones there are.
fn with_what_there_is(error: Error, inputs: &[InColumn]) -> Error {
    match error {
        Error::Config { field, problem, did_you_mean } if problem.contains("no column") => {
            let names: Vec<&str> = inputs.iter().map(|column| column.name.as_str()).collect();
            let problem = format!(
                "{problem}; a recording has the columns that the recorded run used: {}",
                names.join(", ")
            );
            Error::Config { field, problem, did_you_mean }
        }
        other => other,
    }
}

fn new_column(column: &InColumn) -> NewColumn {
    let InColumn { name, title, kind, options, .. } = column.clone();
    NewColumn { name, title, kind, options, smart: None }
}

/// The values of a row. One that a mask keeps from having the form of its type is taken as it is.
fn values(row: &Row, inputs: &[InColumn]) -> Vec<Value> {
    let value = |(json, column): (&Json, &InColumn)| {
        Value::from_json(column.kind, json.clone()).unwrap_or_else(|_| as_it_is(column.kind, json))
    };
    row.values.iter().zip(inputs).map(value).collect()
}

fn as_it_is(kind: ColumnType, json: &Json) -> Value {
    match json {
        Json::String(text) if kind.is_text() => Value::Text(text.clone()),
        _ => Value::Null,
    }
}
