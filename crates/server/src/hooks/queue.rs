//! Rows that wait, in the order in which they became news. Neighbours are kept as a range, so that ten thousand rows that
//! were inserted together take two numbers.

use paceline_model::RowId;
use serde::{Deserialize, Serialize};

/// Rows in the order they came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Queue(Vec<(i64, i64)>);

impl Queue {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> u64 {
        self.0.iter().map(|(first, last)| u64::try_from(last - first + 1).unwrap_or(0)).sum()
    }

    pub(crate) fn extend(&mut self, rows: impl IntoIterator<Item = RowId>) {
        for RowId(row) in rows {
            match self.0.last_mut() {
                Some((_, last)) if last.checked_add(1) == Some(row) => *last = row,
                _ => self.0.push((row, row)),
            }
        }
    }

    /// Takes the first `most` rows, at most.
    pub(crate) fn take(&mut self, most: usize) -> Queue {
        let mut taken = Queue::default();
        let mut left = i64::try_from(most).unwrap_or(i64::MAX);
        while left > 0 && !self.0.is_empty() {
            let (first, last) = self.0[0];
            let count = (last - first + 1).min(left);
            taken.0.push((first, first + count - 1));
            left -= count;
            if first + count > last {
                self.0.remove(0);
            } else {
                self.0[0].0 = first + count;
            }
        }
        taken
    }

    /// Puts rows back at the front.
    pub(crate) fn put_back(&mut self, rows: impl IntoIterator<Item = i64>) {
        let mut front = Queue::default();
        front.extend(rows.into_iter().map(RowId));
        front.0.append(&mut self.0);
        *self = front;
    }

    /// The rows, in their order.
    pub(crate) fn rows(&self) -> impl Iterator<Item = i64> {
        self.0.iter().flat_map(|(first, last)| *first..=*last)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_come_out_as_they_went_in(
            rows in prop::collection::vec(1_i64..30, 0..60),
            most in 1_usize..10,
            back in 0_usize..3,
        ) {
            let mut queue = Queue::default();
            queue.extend(rows.iter().copied().map(RowId));
            prop_assert_eq!(queue.len(), rows.len() as u64);
            let mut found = Vec::new();
            while !queue.is_empty() {
                let taken: Vec<i64> = queue.take(most).rows().collect();
                prop_assert!(taken.len() <= most);
                let kept = taken.len().saturating_sub(back).max(1);
                queue.put_back(taken[kept..].iter().copied());
                found.extend_from_slice(&taken[..kept]);
            }
            prop_assert_eq!(found, rows);
        }
    }

    #[test]
    fn neighbours_take_one_range() {
        let mut queue = Queue::default();
        queue.extend((1..=10_000).map(RowId));
        assert_eq!(serde_json::to_string(&queue).unwrap(), "[[1,10000]]");
    }
}
