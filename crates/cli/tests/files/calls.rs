//! Inserts and changes of the schema, cut off by the death of the server: what was acknowledged is there, and what was not
//! is there whole or not at all.

use std::time::Duration;

use paceline_clock::{Clock, Random};
use reqwest::Method;
use serde_json::{Value as Json, json};

use crate::kills;
use crate::server::{Caller, Home, Server};

/// Who inserts at the same time.
const WRITERS: usize = 3;
/// Rows of one call: it takes some milliseconds, so that a death falls into one more often than not.
const BATCH_ROWS: usize = 2_000;
/// The longest time that the server lives.
const LIFE_MAX_MS: f64 = 400.0;
/// Columns that are there at once at the most.
const COLUMNS_MAX: usize = 20;

/// Batches are numbered over all lives of the server, by writer.
fn batch(writer: usize, number: usize) -> i64 {
    (number * WRITERS + writer) as i64
}

/// Inserts batch after batch until the server dies; answers the first number that was not acknowledged.
async fn insert(caller: Caller, writer: usize, mut number: usize) -> usize {
    loop {
        let row = json!({"batch": batch(writer, number), "text": "some text of a row"});
        let body = json!({"rows": vec![row; BATCH_ROWS]});
        if !caller.send(Method::POST, "/api/tables/t/rows", body).await {
            return number;
        }
        number += 1;
    }
}

/// The columns `c<first>..c<last>` that are certainly there, and what was cut off.
struct Schema {
    first: usize,
    last: usize,
}

/// Adds columns at one end and deletes them at the other until the server dies.
async fn change(caller: Caller, mut schema: Schema) -> Schema {
    loop {
        let name = format!("c{}", schema.last);
        let body = json!({"name": name, "type": "number"});
        if !caller.send(Method::POST, "/api/tables/t/columns", body).await {
            return schema;
        }
        schema.last += 1;
        if schema.last - schema.first > COLUMNS_MAX {
            let path = format!("/api/tables/t/columns/c{}?confirm=true", schema.first);
            if !caller.send(Method::DELETE, &path, json!({})).await {
                return schema;
            }
            schema.first += 1;
        }
    }
}

/// Holds the table against what was acknowledged; answers what is there of the call that was cut off.
async fn check(server: &Server, numbers: &mut [usize], schema: &mut Schema) {
    for (writer, number) in numbers.iter_mut().enumerate() {
        let count = async |number: usize| {
            let filter = json!({"batch": batch(writer, number)}).to_string();
            let query: String = url::form_urlencoded::byte_serialize(filter.as_bytes()).collect();
            let path = format!("/api/tables/t/rows/count?where={query}");
            server.get(&path).await["data"]["count"].as_u64().unwrap() as usize
        };
        if let Some(last) = number.checked_sub(1) {
            assert_eq!(count(last).await, BATCH_ROWS, "an acknowledged call is there");
        }
        let cut = count(*number).await;
        assert!(cut == 0 || cut == BATCH_ROWS, "{cut} rows of a call that was cut off");
        *number += usize::from(cut > 0);
    }
    let total = server.get("/api/tables/t/rows/count").await["data"]["count"].as_u64();
    let wanted = numbers.iter().sum::<usize>() * BATCH_ROWS;
    assert_eq!(total, Some(wanted as u64), "nothing else is there");
    let table = server.get("/api/tables/t").await;
    let names: Vec<&str> = table["data"]["columns"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|column| column["name"].as_str()?.strip_prefix('c'))
        .collect();
    let (first, last): (usize, usize) = match (names.first(), names.last()) {
        (Some(first), Some(last)) => (first.parse().unwrap(), last.parse::<usize>().unwrap() + 1),
        _ => (schema.first, schema.last),
    };
    assert_eq!(names.len(), last - first, "no gap: {names:?}");
    assert!((schema.first..=schema.first + 1).contains(&first), "{first} {}", schema.first);
    assert!((schema.last..=schema.last + 1).contains(&last), "{last} {}", schema.last);
    *schema = Schema { first, last };
    // Every column that the schema names can be read.
    let page: Json = server.get("/api/tables/t/rows?limit=1").await;
    let row = page["data"][0].as_object();
    assert!(row.is_none_or(|row| names.iter().all(|name| row.contains_key(&format!("c{name}")))));
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_during_inserts_and_schema_changes_leave_nothing_by_half() {
    let (clock, random) = (Clock::system(), Random::system());
    let mut server = Server::start(Home::new()).await;
    let columns = json!([{"name": "batch", "type": "number"}, {"name": "text", "type": "text"}]);
    server.post("/api/tables", json!({"name": "t", "columns": columns})).await;
    let (mut numbers, mut schema) = ([0; WRITERS], Schema { first: 0, last: 0 });
    for _ in 0..kills() {
        let writers: Vec<_> = numbers
            .iter()
            .enumerate()
            .map(|(writer, number)| tokio::spawn(insert(server.caller(), writer, *number)))
            .collect();
        let changer = tokio::spawn(change(server.caller(), schema));
        clock.sleep(Duration::from_secs_f64(random.unit() * LIFE_MAX_MS / 1e3)).await;
        let home = server.kill().await;
        for (number, writer) in numbers.iter_mut().zip(writers) {
            *number = writer.await.unwrap();
        }
        schema = changer.await.unwrap();
        server = Server::start(home).await;
        check(&server, &mut numbers, &mut schema).await;
    }
    println!("{} kills: {numbers:?} batches, {} columns made", kills(), schema.last);
}
