//! Budgets that people name (spec G2): made, changed, deleted, and looked up by the columns that name them in
//! `rate_limit.budget`.

use paceline_governor::{BudgetConfig, Rate, RateError};
use paceline_model::{Caps, ColumnId, Item, NewItem, SmartColumn, SmartKind, Table, suggest};
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use super::Engine;
use super::spec::Spec;
use crate::kind::Caller;
use crate::{Error, Result};

/// What these items are called in the registry.
const KIND: &str = "budget";
/// Of a rate object, what a budget may say; the rest is each column's own.
const FIELDS: [&str; 7] = [
    "limits",
    "requests_per_second",
    "max_concurrent",
    "min_spacing_ms",
    "shape",
    "guard",
    "cool_down_on_429",
];
const NAME_BYTES_MAX: usize = 64;

/// A budget with a name, as people write it.
#[derive(Clone, Debug, PartialEq)]
pub struct BudgetSpec {
    /// A rate object: `limits`, `requests_per_second`, `max_concurrent`, `min_spacing_ms`, `shape`, `guard`,
    /// `cool_down_on_429`; at least a limit or `max_concurrent`.
    pub rate: Json,
    /// The host that its columns must call, with its port if that is not the usual one; any if not given.
    pub host: Option<String>,
    /// How much all its columns together may do on one UTC day.
    pub daily_caps: Caps,
}

/// See [`BudgetSpec`]; read.
#[derive(Clone, Debug)]
pub(super) struct NamedBudget {
    pub(super) name: String,
    pub(super) config: BudgetConfig,
    host: Option<String>,
    pub(super) daily_caps: Caps,
}

impl BudgetSpec {
    /// As it is kept.
    fn to_json(&self) -> Json {
        json!({"rate": self.rate, "host": self.host, "daily_caps": self.daily_caps})
    }

    /// As it was kept.
    #[must_use]
    pub fn from_item(item: &Item) -> Self {
        Self {
            rate: item.body["rate"].clone(),
            host: item.body["host"].as_str().map(str::to_owned),
            daily_caps: Caps::deserialize(&item.body["daily_caps"]).unwrap_or_default(),
        }
    }
}

impl NamedBudget {
    /// Under which it is found, and what it learnt is kept.
    pub(super) fn key(&self) -> String {
        key_of(&self.name)
    }
}

pub(super) fn key_of(name: &str) -> String {
    format!("budget:{name}")
}

impl Engine {
    /// Makes a budget that columns can name.
    ///
    /// # Errors
    /// The field and the remedy; `Exists` if the name is taken.
    pub async fn create_budget(&self, name: &str, spec: &BudgetSpec) -> Result<Item> {
        let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(fits) {
            let problem = format!(
                "must be 1 to {NAME_BYTES_MAX} letters, digits, dashes, dots or underscores"
            );
            return Err(Error::config("name", problem));
        }
        self.read_budget(name, spec)?;
        let new = NewItem { kind: KIND, table: None, name: name.to_owned(), body: spec.to_json() };
        Ok(self.inner.store.create_item(new).await?)
    }

    /// Replaces a budget. Runs at work keep to it from this moment on.
    ///
    /// # Errors
    /// The field and the remedy; [`Error::Missing`] if there is none of that name; a conflict if a column that names it calls
    /// another host.
    pub async fn update_budget(&self, name: &str, spec: &BudgetSpec) -> Result<Item> {
        let _held = self.inner.schema.lock().await;
        let named = self.read_budget(name, spec)?;
        let item = self.budget_item(name).await?;
        for (table, column) in self.columns_of_budget(name).await? {
            let smart =
                table.column(&column).and_then(|found| Some((found, found.smart.as_ref()?)));
            let Some((found, smart)) = smart else { continue };
            let Ok(opened) = self.opened(&table, found, smart) else { continue };
            let Ok(rate) = self.rate(smart.kind, &opened, &smart.rate_limit) else { continue };
            for caller in opened.callers(&rate, self.inner.config.ceilings)? {
                if caller.rate.budget.as_deref() == Some(name) {
                    named.check_host(&caller).map_err(|error| {
                        Error::Conflict(format!("column {column} of table {}: {error}", table.name))
                    })?;
                }
            }
        }
        let store = &self.inner.store;
        let item = store.update_item(KIND, item.id, item.version, spec.to_json()).await?;
        let _turn = self.inner.sharing.lock().await;
        if self.lock().shared.contains_key(&named.key()) {
            let group = self.named_group(named).await?;
            self.shared(group, ColumnId(0)).await?;
        }
        Ok(item)
    }

    /// Deletes a budget that no column names.
    ///
    /// # Errors
    /// A conflict that names the columns; [`Error::Missing`] if there is none of that name.
    pub async fn delete_budget(&self, name: &str) -> Result<Item> {
        let _held = self.inner.schema.lock().await;
        let item = self.budget_item(name).await?;
        let users: Vec<String> = self
            .columns_of_budget(name)
            .await?
            .iter()
            .map(|(table, column)| format!("{}.{column}", table.name))
            .collect();
        if !users.is_empty() {
            let users = users.join(", ");
            let message = format!(
                "budget {name} is named by the columns {users}; take it out of their rate_limit first"
            );
            return Err(Error::Conflict(message));
        }
        self.inner.store.delete_item(KIND, item.id).await?;
        self.lock().shared.remove(&key_of(name));
        Ok(item)
    }

    /// Every budget with a name.
    ///
    /// # Errors
    /// The store's.
    pub async fn named_budgets(&self) -> Result<Vec<Item>> {
        Ok(self.inner.store.items(KIND, None).await?)
    }

    /// The columns that name a budget, with their tables.
    ///
    /// # Errors
    /// The store's.
    pub async fn columns_of_budget(&self, name: &str) -> Result<Vec<(Table, String)>> {
        let mut found = Vec::new();
        for table in self.inner.store.tables().await? {
            let is_user = |column: &&paceline_model::Column| {
                let smart = column.smart.as_ref();
                smart.is_some_and(|smart| names(smart, name))
            };
            let columns = table.columns.iter().filter(is_user);
            found.extend(columns.map(|column| (table.clone(), column.name.clone())));
        }
        Ok(found)
    }

    /// The budget of that name, as it stands.
    pub(super) async fn named_budget(&self, name: &str) -> Result<NamedBudget> {
        let item = self.budget_item(name).await.map_err(|error| match error {
            Error::Missing(problem) => Error::config("rate_limit.budget", problem),
            other => other,
        })?;
        self.read_budget(&item.name, &BudgetSpec::from_item(&item))
    }

    /// Refuses a rate that names a budget that there is not, or one for another host.
    pub(super) async fn check_budget(&self, rate: &Rate, spec: &Spec) -> Result<()> {
        for caller in spec.callers(rate, self.inner.config.ceilings)? {
            if let Some(name) = &caller.rate.budget {
                let named =
                    self.named_budget(name).await.map_err(|error| of_caller(&caller, error))?;
                named.check_host(&caller)?;
            }
        }
        Ok(())
    }

    async fn budget_item(&self, name: &str) -> Result<Item> {
        let items = self.named_budgets().await?;
        let meant = suggest(name, items.iter().map(|item| item.name.as_str()))
            .map_or_else(String::new, |name| format!(" (did you mean {name:?}?)"));
        let missing = format!("there is no budget {name:?}{meant}; make it with create_budget");
        items.into_iter().find(|item| item.name == name).ok_or(Error::Missing(missing))
    }

    fn read_budget(&self, name: &str, spec: &BudgetSpec) -> Result<NamedBudget> {
        let Some(given) = spec.rate.as_object() else {
            return Err(fault("", "give an object, as in {\"limits\": [\"60/min\"]}".to_owned()));
        };
        if let Some(field) = given.keys().find(|field| !FIELDS.contains(&field.as_str())) {
            let shown: String = field.chars().take(40).collect();
            let fields = FIELDS.join(", ");
            let problem = format!("is no field of a budget; these are: {fields}");
            return Err(fault(&shown, problem));
        }
        let ceilings = self.inner.config.ceilings;
        // What only a column says stands for nothing here, but the reader wants it.
        let mut whole = Map::from_iter([
            ("max_concurrent".to_owned(), json!(1)),
            ("retry_strategy".to_owned(), json!("exponential")),
            ("max_retries".to_owned(), json!(0)),
            ("retry_delay_ms".to_owned(), json!(1000)),
            ("cool_down_on_429".to_owned(), json!(true)),
        ]);
        whole.extend(given.clone());
        let ceilings = paceline_governor::Ceilings { rate_optional: true, ..ceilings };
        let rate = Rate::from_json(&Json::Object(whole), ceilings).map_err(first_of)?;
        let is_capped = given.contains_key("max_concurrent");
        if rate.limits.is_empty() && !is_capped {
            let problem = "is required: a budget needs a limit, or max_concurrent".to_owned();
            return Err(fault("limits", problem));
        }
        let mut config = rate.budget_config();
        config.concurrent_max = config.concurrent_max.filter(|_| is_capped);
        config.check().map_err(|error| fault("limits", error.to_string()))?;
        Ok(NamedBudget {
            name: name.to_owned(),
            config,
            host: spec.host.clone(),
            daily_caps: spec.daily_caps,
        })
    }
}

impl NamedBudget {
    fn check_host(&self, caller: &Caller) -> Result<()> {
        let (Some(host), Some(called)) = (&self.host, &caller.called) else { return Ok(()) };
        let called = &called.host;
        if called.eq_ignore_ascii_case(host)
            || called.rsplit_once(':').is_some_and(|(name, _)| name.eq_ignore_ascii_case(host))
        {
            return Ok(());
        }
        let problem = format!(
            "the budget {} is for calls to {host}, and this column calls {called}; name another budget",
            self.name
        );
        Err(of_caller(caller, Error::config("rate_limit.budget", problem)))
    }
}

/// The field of a source, where the fault is its own.
fn of_caller(caller: &Caller, error: Error) -> Error {
    match (error, &caller.source) {
        (Error::Config { problem, did_you_mean, .. }, Some(source)) => {
            let problem = format!("of the source {source}: {problem}");
            Error::Config { field: "rate_limit.budget".to_owned(), problem, did_you_mean }
        }
        (error, _) => error,
    }
}

/// Whether a column names a budget, or one of its sources does.
fn names(smart: &SmartColumn, name: &str) -> bool {
    let is_named = |rate: &Json| rate["budget"].as_str() == Some(name);
    let sources = smart.config["sources"].as_array().into_iter().flatten();
    is_named(&smart.rate_limit)
        || (smart.kind == SmartKind::Waterfall
            && sources.into_iter().any(|source| is_named(&source["rate_limit"])))
}

fn fault(field: &str, problem: String) -> Error {
    let field = if field.is_empty() { "rate".to_owned() } else { format!("rate.{field}") };
    Error::config(field, problem)
}

/// The first of the faults, as one of the budget's.
fn first_of(faults: Vec<RateError>) -> Error {
    let first = faults.into_iter().next();
    first.map_or_else(
        || fault("", "cannot be read".to_owned()),
        |RateError { field, problem, did_you_mean }| match fault(&field, problem) {
            Error::Config { field, problem, .. } => Error::Config { field, problem, did_you_mean },
            other => other,
        },
    )
}
