//! The operations that only ask: projects, the runs of a project, one run.

use serde_json::{Value, json};

use super::{Desk, Error, HexProject, Reply, Told};
use crate::date::iso;
use crate::hex::config::HexVersionForm;
use crate::hex::project;
use crate::hex::query::Query;
use crate::hex::run::{HexStatus, Run, Trigger};

/// With it a run tells the moments at which its state changed.
const EXPANDED: &str = "enable-expanded-stats";

impl Desk<'_> {
    fn query(&self) -> Query<'_> {
        Query(self.request.target.split_once('?').map_or("", |(_, query)| query))
    }

    pub(super) fn list_projects(&self) -> Told {
        let page = project::page(&self.hex.config, self.query(), self.hex.began);
        Ok(Reply::json(200, &page.map_err(|message| Error::new(400, message))?))
    }

    pub(super) fn get_project(&self, id: &str) -> Told {
        let place = self.project(id)?;
        let is_sharing = self.query().flag("includeSharing");
        let is_sharing = is_sharing.map_err(|message| Error::new(400, message))?;
        let told = project::tell(&self.hex.config.projects[place], place, self.hex.began);
        Ok(Reply::json(200, &project::tell_shared(told, is_sharing)))
    }

    pub(super) fn get_run_status(&mut self, project: &str, id: &str) -> Told {
        let project = self.project(project)?;
        let now = self.now;
        let run = self.world.runs.get_mut(project, id).ok_or_else(Self::no_run)?;
        run.is_end_told |= run.status(now).is_terminal();
        let run = run.clone();
        Ok(Reply::json(200, &self.run(&run)))
    }

    pub(super) fn get_project_runs(&mut self, id: &str) -> Told {
        let place = self.published_project(id)?;
        let page = self.page(place).map_err(|message| Error::new(400, message))?;
        for run in page["runs"].as_array().into_iter().flatten() {
            let is_over = run["endTime"].is_string();
            let run = run["runId"].as_str().and_then(|id| self.world.runs.get_mut(place, id));
            if let Some(run) = run {
                run.is_end_told |= is_over;
            }
        }
        Ok(Reply::json(200, &page))
    }

    /// A page of a project's runs, the newest first; a refusal says what is wrong with the query.
    fn page(&self, place: usize) -> Result<Value, String> {
        let query = self.query();
        let (limit, offset) = (query.limit()?, query.offset()?);
        let statuses = HexStatus::ALL.map(|status| (status.name(), status));
        let status = query.word("statusFilter", &statuses)?;
        let triggers = [
            ("API", Some(Trigger::Api)),
            ("SCHEDULED", Some(Trigger::Scheduled)),
            ("APP_REFRESH", Some(Trigger::AppRefresh)),
            ("ALL", None),
        ];
        let trigger = query.word("runTriggerFilter", &triggers)?.flatten();
        let is_asked_for = |run: &&Run| {
            status.is_none_or(|status| run.status(self.now) == status)
                && trigger.is_none_or(|trigger| run.trigger == trigger)
        };
        let mut rest = self.world.runs.listed(place, self.now).filter(is_asked_for).skip(offset);
        let runs: Vec<Value> = rest.by_ref().take(limit).map(|run| self.run(run)).collect();
        let has_more = rest.next().is_some();
        let link = |offset: usize| self.link(place, limit, offset);
        Ok(json!({
            "runs": runs,
            "nextPage": has_more.then(|| link(offset.saturating_add(limit))),
            "previousPage": (offset > 0).then(|| link(offset.saturating_sub(limit))),
            "traceId": self.trace_id,
        }))
    }

    /// The address of another page, with the filters of this one.
    fn link(&self, place: usize, limit: usize, offset: usize) -> String {
        let id = &self.hex.config.projects[place].id;
        let filters = ["statusFilter", "runTriggerFilter"]
            .into_iter()
            .filter_map(|name| self.query().text(name).map(|value| format!("&{name}={value}")));
        format!(
            "{}/api/v1/projects/{id}/runs?limit={limit}&offset={offset}{}",
            self.origin(),
            filters.collect::<String>()
        )
    }

    fn run(&self, run: &Run) -> Value {
        let project = &self.hex.config.projects[run.project];
        let (start, end) = (run.started_at(self.now), run.ended_at(self.now));
        let at = |at| iso(self.wall(at));
        let elapsed = start.map(|start| end.unwrap_or(self.now) - start);
        let mut told = json!({
            "projectId": project.id,
            "projectVersion": match self.hex.config.version_form {
                HexVersionForm::String => json!(project.version.to_string()),
                HexVersionForm::Int => json!(project.version),
                HexVersionForm::Draft => json!("draft"),
            },
            "runId": run.id,
            "runUrl": self.run_url(project, &run.id),
            "status": run.status(self.now).name(),
            "runTrigger": run.trigger.name(),
            "startTime": start.map(at),
            "endTime": end.map(at),
            "elapsedTime": elapsed.map(|elapsed| elapsed.as_millis() as u64),
            "traceId": self.trace_id,
        });
        if !run.notifications.is_empty() {
            told["notifications"] = json!(run.notifications);
        }
        let expanded = self.request.headers.get(EXPANDED);
        if expanded.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true")) {
            told["stateEvents"] = self.events(run);
        }
        told
    }

    fn events(&self, run: &Run) -> Value {
        let event = |status: HexStatus, at| json!({ "type": "STATUS", "value": status.name(), "timestamp": iso(self.wall(at)) });
        let begun = run.started_at(self.now).map(|at| event(HexStatus::Running, at));
        let ended = run.ended_at(self.now).map(|at| event(run.status(self.now), at));
        let created = event(HexStatus::Pending, run.created_at);
        [Some(created), begun, ended].into_iter().flatten().collect()
    }

    /// Where a person looks at a run.
    pub(super) fn run_url(&self, project: &HexProject, run: &str) -> String {
        format!("{}/hex/{}/app?runId={run}", self.origin(), project.id)
    }
}
