//! The newest of what came in, in bounded memory.

use std::collections::VecDeque;

/// Keeps so many of the newest, and no more than so many bytes of them.
#[derive(Debug)]
pub(crate) struct Recent<T> {
    kept: VecDeque<(T, usize)>,
    bytes: usize,
    count_max: usize,
    bytes_max: usize,
}

impl<T: Clone> Recent<T> {
    pub(crate) fn new(count_max: usize, bytes_max: usize) -> Self {
        Self { kept: VecDeque::new(), bytes: 0, count_max, bytes_max }
    }

    /// Keeps one that is so long; the oldest go where there is no room.
    pub(crate) fn push(&mut self, one: T, bytes: usize) {
        self.kept.push_back((one, bytes));
        self.bytes += bytes;
        while self.kept.len() > self.count_max || self.bytes > self.bytes_max {
            let Some((_, bytes)) = self.kept.pop_front() else { return };
            self.bytes -= bytes;
        }
    }

    /// Them, the oldest first.
    pub(crate) fn to_vec(&self) -> Vec<T> {
        self.kept.iter().map(|(one, _)| one.clone()).collect()
    }

    pub(crate) fn clear(&mut self) {
        self.kept = VecDeque::new();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_where_there_is_no_room() {
        let mut recent = Recent::new(3, 10);
        for (one, bytes) in [(1, 1), (2, 1), (3, 1), (4, 1)] {
            recent.push(one, bytes);
        }
        assert_eq!(recent.to_vec(), [2, 3, 4]);
        recent.push(5, 9);
        assert_eq!(recent.to_vec(), [4, 5]);
        recent.push(6, 11);
        assert!(recent.to_vec().is_empty(), "what is longer than all is not kept");
        recent.push(7, 10);
        recent.clear();
        recent.push(8, 10);
        assert_eq!(recent.to_vec(), [8]);
    }
}
