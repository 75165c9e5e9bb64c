//! `/api/tables` and `/api/tables/{table}`.

use serde_json::json;

use crate::support::app;

#[test]
fn a_table_is_made_listed_and_shown_by_name_and_by_id() {
    app(|app| async move {
        assert_eq!(*app.get("/api/tables").await.ok(), json!([]));

        let columns = json!([{"name": "email", "type": "email", "title": "E-mail"}, {"name": "age", "type": "number"}]);
        let body = json!({"name": "leads", "description": "who asked", "columns": columns});
        let made = app.post("/api/tables", body).await;
        made.ok();
        assert_eq!(made.meta()["operation"], "create_table");
        assert_eq!(made.body["hints"][0]["operation"], "insert_rows");

        let id = made.data()["id"].as_i64().unwrap();
        for name in ["leads".to_owned(), id.to_string()] {
            let shown = app.get(&format!("/api/tables/{name}")).await;
            let data = shown.ok();
            assert_eq!(data["name"], "leads");
            assert_eq!(data["description"], "who asked");
            assert_eq!(data["columns"][0]["title"], "E-mail");
            assert_eq!(data["columns"][0]["type"], "email");
            assert_eq!(
                data["columns"][1],
                json!({"id": data["columns"][1]["id"], "name": "age", "type": "number"})
            );
            assert_eq!(
                data["created_at"], "2026-01-01T00:00:00.000000Z",
                "virtual time begins there"
            );
        }

        app.post("/api/tables/leads/rows", json!({"rows": [{"age": 1}, {"age": 2}]})).await.ok();
        let listed = app.get("/api/tables").await;
        let line = &listed.ok()[0];
        assert_eq!(
            (&line["name"], &line["rows"], &line["columns"]),
            (&json!("leads"), &json!(2), &json!(2))
        );
    });
}

#[test]
fn the_hint_of_a_new_table_works_as_it_stands() {
    app(|app| async move {
        let body = json!({"name": "t", "columns": [{"name": "a", "type": "text"}]});
        let made = app.post("/api/tables", body).await;
        let hint = &made.body["hints"][0];
        app.post(hint["path"].as_str().unwrap(), hint["body"].clone()).await.ok();
    });
}

#[test]
fn a_name_that_is_taken_is_a_conflict() {
    app(|app| async move {
        app.airports().await;
        let body = json!({"name": "airports", "columns": [{"name": "a", "type": "text"}]});
        let answer = app.post("/api/tables", body).await;
        answer.refused(409, "TABLE_ALREADY_EXISTS", &["airports"]);
        assert_eq!(answer.body["hints"][0]["path"], "/api/tables/airports");
    });
}

#[test]
fn what_a_table_cannot_be_made_of_is_named() {
    let column = json!([{"name": "a", "type": "text"}]);
    let cases = [
        (json!({"columns": column}), "VALIDATION_ERROR", vec!["name: is required"]),
        (json!({"name": "t"}), "VALIDATION_ERROR", vec!["columns: is required"]),
        (json!({"name": "t", "columns": []}), "VALIDATION_ERROR", vec!["at least one column"]),
        (json!({"name": "Leads", "columns": column}), "INVALID_TABLE_NAME", vec!["Leads", "a-z"]),
        (
            json!({"name": "x".repeat(65), "columns": column}),
            "INVALID_TABLE_NAME",
            vec!["65", "64"],
        ),
        (json!({"name": "_ht_runs", "columns": column}), "RESERVED_PREFIX", vec!["_ht_"]),
        (
            json!({"name": "t", "columns": [{"name": "1", "type": "text"}]}),
            "INVALID_COLUMN_NAME",
            vec!["columns[0].name"],
        ),
        (
            json!({"name": "t", "columns": [{"name": "_ht_id", "type": "text"}]}),
            "RESERVED_PREFIX",
            vec!["columns[0].name"],
        ),
        (
            json!({"name": "t", "columns": [{"name": "a", "type": "text"}, {"name": "a", "type": "text"}]}),
            "DUPLICATE_COLUMN",
            vec!["columns[1].name", "\"a\""],
        ),
        (
            json!({"name": "t", "columns": [{"name": "a", "type": "nubmer"}]}),
            "VALIDATION_ERROR",
            vec!["columns[0].type", "did you mean \"number\"?"],
        ),
        (
            json!({"name": "t", "columns": column, "desciption": "x"}),
            "VALIDATION_ERROR",
            vec!["desciption", "did you mean \"description\"?"],
        ),
        (
            json!({"name": "t", "columns": column, "description": "x".repeat(501)}),
            "VALIDATION_ERROR",
            vec!["description: 501 bytes", "500"],
        ),
        (json!({"name": 5, "columns": column}), "VALIDATION_ERROR", vec!["name: 5 is not text"]),
    ];
    app(|app| async move {
        for (body, code, words) in cases {
            let status = if code == "DUPLICATE_COLUMN" { 409 } else { 400 };
            app.post("/api/tables", body).await.refused(status, code, &words);
        }
        assert_eq!(*app.get("/api/tables").await.ok(), json!([]), "nothing was made");
    });
}

#[test]
fn a_table_that_is_not_there_is_said_to_be_missing_with_what_was_meant() {
    app(|app| async move {
        app.airports().await;
        let answer = app.get("/api/tables/airprots").await;
        let error = answer.refused(404, "TABLE_NOT_FOUND", &["airprots"]);
        assert_eq!(error["did_you_mean"], "airports");
        assert!(error["attempted"].as_str().unwrap().contains("get_table_schema"));
        app.get(answer.body["hints"][0]["path"].as_str().unwrap()).await.ok();
        app.get("/api/tables/999").await.refused(404, "TABLE_NOT_FOUND", &["999"]);
    });
}
