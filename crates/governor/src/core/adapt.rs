//! How much of a window is in use: a 429 halves it, good answers bring it back.
//!
//! A vendor that refuses for a while whatever the rate (a storm) must be told from one whose limit is lower than
//! configured. So:
//!
//! - A refusal lowers the share only if it tells something of the rate: enough of the window was in use, or a whole window
//!   went by since the last drop. Other refusals cost a pause, and then one call alone ([`super::scout`]).
//! - Of a row of refusals without a good answer only the first is evidence. After it, good answers bring half of what there
//!   was back at once, as TCP's slow start does, and the rest in steps.
//! - The next recovery is slower than the last one only if the share was refused where it was refused before: who refuses
//!   at every height has no limit at any. Then it comes back at once to just below that height, goes slowly past it, and
//!   faster again beyond, as in CUBIC (RFC 9438).

use std::time::Duration;

use paceline_clock::Tick;

/// One 429 takes this share of the slots.
const COOL_DOWN: f64 = 0.5;
/// A refusal tells of the rate if this share of the slots was in use, at least.
const TELLING_USE: f64 = 0.25;
/// Refusals at heights that differ by no more than this factor were refused at the same height.
const SAME_HEIGHT: f64 = 1.5;
/// Who comes back so near to the height of the last refusal and is refused has found the same limit again.
const AGAIN: f64 = 0.9;
/// What comes so far beyond the height of the last refusal has proved that refusal to be out of date, by one in the row.
const BEYOND: f64 = 1.25;
/// A height that was refused again is safe up to this share of it.
const NEAR: f64 = 0.8;
/// A row of refusals leaves this share of what is safe, until a window's time is over: less would hold back the call that
/// finds out whether it is over.
const ROW_LEAVES: f64 = 0.25;
/// Slots that come back with a good answer, up to half of what there were: so many more calls go with each round trip.
const RETURN: f64 = 2.0;
/// Half of the good answers for a whole recovery after the second 429 at one height; twice as many after each further one.
const AGAIN_MIN: u64 = 50;
/// At one or two slots no more 429s than these are counted.
const FLOOR_STREAK_MAX: u32 = 3;
/// Good answers for a whole recovery at the most.
const RECOVERY_MAX: u64 = 20_000;
/// Good answers in a row after which one 429 is forgotten.
const FORGETS_AFTER: u32 = 1_000;
/// From here on it is the whole: sums of small steps fall short of it.
const WHOLE: f64 = 1.0 - 1e-9;

/// The share of a window's slots in use.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Share {
    share: f64,
    /// Up to here it comes back at once with good answers: half of what it was when the present row of refusals began.
    safe: f64,
    /// What it was when it was refused the last time after a good answer.
    height: f64,
    /// 429s at that height that are not forgotten yet.
    streak: u32,
    clean: u32,
    /// The present row of refusals: what the share was at its first one, until a call is accepted.
    row: Option<f64>,
    /// That row is counted.
    counted: bool,
    /// The last two drops that each began a row, the later one first; and the last drop of all.
    rows_at: [Option<Tick>; 2],
    drop_at: Option<Tick>,
}

/// A refusal, as far as the share is concerned.
#[derive(Clone, Copy, Debug)]
pub(super) struct RefusedAt {
    pub now: Tick,
    /// The window's slots at full rate, those of them in use, and how long one is held.
    pub slots: u64,
    pub used: u64,
    pub hold: Duration,
    /// Another plan answers it.
    pub explained: bool,
}

impl Default for Share {
    fn default() -> Self {
        Self {
            share: 1.0,
            safe: 1.0,
            height: 1.0,
            streak: 0,
            clean: 0,
            row: None,
            counted: false,
            rows_at: [None; 2],
            drop_at: None,
        }
    }
}

impl Share {
    pub(super) fn get(&self) -> f64 {
        self.share
    }

    /// Whether nothing was refused, or that is forgotten.
    pub(super) fn is_whole(&self) -> bool {
        self.share >= 1.0 && self.streak == 0
    }

    pub(super) fn streak(&self) -> u32 {
        self.streak
    }

    /// A call was refused: half of the slots, and at least one, are left. What was explained and answered by another plan is
    /// no reason to come back later than the first time.
    pub(super) fn cool_down(&mut self, refused: RefusedAt) {
        self.clean = 0;
        if !self.is_telling(refused) {
            return;
        }
        let least = 1.0 / refused.slots.max(1) as f64;
        let half = |share: f64| (share * COOL_DOWN).max(least);
        let began_at = *self.row.get_or_insert_with(|| {
            // On the way back to it nothing was proved but that it is not so soon.
            self.safe = half(self.share.max(self.safe));
            self.rows_at = [Some(refused.now), self.rows_at[0]];
            self.counted = false;
            self.share
        });
        if !self.counted {
            self.counted = self.count_row(began_at, refused);
        }
        self.share = half(self.share);
        self.drop_at = Some(refused.now);
    }

    /// Answers whether the row that began at this height counts. One that is explained counts only if it was refused at
    /// this height before: then the explanation did not help.
    fn count_row(&mut self, began_at: f64, refused: RefusedAt) -> bool {
        let slots = refused.slots as f64;
        let last = std::mem::replace(&mut self.height, began_at);
        let of_last = began_at / last;
        let same_slots = (began_at - last).abs() * slots <= 1.0;
        let elsewhere = !same_slots && !(1.0 / SAME_HEIGHT..=SAME_HEIGHT).contains(&of_last);
        let again = same_slots || !elsewhere && of_last >= AGAIN;
        if refused.explained && !(again && began_at < 1.0) {
            return false;
        }
        if elsewhere || self.streak == 0 {
            self.streak = 1;
        } else if again {
            // The last two slots may be refused by a storm as well as by a limit.
            let most = if began_at * slots < 3.0 { FLOOR_STREAK_MAX } else { u32::MAX };
            self.streak = self.streak.saturating_add(1).min(most.max(self.streak));
            self.safe = self.safe.max(began_at.min(last) * NEAR);
        }
        true
    }

    fn is_telling(&self, refused: RefusedAt) -> bool {
        let past = |drop: Option<Tick>| drop.is_none_or(|at| at + refused.hold <= refused.now);
        if past(self.drop_at) {
            return true;
        }
        let allowed = self.share * refused.slots as f64;
        let many = refused.used as f64 >= TELLING_USE * allowed;
        let may_drop = match self.row {
            Some(_) => self.share > self.safe * ROW_LEAVES,
            None => past(self.rows_at[1]),
        };
        many && may_drop
    }

    /// A call was accepted; it may have left after the last refusal. Answers whether the share grew.
    ///
    /// After a first 429 all of `slots` are back with as many good answers; if that was too soon, the next recovery takes its
    /// time, so that somebody else's use of the key does not cost a refusal every window.
    pub(super) fn good(&mut self, slots: u64, is_later: bool) -> bool {
        if is_later {
            self.row = None;
        }
        if self.share >= 1.0 {
            self.clean += 1;
            if self.clean >= FORGETS_AFTER {
                self.clean = 0;
                self.streak = self.streak.saturating_sub(1);
            }
            return false;
        }
        let least = 1.0 / slots.max(1) as f64;
        if self.share < self.safe && self.row.is_none() {
            self.share = (self.share + RETURN * least).min(self.safe);
            return true;
        }
        let beyond = (self.share - self.height) * slots as f64;
        if self.streak > 1 && self.share > self.height * BEYOND && beyond >= 2.0 {
            self.streak -= 1;
            self.height = self.share;
        }
        let answers = match self.streak {
            0 | 1 => slots,
            again => slots.max(AGAIN_MIN).saturating_mul(1 << (again - 1).min(20)),
        };
        let answers = answers.clamp(1, RECOVERY_MAX.max(slots));
        let share = self.share + COOL_DOWN / answers as f64;
        self.share = if share > WHOLE { 1.0 } else { share };
        true
    }
}

#[cfg(test)]
mod tests;
