//! How many calls may be out at once on ground that nobody has proved: two or three at first, then a share of what was accepted there.
//! So a belief that is wrong costs a call or two, and one that is right costs some round trips, once.

use std::time::Duration;

use paceline_clock::Tick;

/// Parts of the ground that are proved one by one.
pub(super) const PARTS: usize = 8;

/// How fast the ground is proved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steps {
    /// Calls that may be out at once before anything is known.
    pub at_first: u32,
    /// Accepted calls for each that may be out, up to `quick_max` out.
    pub quick: u32,
    /// What a wrong belief may cost at this pace: a small part of the limit.
    pub quick_max: u32,
    /// Accepted calls for each that may be out beyond that.
    pub careful: u32,
    /// So many accepted calls prove a part of the ground until one is refused.
    pub enough: u32,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    steps: Steps,
    accepted: [u32; PARTS],
    out: u32,
    /// Grows whenever the calls that were out are written off.
    epoch: u16,
    last: Tick,
    last_part: u8,
}

impl Probe {
    pub(super) fn new(steps: Steps) -> Self {
        Self { steps, accepted: [0; PARTS], out: 0, epoch: 0, last: Tick::ZERO, last_part: 0 }
    }

    fn accepted_in(&mut self, part: u8) -> &mut u32 {
        &mut self.accepted[usize::from(part) % PARTS]
    }

    /// Whether one more call may go to this part of the ground.
    pub(super) fn open(&self, part: u8) -> bool {
        let accepted = self.accepted[usize::from(part) % PARTS];
        let Steps { at_first, quick, quick_max, careful, enough } = self.steps;
        accepted >= enough
            || self.out < at_first.max((accepted / quick).min(quick_max)).max(accepted / careful)
    }

    /// When the calls that are out will be taken for accepted; `None` if none are. `silence` is how long after its sending a call that nobody has refused is taken for accepted: a refusal comes
    /// back at once, an answer may take its time.
    pub(super) fn presumes_at(&self, silence: Duration) -> Option<Tick> {
        (self.out > 0).then(|| self.last + silence)
    }

    /// Takes the calls that are out for accepted if it is time; answers how many.
    pub(super) fn presume(&mut self, silence: Duration, now: Tick) -> u32 {
        if self.presumes_at(silence).is_none_or(|at| now < at) {
            return 0;
        }
        let out = std::mem::take(&mut self.out);
        self.epoch = self.epoch.wrapping_add(1);
        let accepted = self.accepted_in(self.last_part);
        *accepted = accepted.saturating_add(out);
        out
    }

    /// A call goes; the answer is given back with its end.
    pub(super) fn take(&mut self, part: u8, now: Tick) -> u16 {
        self.out += 1;
        (self.last, self.last_part) = (now, part);
        self.epoch
    }

    pub(super) fn accepted(&mut self, epoch: u16, part: u8) {
        if epoch == self.epoch {
            self.out = self.out.saturating_sub(1);
            let accepted = self.accepted_in(part);
            *accepted = accepted.saturating_add(1);
        }
    }

    /// A call was refused here: nothing is proved any more.
    pub(super) fn refused(&mut self) {
        self.accepted = [0; PARTS];
        self.out = 0;
        self.epoch = self.epoch.wrapping_add(1);
    }

    /// A call ended and says nothing: refused for another reason, broken, given back.
    pub(super) fn dropped(&mut self, epoch: u16) {
        if epoch == self.epoch {
            self.out = self.out.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half as many again, whatever the number.
    const HALF: Steps = Steps { at_first: 2, quick: 2, quick_max: 0, careful: 2, enough: u32::MAX };

    fn out_at_once(probe: &mut Probe, part: u8) -> Vec<u16> {
        let mut epochs = Vec::new();
        while probe.open(part) && epochs.len() < 1_000 {
            epochs.push(probe.take(part, Tick::ZERO));
        }
        epochs
    }

    #[test]
    fn grows_by_a_share_of_what_was_accepted_and_a_refusal_starts_it_over() {
        let mut probe = Probe::new(HALF);
        let mut rounds = Vec::new();
        for _ in 0..7 {
            let out = out_at_once(&mut probe, 0);
            rounds.push(out.len());
            out.into_iter().for_each(|epoch| probe.accepted(epoch, 0));
        }
        assert_eq!(rounds, [2, 2, 2, 3, 4, 6, 9]);
        assert_eq!(out_at_once(&mut probe, 1).len(), 2, "another part is not proved by that");
        probe.refused();
        let out = out_at_once(&mut probe, 0);
        probe.refused();
        out.into_iter().for_each(|epoch| probe.accepted(epoch, 0));
        assert_eq!(
            out_at_once(&mut probe, 0).len(),
            2,
            "answers from before the refusal prove nothing"
        );
    }

    #[test]
    fn quick_at_first_and_careful_from_a_small_part_of_the_limit_on() {
        let steps = Steps { at_first: 2, quick: 1, quick_max: 16, careful: 8, enough: 176 };
        let mut probe = Probe::new(steps);
        let mut rounds = Vec::new();
        for _ in 0..14 {
            let out = out_at_once(&mut probe, 0);
            rounds.push(out.len());
            out.into_iter().for_each(|epoch| probe.accepted(epoch, 0));
        }
        assert_eq!(rounds, [2, 2, 4, 8, 16, 16, 16, 16, 16, 16, 16, 16, 18, 20]);
        assert_eq!(out_at_once(&mut probe, 0).len(), 1_000, "that was enough");
    }

    #[test]
    fn silence_is_taken_for_consent_after_a_while() {
        let mut probe = Probe::new(HALF);
        out_at_once(&mut probe, 0);
        assert!(!probe.open(0));
        let silence = Duration::from_millis(500);
        assert_eq!(probe.presume(silence, Tick::from_millis(499)), 0);
        assert_eq!(probe.presume(silence, Tick::from_millis(500)), 2);
        assert!(probe.open(0));
        assert_eq!(probe.presumes_at(silence), None);
    }
}
