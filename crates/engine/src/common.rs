//! What any smart column may say in its configuration, whatever its kind: what it depends on, when a row is due, whether
//! equal rows share a call, what a call costs and how much it may spend.

use paceline_model::Caps;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::{Error, Result};

/// The fields of [`Common`], as users write them.
const FIELDS: [&str; 6] = ["run_if", "depends_on", "reuse", "price", "auto_run", "daily_caps"];

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Common {
    /// A row whose condition does not hold is skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) run_if: Option<String>,
    /// Columns that must be done with a row first, beside those whose values are used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) depends_on: Vec<String>,
    /// Whether rows with equal inputs share one call; if not given, where a call may be made again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reuse: Option<bool>,
    /// What one call costs, in whole units of a currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) price: Option<f64>,
    /// Whether the column runs by itself.
    #[serde(skip_serializing_if = "AutoRun::is_never")]
    pub(crate) auto_run: AutoRun,
    /// How much all its runs may do on one UTC day.
    #[serde(skip_serializing_if = "Caps::is_none")]
    pub(crate) daily_caps: Caps,
}

/// When a column runs by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AutoRun {
    /// Only when somebody asks for it.
    #[default]
    Never,
    /// When rows are inserted.
    OnInsert,
    /// When rows are inserted, or the inputs of a row change.
    OnChange,
}

impl AutoRun {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_never(&self) -> bool {
        *self == Self::Never
    }
}

impl Common {
    /// Takes its fields out of a configuration; answers what is left for the kind.
    ///
    /// # Errors
    /// [`Error::Config`] names the field.
    pub(crate) fn split(config: &Json) -> Result<(Self, Json)> {
        let Some(fields) = config.as_object() else {
            return Ok((Self::default(), config.clone()));
        };
        let (ours, theirs): (Map<String, Json>, Map<String, Json>) = fields
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name.clone(), value.clone()))
            .partition(|(name, _)| FIELDS.contains(&name.as_str()));
        for (name, value) in &ours {
            let one = Map::from_iter([(name.clone(), value.clone())]);
            Self::deserialize(Json::Object(one))
                .map_err(|error| Error::config(format!("config.{name}"), error.to_string()))?;
        }
        let common = Self::deserialize(Json::Object(ours))
            .map_err(|error| Error::config("config", error.to_string()))?;
        if common.price.is_some_and(|price| !(0.0..=1_000_000.0).contains(&price)) {
            return Err(Error::config("config.price", "must be from 0 to 1,000,000"));
        }
        Ok((common, Json::Object(theirs)))
    }

    /// Puts its fields back into a configuration.
    pub(crate) fn join(&self, config: Json) -> Json {
        let (Json::Object(mut all), Ok(Json::Object(ours))) = (config, serde_json::to_value(self))
        else {
            return Json::Null;
        };
        all.extend(ours);
        Json::Object(all)
    }
}
