//! The chapter of runs.

use paceline_model::Scope;

use super::field::{COLUMN, RUN, TABLE};
use super::{Chapter, Field, Kind, Operation, Verb};
use crate::KeyScope::{Read, Write};
use crate::app::RUNS_MAX;
use crate::ops::runs;

pub(super) const CHAPTER: Chapter = Chapter {
    name: "runs",
    about: "Runs: filling many cells, and following it",
    operations: OPERATIONS,
};

const OPERATIONS: &[Operation] = &[
    Operation {
        name: "run_column",
        verb: Verb::Post,
        path: "/api/tables/{table}/columns/{column}/run",
        summary: "Fill the cells of a smart column",
        scope: Write,
        default_tool: true,
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
        run: |ask| ask.of(runs::start),
    },
    Operation {
        name: "retry_failed_cells",
        verb: Verb::Post,
        path: "/api/tables/{table}/columns/{column}/retry",
        summary: "Call again for the cells that failed; a paused run of the column goes on first",
        scope: Write,
        default_tool: true,
        fields: &[TABLE, COLUMN],
        run: |ask| ask.of(runs::retry),
    },
    Operation {
        name: "list_runs",
        verb: Verb::Get,
        path: "/api/tables/{table}/runs",
        summary: "List the runs of a table, newest first",
        scope: Read,
        default_tool: false,
        fields: &[
            TABLE,
            Field::query(
                "limit",
                Kind::Whole { min: 1, max: RUNS_MAX },
                "runs at the most; 25 if not given",
            ),
        ],
        run: |ask| ask.of(runs::list),
    },
    Operation {
        name: "get_run",
        verb: Verb::Get,
        path: "/api/runs/{run}",
        summary: "Show a run: how far it has come and when it will end",
        scope: Read,
        default_tool: true,
        fields: &[RUN],
        run: |ask| ask.of(runs::get),
    },
    Operation {
        name: "pause_run",
        verb: Verb::Post,
        path: "/api/runs/{run}/pause",
        summary: "Pause a run: nothing new starts, what is in flight ends and is kept",
        scope: Write,
        default_tool: false,
        fields: &[RUN],
        run: |ask| ask.of(runs::pause),
    },
    Operation {
        name: "resume_run",
        verb: Verb::Post,
        path: "/api/runs/{run}/resume",
        summary: "Let a paused run go on where it stood, with other caps if it has reached one",
        scope: Write,
        default_tool: false,
        fields: &[
            RUN,
            Field::body(
                "caps",
                Kind::Object,
                "in place of the old ones, as in {\"calls\": 1000, \"cost_micros\": 500000}",
            )
            .optional(),
        ],
        run: |ask| ask.of(runs::resume),
    },
    Operation {
        name: "cancel_run",
        verb: Verb::Post,
        path: "/api/runs/{run}/cancel",
        summary: "End a run for good: what still comes back is kept on record and not applied",
        scope: Write,
        default_tool: false,
        fields: &[RUN],
        run: |ask| ask.of(runs::cancel),
    },
];
