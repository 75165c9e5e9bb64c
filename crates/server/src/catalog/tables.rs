//! The chapter of tables: make them, look at them, put rows in and get them out.

use paceline_model::limits;

use super::field::{DESCRIPTION, LABEL, NAME, TABLE, TYPE};
use super::{Chapter, Field, Kind, Operation, Verb};
use crate::KeyScope::{Read, Write};
use crate::ops::{rows, tables};

pub(super) const CHAPTER: Chapter = Chapter {
    name: "tables",
    about: "Tables, their columns and their rows",
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
            Field::body("name", NAME, "the table's name: a-z, 0-9 and _, beginning with a letter"),
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
        name: "insert_rows",
        verb: Verb::Post,
        path: "/api/tables/{table}/rows",
        summary: "Insert up to 10,000 rows; all of them or none",
        scope: Write,
        default_tool: true,
        fields: &[
            TABLE,
            Field::body("rows", Kind::Rows, "the rows, as [{\"email\": \"a@example.com\"}]"),
        ],
        run: |ask| ask.of(rows::insert),
    },
    Operation {
        name: "query_rows",
        verb: Verb::Get,
        path: "/api/tables/{table}/rows",
        summary: "Read a page of rows in the order of their ids",
        scope: Read,
        default_tool: true,
        fields: &[
            TABLE,
            Field::query(
                "limit",
                Kind::Whole { min: 1, max: limits::PAGE_ROWS_MAX as u64 },
                "rows of the page at the most; 25 if not given",
            ),
            Field::query("cursor", LABEL, "where to go on: `meta.next_cursor` of the page before"),
            Field::query(
                "columns",
                Kind::Names { max: limits::TABLE_COLUMNS_MAX },
                "the columns wanted, separated by commas; all if not given",
            ),
        ],
        run: |ask| ask.of(rows::query),
    },
    Operation {
        name: "count_rows",
        verb: Verb::Get,
        path: "/api/tables/{table}/rows/count",
        summary: "Count the rows of a table",
        scope: Read,
        default_tool: true,
        fields: &[TABLE],
        run: |ask| ask.of(rows::count),
    },
];

const COLUMN_FIELDS: &[Field] = &[
    Field::body("name", NAME, "the column's name: a-z, 0-9 and _, beginning with a letter"),
    Field::body("type", TYPE, "the type of its values"),
    Field::body("title", LABEL, "what a person calls it").optional(),
];
