//! Wrong calls that an agent might make. Each is answered with a code, with what to do instead, and with hints that work
//! when they are called. The table is for every face: over MCP the same calls get the same answers.

mod calls;

use http::Method;
use paceline_server::{Operation, Place, operations};
use serde_json::{Map, Value as Json, json};

pub(crate) use calls::wrong_calls;

use crate::support::{Answer, TestApp, app, request};

/// A call and what is wrong with it.
pub(crate) struct WrongCall {
    pub(crate) operation: &'static str,
    pub(crate) arguments: Json,
    /// The code of the error.
    pub(crate) code: &'static str,
    /// Words of its message.
    pub(crate) words: &'static [&'static str],
    /// What is suggested instead of a name.
    pub(crate) did_you_mean: Option<&'static str>,
}

/// The tables that the calls are about.
pub(crate) async fn fixture(app: &TestApp) {
    app.airports().await;
    app.near(json!("gentle")).await.ok();
    let columns = json!([
        {"name": "email", "type": "email"},
        {"name": "stage", "type": "select", "config": {"options": ["lead", "customer"]}},
        {"name": "price", "type": "number"},
    ]);
    for name in ["leads", "old"] {
        app.post("/api/tables", json!({"name": name, "columns": columns})).await.ok();
    }
    let rows = json!([{"email": "a@example.com", "price": 1}, {"email": "b@example.com"}]);
    app.post("/api/tables/leads/rows", json!({"rows": rows})).await.ok();
    app.send(request(Method::DELETE, "/api/tables/old?confirm=true", None)).await.ok();
}

/// The call over REST.
async fn call(app: &TestApp, operation: &Operation, arguments: &Map<String, Json>) -> Answer {
    let mut path = operation.path.to_owned();
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let mut body = Map::new();
    for (name, value) in arguments {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let field = operation.fields.iter().find(|field| field.name == name);
        match field.map(|field| field.place) {
            Some(Place::Path) => path = path.replace(&format!("{{{name}}}"), &text),
            Some(Place::Body) => drop(body.insert(name.clone(), value.clone())),
            Some(Place::Query) | None => {
                let text = match value {
                    // Names, with commas.
                    Json::Array(items) if name == "columns" => {
                        items[0].as_str().unwrap().to_owned()
                    }
                    _ => text,
                };
                query.append_pair(name, &text);
            }
        }
    }
    let method = operation.verb.as_str().parse().unwrap();
    let body = (!body.is_empty()).then(|| Json::Object(body).to_string());
    app.send(request(method, &format!("{path}?{}", query.finish()), body)).await
}

#[test]
fn each_wrong_call_is_answered_with_a_code_a_remedy_and_hints_that_work() {
    let calls = wrong_calls();
    assert!(calls.len() >= 20);
    for wrong in calls {
        app(|app| async move {
            fixture(&app).await;
            let operation = operations().find(|known| known.name == wrong.operation).unwrap();
            let answer = call(&app, operation, wrong.arguments.as_object().unwrap()).await;
            let status = answer.status.as_u16();
            let error = answer.refused(status, wrong.code, wrong.words);
            assert!((400..500).contains(&status), "{error:#}");
            assert_eq!(error["did_you_mean"].as_str(), wrong.did_you_mean, "{error:#}");
            assert!(error["fix"].as_str().unwrap().len() > 10, "{error:#}");
            assert!(error["attempted"].as_str().unwrap().starts_with(wrong.operation), "{error:#}");
            let hints = answer.body["hints"].as_array().unwrap();
            assert!(!hints.is_empty(), "{:#}", answer.body);
            for hint in hints {
                let method: Method = hint["method"].as_str().unwrap().parse().unwrap();
                let body = hint["body"].is_object().then(|| hint["body"].to_string());
                app.send(request(method, hint["path"].as_str().unwrap(), body)).await.ok();
            }
        });
    }
}
