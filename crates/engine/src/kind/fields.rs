//! The fields of a configuration, read one by one, in words that never repeat a value: it may be a secret.

use serde_json::{Map, Value as Json};

use crate::{Error, Result};

/// The fields of one configuration.
pub(super) struct Fields<'a>(&'a Map<String, Json>);

impl<'a> Fields<'a> {
    /// Of an object that has none but `known` fields; `at` is where it stands.
    pub(super) fn of(json: &'a Json, at: &str, known: &[&str]) -> Result<Self> {
        let Some(fields) = json.as_object() else {
            return Err(Error::config(at, format!("must be an object of {}", known.join(", "))));
        };
        if let Some(name) = fields.keys().find(|name| !known.contains(&name.as_str())) {
            let shown: String = name.chars().take(40).collect();
            return Err(Error::Config {
                field: format!("{at}.{shown}"),
                problem: format!("there is no such field; the fields are {}", known.join(", ")),
                did_you_mean: paceline_model::suggest(name, known.iter().copied())
                    .map(str::to_owned),
            });
        }
        Ok(Self(fields))
    }

    /// A field of any type; null is as if it were not there.
    pub(super) fn any(&self, name: &str) -> Option<&'a Json> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A text.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>> {
        Ok(self.typed(name, "text", Json::as_str)?.map(str::to_owned))
    }

    /// A whole number.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>> {
        self.typed(name, "a whole number", Json::as_u64)
    }

    fn typed<T>(
        &self,
        name: &str,
        wanted: &str,
        read: impl FnOnce(&'a Json) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.any(name) else { return Ok(None) };
        let fault = || Error::config(format!("config.{name}"), format!("must be {wanted}"));
        read(value).map(Some).ok_or_else(fault)
    }
}
