//! Notes of cells: what must be known before anything more is done for one, and what a crash makes of it.

use crate::Attempt;

/// What a note that is saved means for the call that it is about.
#[derive(Clone, Debug, PartialEq)]
pub enum NotedCall {
    /// It is about to be sent: its intent stands with the note, in one commit.
    Intended,
    /// It was made, and its cell goes on: the attempt is on record from now on, and its intent is settled.
    Made(Attempt),
    /// No call: only the note changes.
    None,
}

/// What becomes of a call that a dead process was making, by whether it may be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// It may: its task is given back.
    Repeatable,
    /// It may not, and nobody can find out what became of it: its cell becomes `Unknown`.
    Once,
    /// It may not, but what became of it can be looked up: its task is given back with its note. Without a note it is
    /// as `Once`.
    Reconciled,
}

/// What a report does with the note of its cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum NoteStep {
    /// It stays as it is.
    #[default]
    Keep,
    /// This one stands from now on.
    Put(String),
    /// It goes.
    Drop,
}
