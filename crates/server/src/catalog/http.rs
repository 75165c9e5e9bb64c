//! The chapter of the HTTP proxy.

use paceline_model::limits;

use super::field::LABEL;
use super::{Chapter, Field, Kind, Operation, Verb};
use crate::KeyScope::Write;
use crate::ops::proxy;

pub(super) const CHAPTER: Chapter = Chapter {
    name: "http",
    about: "Calls to other services, made by this server",
    operations: OPERATIONS,
};

const OPERATIONS: &[Operation] = &[Operation {
    name: "http_request",
    verb: Verb::Post,
    path: "/api/http-request",
    summary: "Call a public http or https address and tell its answer; the body is cut at 100 KB, and said to be",
    scope: Write,
    default_tool: true,
    fields: &[
        Field::body("method", Kind::OneOf(|| proxy::METHODS.into()), "the method"),
        Field::body(
            "url",
            Kind::Text { bytes_max: limits::URL_BYTES_MAX },
            "the address in full, without credentials",
        ),
        Field::body("headers", Kind::Object, "names and values, all text").optional(),
        Field::body("body", Kind::Any, "text as it is, anything else as JSON").optional(),
        Field::body(
            "timeout",
            Kind::Whole { min: 1, max: SECONDS_MAX },
            "seconds; 30 if not given, at most 60 unless the operator set another limit",
        )
        .optional(),
        Field::body(
            "timeout_ms",
            Kind::Whole { min: 1, max: SECONDS_MAX * 1_000 },
            "the same in milliseconds, instead of timeout",
        )
        .optional(),
        Field::body(
            "extract",
            LABEL,
            "a JSONPath such as $.items[0]; it sees the whole reply, before any cut",
        )
        .optional(),
        Field::body("follow_redirects", Kind::Flag, "up to 5 of them; true if not given")
            .optional(),
    ],
    run: |ask| ask.of(proxy::request),
}];

/// What an operator may allow at the most.
const SECONDS_MAX: u64 = limits::CALL_TIMEOUT_MAX.as_secs();
