//! A web of scripted pages: what is followed, what is taken along, what is cut.

use std::future::Future;
use std::sync::Mutex;

use async_trait::async_trait;
use paceline_clock::{Random, SimClock};
use paceline_store::SqliteStore;

use super::*;
use crate::EngineConfig;

/// Says for each URL what its script says, after 1 s; knows what was asked.
#[derive(Default)]
struct Web {
    pages: Vec<(&'static str, u16, &'static str)>,
    asked: Mutex<Vec<Request>>,
    clock: Option<Clock>,
}

#[async_trait]
impl Provider for Web {
    async fn call(&self, request: Request, _: &mut dyn CallEvents) -> Result<Reply, CallError> {
        self.clock.as_ref().unwrap().sleep(Duration::from_secs(1)).await;
        let page = self.pages.iter().find(|(url, ..)| *url == request.url.as_str());
        let (_, status, text) = *page.unwrap_or(&("", 404, ""));
        self.asked.lock().unwrap().push(request);
        let mut headers = HeaderMap::new();
        let body = if (300..400).contains(&status) {
            headers.insert("location", text.parse().unwrap());
            ""
        } else {
            text
        };
        Ok(Reply { status, headers, body: body.into() })
    }
}

fn fetching<F: Future<Output = ()>>(
    pages: &[(&'static str, u16, &'static str)],
    scenario: impl FnOnce(Engine, Arc<Web>) -> F,
) {
    SimClock::new().run(|clock| {
        let web = Web { pages: pages.to_vec(), clock: Some(clock.clone()), ..Web::default() };
        let web = Arc::new(web);
        let providers = ProviderFactory::Fixed(Arc::clone(&web) as Arc<dyn Provider>);
        let config = EngineConfig { providers, ..EngineConfig::default() };
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        scenario(Engine::new(store, clock, Random::seeded(1), config), web)
    });
}

fn request(method: Method, url: &str) -> FetchRequest {
    let headers = [("authorization", "Bearer s"), ("x-odd", "s"), ("accept", "text/csv")];
    let headers = headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    FetchRequest { method, headers: headers.into(), redirects_max: 5, ..FetchRequest::get(url) }
}

#[test]
fn a_reply_comes_with_where_it_came_from_and_how_long_it_took() {
    let pages = [("https://a.example/1", 302, "/2"), ("https://a.example/2", 200, "hello")];
    fetching(&pages, async |engine, web| {
        let reply = engine.fetch(request(Method::GET, "https://a.example/1")).await.unwrap();
        assert_eq!((reply.status, &*reply.body, reply.truncated), (200, &b"hello"[..], false));
        assert_eq!(
            (reply.url.as_str(), reply.took),
            ("https://a.example/2", Duration::from_secs(2))
        );
        assert_eq!(web.asked.lock().unwrap()[1].headers.len(), 3, "the same origin gets all");
    });
}

#[test]
fn without_leave_to_follow_a_redirect_is_the_reply() {
    fetching(&[("https://a.example/1", 302, "/2")], async |engine, web| {
        let reply = engine.fetch(FetchRequest::get("https://a.example/1")).await.unwrap();
        assert_eq!((reply.status, web.asked.lock().unwrap().len()), (302, 1));
    });
}

#[test]
fn another_origin_gets_no_header_that_may_hold_a_secret_and_no_body() {
    let elsewhere = ["https://b.example/", "http://a.example/1", "https://a.example:444/1"];
    for place in elsewhere {
        for status in [301, 302, 303, 307, 308] {
            let pages = [("https://a.example/1", status, place), (place, 200, "")];
            fetching(&pages, async |engine, web| {
                engine.fetch(request(Method::GET, "https://a.example/1")).await.unwrap();
                let with_body = FetchRequest {
                    body: Some("secret".into()),
                    ..request(Method::POST, "https://a.example/1")
                };
                let reply = engine.fetch(with_body).await.unwrap();
                assert_eq!(reply.status == 200, status < 307, "a body is not taken along");
                for asked in
                    web.asked.lock().unwrap().iter().filter(|asked| asked.url.as_str() == place)
                {
                    let names: Vec<&str> =
                        asked.headers.iter().map(|(name, _)| name.as_str()).collect();
                    assert_eq!((names, &asked.body), (vec!["accept"], &None), "{status} {place}");
                    assert_eq!(asked.method, Method::GET);
                }
            });
        }
    }
}

#[test]
fn a_redirect_to_where_nothing_may_be_called_is_refused_and_not_called() {
    let hostile = [
        "http://127.0.0.1/",
        "//10.0.0.1/",
        "http://169.254.169.254/",
        "file:///etc/passwd",
        "https://u:p@b.example/",
        "http://localhost/",
    ];
    for place in hostile {
        fetching(&[("http://a.example/1", 302, place)], async |engine, web| {
            let error = engine.fetch(request(Method::GET, "http://a.example/1")).await.unwrap_err();
            assert_eq!(error.code(), "BLOCKED_URL", "{place}: {error}");
            assert_eq!(web.asked.lock().unwrap().len(), 1, "{place}");
        });
    }
}

#[test]
fn redirects_end_somewhere() {
    fetching(&[("https://a.example/1", 302, "/1")], async |engine, web| {
        let error = engine.fetch(request(Method::GET, "https://a.example/1")).await.unwrap_err();
        assert_eq!((error, web.asked.lock().unwrap().len()), (FetchError::Redirects(5), 6));
    });
}

#[test]
fn a_long_reply_is_cut_and_marked() {
    fetching(&[("https://a.example/1", 200, "0123456789")], async |engine, _| {
        for (bytes_max, kept, truncated) in [(4, 4, true), (10, 10, false), (usize::MAX, 10, false)]
        {
            let request = FetchRequest {
                reply_bytes_max: bytes_max,
                ..FetchRequest::get("https://a.example/1")
            };
            let reply = engine.fetch(request).await.unwrap();
            assert_eq!((reply.body.len(), reply.truncated), (kept, truncated));
        }
    });
}

#[test]
fn redirects_count_against_the_time_that_there_is() {
    fetching(&[("https://a.example/1", 302, "/1")], async |engine, web| {
        let timeout = Duration::from_millis(2_500);
        let request = FetchRequest { timeout, ..request(Method::GET, "https://a.example/1") };
        let error = engine.fetch(request).await.unwrap_err();
        assert_eq!((error.code(), web.asked.lock().unwrap().len()), ("TIMEOUT", 2));
    });
}

#[test]
fn what_cannot_be_sent_is_refused_by_its_field() {
    fetching(&[], async |engine, web| {
        let base = FetchRequest::get("https://a.example/");
        let long = "x".repeat(limits::REQUEST_BODY_BYTES_MAX + 1);
        let host = (header::HOST, HeaderValue::from_static("b.example"));
        let cases = [
            (FetchRequest { url: "a.example".to_owned(), ..base.clone() }, "url"),
            (
                FetchRequest {
                    url: format!("https://a.example/{}", "x".repeat(9_000)),
                    ..base.clone()
                },
                "url",
            ),
            (FetchRequest { body: Some(long.into()), ..base.clone() }, "body"),
            (FetchRequest { headers: vec![host], ..base.clone() }, "headers"),
        ];
        for (request, wanted) in cases {
            let error = engine.fetch(request).await.unwrap_err();
            assert!(
                matches!(error, FetchError::Invalid { field, .. } if field == wanted),
                "{error}"
            );
        }
        assert!(web.asked.lock().unwrap().is_empty());
    });
}
