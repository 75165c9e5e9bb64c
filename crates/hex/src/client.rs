//! The typed client: Hex's current paths, each call behind its gates, the token read again once after a 401.

mod events;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use paceline_clock::{Clock, Tick};
use paceline_governor::{Outcome, Permit, Transport};
use serde::de::DeserializeOwned;
use url::Url;

use crate::answer::Answer;
use crate::budgets::{Doors, Group, Waiting};
use crate::tokens::{Token, Tokens};
use crate::wire::{Wire, WireError, WireRequest};
use crate::{Budgets, Error, Options, OptionsError, Project, ProjectPage, Run, RunId, RunPage};
use events::Events;

/// Runs, or projects, in one page: the most that Hex gives.
pub(crate) const PAGE: usize = 100;
/// A wire that does not keep its own time-out is given up this long after it.
const GRACE: Duration = Duration::from_secs(5);

pub(crate) struct Client {
    wire: Arc<dyn Wire>,
    pub(crate) tokens: Tokens,
    doors: Doors,
    base: Url,
    clock: Clock,
    timeout: Duration,
    reply_bytes_max: usize,
    throttle_pause: Duration,
}

/// What came of one call.
pub(crate) struct Called {
    pub(crate) answer: Result<Answer, WireError>,
    /// The status of an answer that broke off.
    pub(crate) head: Option<u16>,
    pub(crate) outcome: Outcome,
    pub(crate) sent_at: Option<Tick>,
    pub(crate) seen_at: Tick,
}

impl Client {
    pub(crate) fn new(
        options: &Options,
        budgets: &Budgets,
        wire: Arc<dyn Wire>,
        tokens: Tokens,
        clock: Clock,
    ) -> Result<Self, OptionsError> {
        Ok(Self {
            wire,
            tokens,
            doors: Doors::new(budgets),
            base: options.api_url()?,
            clock,
            timeout: options.call_timeout,
            reply_bytes_max: options.reply_bytes_max,
            throttle_pause: options.throttle_pause,
        })
    }

    /// Leave for a trigger.
    pub(crate) async fn trigger_permit(&self) -> Result<Permit, Error> {
        Ok(self.doors.pass(Group::Trigger).await?)
    }

    /// How many calls wait for leave.
    pub(crate) fn waiting(&self) -> Waiting {
        self.doors.waiting()
    }

    /// The token to use.
    pub(crate) async fn token(&self) -> Result<Token, Error> {
        self.tokens.current().await.map_err(|error| Error::NoCredentials(error.to_string()))
    }

    /// One POST that asks for a run: what came back, and nothing else. It is the caller's to say what it means.
    pub(crate) async fn trigger(
        &self,
        project: &str,
        body: Bytes,
        token: &Token,
        permit: Permit,
    ) -> Called {
        let url = self.url(&["projects", project, "runs"]);
        self.call(Method::POST, url, Some(body), token, permit).await
    }

    /// GetProject.
    pub(crate) async fn project(&self, project: &str) -> Result<Project, Error> {
        let tried = format!("looking at project {project}");
        self.get(Group::Check, self.url(&["projects", project]), &tried).await
    }

    /// One page of ListProjects.
    pub(crate) async fn projects(&self, after: Option<&str>) -> Result<ProjectPage, Error> {
        let mut url = self.url(&["projects"]);
        url.query_pairs_mut().append_pair("limit", &PAGE.to_string());
        if let Some(after) = after {
            url.query_pairs_mut().append_pair("after", after);
        }
        self.get(Group::Projects, url, "listing the projects").await
    }

    /// One page of GetProjectRuns: only what the API started, newest first.
    pub(crate) async fn runs(
        &self,
        group: Group,
        project: &str,
        offset: usize,
    ) -> Result<RunPage, Error> {
        let mut url = self.url(&["projects", project, "runs"]);
        let (limit, offset) = (PAGE.to_string(), offset.to_string());
        let query = [("limit", limit.as_str()), ("offset", &offset), ("runTriggerFilter", "API")];
        url.query_pairs_mut().extend_pairs(query);
        self.get(group, url, &format!("listing the runs of project {project}")).await
    }

    /// GetRunStatus.
    pub(crate) async fn run(&self, group: Group, project: &str, run: &RunId) -> Result<Run, Error> {
        let url = self.url(&["projects", project, "runs", &run.0]);
        self.get(group, url, &format!("looking at run {run} of project {project}")).await
    }

    /// CancelRun.
    pub(crate) async fn cancel(&self, project: &str, run: &RunId) -> Result<(), Error> {
        let url = self.url(&["projects", project, "runs", &run.0]);
        let tried = format!("cancelling run {run} of project {project}");
        self.ask(Group::Cancel, Method::DELETE, url, &tried).await.map(drop)
    }

    async fn get<T: DeserializeOwned>(
        &self,
        group: Group,
        url: Url,
        tried: &str,
    ) -> Result<T, Error> {
        let answer = self.ask(group, Method::GET, url, tried).await?;
        let unreadable = || {
            Error::Unreadable(format!(
                "{tried}: Hex answered HTTP {} with something that cannot be read; is base_url Hex's?",
                answer.status
            ))
        };
        answer.parse().ok_or_else(unreadable)
    }

    /// A call that may be repeated: once more after a 401.
    async fn ask(
        &self,
        group: Group,
        method: Method,
        url: Url,
        tried: &str,
    ) -> Result<Answer, Error> {
        let mut token = self.token().await?;
        let mut renewed = false;
        loop {
            let permit = self.doors.pass(group).await?;
            let called = self.call(method.clone(), url.clone(), None, &token, permit).await;
            match self.judge(called, tried) {
                Err(Error::Status { status: 401, .. }) if !renewed => {
                    token = self.renew(&token).await?;
                    renewed = true;
                }
                Err(Error::Status { status: 401, message }) => {
                    self.tokens.forget(&token).await;
                    return Err(Error::NoCredentials(message));
                }
                judged => return judged,
            }
        }
    }

    /// What the token's source says after a 401.
    pub(crate) async fn renew(&self, refused: &Token) -> Result<Token, Error> {
        self.tokens.renew(refused).await.map_err(|error| Error::NoCredentials(error.to_string()))
    }

    fn judge(&self, called: Called, tried: &str) -> Result<Answer, Error> {
        match called.answer {
            Ok(answer) if answer.is_success() => Ok(answer),
            Ok(answer) if answer.status == 429 => Err(Error::Throttled {
                retry_after: called.outcome.retry_after.unwrap_or(self.throttle_pause),
                message: answer.describe(tried),
            }),
            Ok(answer) => {
                Err(Error::Status { status: answer.status, message: answer.describe(tried) })
            }
            Err(error @ WireError::TooLong { .. }) => {
                Err(Error::Unreadable(format!("{tried}: {error}; raise reply_bytes_max")))
            }
            Err(WireError::Transport { kind, message }) => {
                Err(Error::Transport { kind, message: format!("{tried}: {message}") })
            }
        }
    }

    async fn call(
        &self,
        method: Method,
        url: Url,
        body: Option<Bytes>,
        token: &Token,
        permit: Permit,
    ) -> Called {
        let request = WireRequest {
            headers: headers(token, body.is_some()),
            method,
            url,
            body,
            timeout: self.timeout,
            reply_bytes_max: self.reply_bytes_max,
        };
        let mut events = Events::new(permit, &self.clock);
        let reply = tokio::select! {
            biased;
            reply = self.wire.call(request, &mut events) => reply,
            () = self.clock.sleep(self.timeout.saturating_add(GRACE)) => Err(WireError::Transport {
                kind: Transport::Timeout,
                message: "no answer in time".to_owned(),
            }),
        };
        events.end(reply, self.throttle_pause, &token.secret)
    }

    fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        // Only an address without a host has no segments, and `Options::check` lets none pass.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }
}

fn headers(token: &Token, json: bool) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    if json {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    headers.extend(token.secret.bearer().map(|bearer| (header::AUTHORIZATION, bearer)));
    headers
}
