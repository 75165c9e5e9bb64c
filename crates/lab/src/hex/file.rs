//! A simulated Hex described in JSON: everything but what the lab's own flags say (network, headers, seed).

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::{Deserializer, Error};

use super::config::{
    HexConfig, HexErrors, HexGroup, HexInput, HexLimits, HexProject, HexVersionForm,
};
use super::fault::HexFaultLaw;
use super::run::HexStatus;
use crate::{ConfigError, Law, Limit, Policy};

/// The description. What it does not name is as in the default of [`HexConfig`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    projects: Option<Vec<Project>>,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    policy: Written<Policy>,
    kernels: Option<u32>,
    #[serde(default)]
    tokens: Vec<String>,
    #[serde(default)]
    faults: Written<HexFaultLaw>,
    #[serde(default)]
    cancel_ms: Written<Law>,
    cancel_ended_status: Option<u16>,
    errors: Option<HexErrors>,
    version_form: Option<HexVersionForm>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Limits {
    runs: Vec<Written<Limit>>,
    reads: Vec<Written<Limit>>,
    overall: Vec<Written<Limit>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Project {
    id: String,
    title: Option<String>,
    #[serde(default)]
    pending_ms: Written<Law>,
    #[serde(default)]
    run_ms: Written<Law>,
    ends: Option<Written<HexStatus>>,
    published: Option<bool>,
    #[serde(default)]
    forbidden: bool,
    version: Option<u32>,
    #[serde(default)]
    archived: bool,
    #[serde(default)]
    trashed: bool,
    #[serde(default)]
    component: bool,
    #[serde(default)]
    inputs: BTreeMap<String, HexInput>,
}

/// A value in the form that flags have: a text, or a number where that is one. None if it does not stand there.
#[derive(Debug)]
struct Written<T>(Option<T>);

impl<T> Default for Written<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for Written<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            Number(serde_json::Number),
        }
        let text = match Form::deserialize(deserializer)? {
            Form::Text(text) => text,
            Form::Number(number) => number.to_string(),
        };
        text.parse().map(|value| Self(Some(value))).map_err(D::Error::custom)
    }
}

impl HexConfig {
    /// Reads a description in JSON. What it does not name stays as in the default; so do network, headers and seed.
    ///
    /// ```
    /// use paceline_lab::HexConfig;
    ///
    /// let config = HexConfig::from_json(r#"{
    ///     "projects": [
    ///         {"id": "daily", "title": "Daily report", "run_ms": "500..900", "pending_ms": 100},
    ///         {"id": "broken", "ends": "ERRORED"},
    ///         {"id": "draft", "published": false}
    ///     ],
    ///     "limits": {"runs": ["20/min", "60/h"], "reads": ["30/min"], "overall": ["60/min"]},
    ///     "policy": "first_call", "kernels": 25, "tokens": ["secret"],
    ///     "faults": "drop-after-start:#3,500-on-read:0.1"
    /// }"#)?;
    /// assert_eq!((config.projects.len(), config.kernels), (3, Some(25)));
    /// # Ok::<(), paceline_lab::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// If it is not JSON, or names something that nobody knows, with the line and the column.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        let file: File = serde_json::from_str(text)
            .map_err(|error| ConfigError::Together(format!("the description of Hex: {error}")))?;
        let config = Self::default();
        Ok(Self {
            projects: match file.projects {
                Some(projects) => projects.into_iter().map(HexProject::from).collect(),
                None => config.projects,
            },
            limits: file.limits.under(&file.policy.0.unwrap_or(Policy::FIXED)),
            kernels: file.kernels,
            tokens: file.tokens,
            faults: file.faults.0.unwrap_or_default(),
            cancel: file.cancel_ms.0.unwrap_or_default(),
            cancel_ended_status: file.cancel_ended_status.unwrap_or(config.cancel_ended_status),
            errors: file.errors.unwrap_or(config.errors),
            version_form: file.version_form.unwrap_or(config.version_form),
            ..config
        })
    }
}

impl Limits {
    fn under(self, policy: &Policy) -> HexLimits {
        let group = |limits: Vec<Written<Limit>>| HexGroup {
            limits: limits.into_iter().filter_map(|limit| limit.0).collect(),
            policy: policy.clone(),
        };
        HexLimits { runs: group(self.runs), reads: group(self.reads), overall: group(self.overall) }
    }
}

impl From<Project> for HexProject {
    fn from(file: Project) -> Self {
        let title = file.title.unwrap_or_else(|| file.id.clone());
        let project = Self::new(file.id, title);
        Self {
            pending: file.pending_ms.0.unwrap_or(project.pending),
            run: file.run_ms.0.unwrap_or(project.run),
            ends: file.ends.and_then(|ends| ends.0).unwrap_or(project.ends),
            published: file.published.unwrap_or(project.published),
            forbidden: file.forbidden,
            version: file.version.unwrap_or(project.version),
            archived: file.archived,
            trashed: file.trashed,
            component: file.component,
            inputs: file.inputs,
            ..project
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_named_is_the_default() {
        let (read, default) = (HexConfig::from_json("{}").unwrap(), HexConfig::default());
        assert_eq!(format!("{read:?}"), format!("{default:?}"));
    }

    #[test]
    fn every_name_is_read() {
        let text = r#"{
            "projects": [{
                "id": "p", "title": "P", "pending_ms": "1..2", "run_ms": 7, "ends": "KILLED",
                "published": false, "forbidden": true, "version": 9, "archived": true,
                "trashed": true, "component": true,
                "inputs": {"a": "number", "b": "string", "c": "boolean"}
            }],
            "limits": {"runs": ["1/s"], "reads": ["2/s"], "overall": ["3/s", "4/min"]},
            "policy": "log", "kernels": 25, "tokens": ["t"], "faults": "killed:#1",
            "cancel_ms": "exp:5", "cancel_ended_status": 204, "errors": "old", "version_form": "draft"
        }"#;
        let config = HexConfig::from_json(text).unwrap();
        let project = &config.projects[0];
        assert_eq!((project.id.as_str(), project.title.as_str(), project.version), ("p", "P", 9));
        assert_eq!(
            (project.pending.to_string(), project.run.to_string()),
            ("1..2".into(), "7".into())
        );
        assert_eq!((project.ends, project.inputs.len()), (HexStatus::Killed, 3));
        assert!(!project.published && project.forbidden && project.archived);
        assert!(project.trashed && project.component);
        assert_eq!(config.limits.overall.limits.len(), 2);
        assert_eq!(config.limits.runs.policy, Policy::LOG);
        assert_eq!((config.kernels, config.tokens.len()), (Some(25), 1));
        assert_eq!(
            (config.faults.to_string(), config.cancel.to_string()),
            ("killed:#1".into(), "exp:5".into())
        );
        assert_eq!((config.cancel_ended_status, config.errors), (204, HexErrors::Old));
        assert_eq!(config.version_form, HexVersionForm::Draft);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (text, part) in [
            ("", "line 1"),
            ("[]", "line 1"),
            (r#"{"project": []}"#, "unknown field `project`"),
            (r#"{"projects": [{"title": "x"}]}"#, "missing field `id`"),
            (r#"{"projects": [{"id": "x", "run_ms": "9..1"}]}"#, "9..1"),
            (r#"{"projects": [{"id": "x", "ends": "DONE"}]}"#, "COMPLETED"),
            (r#"{"limits": {"runs": ["20"]}}"#, "there is no `/`"),
            (r#"{"limits": {"polls": []}}"#, "unknown field `polls`"),
            (r#"{"policy": "leaky"}"#, "leaky"),
            (r#"{"faults": "teapot:1"}"#, "teapot"),
            (r#"{"kernels": -1}"#, "-1"),
            (r#"{"errors": "strange"}"#, "strange"),
        ] {
            let error = HexConfig::from_json(text).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains("Hex"), "{text}: {error}");
        }
    }
}
