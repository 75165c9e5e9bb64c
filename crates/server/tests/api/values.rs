//! What each of the 13 types takes over the API, and how it comes back.

use serde_json::{Value as Json, json};

use crate::support::app;

fn column(kind: &str) -> Json {
    match kind {
        "select" | "multi_select" => {
            json!({"name": "v", "type": kind, "config": {"options": ["lead", "customer"]}})
        }
        _ => json!({"name": "v", "type": kind}),
    }
}

#[test]
fn every_type_takes_its_values_and_gives_them_back() {
    let cases = [
        ("text", json!("a"), json!("a")),
        ("number", json!(1.5), json!(1.5)),
        ("boolean", json!(false), json!(false)),
        ("email", json!("a@example.com"), json!("a@example.com")),
        (
            "url",
            json!("https://example.com/a b".replace(' ', "%20")),
            json!("https://example.com/a%20b"),
        ),
        ("phone", json!("+1 (617) 555-0100"), json!("+1 (617) 555-0100")),
        ("datetime", json!("2026-01-31"), json!("2026-01-31")),
        ("datetime", json!("2026-01-31T09:30:00+02:00"), json!("2026-01-31T07:30:00.000000Z")),
        ("datetime", json!("2026-01-31T09:30"), json!("2026-01-31T09:30:00.000000Z")),
        ("json", json!({"b": [1], "a": null}), json!({"b": [1], "a": null})),
        ("select", json!("lead"), json!("lead")),
        ("multi_select", json!(["lead", "customer"]), json!(["lead", "customer"])),
        ("relation", json!(7), json!(7)),
        ("currency", json!(9.99), json!(9.99)),
        ("image_url", json!("http://example.com/a.png"), json!("http://example.com/a.png")),
    ];
    app(|app| async move {
        for (index, (kind, given, wanted)) in cases.into_iter().enumerate() {
            let table = json!({"name": format!("t{index}"), "columns": [column(kind)]});
            app.post("/api/tables", table).await.ok();
            let path = format!("/api/tables/t{index}/rows");
            app.post(&path, json!({"rows": [{"v": given}, {"v": null}]})).await.ok();
            let rows = app.get(&format!("{path}?columns=v")).await;
            assert_eq!(rows.ok()[0]["v"], wanted, "{kind}");
            assert_eq!(rows.ok()[1]["v"], Json::Null, "{kind}");
        }
    });
}

#[test]
fn every_type_refuses_what_it_is_not_with_advice() {
    let cases = [
        ("text", json!(5), "in quotes"),
        ("number", json!("5"), "without quotes"),
        ("number", json!("five"), "takes a number, not text"),
        ("boolean", json!("true"), "without quotes"),
        ("email", json!("nobody"), "one @"),
        ("url", json!("example.com"), "http or https"),
        ("phone", json!("call me"), "at least 3 digits"),
        ("datetime", json!("31.01.2026"), "ISO 8601"),
        ("datetime", json!(1_767_225_600), "a moment as text"),
        ("select", json!("leed"), "did you mean \"lead\"?"),
        ("multi_select", json!("lead"), "put it into a list"),
        ("multi_select", json!(["lead", "x"]), "(lead, customer)"),
        ("relation", json!(0), "the number of a row"),
        ("currency", json!("9.99"), "without quotes"),
        ("image_url", json!("data:image/png;base64,xx"), "http or https"),
    ];
    app(|app| async move {
        for (index, (kind, given, words)) in cases.into_iter().enumerate() {
            let table = json!({"name": format!("t{index}"), "columns": [column(kind)]});
            app.post("/api/tables", table).await.ok();
            let rows = json!({"rows": [{"v": given}]});
            let answer = app.post(&format!("/api/tables/t{index}/rows"), rows).await;
            answer.refused(400, "VALIDATION_ERROR", &["rows[0].v: ", words]);
        }
    });
}
