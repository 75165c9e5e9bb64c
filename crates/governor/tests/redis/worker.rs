//! A process of its own that calls the judge as fast as the shared budget lets it: this test binary, started once more.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use paceline_clock::{Clock, Random};
use paceline_governor::shared::{SharedBudget, SharedConfig};
use paceline_governor::{Budget, BudgetConfig, Guard, Outcome, OutcomeClass};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::judge::Judge;
use crate::server::Server;

/// Calls at once in each process.
const CALLERS: usize = 20;
const MARK: &str = "worker=";

pub(crate) struct Worker {
    pub(crate) name: String,
    child: Child,
}

impl Worker {
    /// Starts a process; `fallback_ms` is how long it may use its share without the server.
    pub(crate) fn start(
        name: &str,
        server: &Server,
        judge: &Judge,
        limits: &[&str],
        share: f64,
        fallback_ms: u64,
    ) -> Self {
        let task = format!(
            "{MARK}{name} {} {} {} {share} {fallback_ms}",
            server.url(),
            judge.address,
            limits.join(",")
        );
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["worker::a_worker_process", "--exact", "--ignored", "--nocapture", &task])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { name: name.to_owned(), child }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
    }
}

#[test]
#[ignore = "not a test: what the other tests start as a process"]
fn a_worker_process() {
    let Some(task) = std::env::args().find_map(|arg| arg.strip_prefix(MARK).map(str::to_owned))
    else {
        return;
    };
    let parts: Vec<&str> = task.split(' ').collect();
    let [name, url, judge, limits, share, fallback_ms] = parts[..] else { panic!("{task}") };
    let limits = limits.split(',').map(|limit| limit.parse().unwrap());
    let budget = BudgetConfig { guard: Guard::Strict, ..BudgetConfig::new(limits) };
    let mut config = SharedConfig::new(url, "whole-path", share.parse().unwrap());
    config.fallback_max = std::time::Duration::from_millis(fallback_ms.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let shared = SharedBudget::connect(budget, config, Clock::system(), &Random::system())
            .await
            .unwrap();
        let (name, judge) = (Arc::<str>::from(name), Arc::<str>::from(judge));
        let callers = (0..CALLERS).map(|_| {
            tokio::spawn(call_for_ever(
                shared.budget().clone(),
                Arc::clone(&name),
                Arc::clone(&judge),
            ))
        });
        for caller in callers.collect::<Vec<_>>() {
            let _ = caller.await;
        }
    });
}

/// Ends when the judge is gone.
async fn call_for_ever(budget: Budget, name: Arc<str>, judge: Arc<str>) -> std::io::Result<()> {
    let stream = TcpStream::connect(&*judge).await?;
    stream.set_nodelay(true)?;
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    loop {
        let mut permit = budget.acquire().await.unwrap();
        permit.sent();
        write.write_all(format!("{name}\n").as_bytes()).await?;
        let Some(answer) = lines.next_line().await? else { return Ok(()) };
        permit.seen();
        let class = if answer == "ok" { OutcomeClass::Success } else { OutcomeClass::Throttled };
        permit.finish(&Outcome::of(class));
    }
}
