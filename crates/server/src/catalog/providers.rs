//! The chapter of AI providers.

use paceline_model::limits;

use super::field::{ID, LABEL};
use super::{Chapter, Field, Kind, Operation, Verb};
use crate::KeyScope::{Admin, Read};
use crate::ops::providers;

pub(super) const CHAPTER: Chapter = Chapter {
    name: "providers",
    about: "AI providers: whose models are used, and with which key",
    operations: OPERATIONS,
};

const OPERATIONS: &[Operation] = &[
    Operation {
        name: "save_ai_provider",
        verb: Verb::Post,
        path: "/api/settings/ai-providers",
        summary: "Keep the key of an AI provider, sealed; one of the same label is replaced",
        scope: Admin,
        default_tool: false,
        fields: &[
            Field::body("label", LABEL, "what a person calls it"),
            Field::body(
                "api_key",
                Kind::Text { bytes_max: KEY_BYTES_MAX },
                "the provider's key; it is never shown again",
            ),
            Field::body(
                "provider",
                Kind::OneOf(|| providers::NAMES.into()),
                "told by the key's beginning if not given",
            )
            .optional(),
            Field::body(
                "base_url",
                Kind::Text { bytes_max: limits::URL_BYTES_MAX },
                "where an openai_compatible provider is, as https://llm.example.com/v1",
            )
            .optional(),
            Field::body(
                "is_default",
                Kind::Flag,
                "whether it is used where none is named; the first of a provider is",
            )
            .optional(),
        ],
        run: |ask| ask.of(providers::save),
    },
    Operation {
        name: "list_ai_providers",
        verb: Verb::Get,
        path: "/api/settings/ai-providers",
        summary: "List the AI providers with their models, as they were at the last test; never their keys",
        scope: Read,
        default_tool: false,
        fields: &[],
        run: |ask| ask.of(providers::list),
    },
    Operation {
        name: "delete_ai_provider",
        verb: Verb::Delete,
        path: "/api/settings/ai-providers/{provider}",
        summary: "Forget an AI provider and its key",
        scope: Admin,
        default_tool: false,
        fields: &[PROVIDER],
        run: |ask| ask.of(providers::delete),
    },
    Operation {
        name: "test_ai_provider",
        verb: Verb::Post,
        path: "/api/settings/ai-providers/{provider}/test",
        summary: "Ask an AI provider for its models, to see that its key is good",
        scope: Admin,
        default_tool: false,
        fields: &[PROVIDER],
        run: |ask| ask.of(providers::test),
    },
];

const PROVIDER: Field = Field::path("provider", ID, "the provider's id");
/// Bytes of a provider's key.
const KEY_BYTES_MAX: usize = 1_024;
