//! What may be spent (spec R5): every call is reserved, with its price, before it is sent, from each account that it is
//! charged to; nothing is reserved beyond a cap, so no number of calls at once overshoots one. A call that never left is
//! given back.
//!
//! After a restart an account begins with what is on record and what the earlier process may have sent and not lived to
//! record.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use paceline_clock::{Clock, Timestamp};
use paceline_model::{Caps, Spent};

const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// The UTC day of a moment, counted from 1970.
pub(crate) fn day_of(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(DAY_MICROS)
}

/// What one cap counts. Shared by all that is charged to it.
#[derive(Debug)]
pub(crate) struct Account {
    /// As in `this run`.
    whose: String,
    /// How to raise its cap.
    remedy: String,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    caps: Caps,
    /// On record and reserved.
    used: Spent,
    /// The day it counts, of one that begins anew every day.
    day: Option<i64>,
}

/// The accounts that the calls of one run are charged to.
#[derive(Debug)]
pub(crate) struct Ledger {
    clock: Clock,
    price_micros: u64,
    accounts: Vec<Arc<Account>>,
}

/// A cap that allows no further call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapReached {
    /// Whose it is, as in `this run`.
    pub whose: String,
    /// The cap.
    pub caps: Caps,
    /// What is spent of it.
    pub spent: Spent,
    /// When it begins anew, if it does.
    pub resets_at: Option<Timestamp>,
    remedy: String,
}

impl Account {
    /// One that counts for good.
    pub(crate) fn lasting(whose: String, remedy: &str, caps: Caps, used: Spent) -> Self {
        let state = Mutex::new(State { caps, used, day: None });
        Self { whose, remedy: remedy.to_owned(), state }
    }

    /// One that begins anew with every UTC day.
    pub(crate) fn daily(whose: String, remedy: &str, caps: Caps, used: Spent, day: i64) -> Self {
        let state = Mutex::new(State { caps, used, day: Some(day) });
        Self { whose, remedy: remedy.to_owned(), state }
    }

    /// Other caps, and at least so much spent on that day: what is on record may be more than was seen here.
    pub(crate) fn renew(&self, caps: Caps, used: Spent, day: i64) {
        let mut state = self.lock();
        state.caps = caps;
        state.begin(day);
        state.used.calls = state.used.calls.max(used.calls);
        state.used.cost_micros = state.used.cost_micros.max(used.cost_micros);
    }

    /// What an earlier process may have sent and not lived to record.
    pub(crate) fn charge(&self, lost: Spent) {
        let used = &mut self.lock().used;
        used.calls = used.calls.saturating_add(lost.calls);
        used.cost_micros = used.cost_micros.saturating_add(lost.cost_micros);
    }

    /// Its caps, and what is spent of them.
    pub(crate) fn status(&self, day: i64) -> (Caps, Spent) {
        let mut state = self.lock();
        state.begin(day);
        (state.caps, state.used)
    }

    fn reserve(&self, price_micros: u64, now: Timestamp) -> Result<(), CapReached> {
        let mut state = self.lock();
        state.begin(day_of(now));
        let mut after = state.used;
        after.calls = after.calls.saturating_add(1);
        after.cost_micros = after.cost_micros.saturating_add(price_micros);
        let fits = state.caps.calls.is_none_or(|cap| after.calls <= cap)
            && state.caps.cost_micros.is_none_or(|cap| after.cost_micros <= cap);
        if fits {
            state.used = after;
            return Ok(());
        }
        let next_day = |day: i64| Timestamp::from_micros((day + 1).saturating_mul(DAY_MICROS));
        Err(CapReached {
            whose: self.whose.clone(),
            caps: state.caps,
            spent: state.used,
            resets_at: state.day.map(next_day),
            remedy: self.remedy.clone(),
        })
    }

    fn release(&self, price_micros: u64) {
        let mut state = self.lock();
        state.used.calls = state.used.calls.saturating_sub(1);
        state.used.cost_micros = state.used.cost_micros.saturating_sub(price_micros);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn begin(&mut self, today: i64) {
        if self.day.is_some_and(|day| day < today) {
            self.day = Some(today);
            self.used = Spent::default();
        }
    }
}

impl Ledger {
    pub(crate) fn new(clock: Clock, price_micros: u64, accounts: Vec<Arc<Account>>) -> Self {
        Self { clock, price_micros, accounts }
    }

    /// What one call costs, in millionths.
    pub(crate) fn price_micros(&self) -> u64 {
        self.price_micros
    }

    /// Reserves one call in every account, or in none.
    ///
    /// # Errors
    /// The cap that does not allow it.
    pub(crate) fn reserve(&self) -> Result<(), CapReached> {
        let now = self.clock.wall();
        for (index, account) in self.accounts.iter().enumerate() {
            if let Err(reached) = account.reserve(self.price_micros, now) {
                self.accounts[..index].iter().for_each(|one| one.release(self.price_micros));
                return Err(reached);
            }
        }
        Ok(())
    }

    /// Gives back a reserved call: it never left.
    pub(crate) fn release(&self) {
        self.accounts.iter().for_each(|account| account.release(self.price_micros));
    }
}

impl fmt::Display for CapReached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Spent { calls, cost_micros } = self.spent;
        write!(f, "{} has spent ", self.whose)?;
        match self.caps.calls {
            Some(cap) => write!(f, "{calls} of {cap} calls")?,
            None => write!(f, "{calls} calls")?,
        }
        if let Some(cap) = self.caps.cost_micros {
            write!(f, " and {} of {}", units(cost_micros), units(cap))?;
        }
        f.write_str("; the next call would go beyond. ")?;
        match self.resets_at {
            Some(_) => write!(f, "Resume after midnight UTC, or {}", self.remedy),
            None => write!(f, "To go on, {}", self.remedy),
        }
    }
}

/// Whole units of a currency.
fn units(micros: u64) -> f64 {
    micros as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use paceline_clock::SimClock;

    fn calls(calls: u64) -> Caps {
        Caps { calls: Some(calls), ..Caps::default() }
    }

    #[test]
    fn nothing_is_reserved_beyond_any_cap_and_what_is_refused_is_charged_to_nobody() {
        SimClock::new().run(|clock| async move {
            let used = Spent { calls: 2, cost_micros: 20 };
            let run = Arc::new(Account::lasting("run".to_owned(), "raise it", calls(5), used));
            let money = Caps { cost_micros: Some(55), ..Caps::default() };
            let today = day_of(clock.wall());
            let day = Account::daily("day".to_owned(), "wait", money, Spent::default(), today);
            let day = Arc::new(day);
            let ledger = Ledger::new(clock.clone(), 20, vec![Arc::clone(&run), Arc::clone(&day)]);
            assert_eq!(ledger.reserve(), Ok(()));
            assert_eq!(ledger.reserve(), Ok(()));
            let reached = ledger.reserve().unwrap_err();
            assert_eq!((reached.whose.as_str(), reached.spent.cost_micros), ("day", 40));
            assert_eq!(run.status(today).1.calls, 4);
            ledger.release();
            assert_eq!(ledger.reserve(), Ok(()));
            clock.sleep(std::time::Duration::from_secs(24 * 3600)).await;
            assert_eq!(ledger.reserve(), Ok(()), "another day");
            let reached = ledger.reserve().unwrap_err();
            assert_eq!((reached.whose.as_str(), reached.spent.calls), ("run", 5));
            assert!(reached.to_string().contains("5 of 5 calls"), "{reached}");
        });
    }
}
