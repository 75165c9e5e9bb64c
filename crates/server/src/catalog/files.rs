//! The chapter of files: rows in from a file, rows out into one, and the jobs that do it.

use paceline_files::FileFormat;
use paceline_model::limits;

use super::field::{ID, NAME, TABLE};
use super::{Chapter, Field, Kind, Operation, Verb};
use crate::KeyScope::{Read, Write};
use crate::app::RUNS_MAX;
use crate::ops::files;

pub(super) const CHAPTER: Chapter = Chapter {
    name: "files",
    about: "Importing and exporting CSV, TSV, JSONL and Parquet",
    operations: OPERATIONS,
};

const OPERATIONS: &[Operation] = &[
    Operation {
        name: "import_rows",
        verb: Verb::Post,
        path: "/api/tables/{table}/imports",
        summary: "Import rows from CSV, TSV or JSONL as a job; bad rows are kept apart and reported",
        scope: Write,
        default_tool: false,
        fields: &[
            TABLE,
            Field::body("data", Kind::Text { bytes_max: limits::API_BODY_BYTES_MAX }, DATA_ABOUT),
            Field::body(
                "format",
                Kind::OneOf(|| vec!["csv", "tsv", "jsonl"]),
                "what `data` is; csv if not given",
            )
            .optional(),
            Field::body(
                "mapping",
                Kind::Object,
                "columns of the data to columns of the table, as {\"E-Mail\": \"email\", \"Notes\": null}; the rest is found by name",
            )
            .optional(),
            Field::body(
                "create_columns",
                Kind::Flag,
                "whether columns that the table does not have are added, as text",
            )
            .optional(),
            Field::body(
                "mode",
                Kind::OneOf(|| vec!["insert", "upsert"]),
                "insert every row (the default), or update those whose key is there already",
            )
            .optional(),
            Field::body(
                "key",
                Kind::Names { max: limits::TABLE_COLUMNS_MAX },
                "the columns by which upsert knows a row",
            )
            .optional(),
        ],
        run: |ask| ask.of(files::import_rows),
    },
    Operation {
        name: "export_rows",
        verb: Verb::Post,
        path: "/api/tables/{table}/exports",
        summary: "Export rows: short ones as text in the reply, else as a file with a link that expires",
        scope: Read,
        default_tool: false,
        fields: &[
            TABLE,
            Field::body(
                "format",
                Kind::OneOf(|| FileFormat::ALL.map(FileFormat::as_str).into()),
                "csv if not given",
            )
            .optional(),
            Field::body("where", Kind::Any, "which rows, as in query_rows; all if not given")
                .optional(),
            Field::body("order_by", Kind::Any, "their order, as in query_rows").optional(),
            Field::body(
                "columns",
                Kind::Names { max: limits::TABLE_COLUMNS_MAX },
                "which columns, also _ht_id, _ht_created_at and _ht_updated_at; all of the table's own if not given",
            )
            .optional(),
        ],
        run: |ask| ask.of(files::export_rows),
    },
    Operation {
        name: "list_jobs",
        verb: Verb::Get,
        path: "/api/jobs",
        summary: "List imports and exports, newest first",
        scope: Read,
        default_tool: false,
        fields: &[
            Field::query("table", NAME, "those of this table only"),
            Field::query(
                "limit",
                Kind::Whole { min: 1, max: RUNS_MAX },
                "jobs at the most; 25 if not given",
            ),
        ],
        run: |ask| ask.of(files::list),
    },
    Operation {
        name: "get_job",
        verb: Verb::Get,
        path: "/api/jobs/{job}",
        summary: "Show an import or export: how far it has come, its bad rows, its file",
        scope: Read,
        default_tool: false,
        fields: &[JOB],
        run: |ask| ask.of(files::get),
    },
    Operation {
        name: "cancel_job",
        verb: Verb::Post,
        path: "/api/jobs/{job}/cancel",
        summary: "End an import or export; rows that are in the table by then stay",
        scope: Write,
        default_tool: false,
        fields: &[JOB],
        run: |ask| ask.of(files::cancel),
    },
];

const JOB: Field = Field::path("job", ID, "the job's id");
const DATA_ABOUT: &str = "the rows as text; a file of up to 2 GB, Parquet too, is sent as the body of POST \
     /api/tables/{table}/imports/upload instead";
