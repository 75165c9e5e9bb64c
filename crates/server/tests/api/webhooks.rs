//! Outgoing webhooks: signed, in order, at least once, and under one id however often.

use std::collections::HashSet;
use std::time::Duration;

use paceline_model::{Filter, Value};
use serde_json::{Value as Json, json};

use crate::world::{Heard, World, says, world};

pub(crate) const TARGET: &str = "https://crm.example/hook";

/// A webhook of `leads`: its id and its secret.
pub(crate) async fn webhook(world: &World, more: Json) -> (i64, String) {
    let mut body = json!({"direction": "outgoing", "target_url": TARGET, "trigger_on": "new_row"});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    let made = world.app.post("/api/tables/leads/webhooks", body).await;
    (made.ok()["id"].as_i64().unwrap(), made.ok()["secret"].as_str().unwrap().to_owned())
}

pub(crate) fn numbered(from: i64, to: i64) -> Json {
    (from..=to).map(|n| json!({"email": format!("{n}@b.c"), "score": n})).collect()
}

/// The ids of the rows that a delivery tells of.
pub(crate) fn rows(heard: &Heard) -> Vec<i64> {
    let rows = heard.body["rows"].as_array().unwrap();
    rows.iter().map(|row| row["_ht_id"].as_i64().unwrap()).collect()
}

/// Sets the score of the rows that have another one.
pub(crate) async fn set_score(world: &World, from: Json, to: i64) {
    let store = world.app.engine.store();
    let table = store.table("leads").await.unwrap().unwrap();
    let filter = Filter::parse(&table, &json!({"score": from})).unwrap();
    let score = table.column("score").unwrap().id;
    store.update_rows(table.id, filter, &[score], vec![Value::Int(to)]).await.unwrap();
}

/// Holds the signature to what the documentation says of it.
pub(crate) fn check_signature(heard: &Heard, secret: &str) {
    use hmac::{Hmac, KeyInit, Mac};
    let given = heard.header("x-paceline-signature");
    let (time, tag) = given.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{time}.{}", heard.text).as_bytes());
    let wanted: String = mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(tag, wanted);
    let seconds = 1_767_225_600 + heard.at.as_millis() / 1_000;
    assert_eq!(time.parse::<u64>().unwrap(), seconds, "when it was sent");
}

#[test]
fn new_rows_are_told_in_batches_in_order_and_signed() {
    world(|mut world| async move {
        world.insert("leads", numbered(1, 5)).await;
        let headers = json!({"X-Api-Key": "very-secret"});
        let (id, secret) = webhook(&world, json!({"headers": headers})).await;
        world.work();
        world.insert("leads", numbered(6, 255)).await;
        let heard = world.until_heard(3).await;
        world.sleeps(600).await;
        assert_eq!(world.outside.heard().len(), 3, "and no more");
        let told: Vec<i64> = heard.iter().flat_map(rows).collect();
        assert_eq!(told, (6..=255).collect::<Vec<_>>(), "not those from before");
        let sizes: Vec<usize> = heard.iter().map(|heard| rows(heard).len()).collect();
        assert_eq!(sizes, [100, 100, 50]);
        for (index, heard) in heard.iter().enumerate() {
            check_signature(heard, &secret);
            let delivery = format!("whd_{id}_{}", index + 1);
            assert_eq!(
                (heard.url.as_str(), heard.header("x-paceline-delivery")),
                (TARGET, delivery.as_str())
            );
            assert_eq!(
                (&heard.body["id"], &heard.body["event"]),
                (&json!(delivery), &json!("new_row"))
            );
            assert_eq!(heard.header("x-api-key"), "very-secret");
        }
        assert_eq!(
            heard[0].body["rows"][0],
            json!({"_ht_id": 6, "email": "6@b.c", "score": 6, "city": null})
        );

        let listed = world.app.get("/api/tables/leads/webhooks").await;
        let hook = &listed.ok()[0];
        assert_eq!(
            (&hook["delivered"], &hook["waiting"], &hook["status"]),
            (&json!(3), &json!(0), &json!("active"))
        );
        assert!(
            !listed.body.to_string().contains("very-secret")
                && !listed.body.to_string().contains(&secret)
        );
        let log = world.app.get(&format!("/api/webhooks/{id}/deliveries?limit=2")).await;
        assert_eq!(log.ok()[0]["delivery"], format!("whd_{id}_3"));
        assert_eq!(
            (&log.ok()[0]["status"], &log.ok()[0]["http_status"]),
            (&json!("delivered"), &json!(200))
        );
        let before = log.meta()["before"].as_i64().unwrap();
        let earlier =
            world.app.get(&format!("/api/webhooks/{id}/deliveries?before={before}")).await;
        assert_eq!(earlier.ok().as_array().unwrap().len(), 1);
    });
}

#[test]
fn what_does_not_arrive_is_tried_again_under_its_id_ever_later_and_in_order() {
    world(|mut world| async move {
        let mut tries = 0;
        world.outside.answers(move |_| {
            tries += 1;
            match tries {
                1 => says(500, json!({})),
                2 => crate::world::Says {
                    headers: vec![("retry-after", "600")],
                    ..says(429, json!({}))
                },
                _ => says(204, json!({})),
            }
        });
        let (id, secret) = webhook(&world, json!({})).await;
        world.work();
        world.insert("leads", numbered(1, 1)).await;
        world.until_heard(1).await;
        world.sleeps(1).await;
        let hook = world.app.get("/api/tables/leads/webhooks").await.ok()[0].clone();
        assert_eq!((&hook["status"], &hook["waiting"]), (&json!("failing"), &json!(1)));
        assert!(
            hook["last_error"].as_str().unwrap().contains("500")
                && hook["next_attempt_at"].is_string()
        );
        world.insert("leads", numbered(2, 2)).await;
        let heard = world.until_heard(4).await;
        let ids: Vec<&str> =
            heard.iter().map(|heard| heard.header("x-paceline-delivery")).collect();
        let (one, two) = (format!("whd_{id}_1"), format!("whd_{id}_2"));
        assert_eq!(ids, [&one, &one, &one, &two]);
        let waits: Vec<Duration> = heard.windows(2).map(|two| two[1].at - two[0].at).collect();
        assert!((27..=34).contains(&waits[0].as_secs()), "{waits:?}");
        assert!((600..=601).contains(&waits[1].as_secs()), "as long as it asks for: {waits:?}");
        for heard in &heard {
            check_signature(heard, &secret);
        }
        let log = world.app.get(&format!("/api/webhooks/{id}/deliveries")).await;
        let story: Vec<&str> = log
            .ok()
            .as_array()
            .unwrap()
            .iter()
            .map(|line| line["status"].as_str().unwrap())
            .collect();
        assert_eq!(story[story.len() - 3..], ["delivered", "retrying", "retrying"]);
    });
}

#[test]
fn a_server_that_dies_goes_on_with_the_same_delivery() {
    world(|mut world| async move {
        let dead = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
        let down = std::sync::Arc::clone(&dead);
        world.outside.answers(move |_| {
            says(if down.load(std::sync::atomic::Ordering::Relaxed) { 503 } else { 200 }, json!({}))
        });
        let (id, _) = webhook(&world, json!({})).await;
        world.work();
        world.insert("leads", numbered(1, 150)).await;
        world.until_heard(1).await;
        let mut world = world.dies().await.comes_back();
        // It was there, and its changes came in, while nobody did the background work.
        world.insert("leads", numbered(151, 160)).await;
        dead.store(false, std::sync::atomic::Ordering::Relaxed);
        world.work();
        world
            .until("all is told", async || {
                let heard = world.outside.heard();
                heard.iter().flat_map(rows).collect::<HashSet<_>>().len() == 160
            })
            .await;
        world.sleeps(4_000).await;
        let heard = world.outside.heard();
        let ids: Vec<&str> =
            heard.iter().map(|heard| heard.header("x-paceline-delivery")).collect();
        assert!(ids.len() >= 3 && ids[0] == ids[1] && ids[0] == format!("whd_{id}_1"), "{ids:?}");
        assert_eq!(rows(&heard[0]), rows(&heard[1]), "the same rows under the same id");
        let first: HashSet<&str> = ids.iter().copied().collect();
        let last: Vec<i64> = heard.iter().skip(1).flat_map(rows).collect();
        assert_eq!(last, (1..=160).collect::<Vec<_>>(), "in order, once it answers: {first:?}");
    });
}

#[test]
fn a_receiver_that_is_dead_is_left_alone_and_can_be_taken_up_again() {
    world(|mut world| async move {
        world.outside.answers(|_| says(500, json!({})));
        let (id, _) = webhook(&world, json!({"batch": false})).await;
        world.work();
        world.insert("leads", numbered(1, 100)).await;
        let hook = async || world.app.get("/api/tables/leads/webhooks").await.ok()[0].clone();
        world.until("it is disabled", async || hook().await["enabled"] == false).await;
        let told = hook().await;
        assert!(told["reason"].as_str().unwrap().contains("20 deliveries in a row"), "{told:#}");
        assert_eq!(
            (&told["status"], &told["failed"], &told["waiting"]),
            (&json!("disabled"), &json!(20), &json!(80))
        );
        let heard = world.outside.heard();
        assert_eq!(heard.len(), 100, "five tries each");
        let first = heard[4].at - heard[0].at;
        assert!((3_300..4_200).contains(&first.as_secs()), "about an hour: {first:?}");
        world.sleeps(24 * 3_600).await;
        assert_eq!(world.outside.heard().len(), 100, "nothing more is sent");

        world.outside.answers(|_| says(200, json!({})));
        let on = world.app.patch(&format!("/api/webhooks/{id}"), json!({"enabled": true})).await;
        assert_eq!((&on.ok()["reason"], &on.ok()["status"]), (&json!(null), &json!("active")));
        world.until_heard(180).await;
        world.sleeps(60).await;
        assert_eq!(hook().await["delivered"], 80);
    });
}

#[test]
fn a_receiver_that_is_gone_for_good_is_believed() {
    world(|mut world| async move {
        world.outside.answers(|_| says(410, json!({})));
        webhook(&world, json!({})).await;
        world.work();
        world.insert("leads", numbered(1, 1)).await;
        world.sleeps(4_000).await;
        assert_eq!(world.outside.heard().len(), 1);
        let hook = world.app.get("/api/tables/leads/webhooks").await.ok()[0].clone();
        assert!(hook["reason"].as_str().unwrap().contains("410"));
    });
}
