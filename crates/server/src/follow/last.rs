//! The greatest row id and the greatest change of a table, found by asking what comes after a guess.

use paceline_model::{RowId, RowQuery, TableId};

use crate::App;
use crate::error::Result;

/// The first guess, and what it grows by at first.
const STRIDE_FIRST: i64 = 1_024;

/// The greatest id of the rows of a table, or 0.
pub(crate) async fn last_row(app: &App, table: TableId) -> Result<i64> {
    last(async |after| {
        let query = RowQuery { after: RowId(after), limit: 1, ..RowQuery::of(table) };
        Ok(app.engine.store().rows(query).await?.first().map(|row| row.id.0))
    })
    .await
}

/// The greatest sequence of the changes of a table, or 0.
pub(crate) async fn last_sequence(app: &App, table: TableId) -> Result<i64> {
    last(async |after| {
        let (changes, _) = app.engine.store().changes_after(table, after, 1).await?;
        Ok(changes.first().map(|change| change.sequence))
    })
    .await
}

/// The greatest number, by asking for the first one after a guess. About sixty questions for the greatest there is.
async fn last(next: impl AsyncFn(i64) -> Result<Option<i64>>) -> Result<i64>
{
    let (mut low, mut stride) = (0_i64, STRIDE_FIRST);
    while let Some(found) = next(low.saturating_add(stride)).await? {
        low = found;
        stride = stride.saturating_mul(2);
    }
    let mut high = low.saturating_add(stride);
    while low < high {
        let middle = low + (high - low) / 2;
        match next(middle).await? {
            Some(found) => low = found,
            None => high = middle,
        }
    }
    Ok(low)
}

#[cfg(test)]
mod tests {
    use paceline_clock::SimClock;

    use super::*;

    #[test]
    fn the_greatest_is_found_wherever_it_is() {
        let cases: [&[i64]; 6] =
            [&[], &[1], &[1_024], &[1, 2, 3, 1_025], &[5, 9_000_000], &[7, i64::MAX]];
        for numbers in cases {
            let found = SimClock::new().run(|_| {
                last(async |after| Ok(numbers.iter().copied().find(|number| *number > after)))
            });
            assert_eq!(found.unwrap(), numbers.last().copied().unwrap_or(0), "{numbers:?}");
        }
    }
}
