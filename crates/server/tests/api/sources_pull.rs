//! Sources that ask an API: by the clock, page after page, and never in a burst.

use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::world::{World, says, world};

const URL: &str = "https://api.example/v1/people?page=1";

async fn pull(world: &World, more: Json) -> i64 {
    let mut config = json!({
        "url": URL,
        "headers": {"Authorization": "Bearer very-secret"},
        "records_path": "$.data[*]",
        "next_path": "$.next",
        "field_mapping": {"mail": "email", "n": "score"},
        "upsert_by": ["email"],
    });
    for (name, value) in more.as_object().unwrap() {
        config[name] = value.clone();
    }
    let body = json!({"type": "api_pull", "name": "people", "config": config});
    let made = world.app.post("/api/tables/leads/sources", body).await;
    assert!(!made.ok().to_string().contains("very-secret"));
    assert_eq!(made.data()["config"]["headers"], json!({"authorization": "********"}));
    made.data()["id"].as_i64().unwrap()
}

/// Two pages of people.
fn people(world: &World) {
    world.outside.answers(|heard| {
        let second = heard.url.ends_with("page=2");
        let data = if second {
            json!([{"mail": "c", "n": 3}])
        } else {
            json!([{"mail": "a", "n": 1}, {"mail": "b", "n": 2}])
        };
        let next = if second { Json::Null } else { json!("?page=2") };
        says(200, json!({"data": data, "next": next}))
    });
}

#[test]
fn records_of_all_pages_come_and_a_second_run_updates_them() {
    world(|world| async move {
        people(&world);
        let id = pull(&world, json!({})).await;
        let run = world.app.post(&format!("/api/sources/{id}/trigger"), json!({})).await;
        let wanted = json!({"pages": 2, "records": 3, "inserted": 3, "updated": 0, "rejected": 0, "error": null});
        assert_eq!(run.ok(), &wanted);
        let run = world.app.post(&format!("/api/sources/{id}/trigger"), json!({})).await;
        assert_eq!((&run.ok()["inserted"], &run.ok()["updated"]), (&json!(0), &json!(3)));
        assert_eq!(world.column("leads", "score").await, [json!(1), json!(2), json!(3)]);

        let heard = world.outside.heard();
        let urls: Vec<&str> = heard.iter().map(|heard| heard.url.as_str()).collect();
        assert_eq!(urls[..2], [URL, "https://api.example/v1/people?page=2"]);
        assert!(heard.iter().all(|heard| heard.header("authorization") == "Bearer very-secret"));
        let pause = heard[1].at - heard[0].at;
        assert!(pause >= Duration::from_millis(500), "one page after the other: {pause:?}");
        let source = world.app.get("/api/sources").await.ok()[0].clone();
        assert_eq!((&source["rows"], &source["status"]), (&json!(6), &json!("active")));
    });
}

#[test]
fn it_asks_when_its_schedule_says_and_ticks_that_were_missed_are_one() {
    world(|mut world| async move {
        people(&world);
        pull(&world, json!({"schedule": "*/10 * * * *", "next_path": null})).await;
        world.work();
        world.sleeps(3_590).await;
        let heard = world.outside.heard();
        let minutes: Vec<u64> = heard.iter().map(|heard| heard.at.as_millis() / 60_000).collect();
        assert_eq!(minutes, [10, 20, 30, 40, 50]);
        let source = world.app.get("/api/sources").await.ok()[0].clone();
        assert_eq!(source["next_run"], "2026-01-01T01:00:00.000000Z");
        assert_eq!(source["last_run"], "2026-01-01T00:50:00.000000Z");

        let dead = world.dies().await;
        dead.sleeps(6 * 3_600 + 60).await;
        let mut world = dead.comes_back();
        world.work();
        world.sleeps(60).await;
        assert_eq!(world.outside.heard().len(), 6, "one for all that were missed");
        world.sleeps(600).await;
        assert_eq!(world.outside.heard().len(), 7, "and then as the schedule says");
    });
}

#[test]
fn what_goes_wrong_is_told_and_the_next_tick_tries_again() {
    world(|mut world| async move {
        let answers = [
            (503, json!({}), "status 503"),
            (200, json!({"other": 1}), "nothing at $.data[*]"),
            (200, json!({"data": [], "next": "https://evil.example/"}), "another host"),
            (
                200,
                json!({"data": [{"mail": "a"}], "next": "https://evil.example/"}),
                "another host",
            ),
            (
                200,
                json!({"data": [{"mail": "b", "n": "many"}, 7, {"mail": "c", "n": 1}]}),
                "2 records do not fit",
            ),
        ];
        let scripted = answers.clone();
        let mut at = 0;
        world.outside.answers(move |_| {
            let (status, body, _) = scripted[at].clone();
            at += 1;
            says(status, body)
        });
        pull(&world, json!({"schedule": "*/10 * * * *"})).await;
        world.work();
        for (index, (_, _, words)) in answers.iter().enumerate() {
            world.sleeps(if index == 0 { 660 } else { 600 }).await;
            assert_eq!(world.outside.heard().len(), index + 1);
            let source = world.app.get("/api/sources").await.ok()[0].clone();
            let told = source["last_error"].as_str().unwrap();
            assert!(told.contains(words), "{words} is not in {told}");
            assert_eq!(source["status"], "failing");
            assert!(!told.contains("very-secret"));
        }
        assert_eq!(world.column("leads", "email").await, [json!("a"), json!("c")]);
        let source = world.app.get("/api/sources").await.ok()[0].clone();
        assert_eq!(source["rejected"], 2);
    });
}

#[test]
fn a_source_that_was_moved_to_another_host_does_not_take_its_secrets_along() {
    world(|world| async move {
        people(&world);
        let id = pull(&world, json!({})).await;
        let at = format!("/api/sources/{id}");
        let masked = json!({"config": {"url": "https://evil.example/", "headers": {"authorization": "********"}}});
        world.app.patch(&at, masked).await.refused(
            400,
            "VALIDATION_ERROR",
            &["headers.authorization"],
        );
        let moved = json!({"config": {"url": "https://evil.example/"}});
        world.app.patch(&at, moved).await.ok();
        world.app.post(&format!("{at}/trigger"), json!({})).await.ok();
        let heard = world.outside.heard();
        assert_eq!((heard.len(), heard[0].header("authorization")), (1, ""));
        let hook = json!({"type": "webhook"});
        let hook = world.app.post("/api/tables/leads/sources", hook).await.ok()["id"].clone();
        let answer = world.app.post(&format!("/api/sources/{hook}/trigger"), json!({})).await;
        answer.refused(400, "VALIDATION_ERROR", &["only api_pull"]);
    });
}
