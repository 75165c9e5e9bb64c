//! The chapter of API keys and of what is on record.

use super::field::{ID, LABEL};
use super::{Chapter, Field, Kind, Operation, Verb};
use crate::KeyScope::{self, Admin};
use crate::app::{AUDIT_LINES_MAX, RUNS_DEFAULT};
use crate::ops::{audit, keys};

pub(super) const CHAPTER: Chapter = Chapter {
    name: "keys",
    about: "API keys: who may call and what, and what they did",
    operations: OPERATIONS,
};

const OPERATIONS: &[Operation] = &[
    Operation {
        name: "create_api_key",
        verb: Verb::Post,
        path: "/api/settings/api-keys",
        summary: "Make an API key; it is shown this once",
        scope: Admin,
        default_tool: false,
        fields: &[
            Field::body("name", LABEL, "what a person calls it; no two keys have the same name"),
            Field::body("scope", SCOPE, "what it may do; each includes those before it"),
            Field::body("expires_at", LABEL, "until when it is in force, as 2027-01-31T00:00:00Z")
                .optional(),
        ],
        run: |ask| ask.of(keys::create),
    },
    Operation {
        name: "list_api_keys",
        verb: Verb::Get,
        path: "/api/settings/api-keys",
        summary: "List the API keys that were made, with how each begins and when it was last used",
        scope: Admin,
        default_tool: false,
        fields: &[],
        run: |ask| ask.of(keys::list),
    },
    Operation {
        name: "revoke_api_key",
        verb: Verb::Delete,
        path: "/api/settings/api-keys/{key}",
        summary: "Take an API key out of force, at once and for good; its open connections end",
        scope: Admin,
        default_tool: false,
        fields: &[Field::path("key", ID, "the key's id")],
        run: |ask| ask.of(keys::revoke),
    },
    Operation {
        name: "list_audit",
        verb: Verb::Get,
        path: "/api/settings/audit",
        summary: "List who did what, from where and how it ended, the newest first; or who was not let in",
        scope: Admin,
        default_tool: false,
        fields: &[
            Field::query("log", Kind::OneOf(|| audit::LOGS.into()), "done if not given").optional(),
            Field::query(
                "key",
                Kind::Whole { min: 0, max: i64::MAX as u64 },
                "the id of a key; 0 is the operator's",
            )
            .optional(),
            Field::query(
                "before",
                ID,
                "lines with a smaller id than this; meta.before of a page leads to the next",
            )
            .optional(),
            Field::query("limit", Kind::Whole { min: 1, max: AUDIT_LINES_MAX }, LIMIT_ABOUT)
                .optional(),
        ],
        run: |ask| ask.of(audit::list),
    },
];

const SCOPE: Kind = Kind::OneOf(|| KeyScope::ALL.map(KeyScope::as_str).into());
const LIMIT_ABOUT: &str = "how many lines; 25 if not given";
const _: () = assert!(RUNS_DEFAULT == 25, "as LIMIT_ABOUT says");
