//! Pages and replies end where an agent's context would: whole rows, a cursor that goes on, and a word about it.

use paceline_model::limits::MCP_REPLY_BYTES_MAX;
use serde_json::{Value as Json, json};

use super::{Called, Client};
use crate::support::app;

const ROWS: usize = 250;

async fn table(client: &Client, bytes_of: impl Fn(usize) -> usize) {
    let columns = json!([{"name": "n", "type": "number"}, {"name": "text", "type": "text"}]);
    client.data("hypertab_create_table", json!({"name": "long", "columns": columns})).await;
    // Quotes and newlines, which take more room as JSON than as text.
    let rows: Vec<Json> =
        (0..ROWS).map(|n| json!({"n": n, "text": "\"\n".repeat(bytes_of(n) / 2)})).collect();
    client.data("hypertab_insert_rows", json!({"table": "long", "rows": rows})).await;
}

/// Reads the table to its end by following its hints; answers the pages.
async fn pages(client: &Client, limit: usize) -> Vec<Called> {
    let mut pages =
        vec![client.call("hypertab_query_rows", json!({"table": "long", "limit": limit})).await];
    while let Some(next) = pages.last().unwrap().body["meta"]["next_cursor"].as_str() {
        let more = json!({"table": "long", "limit": limit, "cursor": next});
        pages.push(client.call("hypertab_query_rows", more).await);
        assert!(pages.len() <= ROWS, "it never ends");
    }
    pages
}

#[test]
fn a_page_has_25_rows_and_at_most_100() {
    app(|app| async move {
        let client = Client::of(&app);
        table(&client, |_| 10).await;
        let page = client.data("hypertab_query_rows", json!({"table": "long"})).await;
        assert_eq!(page.as_array().unwrap().len(), 25);
        let sizes: Vec<_> = pages(&client, 100)
            .await
            .iter()
            .map(|page| page.body["data"].as_array().unwrap().len())
            .collect();
        assert_eq!(sizes, [100, 100, 50]);
    });
}

#[test]
fn a_page_that_would_be_too_long_ends_early_and_its_cursor_goes_on_there() {
    app(|app| async move {
        let client = Client::of(&app);
        // Rows of very different sizes: nothing follows from the mean of a page.
        table(&client, |n| if n % 7 == 0 { 12_000 } else { 40 }).await;
        let pages = pages(&client, 100).await;
        let mut numbers = Vec::new();
        for page in &pages {
            assert!(page.body.to_string().len() <= MCP_REPLY_BYTES_MAX);
            let rows = page.body["data"].as_array().unwrap();
            numbers.extend(rows.iter().map(|row| row["n"].as_i64().unwrap()));
            assert!(rows.iter().all(|row| !row["text"].as_str().unwrap().contains("cut")));
        }
        assert_eq!(numbers, (0..ROWS as i64).collect::<Vec<_>>(), "every row once");
        assert!(pages[0].body["meta"]["note"].as_str().unwrap().contains("ends early"));
        assert!(pages.len() > 3);
    });
}

#[test]
fn a_row_that_alone_is_too_long_is_shown_with_its_texts_cut() {
    app(|app| async move {
        let client = Client::of(&app);
        table(&client, |n| if n == 1 { 600_000 } else { 40 }).await;
        let pages = pages(&client, 100).await;
        let long: Vec<_> =
            pages.iter().filter(|page| page.body.to_string().contains("bytes in all")).collect();
        assert_eq!(long.len(), 1);
        let page = &long[0].body;
        assert!(page.to_string().len() <= MCP_REPLY_BYTES_MAX);
        assert!(page["meta"]["note"].as_str().unwrap().contains("are cut"), "{}", page["meta"]);
        assert!(page["data"][0]["text"].as_str().unwrap().ends_with("(cut; 600000 bytes in all)"));
        let rows: usize = pages.iter().map(|p| p.body["data"].as_array().unwrap().len()).sum();
        assert_eq!(rows, ROWS);
    });
}

#[test]
fn a_list_that_is_too_long_says_how_much_of_it_is_shown() {
    app(|app| async move {
        let client = Client::of(&app);
        let columns = json!([{"name": "a", "type": "text"}]);
        let about = "x".repeat(400);
        for n in 0..150 {
            let name = format!("table_{n}");
            let table = json!({"name": name, "description": about, "columns": columns});
            client.data("hypertab_create_table", table).await;
        }
        let called = client.call("hypertab_list_tables", json!({})).await;
        assert!(!called.is_error && called.body.to_string().len() <= MCP_REPLY_BYTES_MAX);
        let shown = called.body["data"].as_array().unwrap().len();
        assert!((100..150).contains(&shown), "as many as fit: {shown}");
        assert!(called.body["meta"]["note"].as_str().unwrap().contains("the first of 150 items"));
    });
}

#[test]
fn what_was_done_is_told_as_done_however_long_its_answer_is() {
    app(|app| async move {
        let client = Client::of(&app);
        let columns: Vec<Json> =
            (0..1_500).map(|n| json!({"name": format!("column_{n}"), "type": "text"})).collect();
        let called =
            client.call("hypertab_create_table", json!({"name": "wide", "columns": columns})).await;
        assert!(!called.is_error && called.body.to_string().len() <= MCP_REPLY_BYTES_MAX);
        assert_eq!(called.body["data"]["columns"].as_array().unwrap().len(), 200);
        let note = called.body["meta"]["note"].as_str().unwrap();
        assert!(note.contains("more than 200 items"), "{note}");

        // A row of so many columns is one object, and is cut like a list.
        let row: serde_json::Map<_, _> =
            (0..1_500).map(|n| (format!("column_{n}"), json!("x".repeat(40)))).collect();
        client.data("hypertab_insert_rows", json!({"table": "wide", "rows": [row, {}]})).await;
        let called = client.call("hypertab_query_rows", json!({"table": "wide"})).await;
        assert!(!called.is_error && called.body.to_string().len() <= MCP_REPLY_BYTES_MAX);
        assert_eq!(called.body["data"][0].as_object().unwrap().len(), 200);
        assert!(called.body["meta"]["next_cursor"].is_string());
    });
}
