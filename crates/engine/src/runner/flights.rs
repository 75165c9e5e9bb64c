//! Rows at work, what their cells will be made from, and which of them wait for an equal call that is under way: a run
//! makes each call once (spec C9).
//!
//! Bounds: all that is here is claimed and open, so it is at most [`RunContext::open_max`](super::RunContext::open_max).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

use paceline_model::{Fingerprint, RowId, Task};

use super::seen::Seen;

type Key = [u8; 16];

#[derive(Default)]
pub(crate) struct Flights(Mutex<State>);

#[derive(Default)]
struct State {
    prints: HashMap<RowId, Fingerprint>,
    under_way: HashMap<Key, Flight>,
    /// What came by; none if any call may have been made before, by an earlier run or an earlier process.
    seen: Option<Seen>,
}

/// One call, until what came of it is on record.
struct Flight {
    first: RowId,
    parked: Vec<Task>,
}

/// Tasks that were let in.
pub(super) struct Entered {
    /// Those whose call nobody makes yet, each with its key if the value of an equal one may be on record.
    pub(super) first: Vec<(Task, Option<Key>)>,
    /// How many wait for a call that is under way.
    pub(super) parked: usize,
}

impl Flights {
    /// Of a run of so many cells in a column that no cell was made of before.
    pub(crate) fn of_new_column(cells: u64) -> Self {
        let seen = Some(Seen::sized(cells));
        Self(Mutex::new(State { seen, ..State::default() }))
    }

    /// Lets in tasks with what their cells will be made from.
    pub(super) fn enter(&self, tasks: Vec<(Task, Fingerprint)>) -> Entered {
        let mut state = self.lock();
        let mut entered = Entered { first: Vec::with_capacity(tasks.len()), parked: 0 };
        for (task, print) in tasks {
            let key = print.key;
            let known = key.filter(|key| state.seen.as_mut().is_none_or(|seen| seen.add(*key)));
            state.prints.insert(task.row, print);
            match key.map(|key| state.under_way.entry(key)) {
                Some(Entry::Occupied(mut flight)) if flight.get().first != task.row => {
                    flight.get_mut().parked.push(task);
                    entered.parked += 1;
                    continue;
                }
                Some(Entry::Vacant(free)) => {
                    free.insert(Flight { first: task.row, parked: Vec::new() });
                }
                // Given back and claimed again: the others wait for it still.
                Some(Entry::Occupied(_)) | None => {}
            }
            entered.first.push((task, known));
        }
        entered
    }

    /// What the cell of a row will be made from.
    pub(super) fn print(&self, row: RowId) -> Option<Fingerprint> {
        self.lock().prints.get(&row).cloned()
    }

    /// What came of a row is on record: those that waited for its call.
    pub(super) fn ended(&self, row: RowId) -> Vec<Task> {
        let mut state = self.lock();
        let key = state.prints.remove(&row).and_then(|print| print.key);
        match key.map(|key| state.under_way.entry(key)) {
            Some(Entry::Occupied(flight)) if flight.get().first == row => flight.remove().parked,
            _ => Vec::new(),
        }
    }

    /// A row is not ours any more: the next of those that wait for its call makes it.
    pub(super) fn lost(&self, row: RowId) -> Option<Task> {
        let mut state = self.lock();
        let key = state.prints.remove(&row)?.key?;
        let Entry::Occupied(mut flight) = state.under_way.entry(key) else { return None };
        if flight.get().first != row {
            return None;
        }
        if flight.get().parked.is_empty() {
            flight.remove();
            return None;
        }
        let next = flight.get_mut().parked.remove(0);
        flight.get_mut().first = next.row;
        Some(next)
    }

    /// Everything that waits.
    pub(super) fn drain(&self) -> Vec<Task> {
        let mut state = self.lock();
        state.prints.clear();
        state.under_way.drain().flat_map(|(_, flight)| flight.parked).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(row: i64, key: Option<u8>) -> (Task, Fingerprint) {
        let task = Task {
            row: RowId(row),
            inputs: vec![],
            errors: 0,
            attempts: 0,
            throttled_since: None,
            not_before: None,
            note: None,
            cell: None,
            states: vec![],
        };
        (task, Fingerprint { key: key.map(|key| [key; 16]), parts: vec![] })
    }

    fn rows(tasks: &[Task]) -> Vec<i64> {
        tasks.iter().map(|task| task.row.0).collect()
    }

    /// The rows that are let in, and the keys that are looked up.
    fn first(entered: &Entered) -> (Vec<i64>, Vec<Option<u8>>) {
        entered.first.iter().map(|(task, key)| (task.row.0, key.map(|key| key[0]))).unzip()
    }

    #[test]
    fn of_equal_calls_one_is_made_and_the_others_end_with_it() {
        let flights = Flights::default();
        let tasks = [(1, Some(7)), (2, Some(7)), (3, None), (4, None), (5, Some(8)), (6, Some(7))];
        let entered = flights.enter(tasks.map(|(row, key)| task(row, key)).into());
        assert_eq!((first(&entered).0, entered.parked), (vec![1, 3, 4, 5], 2));
        assert_eq!(rows(&flights.ended(RowId(3))), [0; 0]);
        assert_eq!(rows(&flights.ended(RowId(1))), [2, 6]);
        // Their own ends release nobody, and the next one is the first again.
        assert_eq!(rows(&flights.ended(RowId(2))), [0; 0]);
        assert_eq!(first(&flights.enter(vec![task(9, Some(7))])).0, [9]);
    }

    #[test]
    fn in_a_new_column_only_what_was_asked_for_before_is_looked_up() {
        let tasks = || vec![task(1, Some(7)), task(2, None), task(3, Some(8))];
        let entered = Flights::default().enter(tasks());
        assert_eq!(first(&entered), (vec![1, 2, 3], vec![Some(7), None, Some(8)]));
        let flights = Flights::of_new_column(100);
        assert_eq!(first(&flights.enter(tasks())), (vec![1, 2, 3], vec![None; 3]));
        flights.ended(RowId(1));
        let later = flights.enter(vec![task(4, Some(7)), task(5, Some(9))]);
        assert_eq!(first(&later), (vec![4, 5], vec![Some(7), None]));
    }

    #[test]
    fn who_waits_for_a_row_that_was_given_back_or_lost_is_not_forgotten() {
        let flights = Flights::default();
        let entered = flights.enter(vec![task(1, Some(7)), task(2, Some(7)), task(3, Some(7))]);
        assert_eq!(first(&entered).0, [1]);
        // Given back, and claimed again.
        let entered = flights.enter(vec![task(1, Some(7))]);
        assert_eq!((first(&entered).0, entered.parked), (vec![1], 0));
        assert_eq!(flights.lost(RowId(1)).map(|task| task.row), Some(RowId(2)));
        assert_eq!(rows(&flights.ended(RowId(2))), [3]);
        assert_eq!(flights.lost(RowId(3)), None);
        flights.enter(vec![task(1, Some(7)), task(2, Some(7))]);
        assert_eq!(rows(&flights.drain()), [2]);
    }
}
