//! The configuration of an `integration` smart column as users write it: read, sealed, opened, masked.

use paceline_hex::Options;
use serde_json::{Map, Value as Json};

use crate::secret::{self, MASK, Sealer};
use crate::{Error, Result};

/// The one whose jobs these are.
const PROVIDER: &str = "hex";
/// The services that columns of kind `integration` call; `kind::read` has the others read elsewhere.
const PROVIDERS: [&str; 3] = [PROVIDER, "webhook", "slack"];
/// The fields that say what a row's job is; the others are the provider's [`Options`].
const FIELDS: [&str; 8] = [
    "provider",
    "project",
    "params",
    "view_id",
    "use_cached_sql_results",
    "update_published_results",
    "notifications",
    "token",
];
/// What the column's rate says, so that there is one place for it.
const OF_THE_RATE: [(&str, &str); 2] =
    [("trigger_limits", "limits"), ("min_spacing_ms", "min_spacing_ms")];

/// The configuration as users write it. `project`, `view_id` and every text inside `params` are templates; one that is
/// nothing but a column gives that column's value as it is, a number as a number.
///
/// ```
/// use paceline_engine::IntegrationSpec;
/// use serde_json::json;
///
/// let config = json!({
///     "provider": "hex", "project": "{{project_id}}", "params": {"region": "{{region}}"}, "poll_interval_ms": 10_000
/// });
/// assert_eq!(IntegrationSpec::from_json(&config).unwrap().to_json(), config);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IntegrationSpec {
    /// Which service; `hex`.
    pub provider: String,
    /// The project's id.
    pub project: String,
    /// Values for the inputs of the project, by name. One that comes out as null is not sent.
    pub params: Map<String, Json>,
    /// A template that yields all of them as one object, such as `{{params}}`: the field `params` as a text.
    pub params_template: Option<String>,
    /// A saved view instead of parameters.
    pub view_id: Option<String>,
    /// See [`paceline_hex::Job::use_cached_sql_results`].
    pub use_cached_sql_results: Option<bool>,
    /// See [`paceline_hex::Job::update_published_results`].
    pub update_published_results: Option<bool>,
    /// See [`paceline_hex::Job::notifications`].
    pub notifications: Vec<Json>,
    /// The service's token; if not given, the engine's own source says it.
    pub token: Option<String>,
    /// The provider's settings as they were given: fields of [`Options`].
    pub options: Map<String, Json>,
}

impl IntegrationSpec {
    /// Reads a configuration.
    ///
    /// # Errors
    /// [`Error::Config`] names the field; it never repeats a token.
    pub fn from_json(json: &Json) -> Result<Self> {
        let Some(fields) = json.as_object() else {
            return Err(Error::config("config", "must be an object with provider and project"));
        };
        check_provider(fields.get("provider"))?;
        let known = option_names();
        for name in fields.keys() {
            check_name(name, &known)?;
        }
        let spec = Self {
            provider: text(fields, "provider")?.unwrap_or_default(),
            project: text(fields, "project")?
                .ok_or_else(|| Error::config("config.project", "is required: a project's id"))?,
            params: match fields.get("params") {
                Some(Json::String(_)) => Map::new(),
                _ => object(fields, "params")?,
            },
            params_template: fields.get("params").and_then(Json::as_str).map(str::to_owned),
            view_id: text(fields, "view_id")?,
            use_cached_sql_results: flag(fields, "use_cached_sql_results")?,
            update_published_results: flag(fields, "update_published_results")?,
            notifications: list(fields, "notifications")?,
            token: text(fields, "token")?,
            options: fields
                .iter()
                .filter(|(name, value)| !FIELDS.contains(&name.as_str()) && !value.is_null())
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        };
        spec.options()?;
        Ok(spec)
    }

    /// The configuration as JSON, for the store.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let mut json = Map::new();
        json.insert("provider".to_owned(), Json::from(self.provider.as_str()));
        json.insert("project".to_owned(), Json::from(self.project.as_str()));
        let mut put = |name: &str, value: Option<Json>| {
            if let Some(value) = value {
                json.insert(name.to_owned(), value);
            }
        };
        put("params", (!self.params.is_empty()).then(|| Json::Object(self.params.clone())));
        put("params", self.params_template.clone().map(Json::from));
        put("view_id", self.view_id.clone().map(Json::from));
        put("use_cached_sql_results", self.use_cached_sql_results.map(Json::from));
        put("update_published_results", self.update_published_results.map(Json::from));
        let notifications = &self.notifications;
        put("notifications", (!notifications.is_empty()).then(|| notifications.clone().into()));
        put("token", self.token.clone().map(Json::from));
        json.extend(self.options.clone());
        Json::Object(json)
    }

    /// The provider's settings, with the default of each that is not given. Its trigger limits are the column's rate.
    ///
    /// # Errors
    /// [`Error::Config`] names the setting.
    pub fn options(&self) -> Result<Options> {
        for (name, value) in &self.options {
            // One by one: only so does the fault have a field.
            let one = Map::from_iter([(name.clone(), value.clone())]);
            if let Err(error) = serde_json::from_value::<Options>(Json::Object(one)) {
                return Err(Error::config(format!("config.{name}"), error.to_string()));
            }
        }
        let options: Options = serde_json::from_value(Json::Object(self.options.clone()))
            .map_err(|error| Error::config("config", error.to_string()))?;
        options.check().map_err(|error| Error::config("config", error.to_string()))?;
        Ok(options)
    }

    /// With its token sealed for `place`. Without a sealer a token is refused: it would stand in the store in plain text.
    ///
    /// # Errors
    /// [`Error::Config`] if there is a token and no way to seal it.
    pub fn sealed(mut self, sealer: Option<&Sealer>, place: &str) -> Result<Self> {
        let Some(token) = self.token.as_ref().filter(|token| !secret::is_sealed(token)) else {
            return Ok(self);
        };
        if token == MASK {
            let problem = "is the mask that is shown instead of the token; give the token again";
            return Err(Error::config("config.token", problem));
        }
        let sealed = sealer.and_then(|sealer| sealer.seal(token, &token_place(place)));
        let problem = "is a secret, and there is no key to seal it with";
        self.token = Some(sealed.ok_or_else(|| Error::config("config.token", problem))?);
        Ok(self)
    }

    /// With its token opened.
    ///
    /// # Errors
    /// [`Error::Config`] if it does not open: the key of the data directory is not the one it was sealed with.
    pub fn opened(mut self, sealer: Option<&Sealer>, place: &str) -> Result<Self> {
        if let Some(token) = self.token.as_ref().filter(|token| secret::is_sealed(token)) {
            let opened = sealer.and_then(|sealer| sealer.open(token, &token_place(place)));
            let problem = "cannot be opened with this data directory's key; give the token again";
            self.token = Some(opened.ok_or_else(|| Error::config("config.token", problem))?);
        }
        Ok(self)
    }

    /// With `rename` done to each of its templates.
    pub(crate) fn renamed(mut self, rename: &dyn Fn(&str) -> Result<String>) -> Result<Self> {
        self.project = rename(&self.project)?;
        self.view_id = self.view_id.as_deref().map(rename).transpose()?;
        self.params_template = self.params_template.as_deref().map(rename).transpose()?;
        for value in self.params.values_mut() {
            rename_texts(value, rename)?;
        }
        Ok(self)
    }

    /// Everything that decides which job is started for a row, as text: all but the token and how the job is paced and
    /// watched. Two configurations with the same one start the same jobs.
    #[must_use]
    pub fn identity(&self) -> String {
        let options = self.options.iter().filter(|(name, _)| *name == "base_url");
        let options = options.map(|(name, value)| (name.clone(), value.clone())).collect();
        Self { token: None, options, ..self.clone() }.to_json().to_string()
    }

    /// As a person or program may see it.
    #[must_use]
    pub fn masked(mut self) -> Self {
        if self.token.is_some() {
            self.token = Some(MASK.to_owned());
        }
        self
    }
}

fn check_provider(provider: Option<&Json>) -> Result<()> {
    let there_are = PROVIDERS.join(", ");
    let name = match provider {
        None => {
            let problem = format!("is required: which service ({there_are})");
            return Err(Error::config("config.provider", problem));
        }
        Some(name) => name.as_str().unwrap_or_default(),
    };
    if name == PROVIDER {
        return Ok(());
    }
    let shown: String = name.chars().take(40).collect();
    Err(Error::Config {
        field: "config.provider".to_owned(),
        problem: format!("there is no provider {shown:?}; there is: {there_are}"),
        did_you_mean: paceline_model::suggest(name, PROVIDERS).map(str::to_owned),
    })
}

fn check_name(name: &str, options: &[String]) -> Result<()> {
    let shown: String = name.chars().take(40).collect();
    let field = format!("config.{shown}");
    if let Some((_, of_the_rate)) = OF_THE_RATE.iter().find(|(option, _)| *option == name) {
        let problem = format!("belongs to the column's rate; write it as rate_limit.{of_the_rate}");
        return Err(Error::config(field, problem));
    }
    let known = || FIELDS.into_iter().chain(options.iter().map(String::as_str));
    if known().any(|known| known == name) {
        return Ok(());
    }
    let all = known().collect::<Vec<_>>().join(", ");
    Err(Error::Config {
        field,
        problem: format!("there is no such field; the fields are {all}"),
        did_you_mean: paceline_model::suggest(name, known()).map(str::to_owned),
    })
}

/// The fields of the provider's settings that a configuration may have.
fn option_names() -> Vec<String> {
    let options = serde_json::to_value(Options::default()).unwrap_or_default();
    let names = options.as_object().into_iter().flat_map(Map::keys);
    names.filter(|name| OF_THE_RATE.iter().all(|(taken, _)| taken != name)).cloned().collect()
}

/// The field, if it is given and is not null; `wanted` is what it must be. The text repeats no value: it may be a token.
fn typed<'j, T>(
    fields: &'j Map<String, Json>,
    name: &str,
    wanted: &str,
    read: impl FnOnce(&'j Json) -> Option<T>,
) -> Result<Option<T>> {
    match fields.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(value) => match read(value) {
            Some(value) => Ok(Some(value)),
            None => Err(Error::config(format!("config.{name}"), format!("must be {wanted}"))),
        },
    }
}

fn text(fields: &Map<String, Json>, name: &str) -> Result<Option<String>> {
    Ok(typed(fields, name, "text", Json::as_str)?.map(str::to_owned))
}

fn flag(fields: &Map<String, Json>, name: &str) -> Result<Option<bool>> {
    typed(fields, name, "true or false", Json::as_bool)
}

fn object(fields: &Map<String, Json>, name: &str) -> Result<Map<String, Json>> {
    Ok(typed(fields, name, "an object", Json::as_object)?.cloned().unwrap_or_default())
}

fn list(fields: &Map<String, Json>, name: &str) -> Result<Vec<Json>> {
    Ok(typed(fields, name, "a list", Json::as_array)?.cloned().unwrap_or_default())
}

/// Every text inside a parameter is a template; how deep they lie was checked when they came in.
fn rename_texts(json: &mut Json, rename: &dyn Fn(&str) -> Result<String>) -> Result<()> {
    match json {
        Json::String(text) => *text = rename(text)?,
        Json::Array(items) => items.iter_mut().try_for_each(|item| rename_texts(item, rename))?,
        Json::Object(fields) => {
            fields.values_mut().try_for_each(|value| rename_texts(value, rename))?;
        }
        _ => {}
    }
    Ok(())
}

fn token_place(place: &str) -> String {
    format!("{place}.token")
}
