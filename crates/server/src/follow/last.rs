//! The greatest row id and the greatest change of a table, found by asking what comes after a guess.

use paceline_model::{RowId, RowQuery, TableId};

use crate::App;
use crate::error::Result;

/// The first guess, and what it grows by at first.
const STRIDE_FIRST: i64 = 1_024;

/// The greatest id of the rows of a table, or 0.
pub(crate) async fn last_row(app: &App, table: TableId) -> Result<i64> {
    let mut search = Search::default();
    while let Some(after) = search.question() {
        let query = RowQuery { after: RowId(after), limit: 1, ..RowQuery::of(table) };
        search.answer(app.engine.store().rows(query).await?.first().map(|row| row.id.0));
    }
    Ok(search.low)
}

/// The greatest sequence of the changes of a table, or 0.
pub(crate) async fn last_sequence(app: &App, table: TableId) -> Result<i64> {
    let mut search = Search::default();
    while let Some(after) = search.question() {
        let (changes, _) = app.engine.store().changes_after(table, after, 1).await?;
        search.answer(changes.first().map(|change| change.sequence));
    }
    Ok(search.low)
}

/// A search for the greatest number: which is the first one after this? Some sixty questions for the greatest there is.
#[derive(Debug)]
struct Search {
    /// There is this one, or none at all.
    low: i64,
    /// There is none after this one.
    high: Option<i64>,
    stride: i64,
}

impl Default for Search {
    fn default() -> Self {
        Self { low: 0, high: None, stride: STRIDE_FIRST }
    }
}

impl Search {
    /// After which number to look; `None` once it is known that `low` is the greatest.
    fn question(&self) -> Option<i64> {
        match self.high {
            None => Some(self.low.saturating_add(self.stride)),
            Some(high) if self.low < high => Some(self.low + (high - self.low) / 2),
            Some(_) => None,
        }
    }

    /// The first number after the one asked for.
    fn answer(&mut self, found: Option<i64>) {
        match found {
            Some(found) => {
                self.low = found;
                self.stride = self.stride.saturating_mul(2);
            }
            None => self.high = self.question(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_is_found_wherever_it_is() {
        let cases: [&[i64]; 6] =
            [&[], &[1], &[1_024], &[1, 2, 3, 1_025], &[5, 9_000_000], &[7, i64::MAX]];
        for numbers in cases {
            let (mut search, mut questions) = (Search::default(), 0);
            while let Some(after) = search.question() {
                search.answer(numbers.iter().copied().find(|number| *number > after));
                questions += 1;
            }
            assert_eq!(search.low, numbers.last().copied().unwrap_or(0), "{numbers:?}");
            assert!(questions < 130, "{questions} for {numbers:?}");
        }
    }
}
