//! Values of cells to SQL and back, in one place.

use paceline_model::{CellError, ColumnType, Error, Value, limits};
use rusqlite::types::{ToSqlOutput, Value as Owned, ValueRef};

use crate::error::Result;

/// The declared type of a column of a user's table. The tables are STRICT: what is declared is what is in it.
pub(crate) fn sql_type(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Boolean | ColumnType::Relation => "INTEGER",
        // ANY keeps 3 and 3.0 apart; NUMERIC would turn the double into an integer.
        ColumnType::Number | ColumnType::Currency => "ANY",
        _ => "TEXT",
    }
}

/// A value as a parameter of a statement.
///
/// Fails with `Invalid` if the value is not of the column's type, not finite, or too long.
pub(crate) fn encode(
    kind: ColumnType,
    value: &Value,
) -> std::result::Result<ToSqlOutput<'_>, Error> {
    match (kind, value) {
        _ if value.is_null() => Ok(ToSqlOutput::Owned(Owned::Null)),
        (ColumnType::Boolean, Value::Bool(b)) => {
            Ok(ToSqlOutput::Owned(Owned::Integer(i64::from(*b))))
        }
        (ColumnType::Number | ColumnType::Currency | ColumnType::Relation, Value::Int(n)) => {
            Ok(ToSqlOutput::Owned(Owned::Integer(*n)))
        }
        (ColumnType::Number | ColumnType::Currency, Value::Number(x)) => {
            if !x.is_finite() {
                return Err(Error::invalid("a number is not finite; leave the cell empty instead"));
            }
            Ok(ToSqlOutput::Owned(Owned::Real(*x)))
        }
        (ColumnType::Json | ColumnType::MultiSelect, Value::Json(json)) => {
            let text = json.to_string();
            check_size(text.len())?;
            Ok(ToSqlOutput::Owned(Owned::Text(text)))
        }
        (kind, Value::Text(text)) if kind.is_text() => {
            check_size(text.len())?;
            Ok(ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())))
        }
        (kind, value) => {
            Err(Error::invalid(format!("a {kind} column does not take {}", kind_of(value))))
        }
    }
}

/// A value as it was read from a column of that type.
///
/// Fails with `Corrupt` if no value of that type is written that way.
pub(crate) fn decode(kind: ColumnType, sql: ValueRef<'_>) -> Result<Value> {
    let value = match (kind, sql) {
        (_, ValueRef::Null) => Value::Null,
        (ColumnType::Boolean, ValueRef::Integer(n @ (0 | 1))) => Value::Bool(n == 1),
        (
            ColumnType::Number | ColumnType::Currency | ColumnType::Relation,
            ValueRef::Integer(n),
        ) => Value::Int(n),
        (ColumnType::Number | ColumnType::Currency, ValueRef::Real(x)) => Value::Number(x),
        (ColumnType::Json | ColumnType::MultiSelect, ValueRef::Text(bytes)) => {
            let json = serde_json::from_slice(bytes).map_err(|error| {
                Error::Corrupt(format!("a {kind} cell is not JSON ({:?})", error.classify()))
            })?;
            Value::Json(json)
        }
        (kind, ValueRef::Text(bytes)) if kind.is_text() => match std::str::from_utf8(bytes) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => return Err(Error::Corrupt(format!("a {kind} cell is not UTF-8")).into()),
        },
        (kind, other) => {
            let found = other.data_type();
            return Err(
                Error::Corrupt(format!("a {kind} cell holds a value of type {found}")).into()
            );
        }
    };
    Ok(value)
}

/// The two columns of an error, cut to the length that is kept.
pub(crate) fn encode_error(error: Option<&CellError>) -> (Option<&str>, Option<&str>) {
    match error {
        Some(error) => (Some(cut(&error.code)), Some(cut(&error.message))),
        None => (None, None),
    }
}

/// The error in the columns `index` and `index + 1` of a row.
pub(crate) fn decode_error(
    row: &rusqlite::Row<'_>,
    index: usize,
) -> rusqlite::Result<Option<CellError>> {
    let Some(code) = row.get::<_, Option<String>>(index)? else { return Ok(None) };
    let message = row.get::<_, Option<String>>(index + 1)?.unwrap_or_default();
    Ok(Some(CellError { code, message }))
}

/// A count as it is stored; what does not fit is the greatest that does.
pub(crate) fn signed(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

/// A stored count; a negative one was never written.
pub(crate) fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(limits::ERROR_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Refuses a value that is longer than one may be.
pub(crate) fn check_size(size_bytes: usize) -> std::result::Result<(), Error> {
    if size_bytes > limits::VALUE_BYTES_MAX {
        return Err(Error::invalid(format!(
            "a value of {size_bytes} bytes is over the limit of {} bytes",
            limits::VALUE_BYTES_MAX
        )));
    }
    Ok(())
}

/// What a value is, without what is in it.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Int(_) => "a whole number",
        Value::Number(_) => "a number",
        Value::Text(_) => "text",
        Value::Json(_) => "JSON",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    /// A value of each kind that JSON can hold, numbers with fractions that every parser reads exactly.
    fn json_value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(|b| json!(b)),
            any::<i64>().prop_map(|n| json!(n)),
            ".*".prop_map(|s| json!(s)),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(|items| json!(items)),
                prop::collection::vec((".*", inner), 0..4)
                    .prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    fn fitting() -> impl Strategy<Value = (ColumnType, Value)> {
        prop_oneof![
            (0..ColumnType::ALL.len()).prop_map(|i| (ColumnType::ALL[i], Value::Null)),
            any::<bool>().prop_map(|b| (ColumnType::Boolean, Value::Bool(b))),
            any::<i64>().prop_map(|n| (ColumnType::Number, Value::Int(n))),
            any::<i64>().prop_map(|n| (ColumnType::Relation, Value::Int(n))),
            (-1e300..1e300).prop_map(|x| (ColumnType::Number, Value::Number(x))),
            (-9..9_i32).prop_map(|n| (ColumnType::Currency, Value::Number(f64::from(n)))),
            ".*".prop_map(|s| (ColumnType::Text, Value::Text(s))),
            ".*".prop_map(|s| (ColumnType::Datetime, Value::Text(s))),
            json_value().prop_map(|json| (ColumnType::Json, Value::Json(json))),
        ]
    }

    proptest! {
        /// Through a real STRICT table: what is written is what is read, to the type.
        #[test]
        fn what_is_written_is_read_back((kind, value) in fitting()) {
            let conn = rusqlite::Connection::open_in_memory().unwrap();
            conn.execute_batch(&format!("CREATE TABLE t (v {}) STRICT", sql_type(kind))).unwrap();
            conn.execute("INSERT INTO t VALUES (?1)", [encode(kind, &value).unwrap()]).unwrap();
            let read = conn
                .query_row("SELECT v FROM t", [], |row| Ok(decode(kind, row.get_ref(0)?)))
                .unwrap()
                .unwrap();
            prop_assert_eq!(read, value);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_without_being_named() {
        let cases = [
            (ColumnType::Text, Value::Int(42)),
            (ColumnType::Number, Value::Text("secret".into())),
            (ColumnType::Relation, Value::Number(1.5)),
            (ColumnType::Boolean, Value::Int(1)),
            (ColumnType::Json, Value::Text("secret".into())),
            (ColumnType::Number, Value::Number(f64::NAN)),
            (ColumnType::Text, Value::Text("x".repeat(limits::VALUE_BYTES_MAX + 1))),
        ];
        for (kind, value) in cases {
            let error = encode(kind, &value).unwrap_err();
            assert!(matches!(error, Error::Invalid(_)), "{kind}: {error}");
            assert!(!error.to_string().contains("secret") && !error.to_string().contains("42"));
        }
    }

    #[test]
    fn an_empty_json_value_is_an_empty_cell() {
        let encoded = encode(ColumnType::Json, &Value::Json(json!(null))).unwrap();
        assert_eq!(encoded, ToSqlOutput::Owned(Owned::Null));
    }

    #[test]
    fn long_errors_are_cut_between_characters() {
        let error = CellError { code: "X".into(), message: "é".repeat(limits::ERROR_BYTES_MAX) };
        let (_, message) = encode_error(Some(&error));
        assert_eq!(message.unwrap().len(), limits::ERROR_BYTES_MAX);
        assert!(message.unwrap().chars().all(|c| c == 'é'));
    }

    #[test]
    fn foreign_data_is_corrupt() {
        let cases = [
            (ColumnType::Boolean, ValueRef::Integer(2)),
            (ColumnType::Json, ValueRef::Text(b"{")),
            (ColumnType::Text, ValueRef::Text(b"\xff")),
            (ColumnType::Text, ValueRef::Blob(b"x")),
        ];
        for (kind, sql) in cases {
            let fault = decode(kind, sql).unwrap_err();
            assert!(matches!(fault.0, Error::Corrupt(_)), "{kind}");
        }
    }
}
