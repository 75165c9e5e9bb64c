//! The waiters of one priority: a line for every turn key, and the lines take turns.
//!
//! This is deficit round robin (Shreedhar and Varghese, 1995). Every turn costs one and a share is a whole number, so a
//! line never carries a deficit into the next round: only the line whose turn it is has one, and one number keeps it.
//!
//! A line's turns are opened by the grant that uses the first of them, not by getting to the line: who leaves before
//! has then changed nothing.

use std::collections::BTreeMap;

use super::arena::{Arena, List};

/// Those who wait under one key, first come, first served. There is none without a waiter.
#[derive(Debug)]
struct Line {
    key: u64,
    waiters: List,
}

#[derive(Debug, Default)]
pub(super) struct Level {
    lines: Arena<Line>,
    by_key: BTreeMap<u64, usize>,
    /// The lines in the order of their turns; it is the first one's turn.
    round: List,
    /// The turns that are left to the first line; 0 if it did not open its turns yet.
    turns_left: u32,
    /// The grants in a row that went to higher priorities while somebody waited here.
    pub(super) passed_over: u32,
}

impl Level {
    pub(super) fn is_empty(&self) -> bool {
        self.round.first().is_none()
    }

    /// The waiter whose turn is next.
    pub(super) fn first(&self) -> Option<usize> {
        self.lines.get(self.round.first()?)?.waiters.first()
    }

    /// The line of a key. A new one's turn comes after all others; somebody has to join it at once.
    pub(super) fn line(&mut self, key: u64) -> usize {
        *self.by_key.entry(key).or_insert_with(|| {
            let line = self.lines.insert(Line { key, waiters: List::default() });
            self.lines.link(&mut self.round, line);
            line
        })
    }

    /// Puts a waiter at the end of a line.
    pub(super) fn join<T>(&mut self, all: &mut Arena<T>, waiter: usize, line: usize) {
        if let Some(line) = self.lines.get_mut(line) {
            all.link(&mut line.waiters, waiter);
        }
    }

    /// A waiter goes without using a turn. With its last waiter the line goes, and what was left to it.
    pub(super) fn leave<T>(&mut self, all: &mut Arena<T>, waiter: usize, line: usize) {
        let Some(Line { key, waiters }) = self.lines.get_mut(line) else { return };
        all.unlink(waiters, waiter);
        if waiters.first().is_some() {
            return;
        }
        self.by_key.remove(key);
        if self.round.first() == Some(line) {
            self.turns_left = 0;
        }
        self.lines.unlink(&mut self.round, line);
        self.lines.remove(line);
        if self.is_empty() {
            self.passed_over = 0;
        }
    }

    /// The first waiter, of this share, goes and uses a turn of its line.
    pub(super) fn take_turn<T>(&mut self, all: &mut Arena<T>, share: u32) {
        let Some(line) = self.round.first() else { return };
        let Some(waiter) = self.first() else { return };
        let turns = if self.turns_left == 0 { share } else { self.turns_left };
        self.turns_left = turns.saturating_sub(1);
        self.passed_over = 0;
        self.leave(all, waiter, line);
        if self.turns_left == 0 && self.round.first() == Some(line) {
            self.lines.unlink(&mut self.round, line);
            self.lines.link(&mut self.round, line);
        }
    }

    /// How many lines there are, and for how many there is room.
    #[cfg(test)]
    pub(super) fn size(&self) -> (usize, usize) {
        assert_eq!(self.by_key.len(), self.lines.size().0);
        self.lines.size()
    }
}
