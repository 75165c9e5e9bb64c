//! What is not counted as it happens but looked up when somebody asks: calls, budgets and runs, from the engine and the
//! store.

use std::collections::BTreeMap;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::App;
use crate::app::RUNS_MAX;
use crate::error::Result;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    kind: &'static str,
    class: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InStatus {
    status: &'static str,
}

/// A registry of what holds at this moment.
pub(super) async fn gather(app: &App) -> Result<Registry> {
    let mut registry = Registry::with_prefix("paceline");
    let calls = Family::<Call, Counter>::default();
    for call in app.engine.calls() {
        calls.get_or_create(&Call { kind: call.kind, class: call.class }).inc_by(call.count);
    }
    registry.register("calls", "Calls to vendors, by kind of column and outcome", calls);

    let (mut in_flight, mut waiting, mut throttled) = (0, 0, 0);
    for budget in app.engine.budgets() {
        in_flight += budget.status.in_flight;
        waiting += budget.status.waiting;
        throttled += budget.status.throttled;
    }
    let refused: Counter = Counter::default();
    refused.inc_by(throttled);
    registry.register("throttled", "Calls that vendors refused for their rate", refused);
    gauge(&mut registry, "calls_in_flight", "Calls under way", in_flight);
    gauge(&mut registry, "calls_waiting", "Calls that wait for their budget", waiting);
    gauge(&mut registry, "runs_at_work", "Runs at work in this process", app.engine.runs_at_work());

    let runs = Family::<InStatus, Gauge>::default();
    for (status, count) in runs_by_status(app).await? {
        runs.get_or_create(&InStatus { status }).set(count);
    }
    registry.register("runs", "Runs on record, the newest 1000 of each table, by status", runs);
    Ok(registry)
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: usize) {
    let gauge: Gauge = Gauge::default();
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
    registry.register(name, help, gauge);
}

async fn runs_by_status(app: &App) -> Result<BTreeMap<&'static str, i64>> {
    let store = app.engine.store();
    let mut counts = BTreeMap::new();
    for table in store.tables().await? {
        for run in store.runs(table.id, RUNS_MAX as usize).await? {
            *counts.entry(run.status.as_str()).or_default() += 1;
        }
    }
    Ok(counts)
}
