//! Smart columns: checked, sealed, stored, shown.

use paceline_governor::{Preset, Rate};
use paceline_model::{Column, ColumnType, SmartColumn, SmartKind, Table};
use serde_json::Value as Json;

use super::spec::{Spec, lasting_place};
use super::{Engine, smart_column};
use crate::common::{AutoRun, auto_run};
use crate::{Error, HttpColumn, Result};

/// What a smart column is made from.
#[derive(Clone, Debug, PartialEq)]
pub struct SmartSpec {
    /// Its name.
    pub name: String,
    /// What a person calls it, if that is not its name.
    pub title: Option<String>,
    /// The type of its values.
    pub kind: ColumnType,
    /// What they are chosen from; of the types select and multi_select.
    pub options: Vec<String>,
    /// Which provider makes the call.
    pub smart: SmartKind,
    /// The provider's configuration.
    pub config: Json,
    /// A preset's name or a rate object; of kind integration an object, or null for the vendor's own limits.
    pub rate_limit: Json,
}

impl Engine {
    /// Checks a smart column against its table and adds it. Nothing happens if anything is wrong with it.
    ///
    /// # Errors
    /// The field and the remedy.
    pub async fn add_smart_column(&self, table: &Table, spec: SmartSpec) -> Result<Column> {
        let _held = self.inner.schema.lock().await;
        let table = &self.fresh(table.id).await?;
        self.check_graph(table, &spec.name, &Spec::from_json(spec.smart, &spec.config)?)?;
        let column = self.new_smart_column(table, spec).await?;
        let column = self.inner.store.add_column(table.id, column).await?;
        let config = column.smart.as_ref().map(|smart| &smart.config);
        if config.is_some_and(|config| auto_run(config) != AutoRun::Never) {
            self.watch_from_now(table.id, column.id).await?;
        }
        Ok(column)
    }

    /// Checks and replaces the configuration or the rate of a smart column; what is `None` stays.
    ///
    /// # Errors
    /// As [`Engine::add_smart_column`]; a conflict while a run of the column is at work.
    pub async fn update_smart_column(
        &self,
        table: &Table,
        name: &str,
        config: Option<Json>,
        rate_limit: Option<Json>,
    ) -> Result<Column> {
        let _held = self.inner.schema.lock().await;
        let table = &self.fresh(table.id).await?;
        let (column, smart) = smart_column(table, name)?;
        if self.lock().active.values().any(|active| active.ctx.column.id == column.id) {
            return Err(Error::Conflict(format!(
                "column {name} is being filled; pause its run first"
            )));
        }
        let rate_limit = rate_limit.unwrap_or_else(|| smart.rate_limit.clone());
        let spec = Spec::from_json(smart.kind, config.as_ref().unwrap_or(&smart.config))?;
        let rate = self.rate(smart.kind, &spec, &rate_limit)?;
        self.check_budget(&rate, &spec).await?;
        let config = match config {
            None => smart.config.clone(),
            Some(_) => {
                self.check_graph(table, &column.name, &spec)?;
                self.check_spec(&spec, column.kind).await?;
                self.checked_config(table, &column.name, spec, &lasting_place(column.id))?
            }
        };
        if auto_run(&smart.config) == AutoRun::Never && auto_run(&config) != AutoRun::Never {
            // What is there before it is told to run by itself stays as it is.
            self.watch_from_now(table.id, column.id).await?;
        }
        Ok(self.inner.store.update_smart_column(column.id, config, rate_limit).await?)
    }

    /// The configuration of a smart column as a person or program may see it.
    #[must_use]
    pub fn masked_config(&self, smart: &SmartColumn) -> Json {
        let spec = Spec::from_json(smart.kind, &smart.config);
        spec.map_or(Json::Null, |spec| spec.masked().to_json())
    }

    pub(super) fn rate(&self, kind: SmartKind, spec: &Spec, json: &Json) -> Result<Rate> {
        let ceilings = self.inner.config.ceilings;
        if kind.is_local() {
            return if json.is_null() {
                Ok(Preset::Conservative.rate())
            } else {
                let problem =
                    format!("a column of kind {} calls nobody; leave it out", kind.as_str());
                Err(Error::config("rate_limit", problem))
            };
        }
        let rate = spec.rate(json, ceilings)?;
        // Of the others nobody knows how many tokens a call takes.
        if kind != SmartKind::Ai {
            HttpColumn::check_rate(&rate)?;
        }
        Ok(rate)
    }
}
