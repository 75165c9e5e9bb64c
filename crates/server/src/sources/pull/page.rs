//! One page of an API: asked for, and taken apart.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use paceline_engine::{FetchReply, FetchRequest};
use paceline_model::limits;
use serde_json::Value as Json;
use serde_json_path::JsonPath;
use url::Url;

use super::super::kept::{Pull, Source};
use super::super::{opened_headers, place_of};
use crate::App;
use crate::kept::Standing;

/// What stood in a page.
pub(super) struct Page {
    pub(super) records: Vec<Json>,
    /// Where the next one is. What is wrong with that does not touch the records of this one.
    pub(super) next: Result<Option<String>, String>,
}

pub(super) fn read(pull: &Pull, reply: &FetchReply) -> Result<Page, String> {
    let json: Json = serde_json::from_slice(&reply.body)
        .map_err(|error| format!("the answer is not JSON: {error}"))?;
    let next = match &pull.next_path {
        None => Ok(None),
        Some(path) => next_url(&json, path, &reply.url),
    };
    let records = match &pull.records_path {
        None => as_records(vec![&json]),
        Some(path) => {
            let found = find(&json, path)?;
            if found.is_empty() && !is_empty_list(&json, path) {
                return Err(format!("the answer has nothing at {path}"));
            }
            as_records(found)
        }
    };
    Ok(Page { records, next })
}

fn find<'j>(json: &'j Json, path: &str) -> Result<Vec<&'j Json>, String> {
    Ok(JsonPath::parse(path).map_err(|error| error.to_string())?.query(json).all())
}

/// Whether a path that finds nothing asks for the items of a list that has none: the last page of some APIs.
fn is_empty_list(json: &Json, path: &str) -> bool {
    let list = path.strip_suffix("[*]").and_then(|list| find(json, list).ok());
    list.is_some_and(|found| matches!(found.as_slice(), [Json::Array(items)] if items.is_empty()))
}

/// A path that finds one list means its items.
fn as_records(found: Vec<&Json>) -> Vec<Json> {
    match found.as_slice() {
        [Json::Array(items)] => items.clone(),
        found => found.iter().map(|json| (*json).clone()).collect(),
    }
}

/// Where the next page is: on the same host, because the headers of this source are for it alone.
fn next_url(json: &Json, path: &str, here: &Url) -> Result<Option<String>, String> {
    let found = find(json, path)?;
    let text = match found.as_slice() {
        [] | [Json::Null] => return Ok(None),
        [Json::String(text)] if text.is_empty() => return Ok(None),
        [Json::String(text)] => text,
        _ => return Err(format!("what stands at {path} is not one address")),
    };
    let next = here.join(text).map_err(|_| format!("what stands at {path} is not an address"))?;
    if next.origin() != here.origin() {
        return Err(
            "the next page is on another host, which does not get this source's headers".to_owned()
        );
    }
    if next == *here {
        return Err("the next page is the page itself".to_owned());
    }
    Ok(Some(next.into()))
}

/// Asks for a page.
pub(super) async fn fetch(
    app: &App,
    state: i64,
    pull: &Pull,
    url: &str,
) -> Result<FetchReply, String> {
    let mut headers =
        opened_headers(app, &pull.headers, &place_of(Source::KIND, state, &pull.url))?;
    let body = pull.body.as_ref().map(|body| match body {
        Json::String(text) => text.clone(),
        json => json.to_string(),
    });
    if body.is_some() && !headers.iter().any(|(name, _)| *name == CONTENT_TYPE) {
        headers.push((CONTENT_TYPE, HeaderValue::from_static("application/json")));
    }
    let request = FetchRequest {
        method: Method::from_bytes(pull.method.as_bytes()).unwrap_or(Method::GET),
        headers,
        body: body.map(Bytes::from),
        timeout: Duration::from_millis(pull.timeout_ms),
        reply_bytes_max: limits::SOURCE_PAGE_BYTES_MAX,
        ..FetchRequest::get(url)
    };
    let reply = app.engine.fetch(request).await.map_err(|error| error.to_string())?;
    if !(200..300).contains(&reply.status) {
        return Err(format!("it was answered with status {}", reply.status));
    }
    if reply.truncated {
        let most = limits::SOURCE_PAGE_BYTES_MAX;
        return Err(format!("the answer is longer than {most} bytes; ask for smaller pages"));
    }
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_next_page_is_on_the_same_host_and_another_page() {
        let here: Url = "https://api.example/v1/items?page=1".parse().unwrap();
        let next = |value: Json| next_url(&json!({"next": value}), "$.next", &here);
        let second = "https://api.example/v1/items?page=2";
        assert_eq!(next(json!(second)), Ok(Some(second.to_owned())));
        assert_eq!(next(json!("?page=2")), Ok(Some(second.to_owned())));
        assert_eq!(next(json!(null)), Ok(None));
        assert_eq!(next(json!("")), Ok(None));
        assert_eq!(next_url(&json!({}), "$.next", &here), Ok(None));
        let refused =
            [json!("https://evil.example/"), json!("http://api.example/v1/items?page=2"), json!(2)];
        for value in refused.into_iter().chain([json!(here.as_str())]) {
            assert!(next(value.clone()).is_err(), "{value}");
        }
    }

    #[test]
    fn a_list_without_items_is_there_all_the_same() {
        let json = json!({"data": [], "other": 1});
        assert!(is_empty_list(&json, "$.data[*]"));
        for path in ["$.dat[*]", "$.other[*]", "$.data"] {
            assert!(!is_empty_list(&json, path), "{path}");
        }
    }

    #[test]
    fn one_list_means_its_items() {
        let (list, one) = (json!([{"a": 1}, {"a": 2}]), json!({"a": 1}));
        assert_eq!(as_records(vec![&list]).len(), 2);
        assert_eq!(as_records(vec![&one]), vec![one.clone()]);
        assert_eq!(as_records(vec![&one, &one]).len(), 2);
    }
}
