//! RunProject: what is checked in which order, the run that comes of it, and its answer.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::{Desk, Ended, Error, HexFaultKind, Reply, Run, Stage, Told};
use crate::hex::body::{BodyError, RunBody};
use crate::hex::id;
use crate::hex::run::{HexStatus, Plan, Trigger};
use crate::hex::runs::HEX_PARAMS_BYTES_MAX;

impl Desk<'_> {
    pub(super) fn run_project(&mut self, project: &str) -> Told {
        let project = self.published_project(project)?;
        let body = self.run_body(project)?;
        if body.is_dry {
            self.world.stats.dry_runs += 1;
            let dummy = id::run(&self.hex.chance.runs);
            return Ok(self.started(project, &dummy, &body));
        }
        self.hold_back(project)?;
        let fault = self.strike(Stage::Start);
        if let Some(fault) = fault.filter(|fault| !makes_a_run(fault.kind)) {
            return Err(self.fail(fault));
        }
        let run = self.start(project, &body);
        match fault {
            Some(fault) => Err(self.fail(fault)),
            None => Ok(self.started(project, &run, &body)),
        }
    }

    /// The body, if it fits the project.
    fn run_body(&self, project: usize) -> Result<RunBody, Error> {
        let body = RunBody::read(&self.request.body).map_err(|error| match error {
            BodyError::Malformed(message) => Error::new(400, message),
            BodyError::Invalid(issues) => Error { issues, ..Error::new(422, "Validation Failed") },
        })?;
        let inputs = &self.hex.config.projects[project].inputs;
        let misfits = body.misfits(inputs);
        if misfits.is_empty() {
            return Ok(body);
        }
        let issue = |misfit: &Value| format!("{}: wrong type", misfit["paramName"]);
        Err(Error {
            issues: misfits.iter().map(issue).collect(),
            old_body: Some(Box::new(
                json!({ "invalid": misfits, "notFound": body.strangers(inputs) }),
            )),
            ..Error::new(422, "invalid input parameters")
        })
    }

    /// 409 where an overlap is refused, 503 where every kernel is busy.
    fn hold_back(&mut self, project: usize) -> Result<(), Ended> {
        if self.world.runs.goes_on(project, self.now) && self.strike(Stage::Overlap).is_some() {
            return Err(Error::new(409, "a run of this project is in progress").into());
        }
        let busy = self.world.runs.kernels(self.now) as u64;
        let stats = &mut self.world.stats;
        stats.kernels_busiest = stats.kernels_busiest.max(busy);
        if self.hex.config.kernels.is_some_and(|kernels| busy >= u64::from(kernels)) {
            stats.kernels_refused += 1;
            return Err(Self::kernels_busy().into());
        }
        Ok(())
    }

    /// Makes a run of the user, and perhaps one of somebody else just after it.
    fn start(&mut self, project: usize, body: &RunBody) -> String {
        let fate = self.strike(Stage::End).map(|fault| fault.kind);
        let mut run = self.new_run(project, fate);
        run.params = kept(&body.params).then(|| Value::Object(body.params.clone()));
        if kept(&body.notifications) {
            run.notifications = body.notifications.clone();
        }
        run.completes_on_cancel = self.strike(Stage::CancelEnd).is_some();
        if let Some(late) = self.strike(Stage::Listing) {
            run.listed_from = self.now + Duration::from_millis(late.value);
        }
        let id = run.id.clone();
        self.count(project, body);
        self.world.runs.add(run);
        if let Some(fault) = self.strike(Stage::Foreign) {
            self.start_foreign(project, fault.kind);
        }
        id
    }

    fn count(&mut self, project: usize, body: &RunBody) {
        let id = &self.hex.config.projects[project].id;
        self.world.runs.started(&body.job(id));
        let stats = &mut self.world.stats;
        stats.started += 1;
        *stats.started_per_project.entry(id.clone()).or_default() += 1;
        stats.first_start_ms.get_or_insert(self.now.as_millis());
        stats.last_start_ms = Some(self.now.as_millis());
    }

    fn start_foreign(&mut self, project: usize, kind: HexFaultKind) {
        let mut run = self.new_run(project, None);
        run.is_foreign = true;
        if kind == HexFaultKind::ForeignScheduled {
            run.trigger = Trigger::Scheduled;
        }
        self.world.stats.foreign += 1;
        self.world.runs.add(run);
    }

    /// A run that begins now and ends as its fate says, or else its project.
    fn new_run(&self, place: usize, fate: Option<HexFaultKind>) -> Run {
        let project = &self.hex.config.projects[place];
        let chance = &self.hex.chance;
        let pending = project.pending.draw(&chance.life);
        let whole = project.run.draw(&chance.life);
        let (running, end) = match fate {
            Some(HexFaultKind::StuckPending) => (whole, HexStatus::Pending),
            Some(HexFaultKind::StuckRunning) => (whole, HexStatus::Running),
            Some(HexFaultKind::Errored) => (whole, HexStatus::Errored),
            Some(HexFaultKind::NoKernel) => (whole, HexStatus::UnableToAllocateKernel),
            Some(HexFaultKind::Killed) => (whole / 2, HexStatus::Killed),
            _ => (whole, project.ends),
        };
        Run {
            id: id::run(&chance.runs),
            project: place,
            trigger: Trigger::Api,
            is_foreign: false,
            params: None,
            notifications: Vec::new(),
            created_at: self.now,
            listed_from: self.now,
            plan: Plan::new(self.now, pending, running, end),
            completes_on_cancel: false,
            is_cancelled: false,
            is_end_told: false,
        }
    }

    fn started(&self, project: usize, run: &str, body: &RunBody) -> Reply {
        let project = &self.hex.config.projects[project];
        let origin = self.origin();
        let mut told = json!({
            "projectId": project.id,
            "runId": run,
            "runUrl": self.run_url(project, run),
            "runStatusUrl": format!("{origin}/api/v1/projects/{}/runs/{run}", project.id),
            "traceId": self.trace_id,
            "projectVersion": project.version,
        });
        if !body.notifications.is_empty() {
            told["notifications"] = json!(body.notifications);
        }
        Reply::json(201, &told)
    }
}

/// Whether something is short enough to be remembered.
fn kept(what: &impl Serialize) -> bool {
    serde_json::to_vec(what).is_ok_and(|json| json.len() <= HEX_PARAMS_BYTES_MAX)
}

/// Whether a fault strikes only after the run was made.
fn makes_a_run(kind: HexFaultKind) -> bool {
    use HexFaultKind as Kind;
    matches!(
        kind,
        Kind::DropAfterStart
            | Kind::HangAfterStart
            | Kind::InternalAfterStart
            | Kind::BadGatewayAfterStart
            | Kind::TimeoutAfterStart
            | Kind::GarbledAfterStart
    )
}
