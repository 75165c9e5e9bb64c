//! The chapter of columns that hold data.

use super::field::{COLUMN, LABEL, NAME, TABLE, TYPE};
use super::rows::CONFIRM;
use super::{Chapter, Field, Kind, Operation, Verb};
use crate::KeyScope::Write;
use crate::ops::columns;

pub(super) const CHAPTER: Chapter =
    Chapter { name: "columns", about: "Columns: add, rename, delete", operations: OPERATIONS };

const OPERATIONS: &[Operation] = &[
    Operation {
        name: "add_column",
        verb: Verb::Post,
        path: "/api/tables/{table}/columns",
        summary: "Add a column that holds data",
        scope: Write,
        default_tool: false,
        fields: &[
            TABLE,
            Field::body("name", NAME, NAME_ABOUT),
            Field::body("type", TYPE, "the type of its values"),
            Field::body("title", LABEL, "what a person calls it").optional(),
            Field::body("config", Kind::Object, OPTIONS_ABOUT).optional(),
        ],
        run: |ask| ask.of(columns::add),
    },
    Operation {
        name: "update_column",
        verb: Verb::Patch,
        path: "/api/tables/{table}/columns/{column}",
        summary: "Change the name, title or options of a column; templates that use it follow",
        scope: Write,
        default_tool: false,
        fields: &[
            TABLE,
            COLUMN,
            Field::body("name", NAME, NAME_ABOUT).optional(),
            Field::body("title", LABEL, "what a person calls it; empty text takes it away")
                .optional(),
            Field::body("config", Kind::Object, OPTIONS_ABOUT).optional(),
        ],
        run: |ask| ask.of(columns::update),
    },
    Operation {
        name: "delete_column",
        verb: Verb::Delete,
        path: "/api/tables/{table}/columns/{column}",
        summary: "Delete a column with its values, for good; not one that a smart column uses",
        scope: Write,
        default_tool: false,
        fields: &[TABLE, COLUMN, CONFIRM],
        run: |ask| ask.of(columns::delete),
    },
];

const NAME_ABOUT: &str = "the column's name: a-z, 0-9 and _, beginning with a letter";
pub(super) const OPTIONS_ABOUT: &str =
    "of select and multi_select: {\"options\": [\"lead\", \"customer\"]}";
