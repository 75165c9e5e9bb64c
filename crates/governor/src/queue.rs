//! Who waits for a permit, in the order they came. A waiter leaves exactly when it is granted, refused or cancelled.

use std::collections::BTreeMap;
use std::task::Waker;

use crate::{Slot, Trip};

/// A place in the queue; grows with every waiter, so that the order of places is the order of coming.
pub(crate) type Place = u64;

/// What a waiter finds when it looks.
#[derive(Debug)]
pub(crate) enum Found {
    /// It waits on, and is the first: it keeps the timer.
    First,
    /// It waits on behind others.
    Behind,
    /// It was granted.
    Granted(Slot),
    /// It was refused.
    Refused(Trip),
}

#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: BTreeMap<Place, Option<Waker>>,
    /// Granted or refused, and not yet collected.
    answered: BTreeMap<Place, Result<Slot, Trip>>,
    next_place: Place,
}

impl Queue {
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn join(&mut self) -> Place {
        self.next_place += 1;
        self.waiting.insert(self.next_place, None);
        self.next_place
    }

    /// Grants the first waiter; its waker must be woken once the lock is gone.
    pub(crate) fn grant_first(&mut self, slot: Slot) -> Option<Waker> {
        let (place, waker) = self.waiting.pop_first()?;
        self.answered.insert(place, Ok(slot));
        waker
    }

    /// Refuses everyone.
    pub(crate) fn refuse_all(&mut self, trip: Trip, wake: &mut Vec<Waker>) {
        for (place, waker) in std::mem::take(&mut self.waiting) {
            self.answered.insert(place, Err(trip));
            wake.extend(waker);
        }
    }

    /// The first waiter's waker, to have it set its timer.
    pub(crate) fn first_waker(&self) -> Option<Waker> {
        self.waiting.first_key_value().and_then(|(_, waker)| waker.clone())
    }

    /// What became of a waiter; its waker is kept if it waits on.
    pub(crate) fn look(&mut self, place: Place, waker: &Waker) -> Found {
        if let Some(answer) = self.answered.remove(&place) {
            return match answer {
                Ok(slot) => Found::Granted(slot),
                Err(trip) => Found::Refused(trip),
            };
        }
        let first = self.waiting.first_key_value().is_some_and(|(first, _)| *first == place);
        if let Some(kept) = self.waiting.get_mut(&place) {
            match kept {
                Some(kept) => kept.clone_from(waker),
                None => *kept = Some(waker.clone()),
            }
        }
        if first { Found::First } else { Found::Behind }
    }

    /// A waiter goes. Answers the slot it was granted and never collected.
    pub(crate) fn leave(&mut self, place: Place) -> Option<Slot> {
        self.waiting.remove(&place);
        self.answered.remove(&place).and_then(Result::ok)
    }
}
