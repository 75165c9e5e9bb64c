//! Who waits for a permit, and whose turn is next. A waiter leaves exactly when it is granted, refused or cancelled.
//!
//! The order (spec G4): the highest [priority](crate::Priority) first; inside one, the turn keys [take
//! turns](level) by their shares; inside a key, first come, first served. Every operation is O(1), or O(log k) in the
//! number of keys where a key comes or goes; nothing but refusing everyone grows with the number of those who wait.
//!
//! **Ageing.** A priority that was passed over [`AGE_TURNS`] times in a row gets the next turn. It counts turns and not
//! seconds because budgets range from 1,000 a second to 60 an hour: any time would be either no priority at all for the
//! slow ones or starvation for the fast ones, while turns mean the same share of every budget.
//!
//! **Leaving.** A turn belongs to the line, not to the waiter: who leaves gives its place to the next in its line, the
//! turns of all others stay as they were, and none is used up. A key, or a priority, that nobody waits under is
//! forgotten: it comes back as a new one.

mod arena;
mod level;
#[cfg(test)]
mod tests;

use std::task::Waker;

use crate::{Ask, Priority};
use arena::Arena;
use level::Level;

/// So many turns in a row may go to higher priorities while somebody waits. Of two that are due the higher goes first,
/// so the first of any priority is granted after at most one more than this.
const AGE_TURNS: u32 = 8;

/// A place in the queue, of one waiter and never of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    index: usize,
    serial: u64,
}

/// What a waiter finds when it looks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<G, R> {
    /// It waits on, and is the first: it keeps the timer.
    First,
    /// It waits on behind others; or it is none of those who wait.
    Behind,
    /// It was granted.
    Granted(G),
    /// It was refused.
    Refused(R),
}

/// Waiters that are granted a `G` or refused with an `R`.
#[derive(Debug)]
pub(crate) struct Queue<G, R> {
    /// Who waits, and who was answered and has not collected it. The room for them is kept for the next ones; whoever
    /// bounds [`len`](Queue::len) bounds it.
    waiters: Arena<Waiter<G, R>>,
    levels: [Level; Priority::ALL.len()],
    waiting: usize,
    next_serial: u64,
}

#[derive(Debug)]
struct Waiter<G, R> {
    serial: u64,
    ask: Ask,
    state: State<G, R>,
}

#[derive(Debug)]
enum State<G, R> {
    Waiting { line: usize, waker: Option<Waker> },
    Granted(G),
    Refused(R),
}

impl<G, R> Default for Queue<G, R> {
    fn default() -> Self {
        Self { waiters: Arena::default(), levels: Default::default(), waiting: 0, next_serial: 0 }
    }
}

impl<G, R> Queue<G, R> {
    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting
    }

    /// If nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// If that one still waits: not answered, not gone.
    #[cfg_attr(not(test), expect(dead_code, reason = "for a budget with several kinds of limit"))]
    pub(crate) fn contains(&self, place: Place) -> bool {
        self.get(place).is_some_and(|waiter| matches!(waiter.state, State::Waiting { .. }))
    }

    /// Takes a place. Look at once, to leave a waker there.
    pub(crate) fn join(&mut self, ask: Ask) -> Place {
        let serial = self.next_serial;
        self.next_serial += 1;
        let level = &mut self.levels[ask.get_priority() as usize];
        let line = level.line(ask.get_turn());
        let state = State::Waiting { line, waker: None };
        let index = self.waiters.insert(Waiter { serial, ask, state });
        level.join(&mut self.waiters, index, line);
        self.waiting += 1;
        Place { index, serial }
    }

    /// Who is to be granted next; the same until somebody joins, leaves or is answered.
    pub(crate) fn next(&self) -> Option<Place> {
        let index = self.first()?;
        Some(Place { index, serial: self.waiters.get(index)?.serial })
    }

    /// What that one asks for.
    pub(crate) fn next_ask(&self) -> Option<Ask> {
        Some(self.waiters.get(self.first()?)?.ask)
    }

    /// The waker of that one, to have it set its timer.
    pub(crate) fn first_waker(&self) -> Option<Waker> {
        match &self.waiters.get(self.first()?)?.state {
            State::Waiting { waker, .. } => waker.clone(),
            State::Granted(_) | State::Refused(_) => None,
        }
    }

    /// Grants the next one, which uses up a turn; its waker must be woken once the lock is gone. Nothing happens if
    /// nobody waits.
    pub(crate) fn grant_next(&mut self, grant: G) -> Option<Waker> {
        let turn = self.turn()?;
        let index = self.levels[turn].first()?;
        let share = self.waiters.get(index)?.ask.get_share();
        let (level, lower) = self.levels[turn..].split_first_mut()?;
        level.take_turn(&mut self.waiters, share);
        self.waiting -= 1;
        for level in lower.iter_mut().filter(|level| !level.is_empty()) {
            level.passed_over = level.passed_over.saturating_add(1);
        }
        self.answer(index, State::Granted(grant))
    }

    /// Refuses the next one (what it asks for can never be); no turn is used up.
    #[cfg_attr(not(test), expect(dead_code, reason = "for a budget with several kinds of limit"))]
    pub(crate) fn refuse_next(&mut self, refusal: R) -> Option<Waker> {
        let index = self.first()?;
        self.unlink(index);
        self.answer(index, State::Refused(refusal))
    }

    /// Refuses everyone.
    pub(crate) fn refuse_all(&mut self, refusal: R, wake: &mut Vec<Waker>)
    where
        R: Clone,
    {
        while let Some(index) = self.first() {
            self.unlink(index);
            wake.extend(self.answer(index, State::Refused(refusal.clone())));
        }
    }

    /// What became of a waiter; its waker is kept if it waits on, and its place is gone if it does not.
    pub(crate) fn look(&mut self, place: Place, waker: &Waker) -> Found<G, R> {
        let first = self.first() == Some(place.index);
        let Some(waiter) = self.get_mut(place) else { return Found::Behind };
        if let State::Waiting { waker: kept, .. } = &mut waiter.state {
            match kept {
                Some(kept) => kept.clone_from(waker),
                None => *kept = Some(waker.clone()),
            }
            return if first { Found::First } else { Found::Behind };
        }
        match self.waiters.remove(place.index).map(|waiter| waiter.state) {
            Some(State::Granted(grant)) => Found::Granted(grant),
            Some(State::Refused(refusal)) => Found::Refused(refusal),
            Some(State::Waiting { .. }) | None => Found::Behind,
        }
    }

    /// A waiter goes. Answers what it was granted and never collected.
    pub(crate) fn leave(&mut self, place: Place) -> Option<G> {
        self.get(place)?;
        self.unlink(place.index);
        match self.waiters.remove(place.index)?.state {
            State::Granted(grant) => Some(grant),
            State::Refused(_) | State::Waiting { .. } => None,
        }
    }

    /// Whose turn it is: the highest priority that was passed over too often, else the highest.
    fn turn(&self) -> Option<usize> {
        let waiting = |level: &Level| !level.is_empty();
        let due = |level: &Level| level.passed_over >= AGE_TURNS;
        let due = self.levels.iter().position(|level| waiting(level) && due(level));
        due.or_else(|| self.levels.iter().position(waiting))
    }

    fn first(&self) -> Option<usize> {
        self.levels[self.turn()?].first()
    }

    /// Takes a waiter that waits out of its line.
    fn unlink(&mut self, index: usize) {
        let Some(waiter) = self.waiters.get(index) else { return };
        if let State::Waiting { line, .. } = waiter.state {
            let level = &mut self.levels[waiter.ask.get_priority() as usize];
            level.leave(&mut self.waiters, index, line);
            self.waiting -= 1;
        }
    }

    fn answer(&mut self, index: usize, answer: State<G, R>) -> Option<Waker> {
        match std::mem::replace(&mut self.waiters.get_mut(index)?.state, answer) {
            State::Waiting { waker, .. } => waker,
            State::Granted(_) | State::Refused(_) => None,
        }
    }

    fn get(&self, place: Place) -> Option<&Waiter<G, R>> {
        self.waiters.get(place.index).filter(|waiter| waiter.serial == place.serial)
    }

    fn get_mut(&mut self, place: Place) -> Option<&mut Waiter<G, R>> {
        self.waiters.get_mut(place.index).filter(|waiter| waiter.serial == place.serial)
    }
}
