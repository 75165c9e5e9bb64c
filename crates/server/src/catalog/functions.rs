//! The chapter of functions.

use paceline_model::limits;

use super::field::{DESCRIPTION, ID, NAME};
use super::{Chapter, Field, Kind, Operation, Verb};
use crate::KeyScope::{Read, Write};
use crate::ops::functions;

pub(super) const CHAPTER: Chapter = Chapter {
    name: "functions",
    about: "Functions: JavaScript kept with its versions, run by columns of kind function",
    operations: OPERATIONS,
};

const FUNCTION: Field = Field::path("function", NAME, "the function's name or id");
const SOURCE: Kind = Kind::Text { bytes_max: limits::FUNCTION_BYTES_MAX };

const OPERATIONS: &[Operation] = &[
    Operation {
        name: "create_function",
        verb: Verb::Post,
        path: "/api/functions",
        summary: "Keep a function for columns of kind function; it is checked when a column runs it",
        scope: Write,
        default_tool: false,
        fields: &[
            Field::body("name", NAME, "its name: a-z, 0-9 and _, beginning with a letter"),
            Field::body("source", SOURCE, "the JavaScript"),
            Field::body("description", DESCRIPTION, "what it is for").optional(),
        ],
        run: |ask| ask.of(functions::create),
    },
    Operation {
        name: "list_functions",
        verb: Verb::Get,
        path: "/api/functions",
        summary: "List the functions that are kept",
        scope: Read,
        default_tool: false,
        fields: &[],
        run: |ask| ask.of(functions::list),
    },
    Operation {
        name: "get_function",
        verb: Verb::Get,
        path: "/api/functions/{function}",
        summary: "Show a function as it is, or as it was in an earlier version",
        scope: Read,
        default_tool: false,
        fields: &[FUNCTION, Field::query("version", ID, "the newest if not given")],
        run: |ask| ask.of(functions::get),
    },
    Operation {
        name: "update_function",
        verb: Verb::Patch,
        path: "/api/functions/{function}",
        summary: "Change a function; the version before it is kept, and columns run the new one",
        scope: Write,
        default_tool: false,
        fields: &[
            FUNCTION,
            Field::body("source", SOURCE, "the JavaScript").optional(),
            Field::body("description", DESCRIPTION, "what it is for").optional(),
        ],
        run: |ask| ask.of(functions::update),
    },
    Operation {
        name: "delete_function",
        verb: Verb::Delete,
        path: "/api/functions/{function}",
        summary: "Delete a function with all its versions",
        scope: Write,
        default_tool: false,
        fields: &[FUNCTION, Field::query("confirm", Kind::Flag, "must be true")],
        run: |ask| ask.of(functions::delete),
    },
];
