//! What a simulated Hex is like: projects, limits, tokens, and how its answers look.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::fault::HexFaultLaw;
use super::group::HexGroupName;
use super::run::HexStatus;
use crate::{ConfigError, Law, Limit, Policy, RateHeaders, RetryAfter};

/// How many projects the default has.
pub const HEX_PROJECTS_DEFAULT: u32 = 10;
/// The most projects one simulator serves.
pub const HEX_PROJECTS_MAX: usize = 10_000;
/// The most tokens that may be named, and the most that are remembered as revoked.
pub const HEX_TOKENS_MAX: usize = 64;

/// What a simulated Hex is like. The default is friendly: ten published projects whose runs end COMPLETED after two
/// seconds, no limits, no faults, and any bearer token is good.
#[derive(Clone, Debug)]
pub struct HexConfig {
    /// What can be run, in the order of creation.
    pub projects: Vec<HexProject>,
    /// The limits of one user; a token belongs to a user, so every token shares them.
    pub limits: HexLimits,
    /// How many runs may be PENDING or RUNNING before a further start is answered 503; none is any number. Hex: 25.
    pub kernels: Option<u32>,
    /// The bearer tokens that are good; empty: any.
    pub tokens: Vec<String>,
    /// What goes wrong.
    pub faults: HexFaultLaw,
    /// The one-way delay before a call is counted, and again on its way back.
    pub net: Law,
    /// From a cancellation to the end of the run.
    pub cancel: Law,
    /// What a cancellation of a run that has ended is answered. Hex does not document it.
    pub cancel_ended_status: u16,
    /// Which shape errors have.
    pub errors: HexErrors,
    /// How a run tells the version of its project.
    pub version_form: HexVersionForm,
    /// How a 429 says when to come back.
    pub retry_after: RetryAfter,
    /// Which headers tell what is left. Hex says that there are some and not how they are called.
    pub rate_headers: RateHeaders,
    /// Where all chance comes from.
    pub seed: u64,
}

/// The limits of the three groups. Each call counts in the overall group too.
#[derive(Clone, Debug, Default)]
pub struct HexLimits {
    /// RunProject. Hex: 20/min and 60/h.
    pub runs: HexGroup,
    /// GetProject, GetProjectRuns and GetRunStatus. Hex: 30/min and 1800/h.
    pub reads: HexGroup,
    /// Every call of the user, ListProjects and CancelRun included. Hex: 60/min in a window that its first call opens.
    pub overall: HexGroup,
}

/// The limits of one group and how they are enforced.
#[derive(Clone, Debug)]
pub struct HexGroup {
    /// Limits that all must accept; empty: none.
    pub limits: Vec<Limit>,
    /// How they are enforced.
    pub policy: Policy,
}

/// One project.
#[derive(Clone, Debug)]
pub struct HexProject {
    /// Its id, as it stands in paths.
    pub id: String,
    /// Its name.
    pub title: String,
    /// How long a run waits PENDING, in ms.
    pub pending: Law,
    /// How long a run is RUNNING, in ms.
    pub run: Law,
    /// What its runs end as. PENDING and RUNNING: they stay so until cancelled.
    pub ends: HexStatus,
    /// Whether it has a published version. Without one it cannot be run (422).
    pub published: bool,
    /// Whether the user may not touch it (403).
    pub forbidden: bool,
    /// The version that is run.
    pub version: u32,
    /// Whether it is archived, and so listed only on request.
    pub archived: bool,
    /// Whether it is in the trash, and so listed only on request.
    pub trashed: bool,
    /// Whether it is a component, and so listed only on request.
    pub component: bool,
    /// The inputs of its app and their types; a value of another type is refused (422), other names are ignored.
    pub inputs: BTreeMap<String, HexInput>,
}

/// What an input of an app takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HexInput {
    /// A number.
    Number,
    /// A text.
    String,
    /// True or false.
    Boolean,
}

/// Which shape errors have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HexErrors {
    /// As documented: the newer shape, and the older one for ListProjects and CancelRun.
    #[default]
    Documented,
    /// `{code, message, issues?}` everywhere.
    New,
    /// `{reason, details?, traceId}` everywhere.
    Old,
    /// A page of HTML, as a proxy in between would answer.
    Html,
}

/// How a run tells the version of its project. The answer to RunProject always has an integer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HexVersionForm {
    /// `"3"`.
    #[default]
    String,
    /// `3`, as an earlier reference page has it.
    Int,
    /// `"draft"`.
    Draft,
}

impl Default for HexConfig {
    fn default() -> Self {
        Self {
            projects: (1..=HEX_PROJECTS_DEFAULT).map(HexProject::numbered).collect(),
            limits: HexLimits::default(),
            kernels: None,
            tokens: Vec::new(),
            faults: HexFaultLaw::none(),
            net: Law::ZERO,
            cancel: Law::ZERO,
            cancel_ended_status: 422,
            errors: HexErrors::default(),
            version_form: HexVersionForm::default(),
            retry_after: RetryAfter::default(),
            rate_headers: RateHeaders::default(),
            seed: 0,
        }
    }
}

impl HexConfig {
    /// Where each project stands, by its id, if everything fits together.
    pub(super) fn places(&self) -> Result<HashMap<String, usize>, ConfigError> {
        let too_many = |what: &str, count: usize, most: usize| {
            ConfigError::Together(format!("{count} {what} are too many; a Hex has at most {most}"))
        };
        if self.projects.len() > HEX_PROJECTS_MAX {
            return Err(too_many("projects", self.projects.len(), HEX_PROJECTS_MAX));
        }
        if self.tokens.len() > HEX_TOKENS_MAX {
            return Err(too_many("tokens", self.tokens.len(), HEX_TOKENS_MAX));
        }
        if self.cancel_ended_status != 204 && !(400..500).contains(&self.cancel_ended_status) {
            return Err(ConfigError::Together(format!(
                "the status of cancelling an ended run is {}; use 204 or one of 400 to 499",
                self.cancel_ended_status
            )));
        }
        let mut places = HashMap::new();
        for (place, project) in self.projects.iter().enumerate() {
            if project.id.is_empty() || places.insert(project.id.clone(), place).is_some() {
                return Err(ConfigError::Together(format!(
                    "project id `{}` is empty or stands there twice; give each project its own",
                    project.id
                )));
            }
        }
        Ok(places)
    }
}

impl Default for HexGroup {
    fn default() -> Self {
        Self { limits: Vec::new(), policy: Policy::FIXED }
    }
}

impl HexLimits {
    /// What Hex documents, all under `policy`: 20/min and 60/h for starts, 30/min and 1800/h for reads, 60/min for all.
    ///
    /// ```
    /// use paceline_lab::{HexLimits, Policy};
    /// assert_eq!(HexLimits::documented(&Policy::FirstCall).runs.limits.len(), 2);
    /// ```
    #[must_use]
    pub fn documented(policy: &Policy) -> Self {
        let group = |limits: &[(u64, u64)]| HexGroup {
            limits: limits
                .iter()
                .filter_map(|(count, s)| {
                    Limit::new(*count, std::time::Duration::from_secs(*s)).ok()
                })
                .collect(),
            policy: policy.clone(),
        };
        Self {
            runs: group(&[(20, 60), (60, 3600)]),
            reads: group(&[(30, 60), (1800, 3600)]),
            overall: group(&[(60, 60)]),
        }
    }

    /// The limits of one group.
    #[must_use]
    pub fn group(&self, name: HexGroupName) -> &HexGroup {
        match name {
            HexGroupName::Runs => &self.runs,
            HexGroupName::Reads => &self.reads,
            HexGroupName::Overall => &self.overall,
        }
    }

    /// The limits of one group, to change them.
    pub fn group_mut(&mut self, name: HexGroupName) -> &mut HexGroup {
        match name {
            HexGroupName::Runs => &mut self.runs,
            HexGroupName::Reads => &mut self.reads,
            HexGroupName::Overall => &mut self.overall,
        }
    }
}

impl HexProject {
    /// A published project whose runs are RUNNING for two seconds and end COMPLETED.
    #[must_use]
    pub fn new(id: impl Into<String>, title: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            title: title.into(),
            pending: Law::ZERO,
            run: Law::millis(2_000),
            ends: HexStatus::Completed,
            published: true,
            forbidden: false,
            version: 3,
            archived: false,
            trashed: false,
            component: false,
            inputs: BTreeMap::new(),
        }
    }

    /// The project of the default with this number: `00000000-0000-4000-8000-` and the number in 12 digits.
    ///
    /// ```
    /// use paceline_lab::HexProject;
    /// assert_eq!(HexProject::numbered(7).id, "00000000-0000-4000-8000-000000000007");
    /// ```
    #[must_use]
    pub fn numbered(number: u32) -> Self {
        Self::new(format!("00000000-0000-4000-8000-{number:012}"), format!("Project {number}"))
    }
}
