//! The simulated Hex: each operation, each switch, and its sums against independent ones.

mod faults;
mod http;
mod limits;
mod listings;
mod old_clients;
mod operations;
mod properties;
mod runs;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use paceline_clock::{Clock, SimClock};
use paceline_lab::{HexAnswer, HexConfig, HexRequest, HexVendor};
use serde_json::Value;

pub(crate) const P1: &str = "00000000-0000-4000-8000-000000000001";
pub(crate) const P2: &str = "00000000-0000-4000-8000-000000000002";

/// A Hex in virtual time, with a person who talks to it.
#[derive(Clone)]
pub(crate) struct Bench {
    pub(crate) hex: Arc<HexVendor>,
    pub(crate) clock: Clock,
}

/// Plays a scenario against a Hex.
pub(crate) fn with_hex<F, Fut>(config: HexConfig, scenario: F) -> Fut::Output
where
    F: FnOnce(Bench) -> Fut,
    Fut: Future,
{
    SimClock::new().run(|clock| {
        let hex = Arc::new(HexVendor::new(config, clock.clone()).unwrap());
        scenario(Bench { hex, clock })
    })
}

/// The default, with faults.
pub(crate) fn faulty(law: &str) -> HexConfig {
    HexConfig { faults: law.parse().unwrap(), ..HexConfig::default() }
}

impl Bench {
    pub(crate) async fn get(&self, path: &str) -> HexAnswer {
        self.hex.handle(HexRequest::get(&format!("/api/v1/{path}"), "t")).await
    }

    pub(crate) async fn delete(&self, path: &str) -> HexAnswer {
        self.hex.handle(HexRequest::delete(&format!("/api/v1/{path}"), "t")).await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> HexAnswer {
        self.hex.handle(HexRequest::post(&format!("/api/v1/{path}"), "t", body)).await
    }

    /// Asks for a run of a project.
    pub(crate) async fn run(&self, project: &str, body: &str) -> HexAnswer {
        self.post(&format!("projects/{project}/runs"), body).await
    }

    /// Starts a run of the first project and answers with its id.
    #[track_caller]
    pub(crate) fn start(&self) -> impl Future<Output = String> {
        let this = self.clone();
        async move {
            let answer = this.run(P1, "").await;
            assert_eq!(answer.status(), Some(201), "{answer:?}");
            answer.json()["runId"].as_str().unwrap().to_owned()
        }
    }

    /// A run of the first project, as GetRunStatus tells it.
    pub(crate) async fn told(&self, run: &str) -> Value {
        let answer = self.get(&format!("projects/{P1}/runs/{run}")).await;
        assert_eq!(answer.status(), Some(200), "{answer:?}");
        answer.json()
    }

    pub(crate) async fn status(&self, run: &str) -> String {
        self.told(run).await["status"].as_str().unwrap().to_owned()
    }

    /// The ids of the first project's runs as they are listed.
    pub(crate) async fn listed(&self, query: &str) -> Vec<String> {
        let answer = self.get(&format!("projects/{P1}/runs{query}")).await;
        assert_eq!(answer.status(), Some(200), "{answer:?}");
        let runs = answer.json()["runs"].as_array().unwrap().clone();
        runs.iter().map(|run| run["runId"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) async fn sleep_ms(&self, ms: u64) {
        self.clock.sleep(Duration::from_millis(ms)).await;
    }
}
