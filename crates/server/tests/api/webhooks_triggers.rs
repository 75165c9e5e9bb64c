//! What sets an outgoing webhook off, what it says, and what cannot be one.

use paceline_model::{Filter, Value};
use serde_json::{Value as Json, json};

use crate::webhooks::{TARGET, check_signature, numbered, rows, set_score, webhook};
use crate::world::{says, world};

#[test]
fn a_field_that_changes_is_told_and_one_that_stays_is_not() {
    world(|mut world| async move {
        world.insert("leads", numbered(1, 3)).await;
        webhook(&world, json!({"trigger_on": "field_change", "trigger_column": "score"})).await;
        world.work();
        world.sleeps(5).await;
        world.insert("leads", numbered(4, 5)).await;
        world.sleeps(5).await;
        assert!(world.outside.heard().is_empty(), "a first value is no change");
        for (from, to, wanted) in [(2, 2, None), (2, 20, Some(2)), (20, 20, None), (5, 6, Some(5))]
        {
            let before = world.outside.heard().len();
            set_score(&world, json!(from), to).await;
            world.sleeps(5).await;
            let told: Vec<i64> = world.outside.heard()[before..].iter().flat_map(rows).collect();
            assert_eq!(told, Vec::from_iter(wanted), "{from} to {to}");
        }
        let store = world.app.engine.store();
        let table = store.table("leads").await.unwrap().unwrap();
        let city = table.column("city").unwrap().id;
        let all = Filter::All(Vec::new());
        store.update_rows(table.id, all, &[city], vec![Value::Text("x".into())]).await.unwrap();
        world.sleeps(60).await;
        assert_eq!(world.outside.heard().len(), 2, "another column is nobody's concern");
    });
}

#[test]
fn a_row_is_told_when_it_begins_to_pass_a_filter() {
    world(|mut world| async move {
        world.insert("leads", numbered(78, 82)).await;
        let filter = json!({"score": {"gte": 80}});
        webhook(&world, json!({"trigger_on": "filter_match", "trigger_filter": filter})).await;
        world.work();
        world.sleeps(5).await;
        let mut told = Vec::new();
        let steps = [(78, 90, vec![1]), (90, 91, vec![]), (91, 10, vec![]), (10, 99, vec![1])];
        for (from, to, wanted) in steps {
            set_score(&world, json!(from), to).await;
            world.sleeps(5).await;
            let all: Vec<i64> = world.outside.heard().iter().flat_map(rows).collect();
            told.extend(wanted);
            assert_eq!(all, told, "{from} to {to}");
        }
        world.insert("leads", numbered(79, 80)).await;
        world.sleeps(5).await;
        let all: Vec<i64> = world.outside.heard().iter().flat_map(rows).collect();
        assert_eq!(all, [1, 1, 7], "of the new ones the one that passes");
    });
}

#[test]
fn a_sample_is_sent_once_and_now() {
    world(|world| async move {
        let (id, secret) = webhook(&world, json!({})).await;
        let tested = world.app.post(&format!("/api/webhooks/{id}/test"), json!({})).await;
        assert_eq!(
            (&tested.ok()["http_status"], &tested.ok()["sent"]["test"]),
            (&json!(200), &json!(true))
        );
        let heard = world.outside.heard();
        check_signature(&heard[0], &secret);
        assert_eq!(heard[0].body, tested.data()["sent"]);
        world.outside.answers(|_| says(404, json!({})));
        let tested = world.app.post(&format!("/api/webhooks/{id}/test"), json!({})).await;
        tested.refused(502, "UPSTREAM_ERROR", &["404"]);
        let log = world.app.get(&format!("/api/webhooks/{id}/deliveries")).await;
        assert_eq!(log.ok().as_array().unwrap().len(), 2);
    });
}

#[test]
fn an_incoming_webhook_is_a_source() {
    world(|world| async move {
        let body =
            json!({"direction": "incoming", "name": "forms", "field_mapping": {"mail": "email"}});
        let made = world.app.post("/api/tables/leads/webhooks", body).await;
        assert!(made.ok()["path"].as_str().unwrap().starts_with("/hooks/"));
        let id = made.data()["id"].as_i64().unwrap();
        assert_eq!(world.app.get("/api/sources").await.ok()[0]["id"], id);
        assert_eq!(
            world.app.get("/api/tables/leads/webhooks").await.ok()[0]["direction"],
            "incoming"
        );
        world.app.get(&format!("/api/webhooks/{id}/deliveries")).await.refused(
            404,
            "NOT_FOUND",
            &["outgoing"],
        );
        world.app.delete(&format!("/api/webhooks/{id}")).await.refused(
            400,
            "CONFIRMATION_REQUIRED",
            &[],
        );
        world.app.delete(&format!("/api/webhooks/{id}?confirm=true")).await.ok();
        assert_eq!(world.app.get("/api/sources").await.ok(), &json!([]));
    });
}

#[test]
fn what_a_webhook_cannot_be_is_said_with_its_field() {
    world(|world| async move {
        let out = |more: Json| {
            let mut body =
                json!({"direction": "outgoing", "target_url": TARGET, "trigger_on": "new_row"});
            for (name, value) in more.as_object().unwrap() {
                body[name] = value.clone();
            }
            body
        };
        let cases = [
            (json!({"direction": "outgoing"}), "VALIDATION_ERROR", "target_url"),
            (
                json!({"direction": "outgoing", "target_url": TARGET}),
                "VALIDATION_ERROR",
                "trigger_on",
            ),
            (out(json!({"target_url": "http://10.0.0.1/"})), "BLOCKED_URL", "10.0.0.1"),
            (out(json!({"trigger_on": "field_change"})), "VALIDATION_ERROR", "trigger_column"),
            (out(json!({"trigger_column": "score"})), "VALIDATION_ERROR", "trigger_column"),
            (out(json!({"trigger_on": "filter_match"})), "VALIDATION_ERROR", "trigger_filter"),
            (
                out(json!({"trigger_on": "filter_match", "trigger_filter": {"scor": 1}})),
                "INVALID_FILTER",
                "scor",
            ),
            (out(json!({"headers": {"bad name": "x"}})), "VALIDATION_ERROR", "headers.bad name"),
            (out(json!({"field_mapping": {"a[0]": "email"}})), "VALIDATION_ERROR", "a[0]"),
            (
                json!({"direction": "incoming", "target_url": TARGET}),
                "VALIDATION_ERROR",
                "target_url",
            ),
        ];
        for (body, code, words) in cases {
            world.app.post("/api/tables/leads/webhooks", body).await.refused(400, code, &[words]);
        }
        webhook(&world, json!({"name": "crm"})).await;
        let again = out(json!({"name": "crm"}));
        world.app.post("/api/tables/leads/webhooks", again).await.refused(
            409,
            "CONFLICT",
            &["crm"],
        );
    });
}

#[test]
fn one_row_each_and_under_other_names_if_that_is_wanted() {
    world(|mut world| async move {
        let mapping = json!({"person.mail": "email"});
        webhook(&world, json!({"batch": false, "field_mapping": mapping})).await;
        world.work();
        world.insert("leads", numbered(1, 3)).await;
        let heard = world.until_heard(3).await;
        assert_eq!(heard[1].body["row"], json!({"_ht_id": 2, "person": {"mail": "2@b.c"}}));
    });
}

#[test]
fn rows_are_told_as_they_are_and_those_that_are_gone_are_not() {
    world(|mut world| async move {
        let (id, _) = webhook(&world, json!({})).await;
        world.insert("leads", numbered(1, 3)).await;
        set_score(&world, json!(1), 100).await;
        let store = std::sync::Arc::clone(world.app.engine.store());
        let table = store.table("leads").await.unwrap().unwrap();
        let gone = Filter::parse(&table, &json!({"score": 2})).unwrap();
        store.delete_rows(table.id, gone).await.unwrap();
        world.work();
        let heard = world.until_heard(1).await;
        assert_eq!(rows(&heard[0]), [1, 3]);
        assert_eq!(heard[0].body["rows"][0]["score"], 100);

        // All rows of a delivery under way are deleted: there is nothing left to tell.
        world.outside.answers(|_| says(500, json!({})));
        world.insert("leads", numbered(4, 4)).await;
        world.until_heard(2).await;
        let gone = Filter::parse(&table, &json!({"score": 4})).unwrap();
        store.delete_rows(table.id, gone).await.unwrap();
        world.sleeps(4_000).await;
        assert_eq!(world.outside.heard().len(), 2);
        let log = world.app.get(&format!("/api/webhooks/{id}/deliveries")).await;
        assert_eq!(log.ok()[0]["status"], "skipped");
    });
}
