//! The chapter of sources.

use super::field::{ID, NAME, TABLE};
use super::{Chapter, Field, Kind, Operation, Verb};
use crate::KeyScope::{Read, Write};
use crate::ops::sources;

pub(super) const CHAPTER: Chapter = Chapter {
    name: "sources",
    about: "Sources: where the rows of a table come from",
    operations: OPERATIONS,
};

const SOURCE: Field = Field::path("source", ID, "the source's id");
const CONFIG: &str = "by type. webhook: field_mapping. api_pull: url, method, headers, body, records_path and next_path \
     (JSONPath), field_mapping, upsert_by, schedule (cron, UTC), timeout_ms. connected_table: source_table, filter, \
     field_mapping, include_existing. field_mapping goes from a dotted path of a record to a column";

const OPERATIONS: &[Operation] = &[
    Operation {
        name: "create_source",
        verb: Verb::Post,
        path: "/api/tables/{table}/sources",
        summary: "Make a source of rows: a webhook, an API asked by the clock, another table",
        scope: Write,
        default_tool: false,
        fields: &[
            TABLE,
            Field::body("type", Kind::OneOf(|| sources::TYPES.into()), "what it is"),
            Field::body(
                "name",
                Kind::Text { bytes_max: 128 },
                "what a person calls it; the type if not given",
            )
            .optional(),
            Field::body("config", Kind::Object, CONFIG).optional(),
        ],
        run: |ask| ask.of(sources::create),
    },
    Operation {
        name: "list_sources",
        verb: Verb::Get,
        path: "/api/sources",
        summary: "List sources: type, status, rows brought, last and next run",
        scope: Read,
        default_tool: false,
        fields: &[Field::query("table", NAME, "those of this table; all if not given")],
        run: |ask| ask.of(sources::list),
    },
    Operation {
        name: "list_table_sources",
        verb: Verb::Get,
        path: "/api/tables/{table}/sources",
        summary: "List the sources of a table",
        scope: Read,
        default_tool: false,
        fields: &[TABLE],
        run: |ask| ask.of(sources::list),
    },
    Operation {
        name: "update_source",
        verb: Verb::Patch,
        path: "/api/sources/{source}",
        summary: "Enable or disable a source, give it another configuration or another secret",
        scope: Write,
        default_tool: false,
        fields: &[
            SOURCE,
            Field::body("enabled", Kind::Flag, "whether it brings rows").optional(),
            Field::body(
                "config",
                Kind::Object,
                "in place of the whole old one; secrets must be given again",
            )
            .optional(),
            Field::body(
                "rotate_secret",
                Kind::Flag,
                "of a webhook: make a new secret; the old one ends",
            )
            .optional(),
        ],
        run: |ask| ask.of(sources::update),
    },
    Operation {
        name: "delete_source",
        verb: Verb::Delete,
        path: "/api/sources/{source}",
        summary: "Delete a source; the rows that it brought stay",
        scope: Write,
        default_tool: false,
        fields: &[SOURCE, Field::query("confirm", Kind::Flag, "must be true")],
        run: |ask| ask.of(sources::delete),
    },
    Operation {
        name: "trigger_source",
        verb: Verb::Post,
        path: "/api/sources/{source}/trigger",
        summary: "Ask the API of a source now, and say what came of it",
        scope: Write,
        default_tool: false,
        fields: &[SOURCE],
        run: |ask| ask.of(sources::trigger),
    },
];
