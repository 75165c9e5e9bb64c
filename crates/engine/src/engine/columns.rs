//! Smart columns: checked, sealed, stored, shown.

use paceline_governor::Rate;
use paceline_model::{Column, ColumnType, NewColumn, SmartColumn, SmartKind, Table};
use serde_json::Value as Json;

use super::{Engine, place, smart_column};
use crate::integration::{self, IntegrationColumn};
use crate::{Error, HttpColumn, HttpSpec, IntegrationSpec, Result};

/// What a smart column is made from.
#[derive(Clone, Debug, PartialEq)]
pub struct SmartSpec {
    /// Its name.
    pub name: String,
    /// What a person calls it, if that is not its name.
    pub title: Option<String>,
    /// The type of its values.
    pub kind: ColumnType,
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
        self.rate(spec.smart, &spec.rate_limit)?;
        if spec.smart == SmartKind::Integration {
            IntegrationColumn::check_type(spec.kind)?;
        }
        let smart = SmartColumn {
            kind: spec.smart,
            config: self.sealed_config(table, &spec.name, spec.smart, &spec.config)?,
            rate_limit: spec.rate_limit,
            version: 1,
        };
        let column = NewColumn {
            name: spec.name,
            title: spec.title,
            kind: spec.kind,
            options: Vec::new(),
            smart: Some(smart),
        };
        Ok(self.inner.store.add_column(table.id, column).await?)
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
        let (column, smart) = smart_column(table, name)?;
        if self.lock().active.values().any(|active| active.ctx.column.id == column.id) {
            return Err(Error::Conflict(format!(
                "column {name} is being filled; pause its run first"
            )));
        }
        let rate_limit = rate_limit.unwrap_or_else(|| smart.rate_limit.clone());
        self.rate(smart.kind, &rate_limit)?;
        let config = match config {
            None => smart.config.clone(),
            Some(config) => self.sealed_config(table, name, smart.kind, &config)?,
        };
        Ok(self.inner.store.update_smart_column(column.id, config, rate_limit).await?)
    }

    /// The configuration of a smart column as a person or program may see it.
    #[must_use]
    pub fn masked_config(&self, smart: &SmartColumn) -> Json {
        match smart.kind {
            SmartKind::Http => HttpSpec::from_json(&smart.config)
                .map_or(Json::Null, |spec| spec.masked().to_json()),
            SmartKind::Integration => IntegrationSpec::from_json(&smart.config)
                .map_or(Json::Null, |spec| spec.masked().to_json()),
        }
    }

    /// Checks a configuration against its table; answers it as the store may have it.
    fn sealed_config(
        &self,
        table: &Table,
        name: &str,
        kind: SmartKind,
        config: &Json,
    ) -> Result<Json> {
        let (guard, sealer) = (&self.inner.config.outbound, self.inner.config.sealer.as_ref());
        let place = place(table, name);
        Ok(match kind {
            SmartKind::Http => {
                let spec = HttpSpec::from_json(config)?;
                HttpColumn::new(&spec, table, name, guard)?;
                spec.sealed(sealer, &place)?.to_json()
            }
            SmartKind::Integration => {
                let spec = IntegrationSpec::from_json(config)?;
                IntegrationColumn::new(&spec, table, name, guard)?;
                spec.sealed(sealer, &place)?.to_json()
            }
        })
    }

    pub(super) fn rate(&self, kind: SmartKind, json: &Json) -> Result<Rate> {
        let ceilings = self.inner.config.ceilings;
        let rate = match kind {
            SmartKind::Http => Rate::from_json(json, ceilings).map_err(Error::Rate)?,
            SmartKind::Integration => integration::rate(json, ceilings)?,
        };
        if rate.budget.is_some() {
            let problem = "budgets that columns share are not available yet; leave the field out";
            return Err(Error::config("rate_limit.budget", problem));
        }
        HttpColumn::check_rate(&rate)?;
        Ok(rate)
    }
}
