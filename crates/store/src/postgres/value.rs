//! Values of cells to SQL and back. They travel as text and are cast where they stand: numbers keep every digit that
//! way, and JSON the order of its keys.

use std::borrow::Cow;

use paceline_model::{ColumnType, Error, Value};

use crate::codec::{check_size, kind_of};
use crate::error::Result;

/// The declared type of a column of a user's table.
pub(super) fn sql_type(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Boolean => "boolean",
        ColumnType::Relation => "bigint",
        // Keeps 3 and 3.0 apart by its scale, holds every i64 and every double exactly, and sorts them as numbers.
        ColumnType::Number | ColumnType::Currency => "numeric",
        // jsonb would forget the order of keys, and refuses a NUL in a text.
        ColumnType::Json | ColumnType::MultiSelect => "json",
        // By its bytes, whatever the server's locale, as SQLite sorts.
        _ => "text COLLATE \"C\"",
    }
}

/// What the text of a value is cast to.
pub(super) fn cast(kind: ColumnType) -> &'static str {
    sql_type(kind).split(' ').next().unwrap_or("text")
}

/// A value as text; `None` for an empty cell.
///
/// Fails with `Invalid` if the value is not of the column's type, not finite, or too long.
pub(super) fn encode(
    kind: ColumnType,
    value: &Value,
) -> std::result::Result<Option<Cow<'_, str>>, Error> {
    let text = match (kind, value) {
        _ if value.is_null() => return Ok(None),
        (ColumnType::Boolean, Value::Bool(b)) => Cow::Borrowed(if *b { "true" } else { "false" }),
        (ColumnType::Number | ColumnType::Currency | ColumnType::Relation, Value::Int(n)) => {
            Cow::Owned(n.to_string())
        }
        (ColumnType::Number | ColumnType::Currency, Value::Number(x)) => {
            if !x.is_finite() {
                return Err(Error::invalid("a number is not finite; leave the cell empty instead"));
            }
            Cow::Owned(decimal(*x))
        }
        (ColumnType::Json | ColumnType::MultiSelect, Value::Json(json)) => {
            let text = json.to_string();
            check_size(text.len())?;
            Cow::Owned(text)
        }
        (kind, Value::Text(text)) if kind.is_text() => {
            check_size(text.len())?;
            Cow::Borrowed(text.as_str())
        }
        (kind, value) => {
            return Err(Error::invalid(format!(
                "a {kind} column does not take {}",
                kind_of(value)
            )));
        }
    };
    Ok(Some(text))
}

/// A value as it was read from a column of that type, as text.
///
/// Fails with `Corrupt` if no value of that type is written that way.
pub(super) fn decode(kind: ColumnType, text: Option<String>) -> Result<Value> {
    let Some(text) = text else { return Ok(Value::Null) };
    let value = match kind {
        ColumnType::Boolean => match text.as_str() {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            _ => None,
        },
        ColumnType::Relation => text.parse().ok().map(Value::Int),
        ColumnType::Number | ColumnType::Currency => number(&text),
        ColumnType::Json | ColumnType::MultiSelect => {
            serde_json::from_str(&text).ok().map(Value::Json)
        }
        _ => Some(Value::Text(text)),
    };
    value.ok_or_else(|| {
        Error::Corrupt(format!("a {kind} cell holds what is no {kind} for this program")).into()
    })
}

/// A double with all its digits and always a point, which is what tells it from a whole number. As short as comes back
/// the same; where whole numbers of 64 bits lie closer together than doubles, it is written exactly, so that the two
/// compare as in SQLite.
pub(super) fn decimal(x: f64) -> String {
    // 2^53, from where on every double is whole, and 2^63.
    const WHOLE: f64 = 9_007_199_254_740_992.0;
    const BOUND: f64 = 9_223_372_036_854_775_808.0;
    if x.abs() >= WHOLE && (-BOUND..BOUND).contains(&x) {
        return format!("{x:.1}");
    }
    let mut text = x.to_string();
    if !text.contains('.') {
        text.push_str(".0");
    }
    text
}

fn number(text: &str) -> Option<Value> {
    if !text.contains('.')
        && let Ok(int) = text.parse()
    {
        return Some(Value::Int(int));
    }
    // A whole number that no i64 holds can only be an SQL shell's: the nearest double, as from JSON.
    text.parse().ok().filter(|x: &f64| x.is_finite()).map(Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_double_comes_back_as_a_double(bits in any::<u64>()) {
            let x = f64::from_bits(bits);
            prop_assume!(x.is_finite());
            let text = decimal(x);
            prop_assert!(text.contains('.') && !text.contains('e'));
            prop_assert_eq!(number(&text), Some(Value::Number(x)));
        }

        #[test]
        fn every_whole_number_comes_back_as_one(n in any::<i64>()) {
            prop_assert_eq!(number(&n.to_string()), Some(Value::Int(n)));
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
        ];
        for (kind, value) in cases {
            let error = encode(kind, &value).unwrap_err();
            assert!(matches!(error, Error::Invalid(_)), "{kind}: {error}");
            assert!(!error.to_string().contains("secret") && !error.to_string().contains("42"));
        }
    }

    #[test]
    fn foreign_data_is_corrupt() {
        let cases = [
            (ColumnType::Boolean, "yes"),
            (ColumnType::Json, "{"),
            (ColumnType::Number, "NaN"),
            (ColumnType::Number, "Infinity"),
            (ColumnType::Relation, "1.5"),
        ];
        for (kind, text) in cases {
            let fault = decode(kind, Some(text.to_owned())).unwrap_err();
            assert!(matches!(fault.0, Error::Corrupt(_)), "{kind}");
        }
    }
}
