//! The permits that a shared budget's server has lent to this process, and the log of what became of each.
//!
//! Plain state, as all of the core: a background task (`shared/task.rs`) takes the news from here to the server and brings
//! permits back. While the server is away the supply lends from the process's own share, if that is set and due.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

use paceline_clock::Tick;

use super::flights::Slot;

/// Which call of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Call {
    pub(crate) number: u64,
    /// It was sent from the process's own share; the server knew nothing of it.
    pub(crate) own: bool,
}

/// What the server is to hear: the stamp of a call for some limits (one bit each), or that it never was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) call: Call,
    pub(crate) bits: u32,
    /// When the vendor had counted it at the latest; `None`: nothing of it left.
    pub(crate) stamp: Option<Tick>,
}

/// A call under way.
#[derive(Clone, Copy, Debug)]
struct Open {
    /// Limits whose stamp is still to come.
    bits: u32,
    /// The latest stamp so far.
    stamp: Option<Tick>,
}

/// From when until when the process may send from its own share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Own {
    pub(crate) from: Tick,
    pub(crate) until: Tick,
}

/// Where the last supply goes when its budget is dropped: returns are still to be told.
pub(crate) type Heir = Arc<Mutex<Option<Supply>>>;

#[derive(Clone, Debug, Default)]
pub(crate) struct Supply {
    /// One bit for each limit that the server keeps.
    all: u32,
    /// Lent and unused: the number, and until when it may be used. Ascending.
    stock: VecDeque<(u64, Tick)>,
    own: Option<Own>,
    next_number: u64,
    calls: HashMap<Slot, Call>,
    open: BTreeMap<Call, Open>,
    /// Stamped calls of the latest windows, for a server that lost them.
    log: VecDeque<(Call, Tick)>,
    news: Vec<News>,
    gate: Option<Tick>,
    /// Callers found nothing in stock since the last question.
    missed: bool,
    /// Permits taken since the last look at it.
    taken: u64,
    ends: Ends,
}

/// Whom to tell. A copy of a supply, for looking at, has none of it.
#[derive(Debug, Default)]
struct Ends {
    waker: Option<Waker>,
    heir: Option<Heir>,
}

impl Clone for Ends {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Supply {
    /// A supply for so many limits, empty. `waker` is woken for news, when somebody finds the stock empty, and when the
    /// supply has gone to its heir.
    pub(crate) fn new(limits: usize, waker: Waker, heir: Heir) -> Self {
        let mut supply = Self::default();
        supply.all = (1_u32 << limits.min(31)) - 1;
        supply.ends = Ends { waker: Some(waker), heir: Some(heir) };
        supply
    }

    /// `Some(until)` if no call may start now.
    pub(super) fn refuses(&self, now: Tick) -> Option<Option<Tick>> {
        if self.stock.back().is_some_and(|(_, use_by)| now < *use_by) {
            return None;
        }
        match self.own {
            Some(own) if now < own.from => Some(Some(own.from)),
            Some(own) if now < own.until => None,
            _ => Some(None),
        }
    }

    /// Somebody wanted a call and could have none.
    pub(super) fn missed(&mut self, now: Tick) {
        if !self.missed && self.refuses(now).is_some() {
            self.missed = true;
            self.wake();
        }
    }

    /// A call starts on the oldest permit that still holds, or from the own share.
    pub(super) fn take(&mut self, slot: Slot, now: Tick) {
        self.expire(now);
        let call = match self.stock.pop_front() {
            Some((number, _)) => Call { number, own: false },
            None => Call { number: self.reserve(1), own: true },
        };
        self.taken += 1;
        self.calls.insert(slot, call);
        self.open.insert(call, Open { bits: self.all, stamp: None });
    }

    /// The vendor had counted it by then, as these limits see it.
    pub(super) fn stamped(&mut self, slot: Slot, bits: u32, at: Tick) {
        self.settle(slot, bits, Some(at));
    }

    /// Nothing of it left.
    pub(super) fn returned(&mut self, slot: Slot, bits: u32) {
        self.settle(slot, bits, None);
    }

    fn settle(&mut self, slot: Slot, bits: u32, stamp: Option<Tick>) {
        let Some(&call) = self.calls.get(&slot) else { return };
        let Some(open) = self.open.get_mut(&call) else { return };
        let bits = open.bits & bits;
        open.bits &= !bits;
        open.stamp = open.stamp.max(stamp);
        let done = (open.bits == 0).then_some(open.stamp);
        if bits != 0 {
            self.tell(News { call, bits, stamp });
        }
        if let Some(stamp) = done {
            self.open.remove(&call);
            self.calls.remove(&slot);
            self.log.extend(stamp.map(|stamp| (call, stamp)));
        }
    }

    /// The vendor asked everyone to wait.
    pub(super) fn hold_until(&mut self, gate: Tick) {
        self.gate = self.gate.max(Some(gate));
        self.wake();
    }

    fn tell(&mut self, news: News) {
        self.news.push(news);
        if self.news.len() == 1 {
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(waker) = &self.ends.waker {
            waker.wake_by_ref();
        }
    }

    /// Gives back what can no longer be used.
    fn expire(&mut self, now: Tick) {
        while self.stock.front().is_some_and(|(_, use_by)| *use_by <= now) {
            if let Some((number, _)) = self.stock.pop_front() {
                let call = Call { number, own: false };
                self.tell(News { call, bits: self.all, stamp: None });
            }
        }
    }
}

/// The server's side.
impl Supply {
    /// Numbers for so many calls, never used before; answers the first.
    pub(crate) fn reserve(&mut self, count: u64) -> u64 {
        let first = self.next_number;
        self.next_number += count;
        first
    }

    /// The server lends permits. What comes too late to be used goes back.
    pub(crate) fn lend(&mut self, first: u64, count: u64, use_by: Tick, now: Tick) {
        self.stock.extend((first..first + count).map(|number| (number, use_by)));
        self.expire(now);
    }

    /// Permits come from the server alone (`None`), or from the own share.
    pub(crate) fn set_own(&mut self, own: Option<Own>) {
        self.own = own;
    }

    /// Permits in stock.
    pub(crate) fn stock(&mut self, now: Tick) -> usize {
        self.expire(now);
        self.stock.len()
    }

    /// The news so far, oldest first; they stay until they are [told](Supply::told).
    pub(crate) fn news(&self) -> &[News] {
        &self.news
    }

    /// The server knows the first so many of the news.
    pub(crate) fn told(&mut self, count: usize) {
        self.news.drain(..count.min(self.news.len()));
    }

    /// The calls under way, with the limits whose stamp is still to come.
    pub(crate) fn open(&self) -> impl Iterator<Item = (Call, u32)> {
        self.open.iter().map(|(call, open)| (*call, open.bits))
    }

    /// Until when the vendor asked everyone to wait, if the server was not told yet.
    pub(crate) fn gate(&self) -> Option<Tick> {
        self.gate
    }

    /// The server knows of the wait.
    pub(crate) fn gate_told(&mut self, gate: Option<Tick>) {
        if self.gate == gate {
            self.gate = None;
        }
    }

    /// Whether somebody found nothing in stock since this was last [answered](Supply::asked_for).
    pub(crate) fn is_missed(&self) -> bool {
        self.missed
    }

    /// A question for more is on its way. Answers how many permits were taken since the last one.
    pub(crate) fn asked_for(&mut self) -> u64 {
        self.missed = false;
        std::mem::take(&mut self.taken)
    }

    /// Forgets what has left every window: calls that the server once knew of and were counted before `known`, and
    /// those of the own share from before `own`.
    pub(crate) fn trim(&mut self, known: Tick, own: Tick) {
        let keep = |call: Call, stamp: Tick| stamp >= if call.own { own } else { known };
        self.log.retain(|(call, stamp)| keep(*call, *stamp));
        self.news.retain(|news| news.stamp.is_none_or(|stamp| keep(news.call, stamp)));
    }

    /// The server lost everything: what it lent is void, and this is what it has to hear again. Calls under way have no
    /// stamp.
    pub(crate) fn start_over(&mut self) -> Vec<News> {
        self.stock.clear();
        self.news.clear();
        let log = self.log.iter().map(|(call, stamp)| News {
            call: *call,
            bits: self.all,
            stamp: Some(*stamp),
        });
        let partly = self.open.iter().filter_map(|(call, open)| {
            let bits = self.all & !open.bits;
            open.stamp.filter(|_| bits != 0).map(|stamp| News {
                call: *call,
                bits,
                stamp: Some(stamp),
            })
        });
        log.chain(partly).collect()
    }

    /// The last word: what is in stock goes back.
    pub(crate) fn close(&mut self) {
        self.expire(Tick::NEVER);
    }
}

impl Drop for Supply {
    fn drop(&mut self) {
        if let Some(heir) = self.ends.heir.take() {
            let waker = self.ends.waker.take();
            *heir.lock().unwrap_or_else(PoisonError::into_inner) = Some(std::mem::take(self));
            waker.into_iter().for_each(Waker::wake);
        }
    }
}

#[cfg(test)]
mod tests;
