//! What the kinds have in common that call nobody: how their configuration is read, and how a value becomes a cell's.

use std::sync::Arc;

use paceline_clock::Clock;
use paceline_model::{CellError, Column, Store, Value, suggest};
use paceline_script::{FunctionHost, Pool, ScriptError};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};

use crate::labels::Labels;
use crate::task::cell_error;
use crate::{EngineConfig, Error, Result, extract};

/// What filling cells may use.
#[derive(Clone)]
pub(crate) struct Tools {
    pub(crate) store: Arc<dyn Store>,
    /// Stands still in a simulation while something outside it is at work.
    pub(crate) clock: Clock,
    pub(crate) formulas: Pool,
    pub(crate) functions: Option<FunctionHost>,
}

impl Tools {
    pub(crate) fn new(store: Arc<dyn Store>, clock: Clock, config: &EngineConfig) -> Self {
        Self {
            store,
            clock,
            formulas: config.formulas.clone(),
            functions: config.functions.clone(),
        }
    }
}

/// What a row's cell comes to.
pub(crate) type Filled = std::result::Result<Value, CellError>;

/// What [`KindSpec`](super::KindSpec) asks for and a configuration without secrets has no answer to.
macro_rules! without_secrets {
    () => {
        fn to_json(&self) -> serde_json::Value {
            serde_json::to_value(self).unwrap_or(serde_json::Value::Null)
        }

        fn sealed(
            self: Box<Self>,
            _: Option<&crate::Sealer>,
            _: &str,
        ) -> crate::Result<Box<dyn super::KindSpec>> {
            Ok(self)
        }

        fn opened(
            self: Box<Self>,
            _: Option<&crate::Sealer>,
            _: &str,
        ) -> crate::Result<Box<dyn super::KindSpec>> {
            Ok(self)
        }

        fn masked(self: Box<Self>) -> Box<dyn super::KindSpec> {
            self
        }

        fn boxed(&self) -> Box<dyn super::KindSpec> {
            Box::new(self.clone())
        }
    };
}
pub(crate) use without_secrets;

/// Reads a configuration all of whose fields may be left out.
///
/// # Errors
/// The field: one that is not there, with what was probably meant, or one of the wrong type.
pub(crate) fn read<T: DeserializeOwned>(config: &Json, fields: &[&str]) -> Result<T> {
    let Some(given) = config.as_object() else {
        let problem = format!("must be an object with the fields {}", fields.join(", "));
        return Err(Error::config("config", problem));
    };
    for (name, value) in given {
        let field = format!("config.{}", name.chars().take(40).collect::<String>());
        if !fields.contains(&name.as_str()) {
            return Err(Error::Config {
                field,
                problem: format!("there is no such field; the fields are {}", fields.join(", ")),
                did_you_mean: suggest(name, fields.iter().copied()).map(str::to_owned),
            });
        }
        let one = Map::from_iter([(name.clone(), value.clone())]);
        T::deserialize(Json::Object(one))
            .map_err(|error| Error::config(field, error.to_string()))?;
    }
    T::deserialize(config).map_err(|error| Error::config("config", error.to_string()))
}

/// The other error of a field that has to be there.
pub(crate) fn required(field: &str, takes: &str) -> Error {
    Error::config(format!("config.{field}"), format!("is required: {takes}"))
}

/// Where a column of that name stands among the labels.
pub(crate) fn position(labels: &Labels<'_>, field: &str, name: &str) -> Result<usize> {
    labels.names.iter().position(|label| *label == name).ok_or_else(|| Error::Config {
        field: format!("config.{field}"),
        problem: format!("there is no column {name:?}"),
        did_you_mean: suggest(name, labels.names.iter().copied()).map(str::to_owned),
    })
}

/// The new name of what `name` means, if `rename` gives it another.
pub(crate) fn renamed_name(name: &str, rename: super::Rename<'_>) -> Option<String> {
    let template = format!("{{{{{name}}}}}");
    let renamed = rename(&template).ok().filter(|renamed| *renamed != template)?;
    let inside = renamed.strip_prefix("{{")?.strip_suffix("}}")?;
    Some(inside.to_owned())
}

/// The fault of a configuration's script.
pub(crate) fn script_error(field: &str, error: &ScriptError) -> Error {
    Error::config(format!("config.{field}"), error.to_string())
}

/// A script's value as the column has it, or its error as the cell has it.
pub(crate) fn made(outcome: std::result::Result<Json, ScriptError>, column: &Column) -> Filled {
    let json = outcome.map_err(|error| cell_error(error.code.as_str(), error.to_string()))?;
    typed(json, column)
}

/// JSON as a value of the column.
pub(crate) fn typed(json: Json, column: &Column) -> Filled {
    extract::typed(json, column).map_err(|error| CellError {
        message: error.message.replacen("the reply", "the value", 1),
        ..error
    })
}
