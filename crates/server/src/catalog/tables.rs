//! The chapter of tables: make them, look at them, delete them and bring them back.

use paceline_model::{SmartKind, limits};

use super::field::{DESCRIPTION, LABEL, NAME, TABLE, TYPE};
use super::rows::CONFIRM;
use super::{Chapter, Field, Kind, Operation, Verb};
use crate::KeyScope::{Read, Write};
use crate::ops::tables;

pub(super) const CHAPTER: Chapter = Chapter {
    name: "tables",
    about: "Tables: make, show, rename, delete, restore",
    operations: OPERATIONS,
};

const OPERATIONS: &[Operation] = &[
    Operation {
        name: "list_tables",
        verb: Verb::Get,
        path: "/api/tables",
        summary: "List the tables with their sizes",
        scope: Read,
        default_tool: true,
        fields: &[],
        run: |ask| ask.of(tables::list),
    },
    Operation {
        name: "create_table",
        verb: Verb::Post,
        path: "/api/tables",
        summary: "Make a table with its first columns",
        scope: Write,
        default_tool: true,
        fields: &[
            Field::body("name", NAME, NAME_ABOUT),
            Field::body("description", DESCRIPTION, "what it is for").optional(),
            Field::body(
                "columns",
                Kind::Objects { fields: COLUMN_FIELDS, max: limits::TABLE_COLUMNS_MAX },
                "its columns, as [{\"name\": \"email\", \"type\": \"email\"}]",
            ),
        ],
        run: |ask| ask.of(tables::create),
    },
    Operation {
        name: "get_table_schema",
        verb: Verb::Get,
        path: "/api/tables/{table}",
        summary: "Show a table: its columns, and how the smart ones are filled",
        scope: Read,
        default_tool: true,
        fields: &[TABLE],
        run: |ask| ask.of(tables::schema),
    },
    Operation {
        name: "update_table",
        verb: Verb::Patch,
        path: "/api/tables/{table}",
        summary: "Change the name or the description of a table",
        scope: Write,
        default_tool: false,
        fields: &[
            TABLE,
            Field::body("name", NAME, NAME_ABOUT).optional(),
            Field::body("description", DESCRIPTION, "what it is for").optional(),
        ],
        run: |ask| ask.of(tables::update),
    },
    Operation {
        name: "delete_table",
        verb: Verb::Delete,
        path: "/api/tables/{table}",
        summary: "Delete a table; it can be restored for 30 days",
        scope: Write,
        default_tool: false,
        fields: &[TABLE, CONFIRM],
        run: |ask| ask.of(tables::delete),
    },
    Operation {
        name: "restore_table",
        verb: Verb::Post,
        path: "/api/tables/{table}/restore",
        summary: "Bring a deleted table back, under its old name or another",
        scope: Write,
        default_tool: false,
        fields: &[TABLE, Field::body("name", NAME, NAME_ABOUT).optional()],
        run: |ask| ask.of(tables::restore),
    },
    Operation {
        name: "list_deleted_tables",
        verb: Verb::Get,
        path: "/api/deleted-tables",
        summary: "List the deleted tables that can be restored, newest first",
        scope: Read,
        default_tool: false,
        fields: &[],
        run: |ask| ask.of(tables::list_deleted),
    },
];

const NAME_ABOUT: &str = "the table's name: a-z, 0-9 and _, beginning with a letter";

const COLUMN_FIELDS: &[Field] = &[
    Field::body("name", NAME, "the column's name: a-z, 0-9 and _, beginning with a letter"),
    Field::body("type", TYPE, "the type of its values"),
    Field::body("title", LABEL, "what a person calls it").optional(),
    Field::body("config", Kind::Object, "options of a select, or how a smart column calls")
        .optional(),
    Field::body(
        "kind",
        Kind::OneOf(|| SmartKind::ALL.map(SmartKind::as_str).into()),
        "makes it a smart column, as with add_smart_column",
    )
    .optional(),
    Field::body("rate_limit", Kind::Rate, "of a smart column").optional(),
];
