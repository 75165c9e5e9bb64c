//! What becomes of a call that a dead process was making, decided without a database.

use paceline_clock::Timestamp;
use paceline_model::{Attempt, AttemptClass, CellError, Recovery, RowId};

/// A task that a dead process had an intent for: it may have been sent.
#[derive(Debug)]
pub(crate) struct Ambiguous {
    pub(crate) row: RowId,
    pub(crate) intent_at: Timestamp,
    pub(crate) attempts: u32,
    pub(crate) noted: bool,
}

impl Ambiguous {
    /// What becomes of it: what cannot be looked up for want of a note is as if nobody could.
    pub(crate) fn fate(&self, recovery: Recovery) -> Recovery {
        match recovery {
            Recovery::Reconciled if !self.noted => Recovery::Once,
            other => other,
        }
    }

    /// The attempt that goes on record for it. What it costs is spent: nobody knows that it was not.
    pub(crate) fn attempt(&self, now: Timestamp, fate: Recovery, price_micros: u64) -> Attempt {
        let next = match fate {
            Recovery::Repeatable => "it is sent again",
            Recovery::Reconciled => "what became of it is looked up before anything is sent",
            Recovery::Once => {
                "check with the vendor whether it took effect, then retry the cell or mark it"
            }
        };
        let number = self.attempts.saturating_add(1);
        Attempt {
            sent_at: Some(self.intent_at),
            cost_micros: price_micros,
            error: Some(CellError {
                code: "INTERRUPTED".into(),
                message: format!(
                    "the program ended while the call was being made, so nobody knows its outcome; {next}"
                ),
            }),
            ..Attempt::new(number, AttemptClass::Unknown, now)
        }
    }
}
