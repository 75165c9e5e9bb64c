//! The rows of the catalogue.

use paceline_model::{ColumnType, Scope, SmartKind, limits};

use super::{Field, Kind, Operation, Verb};
use crate::KeyScope::{Read, Write};
use crate::app::{DESCRIPTION_BYTES_MAX, LABEL_BYTES_MAX, RUNS_MAX};
use crate::ops::{cells, columns, rows, runs, tables};

/// Every operation, in the order of the documentation.
pub static CATALOGUE: &[Operation] = &[
    Operation {
        name: "list_tables",
        verb: Verb::Get,
        path: "/api/tables",
        summary: "List the tables with their sizes",
        scope: Read,
        fields: &[],
        run: |call| call.of(tables::list),
    },
    Operation {
        name: "create_table",
        verb: Verb::Post,
        path: "/api/tables",
        summary: "Make a table with its first columns",
        scope: Write,
        fields: &[
            Field::body("name", NAME, "the table's name: a-z, 0-9 and _, beginning with a letter"),
            Field::body("description", DESCRIPTION, "what it is for").optional(),
            Field::body(
                "columns",
                Kind::Objects { fields: COLUMN_FIELDS, max: limits::TABLE_COLUMNS_MAX },
                "its columns, as [{\"name\": \"email\", \"type\": \"email\"}]",
            ),
        ],
        run: |call| call.of(tables::create),
    },
    Operation {
        name: "get_table_schema",
        verb: Verb::Get,
        path: "/api/tables/{table}",
        summary: "Show a table: its columns, and how the smart ones are filled",
        scope: Read,
        fields: &[TABLE],
        run: |call| call.of(tables::schema),
    },
    Operation {
        name: "insert_rows",
        verb: Verb::Post,
        path: "/api/tables/{table}/rows",
        summary: "Insert up to 10,000 rows; all of them or none",
        scope: Write,
        fields: &[
            TABLE,
            Field::body("rows", Kind::Rows, "the rows, as [{\"email\": \"a@example.com\"}]"),
        ],
        run: |call| call.of(rows::insert),
    },
    Operation {
        name: "query_rows",
        verb: Verb::Get,
        path: "/api/tables/{table}/rows",
        summary: "Read a page of rows in the order of their ids",
        scope: Read,
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
        run: |call| call.of(rows::query),
    },
    Operation {
        name: "count_rows",
        verb: Verb::Get,
        path: "/api/tables/{table}/rows/count",
        summary: "Count the rows of a table",
        scope: Read,
        fields: &[TABLE],
        run: |call| call.of(rows::count),
    },
    Operation {
        name: "add_smart_column",
        verb: Verb::Post,
        path: "/api/tables/{table}/smart-columns",
        summary: "Add a column whose cells are filled by calling an API, row by row",
        scope: Write,
        fields: &[
            TABLE,
            Field::body("name", NAME, "the column's name: a-z, 0-9 and _, beginning with a letter"),
            Field::body("title", LABEL, "what a person calls it").optional(),
            Field::body("type", TYPE, "the type of its values"),
            Field::body("kind", Kind::OneOf(|| SmartKind::ALL.map(SmartKind::as_str).into()),
                "what is done for each row: an http call, or a job of another service (integration)"),
            Field::body("config", Kind::Object, CONFIG_ABOUT),
            Field::body("rate_limit", Kind::Rate, RATE_ABOUT).optional(),
        ],
        run: |call| call.of(columns::add_smart),
    },
    Operation {
        name: "update_smart_column",
        verb: Verb::Patch,
        path: "/api/tables/{table}/smart-columns/{column}",
        summary: "Replace the configuration or the rate of a smart column; what is not given stays",
        scope: Write,
        fields: &[
            TABLE,
            COLUMN,
            Field::body("config", Kind::Object, CONFIG_ABOUT).optional(),
            Field::body("rate_limit", Kind::Rate, RATE_ABOUT).optional(),
        ],
        run: |call| call.of(columns::update_smart),
    },
    Operation {
        name: "run_column",
        verb: Verb::Post,
        path: "/api/tables/{table}/columns/{column}/run",
        summary: "Fill the cells of a smart column",
        scope: Write,
        fields: &[
            TABLE,
            COLUMN,
            Field::body(
                "scope",
                Kind::OneOf(|| Scope::ALL.map(Scope::as_str).into()),
                "which cells: all, empty (the default), failed, or (of kind integration) unknown: looked up again",
            )
            .optional(),
        ],
        run: |call| call.of(runs::start),
    },
    Operation {
        name: "retry_failed_cells",
        verb: Verb::Post,
        path: "/api/tables/{table}/columns/{column}/retry",
        summary: "Call again for the cells that failed; a paused run of the column goes on first",
        scope: Write,
        fields: &[TABLE, COLUMN],
        run: |call| call.of(runs::retry),
    },
    Operation {
        name: "list_runs",
        verb: Verb::Get,
        path: "/api/tables/{table}/runs",
        summary: "List the runs of a table, newest first",
        scope: Read,
        fields: &[
            TABLE,
            Field::query(
                "limit",
                Kind::Whole { min: 1, max: RUNS_MAX },
                "runs at the most; 25 if not given",
            ),
        ],
        run: |call| call.of(runs::list),
    },
    Operation {
        name: "get_run",
        verb: Verb::Get,
        path: "/api/runs/{run}",
        summary: "Show a run: how far it has come and when it will end",
        scope: Read,
        fields: &[RUN],
        run: |call| call.of(runs::get),
    },
    Operation {
        name: "pause_run",
        verb: Verb::Post,
        path: "/api/runs/{run}/pause",
        summary: "Pause a run: nothing new starts, what is in flight ends and is kept",
        scope: Write,
        fields: &[RUN],
        run: |call| call.of(runs::pause),
    },
    Operation {
        name: "resume_run",
        verb: Verb::Post,
        path: "/api/runs/{run}/resume",
        summary: "Let a paused run go on where it stood",
        scope: Write,
        fields: &[RUN],
        run: |call| call.of(runs::resume),
    },
    Operation {
        name: "cancel_run",
        verb: Verb::Post,
        path: "/api/runs/{run}/cancel",
        summary: "End a run for good: what still comes back is kept on record and not applied",
        scope: Write,
        fields: &[RUN],
        run: |call| call.of(runs::cancel),
    },
    Operation {
        name: "explain_cell",
        verb: Verb::Get,
        path: "/api/tables/{table}/columns/{column}/cells/{row}/attempts",
        summary: "Tell why a cell of a smart column is as it is: state, error and every call made for it",
        scope: Read,
        fields: &[TABLE, COLUMN, Field::path("row", ID, "the row's _ht_id")],
        run: |call| call.of(cells::explain),
    },
];

const NAME: Kind = Kind::Text { bytes_max: LABEL_BYTES_MAX };
const LABEL: Kind = Kind::Text { bytes_max: LABEL_BYTES_MAX };
const DESCRIPTION: Kind = Kind::Text { bytes_max: DESCRIPTION_BYTES_MAX };
const ID: Kind = Kind::Whole { min: 1, max: i64::MAX as u64 };
const TYPE: Kind = Kind::OneOf(|| ColumnType::ALL.map(ColumnType::as_str).into());

const TABLE: Field = Field::path("table", NAME, "the table's name or id");
const COLUMN: Field = Field::path("column", NAME, "the column's name");
const RUN: Field = Field::path("run", ID, "the run's id");

const COLUMN_FIELDS: &[Field] = &[
    Field::body("name", NAME, "the column's name: a-z, 0-9 and _, beginning with a letter"),
    Field::body("type", TYPE, "the type of its values"),
    Field::body("title", LABEL, "what a person calls it").optional(),
];

const CONFIG_ABOUT: &str = "the call: url, method, headers, body, extract, timeout_ms, repeatable; of kind integration \
     the job: provider (hex), project, params, token and the provider's settings; {{column}} stands for a value of the row";
const RATE_ABOUT: &str = "a preset (aggressive, moderate, conservative, gentle) or an object; conservative if not given, \
     and of kind integration the vendor's own limits";
