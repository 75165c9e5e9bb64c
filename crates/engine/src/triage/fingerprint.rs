//! What a cell is made from, as hashes (spec C9): enough to tell which input moved, and which cells may share a call.

use paceline_model::{ColumnType, Filter, Fingerprint, Value};

use super::condition::text_of;
use crate::kind::Outside;

/// Makes the fingerprints of one column.
pub(super) struct Prints {
    /// Of the configuration with its condition.
    config: u32,
    /// Of the configuration without: a condition decides whether a call is made, not what comes of it. `None` where
    /// no two cells share a call.
    key: Option<blake3::Hash>,
    /// Of what shapes the values from outside the table, where something does: the last part, so that it is told apart.
    outside: Option<(u32, Moved)>,
}

/// What a cell was made from, and is different now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moved {
    /// The column's configuration.
    Configuration,
    /// The value of that column.
    Input(String),
    /// The stored function that the column runs: it has a new version.
    Function,
    /// The stored AI provider that the column asks: another service, or another address.
    Provider,
    /// What the rows of that other table, by its name in the configuration, give for this row.
    Lookup(String),
    /// Nothing did: a person wrote the cell, and unlocked it since.
    Unlocked,
}

impl Prints {
    pub(super) fn new(
        identity: &str,
        kind: ColumnType,
        run_if: Option<&Filter>,
        reuse: bool,
        outside: Option<&Outside>,
    ) -> Self {
        let (text, moved) = match outside {
            None => ("", None),
            Some(Outside::Function(text)) => (text.as_str(), Some(Moved::Function)),
            Some(Outside::Provider(text)) => (text.as_str(), Some(Moved::Provider)),
        };
        let config = hash_of([identity, kind.as_str(), text]);
        let whole = hash_of([identity, kind.as_str(), &text_of(run_if)]);
        let outside = moved.map(|moved| (short(&hash_of([text])), moved));
        Self { config: short(&whole), key: reuse.then_some(config), outside }
    }

    /// Whether two cells may share a call.
    pub(super) fn have_keys(&self) -> bool {
        self.key.is_some()
    }

    /// Of a row with these inputs.
    pub(super) fn of(&self, inputs: &[Value]) -> Fingerprint {
        let mut parts = Vec::with_capacity(inputs.len() + 2);
        parts.push(self.config);
        let mut all = self.key.map(|key| {
            let mut all = blake3::Hasher::new();
            all.update(key.as_bytes());
            all
        });
        for input in inputs {
            let hash = hash(input);
            parts.push(short(&hash));
            if let Some(all) = &mut all {
                all.update(hash.as_bytes());
            }
        }
        parts.extend(self.outside.as_ref().map(|(hash, _)| *hash));
        let key = all.and_then(|all| all.finalize().as_bytes().first_chunk::<16>().copied());
        Fingerprint { key, parts }
    }

    /// What differs between the fingerprint of a cell and that of now; `name` says what the input at a place is called.
    pub(super) fn moved(
        &self,
        then: &Fingerprint,
        now: &Fingerprint,
        name: impl Fn(usize) -> String,
    ) -> Vec<Moved> {
        if then.parts.is_empty() {
            return vec![Moved::Unlocked];
        }
        // Other inputs are another configuration; which of them moved cannot be told any more.
        if then.parts.len() != now.parts.len() {
            return vec![Moved::Configuration];
        }
        let last = now.parts.len().saturating_sub(1);
        let pairs = then.parts.iter().zip(&now.parts).enumerate();
        pairs
            .filter(|(_, (then, now))| then != now)
            .map(|(at, _)| match (at.checked_sub(1), &self.outside) {
                (None, _) => Moved::Configuration,
                (Some(_), Some((_, outside))) if at == last => outside.clone(),
                (Some(at), _) => Moved::Input(name(at)),
            })
            .collect()
    }
}

/// Each text with its length, so that no two lists of them are alike.
fn hash_of<const N: usize>(texts: [&str; N]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for text in texts {
        hasher.update(&text.len().to_le_bytes()).update(text.as_bytes());
    }
    hasher.finalize()
}

fn hash(value: &Value) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    match value {
        Value::Null | Value::Json(serde_json::Value::Null) => hasher.update(b"n"),
        Value::Bool(b) => hasher.update(&[b'b', u8::from(*b)]),
        Value::Int(n) => hasher.update(b"i").update(&n.to_le_bytes()),
        Value::Number(x) => hasher.update(b"x").update(&x.to_bits().to_le_bytes()),
        Value::Text(text) => hasher.update(b"t").update(text.as_bytes()),
        Value::Json(json) => hasher.update(b"j").update(json.to_string().as_bytes()),
    };
    hasher.finalize()
}

/// The first four bytes: one change of four billion goes unseen.
fn short(hash: &blake3::Hash) -> u32 {
    hash.as_bytes().first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use paceline_model::{Operator, Subject, Test};
    use serde_json::json;

    use super::*;

    fn filter(at: i64) -> Filter {
        let operator = Operator::Eq(Value::Int(at));
        Filter::Test(Test { subject: Subject::Id, path: vec![], operator })
    }

    #[test]
    fn what_moved_is_told_and_a_condition_shares_its_calls_with_another() {
        let prints = |identity, condition: Option<i64>| {
            let condition = condition.map(filter);
            Prints::new(identity, ColumnType::Text, condition.as_ref(), true, None)
        };
        let moved = |then: &Fingerprint, now: &Fingerprint, name: fn(usize) -> String| {
            prints("one", None).moved(then, now, name)
        };
        let (ada, ben) = (Value::Text("ada".into()), Value::Text("ben".into()));
        let first = prints("one", None).of(&[ada.clone(), Value::Null]);
        let name: fn(usize) -> String = |at| format!("input {at}");
        let same = prints("one", None).of(&[ada.clone(), Value::Null]);
        assert_eq!(same, first);
        let second = prints("one", None).of(&[ben, Value::Null]);
        assert_eq!(moved(&first, &second, name), [Moved::Input("input 0".into())]);
        assert_ne!(first.key, second.key);
        let other = prints("two", None).of(&[ada.clone(), Value::Null]);
        assert_eq!(moved(&first, &other, name), [Moved::Configuration]);
        assert_ne!(first.key, other.key);
        let narrowed = prints("one", Some(1)).of(&[ada.clone(), Value::Null]);
        assert_eq!(moved(&first, &narrowed, name), [Moved::Configuration]);
        assert_eq!(first.key, narrowed.key);
        assert_eq!(moved(&first, &prints("one", None).of(&[ada]), name), [Moved::Configuration]);
        let nothing = Fingerprint { key: None, parts: Vec::new() };
        assert_eq!(moved(&nothing, &first, name), [Moved::Unlocked]);
    }

    #[test]
    fn what_shapes_a_value_from_outside_is_told_apart_from_the_inputs() {
        let prints = |source: Option<&str>| {
            let outside = source.map(|source| Outside::Function(source.to_owned()));
            Prints::new("one", ColumnType::Text, None, true, outside.as_ref())
        };
        let (one, two) = ([Value::Int(1)], [Value::Int(2)]);
        let name = |at: usize| format!("input {at}");
        let first = prints(Some("a")).of(&one);
        assert_eq!(prints(Some("a")).of(&one), first);
        let second = prints(Some("b")).of(&one);
        assert_eq!(prints(Some("b")).moved(&first, &second, name), [Moved::Function]);
        assert_ne!(first.key, second.key);
        let both = prints(Some("b")).of(&two);
        let input = Moved::Input("input 0".into());
        assert_eq!(prints(Some("b")).moved(&first, &both, name), [input, Moved::Function]);
        let none = prints(None);
        assert_eq!(none.moved(&first, &none.of(&one), name), [Moved::Configuration]);
    }

    #[test]
    fn values_that_are_written_alike_are_not_the_same() {
        let prints = Prints::new("one", ColumnType::Text, None, false, None);
        let values = [
            Value::Null,
            Value::Bool(true),
            Value::Int(1),
            Value::Number(1.0),
            Value::Text("1".into()),
            Value::Text(String::new()),
            Value::Json(json!("1")),
            Value::Json(json!(1)),
        ];
        let parts: std::collections::BTreeSet<u32> =
            values.iter().map(|value| prints.of(std::slice::from_ref(value)).parts[1]).collect();
        assert_eq!(parts.len(), values.len());
        assert_eq!(prints.of(&[]).key, None);
    }
}
