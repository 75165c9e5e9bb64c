//! The chapter of runs.

use paceline_model::Scope;

use super::field::{COLUMN, NAME, RUN, TABLE};
use super::{Chapter, Field, Kind, Operation, Verb};
use crate::KeyScope::{Read, Write};
use crate::app::RUNS_MAX;
use crate::ops::{recordings, runs};

pub(super) const CHAPTER: Chapter = Chapter {
    name: "runs",
    about: "Runs: filling many cells, and following it",
    operations: OPERATIONS,
};

const SCOPE: Field = Field::body(
    "scope",
    Kind::OneOf(|| {
        let scopes = Scope::ALL.into_iter().filter(|scope| *scope != Scope::Following);
        scopes.map(Scope::as_str).collect()
    }),
    "which cells: all, empty (the default), failed, stale (made from what has changed since), or (of kind integration) \
     unknown: looked up again",
)
.optional();
const FIRST: Field =
    Field::body("first", Kind::Whole { min: 1, max: u32::MAX as u64 }, "at most so many cells")
        .optional();
const WHERE: Field = Field::body("where", Kind::Any, "only rows that pass this filter").optional();
const MAX_CALLS: Field = Field::body(
    "max_calls",
    Kind::Whole { min: 0, max: u32::MAX as u64 },
    "the run pauses before it makes more calls",
)
.optional();
const MAX_COST: Field = Field::body(
    "max_cost",
    Kind::Any,
    "the run pauses before its calls cost more, by the column's price",
)
.optional();
const DEPENDENTS: Field = Field::body(
    "dependents",
    Kind::Flag,
    "the columns too that are computed from this one, in the same rows",
)
.optional();

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
            SCOPE,
            FIRST,
            WHERE,
            MAX_CALLS,
            MAX_COST,
            DEPENDENTS,
            Field::body(
                "plan",
                NAME,
                "the token of plan_run; needed where many calls would be made",
            )
            .optional(),
            Field::body(
                "record",
                Kind::Flag,
                "write every call into a file, to be replayed (get_recording)",
            )
            .optional(),
        ],
        run: |ask| ask.of(runs::start),
    },
    Operation {
        name: "plan_run",
        verb: Verb::Post,
        path: "/api/tables/{table}/columns/{column}/plan",
        summary: "Tell what a run would do before it does it: calls, time and cost; nothing is called",
        scope: Read,
        default_tool: false,
        fields: &[TABLE, COLUMN, SCOPE, FIRST, WHERE, MAX_CALLS, MAX_COST, DEPENDENTS],
        run: |ask| ask.of(runs::plan),
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
    Operation {
        name: "get_recording",
        verb: Verb::Get,
        path: "/api/runs/{run}/recording",
        summary: "Get the recording of a run that was started with `record`, as a file for `paceline replay`",
        scope: Read,
        default_tool: false,
        fields: &[RUN],
        run: |ask| ask.of(recordings::get),
    },
    Operation {
        name: "delete_recording",
        verb: Verb::Delete,
        path: "/api/runs/{run}/recording",
        summary: "Delete the recording of a run",
        scope: Write,
        default_tool: false,
        fields: &[RUN],
        run: |ask| ask.of(recordings::delete),
    },
];
