//! What a follower knows of each row: four bytes per row, kept in chunks of rows that are read and written as a whole.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use paceline_model::{NewItem, Note, TableId, Value};
use serde_json::Value as Json;

use crate::App;
use crate::error::Result;

const KIND: &str = "marks";
/// Rows of a chunk: 16 KiB of marks.
pub(super) const CHUNK_ROWS: usize = 4_096;
const MARK_BYTES: usize = 4;

/// The chunk that a row is of.
pub(super) fn chunk_of(row: i64) -> i64 {
    row.div_euclid(CHUNK_ROWS as i64)
}

/// What stands for a value. Never 0, which stands for nothing known.
pub(super) fn mark_of(value: &Value) -> u32 {
    let hash = blake3::hash(value.to_json().to_string().as_bytes());
    let mut bytes = [0; MARK_BYTES];
    bytes.copy_from_slice(&hash.as_bytes()[..MARK_BYTES]);
    u32::from_le_bytes(bytes).max(1)
}

/// The marks of one chunk.
#[derive(Debug)]
pub(super) struct Marks {
    chunk: i64,
    /// The item they are kept in, and its version.
    item: Option<(i64, i64)>,
    marks: Vec<u32>,
    changed: bool,
}

impl Marks {
    /// A chunk of which nothing is known.
    pub(super) fn empty(chunk: i64) -> Self {
        Self { chunk, item: None, marks: Vec::new(), changed: false }
    }

    /// The marks of a chunk.
    pub(super) async fn load(app: &App, chunks: &BTreeMap<i64, i64>, chunk: i64) -> Result<Self> {
        let mut marks = Self::empty(chunk);
        let Some(id) = chunks.get(&chunk) else { return Ok(marks) };
        if let Some(item) = app.engine.store().item(KIND, *id).await? {
            marks.item = Some((item.id, item.version));
            marks.marks = decode(item.body.as_str().unwrap_or_default());
        }
        Ok(marks)
    }

    pub(super) fn get(&self, row: i64) -> u32 {
        self.marks.get(place(row)).copied().unwrap_or(0)
    }

    pub(super) fn set(&mut self, row: i64, mark: u32) {
        if self.get(row) == mark {
            return;
        }
        if self.marks.len() <= place(row) {
            self.marks.resize(place(row) + 1, 0);
        }
        self.marks[place(row)] = mark;
        self.changed = true;
    }

    /// What must be written, if anything has changed. The item is made here if there is none; without the position that
    /// names it, it means nothing.
    pub(super) async fn note(
        self,
        app: &App,
        table: TableId,
        chunks: &mut BTreeMap<i64, i64>,
    ) -> Result<Option<Note>> {
        if !self.changed {
            return Ok(None);
        }
        let (id, version) = match self.item {
            Some(item) => item,
            None => {
                let name = format!("{}:{:016x}", self.chunk, app.random.next_u64());
                let new = NewItem { kind: KIND, table: Some(table), name, body: Json::Null };
                let made = app.engine.store().create_item(new).await?;
                chunks.insert(self.chunk, made.id);
                (made.id, made.version)
            }
        };
        let body = encode(&self.marks).into();
        Ok(Some(Note::Item { kind: KIND, id, version, body }))
    }
}

/// Takes away the marks of a follower that is no more.
pub(crate) async fn forget(app: &App, items: impl Iterator<Item = i64>) -> Result<()> {
    for id in items {
        app.engine.store().delete_item(KIND, id).await?;
    }
    Ok(())
}

fn place(row: i64) -> usize {
    usize::try_from(row.rem_euclid(CHUNK_ROWS as i64)).unwrap_or_default()
}

fn encode(marks: &[u32]) -> String {
    let bytes: Vec<u8> = marks.iter().flat_map(|mark| mark.to_le_bytes()).collect();
    STANDARD_NO_PAD.encode(bytes)
}

/// What cannot be read counts as not known.
fn decode(text: &str) -> Vec<u32> {
    let bytes = STANDARD_NO_PAD.decode(text).unwrap_or_default();
    let words = bytes.chunks_exact(MARK_BYTES).map(|word| {
        let mut bytes = [0; MARK_BYTES];
        bytes.copy_from_slice(word);
        u32::from_le_bytes(bytes)
    });
    words.take(CHUNK_ROWS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_survive_being_written() {
        let mut marks = Marks::empty(1);
        for (row, mark) in [(4_096, 7), (8_191, u32::MAX), (5_000, 1)] {
            marks.set(row, mark);
        }
        assert!(marks.changed);
        let read = Marks { marks: decode(&encode(&marks.marks)), ..Marks::empty(1) };
        for row in [4_096, 8_191, 5_000, 4_097] {
            assert_eq!(read.get(row), marks.get(row), "{row}");
        }
        assert_eq!(decode("!"), Vec::<u32>::new());
    }

    #[test]
    fn a_value_has_a_mark_that_is_not_nothing() {
        assert_ne!(mark_of(&Value::Null), 0);
        assert_ne!(mark_of(&Value::Null), mark_of(&Value::Text(String::new())));
    }
}
