//! Everything that would be due, looked through a stretch at a time, for plans.

use paceline_model::{DueQuery, NewRun, RowId, Task};

use super::room;

/// Looks through everything that is due, a stretch at a time.
#[derive(Debug)]
pub(crate) struct Walk {
    pub(crate) new: NewRun,
    pub(crate) cursor: i64,
    after: RowId,
    /// How many rows may still be found.
    room: usize,
    max: usize,
    found: Vec<Task>,
    ended: bool,
}

/// What was due in a stretch.
#[derive(Debug)]
pub(crate) struct Stretch {
    pub(crate) tasks: Vec<Task>,
    pub(crate) cursor: i64,
    /// The table has no more rows.
    pub(crate) ended: bool,
}

impl Stretch {
    /// What was found of at most `max` due rows up to `end`; `last` is the table's last.
    pub(crate) fn new(tasks: Vec<Task>, max: usize, end: i64, last: i64) -> Self {
        let cursor = match tasks.last() {
            Some(task) if tasks.len() >= max => task.row.0,
            _ => end,
        };
        Self { tasks, cursor, ended: cursor >= last }
    }
}

impl Walk {
    pub(crate) fn new(query: &DueQuery) -> Self {
        // The first so many are counted from the first row on.
        let cursor = if query.run.options.first.is_some() { 0 } else { query.after.0 };
        Self {
            new: query.run.clone(),
            cursor,
            after: query.after,
            room: room(query.run.options.first, 0, 0),
            max: query.max,
            found: Vec::new(),
            ended: false,
        }
    }

    /// How many rows the next stretch may bring; `None` if there is none.
    pub(crate) fn next(&self) -> Option<usize> {
        let wanted = self.max.saturating_sub(self.found.len());
        // Those that are passed over are read as well.
        let limit = if self.cursor < self.after.0 { self.max } else { wanted };
        let limit = limit.min(self.room);
        (wanted > 0 && limit > 0 && !self.ended).then_some(limit)
    }

    pub(crate) fn take(&mut self, stretch: Stretch) {
        self.room = self.room.saturating_sub(stretch.tasks.len());
        let wanted = self.max.saturating_sub(self.found.len());
        let after = self.after;
        self.found.extend(stretch.tasks.into_iter().filter(|task| task.row > after).take(wanted));
        self.cursor = stretch.cursor;
        self.ended = stretch.ended;
    }

    pub(crate) fn found(self) -> Vec<Task> {
        self.found
    }
}
