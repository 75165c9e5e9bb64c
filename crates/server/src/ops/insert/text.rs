//! Rows straight from the text of a body into values, without a tree of JSON in between: most of what a large insert costs
//! outside the database. Only what is right goes this way; whatever is not is read again the usual way, which tells what is
//! wrong with it.

use std::fmt;

use paceline_model::{Table, Value};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;

use super::{Incoming, Names, Slot, is_too_wide};

/// The rows of a list of objects; none if anything about it is unusual.
pub(super) fn incoming(
    table: &Table,
    text: &[u8],
    rows_max: usize,
    ignore_unknown: bool,
) -> Option<Incoming> {
    let mut list =
        List { names: Names::of(table, "rows", ignore_unknown), rows: Vec::new(), rows_max };
    let mut reader = serde_json::Deserializer::from_slice(text);
    (&mut list).deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    list.names.end(list.rows).ok()
}

/// Why reading stops; what it was is told by the usual way.
const UNUSUAL: &str = "unusual";

struct List<'t> {
    names: Names<'t>,
    rows: Vec<Vec<Value>>,
    rows_max: usize,
}

impl<'de> DeserializeSeed<'de> for &mut List<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for &mut List<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(values) = items.next_element_seed(Row(&mut self.names))? {
            self.rows.push(values);
            if self.rows.len() > self.rows_max
                || is_too_wide(self.rows.len(), self.names.columns.len())
            {
                return Err(A::Error::custom(UNUSUAL));
            }
        }
        Ok(())
    }
}

struct Row<'n, 't>(&'n mut Names<'t>);

impl<'de> DeserializeSeed<'de> for Row<'_, '_> {
    type Value = Vec<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Row<'_, '_> {
    type Value = Vec<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let names = self.0;
        let mut values = names.begin();
        let mut nth = 0;
        while let Some(slot) = fields.next_key_seed(Key { names, nth })? {
            let json: Json = fields.next_value()?;
            nth += 1;
            let Some(slot) = slot else { continue };
            let taken = names.put(&mut values, slot, json);
            if !matches!(taken, Some(Ok(()))) {
                return Err(A::Error::custom(UNUSUAL));
            }
        }
        Ok(values)
    }
}

/// A name, resolved without a copy of it.
struct Key<'n, 't> {
    names: &'n mut Names<'t>,
    nth: usize,
}

impl<'de> DeserializeSeed<'de> for Key<'_, '_> {
    type Value = Option<Slot>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_, '_> {
    type Value = Option<Slot>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
        self.names.slot_at(self.nth, None, name).map_err(|_| E::custom(UNUSUAL))
    }
}
