//! The chapter of the system: its limits, its sizes, what failed, and how fast it may go.

use super::field::{LABEL, NAME, TABLE};
use super::{Chapter, Field, Kind, Operation, Verb};
use crate::KeyScope::Read;
use crate::ops::failures::ERRORS_MAX;
use crate::ops::{budgets, failures, system};

pub(super) const CHAPTER: Chapter = Chapter {
    name: "system",
    about: "The system: its limits, its sizes, what failed, and how fast it may go",
    operations: OPERATIONS,
};

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
        summary: "List the cells of a table that failed, with their errors and how often each code came",
        scope: Read,
        default_tool: false,
        fields: &[
            TABLE,
            Field::query("column", NAME, "only of this smart column; of all if not given"),
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
];
