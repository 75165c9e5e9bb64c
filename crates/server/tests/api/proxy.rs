//! The HTTP proxy (spec P3): what is sent, what comes back, and what of it is cut.

use serde_json::json;

use crate::outside::Outside;

const KEPT: usize = 100 * 1024;

#[tokio::test]
async fn a_call_is_made_as_asked_and_its_answer_told() {
    let outside = Outside::new(&[]).await;
    let url = format!("http://{}/echo", outside.open);
    let body = json!({
        "method": "POST", "url": url, "body": {"a": 1}, "headers": {"X-Odd": "yes"}, "timeout": 5,
    });
    let answer = outside.app.post("/api/http-request", body).await;
    let data = answer.ok();
    assert_eq!(
        (&data["status"], &data["url"], &data["truncated"]),
        (&json!(200), &json!(url), &json!(false))
    );
    assert_eq!(
        (&data["headers"]["content-type"], &data["body"]),
        (&json!("application/json"), &json!(null))
    );
    let echoed = &data["json"];
    assert_eq!((&echoed["method"], &echoed["body"]), (&json!("POST"), &json!("{\"a\":1}")));
    assert_eq!(echoed["headers"]["content-type"], "application/json");
    assert_eq!(echoed["headers"]["x-odd"], "yes");
    assert!(data["duration_ms"].is_u64());
}

#[tokio::test]
async fn text_is_cut_at_100_kb_between_two_characters_and_marked() {
    let outside = Outside::new(&[]).await;
    for (bytes, kept, truncated) in
        [(KEPT, KEPT, false), (KEPT + 2, KEPT, true), (3 * 1024 * 1024, KEPT, true)]
    {
        let answer = outside.request(&format!("http://{}/text/{bytes}", outside.open)).await;
        let data = answer.ok();
        assert_eq!(
            (data["body"].as_str().unwrap().len(), &data["truncated"]),
            (kept, &json!(truncated))
        );
        assert_eq!(data["json"], json!(null));
        assert_eq!(data["bytes"].as_u64().unwrap() as usize, bytes.min(1024 * 1024));
    }
}

/// hypertab.md a9, hole 12: a reply that is cut at 100 KB is no JSON, so it is parsed before.
#[tokio::test]
async fn extract_sees_all_of_a_json_reply_that_is_too_long_to_be_handed_on() {
    let outside = Outside::new(&[]).await;
    let url = format!("http://{}/items/2000", outside.open);
    let answer = outside.request(&url).await;
    let data = answer.ok();
    assert_eq!((&data["json"], &data["truncated"]), (&json!(null), &json!(true)));
    assert_eq!(data["body"].as_str().unwrap().len(), KEPT);
    let cases = [
        ("$.next", json!("last"), json!(null)),
        ("$.items[1999].number", json!(1999), json!(null)),
        ("$.items[0:2].number", json!([0, 1]), json!(null)),
        ("$.nothing", json!(null), json!("the reply has nothing at $.nothing")),
    ];
    for (path, wanted, problem) in cases {
        let body = json!({"method": "GET", "url": url, "extract": path});
        let answer = outside.app.post("/api/http-request", body).await;
        let data = answer.ok();
        assert_eq!((&data["json"], &data["problem"]), (&wanted, &problem), "{path}");
        assert_eq!(data["truncated"], json!(wanted.is_null()), "{path}");
    }
    let body = json!({"method": "GET", "url": url, "extract": "$.items"});
    let answer = outside.app.post("/api/http-request", body).await;
    let found = answer.ok();
    assert_eq!(
        (&found["json"], &found["truncated"]),
        (&json!(null), &json!(true)),
        "what is found is cut too"
    );
    let body = json!({"method": "GET", "url": format!("http://{}/items/20000", outside.open), "extract": "$.next"});
    let answer = outside.app.post("/api/http-request", body).await;
    assert!(answer.ok()["problem"].as_str().unwrap().contains("longer than 1048576 bytes"));
    let body = json!({"method": "GET", "url": format!("http://{}/broken", outside.open), "extract": "$.half"});
    let answer = outside.app.post("/api/http-request", body).await;
    assert_eq!(answer.ok()["problem"], "the reply is not JSON");
}

#[tokio::test]
async fn redirects_are_followed_unless_told_not_to() {
    let outside = Outside::new(&[]).await;
    let url = format!("http://{0}/to?http://{0}/echo", outside.open);
    assert_eq!(outside.request(&url).await.ok()["status"], 200);
    let body = json!({"method": "GET", "url": url, "follow_redirects": false});
    let answer = outside.app.post("/api/http-request", body).await;
    assert_eq!(
        (&answer.ok()["status"], &answer.data()["headers"]["location"]),
        (&json!(302), &json!(format!("http://{}/echo", outside.open)))
    );
}

#[tokio::test]
async fn a_wrong_request_is_named_by_field_and_no_secret_is_told() {
    let outside = Outside::new(&[]).await;
    let cases = [
        (json!({"url": "example.com"}), "VALIDATION_ERROR", "url"),
        (
            json!({"timeout": 61}),
            "VALIDATION_ERROR",
            "timeout: 61000 ms is over the limit of 60000 ms",
        ),
        (json!({"timeout": 0}), "VALIDATION_ERROR", "timeout"),
        (json!({"timeout": 5, "timeout_ms": 5}), "VALIDATION_ERROR", "timeout_ms"),
        (json!({"method": "CONNECT"}), "VALIDATION_ERROR", "method"),
        (
            json!({"headers": {"authorization": "hunter2\n"}}),
            "VALIDATION_ERROR",
            "headers.authorization",
        ),
        (json!({"headers": {"a b": "hunter2"}}), "VALIDATION_ERROR", "headers.a b"),
        (json!({"headers": {"x": 5}}), "VALIDATION_ERROR", "headers.x: is not text"),
        (
            json!({"headers": {"Host": "hunter2"}}),
            "VALIDATION_ERROR",
            "host is set by the connection",
        ),
        (json!({"extract": "items"}), "VALIDATION_ERROR", "extract"),
        (
            json!({"url": "http://unknown.example/hunter2"}),
            "UPSTREAM_ERROR",
            "unknown.example is not known",
        ),
    ];
    for (given, code, words) in cases {
        let mut body = json!({"method": "GET", "url": format!("http://{}/echo", outside.open)});
        body.as_object_mut().unwrap().extend(given.as_object().unwrap().clone());
        let answer = outside.app.post("/api/http-request", body).await;
        let status = if code == "UPSTREAM_ERROR" { 502 } else { 400 };
        answer.refused(status, code, &[words]);
        assert!(!answer.body.to_string().contains("hunter2"), "{:#}", answer.body);
    }
    let body =
        json!({"method": "GET", "url": format!("http://{}/never", outside.open), "timeout_ms": 50});
    outside.app.post("/api/http-request", body).await.refused(504, "TIMEOUT", &["50 ms"]);
}
