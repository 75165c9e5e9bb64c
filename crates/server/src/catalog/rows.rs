//! The chapter of rows: put them in, get them out, change and delete them.

use paceline_model::limits;

use super::field::{ID, TABLE};
use super::{Chapter, Field, Kind, Operation, Place, Verb};
use crate::KeyScope::{Read, Write};
use crate::ops::cursor::CURSOR_BYTES_MAX;
use crate::ops::rows::{self, Format};

pub(super) const CHAPTER: Chapter =
    Chapter { name: "rows", about: "Rows: in, out, changed and deleted", operations: OPERATIONS };

const OPERATIONS: &[Operation] = &[
    Operation {
        name: "insert_rows",
        verb: Verb::Post,
        path: "/api/tables/{table}/rows",
        summary: "Insert up to 10,000 rows, or update those that are there; all of them or none",
        scope: Write,
        default_tool: true,
        fields: &[
            TABLE,
            Field::body("rows", Kind::Rows, "the rows, as [{\"email\": \"a@example.com\"}]"),
            Field::body(
                "upsert_by",
                Kind::Names { max: limits::TABLE_COLUMNS_MAX },
                "columns: a row that is alike in them is updated instead of inserted",
            )
            .optional(),
            Field::body(
                "ignore_unknown",
                Kind::Flag,
                "leave out values whose name no column has, and tell the names, instead of refusing the call",
            )
            .optional(),
        ],
        run: |ask| ask.with_rows(|app, _, input, given| rows::insert(app, input, given)),
    },
    Operation {
        name: "query_rows",
        verb: Verb::Get,
        path: "/api/tables/{table}/rows",
        summary: "Read rows: filtered, sorted, page by page or all of them as a stream",
        scope: Read,
        default_tool: true,
        fields: &[
            TABLE,
            Field::query("where", Kind::Any, WHERE_ABOUT),
            Field::query("order_by", Kind::Any, ORDER_ABOUT),
            Field::query("limit", LIMIT, LIMIT_ABOUT),
            Field::query("offset", OFFSET, "rows to leave out first"),
            Field::query("cursor", CURSOR, CURSOR_ABOUT),
            Field::query("columns", COLUMNS, "the columns wanted, separated by commas; all if not given"),
            Field::query("format", FORMAT, FORMAT_ABOUT),
        ],
        run: |ask| ask.of(rows::query),
    },
    Operation {
        name: "search_rows",
        verb: Verb::Post,
        path: "/api/tables/{table}/rows/query",
        summary: "As query_rows, with its arguments in the body: for filters too long for an address",
        scope: Read,
        default_tool: false,
        fields: &[
            TABLE,
            Field::body("where", Kind::Any, WHERE_ABOUT).optional(),
            Field::body("order_by", Kind::Any, ORDER_ABOUT).optional(),
            Field::body("limit", LIMIT, LIMIT_ABOUT).optional(),
            Field::body("offset", OFFSET, "rows to leave out first").optional(),
            Field::body("cursor", CURSOR, CURSOR_ABOUT).optional(),
            Field::body("columns", COLUMNS, "the columns wanted; all if not given").optional(),
            Field::body("format", FORMAT, FORMAT_ABOUT).optional(),
        ],
        run: |ask| ask.of(rows::search),
    },
    Operation {
        name: "count_rows",
        verb: Verb::Get,
        path: "/api/tables/{table}/rows/count",
        summary: "Count the rows of a table, all or those that pass a filter",
        scope: Read,
        default_tool: true,
        fields: &[TABLE, Field::query("where", Kind::Any, WHERE_ABOUT)],
        run: |ask| ask.of(rows::count),
    },
    Operation {
        name: "get_row",
        verb: Verb::Get,
        path: "/api/tables/{table}/rows/{row}",
        summary: "Read one row by its id",
        scope: Read,
        default_tool: false,
        fields: &[
            TABLE,
            ROW,
            Field::query("columns", COLUMNS, "the columns wanted, separated by commas; all if not given"),
        ],
        run: |ask| ask.of(rows::get),
    },
    Operation {
        name: "update_rows",
        verb: Verb::Patch,
        path: "/api/tables/{table}/rows",
        summary: "Set columns to new values in every row that passes a filter",
        scope: Write,
        default_tool: true,
        fields: &[
            TABLE,
            Field::body("where", Kind::Any, WHERE_ABOUT).optional(),
            Field::body("ids", Kind::Any, IDS_ABOUT).optional(),
            Field::body("values", Kind::Object, "the new values, as {\"stage\": \"customer\"}"),
            Field::body("confirm", Kind::Flag, "true, where every row of the table is meant").optional(),
        ],
        run: |ask| ask.of(rows::update),
    },
    Operation {
        name: "delete_rows",
        verb: Verb::Delete,
        path: "/api/tables/{table}/rows",
        summary: "Delete every row that passes a filter, for good",
        scope: Write,
        default_tool: false,
        fields: &[
            TABLE,
            Field::query("where", Kind::Any, WHERE_ABOUT),
            Field::query("ids", Kind::Any, IDS_ABOUT),
            CONFIRM,
        ],
        run: |ask| ask.of(rows::delete),
    },
];

/// That something is really to be deleted. In a query or a body.
pub(super) const CONFIRM: Field = Field {
    name: "confirm",
    place: Place::Query,
    kind: Kind::Flag,
    required: false,
    about: "true: without it nothing is deleted, and the answer tells what would be",
};
const ROW: Field = Field::path("row", ID, "the row's _ht_id");

const LIMIT: Kind = Kind::Whole { min: 0, max: limits::PAGE_ROWS_MAX as u64 };
const OFFSET: Kind = Kind::Whole { min: 0, max: i64::MAX as u64 };
const CURSOR: Kind = Kind::Text { bytes_max: CURSOR_BYTES_MAX };
const COLUMNS: Kind = Kind::Names { max: limits::TABLE_COLUMNS_MAX };
const FORMAT: Kind = Kind::OneOf(|| Format::NAMES.into());

const WHERE_ABOUT: &str = "which rows, as {\"price\": {\"gte\": 5}, \"city\": \"Bern\"} (all must hold) or {\"or\": [{...}, {...}]}; \
     operators: eq, neq, gt, gte, lt, lte, contains, starts_with, in, between, is_null, is_not_null; {} is every row";
const ORDER_ABOUT: &str =
    "the order, as {\"price\": \"desc\"}; that of the row ids if not given; empty values come last";
const LIMIT_ABOUT: &str = "rows of the page at the most; 25 if not given; 0 streams all of them";
const CURSOR_ABOUT: &str =
    "where to go on: `meta.next_cursor` of the page before, with the same where and order_by";
const FORMAT_ABOUT: &str = "how limit=0 streams: json (one envelope) or ndjson (a row per line)";
const IDS_ABOUT: &str = "instead of where: the _ht_id of each row, as [7, 8]";
