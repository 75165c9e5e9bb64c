//! What the vendor says is left (the RateLimit header families): heeded at once where it is less than we believe, and
//! never to send more than configured.

use std::time::Duration;

use paceline_clock::Tick;

use super::{Core, Slot};
use crate::limit::Unit;
use crate::{Hints, Quota, QuotaName, QuotaUnit};

/// Quotas of one vendor that are kept at once; what comes beyond is not heeded.
const QUOTAS_MAX: usize = 8;
/// Two resets of one quota that lie this close are the same one, told in whole seconds.
const SAME_RESET: Duration = Duration::from_secs(2);

/// One quota as one response tells it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Left {
    pub unit: Unit,
    /// Which quota: its name and its size, as far as the vendor tells them.
    pub quota: (QuotaName, Option<u64>),
    /// Calls (or tokens) left, less those of ours that the vendor may not have counted yet.
    pub left: u64,
    /// When it is full again.
    pub until: Tick,
    /// The call that was told, by the number of its admission; and the next call to be admitted then.
    pub number: u64,
    pub next: u64,
}

impl Left {
    fn same(&self, other: &Self) -> bool {
        (self.unit, self.quota) == (other.unit, other.quota)
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    quotas: Vec<Left>,
}

impl Told {
    /// A response told of a quota.
    pub(super) fn heard(&mut self, told: Left, now: Tick) {
        self.quotas.retain(|quota| quota.until > now);
        let room = self.quotas.len() < QUOTAS_MAX;
        let mut known: Vec<&mut Left> =
            self.quotas.iter_mut().filter(|quota| quota.same(&told)).collect();
        known.sort_unstable_by_key(|quota| quota.until);
        let two = known.len() > 1;
        let Some(last) = known.last_mut() else {
            if room {
                self.quotas.push(told);
            }
            return;
        };
        if told.number >= last.number && told.until > last.until + SAME_RESET {
            self.quotas.retain(|quota| !quota.same(&told));
            self.quotas.push(told);
            return;
        }
        // The same reset can only have less left (what was sent in between is taken off already), and an earlier call
        // knows less than a later one.
        last.left = last.left.min(told.left);
        last.number = last.number.max(told.number);
        last.next = last.next.max(told.next);
        // Or it is the reset of the next window, which is short or was told by a call that others overtook: then it holds
        // beside the present one, and after it.
        if told.until > last.until {
            if two || !room {
                last.until = told.until;
            } else {
                self.quotas.push(told);
            }
        }
    }

    /// A response tells of a quota that is as full as we believe. What was told before its call went is out of date, but not
    /// void: we may believe more again before the reset.
    fn agrees(&mut self, told: Left) {
        for quota in self.quotas.iter_mut().filter(|quota| quota.same(&told)) {
            if quota.next <= told.number {
                (quota.left, quota.next) = (told.left, told.next);
            }
        }
    }

    /// As full as we believe, but for what is under way and may be counted already: nothing new, unless less was told before.
    fn may_agree(&mut self, told: Left) {
        for quota in self.quotas.iter_mut().filter(|quota| quota.same(&told)) {
            quota.left = quota.left.min(told.left);
            quota.next = quota.next.max(told.next);
        }
    }

    /// Whether nothing of it matters any more.
    pub(super) fn is_empty(&self, now: Tick) -> bool {
        self.quotas.iter().all(|quota| quota.until <= now)
    }

    /// A call goes.
    pub(super) fn take(&mut self, tokens: u32) {
        for quota in &mut self.quotas {
            quota.left = quota.left.saturating_sub(weight(quota.unit, tokens));
        }
    }

    /// A call took another amount of tokens than was reserved: where that was taken off, the difference comes back.
    pub(super) fn settle(&mut self, number: u64, reserved: u32, taken: u32) {
        let tokens = self.quotas.iter_mut().filter(|quota| quota.unit == Unit::Tokens);
        for quota in tokens.filter(|quota| quota.next <= number) {
            quota.left = (quota.left + u64::from(reserved)).saturating_sub(u64::from(taken));
        }
    }

    /// Until when a call is held back, if it is.
    pub(super) fn refuses(&self, tokens: u32, now: Tick) -> Option<Tick> {
        let empty =
            |quota: &&Left| quota.until > now && quota.left < weight(quota.unit, tokens).max(1);
        self.quotas.iter().filter(empty).map(|quota| quota.until).max()
    }
}

impl Core {
    /// The response's head says how much is left of the vendor's quotas. Where that is less than this budget believes,
    /// somebody else uses the key: no more is sent than is left until the quota is full again. A limit that the vendor names
    /// lower than configured is kept from now on. It never makes anything faster than configured.
    pub fn heard(&mut self, slot: Slot, hints: &Hints, now: Tick) {
        if !self.config.heed_hints || hints.quotas.is_empty() {
            return;
        }
        let Some((number, after)) = self.flights.place(slot) else { return };
        let refunded = self.flights.refunded_since(slot);
        self.advance(now);
        for quota in hints.capped(self.config.hint_max).quotas.iter() {
            let unit = match quota.unit {
                QuotaUnit::Requests => Unit::Calls,
                QuotaUnit::Tokens => Unit::Tokens,
                QuotaUnit::Unknown => continue,
            };
            self.heard_of(slot, unit, quota, (number, after, refunded), now);
        }
    }

    fn heard_of(
        &mut self,
        slot: Slot,
        unit: Unit,
        quota: &Quota,
        (number, after, refunded): (u64, u64, u64),
        now: Tick,
    ) {
        let configured = self.config.limits.len();
        let rule = self.rules[..configured].iter_mut().find(|rule| match quota.window {
            _ if rule.limit().unit() != unit => false,
            Some(window) => rule.limit().window() == window,
            None => quota.limit == Some(u64::from(rule.limit().count())),
        });
        let mut believed = None;
        let mut left_since = 0;
        if let Some(rule) = rule {
            if let Some(limit) = quota.limit.filter(|limit| *limit > 0 && quota.window.is_some()) {
                rule.told_count(limit);
            }
            left_since = rule.left_since(slot);
            believed = Some(rule.window().full().saturating_sub(rule.window().used()));
        }
        let (Some(remaining), Some(reset)) = (quota.remaining, quota.reset) else { return };
        // What is under way may not have been counted when this was said, and what was sent since was not.
        let uncounted = match unit {
            Unit::Calls => after.max(self.flights.len().saturating_sub(1) as u64),
            Unit::Tokens => 0,
        };
        // A vendor may have read its books when the call arrived. What came back since, because it had been reserved and
        // was not taken or because its window was over, it did not know of.
        let came_back = match unit {
            Unit::Calls => left_since,
            Unit::Tokens => left_since.saturating_add(refunded),
        };
        let known = remaining.saturating_add(came_back);
        let told = Left {
            unit,
            quota: (quota.name, quota.limit),
            left: remaining.saturating_sub(uncounted),
            until: now + reset,
            number,
            next: number + after + 1,
        };
        match believed {
            Some(believed) if told.left >= believed => self.told.agrees(told),
            Some(believed) if known >= believed => self.told.may_agree(told),
            _ => self.told.heard(told, now),
        }
    }
}

fn weight(unit: Unit, tokens: u32) -> u64 {
    match unit {
        Unit::Calls => 1,
        Unit::Tokens => u64::from(tokens),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(left: u64, until_ms: u64, number: u64) -> Left {
        let (until, next) = (Tick::from_millis(until_ms), number + 1);
        let quota = (QuotaName::default(), Some(10));
        Left { unit: Unit::Calls, quota, left, until, number, next }
    }

    #[test]
    fn what_is_left_goes_down_with_every_call_and_comes_back_with_the_reset() {
        let at = Tick::from_millis;
        let mut told = Told::default();
        told.heard(left(2, 60_000, 1), at(0));
        told.take(1);
        assert_eq!(told.refuses(1, at(1)), None);
        told.take(1);
        assert_eq!(told.refuses(1, at(1)), Some(at(60_000)));
        assert_eq!(told.refuses(1, at(60_000)), None);
    }

    #[test]
    fn only_a_later_reset_brings_more() {
        let at = Tick::from_millis;
        let mut told = Told::default();
        told.heard(left(0, 60_000, 5), at(0));
        told.heard(left(9, 60_500, 6), at(1));
        assert!(told.refuses(1, at(2)).is_some(), "the same window in whole seconds");
        told.heard(left(9, 90_000, 4), at(3));
        assert!(told.refuses(1, at(4)).is_some(), "an earlier call knows less");
        told.heard(left(9, 120_000, 7), at(5));
        assert_eq!(told.refuses(1, at(6)), None, "a new window");
    }

    #[test]
    fn the_next_window_of_a_short_quota_is_not_taken_for_the_present_one() {
        let at = Tick::from_millis;
        let mut told = Told::default();
        told.heard(left(0, 1_000, 1), at(500));
        told.heard(left(0, 2_000, 2), at(990));
        assert_eq!(told.refuses(1, at(995)), Some(at(2_000)));
        assert_eq!(
            told.refuses(1, at(1_500)),
            Some(at(2_000)),
            "the first is over, the second holds"
        );
        assert_eq!(told.refuses(1, at(2_000)), None);
    }

    #[test]
    fn tokens_that_were_reserved_since_come_back_and_those_from_before_do_not() {
        let at = Tick::from_millis;
        let mut told = Told::default();
        told.heard(Left { unit: Unit::Tokens, ..left(100, 60_000, 5) }, at(0));
        told.take(80);
        assert!(told.refuses(30, at(1)).is_some());
        told.settle(5, 80, 10);
        assert!(told.refuses(30, at(1)).is_some(), "it was counted when this was told");
        told.settle(6, 80, 10);
        assert_eq!(told.refuses(90, at(1)), None);
        told.settle(7, 0, 90);
        assert!(told.refuses(1, at(1)).is_some(), "it took more than was reserved");
    }

    #[test]
    fn no_more_quotas_than_there_is_room_for() {
        let mut told = Told::default();
        for limit in 0..100 {
            let quota = (QuotaName::default(), Some(limit));
            told.heard(Left { quota, ..left(0, 1_000, 1) }, Tick::ZERO);
        }
        assert_eq!(told.quotas.len(), QUOTAS_MAX);
    }
}
