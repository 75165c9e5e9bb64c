//! The vendor of the whole-path tests: counts every call when it arrives, with the lab's sliding log as its law.
//!
//! A line per call (the caller's name) on a TCP connection; the answer is `ok` or `refused`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use paceline_clock::{Clock, Random, Tick};
use paceline_lab::{Enforcer, Law, Policy, Verdict};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

#[derive(Clone)]
pub(crate) struct Judge {
    state: Arc<Mutex<State>>,
    clock: Clock,
    random: Random,
    net: Law,
    pub(crate) address: SocketAddr,
}

struct State {
    enforcer: Enforcer,
    tally: Tally,
}

/// What was counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) refused: usize,
    pub(crate) by_caller: BTreeMap<String, usize>,
    /// When each accepted call was counted.
    pub(crate) at: Vec<Tick>,
}

impl Tally {
    pub(crate) fn accepted(&self) -> usize {
        self.at.len()
    }
}

impl Judge {
    /// Opens for business; `net` is a call's time on the way, there and back together.
    pub(crate) async fn open(limits: &[&str], net: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let limits: Vec<_> = limits.iter().map(|limit| limit.parse().unwrap()).collect();
        let enforcer = Enforcer::new(&limits, &Policy::LOG).unwrap();
        let judge = Self {
            state: Arc::new(Mutex::new(State { enforcer, tally: Tally::default() })),
            clock: Clock::system(),
            random: Random::seeded(1),
            net: net.parse().unwrap(),
            address: listener.local_addr().unwrap(),
        };
        let serving = judge.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        judge
    }

    async fn serve(self, stream: TcpStream) {
        stream.set_nodelay(true).unwrap();
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        while let Ok(Some(caller)) = lines.next_line().await {
            let way = self.net.draw(&self.random);
            let there = way.mul_f64(self.random.unit());
            self.clock.sleep(there).await;
            let accepted = self.count(caller);
            self.clock.sleep(way - there).await;
            let answer: &[u8] = if accepted { b"ok\n" } else { b"refused\n" };
            if write.write_all(answer).await.is_err() {
                return;
            }
        }
    }

    fn count(&self, caller: String) -> bool {
        let mut state = self.state.lock().unwrap();
        let now = self.clock.now();
        let accepted = state.enforcer.decide(now) == Verdict::Accepted;
        if accepted {
            state.tally.at.push(now);
            *state.tally.by_caller.entry(caller).or_default() += 1;
        } else {
            state.tally.refused += 1;
        }
        accepted
    }

    pub(crate) fn tally(&self) -> Tally {
        self.state.lock().unwrap().tally.clone()
    }

    /// Waits until so many calls were accepted; panics if that takes longer than `patience_s`.
    pub(crate) async fn accepted(&self, calls: usize, patience_s: u64) -> Tally {
        let give_up = self.clock.now() + Duration::from_secs(patience_s);
        loop {
            let tally = self.tally();
            if tally.accepted() >= calls {
                return tally;
            }
            let now = self.clock.now();
            assert!(
                now < give_up,
                "{} of {calls} calls in {patience_s} s: {:?}",
                tally.accepted(),
                tally.by_caller
            );
            self.clock.sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn pause(&self, time: Duration) {
        self.clock.sleep(time).await;
    }
}
