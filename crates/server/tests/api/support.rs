//! The app under test, requests that read like a conversation, and a vendor that says what it is told to.

use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use http::{HeaderMap, Method, Request, StatusCode};
use paceline_clock::{Clock, Random, SimClock};
use paceline_engine::{
    CallError, CallEvents, Engine, EngineConfig, OutboundGuard, Provider, ProviderFactory, Reply,
    Sealer,
};
use paceline_model::{RunId, Store, limits};
use paceline_server::{
    ApiKeys, App, AppParts, KeyScope, Place, ServerConfig, operations, recordings, router,
};
use paceline_store::SqliteStore;
use serde_json::{Value as Json, json};
use tower::ServiceExt;

use crate::promise;

pub(crate) const KEY: &str = "test-key-of-the-operator";
pub(crate) const READ_KEY: &str = "test-key-that-only-reads";

/// The app, a vendor behind it, and the store under it.
#[derive(Clone)]
pub(crate) struct TestApp {
    pub(crate) app: App,
    pub(crate) router: Router,
    pub(crate) engine: Engine,
    pub(crate) clock: Clock,
    pub(crate) vendor: Arc<Vendor>,
}

/// A reply, taken apart.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Json,
}

/// Runs `scenario` in virtual time against a fresh data directory.
pub(crate) fn app<F, Fut>(scenario: F)
where
    F: FnOnce(TestApp) -> Fut,
    Fut: Future<Output = ()>,
{
    app_with(ServerConfig::default(), scenario);
}

pub(crate) fn app_with<F, Fut>(config: ServerConfig, scenario: F)
where
    F: FnOnce(TestApp) -> Fut,
    Fut: Future<Output = ()>,
{
    let dir = tempfile::tempdir().unwrap();
    SimClock::new().run(|clock| {
        let store = SqliteStore::open(dir.path(), clock.clone()).unwrap();
        scenario(TestApp::at(store, clock, config, Some(dir.path().to_owned())))
    });
}

impl TestApp {
    pub(crate) fn over(store: Arc<dyn Store>, clock: Clock, config: ServerConfig) -> Self {
        Self::at(store, clock, config, None)
    }

    /// With a data directory for files.
    pub(crate) fn at(
        store: Arc<dyn Store>,
        clock: Clock,
        config: ServerConfig,
        dir: Option<PathBuf>,
    ) -> Self {
        let vendor = Arc::new(Vendor::new(clock.clone()));
        let provider = Arc::clone(&vendor) as Arc<dyn Provider>;
        Self::calling(provider, vendor, store, clock, config, dir)
    }

    /// Whose calls another provider answers.
    pub(crate) fn calling(
        provider: Arc<dyn Provider>,
        vendor: Arc<Vendor>,
        store: Arc<dyn Store>,
        clock: Clock,
        config: ServerConfig,
        dir: Option<PathBuf>,
    ) -> Self {
        let random = Random::seeded(1);
        let engine_config = EngineConfig {
            outbound: OutboundGuard::default(),
            sealer: Some(Sealer::new(&[7; 32], random.clone())),
            providers: ProviderFactory::Fixed(provider),
            recordings: dir.as_deref().map(|dir| recordings(dir, limits::RECORDING_BYTES_MAX)),
            ..EngineConfig::default()
        };
        let engine = Engine::new(store, clock.clone(), random.clone(), engine_config);
        let keys = ApiKeys::from_key(KEY).unwrap().with_key(READ_KEY, KeyScope::Read).unwrap();
        let app = App::new(AppParts {
            engine: engine.clone(),
            clock: clock.clone(),
            random,
            keys,
            config,
            dir,
        });
        Self { router: router(app.clone()), app, engine, clock, vendor }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(request(Method::GET, path, None)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Json) -> Answer {
        self.send(request(Method::POST, path, Some(body.to_string()))).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Json) -> Answer {
        self.send(request(Method::PATCH, path, Some(body.to_string()))).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(request(Method::DELETE, path, None)).await
    }

    /// Sends any request and holds the reply to what is true of every reply.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let asked = (request.method().clone(), request.uri().path().to_owned());
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        let body: Json = serde_json::from_slice(&bytes)
            .unwrap_or_else(|error| panic!("{} answers no JSON: {error}: {bytes:?}", parts.status));
        let answer = Answer { status: parts.status, headers: parts.headers, body };
        answer.check_envelope();
        promise::check(&asked.0, &asked.1, answer.status.as_u16(), &answer.body);
        answer
    }

    /// A table of airports with three rows.
    pub(crate) async fn airports(&self) {
        let columns = json!([
            {"name": "iata", "type": "text"},
            {"name": "lat", "type": "number"},
            {"name": "lon", "type": "number"},
        ]);
        self.post("/api/tables", json!({"name": "airports", "columns": columns})).await.ok();
        let rows = json!([
            {"iata": "BOS", "lat": 42.36, "lon": -71.01},
            {"iata": "ZRH", "lat": 47.46, "lon": 8.55},
            {"iata": "NRT", "lat": 35.76, "lon": 140.39},
        ]);
        self.post("/api/tables/airports/rows", json!({"rows": rows})).await.ok();
    }

    /// A smart column on them.
    pub(crate) async fn near(&self, rate_limit: Json) -> Answer {
        let body = json!({
            "name": "near",
            "type": "json",
            "kind": "http",
            "config": {"url": "https://vendor.example/near?lat={{lat}}&lon={{lon}}"},
            "rate_limit": rate_limit,
        });
        self.post("/api/tables/airports/smart-columns", body).await
    }

    /// Waits for the end or the pause of a run; answers what the API says of it then.
    pub(crate) async fn settled(&self, run: &Answer) -> Answer {
        let id = run.data()["id"].as_i64().unwrap();
        self.engine.wait(RunId(id)).await.unwrap();
        self.get(&format!("/api/runs/{id}")).await
    }
}

/// A request of the operator's.
pub(crate) fn request(method: Method, path: &str, body: Option<String>) -> Request<Body> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {KEY}"))
        .header("content-type", "application/json");
    request.body(body.map_or_else(Body::empty, Body::from)).unwrap()
}

impl Answer {
    /// The data of a reply that must be a success.
    #[track_caller]
    pub(crate) fn ok(&self) -> &Json {
        assert_eq!(self.status, StatusCode::OK, "{:#}", self.body);
        self.data()
    }

    pub(crate) fn data(&self) -> &Json {
        &self.body["data"]
    }

    pub(crate) fn meta(&self) -> &Json {
        &self.body["meta"]
    }

    /// Holds the reply to be this error, with these words in its message; answers the error.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str, words: &[&str]) -> &Json {
        let error = &self.body["error"];
        assert_eq!(
            (self.status.as_u16(), error["code"].as_str()),
            (status, Some(code)),
            "{:#}",
            self.body
        );
        let message = error["message"].as_str().unwrap();
        for word in words {
            assert!(message.contains(word), "{word:?} is not in {message:?}");
        }
        error
    }

    fn check_envelope(&self) {
        let body = &self.body;
        assert_eq!(self.headers["content-type"], "application/json");
        assert!(self.headers.contains_key("x-request-id"));
        assert_eq!(body["success"], json!(self.status.is_success()), "{body:#}");
        assert!(!body.to_string().contains(KEY), "the key is in the reply: {body:#}");
        if !self.status.is_success() {
            for field in ["code", "message", "attempted", "fix"] {
                let text = body["error"][field].as_str().unwrap_or_default();
                assert!(!text.is_empty(), "an error says its {field}: {body:#}");
            }
            assert!(
                body["error"]["retryable"].is_boolean() && body["hints"].is_array(),
                "{body:#}"
            );
        }
        for hint in body["hints"].as_array().into_iter().flatten() {
            check_hint(hint);
        }
    }
}

/// A hint names an operation, gives what it requires and nothing that it does not take, and no gap is left in its path.
fn check_hint(hint: &Json) {
    let operation = operations().find(|operation| hint["operation"] == operation.name);
    let operation = operation.unwrap_or_else(|| panic!("no such operation: {hint:#}"));
    let given = hint["arguments"].as_object().unwrap();
    assert!(
        given.keys().all(|name| operation.fields.iter().any(|field| field.name == name)),
        "{hint:#}"
    );
    for field in operation.fields.iter().filter(|field| field.required) {
        assert!(given.contains_key(field.name), "{} is missing: {hint:#}", field.name);
    }
    assert_eq!(hint["method"], operation.verb.as_str());
    assert!(!hint["path"].as_str().unwrap().contains('{'), "{hint:#}");
    let in_body = operation
        .fields
        .iter()
        .any(|field| field.place == Place::Body && given.contains_key(field.name));
    assert_eq!(hint["body"].is_object(), in_body, "{hint:#}");
}

/// What the vendor does with one call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Says {
    /// 200 with the request's URL.
    Yes,
    /// This status, and a word about it.
    Status(u16),
    /// 200 with this body.
    Body(&'static str),
}

/// Answers calls after 100 ms, each as told for its URL.
pub(crate) struct Vendor {
    clock: Clock,
    says: Mutex<Vec<(&'static str, Says)>>,
    calls: Mutex<Vec<String>>,
}

impl Vendor {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, says: Mutex::default(), calls: Mutex::default() }
    }

    /// From now on, calls whose URL has one of these parts are answered so; all others with yes.
    pub(crate) fn says(&self, says: impl IntoIterator<Item = (&'static str, Says)>) {
        *self.says.lock().unwrap() = says.into_iter().collect();
    }

    /// The URLs called.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    fn answer(&self, url: &str) -> Says {
        let says = self.says.lock().unwrap();
        says.iter().find(|(part, _)| url.contains(part)).map_or(Says::Yes, |(_, says)| *says)
    }
}

#[async_trait]
impl Provider for Vendor {
    async fn call(
        &self,
        request: paceline_engine::Request,
        events: &mut dyn CallEvents,
    ) -> Result<Reply, CallError> {
        events.sent();
        self.calls.lock().unwrap().push(request.url.to_string());
        let says = self.answer(request.url.as_str());
        self.clock.sleep(Duration::from_millis(100)).await;
        let (status, body) = match says {
            Says::Yes => (200, json!({"asked": request.url.to_string()})),
            Says::Status(status) => (status, json!({"error": "scripted"})),
            Says::Body(body) => (200, serde_json::from_str(body).unwrap()),
        };
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "application/json".parse().unwrap());
        events.head(status, &headers);
        Ok(Reply { status, headers, body: body.to_string().into() })
    }
}
