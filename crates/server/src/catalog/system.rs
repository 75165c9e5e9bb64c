//! The chapter of the system: its limits, its sizes, what failed, and how fast it may go.

use paceline_model::{CellState, limits};

use super::field::{LABEL, NAME, TABLE};
use super::{Chapter, Field, Kind, Operation, Verb};
use crate::KeyScope::{Read, Write};
use crate::ops::failures::ERRORS_MAX;
use crate::ops::{budgets, failures, shared_budgets, system};

pub(super) const CHAPTER: Chapter = Chapter {
    name: "system",
    about: "The system: its limits, its sizes, what failed, and how fast it may go",
    operations: OPERATIONS,
};

const BUDGET: Field = Field::path("budget", NAME, "the budget's name");
const BUDGET_RATE: &str =
    "limits, requests_per_second, max_concurrent, min_spacing_ms, shape, guard, cool_down_on_429";
const HOST: Kind = Kind::Text { bytes_max: limits::URL_BYTES_MAX };
const DAILY_CAPS: &str =
    "what its columns may do on one UTC day, as in {\"calls\": 1000, \"cost_micros\": 500000}";

const OPERATIONS: &[Operation] = &[
    Operation {
        name: "get_limits",
        verb: Verb::Get,
        path: "/api/limits",
        summary: "List every limit with what holds here, its unit and where it comes from",
        scope: Read,
        default_tool: false,
        fields: &[],
        run: |ask| ask.of(system::limits),
    },
    Operation {
        name: "get_stats",
        verb: Verb::Get,
        path: "/api/stats",
        summary: "Count tables, rows, cells by state and runs at work; tell the size on disk",
        scope: Read,
        default_tool: false,
        fields: &[],
        run: |ask| ask.of(system::stats),
    },
    Operation {
        name: "list_errors",
        verb: Verb::Get,
        path: "/api/tables/{table}/errors",
        summary: "List the cells of a table that failed, or of which nobody knows, with their errors and how often each code came",
        scope: Read,
        default_tool: false,
        fields: &[
            TABLE,
            Field::query("column", NAME, "only of this smart column; of all if not given"),
            Field::query(
                "state",
                Kind::OneOf(|| failures::LISTED.map(CellState::as_str).into()),
                "failed if not given, or unknown: sent, with an outcome that nobody knows",
            ),
            Field::query(
                "limit",
                Kind::Whole { min: 1, max: ERRORS_MAX },
                "cells of the page at the most; 25 if not given",
            ),
            Field::query("cursor", LABEL, "where to go on: `meta.next_cursor` of the page before"),
        ],
        run: |ask| ask.of(failures::list),
    },
    Operation {
        name: "list_budgets",
        verb: Verb::Get,
        path: "/api/budgets",
        summary: "Show how fast each smart column may call, what is in flight, and what it waits for",
        scope: Read,
        default_tool: false,
        fields: &[Field::query("table", NAME, "only of this table; of all if not given")],
        run: |ask| ask.of(budgets::list),
    },
    Operation {
        name: "list_shared_budgets",
        verb: Verb::Get,
        path: "/api/budgets/shared",
        summary: "Show the budgets that columns share: limits, what is in flight, who waits and why, what was learnt",
        scope: Read,
        default_tool: false,
        fields: &[],
        run: |ask| ask.of(shared_budgets::list),
    },
    Operation {
        name: "create_budget",
        verb: Verb::Post,
        path: "/api/budgets",
        summary: "Make a budget that columns can share by its name, as rate_limit.budget",
        scope: Write,
        default_tool: false,
        fields: &[
            Field::body("name", NAME, "letters, digits, dashes, dots and underscores"),
            Field::body("rate", Kind::Object, BUDGET_RATE),
            Field::body("host", HOST, "the only host that its columns may call").optional(),
            Field::body("daily_caps", Kind::Object, DAILY_CAPS).optional(),
        ],
        run: |ask| ask.of(shared_budgets::create),
    },
    Operation {
        name: "update_budget",
        verb: Verb::Patch,
        path: "/api/budgets/{budget}",
        summary: "Change a named budget; runs at work keep to it at once",
        scope: Write,
        default_tool: false,
        fields: &[
            BUDGET,
            Field::body("rate", Kind::Object, BUDGET_RATE).optional(),
            Field::body("host", HOST, "the only host that its columns may call").optional(),
            Field::body("daily_caps", Kind::Object, DAILY_CAPS).optional(),
        ],
        run: |ask| ask.of(shared_budgets::update),
    },
    Operation {
        name: "delete_budget",
        verb: Verb::Delete,
        path: "/api/budgets/{budget}",
        summary: "Delete a named budget that no column names",
        scope: Write,
        default_tool: false,
        fields: &[BUDGET, Field::query("confirm", Kind::Flag, "must be true")],
        run: |ask| ask.of(shared_budgets::delete),
    },
];
