//! The moment at which a call is counted: token, limits, then the operation. One lock, one order of all calls.

mod read;
mod start;

use std::collections::VecDeque;
use std::time::Duration;

use hyper::header::HOST;
use paceline_clock::{Tick, Timestamp};

use super::config::{HexConfig, HexProject};
use super::fault::{Faults, HexFault, HexFaultKind, HexFaultLaw, Stage};
use super::group::{Gates, HexGroupName};
use super::reply::{Error, Reply};
use super::route::Operation;
use super::run::Run;
use super::runs::Runs;
use super::stats::{HexRun, HexStats};
use super::{HEX_TOKENS_MAX, HexAnswer, HexRequest, HexVendor};
use crate::ConfigError;
use crate::fault::Kind as _;
use crate::hints::Headers;
use crate::stats::KeyHash;
use crate::wire::Outcome;

/// Everything that changes.
#[derive(Debug)]
pub(super) struct World {
    gates: Gates,
    faults: Faults,
    runs: Runs,
    /// Tokens that are good no more, the latest last.
    revoked: VecDeque<KeyHash>,
    first_call: Option<Tick>,
    /// The counts; what the gates and the runs know is filled in when they are asked for.
    stats: HexStats,
}

impl World {
    pub(super) fn new(config: &HexConfig) -> Result<Self, ConfigError> {
        Ok(Self {
            gates: Gates::new(&config.limits)?,
            faults: Faults::new(config.faults.clone(), config.seed),
            runs: Runs::new(config.projects.len()),
            revoked: VecDeque::new(),
            first_call: None,
            stats: HexStats::default(),
        })
    }

    pub(super) fn faults(&self) -> HexFaultLaw {
        self.faults.law().clone()
    }

    pub(super) fn set_faults(&mut self, law: HexFaultLaw) {
        self.faults.set(law);
    }

    pub(super) fn stats(&self, config: &HexConfig, now: Tick) -> HexStats {
        let [runs, reads, overall] = HexGroupName::ALL.map(|group| self.gates.stats(group));
        let run = |run: &Run| HexRun {
            run_id: run.id.clone(),
            project_id: config.projects[run.project].id.clone(),
            input_params: run.params.clone(),
            status: run.status(now).name(),
            trigger: run.trigger.name(),
            foreign: run.is_foreign,
            cancelled: run.is_cancelled,
            started_at_ms: run.created_at.as_millis(),
            ended_at_ms: run.ended_at(now).map(Tick::as_millis),
            end_told: run.is_end_told,
        };
        let run_list = self.runs.iter().map(run).collect();
        let mut stats = HexStats { runs, reads, overall, run_list, ..self.stats.clone() };
        self.runs.tell(&mut stats);
        stats
    }
}

/// One call at the desk.
pub(super) struct Desk<'a> {
    hex: &'a HexVendor,
    world: &'a mut World,
    now: Tick,
    operation: Operation,
    request: &'a HexRequest,
    trace_id: String,
}

/// An operation's answer, or the error it ends with.
type Told = Result<Reply, Ended>;

/// How an operation ends early.
enum Ended {
    Error(Error),
    /// With an answer that is none of Hex's own errors.
    Reply(Reply),
    Dropped,
    Hang,
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl HexVendor {
    /// Answers a call that arrives now.
    pub(super) fn answer(&self, request: &HexRequest) -> Outcome {
        let mut world = self.world();
        // Read inside the lock, so that arrivals are in order.
        let now = self.now();
        let path = request.target.split('?').next().unwrap_or_default();
        let operation = Operation::of(&request.method, path);
        let trace_id = super::id::trace(&self.chance.traces);
        Desk { hex: self, world: &mut world, now, operation, request, trace_id }.answer()
    }
}

impl Desk<'_> {
    fn answer(mut self) -> Outcome {
        self.world.first_call.get_or_insert(self.now);
        let told = self.admit().and_then(|()| self.act());
        let reply = match told {
            Ok(reply) | Err(Ended::Reply(reply)) => reply,
            Err(Ended::Error(error)) => {
                let is_old = self.operation.has_old_errors();
                error.reply(self.hex.config.errors, is_old, &self.trace_id)
            }
            Err(Ended::Dropped) => return Outcome::Answer(HexAnswer::Dropped),
            Err(Ended::Hang) => return Outcome::Hang,
        };
        let left = self.world.gates.headers(
            self.hex.config.rate_headers,
            self.operation.group(),
            (self.now, self.wall(self.now)),
        );
        reply.with(left).finish(&self.trace_id)
    }

    /// Token, then limits.
    fn admit(&mut self) -> Result<(), Ended> {
        let unauthorized = || Ended::Reply(Reply::text(401, "Unauthorized"));
        let Some(token) = self.good_token() else {
            self.world.stats.unauthorized += 1;
            return Err(unauthorized());
        };
        if let Some(fault) = self.strike(Stage::Call) {
            if fault.kind == HexFaultKind::Rotate {
                self.revoke(token);
            }
            self.world.stats.unauthorized += 1;
            return Err(unauthorized());
        }
        if let Err(until) = self.world.gates.pass(self.operation.group(), self.now) {
            self.world.stats.refused += 1;
            return Err(self.too_many(until - self.now));
        }
        *self.world.stats.calls.entry(self.operation.name()).or_default() += 1;
        Ok(())
    }

    fn good_token(&self) -> Option<KeyHash> {
        let token = self.request.bearer.as_deref().filter(|token| !token.is_empty())?;
        let named = &self.hex.config.tokens;
        let is_named = named.is_empty() || named.iter().any(|known| known == token);
        let hash = KeyHash::of(token.as_bytes());
        (is_named && !self.world.revoked.contains(&hash)).then_some(hash)
    }

    fn revoke(&mut self, token: KeyHash) {
        if self.world.revoked.len() >= HEX_TOKENS_MAX {
            self.world.revoked.pop_front();
        }
        self.world.revoked.push_back(token);
    }

    fn act(&mut self) -> Told {
        if self.operation.is_read()
            && let Some(fault) = self.strike(Stage::Read)
        {
            return Err(self.fail(fault));
        }
        match self.operation.clone() {
            Operation::ListProjects => self.list_projects(),
            Operation::GetProject(project) => self.get_project(&project),
            Operation::RunProject(project) => self.run_project(&project),
            Operation::GetProjectRuns(project) => self.get_project_runs(&project),
            Operation::GetRunStatus(project, run) => self.get_run_status(&project, &run),
            Operation::CancelRun(project, run) => self.cancel_run(&project, &run),
            Operation::Unknown => Err(Error::new(404, "there is no such endpoint").into()),
        }
    }

    fn cancel_run(&mut self, project: &str, run: &str) -> Told {
        let project = self.project(project)?;
        if self.world.runs.get_mut(project, run).is_none() {
            return Err(Self::no_run().into());
        }
        let fault = self.strike(Stage::Cancel);
        if let Some(fault) = fault.filter(|fault| fault.kind != HexFaultKind::DropOnCancel) {
            return Err(self.fail(fault));
        }
        let after = self.hex.config.cancel.draw(&self.hex.chance.life);
        let now = self.now;
        let run = self.world.runs.get_mut(project, run);
        let went_on = run.is_some_and(|run| run.cancel(now, after));
        self.world.stats.cancelled += u64::from(went_on);
        if fault.is_some() {
            return Err(Ended::Dropped);
        }
        match self.hex.config.cancel_ended_status {
            status if !went_on && status != 204 => {
                Err(Error::new(status, "the run has ended").into())
            }
            _ => Ok(Reply::no_content()),
        }
    }

    /// The place of a project that the user may see.
    fn project(&self, id: &str) -> Result<usize, Error> {
        let place = self.hex.places.get(id).copied();
        let place = place.ok_or_else(|| Error::new(404, "there is no such project"))?;
        if self.hex.config.projects[place].forbidden {
            return Err(Error::new(403, "you do not have permission to access this project"));
        }
        Ok(place)
    }

    /// The same, if it has been published.
    fn published_project(&self, id: &str) -> Result<usize, Error> {
        let place = self.project(id)?;
        match self.hex.config.projects[place].published {
            true => Ok(place),
            false => Err(Error::new(422, "the project has no published version; publish it first")),
        }
    }

    fn no_run() -> Error {
        Error::new(404, "there is no such run")
    }

    fn strike(&mut self, stage: Stage) -> Option<HexFault> {
        let since_first_call = self.now - self.world.first_call.unwrap_or(self.now);
        let fault = self.world.faults.strike(stage, since_first_call)?;
        *self.world.stats.faults.entry(fault.kind.name()).or_default() += 1;
        Some(fault)
    }

    /// What a fault makes of a call, apart from what was done before it.
    fn fail(&self, fault: HexFault) -> Ended {
        use HexFaultKind as Kind;
        match fault.kind {
            Kind::HangBeforeStart | Kind::HangAfterStart | Kind::HangOnRead => Ended::Hang,
            Kind::TooManyOnStart | Kind::TooManyOnRead | Kind::TooManyOnCancel => {
                self.too_many(Duration::from_secs(fault.value))
            }
            Kind::InternalBeforeStart
            | Kind::InternalAfterStart
            | Kind::InternalOnRead
            | Kind::InternalOnCancel => Error::new(500, "something went wrong").into(),
            Kind::BadGatewayBeforeStart | Kind::BadGatewayAfterStart | Kind::BadGatewayOnRead => {
                Ended::Reply(Reply::proxy_page(502))
            }
            Kind::UnavailableBeforeStart => Ended::Reply(Reply::proxy_page(503)),
            Kind::TimeoutAfterStart => Ended::Reply(Reply::proxy_page(504)),
            Kind::GarbledAfterStart => Ended::Reply(Reply::text(201, "{\"projectId\": \"")),
            Kind::GarbledOnRead => Ended::Reply(Reply::proxy_page(200)),
            Kind::KernelsBusy => Self::kernels_busy().into(),
            // Only connections that break are left: the other kinds strike runs, not calls.
            _ => Ended::Dropped,
        }
    }

    fn kernels_busy() -> Error {
        Error::new(503, "you have reached the maximum number of concurrently running kernels")
    }

    fn too_many(&self, wait: Duration) -> Ended {
        let error = Error::new(429, "too many requests");
        let is_old = self.operation.has_old_errors();
        let reply = error.reply(self.hex.config.errors, is_old, &self.trace_id);
        let when: Headers = self.hex.config.retry_after.headers(wait, self.wall(self.now));
        Ended::Reply(reply.with(when))
    }

    fn wall(&self, at: Tick) -> Timestamp {
        self.hex.wall(at)
    }

    /// Where links in answers lead: to whom the request was sent.
    fn origin(&self) -> String {
        let host = self.request.headers.get(HOST).and_then(|host| host.to_str().ok());
        format!("http://{}", host.unwrap_or("hex.lab"))
    }
}
