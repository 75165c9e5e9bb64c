//! The greatest number of a table's changes, found by asking what comes after a guess: the store is asked for what
//! follows a number, never for all there is.

use paceline_model::TableId;

use crate::App;
use crate::error::Result;

/// The first guess.
const STRIDE_FIRST: i64 = 1_024;

/// The number of the table's last change, or 0. About sixty questions where there are more than anybody has.
pub(super) async fn last_sequence(app: &App, table: TableId) -> Result<i64> {
    let next = async |after| {
        let (changes, _) = app.engine.store().changes_after(table, after, 1).await?;
        Result::Ok(changes.first().map(|change| change.sequence))
    };
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
