//! Hosts, token sources and wires for tests, and a small batch runner in place of the engine.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use paceline_clock::{Clock, Random, Tick};
use paceline_governor::{Next, OutcomeClass, TaskHistory, Transport};
use paceline_hex::{
    Budgets, End, EndKind, Host, HostError, Job, Note, Options, PostRecord, Secret, Session,
    TokenError, TokenSource, Wire, WireError, WireEvents, WireReply, WireRequest,
};
use paceline_lab::{HexAnswer, HexConfig, HexProject, HexRequest, HexVendor};
use tokio::sync::watch;

/// Keeps the note of one job, and can be told to stop.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) note: Mutex<Option<Note>>,
    pub(crate) posts: Mutex<Vec<PostRecord>>,
    pub(crate) sendings: AtomicUsize,
    pub(crate) broken: Mutex<bool>,
    /// Its disk takes up to a second for each note.
    slow: Option<(Clock, Random)>,
    stop: watch::Sender<bool>,
}

impl Default for Desk {
    fn default() -> Self {
        let (note, posts, sendings, broken, slow) = Default::default();
        Self { note, posts, sendings, broken, slow, stop: watch::Sender::new(false) }
    }
}

impl Desk {
    pub(crate) fn slow(clock: &Clock, random: &Random) -> Self {
        Self { slow: Some((clock.clone(), random.clone())), ..Self::default() }
    }

    async fn seek(&self) {
        if let Some((clock, random)) = &self.slow {
            clock.sleep(std::time::Duration::from_secs_f64(random.unit())).await;
        }
    }

    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    pub(crate) fn go_on(&self) {
        self.stop.send_replace(false);
    }

    pub(crate) fn note(&self) -> Option<Note> {
        self.note.lock().unwrap().clone()
    }

    fn keep(&self, note: &Note) -> Result<(), HostError> {
        if *self.broken.lock().unwrap() {
            return Err(HostError("the disk is full".to_owned()));
        }
        *self.note.lock().unwrap() = Some(note.clone());
        Ok(())
    }

    /// What the engine does with an end: the note as it is to be.
    pub(crate) fn close(&self, end: &End) {
        self.note.lock().unwrap().clone_from(&end.note);
        self.posts.lock().unwrap().extend(end.post.clone());
    }
}

#[async_trait]
impl Host for Desk {
    async fn sending(&self, note: &Note) -> Result<(), HostError> {
        assert!(matches!(note, Note::Sending { .. }));
        self.sendings.fetch_add(1, SeqCst);
        self.seek().await;
        self.keep(note)
    }

    async fn started(&self, note: &Note, post: &PostRecord) -> Result<(), HostError> {
        assert!(matches!(note, Note::Started { .. } | Note::Resend));
        self.seek().await;
        self.keep(note)?;
        self.posts.lock().unwrap().push(post.clone());
        Ok(())
    }

    async fn stopped(&self) {
        let mut stop = self.stop.subscribe();
        let _ = stop.wait_for(|stop| *stop).await;
    }
}

/// A token that can be replaced.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) text: Mutex<String>,
    pub(crate) reads: AtomicUsize,
}

impl Token {
    pub(crate) fn new(text: &str) -> Arc<Self> {
        Arc::new(Self { text: Mutex::new(text.to_owned()), reads: AtomicUsize::new(0) })
    }

    pub(crate) fn set(&self, text: &str) {
        text.clone_into(&mut self.text.lock().unwrap());
    }
}

#[async_trait]
impl TokenSource for Token {
    async fn read(&self) -> Result<Secret, TokenError> {
        self.reads.fetch_add(1, SeqCst);
        Secret::new(&self.text.lock().unwrap().clone())
    }
}

/// The lab's Hex as a wire.
pub(crate) struct SimWire {
    pub(crate) hex: Arc<HexVendor>,
    pub(crate) clock: Clock,
}

impl SimWire {
    pub(crate) fn new(config: HexConfig, clock: &Clock) -> Arc<Self> {
        let hex = Arc::new(HexVendor::new(config, clock.clone()).unwrap());
        Arc::new(Self { hex, clock: clock.clone() })
    }
}

#[async_trait]
impl Wire for SimWire {
    async fn call(
        &self,
        request: WireRequest,
        events: &mut dyn WireEvents,
    ) -> Result<WireReply, WireError> {
        let bearer = request.headers.get("authorization").map(|value| {
            assert!(value.is_sensitive());
            value.to_str().unwrap().trim_start_matches("Bearer ").to_owned()
        });
        let query = request.url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let asked = HexRequest {
            method: request.method,
            target: format!("{}{query}", request.url.path()),
            bearer,
            headers: request.headers,
            body: request.body.unwrap_or_default(),
        };
        events.sent();
        let transport = |kind| WireError::Transport { kind, message: "no answer".to_owned() };
        // By itself: what has left arrives, even if whoever sent it is gone.
        let hex = Arc::clone(&self.hex);
        let answer = tokio::spawn(async move { hex.handle(asked).await });
        let answer = tokio::select! {
            answer = answer => answer.unwrap(),
            () = self.clock.sleep(request.timeout) => return Err(transport(Transport::Timeout)),
        };
        match answer {
            HexAnswer::Dropped => Err(transport(Transport::Broken)),
            HexAnswer::Reply { status, headers, body } => {
                events.head(status, &headers);
                Ok(WireReply { status, headers, body })
            }
        }
    }
}

/// A session with these options over this wire; nothing was spent of its budgets.
pub(crate) fn session(
    options: Options,
    wire: Arc<dyn Wire>,
    token: &Arc<Token>,
    clock: &Clock,
) -> Session {
    let budgets = Budgets::new(&options, clock).unwrap();
    session_with(options, budgets, wire, token, clock)
}

pub(crate) fn session_with(
    options: Options,
    budgets: Budgets,
    wire: Arc<dyn Wire>,
    token: &Arc<Token>,
    clock: &Clock,
) -> Session {
    let token = Arc::clone(token) as Arc<dyn TokenSource>;
    Session::new(options, budgets, wire, token, clock.clone(), Random::seeded(1)).unwrap()
}

/// Limits that are in nobody's way.
pub(crate) fn unlimited() -> Options {
    let limits = || vec!["1000/s".parse().unwrap()];
    Options {
        trigger_limits: limits(),
        poll_limits: limits(),
        overall_limits: limits(),
        ..Options::default()
    }
}

/// The id of project `number` of the default, from 1 to 10.
pub(crate) fn project(number: usize) -> String {
    HexProject::numbered(number as u32).id
}

/// Job `n`, in one of `projects` projects.
pub(crate) fn job(n: usize, projects: usize) -> Job {
    Job::new(project(n % projects + 1)).param("n", n)
}

/// A job to its end, tried again as often as its retry options allow. `None`: its future was killed or it was stopped.
pub(crate) async fn perform(session: &Session, job: &Job, desk: &Desk, clock: &Clock) -> EndKind {
    let mut history = TaskHistory::default();
    let mut throttled_since: Option<Tick> = None;
    loop {
        let end = session.perform(job, desk.note(), desk).await;
        desk.close(&end);
        let EndKind::Again { outcome, counts_as_error, .. } = &end.kind else {
            return end.kind;
        };
        if outcome.class == OutcomeClass::Throttled {
            history.throttles += 1;
            let since = *throttled_since.get_or_insert(clock.now());
            history.throttled_for = clock.now() - since;
        }
        history.errors += u32::from(*counts_as_error);
        match session.next_try(outcome, history) {
            Next::RetryAfter(wait) => clock.sleep(wait).await,
            Next::GiveUp | Next::Deadline => return end.kind,
        }
    }
}

/// Jobs with at most `concurrency` at once, in order; how each one ended.
pub(crate) async fn batch(
    session: &Session,
    jobs: Vec<Job>,
    concurrency: usize,
    clock: &Clock,
) -> Vec<EndKind> {
    let seats = Arc::new(tokio::sync::Semaphore::new(concurrency));
    let mut tasks = Vec::new();
    for job in jobs {
        let (session, clock, seats) = (session.clone(), clock.clone(), Arc::clone(&seats));
        tasks.push(tokio::spawn(async move {
            let _seat = seats.acquire_owned().await.unwrap();
            perform(&session, &job, &Desk::default(), &clock).await
        }));
    }
    let mut ends = Vec::new();
    for task in tasks {
        ends.push(task.await.unwrap());
    }
    ends
}

/// Its word, for tables: the code of a failure, else how it ended.
pub(crate) fn word(end: &EndKind) -> &'static str {
    match end {
        EndKind::Completed(_) => "completed",
        EndKind::Failed { code, .. } | EndKind::Again { code, .. } => code,
        EndKind::Unknown { .. } => "unknown",
        EndKind::NoCredentials { .. } => "no credentials",
        EndKind::Stopped => "stopped",
    }
}
