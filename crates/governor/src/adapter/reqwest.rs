//! A `reqwest` client that keeps a budget: one permit per attempt, no hidden ones.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use paceline_clock::Clock;
//! use paceline_governor::adapter::reqwest::GovernedClient;
//! use paceline_governor::{Budget, BudgetConfig};
//!
//! let limits = ["20/min".parse()?, "60/h".parse()?];
//! let budget = Budget::new(BudgetConfig::new(limits), Clock::system())?;
//! let builder = reqwest::Client::builder().timeout(std::time::Duration::from_secs(30));
//! let client = GovernedClient::new(builder, budget)?;
//!
//! let request = client.inner().get("https://api.vendor.example/v1/things");
//! let body = client.send(request).await?.text().await?; // waits for its turn
//! # Ok(()) }
//! ```

mod body;
mod connect;
mod error;
mod flight;
mod retry;

use paceline_clock::Clock;
use reqwest::{Client, ClientBuilder, Request, RequestBuilder, Response};

use self::connect::ConnectLayer;
pub use self::error::CallError;
use self::flight::Ended;
use self::retry::History;
use crate::{Budget, Next, RetryPolicy};

/// A client whose every attempt has a permit of its budget. Clones share the budget and the connections.
///
/// - A call that has to make a connection keeps its slot until the connection is there, whatever the guard: only then
///   does it leave. One whose connection fails, or that is dropped while it is being made, gives its place back.
/// - `Retry-After` holds the whole budget, not only the call that was told.
/// - A response counts as under way until its body has been read to the end or is dropped: vendors that cap calls at
///   once count a stream as long as it flows. Whoever keeps unread responses and a low cap waits for themselves.
/// - Redirects are answers and are not followed, and `reqwest` retries nothing: each would be a call without a permit.
///
/// There is no time-out but those of the builder. Set one: a call that hangs keeps its slot as long as it does.
#[derive(Clone, Debug)]
pub struct GovernedClient {
    client: Client,
    budget: Budget,
    retry: Option<RetryPolicy>,
    /// Whether calls may be repeated whose method does not say so.
    repeats_any: bool,
    retry_on: Vec<u16>,
}

impl GovernedClient {
    /// A client made from `builder`, with its redirects and retries switched off and its connections watched.
    ///
    /// If the process has no TLS provider yet, ring becomes it: `reqwest` would panic without one.
    ///
    /// # Errors
    /// If `builder` cannot be built.
    pub fn new(builder: ClientBuilder, budget: Budget) -> reqwest::Result<Self> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Somebody else may come first, and then there is one, which was wanted.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let client = builder
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connector_layer(ConnectLayer)
            .build()?;
        Ok(Self { client, budget, retry: None, repeats_any: false, retry_on: Vec::new() })
    }

    /// The same connections under another budget: of another key or host.
    #[must_use]
    pub fn with_budget(&self, budget: Budget) -> Self {
        Self { budget, ..self.clone() }
    }

    /// Tries failed calls again as `policy` says; each try waits for a permit in the same queue as everyone.
    ///
    /// Tried again are requests whose body can be sent twice (not a stream) and whose method is idempotent, or which
    /// carry an `Idempotency-Key`. Any other only where the vendor certainly did nothing: it refused the call for its
    /// rate, or no connection came about.
    #[must_use]
    pub fn with_retry(self, policy: RetryPolicy) -> Self {
        Self { retry: Some(policy), ..self }
    }

    /// The caller says that any call may be repeated, whatever its method.
    #[must_use]
    pub fn repeats_any_method(self) -> Self {
        Self { repeats_any: true, ..self }
    }

    /// Statuses to be counted as transient, besides those that are.
    #[must_use]
    pub fn with_retry_on(self, statuses: impl IntoIterator<Item = u16>) -> Self {
        Self { retry_on: statuses.into_iter().collect(), ..self }
    }

    /// The client below, to build requests with. What is sent through it directly is not governed.
    #[must_use]
    pub fn inner(&self) -> &Client {
        &self.client
    }

    /// The budget.
    #[must_use]
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Builds a request and makes the call; see [`execute`](Self::execute).
    ///
    /// # Errors
    /// As [`execute`](Self::execute), and if the request cannot be built.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, CallError> {
        self.execute(request.build().map_err(|error| CallError::invalid(&error))?).await
    }

    /// Waits for a permit and makes the call. Every response is an `Ok`, the last one of a call that was tried again in
    /// vain too: its status says what it is.
    ///
    /// Dropping the future is exact: before its turn, and until there is a connection for it, it leaves no trace in the
    /// budget; afterwards it counts as a call that the vendor may have seen.
    ///
    /// # Errors
    /// [`CallError`]: no permit, or no response.
    pub async fn execute(&self, mut request: Request) -> Result<Response, CallError> {
        let Some(policy) = self.retry else { return self.attempt(request).await?.result };
        let repeatable = self.repeats_any || retry::is_repeatable(&request);
        let mut history = History::default();
        loop {
            let copy = request.try_clone();
            let Ended { outcome, did_nothing, result } = self.attempt(request).await?;
            let Some(copy) = copy.filter(|_| repeatable || did_nothing) else { return result };
            let tried = history.add(&outcome, self.clock().now());
            let Next::RetryAfter(wait) = policy.next(&outcome, tried) else { return result };
            // Its connection and its place are of use to others meanwhile.
            drop(result);
            self.clock().sleep(wait).await;
            request = copy;
        }
    }

    fn clock(&self) -> &Clock {
        self.budget.clock()
    }
}
