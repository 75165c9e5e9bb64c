//! A job: which project to run, with what.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The longest id, in bytes. Hex's are UUIDs of 36; what is longer is no id.
pub(crate) const ID_BYTES_MAX: usize = 200;

/// A run's id, as Hex gave it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub String);

impl RunId {
    /// Whether it can be the id of a run at all: one short word of ASCII, and no path.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let text = self.0.as_str();
        !text.is_empty()
            && text.len() <= ID_BYTES_MAX
            && text.bytes().all(|byte| byte.is_ascii_graphic())
            && !matches!(text, "." | "..")
    }
}

impl std::fmt::Display for RunId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// One run to start. Fields that are absent are not sent at all: Hex answers 422 to `inputParams: null`.
///
/// ```
/// use paceline_hex::Job;
/// let job = Job::new("00000000-0000-4000-8000-000000000001").param("region", "EMEA");
/// assert!(job.check().is_ok());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Job {
    /// The project's id.
    pub project: String,
    /// Values for the inputs of the published app, by name (`inputParams`).
    pub params: Map<String, Value>,
    /// A saved view instead of parameters (`viewId`).
    pub view_id: Option<String>,
    /// False runs SQL uncached (`useCachedSqlResults`; Hex's default is true).
    pub use_cached_sql_results: Option<bool>,
    /// Whether the published app shows this run's results (`updatePublishedResults`; Hex's default is false).
    pub update_published_results: Option<bool>,
    /// Whom Hex tells about the end, as Hex's reference has it (`notifications`).
    pub notifications: Vec<Value>,
}

impl Job {
    /// A run of this project without parameters.
    #[must_use]
    pub fn new(project: impl Into<String>) -> Self {
        Self { project: project.into(), ..Self::default() }
    }

    /// With this parameter.
    #[must_use]
    pub fn param(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.params.insert(name.into(), value.into());
        self
    }

    /// Whether Hex could take it at all.
    ///
    /// # Errors
    /// [`JobError`] names what Hex would refuse (or, worse, quietly ignore).
    pub fn check(&self) -> Result<(), JobError> {
        let error = |text: &str| Err(JobError(text.to_owned()));
        let id = self.project.as_str();
        if id.is_empty() || id.len() > ID_BYTES_MAX || !id.bytes().all(|b| b.is_ascii_graphic()) {
            return error(
                "the project's id must be one word of 1 to 200 bytes; copy it from the project's address",
            );
        }
        if matches!(id, "." | "..") {
            return error("the project's id is a path; copy it from the project's address");
        }
        if self.view_id.is_some() && !self.params.is_empty() {
            return error(
                "a run takes parameters or a saved view, not both; leave one of them out",
            );
        }
        if self.update_published_results == Some(true) && !self.params.is_empty() {
            return error(
                "a run that updates the published results takes no parameters; leave one of them out",
            );
        }
        Ok(())
    }

    /// The body of the POST.
    pub(crate) fn body(&self) -> Bytes {
        let mut body = Map::new();
        if !self.params.is_empty() {
            body.insert("inputParams".to_owned(), Value::Object(self.params.clone()));
        }
        if let Some(view) = &self.view_id {
            body.insert("viewId".to_owned(), Value::from(view.as_str()));
        }
        let flags = [
            ("useCachedSqlResults", self.use_cached_sql_results),
            ("updatePublishedResults", self.update_published_results),
        ];
        for (name, flag) in flags {
            if let Some(flag) = flag {
                body.insert(name.to_owned(), Value::from(flag));
            }
        }
        if !self.notifications.is_empty() {
            body.insert("notifications".to_owned(), Value::from(self.notifications.clone()));
        }
        Bytes::from(Value::Object(body).to_string())
    }
}

/// A job that Hex could not take, and what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JobError(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hex_refuses_is_refused_here() {
        let good = Job::new("p").param("a", 1);
        let view = Some("v".to_owned());
        let cases = [
            (good.clone(), true),
            (Job::new("p"), true),
            (Job { view_id: view.clone(), ..Job::new("p") }, true),
            (Job { view_id: view, ..good.clone() }, false),
            (Job { update_published_results: Some(true), ..good.clone() }, false),
            (Job { update_published_results: Some(false), ..good }, true),
            (Job::new(""), false),
            (Job::new("a b"), false),
            (Job::new(".."), false),
            (Job::new("x".repeat(201)), false),
        ];
        for (job, fine) in cases {
            assert_eq!(job.check().is_ok(), fine, "{job:?}");
        }
    }

    #[test]
    fn absent_fields_are_not_sent() {
        assert_eq!(Job::new("p").body(), "{}");
        let job = Job { use_cached_sql_results: Some(false), ..Job::new("p").param("a", 1) };
        assert_eq!(job.body(), r#"{"inputParams":{"a":1},"useCachedSqlResults":false}"#);
    }
}
