//! Smart columns: add and change, unlock what a person wrote, and the switch over those that run by themselves.

use paceline_engine::SmartSpec;
use paceline_model::{ColumnType, Filter, Scope, SmartColumn, SmartKind, Table};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::columns::{ColumnView, check_label, take_options, takes_options};
use super::rows::filters::filter;
use super::{check_new_name, smart_column, table};
use crate::App;
use crate::envelope::{Hint, Outcome};
use crate::error::{ApiError, Code, Result};

/// What an `http` column gets whose caller names no rate: the slower side of what most APIs bear. (hypertab.md a9, 7)
const RATE_DEFAULT: &str = "conservative";

#[derive(Debug, Deserialize)]
pub(crate) struct AddSmartColumn {
    table: String,
    name: String,
    title: Option<String>,
    #[serde(rename = "type")]
    value_type: ColumnType,
    kind: SmartKind,
    config: Json,
    rate_limit: Option<Json>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct UpdateSmartColumn {
    table: String,
    column: String,
    config: Option<Json>,
    rate_limit: Option<Json>,
}

pub(crate) async fn add_smart(app: App, input: AddSmartColumn) -> Result<Outcome<ColumnView>> {
    let table = table(&app, &input.table).await?;
    check_new_name("column", "name", &input.name)?;
    if table.columns.iter().any(|column| column.name == input.name) {
        let message = format!("table {:?} has a column {:?} already", table.name, input.name);
        return Err(
            ApiError::new(Code::ColumnAlreadyExists, message).hint(super::schema_hint(&table))
        );
    }
    check_label(&table, None, "title", input.title.as_deref())?;
    let spec = spec(
        input.name,
        input.title,
        input.value_type,
        input.kind,
        input.config,
        input.rate_limit,
    )?;
    let column = app.engine.add_smart_column(&table, spec).await?;
    let hint = run_hint(&table, &column.name, "fill its cells");
    let outcome = Outcome::new(ColumnView::of(&app, &column)).meta("table", table.name);
    Ok(outcome.hint(hint))
}

/// What the engine makes a smart column of. The options of a select stand in `config` beside the call, as those of a
/// plain column do.
pub(super) fn spec(
    name: String,
    title: Option<String>,
    value_type: ColumnType,
    kind: SmartKind,
    mut config: Json,
    rate_limit: Option<Json>,
) -> Result<SmartSpec> {
    let options = match config.as_object_mut() {
        Some(fields) if takes_options(value_type) => {
            take_options("config.options", value_type, fields)?
        }
        _ => Vec::new(),
    };
    let rate_limit = rate_limit.unwrap_or_else(|| rate_default(kind));
    Ok(SmartSpec { name, title, kind: value_type, options, smart: kind, config, rate_limit })
}

pub(crate) async fn update_smart(
    app: App,
    input: UpdateSmartColumn,
) -> Result<Outcome<ColumnView>> {
    let table = table(&app, &input.table).await?;
    let (column, smart) = smart_column(&table, &input.column)?;
    if input.config.is_none() && input.rate_limit.is_none() {
        return Err(ApiError::field(
            "config",
            "give config, rate_limit or both; there is nothing to change",
        ));
    }
    if let Some(config) = &input.config {
        refuse_masks(&app, smart, config)?;
    }
    let updated = app
        .engine
        .update_smart_column(&table, &column.name, input.config, input.rate_limit)
        .await?;
    let hint = run_hint(&table, &updated.name, "fill the cells that are still empty");
    Ok(Outcome::new(ColumnView::of(&app, &updated)).meta("table", table.name.as_str()).hint(hint))
}

/// What a column gets whose caller names no rate.
fn rate_default(kind: SmartKind) -> Json {
    match kind {
        SmartKind::Http | SmartKind::Ai | SmartKind::Waterfall => RATE_DEFAULT.into(),
        // The engine knows the vendor's own limits.
        SmartKind::Integration => Json::Null,
        // Nothing is called.
        SmartKind::Formula | SmartKind::Function | SmartKind::Lookup | SmartKind::Extract => {
            Json::Null
        }
    }
}

/// A config that was read, changed and sent back carries the mask where the secret stood. It is not taken for the
/// secret, and the old secret is not put in its place either: with a new URL beside it, that would hand the secret to
/// another host.
fn refuse_masks(app: &App, smart: &SmartColumn, config: &Json) -> Result<()> {
    let masked = app.engine.masked_config(smart);
    let (Some(given), Some(masked), Some(kept)) =
        (headers(config), headers(&masked), headers(&smart.config))
    else {
        return Ok(());
    };
    for (name, mask) in masked.iter().filter(|(name, mask)| kept.get(*name) != Some(mask)) {
        let same =
            given.iter().find(|(given, value)| given.eq_ignore_ascii_case(name) && *value == mask);
        if let Some((name, _)) = same {
            let problem = "is the mask that is shown instead of the secret; give the secret again";
            return Err(ApiError::field(format!("config.headers.{name}"), problem));
        }
    }
    Ok(())
}

fn headers(config: &Json) -> Option<&serde_json::Map<String, Json>> {
    config.get("headers")?.as_object()
}

fn run_hint(table: &Table, column: &str, why: &str) -> Hint {
    Hint::new("run_column", why).with("table", table.name.as_str()).with("column", column)
}

#[derive(Debug, Deserialize)]
pub(crate) struct UnlockCells {
    table: String,
    column: String,
    #[serde(rename = "where")]
    filter: Option<Json>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Unlocked {
    unlocked: u64,
}

/// Cells that a person wrote are filled again by runs over stale cells.
pub(crate) async fn unlock(app: App, input: UnlockCells) -> Result<Outcome<Unlocked>> {
    let table = table(&app, &input.table).await?;
    let (column, _) = smart_column(&table, &input.column)?;
    let filter = filter(&table, input.filter.as_ref())?.unwrap_or(Filter::All(Vec::new()));
    let unlocked = app.engine.store().lock_cells(column.id, filter, false).await?;
    let hint =
        run_hint(&table, &column.name, "fill them again").with("scope", Scope::Stale.as_str());
    Ok(Outcome::new(Unlocked { unlocked }).meta("table", table.name.as_str()).hint(hint))
}

#[derive(Debug, Deserialize)]
pub(crate) struct SetAutoRun {
    table: String,
    enabled: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AutoRunView {
    /// Whether columns of the table may run by themselves.
    enabled: bool,
}

/// The switch of a table over what its columns say of `auto_run`.
pub(crate) async fn set_auto_run(app: App, input: SetAutoRun) -> Result<Outcome<AutoRunView>> {
    let table = table(&app, &input.table).await?;
    app.engine.set_automatic(table.id, input.enabled).await?;
    let view = AutoRunView { enabled: input.enabled };
    let hint = Hint::new("list_runs", "see what ran by itself").with("table", table.name.as_str());
    Ok(Outcome::new(view).meta("table", table.name.as_str()).hint(hint))
}
