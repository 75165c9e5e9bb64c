//! Where a page ended, as text that a caller carries and does not read. It names its table, so that a cursor of another
//! table is refused instead of skipping rows.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use paceline_model::{RowId, TableId};

/// Raised with every change of what stands in a cursor.
const VERSION: u8 = 1;

pub(crate) fn encode(table: TableId, after: RowId) -> String {
    let bytes = [[VERSION].as_slice(), &table.0.to_be_bytes(), &after.0.to_be_bytes()].concat();
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The row that the page before ended with; `None` if this is no cursor of the table.
pub(crate) fn decode(table: TableId, cursor: &str) -> Option<RowId> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (version, rest) = bytes.split_first()?;
    let (of, after) = rest.split_at_checked(8)?;
    let of = i64::from_be_bytes(of.try_into().ok()?);
    let after = i64::from_be_bytes(after.try_into().ok()?);
    (*version == VERSION && of == table.0 && after >= 0).then_some(RowId(after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_own_table_only() {
        let cursor = encode(TableId(7), RowId(i64::MAX));
        assert_eq!(decode(TableId(7), &cursor), Some(RowId(i64::MAX)));
        assert_eq!(decode(TableId(8), &cursor), None);
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        let negative = encode(TableId(7), RowId(-1));
        let mut newer = URL_SAFE_NO_PAD.decode(encode(TableId(7), RowId(1))).unwrap();
        newer[0] = VERSION + 1;
        let newer = URL_SAFE_NO_PAD.encode(newer);
        let long = URL_SAFE_NO_PAD.encode([VERSION; 18]);
        for text in ["", "x", "12", "!!", "AQ", &negative, &newer, &long] {
            assert_eq!(decode(TableId(7), text), None, "{text:?}");
        }
    }
}
