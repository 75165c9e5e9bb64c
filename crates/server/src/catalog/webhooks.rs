//! The chapter of webhooks.

use paceline_model::limits;

use super::field::{COLUMN, ID, TABLE};
use super::{Chapter, Field, Kind, Operation, Verb};
use crate::KeyScope::{Read, Write};
use crate::ops::webhooks;

pub(super) const CHAPTER: Chapter = Chapter {
    name: "webhooks",
    about: "Webhooks: being told from outside, and telling others what happens in a table",
    operations: OPERATIONS,
};

const WEBHOOK: Field = Field::path("webhook", ID, "the webhook's id");
const URL: Kind = Kind::Text { bytes_max: limits::URL_BYTES_MAX };

const OPERATIONS: &[Operation] = &[
    Operation {
        name: "create_webhook",
        verb: Verb::Post,
        path: "/api/tables/{table}/webhooks",
        summary: "Make a webhook: an address to send records to, or one that is told of changes, signed and retried",
        scope: Write,
        default_tool: false,
        fields: &[
            TABLE,
            Field::body("direction", Kind::OneOf(|| webhooks::DIRECTIONS.into()), "which way it goes"),
            Field::body("name", Kind::Text { bytes_max: 128 }, "what a person calls it").optional(),
            Field::body("target_url", URL, "outgoing: the address that is told").optional(),
            Field::body("trigger_on", Kind::OneOf(webhooks::triggers), "outgoing: what sets it off").optional(),
            Field::body("trigger_column", COLUMN.kind, "the column whose value changes, of field_change").optional(),
            Field::body(
                "trigger_filter",
                Kind::Object,
                "what a row begins to pass, of filter_match: as in {\"score\": {\"gte\": 80}}",
            )
            .optional(),
            Field::body(
                "field_mapping",
                Kind::Object,
                "from a dotted path of the record to a column; by the names of the columns if not given",
            )
            .optional(),
            Field::body("headers", Kind::Object, "outgoing: headers to send along; sealed at rest").optional(),
            Field::body(
                "batch",
                Kind::Flag,
                "outgoing: up to 100 rows in one delivery (the default); false for one row each",
            )
            .optional(),
        ],
        run: |ask| ask.of(webhooks::create),
    },
    Operation {
        name: "list_webhooks",
        verb: Verb::Get,
        path: "/api/tables/{table}/webhooks",
        summary: "List the webhooks of a table: direction, status, trigger, what became of the deliveries",
        scope: Read,
        default_tool: false,
        fields: &[TABLE],
        run: |ask| ask.of(webhooks::list),
    },
    Operation {
        name: "update_webhook",
        verb: Verb::Patch,
        path: "/api/webhooks/{webhook}",
        summary: "Enable or disable an outgoing webhook, or change where and how it delivers",
        scope: Write,
        default_tool: false,
        fields: &[
            WEBHOOK,
            Field::body("enabled", Kind::Flag, "whether it delivers; once enabled it goes on where it stood").optional(),
            Field::body("target_url", URL, "the address that is told").optional(),
            Field::body("headers", Kind::Object, "in place of all the old ones").optional(),
            Field::body("field_mapping", Kind::Object, "in place of the old one").optional(),
            Field::body("batch", Kind::Flag, "whether one delivery tells of several rows").optional(),
            Field::body("rotate_secret", Kind::Flag, "make a new key for the signatures; the old one ends").optional(),
        ],
        run: |ask| ask.of(webhooks::update),
    },
    Operation {
        name: "delete_webhook",
        verb: Verb::Delete,
        path: "/api/webhooks/{webhook}",
        summary: "Delete a webhook, whichever way it goes",
        scope: Write,
        default_tool: false,
        fields: &[WEBHOOK, Field::query("confirm", Kind::Flag, "must be true")],
        run: |ask| ask.of(webhooks::delete),
    },
    Operation {
        name: "test_webhook",
        verb: Verb::Post,
        path: "/api/webhooks/{webhook}/test",
        summary: "Send a signed sample to the address of an outgoing webhook, once and now",
        scope: Write,
        default_tool: false,
        fields: &[WEBHOOK],
        run: |ask| ask.of(webhooks::test),
    },
    Operation {
        name: "list_webhook_deliveries",
        verb: Verb::Get,
        path: "/api/webhooks/{webhook}/deliveries",
        summary: "List the tries of an outgoing webhook's deliveries, the newest first",
        scope: Read,
        default_tool: false,
        fields: &[
            WEBHOOK,
            Field::query("limit", Kind::Whole { min: 1, max: 1_000 }, "how many; 25 if not given"),
            Field::query("before", ID, "those with a smaller sequence: `meta.before` of the page before"),
        ],
        run: |ask| ask.of(webhooks::deliveries),
    },
];
