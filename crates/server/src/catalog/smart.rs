//! The chapter of smart columns.

use paceline_model::SmartKind;

use super::field::{COLUMN, ID, LABEL, NAME, TABLE, TYPE};
use super::{Chapter, Field, Kind, Operation, Verb};
use crate::KeyScope::{Read, Write};
use crate::ops::{cells, smart};

pub(super) const CHAPTER: Chapter = Chapter {
    name: "smart_columns",
    about: "Smart columns: cells that are filled by calling an API",
    operations: OPERATIONS,
};

const OPERATIONS: &[Operation] = &[
    Operation {
        name: "add_smart_column",
        verb: Verb::Post,
        path: "/api/tables/{table}/smart-columns",
        summary: "Add a column whose cells are filled by calling an API, row by row",
        scope: Write,
        default_tool: true,
        fields: &[
            TABLE,
            Field::body("name", NAME, "the column's name: a-z, 0-9 and _, beginning with a letter"),
            Field::body("title", LABEL, "what a person calls it").optional(),
            Field::body("type", TYPE, "the type of its values"),
            Field::body(
                "kind",
                Kind::OneOf(|| SmartKind::ALL.map(SmartKind::as_str).into()),
                "what is done for each row: an http call, or a job of another service (integration)",
            ),
            Field::body("config", Kind::Object, CONFIG_ABOUT),
            Field::body("rate_limit", Kind::Rate, RATE_ABOUT).optional(),
        ],
        run: |ask| ask.of(smart::add_smart),
    },
    Operation {
        name: "update_smart_column",
        verb: Verb::Patch,
        path: "/api/tables/{table}/smart-columns/{column}",
        summary: "Replace the configuration or the rate of a smart column; what is not given stays",
        scope: Write,
        default_tool: true,
        fields: &[
            TABLE,
            COLUMN,
            Field::body("config", Kind::Object, CONFIG_ABOUT).optional(),
            Field::body("rate_limit", Kind::Rate, RATE_ABOUT).optional(),
        ],
        run: |ask| ask.of(smart::update_smart),
    },
    Operation {
        name: "explain_cell",
        verb: Verb::Get,
        path: "/api/tables/{table}/columns/{column}/cells/{row}/attempts",
        summary: "Tell why a cell of a smart column is as it is: state, error and every call made for it",
        scope: Read,
        default_tool: true,
        fields: &[TABLE, COLUMN, Field::path("row", ID, "the row's _ht_id")],
        run: |ask| ask.of(cells::explain),
    },
    Operation {
        name: "settle_cell",
        verb: Verb::Post,
        path: "/api/tables/{table}/columns/{column}/cells/{row}/settle",
        summary: "Say what became of a call whose outcome is unknown: done, failed, or never sent and to be sent again",
        scope: Write,
        default_tool: false,
        fields: &[
            TABLE,
            COLUMN,
            Field::path("row", ID, "the row's _ht_id"),
            Field::body(
                "outcome",
                Kind::OneOf(|| cells::SETTLED_AS.into()),
                "done, failed, resend (with the same idempotency key), or attach (of Hex: a run is the job's)",
            ),
            Field::body("value", Kind::Any, "the cell's value, with done").optional(),
            Field::body("run", NAME, "the run's id at Hex, with attach").optional(),
        ],
        run: |ask| ask.of(cells::settle),
    },
    Operation {
        name: "unlock_cells",
        verb: Verb::Post,
        path: "/api/tables/{table}/columns/{column}/unlock",
        summary: "Let runs fill cells again that a person wrote; until then no run touches them",
        scope: Write,
        default_tool: false,
        fields: &[
            TABLE,
            COLUMN,
            Field::body("where", Kind::Any, "only rows that pass this filter").optional(),
        ],
        run: |ask| ask.of(smart::unlock),
    },
    Operation {
        name: "set_auto_run",
        verb: Verb::Post,
        path: "/api/tables/{table}/auto-run",
        summary: "Let the columns of a table run by themselves as their auto_run says, or keep all of them from it",
        scope: Write,
        default_tool: false,
        fields: &[TABLE, Field::body("enabled", Kind::Flag, "false keeps them from it")],
        run: |ask| ask.of(smart::set_auto_run),
    },
];

const CONFIG_ABOUT: &str = "the call: url, method, headers, body, extract, timeout_ms, repeatable; of kind integration \
     provider (webhook, slack, hex) and its own fields; of kind waterfall sources, each with a name and a call; {{column}} stands for a value of the row";
const RATE_ABOUT: &str = "a preset (aggressive, moderate, conservative, gentle) or an object; conservative if not given, \
     and of kind integration the vendor's own limits";
