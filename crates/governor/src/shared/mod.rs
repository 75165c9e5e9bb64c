//! One budget for many processes, shared through a Redis server (feature `redis`, spec G12).
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use paceline_clock::{Clock, Random};
//! use paceline_governor::BudgetConfig;
//! use paceline_governor::shared::{SharedBudget, SharedConfig};
//!
//! let limits = BudgetConfig::new(["50/s".parse()?, "600/min".parse()?]);
//! // Four processes: each may use a quarter while the server is away.
//! let config = SharedConfig::new("redis://127.0.0.1/", "vendor-key-1", 0.25);
//! let shared = SharedBudget::connect(limits, config, Clock::system(), &Random::system()).await?;
//! let permit = shared.budget().acquire().await?; // as with any other budget
//! # drop(permit);
//! # shared.leave().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What is guaranteed
//!
//! - No interval of one window holds more calls than its limit, over all processes, however many there are and whichever
//!   of them is killed: the log of every window is on the server, in the server's time, and one script decides over all
//!   limits at once. The stamp is the same as in a budget of one process (the latest moment at which the vendor can have
//!   counted a call, per limit); a permit that was lent and never accounted for counts as used at the end of its lease
//!   plus a grace.
//! - Permits come in blocks, and what became of them goes back with the next question: a call costs no round trip of its
//!   own while others wait beside it or did a moment ago.
//! - Processes that wait are served in equal parts (who was served least comes first; among equals, who has waited
//!   longest); inside a process first come, first served.
//! - A `Retry-After` holds all processes. Concurrency, spacing, the breaker and the cool-down after a 429 are each
//!   process's own.
//!
//! # When the server is away
//!
//! Nothing fails open. Permits in hand may be used until their lease ends. Then a process is silent for one longest
//! window (the others, if they reach the server, may fill every window until then), uses its
//! [`fallback_share`](SharedConfig::fallback_share) of every limit until [`fallback_max`](SharedConfig::fallback_max)
//! after the last contact, and then sends nothing. For a process that vanished without a word the others keep its share
//! free for just as long, because it may be alive on the other side of a broken network; one that leaves in order, or
//! that comes back under the same [`member`](SharedConfig::member) name, frees it at once. [`SharedBudget::link`] and
//! a `tracing` event tell.
//!
//! # When the server lost what it knew
//!
//! A restart, a failover or a flush is noticed (another process identity, a missing epoch, or a state older than one that
//! a member has seen). For the [`learning`](SharedConfig::learning) time nobody is granted anything while every process
//! uploads its log. Calls that the last known state had and nobody uploaded go on counting as ghosts; if a process that
//! was alive did not come back, every window counts as full. If no process is left that remembers, nothing is known:
//! let the server persist (`appendonly yes`) where that matters. The first start of all waits for the learning time, too.
//!
//! # What it stands on
//!
//! - All processes have the same limits and settings (the server refuses others), and their fallback shares sum up to at
//!   most 1.
//! - The server's clock may be set back, and may be set forward: a jump of more than about twice the deadline is seen by
//!   the members and does not count. Clocks drift by 500 ppm at the most.
//! - A call that its process cannot renew for longer than lease and grace (the process is cut off or stands still, and
//!   the vendor counts the call later still) is counted too early, for a lease is all that the others can see. Where
//!   processes may be stopped for seconds, raise [`grace`](SharedConfig::grace).
//! - One primary: after a split of the server into two that both grant, each guards only its own half.
//!
//! # Settings
//!
//! | setting | unit | default |
//! |---|---|---|
//! | `url`, `name`, `fallback_share` | text, text, part of every limit from 0 to 1 | stated by you |
//! | `fallback_max` | time from the last contact | 10 min |
//! | `member` | text | a new one each time |
//! | `lease` | time | 1 s |
//! | `grace` | time | 1 s |
//! | `learning` | time | 3 s |
//! | `deadline` | time per question | 250 ms |
//!
//! Redis 5 or later, or what speaks like it and runs Lua, without TLS (put a tunnel in front where the way is not yours).
//! At most [`SHARED_COUNT_MAX`] calls per window; some hundreds of processes per budget. All keys of a budget carry one
//! hash tag, so one node of a cluster holds them.

mod config;
mod member;
mod question;
mod store;
mod task;
mod wire;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use paceline_clock::{Clock, Random, Tick};
use tokio::task::JoinHandle;

pub use config::{SHARED_COUNT_MAX, SharedConfig};
pub use store::StoreError;

use crate::core::Supply;
use crate::{Budget, BudgetConfig, ConfigError};
use member::Member;
use store::Store;
use task::{Bell, Task};
use wire::Preamble;

/// Questions until a process has joined: hello, an empty upload, and some for a server that changes meanwhile.
const JOIN_QUESTIONS_MAX: usize = 10;

/// How a shared budget stands with its server.
#[derive(Clone, Debug, PartialEq)]
pub enum Link {
    /// Permits come from the server.
    Connected,
    /// The server learns what was sent; it grants nothing yet.
    Learning {
        /// Since when.
        since: Tick,
    },
    /// The server is away: only the own share is sent.
    Fallback {
        /// Since when.
        since: Tick,
        /// The part of every limit that may be sent; 0 where the configured share makes less than one whole call.
        share: f64,
        /// From when.
        sends_from: Option<Tick>,
        /// Until when; after that nothing is sent.
        sends_until: Option<Tick>,
        /// What went wrong last.
        problem: String,
    },
}

type LinkCell = Arc<Mutex<Link>>;

/// A shared budget that cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SharedError {
    /// The settings cannot be.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The server did not let the process in. A process that never reached the server has no share to fall back on.
    #[error("shared budget {name}: {problem}")]
    Store {
        /// The budget's name.
        name: String,
        /// What the server, or the way to it, said.
        problem: StoreError,
    },
}

/// A budget that several processes share.
#[derive(Debug)]
pub struct SharedBudget {
    budget: Budget,
    link: LinkCell,
    task: JoinHandle<()>,
    farewell: Duration,
}

impl SharedBudget {
    /// Joins the budget. Returns as soon as the server has let the process in; permits may have to wait for the
    /// [learning](SharedConfig::learning) time. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// If the settings cannot be, or the server cannot be reached or refuses.
    pub async fn connect(
        config: BudgetConfig,
        shared: SharedConfig,
        clock: Clock,
        random: &Random,
    ) -> Result<Self, SharedError> {
        shared.check(&config)?;
        let limits = config.limits.clone();
        let call = format!("{:016x}", random.next_u64());
        let place = shared.member.clone().unwrap_or_else(|| call.clone());
        let preamble = Preamble::new(&shared, &limits, &place, &call);
        let in_words = |problem| SharedError::Store { name: shared.name.clone(), problem };
        let store = Store::new(&shared, preamble, shared.settings(&limits), clock.clone())
            .map_err(in_words)?;

        let budget = Budget::new(config, clock.clone())?;
        let (bell, heir) = (Arc::new(Bell::default()), task::heir());
        let supply = Supply::new(limits.len(), Arc::clone(&bell).into(), Arc::clone(&heir));
        budget.shared().with_core(|core, _| core.set_supply(supply));
        let link = Arc::new(Mutex::new(Link::Learning { since: clock.now() }));
        let mut task = Task {
            budget: Arc::downgrade(budget.shared()),
            heir,
            bell,
            member: Member::new(shared.clone(), limits),
            store,
            link: Arc::clone(&link),
            clock,
            random: random.clone(),
            name: shared.name.clone(),
        };
        for _ in 0..JOIN_QUESTIONS_MAX {
            task.step().await.map_err(in_words)?;
            if task.has_joined() {
                break;
            }
        }
        let farewell = 4 * shared.deadline;
        Ok(Self { budget, link, task: tokio::spawn(task.run()), farewell })
    }

    /// The budget, to be used as any other. Clones of it keep the sharing alive.
    #[must_use]
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// How it stands with the server.
    #[must_use]
    pub fn link(&self) -> Link {
        self.link.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Leaves in order: what was lent goes back, and no share is kept free for this process. Waits for the farewell to be
    /// heard, a second at most with the default deadline; false if it was not, or if the budget is still in use
    /// elsewhere (then the last user's going is the farewell).
    pub async fn leave(self) -> bool {
        let Self { budget, task, farewell, .. } = self;
        let clock = budget.shared().clock().clone();
        drop(budget);
        tokio::select! {
            done = task => done.is_ok(),
            () = clock.sleep(farewell) => false,
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected => f.write_str("connected"),
            Self::Learning { .. } => f.write_str("the server learns what was sent"),
            Self::Fallback { share, problem, .. } => {
                write!(f, "without its server, with a share of {share}: {problem}")
            }
        }
    }
}
