//! A server with its background work, and everybody else: one provider that hears every call and answers as told. All of it
//! in virtual time, and on a directory, so that the server can die and come back.

use std::future::{Future, pending};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, HeaderName, HeaderValue};
use paceline_clock::{Clock, SimClock, Tick};
use paceline_engine::{CallError, CallEvents, Provider, Reply, Request};
use paceline_server::{ServerConfig, background};
use paceline_store::SqliteStore;
use serde_json::{Value as Json, json};
use tokio::task::JoinHandle;

use crate::support::{TestApp, Vendor};

/// How long anything may take, in virtual time, before a test gives it up.
const PATIENCE: Duration = Duration::from_secs(7 * 24 * 3_600);

pub(crate) struct World {
    pub(crate) app: TestApp,
    pub(crate) outside: Arc<Outside>,
    clock: Clock,
    dir: PathBuf,
    work: Option<JoinHandle<()>>,
}

/// A call that came in outside.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) url: String,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) body: Json,
    pub(crate) at: Tick,
}

impl Heard {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) struct Says {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    pub(crate) body: Json,
}

pub(crate) fn says(status: u16, body: Json) -> Says {
    Says { status, headers: Vec::new(), body }
}

type Answers = Box<dyn FnMut(&Heard) -> Says + Send>;

pub(crate) struct Outside {
    clock: Clock,
    heard: Mutex<Vec<Heard>>,
    answers: Mutex<Answers>,
}

impl Outside {
    pub(crate) fn answers(&self, with: impl FnMut(&Heard) -> Says + Send + 'static) {
        *self.answers.lock().unwrap() = Box::new(with);
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }
}

#[async_trait]
impl Provider for Outside {
    async fn call(
        &self,
        request: Request,
        events: &mut dyn CallEvents,
    ) -> Result<Reply, CallError> {
        events.sent();
        let text = String::from_utf8(request.body.unwrap_or_default().to_vec()).unwrap();
        let heard = Heard {
            url: request.url.to_string(),
            headers: request.headers.into_iter().collect(),
            body: serde_json::from_str(&text).unwrap_or(Json::Null),
            text,
            at: self.clock.now(),
        };
        let says = (self.answers.lock().unwrap())(&heard);
        self.heard.lock().unwrap().push(heard);
        self.clock.sleep(Duration::from_millis(50)).await;
        let mut headers = HeaderMap::new();
        for (name, value) in says.headers {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        events.head(says.status, &headers);
        Ok(Reply { status: says.status, headers, body: says.body.to_string().into() })
    }
}

/// Runs `scenario` in a world whose server has tables `leads` (email, score, city) and `copies` (email, score).
pub(crate) fn world<F, Fut>(scenario: F)
where
    F: FnOnce(World) -> Fut,
    Fut: Future<Output = ()>,
{
    let dir = tempfile::tempdir().unwrap();
    SimClock::new().run(|clock| async {
        let outside = Arc::new(Outside {
            clock: clock.clone(),
            heard: Mutex::default(),
            answers: Mutex::new(Box::new(|_| says(200, json!({})))),
        });
        let app = open(&outside, &clock, dir.path().to_owned());
        let world = World { app, outside, clock, dir: dir.path().to_owned(), work: None };
        let columns = json!([
            {"name": "email", "type": "text"},
            {"name": "score", "type": "number"},
            {"name": "city", "type": "text"},
        ]);
        world.app.post("/api/tables", json!({"name": "leads", "columns": columns})).await.ok();
        let columns =
            json!([{"name": "email", "type": "text"}, {"name": "score", "type": "number"}]);
        world.app.post("/api/tables", json!({"name": "copies", "columns": columns})).await.ok();
        scenario(world).await;
    });
}

fn open(outside: &Arc<Outside>, clock: &Clock, dir: PathBuf) -> TestApp {
    let store = SqliteStore::open(&dir, clock.clone()).unwrap();
    let vendor = Arc::new(Vendor::new(clock.clone()));
    let provider = Arc::clone(outside) as Arc<dyn Provider>;
    TestApp::calling(provider, vendor, store, clock.clone(), ServerConfig::default(), Some(dir))
}

impl World {
    /// Sets the background work going.
    pub(crate) fn work(&mut self) {
        self.work = Some(tokio::spawn(background(self.app.app.clone(), pending())));
    }

    /// The server dies where it stands, and nothing of it is left but what it has on disk.
    pub(crate) async fn dies(self) -> Dead {
        let Self { app, outside, clock, dir, work } = self;
        if let Some(work) = work {
            work.abort();
            let _ = work.await;
        }
        let store = Arc::downgrade(app.engine.store());
        drop(app);
        // What it was doing on the side ends first, the writing of its audit log say.
        while store.strong_count() > 0 {
            clock.sleep(Duration::from_millis(1)).await;
        }
        Dead { outside, clock, dir }
    }

    pub(crate) async fn sleeps(&self, seconds: u64) {
        self.clock.sleep(Duration::from_secs(seconds)).await;
    }

    /// Waits, in virtual time, until that is so.
    pub(crate) async fn until(&self, what: &str, so: impl AsyncFn() -> bool) {
        let began = self.clock.now();
        let mut step = Duration::from_millis(100);
        while !so().await {
            assert!(
                self.clock.now() - began < PATIENCE,
                "never: {what}; {:#?}",
                self.outside.heard()
            );
            self.clock.sleep(step).await;
            step = (step * 2).min(Duration::from_secs(1_800));
        }
    }

    /// Waits until so many calls came in outside.
    pub(crate) async fn until_heard(&self, count: usize) -> Vec<Heard> {
        self.until("calls outside", async || self.outside.heard().len() >= count).await;
        self.outside.heard()
    }

    pub(crate) async fn insert(&self, table: &str, rows: Json) {
        self.app.post(&format!("/api/tables/{table}/rows"), json!({"rows": rows})).await.ok();
    }

    /// The values of a column, in the order of the rows.
    pub(crate) async fn column(&self, table: &str, column: &str) -> Vec<Json> {
        let rows = self.app.get(&format!("/api/tables/{table}/rows?limit=10000")).await;
        rows.ok().as_array().unwrap().iter().map(|row| row[column].clone()).collect()
    }
}

/// What is left of a server that died.
pub(crate) struct Dead {
    outside: Arc<Outside>,
    clock: Clock,
    dir: PathBuf,
}

impl Dead {
    /// It is started again, without its background work.
    pub(crate) fn comes_back(self) -> World {
        let Self { outside, clock, dir } = self;
        let app = open(&outside, &clock, dir.clone());
        World { app, outside, clock, dir, work: None }
    }

    pub(crate) async fn sleeps(&self, seconds: u64) {
        self.clock.sleep(Duration::from_secs(seconds)).await;
    }
}
