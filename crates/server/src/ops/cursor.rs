//! Where a page ended, as text that a caller carries and does not read. It is bound to its table and to what was asked
//! for, so that a cursor of another query is refused instead of skipping rows.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use paceline_model::{RowId, TableId, Value};
use serde_json::Value as Json;

/// Raised with every change of what stands in a cursor.
const VERSION: u8 = 2;
/// Bytes of the sort keys that a cursor carries; longer ones are read again from their row.
const KEYS_BYTES_MAX: usize = 1_024;
/// Bytes of a cursor as text: version, table, row, digest and keys, of which base64 makes four thirds.
pub(crate) const CURSOR_BYTES_MAX: usize = (KEYS_BYTES_MAX + 25).div_ceil(3) * 4;

/// The row that a page ended with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cursor {
    pub(crate) after: RowId,
    /// What it has in the keys of the order; none if they are too long to carry.
    pub(crate) keys: Option<Vec<Value>>,
}

/// What was asked for, as far as a cursor is bound to it: filter and order as they were written.
pub(crate) fn digest(filter: Option<&Json>, order: Option<&Json>) -> [u8; 8] {
    let asked =
        Json::from(vec![filter.cloned().unwrap_or_default(), order.cloned().unwrap_or_default()]);
    let hash = blake3::hash(asked.to_string().as_bytes());
    let mut digest = [0; 8];
    digest.copy_from_slice(&hash.as_bytes()[..8]);
    digest
}

pub(crate) fn encode(table: TableId, digest: [u8; 8], cursor: &Cursor) -> String {
    let keys = cursor.keys.as_deref().unwrap_or_default();
    let keys = Json::Array(keys.iter().map(Value::to_json).collect()).to_string();
    let keys =
        if cursor.keys.is_some() && keys.len() <= KEYS_BYTES_MAX { keys } else { String::new() };
    let bytes = [
        [VERSION].as_slice(),
        &table.0.to_be_bytes(),
        &digest,
        &cursor.after.0.to_be_bytes(),
        keys.as_bytes(),
    ];
    URL_SAFE_NO_PAD.encode(bytes.concat())
}

/// `None` if this is no cursor of the table and of what was asked for, sorted by so many keys.
pub(crate) fn decode(table: TableId, digest: [u8; 8], keys: usize, cursor: &str) -> Option<Cursor> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (version, rest) = bytes.split_first()?;
    let (of, rest) = rest.split_at_checked(8)?;
    let (asked, rest) = rest.split_at_checked(8)?;
    let (after, written) = rest.split_at_checked(8)?;
    let after = i64::from_be_bytes(after.try_into().ok()?);
    let fits = *version == VERSION && of == table.0.to_be_bytes() && asked == digest && after > 0;
    if !fits {
        return None;
    }
    let values = match written {
        [] => None,
        written => Some(values(serde_json::from_slice(written).ok()?)?),
    };
    values
        .as_ref()
        .is_none_or(|values| values.len() == keys)
        .then_some(Cursor { after: RowId(after), keys: values })
}

/// Keys are texts, numbers, flags or nothing: what can be sorted by.
fn values(keys: Vec<Json>) -> Option<Vec<Value>> {
    let value = |key| match key {
        Json::Null => Some(Value::Null),
        Json::Bool(b) => Some(Value::Bool(b)),
        Json::String(text) => Some(Value::Text(text)),
        Json::Number(n) => n.as_i64().map(Value::Int).or_else(|| n.as_f64().map(Value::Number)),
        Json::Array(_) | Json::Object(_) => None,
    };
    keys.into_iter().map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn cursor(keys: Vec<Value>) -> Cursor {
        Cursor { after: RowId(i64::MAX), keys: Some(keys) }
    }

    #[test]
    fn a_cursor_is_good_for_its_own_table_and_query_only() {
        let asked = digest(Some(&json!({"a": 1})), None);
        let keys = vec![Value::Number(0.1), Value::Int(-7), Value::Text("é".into()), Value::Null];
        let one = cursor(keys);
        let text = encode(TableId(7), asked, &one);
        assert_eq!(decode(TableId(7), asked, 4, &text), Some(one));
        assert_eq!(decode(TableId(8), asked, 4, &text), None);
        assert_eq!(decode(TableId(7), asked, 3, &text), None, "another number of keys");
        for other in [digest(None, None), digest(None, Some(&json!({"a": 1})))] {
            assert_eq!(decode(TableId(7), other, 4, &text), None);
        }
    }

    #[test]
    fn long_keys_are_left_out_and_the_longest_cursor_fits_its_bound() {
        let asked = digest(None, None);
        for length in [0, 1, KEYS_BYTES_MAX - 4, KEYS_BYTES_MAX - 3, 1_000_000] {
            let one = cursor(vec![Value::Text("x".repeat(length))]);
            let text = encode(TableId(1), asked, &one);
            assert!(text.len() <= CURSOR_BYTES_MAX, "{length}");
            let kept = decode(TableId(1), asked, 1, &text).unwrap().keys;
            assert_eq!(kept.is_some(), length <= KEYS_BYTES_MAX - 4, "{length}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_no_cursor_is_refused(bytes in proptest::collection::vec(0_u8.., 0..80), text in ".{0,60}") {
            let asked = digest(None, None);
            // Eight bytes of digest are not met by chance.
            proptest::prop_assert_eq!(decode(TableId(1), asked, 0, &URL_SAFE_NO_PAD.encode(bytes)), None);
            proptest::prop_assert_eq!(decode(TableId(1), asked, 0, &text), None);
        }
    }
}
