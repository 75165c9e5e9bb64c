//! The JSON object of one line: checked, taken apart without losing how its values are spelt, and given a new key.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io;

use paceline_model::{Value, limits};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;
use serde_json::value::RawValue;

use crate::COLUMN_NAME_BYTES_MAX;
use crate::error::{Defect, Fault};
use crate::lines::Line;

/// Every key seen so far, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    names: Vec<String>,
    known: HashMap<String, usize>,
}

impl Keys {
    /// Keys that are known from the beginning.
    pub(crate) fn of(names: Vec<String>) -> Self {
        let known = names.iter().cloned().zip(0..).collect();
        Self { names, known }
    }

    pub(crate) fn into_names(self) -> Vec<String> {
        self.names
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Where a key stands among the names.
    pub(crate) fn position(&self, key: &str) -> Option<usize> {
        self.known.get(key).copied()
    }

    fn note(&mut self, key: &str) -> Result<(), Fault> {
        if self.known.contains_key(key) {
            return Ok(());
        }
        if self.names.len() >= limits::TABLE_COLUMNS_MAX {
            return Err(Fault::ColumnsMany);
        }
        if key.len() > COLUMN_NAME_BYTES_MAX {
            return Err(Fault::NameLong { position: self.names.len() + 1 });
        }
        self.known.insert(key.to_owned(), self.names.len());
        self.names.push(key.to_owned());
        Ok(())
    }
}

/// Checks that `line` is one object that everything after this can work with, and notes its keys.
pub(crate) fn check(line: Line<'_>, keys: &mut Keys) -> Result<(), Defect> {
    let defect = |fault| Defect { line: line.line, fault };
    let first = line.text.bytes().find(|byte| !byte.is_ascii_whitespace());
    if let Some(found) = first.and_then(other_than_object) {
        return Err(defect(Fault::NotObject { found }));
    }
    let mut fault = None;
    let mut json = serde_json::Deserializer::from_str(line.text);
    let walk =
        Walk { levels_left: limits::JSON_DEPTH_MAX + 1, keys: Some(keys), fault: &mut fault };
    let walked = walk.deserialize(&mut json).and_then(|()| json.end());
    match (fault, walked) {
        (Some(fault), _) => Err(defect(fault)),
        (None, Err(error)) => Err(defect(json_fault(&error))),
        (None, Ok(())) => check_sizes(line),
    }
}

/// Calls `take` with each key of an object that was checked, and the value as it is spelt.
pub(crate) fn entries<'a>(
    line: Line<'a>,
    take: impl FnMut(Cow<'a, str>, &'a RawValue),
) -> Result<(), Defect> {
    let mut json = serde_json::Deserializer::from_str(line.text);
    json.deserialize_map(Entries(take))
        .map_err(|error| Defect { line: line.line, fault: json_fault(&error) })
}

/// The values of an object that was checked, in the order of its keys.
pub(crate) fn row(line: Line<'_>, keys: &Keys) -> Result<Vec<Value>, Defect> {
    let mut values = vec![Value::Null; keys.names.len()];
    let mut fault = None;
    entries(line, |key, raw| match (keys.position(&key), value(raw)) {
        (Some(position), Ok(value)) => values[position] = value,
        (None, _) => {}
        (_, Err(error)) => fault = Some(error),
    })?;
    fault.map_or(Ok(values), |fault| Err(Defect { line: line.line, fault }))
}

/// The value of a cell from the way it is spelt. Null is an empty cell.
pub(crate) fn value(raw: &RawValue) -> Result<Value, Fault> {
    match serde_json::from_str(raw.get()) {
        Ok(Json::Null) => Ok(Value::Null),
        Ok(json) => Ok(Value::Json(json)),
        Err(error) => Err(json_fault(&error)),
    }
}

/// The value of a cell as it stands in a text file: a string's content, nothing for null, all else as it is spelt.
pub(crate) fn text(raw: &RawValue) -> Result<Cow<'_, str>, Fault> {
    let spelt = raw.get();
    if spelt == "null" {
        return Ok(Cow::Borrowed(""));
    }
    if !spelt.starts_with('"') {
        return Ok(Cow::Borrowed(spelt));
    }
    match serde_json::from_str::<Text<'_>>(spelt) {
        Ok(Text(content)) => Ok(content),
        Err(error) => Err(json_fault(&error)),
    }
}

/// Adds `text`, an object that was checked, to `row` with more entries before its closing brace. Everything else stays
/// as it is written.
pub(crate) fn splice<'v>(
    row: &mut Vec<u8>,
    text: &str,
    entries: impl Iterator<Item = (&'v str, &'v Value)>,
) -> io::Result<()> {
    let (before, after) = text.rsplit_once('}').unwrap_or((text, ""));
    row.extend_from_slice(before.as_bytes());
    let mut is_first = before.trim_start().trim_start_matches('{').trim_start().is_empty();
    for (key, value) in entries {
        if !is_first {
            row.push(b',');
        }
        is_first = false;
        push_entry(row, key, value)?;
    }
    row.push(b'}');
    row.extend_from_slice(after.as_bytes());
    Ok(())
}

/// Adds `"key":value`.
pub(crate) fn push_entry(row: &mut Vec<u8>, key: &str, value: &Value) -> io::Result<()> {
    serde_json::to_writer(&mut *row, key)?;
    row.push(b':');
    match value {
        Value::Json(json) => serde_json::to_writer(row, json)?,
        Value::Text(text) => serde_json::to_writer(row, text)?,
        other => serde_json::to_writer(row, &other.to_json())?,
    }
    Ok(())
}

fn other_than_object(first: u8) -> Option<&'static str> {
    match first {
        b'{' => None,
        b'[' => Some("a list"),
        b'"' => Some("a text"),
        b'-' | b'0'..=b'9' => Some("a number"),
        b't' | b'f' | b'n' => Some("a bare word"),
        _ => Some("something that is not JSON"),
    }
}

fn json_fault(error: &serde_json::Error) -> Fault {
    let whole = error.to_string();
    // The line is ours to say, and the position comes in other words.
    let position = format!(" at line {} column {}", error.line(), error.column());
    let reason = whole.strip_suffix(&position).unwrap_or(&whole).to_owned();
    Fault::Json { reason, byte: error.column() }
}

/// Refuses a value that a table could not keep, the way the table measures it.
fn check_sizes(line: Line<'_>) -> Result<(), Defect> {
    // Spelling a number out makes it longer, at most five times (`1e15,`): a short line needs no second look.
    if line.text.len() <= limits::VALUE_BYTES_MAX / 8 {
        return Ok(());
    }
    let mut fault = None;
    entries(line, |key, raw| {
        let fits = value(raw).map(|value| match value {
            Value::Json(json) => json.to_string().len() <= limits::VALUE_BYTES_MAX,
            _ => true,
        });
        match fits {
            Ok(true) => {}
            Ok(false) => fault = Some(Fault::ValueLong { key: key.into_owned() }),
            Err(error) => fault = Some(error),
        }
    })?;
    fault.map_or(Ok(()), |fault| Err(Defect { line: line.line, fault }))
}

/// A text, without a copy where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

struct Entries<F>(F);

impl<'de, F: FnMut(Cow<'de, str>, &'de RawValue)> Visitor<'de> for Entries<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((Text(key), value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
            (self.0)(key, value);
        }
        Ok(())
    }
}

/// Goes through a value without keeping it, and stops at the first fault.
struct Walk<'a> {
    /// How many more objects and lists may be opened inside each other.
    levels_left: usize,
    /// Where the keys of the outermost object are noted.
    keys: Option<&'a mut Keys>,
    fault: &'a mut Option<Fault>,
}

impl Walk<'_> {
    /// The way out through serde, which carries errors as text: the fault itself waits in its place.
    fn stop<E: Error>(&mut self, fault: Fault) -> E {
        let error = E::custom(&fault);
        *self.fault = Some(fault);
        error
    }

    /// The walk through what stands one level further in.
    fn inside<E: Error>(&mut self) -> Result<Walk<'_>, E> {
        match self.levels_left.checked_sub(1) {
            Some(levels_left) => Ok(Walk { levels_left, keys: None, fault: self.fault }),
            None => Err(self.stop(Fault::Deep)),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        self.inside()?;
        let mut seen = HashSet::new();
        while let Some(Text(key)) = map.next_key::<Text<'de>>()? {
            if let Some(Err(fault)) = self.keys.as_mut().map(|keys| keys.note(&key)) {
                return Err(self.stop(fault));
            }
            if let Some(key) = seen.replace(key) {
                return Err(self.stop(Fault::KeyTwice { key: key.into_owned() }));
            }
            map.next_value_seed(self.inside()?)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        self.inside()?;
        while list.next_element_seed(self.inside()?)?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}
