//! The calls that are under way: a slab with generations, so that a slot that has ended can never be taken for another.

use paceline_clock::Tick;

/// One call's place in a budget, from its admission to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    index: u32,
    generation: u32,
}

impl Slot {
    /// Its place in a table with one line per call under way.
    pub(super) fn index(self) -> usize {
        self.index as usize
    }
}

#[derive(Clone, Debug, Default)]
struct Flight {
    generation: u32,
    live: bool,
    /// Only its response tells when it was counted.
    held: bool,
    /// One bit per rule: whether its window has the stamp.
    stamped: u32,
    /// What it weighs under limits of tokens.
    tokens: u32,
    /// How many calls were admitted before it.
    number: u64,
    /// Tokens that had come back when it was admitted.
    refunded: u64,
    sent_at: Option<Tick>,
}

/// A call that has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    pub sent_at: Option<Tick>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Flights {
    flights: Vec<Flight>,
    free: Vec<u32>,
    live: usize,
    admitted: u64,
    /// Tokens that were reserved and not taken, of all calls so far.
    refunded: u64,
}

impl Flights {
    pub(super) fn len(&self) -> usize {
        self.live
    }

    pub(super) fn take(&mut self, tokens: u32) -> Slot {
        self.live += 1;
        let index = self.free.pop().unwrap_or_else(|| {
            self.flights.push(Flight::default());
            (self.flights.len() - 1) as u32
        });
        let flight = &mut self.flights[index as usize];
        *flight = Flight {
            generation: flight.generation.wrapping_add(1),
            live: true,
            held: false,
            stamped: 0,
            tokens,
            number: self.admitted,
            refunded: self.refunded,
            sent_at: None,
        };
        self.admitted += 1;
        Slot { index, generation: flight.generation }
    }

    /// Notes when the call left and answers its tokens; `None` if that was known, or the slot has ended.
    pub(super) fn sent(&mut self, slot: Slot, now: Tick) -> Option<u32> {
        let flight = self.get_mut(slot).filter(|flight| flight.sent_at.is_none())?;
        flight.sent_at = Some(now);
        Some(flight.tokens)
    }

    /// When the call left, if that is known; the outer `None` if every window has its stamp, or it has ended.
    pub(super) fn unseen(&mut self, slot: Slot) -> Option<Option<Tick>> {
        let flight = self.get_mut(slot)?;
        (flight.stamped != u32::MAX).then_some(flight.sent_at)
    }

    /// How many calls were admitted before this one and after it; `None` if it has ended.
    pub(super) fn place(&mut self, slot: Slot) -> Option<(u64, u64)> {
        let admitted = self.admitted;
        self.get_mut(slot).map(|flight| (flight.number, admitted - flight.number - 1))
    }

    /// What it weighs under limits of tokens.
    pub(super) fn tokens(&mut self, slot: Slot) -> u32 {
        self.get_mut(slot).map_or(0, |flight| flight.tokens)
    }

    /// Sets what it weighs; answers what it weighed before and which windows have its stamp.
    pub(super) fn settle(&mut self, slot: Slot, tokens: u32) -> Option<(u32, u32)> {
        let flight = self.get_mut(slot)?;
        let settled = (std::mem::replace(&mut flight.tokens, tokens), flight.stamped);
        self.refunded += u64::from(settled.0.saturating_sub(tokens));
        Some(settled)
    }

    /// Tokens of all calls that came back since this one was admitted.
    pub(super) fn refunded_since(&mut self, slot: Slot) -> u64 {
        let refunded = self.refunded;
        self.get_mut(slot).map_or(0, |flight| refunded - flight.refunded)
    }

    /// From now on only the response tells when it was counted.
    pub(super) fn hold(&mut self, slot: Slot) {
        if let Some(flight) = self.get_mut(slot) {
            flight.held = true;
        }
    }

    /// Marks that every window has the stamp; answers which had it before.
    pub(super) fn mark_all_stamped(&mut self, slot: Slot) -> u32 {
        self.get_mut(slot)
            .map_or(u32::MAX, |flight| std::mem::replace(&mut flight.stamped, u32::MAX))
    }

    /// What held it is over, and it leaves now: answers its tokens; `None` if nothing held it, or it has ended.
    pub(super) fn release(&mut self, slot: Slot, now: Tick) -> Option<u32> {
        let flight = self.get_mut(slot).filter(|flight| flight.held)?;
        flight.held = false;
        flight.sent_at = Some(now);
        Some(flight.tokens)
    }

    /// Whether it left at this moment, and not (also) at a later one.
    pub(super) fn left_at(&self, slot: Slot, sent_at: Tick) -> bool {
        self.flights.get(slot.index as usize).is_some_and(|f| {
            f.generation == slot.generation && f.live && f.sent_at == Some(sent_at)
        })
    }

    /// Marks that one window has the stamp; false if it had, or is not to have it yet, or the slot has ended.
    pub(super) fn mark_stamped(&mut self, slot: Slot, rule: usize) -> bool {
        match self.get_mut(slot) {
            Some(flight) if !flight.held && flight.stamped & (1 << rule) == 0 => {
                flight.stamped |= 1 << rule;
                true
            }
            _ => false,
        }
    }

    /// Ends the slot; `None` if it had ended already.
    pub(super) fn end(&mut self, slot: Slot) -> Option<Ended> {
        let flight = self.get_mut(slot)?;
        flight.live = false;
        let ended = Ended { sent_at: flight.sent_at };
        self.live -= 1;
        self.free.push(slot.index);
        Some(ended)
    }

    fn get_mut(&mut self, slot: Slot) -> Option<&mut Flight> {
        self.flights
            .get_mut(slot.index as usize)
            .filter(|f| f.generation == slot.generation && f.live)
    }
}
