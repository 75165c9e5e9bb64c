//! A `function` column runs a script in a process of its own for each row.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::join_all;
use paceline_model::{
    BoundTemplate, CellError, Column, ColumnId, Place, Store, Table, Task, Template, Value, suggest,
};
use paceline_script::{FunctionSource, words};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::plain::{self, Filled, Tools};
use super::{Around, Bound, KindSpec, Local, Outside, Rename};
use crate::labels::{Labels, render_error, template, template_error};
use crate::{Error, OutboundGuard, Result};

/// As the platform keeps functions.
const ITEM: &str = "function";

/// The configuration as users write it: `function` or `code`, and `args`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct FunctionSpec {
    /// A stored function, by its name or id.
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<String>,
    /// A script of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// What its argument is made of: fields whose texts are templates. Left out with `code`, they are the columns it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    args: Option<BTreeMap<String, Json>>,
    /// The source of the stored function, once it was looked up.
    #[serde(skip)]
    found: Option<String>,
}

struct FunctionColumn {
    script: Script,
    args: Args,
    inputs: Vec<ColumnId>,
    identity: String,
}

/// The fields of the argument, by their names.
type Args = Vec<(String, Arg)>;

enum Script {
    /// A stored one that was not looked up, by its name or id.
    Stored(String),
    Known(FunctionSource),
}

/// Where a field of the argument comes from.
enum Arg {
    /// An input as it is, empty or not.
    Input(usize),
    Template(BoundTemplate),
    Constant(Json),
}

impl FunctionSpec {
    pub(crate) fn from_json(config: &Json) -> Result<Self> {
        let spec: Self = plain::read(config, &["function", "code", "args"])?;
        match (&spec.function, &spec.code) {
            (None, None) => {
                Err(plain::required("function", "the name of a stored function; or give code"))
            }
            (Some(_), Some(_)) => {
                let problem = "is given beside function; give one of them";
                Err(Error::config("config.code", problem))
            }
            (Some(_), None) if spec.args.is_none() => {
                let takes =
                    "what the function gets as its argument, as in {\"price\": \"{{price}}\"}";
                Err(plain::required("args", takes))
            }
            _ => Ok(spec),
        }
    }

    /// The fields that are templates.
    fn templates(&self) -> Result<Vec<(&str, Template)>> {
        let args = self.args.iter().flatten();
        let texts = args.filter_map(|(name, json)| json.as_str().map(|text| (name, text)));
        texts
            .map(|(name, text)| {
                let parsed = template(&format!("config.args.{name}"), text, Place::Text)?;
                Ok((name.as_str(), parsed))
            })
            .collect()
    }

    /// The argument's fields, and which labels they need.
    fn args(&self, labels: &Labels<'_>) -> Result<(Args, Vec<usize>)> {
        let Some(args) = &self.args else {
            let words = words(self.code.as_deref().unwrap_or_default());
            let mut used: Vec<usize> = Vec::new();
            for (at, name) in labels.names.iter().enumerate() {
                let is_first = labels.names.iter().position(|known| known == name) == Some(at);
                if is_first && words.contains(*name) {
                    used.push(at);
                }
            }
            let named = used.iter().enumerate();
            let args = named.map(|(at, label)| (labels.names[*label].to_owned(), Arg::Input(at)));
            return Ok((args.collect(), used));
        };
        let templates = self.templates()?;
        let used = labels.used(templates.iter().map(|(name, template)| (*name, template)))?;
        let names: Vec<&str> = used.iter().map(|at| labels.names[*at]).collect();
        let mut bound = Vec::with_capacity(args.len());
        for (name, json) in args {
            let written = templates.iter().find(|(known, _)| known == name);
            let arg = match written {
                None => Arg::Constant(json.clone()),
                Some((_, template)) => {
                    let at = format!("config.args.{name}");
                    Arg::Template(
                        template.bind(&names).map_err(|error| template_error(&at, &error))?,
                    )
                }
            };
            bound.push((name.clone(), arg));
        }
        Ok((bound, used))
    }
}

#[async_trait]
impl KindSpec for FunctionSpec {
    plain::without_secrets!();

    async fn resolved(&self, around: Around<'_>) -> Result<Box<dyn KindSpec>> {
        let Some(name) = &self.function else { return Ok(self.boxed()) };
        let found = Some(stored(around.store, name).await?);
        Ok(Box::new(Self { found, ..self.clone() }))
    }

    fn outside(&self) -> Option<Outside> {
        self.found.clone().map(Outside::Function)
    }

    fn bind(&self, table: &Table, own: &str, _: &OutboundGuard) -> Result<Bound> {
        let labels = Labels::of(table, own);
        let (args, used) = self.args(&labels)?;
        let read = |field: &str, source: &str| {
            let read = FunctionSource::read(source);
            read.map(Script::Known).map_err(|error| plain::script_error(field, &error))
        };
        let script = match (&self.function, &self.code, &self.found) {
            (None, Some(code), _) => read("code", code)?,
            (Some(_), _, Some(source)) => read("function", source)?,
            (name, ..) => Script::Stored(name.clone().unwrap_or_default()),
        };
        let inputs = used.iter().map(|at| labels.columns[*at]).collect();
        let identity = format!("function\n{}", self.to_json());
        Ok(Bound::Local(Arc::new(FunctionColumn { script, args, inputs, identity })))
    }

    fn inputs(&self, table: &Table, own: &str, _: &OutboundGuard) -> Result<Vec<ColumnId>> {
        let labels = Labels::of(table, own);
        let (_, used) = self.args(&labels)?;
        Ok(used.into_iter().map(|at| labels.columns[at]).collect())
    }

    fn renamed(mut self: Box<Self>, rename: Rename<'_>) -> Result<Box<dyn KindSpec>> {
        match &mut self.args {
            Some(args) => {
                for json in args.values_mut() {
                    if let Json::String(text) = json {
                        *text = rename(text)?;
                    }
                }
            }
            None => {
                let words = words(self.code.as_deref().unwrap_or_default());
                let named = words.iter().find(|word| plain::renamed_name(word, rename).is_some());
                if let Some(name) = named {
                    return Err(Error::Conflict(format!(
                        "the code of a function uses the column {name:?} by its name; give the function args, as in \
                         {{\"{name}\": \"{{{{{name}}}}}\"}}, and rename then"
                    )));
                }
            }
        }
        Ok(self)
    }
}

impl FunctionColumn {
    /// The argument for a row.
    fn row(&self, values: &[Value]) -> std::result::Result<Json, CellError> {
        let mut row = Map::with_capacity(self.args.len());
        for (name, arg) in &self.args {
            let json = match arg {
                Arg::Input(at) => values.get(*at).map_or(Json::Null, Value::to_json),
                Arg::Template(template) => {
                    template.render_json(values).map_err(|error| render_error(&error))?
                }
                Arg::Constant(json) => json.clone(),
            };
            row.insert(name.clone(), json);
        }
        Ok(Json::Object(row))
    }
}

/// The source of a stored function as it is now.
async fn stored(store: &dyn Store, name: &str) -> Result<String> {
    // A name never begins with a digit.
    let id = name.parse::<i64>().ok();
    let items = store.items(ITEM, None).await?;
    let Some(item) = items.iter().find(|item| item.name == name || Some(item.id) == id) else {
        let names = items.iter().map(|item| item.name.as_str());
        return Err(Error::Config {
            field: "config.function".to_owned(),
            problem: format!("there is no function {name:?}; make it, or name another"),
            did_you_mean: suggest(name, names).map(str::to_owned),
        });
    };
    Ok(item.body.get("source").and_then(Json::as_str).unwrap_or_default().to_owned())
}

#[async_trait]
impl Local for FunctionColumn {
    fn inputs(&self) -> &[ColumnId] {
        &self.inputs
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }

    async fn fill(&self, tools: &Tools, column: &Column, rows: &[Task]) -> Result<Vec<Filled>> {
        let Some(host) = &tools.functions else {
            let problem = "this process runs no functions; `paceline serve` does";
            return Err(Error::Conflict(problem.into()));
        };
        let source = match &self.script {
            Script::Known(source) => source,
            Script::Stored(name) => {
                return Err(Error::Internal(format!("the function {name:?} was not looked up")));
            }
        };
        let _busy = tools.clock.busy();
        // As many at once as the host has children.
        let calls = rows.iter().map(|task| async {
            let row = self.row(&task.inputs)?;
            plain::made(host.call(source, &row).await, column)
        });
        Ok(join_all(calls).await)
    }
}
