//! Outgoing webhooks over a real socket, to a receiver that checks who signed and counts: every row is told, under one id
//! however often, whatever the receiver answers and however often the server dies.

use std::collections::BTreeSet;
use std::time::Duration;

use paceline_clock::{Clock, Random};
use paceline_lab::{Lab, LabConfig, Running, VendorConfig, WebhookConfig};
use serde_json::{Value as Json, json};

use crate::kills;
use crate::server::{Home, Server};

/// Each is told of by itself.
const ROWS: usize = 120;
/// The longest time that the server lives once it listens.
const LIFE_MAX_MS: f64 = 500.0;

async fn receiver() -> Running {
    // Long enough that a death finds a delivery under way more often than not.
    let vendor = VendorConfig { service: "5..25".parse().unwrap(), ..VendorConfig::default() };
    let webhook = WebhookConfig { vendor, ..WebhookConfig::default() };
    let config = LabConfig { webhook, ..LabConfig::default() };
    Lab::start_with(config, Clock::system(), ([127, 0, 0, 1], 0).into()).await.unwrap()
}

async fn hook(server: &Server) -> Json {
    server.get("/api/tables/leads/webhooks").await["data"][0].clone()
}

/// Waits until something is so of the webhook as the API tells it.
async fn until(server: &Server, what: &str, is_so: impl Fn(&Json) -> bool) -> Json {
    let clock = Clock::system();
    let began = clock.now();
    loop {
        let hook = hook(server).await;
        if is_so(&hook) {
            return hook;
        }
        assert!(clock.now() - began < Duration::from_secs(60), "it is never {what}: {hook:#}");
        clock.sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_is_told_signed_under_one_id_through_refusals_and_deaths() {
    let (lab, clock, random) = (receiver().await, Clock::system(), Random::system());
    let mut server = Server::start(Home::new()).await;
    let n = json!([{"name": "n", "type": "number"}]);
    server.post("/api/tables", json!({"name": "leads", "columns": n})).await;
    let made = json!({"direction": "outgoing", "trigger_on": "new_row", "batch": false,
                      "target_url": format!("http://{}/webhook/leads", lab.addr())});
    let made = server.post("/api/tables/leads/webhooks", made).await["data"].clone();
    lab.webhook().add_secret(made["secret"].as_str().unwrap()).unwrap();
    let id = made["id"].as_i64().unwrap();

    lab.webhook().set_faults("500:1".parse().unwrap());
    let rows: Vec<Json> = (1..=ROWS).map(|n| json!({"n": n})).collect();
    server.post("/api/tables/leads/rows", json!({"rows": rows})).await;
    let told = until(&server, "failing", |hook| hook["status"] == "failing").await;
    assert!(told["next_attempt_at"].is_string(), "it is tried again by itself: {told:#}");
    assert!(told["last_error"].as_str().unwrap().contains("500"), "{told:#}");
    lab.webhook().set_faults("none".parse().unwrap());
    // By itself it would be tried again half a minute later.
    server.patch(&format!("/api/webhooks/{id}"), json!({"enabled": true})).await;

    let mut deaths = 0;
    while deaths < kills() && hook(&server).await["delivered"] != ROWS {
        clock.sleep(Duration::from_secs_f64(random.unit() * LIFE_MAX_MS / 1e3)).await;
        let home = server.kill().await;
        server = Server::start(home).await;
        deaths += 1;
    }
    let told = until(&server, "done", |hook| hook["delivered"] == ROWS).await;
    assert_eq!((&told["failed"], &told["waiting"]), (&json!(0), &json!(0)), "{told:#}");
    let again = check(&lab, id, deaths);
    println!("{ROWS} deliveries, {deaths} deaths, {again} came twice");
}

/// Answers how many deliveries came twice.
fn check(lab: &Running, id: i64, deaths: u32) -> u64 {
    let stats = lab.webhook().stats();
    assert_eq!((stats.unsigned, stats.forged, stats.stale), (0, 0, 0), "{stats:?}");
    let calls = lab.webhook().calls();
    assert!(calls.iter().all(|call| call.signed && call.event.as_deref() == Some("new_row")));
    let keys: BTreeSet<String> = calls.iter().filter_map(|call| call.key.clone()).collect();
    let wanted: BTreeSet<String> = (1..=ROWS).map(|number| format!("whd_{id}_{number}")).collect();
    assert_eq!(keys, wanted, "each delivery arrived");
    let first = calls.iter().filter(|call| !call.duplicate);
    let rows: Vec<i64> = first
        .map(|call| serde_json::from_str::<Json>(&call.body).unwrap()["row"]["n"].as_i64().unwrap())
        .collect();
    assert_eq!(rows, (1..=ROWS as i64).collect::<Vec<_>>(), "in order, each row once");
    let again = stats.calls.duplicates;
    assert!(again <= u64::from(deaths), "{again} came twice after {deaths} deaths");
    for again in calls.iter().filter(|call| call.duplicate) {
        let first = calls.iter().find(|call| call.key == again.key).unwrap();
        assert_eq!(first.body, again.body, "the same under the same id");
    }
    again
}
