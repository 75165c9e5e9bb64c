//! What a storm of refusals taught is taken back: a plan that was changed, and then was refused where it could not be, did not
//! help, so what it was changed for was not so.

use super::{Learner, PATIENCE};

/// What is believed of the vendor.
#[derive(Clone, Copy, Debug)]
struct Beliefs {
    depth: Option<u64>,
    certain: f64,
    proven: f64,
    presumed: f64,
    counter: bool,
    seconds: bool,
}

/// Whether refusals are to be explained at all.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Doubt {
    /// What was believed before the change that has not proved itself yet.
    before: Option<Beliefs>,
    /// Good answers before anything is believed again.
    left: u32,
}

impl Doubt {
    /// Whether no refusal is explained, for the last explanations were wrong.
    pub(super) fn is_on(&self) -> bool {
        self.left > 0
    }

    pub(super) fn good(&mut self) {
        self.left = self.left.saturating_sub(1);
    }
}

impl Learner {
    /// What is believed is about to change.
    pub(super) fn keep_beliefs(&mut self) {
        if !self.mended() {
            self.doubt.before = Some(Beliefs {
                depth: self.depth,
                certain: self.certain,
                proven: self.proven,
                presumed: self.presumed,
                counter: self.counter,
                seconds: self.seconds,
            });
        }
    }

    /// A call was refused that the vendor, as it is believed to be, would have taken. Answers whether that changed anything.
    pub(in crate::core) fn disprove(&mut self) -> bool {
        let Some(before) = self.doubt.before.take().filter(|_| self.mended()) else {
            return false;
        };
        self.depth = before.depth;
        self.certain = before.certain;
        self.proven = before.proven;
        self.presumed = before.presumed;
        self.counter = before.counter;
        self.seconds = before.seconds;
        self.doubt.left = PATIENCE.0;
        true
    }
}
