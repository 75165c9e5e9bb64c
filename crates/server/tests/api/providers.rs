//! AI providers: their keys go in, and nowhere but to their provider.

use http::Method;
use serde_json::{Value as Json, json};

use crate::outside::Outside;
use crate::support::{Answer, TestApp, app, request};

const PATH: &str = "/api/settings/ai-providers";

async fn save(app: &TestApp, body: Json) -> Answer {
    app.post(PATH, body).await
}

#[test]
fn a_provider_is_told_by_the_beginning_of_its_key() {
    let cases = [
        ("sk-ant-abcdefghij", "anthropic", "https://api.anthropic.com/v1"),
        ("sk-proj-abcdefghij", "openai", "https://api.openai.com/v1"),
        ("AIzaabcdefghij", "google", "https://generativelanguage.googleapis.com/v1beta"),
        ("gsk_abcdefghij", "groq", "https://api.groq.com/openai/v1"),
    ];
    app(|app| async move {
        for (key, provider, base_url) in cases {
            let saved = save(&app, json!({"label": provider, "api_key": key})).await;
            let data = saved.ok();
            assert_eq!(
                (&data["provider"], &data["base_url"]),
                (&json!(provider), &json!(base_url))
            );
            assert_eq!((&data["key"], &data["is_default"]), (&json!("********ghij"), &json!(true)));
            assert!(!saved.body.to_string().contains(key));
        }
        let named = json!({"label": "d", "api_key": "sk-abcdefghij", "provider": "deepseek"});
        assert_eq!(save(&app, named).await.ok()["base_url"], "https://api.deepseek.com/");
        let listed = app.get(PATH).await;
        assert_eq!(listed.ok().as_array().unwrap().len(), 5);
        assert!(!listed.body.to_string().contains("abcdef"), "{:#}", listed.body);
    });
}

#[test]
fn the_first_of_a_provider_is_the_default_until_another_is_made_it() {
    app(|app| async move {
        let defaults = async || {
            let listed = app.get(PATH).await;
            let lines = listed.ok().as_array().unwrap();
            let defaults = lines.iter().filter(|line| line["is_default"] == true);
            defaults.map(|line| line["label"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let one = |label: &str, is_default: bool| json!({"label": label, "api_key": "sk-abcdefghij", "is_default": is_default});
        save(&app, one("a", false)).await.ok();
        save(&app, one("b", false)).await.ok();
        assert_eq!(defaults().await, ["a"]);
        save(&app, one("b", true)).await.ok();
        assert_eq!(defaults().await, ["b"]);
        save(&app, one("b", false)).await.ok();
        assert_eq!(defaults().await, ["b"], "a new key does not change that");
        let listed = app.get(PATH).await;
        let id = listed.ok()[1]["id"].as_i64().unwrap();
        app.send(request(Method::DELETE, &format!("{PATH}/{id}"), None)).await.ok();
        assert_eq!(defaults().await, ["a"]);
    });
}

#[test]
fn what_is_no_provider_is_named_by_field() {
    let cases = [
        (json!({"label": " "}), "VALIDATION_ERROR", "label"),
        (json!({"api_key": "hunter2 hunter2"}), "VALIDATION_ERROR", "api_key"),
        (
            json!({"api_key": "hunter2hunter2"}),
            "VALIDATION_ERROR",
            "provider: is not told by this key",
        ),
        (json!({"provider": "openia"}), "VALIDATION_ERROR", "did you mean \"openai\""),
        (
            json!({"base_url": "https://llm.example"}),
            "VALIDATION_ERROR",
            "base_url: is for openai_compatible",
        ),
        (json!({"provider": "openai_compatible"}), "VALIDATION_ERROR", "base_url: is required"),
        (
            json!({"provider": "openai_compatible", "base_url": "http://llm.example"}),
            "VALIDATION_ERROR",
            "https: only",
        ),
        (
            json!({"provider": "openai_compatible", "base_url": "http://127.0.0.1:11434/v1"}),
            "BLOCKED_URL",
            "--allow-host",
        ),
        (
            json!({"provider": "openai_compatible", "base_url": "https://u:hunter2@llm.example"}),
            "BLOCKED_URL",
            "user name",
        ),
    ];
    app(|app| async move {
        for (given, code, words) in cases {
            let mut body = json!({"label": "x", "api_key": "sk-abcdefghij"});
            body.as_object_mut().unwrap().extend(given.as_object().unwrap().clone());
            let answer = save(&app, body).await;
            answer.refused(400, code, &[words]);
            assert!(!answer.body.to_string().contains("hunter2"), "{:#}", answer.body);
        }
    });
}

#[tokio::test]
async fn a_test_lists_the_models_and_says_what_is_wrong_with_the_key() {
    let outside = Outside::new(&[]).await;
    let app = &outside.app;
    let base_url = format!("http://{}/v1/", outside.open);
    let body = |key: &str| json!({"label": "own", "api_key": key, "provider": "openai_compatible", "base_url": base_url});
    let saved = save(app, body("good-key-123456")).await;
    let id = saved.ok()["id"].as_i64().unwrap();
    let test = format!("{PATH}/{id}/test");
    let tested = app.post(&test, json!({})).await;
    assert_eq!(
        (&tested.ok()["ok"], &tested.data()["models"]),
        (&json!(true), &json!(["large", "small"]))
    );
    let listed = app.get(PATH).await;
    assert_eq!(listed.ok()[0]["models"], json!(["large", "small"]));

    assert_eq!(
        save(app, body("bad-key-1234567")).await.ok()["id"],
        id,
        "the same label is the same provider"
    );
    let tested = app.post(&test, json!({})).await;
    assert_eq!((&tested.ok()["ok"], &tested.data()["status"]), (&json!(false), &json!(401)));
    assert!(tested.data()["problem"].as_str().unwrap().contains("does not take this key"));
    assert!(!tested.body.to_string().contains("bad-key"));
}

#[tokio::test]
async fn a_key_does_not_open_for_another_host() {
    let outside = Outside::new(&[]).await;
    let app = &outside.app;
    let body = json!({"label": "own", "api_key": "good-key-123456", "provider": "openai_compatible", "base_url": format!("http://{}/v1", outside.open)});
    let id = save(app, body).await.ok()["id"].as_i64().unwrap();
    // As somebody would who can write to the database and wants to have the key sent elsewhere.
    let store = app.engine.store();
    let item = store.item("ai_provider", id).await.unwrap().unwrap();
    let kept = item.body.to_string();
    assert!(!kept.contains("good-key") && kept.contains("sealed:v1:"), "{kept}");
    let mut moved = item.body.clone();
    moved["base_url"] = json!("https://127-0-0-1.to.example/v1");
    store.update_item("ai_provider", id, item.version, moved).await.unwrap();
    let refused = app.post(&format!("{PATH}/{id}/test"), json!({})).await;
    refused.refused(409, "CONFLICT", &["sealed for another host"]);
}
