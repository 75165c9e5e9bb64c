//! Keys of rows, for upserts: values that are the same in the database are the same key.

use std::collections::HashMap;

use paceline_model::{ColumnId, ColumnType, Error, Result, Value};

/// The rows of a call, one for each key that it names: of those alike the last one stands in the place of the first.
#[derive(Debug)]
pub(crate) struct Keyed<'v> {
    /// Where the columns of the key stand among those of the rows.
    pub(crate) places: Vec<usize>,
    pub(crate) rows: Vec<&'v [Value]>,
    /// The rows by their keys; those with an empty value in it are like no other and not here.
    by_key: HashMap<Vec<u8>, usize>,
}

impl<'v> Keyed<'v> {
    /// Fails with `Invalid` if the key is none, or not among the columns.
    pub(crate) fn of(
        key: &[ColumnId],
        columns: &[(ColumnId, ColumnType)],
        rows: &'v [Vec<Value>],
    ) -> Result<Self> {
        let places = places(key, columns)?;
        let mut keyed = Self { places, rows: Vec::new(), by_key: HashMap::new() };
        for row in rows {
            let at = keyed.rows.len();
            let values = keyed.places.iter().map(|place| row.get(*place).unwrap_or(&Value::Null));
            let earlier = match encoded(values) {
                Some(key) => *keyed.by_key.entry(key).or_insert(at),
                None => at,
            };
            match keyed.rows.get_mut(earlier) {
                Some(earlier) => *earlier = row,
                None => keyed.rows.push(row),
            }
        }
        Ok(keyed)
    }

    /// The row of the call with that key.
    pub(crate) fn find<'a>(&self, key: impl Iterator<Item = &'a Value>) -> Option<usize> {
        encoded(key).and_then(|key| self.by_key.get(&key).copied())
    }

    /// The keys that can be there already: which row of the call each belongs to.
    pub(crate) fn named(&self) -> impl Iterator<Item = usize> {
        self.by_key.values().copied()
    }
}

fn places(key: &[ColumnId], columns: &[(ColumnId, ColumnType)]) -> Result<Vec<usize>> {
    if key.is_empty() {
        return Err(Error::invalid("name at least one column as the key of an upsert"));
    }
    let mut places = Vec::with_capacity(key.len());
    for id in key {
        let Some(place) = columns.iter().position(|(column, _)| column == id) else {
            return Err(Error::invalid(format!(
                "the rows have no value for column {id} of the key"
            )));
        };
        if places.contains(&place) {
            return Err(Error::invalid(format!("column {id} is named twice in the key")));
        }
        if let (_, kind @ (ColumnType::Json | ColumnType::MultiSelect)) = columns[place] {
            return Err(Error::invalid(format!("a {kind} column cannot be part of a key")));
        }
        places.push(place);
    }
    Ok(places)
}

/// Bytes that are the same for the same key; `None` if a value is empty.
fn encoded<'a>(values: impl Iterator<Item = &'a Value>) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for value in values {
        match value {
            Value::Null | Value::Json(_) => return None,
            Value::Bool(b) => bytes.extend([0, u8::from(*b)]),
            Value::Int(n) => integer(&mut bytes, *n),
            Value::Number(x) => match whole(*x) {
                Some(n) => integer(&mut bytes, n),
                None => {
                    bytes.push(2);
                    bytes.extend(x.to_bits().to_le_bytes());
                }
            },
            Value::Text(text) => {
                bytes.push(3);
                bytes.extend((text.len() as u64).to_le_bytes());
                bytes.extend(text.as_bytes());
            }
        }
    }
    Some(bytes)
}

fn integer(bytes: &mut Vec<u8>, n: i64) {
    bytes.push(1);
    bytes.extend(n.to_le_bytes());
}

/// The whole number that a double is.
fn whole(x: f64) -> Option<i64> {
    // 2^63; every double below it and not below its negative fits.
    const BOUND: f64 = 9_223_372_036_854_775_808.0;
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and in range")]
    (x.fract() == 0.0 && (-BOUND..BOUND).contains(&x)).then_some(x as i64)
}

/// Refuses an update that sets nothing.
pub(crate) fn check_columns(columns: usize) -> Result<()> {
    if columns == 0 {
        return Err(Error::invalid("name at least one column to set"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_same_number_is_the_same_key() {
        let same = |a: Value, b: Value| encoded([&a].into_iter()) == encoded([&b].into_iter());
        assert!(same(Value::Int(3), Value::Number(3.0)));
        assert!(same(Value::Int(0), Value::Number(-0.0)));
        assert!(same(Value::Int(i64::MIN), Value::Number(-9_223_372_036_854_775_808.0)));
        assert!(!same(Value::Int(i64::MAX), Value::Number(9_223_372_036_854_775_808.0)));
        assert!(!same(Value::Int(1), Value::Bool(true)));
        assert!(!same(Value::Number(0.5), Value::Number(0.25)));
        assert_eq!(encoded([&Value::Int(1), &Value::Null].into_iter()), None);
    }

    #[test]
    fn parts_of_a_key_do_not_run_together() {
        let text = |text: &str| Value::Text(text.into());
        let (one, other) = ([text("ab"), text("c")], [text("a"), text("bc")]);
        assert_ne!(encoded(one.iter()), encoded(other.iter()));
    }
}
