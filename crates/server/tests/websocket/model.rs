//! What a client makes of its feed: a table of its own, to be held against the database.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use crate::support::sequence;

/// The rows there are, and of the cells of one column the state and the value.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Model {
    pub(crate) rows: BTreeSet<i64>,
    pub(crate) cells: BTreeMap<i64, (String, String)>,
}

/// A client's model, what it has to read because it was only named, and when each message came.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    pub(crate) model: Model,
    pub(crate) named: BTreeSet<i64>,
    /// How far it had come, and at what time of the wall, in microseconds.
    pub(crate) came: Vec<(i64, i64)>,
    pub(crate) bytes: usize,
    /// The last word on the run.
    pub(crate) run_status: String,
}

impl Replay {
    pub(crate) fn apply(&mut self, text: &str, came_at: i64) {
        let message: Json = serde_json::from_str(text).unwrap();
        let (name, payload) = (message["type"].as_str().unwrap(), &message["payload"]);
        self.bytes += text.len();
        let at = sequence(payload);
        if self.came.last().is_none_or(|(last, _)| *last < at) {
            self.came.push((at, came_at));
        }
        match name {
            "rows.inserted" => {
                let ends = ["first", "last"].map(|end| payload[end].as_i64().unwrap());
                self.model.rows.extend(ends[0]..=ends[1]);
            }
            "rows.deleted" => {
                for row in payload["rows"].as_array().unwrap().iter().filter_map(Json::as_i64) {
                    self.model.rows.remove(&row);
                    self.model.cells.remove(&row);
                }
            }
            "cells" => self.cells(payload),
            "run" => payload["status"].as_str().unwrap().clone_into(&mut self.run_status),
            "hello" | "schema.changed" => {}
            other => panic!("{other} was not expected: {payload}"),
        }
    }

    fn cells(&mut self, payload: &Json) {
        for cell in payload["cells"].as_array().unwrap() {
            let row = cell["row"].as_i64().unwrap();
            let state = cell["state"].as_str().unwrap().to_owned();
            let value = cell["value"].as_str().unwrap_or_default().to_owned();
            self.named.remove(&row);
            self.model.cells.insert(row, (state, value));
        }
        for more in payload["more"].as_array().unwrap() {
            self.named.extend(more["rows"].as_array().unwrap().iter().filter_map(Json::as_i64));
        }
    }

    /// Reads what was only named, as the documentation tells a client to.
    pub(crate) fn read_named(&mut self, database: &Model) {
        for row in std::mem::take(&mut self.named) {
            if let Some(cell) = database.cells.get(&row) {
                self.model.cells.insert(row, cell.clone());
            }
        }
    }
}
