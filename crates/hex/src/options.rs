//! Every setting on one page: its unit, its default, and where the default comes from. JSON names durations `*_ms`.

use std::time::Duration;

use paceline_governor::Limit;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::RetryOptions;
use crate::millis::{list, maybe, one};

/// The longest duration that a setting may have: a day.
const DURATION_MAX: Duration = Duration::from_secs(24 * 3600);
/// Hex's origin for most customers (EU `eu.hex.tech`, HIPAA `hc.hex.tech`, single tenant `<name>.hex.tech`).
const BASE_URL: &str = "https://app.hex.tech";

/// What to do when Hex refuses a run because another one of the project is under way (409; no document of Hex's has it).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Conflict {
    /// Wait for that run's end, then start ours.
    #[default]
    Wait,
    /// Take that run for ours.
    Attach,
    /// Fail with the code `CONFLICT`.
    Fail,
}

/// The settings of a [`Session`](crate::Session).
///
/// ```
/// use paceline_hex::Options;
/// let options: Options = serde_json::from_str(r#"{"poll_interval_ms": 2000, "conflict": "fail"}"#).unwrap();
/// options.check().unwrap();
/// assert_eq!(options.poll_interval.as_secs(), 2);
/// assert_eq!(options.trigger_limits.len(), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Origin of the API, or its address up to `/api/v1`. Default `https://app.hex.tech` (Hex, "API overview").
    pub base_url: String,
    /// RunProject. Default 20/min and 60/h (Hex's reference of 2025; the newest says "may vary").
    #[serde(with = "limits")]
    pub trigger_limits: Vec<Limit>,
    /// GetRunStatus, GetProjectRuns, GetProject together. Default 30/min and 1800/h (Hex, OpenAPI, group hex-api).
    #[serde(with = "limits")]
    pub poll_limits: Vec<Limit>,
    /// Everything of one user together. Default 60/min (Hex, "API overview").
    #[serde(with = "limits")]
    pub overall_limits: Vec<Limit>,
    /// Time from one trigger to the next ("space 5 s apart" of the seed). Default none. It is a limit of one per so long,
    /// beside the others.
    #[serde(rename = "min_spacing_ms", with = "maybe")]
    pub min_spacing: Option<Duration>,
    /// A run is looked at this often, or as rarely as the read limits allow. Default 5 s (seed).
    #[serde(rename = "poll_interval_ms", with = "one")]
    pub poll_interval: Duration,
    /// A run that waits longer for a kernel is stuck. Default 30 min (seed).
    #[serde(rename = "pending_max_ms", with = "one")]
    pub pending_max: Duration,
    /// A run that goes on longer is stuck; counted from its `startTime`. Default 30 min (seed).
    #[serde(rename = "running_max_ms", with = "one")]
    pub running_max: Duration,
    /// Whether a stuck run is cancelled. Default true (seed). If not, it is left alone and its job fails all the same.
    pub cancel_stuck: bool,
    /// How long a cancelled run may take to end. Default 10 min (ours).
    #[serde(rename = "cancel_wait_max_ms", with = "one")]
    pub cancel_wait_max: Duration,
    /// A run of which nothing was heard for so long is given up as unknown. Default 24 h (Hex's longest run).
    #[serde(rename = "unseen_max_ms", with = "one")]
    pub unseen_max: Duration,
    /// The same where Hex answers that there is no such run, or that it is none of ours. Default 5 min (ours).
    #[serde(rename = "gone_max_ms", with = "one")]
    pub gone_max: Duration,
    /// Our runs at once. Default 25 (Hex, "Project kernels": 25 per user, open notebooks included).
    pub kernels: usize,
    /// After Hex had no kernel, one try so often, or when one of our runs ends. Default 30 s (hex.md 4.5).
    #[serde(rename = "kernel_wait_ms", with = "one")]
    pub kernel_wait: Duration,
    /// How long a job waits for a kernel of Hex's before it counts as an error. Default 1 h (ours).
    #[serde(rename = "kernel_wait_max_ms", with = "one")]
    pub kernel_wait_max: Duration,
    /// What to do on 409. Default wait (seed).
    pub conflict: Conflict,
    /// How long a job waits for the other runs of its project on 409. Default 1 h (ours).
    #[serde(rename = "conflict_wait_max_ms", with = "one")]
    pub conflict_wait_max: Duration,
    /// After an ambiguous answer the runs are listed so long after it. Default 2, 10, 30, 60 s (hex.md 1.8).
    #[serde(rename = "settle_waits_ms", with = "list")]
    pub settle_waits: Vec<Duration>,
    /// How long listing is tried when it fails. Default 30 min (ours).
    #[serde(rename = "settle_max_ms", with = "one")]
    pub settle_max: Duration,
    /// Whether a job of which no run was found after an ambiguous answer is started again. Default false: "none yet" is not
    /// "never", and two runs may be the result.
    pub start_again_if_not_found: bool,
    /// A look at a project before its start is taken again so long after it failed. Default 1, 2, 4, 8 s (ours).
    #[serde(rename = "check_waits_ms", with = "list")]
    pub check_waits: Vec<Duration>,
    /// A baseline that is older is listed anew before a POST. Default 5 min (ours).
    #[serde(rename = "baseline_max_age_ms", with = "one")]
    pub baseline_max_age: Duration,
    /// How far Hex's clock may be from ours. Default 2 min (ours).
    #[serde(rename = "clock_skew_max_ms", with = "one")]
    pub clock_skew_max: Duration,
    /// After a 429 that names no wait its group of calls pauses so long. Default 60 s (Hex's window).
    #[serde(rename = "throttle_pause_ms", with = "one")]
    pub throttle_pause: Duration,
    /// From a call's sending to the end of its answer. Default 30 s (ours).
    #[serde(rename = "call_timeout_ms", with = "one")]
    pub call_timeout: Duration,
    /// The longest answer, in bytes. Default 8 MiB: a page of 100 runs with notifications has been seen at some 100 KiB.
    pub reply_bytes_max: usize,
    /// When a job is tried again.
    pub retry: RetryOptions,
}

impl Default for Options {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        let limit = |count, window| Limit::new(count, seconds(window)).ok();
        Self {
            base_url: BASE_URL.to_owned(),
            trigger_limits: [limit(20, 60), limit(60, 3600)].into_iter().flatten().collect(),
            poll_limits: [limit(30, 60), limit(1800, 3600)].into_iter().flatten().collect(),
            overall_limits: limit(60, 60).into_iter().collect(),
            min_spacing: None,
            poll_interval: seconds(5),
            pending_max: seconds(30 * 60),
            running_max: seconds(30 * 60),
            cancel_stuck: true,
            cancel_wait_max: seconds(10 * 60),
            unseen_max: seconds(24 * 3600),
            gone_max: seconds(5 * 60),
            kernels: 25,
            kernel_wait: seconds(30),
            kernel_wait_max: seconds(3600),
            conflict: Conflict::default(),
            conflict_wait_max: seconds(3600),
            settle_waits: [2, 10, 30, 60].map(seconds).to_vec(),
            settle_max: seconds(30 * 60),
            check_waits: [1, 2, 4, 8].map(seconds).to_vec(),
            start_again_if_not_found: false,
            baseline_max_age: seconds(5 * 60),
            clock_skew_max: seconds(2 * 60),
            throttle_pause: seconds(60),
            call_timeout: seconds(30),
            reply_bytes_max: 8 << 20,
            retry: RetryOptions::default(),
        }
    }
}

/// Settings that cannot be: which one, and what it may be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OptionsError(pub(crate) String);

impl Options {
    /// How long it takes at most until it is known what came of a POST, if its job is performed.
    #[must_use]
    pub fn settle_span(&self) -> Duration {
        let last = self.settle_waits.iter().max().copied().unwrap_or_default();
        self.call_timeout * 2 + last
    }

    /// Whether a session can be made from them.
    ///
    /// # Errors
    /// The first setting that cannot be.
    pub fn check(&self) -> Result<(), OptionsError> {
        self.api_url()?;
        let positive = [
            ("poll_interval_ms", self.poll_interval),
            ("pending_max_ms", self.pending_max),
            ("running_max_ms", self.running_max),
            ("cancel_wait_max_ms", self.cancel_wait_max),
            ("unseen_max_ms", self.unseen_max),
            ("gone_max_ms", self.gone_max),
            ("kernel_wait_ms", self.kernel_wait),
            ("kernel_wait_max_ms", self.kernel_wait_max),
            ("conflict_wait_max_ms", self.conflict_wait_max),
            ("settle_max_ms", self.settle_max),
            ("throttle_pause_ms", self.throttle_pause),
            ("call_timeout_ms", self.call_timeout),
        ];
        let bounded = [
            ("min_spacing_ms", self.min_spacing.unwrap_or_default()),
            ("baseline_max_age_ms", self.baseline_max_age),
            ("clock_skew_max_ms", self.clock_skew_max),
        ];
        let settles = self.settle_waits.iter().map(|wait| ("settle_waits_ms", *wait));
        let checks = self.check_waits.iter().map(|wait| ("check_waits_ms", *wait));
        for (name, value) in positive.into_iter().chain(bounded).chain(settles).chain(checks) {
            let least = u64::from(positive.iter().any(|(positive, _)| *positive == name));
            if value > DURATION_MAX || value < Duration::from_millis(least) {
                return Err(OptionsError(format!(
                    "{name} is {} ms; it must be from {least} to 86400000 (a day)",
                    value.as_millis()
                )));
            }
        }
        if self.settle_waits.is_empty() || self.settle_waits.len() > 16 {
            return Err(OptionsError("settle_waits_ms must have 1 to 16 entries".to_owned()));
        }
        if self.check_waits.len() > 16 {
            return Err(OptionsError("check_waits_ms may have 16 entries at most".to_owned()));
        }
        if !(1..=10_000).contains(&self.kernels) {
            return Err(OptionsError("kernels must be from 1 to 10000".to_owned()));
        }
        if !(1_024..=64 << 20).contains(&self.reply_bytes_max) {
            return Err(OptionsError("reply_bytes_max must be from 1024 to 67108864".to_owned()));
        }
        self.retry.check()
    }

    /// Where the API's paths begin, ending in a slash.
    pub(crate) fn api_url(&self) -> Result<Url, OptionsError> {
        let wrong =
            |why: &str| OptionsError(format!("base_url {why}; write it as https://app.hex.tech"));
        let mut url = Url::parse(&self.base_url).map_err(|error| wrong(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(wrong("must begin with https:// (or http://) and a host"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("must not hold a name or a password"));
        }
        url.set_query(None);
        url.set_fragment(None);
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&match path.as_str() {
            "" => "/api/v1/".to_owned(),
            path => format!("{path}/"),
        });
        Ok(url)
    }
}

/// Limits in JSON: as they are written, `["20/min", "60/h"]`.
mod limits {
    use paceline_governor::Limit;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(limits: &[Limit], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(limits.iter().map(ToString::to_string))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Limit>, D::Error> {
        let texts = Vec::<String>::deserialize(from)?;
        texts.iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_sound_and_survive_json() {
        let options = Options::default();
        options.check().unwrap();
        assert_eq!(options.trigger_limits.len() + options.poll_limits.len(), 4);
        let text = serde_json::to_string(&options).unwrap();
        assert!(text.contains(r#""trigger_limits":["20/min","60/h"]"#), "{text}");
        assert_eq!(serde_json::from_str::<Options>(&text).unwrap(), options);
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        let cases = [
            (r#"{"poll_interval_ms": 0}"#, "poll_interval_ms"),
            (r#"{"settle_waits_ms": []}"#, "settle_waits_ms"),
            (r#"{"running_max_ms": 99999999999}"#, "running_max_ms"),
            (r#"{"kernels": 0}"#, "kernels"),
            (r#"{"base_url": "hex"}"#, "base_url"),
            (r#"{"base_url": "https://me:pw@app.hex.tech"}"#, "base_url"),
            (r#"{"retry": {"retries": 1000}}"#, "retries"),
        ];
        for (json, name) in cases {
            let options: Options = serde_json::from_str(json).unwrap();
            let error = options.check().unwrap_err().to_string();
            assert!(error.contains(name), "{json}: {error}");
        }
        for json in [r#"{"pol_interval_ms": 1}"#, r#"{"trigger_limits": ["20"]}"#] {
            assert!(serde_json::from_str::<Options>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn an_origin_and_an_address_both_serve() {
        for (base, wanted) in [
            ("https://eu.hex.tech", "https://eu.hex.tech/api/v1/"),
            ("https://eu.hex.tech/", "https://eu.hex.tech/api/v1/"),
            ("http://127.0.0.1:8899/api/v1", "http://127.0.0.1:8899/api/v1/"),
            ("http://127.0.0.1:8899/api/v1/?x=1", "http://127.0.0.1:8899/api/v1/"),
        ] {
            let options = Options { base_url: base.to_owned(), ..Options::default() };
            assert_eq!(options.api_url().unwrap().as_str(), wanted);
        }
    }
}
