//! Which smart columns of a table need which: in what order they are run, and whether they go round in a circle.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use paceline_model::ColumnId;

/// The smart columns of a table, each with the smart columns that it needs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graph {
    needs: BTreeMap<ColumnId, Vec<ColumnId>>,
}

impl Graph {
    /// From each smart column with all that it needs; columns that are none of them are left out.
    pub(crate) fn new(columns: impl IntoIterator<Item = (ColumnId, Vec<ColumnId>)>) -> Self {
        let mut needs: BTreeMap<_, _> = columns.into_iter().collect();
        let known: BTreeSet<ColumnId> = needs.keys().copied().collect();
        for needed in needs.values_mut() {
            needed.retain(|column| known.contains(column));
        }
        Self { needs }
    }

    /// The smart columns that a column needs itself.
    pub(crate) fn needs(&self, column: ColumnId) -> &[ColumnId] {
        self.needs.get(&column).map_or(&[], Vec::as_slice)
    }

    /// The shortest way from a column by what it needs back to itself, both ends included.
    pub(crate) fn cycle(&self, column: ColumnId) -> Option<Vec<ColumnId>> {
        let mut came_from = BTreeMap::new();
        let mut next = VecDeque::from([column]);
        while let Some(at) = next.pop_front() {
            for &needed in self.needs(at) {
                if needed == column {
                    let back = std::iter::successors(Some(at), |at| came_from.get(at).copied());
                    let mut path: Vec<ColumnId> = back.collect();
                    path.reverse();
                    path.push(column);
                    return Some(path);
                }
                if let Entry::Vacant(unseen) = came_from.entry(needed) {
                    unseen.insert(at);
                    next.push_back(needed);
                }
            }
        }
        None
    }

    /// Every column, each after those that it needs. What goes round in a circle comes last, as it stands.
    fn order(&self) -> Vec<ColumnId> {
        let mut waiting: BTreeMap<ColumnId, usize> = BTreeMap::new();
        let mut users: BTreeMap<ColumnId, Vec<ColumnId>> = BTreeMap::new();
        for (&column, needed) in &self.needs {
            let needed: BTreeSet<ColumnId> = needed.iter().copied().collect();
            waiting.insert(column, needed.len());
            for needed in needed {
                users.entry(needed).or_default().push(column);
            }
        }
        let free = waiting.iter().filter(|(_, count)| **count == 0).map(|(column, _)| *column);
        let mut order: Vec<ColumnId> = free.collect();
        let mut at = 0;
        while let Some(column) = order.get(at).copied() {
            at += 1;
            waiting.remove(&column);
            for user in users.remove(&column).unwrap_or_default() {
                if let Some(count) = waiting.get_mut(&user) {
                    *count -= 1;
                    if *count == 0 {
                        order.push(user);
                    }
                }
            }
        }
        order.extend(waiting.into_keys());
        order
    }

    /// How many columns stand on the longest way down from a column, itself included.
    pub(crate) fn depths(&self) -> BTreeMap<ColumnId, usize> {
        let mut depths = BTreeMap::new();
        for column in self.order() {
            let below = self.needs(column).iter().filter_map(|needed| depths.get(needed)).max();
            depths.insert(column, 1 + below.copied().unwrap_or(0));
        }
        depths
    }

    /// These columns, each once and after those of them that it needs.
    pub(crate) fn ordered(&self, columns: &[ColumnId]) -> Vec<ColumnId> {
        self.order().into_iter().filter(|column| columns.contains(column)).collect()
    }

    /// The columns that need a column, one through another, each after those that it needs.
    pub(crate) fn dependents(&self, column: ColumnId) -> Vec<ColumnId> {
        let mut found = BTreeSet::from([column]);
        let mut dependents = Vec::new();
        for user in self.order() {
            if user != column && self.needs(user).iter().any(|needed| found.contains(needed)) {
                found.insert(user);
                dependents.push(user);
            }
        }
        dependents
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(i64, &[i64])]) -> Graph {
        let column = |id: &i64| ColumnId(*id);
        Graph::new(edges.iter().map(|(id, needs)| (column(id), needs.iter().map(column).collect())))
    }

    fn ids(columns: &[ColumnId]) -> Vec<i64> {
        columns.iter().map(|column| column.0).collect()
    }

    #[test]
    fn a_diamond_is_run_from_its_top_whatever_the_order_of_its_columns() {
        let diamond = graph(&[(1, &[2, 3, 99]), (2, &[4]), (3, &[4]), (4, &[])]);
        let all = [1, 2, 3, 4].map(ColumnId);
        assert_eq!(ids(&diamond.ordered(&all)), [4, 2, 3, 1]);
        assert_eq!(ids(&diamond.ordered(&[ColumnId(1), ColumnId(4), ColumnId(1)])), [4, 1]);
        assert_eq!(ids(&diamond.dependents(ColumnId(4))), [2, 3, 1]);
        assert_eq!(ids(&diamond.dependents(ColumnId(2))), [1]);
        assert_eq!(diamond.depths()[&ColumnId(1)], 3);
        assert_eq!(diamond.cycle(ColumnId(1)), None);
    }

    #[test]
    fn a_circle_is_told_by_its_shortest_way_and_hangs_nobody_up() {
        let circle = graph(&[(1, &[2, 5]), (2, &[3]), (3, &[1]), (4, &[1]), (5, &[1])]);
        assert_eq!(circle.cycle(ColumnId(1)).map(|path| ids(&path)), Some(vec![1, 5, 1]));
        assert_eq!(circle.cycle(ColumnId(3)).map(|path| ids(&path)), Some(vec![3, 1, 2, 3]));
        assert_eq!(circle.cycle(ColumnId(4)), None);
        assert_eq!(ids(&circle.ordered(&[1, 2, 3, 4, 5].map(ColumnId))).len(), 5);
        assert_eq!(graph(&[(1, &[1])]).cycle(ColumnId(1)).map(|path| ids(&path)), Some(vec![1, 1]));
    }
}
