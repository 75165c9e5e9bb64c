//! What any smart column may say in its configuration, whatever its kind: what it depends on, when a row is due, whether
//! equal rows share a call, what a call costs and how much it may spend.

use paceline_model::{Caps, ColumnId, Filter, FilterError, Subject, Table, Test, suggest};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::{Error, Result};

/// The fields of [`Common`], as users write them.
const FIELDS: [&str; 6] = ["run_if", "depends_on", "reuse", "price", "auto_run", "daily_caps"];

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Common {
    /// A filter, as searches take it; a row that does not pass it is skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) run_if: Option<Json>,
    /// Columns that must be done with a row first, beside those whose values are used; by name.
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

/// What a column asks of others beside the values that its work takes: [`Common`], bound to a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Terms {
    pub(crate) run_if: Option<Filter>,
    pub(crate) depends_on: Vec<ColumnId>,
}

impl Terms {
    /// Every column that must be done with a row first.
    pub(crate) fn columns(&self) -> impl Iterator<Item = ColumnId> {
        let (values, states) = self.run_if.as_ref().map(Filter::columns).unwrap_or_default();
        values.into_iter().chain(states).chain(self.depends_on.iter().copied())
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

    /// What is wrong with the fields of a kind; where one that is not known was meant to be one of these, it says so.
    pub(crate) fn meant(error: Error) -> Error {
        match error {
            Error::Config { field, problem, did_you_mean: None } => {
                let name = field.strip_prefix("config.").unwrap_or_default();
                let did_you_mean = suggest(name, FIELDS).map(str::to_owned);
                Error::Config { field, problem, did_you_mean }
            }
            other => other,
        }
    }

    /// Checks it against a table (`own` is the column's own name, which it may not refer to).
    ///
    /// # Errors
    /// [`Error::Config`] names the field and what was probably meant.
    pub(crate) fn bind(&self, table: &Table, own: &str) -> Result<Terms> {
        let others = others(table, own);
        let run_if = self.run_if.as_ref().map(|json| condition(&others, json)).transpose()?;
        let mut depends_on = Vec::with_capacity(self.depends_on.len());
        for (index, name) in self.depends_on.iter().enumerate() {
            let column = others.column(name).ok_or_else(|| missing(&others, own, index, name))?;
            if !depends_on.contains(&column.id) {
                depends_on.push(column.id);
            }
        }
        Ok(Terms { run_if, depends_on })
    }

    /// With every reference to `column` under its `new` name.
    ///
    /// # Errors
    /// As [`Common::bind`].
    pub(crate) fn renamed(
        mut self,
        table: &Table,
        own: &str,
        column: ColumnId,
        new: &str,
    ) -> Result<Self> {
        let before = others(table, own);
        for name in &mut self.depends_on {
            if before.column(name).is_some_and(|known| known.id == column) {
                new.clone_into(name);
            }
        }
        let Some(json) = &self.run_if else { return Ok(self) };
        let filter = condition(&before, json)?;
        let (values, states) = filter.columns();
        if values.contains(&column) || states.contains(&column) {
            let mut after = before;
            for known in after.columns.iter_mut().filter(|known| known.id == column) {
                new.clone_into(&mut known.name);
            }
            self.run_if = Some(filter.to_json(&after));
        }
        Ok(self)
    }
}

/// The table as a column sees it: without itself.
fn others(table: &Table, own: &str) -> Table {
    let mut others = table.clone();
    others.columns.retain(|column| column.name != own);
    others
}

fn condition(table: &Table, json: &Json) -> Result<Filter> {
    let filter = Filter::parse(table, json).map_err(|error| {
        let FilterError { field, problem, did_you_mean } = error;
        let field = if field.is_empty() { field } else { format!(".{field}") };
        Error::Config { field: format!("config.run_if{field}"), problem, did_you_mean }
    })?;
    if asks_for_moments(&filter) {
        let problem =
            "when a row was made or changed cannot be asked here; ask for columns or _ht_id";
        return Err(Error::config("config.run_if", problem));
    }
    Ok(filter)
}

/// No deeper than a filter may be nested.
fn asks_for_moments(filter: &Filter) -> bool {
    match filter {
        Filter::All(filters) | Filter::Any(filters) => filters.iter().any(asks_for_moments),
        Filter::Test(Test { subject, .. }) => {
            matches!(subject, Subject::CreatedAt | Subject::UpdatedAt)
        }
        Filter::Cell { .. } => false,
    }
}

fn missing(others: &Table, own: &str, index: usize, name: &str) -> Error {
    let field = format!("config.depends_on[{index}]");
    if name == own {
        return Error::config(field, "a column cannot depend on itself");
    }
    let shown: String = name.chars().take(60).collect();
    let names = others.columns.iter().map(|column| column.name.as_str());
    Error::Config {
        field,
        problem: format!("the table has no column {shown:?}"),
        did_you_mean: suggest(name, names).map(str::to_owned),
    }
}
