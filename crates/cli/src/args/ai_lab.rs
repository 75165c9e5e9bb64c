//! The flags of the lab's simulated vendors of language models.

use clap::ArgAction;
use paceline_lab::{AI_FAULT_GRAMMAR, AiFaultLaw, AiPolicy, Law, Limit};

/// OpenAI, Anthropic and Google are served beside the vendor, each counting for itself; their verdict is at /_lab/ai.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Simulated AI vendors, at the paths of their own APIs")]
pub(crate) struct AiLabArgs {
    /// At most N requests per UNIT; may be given several times
    #[arg(long = "ai-limit", value_name = "N/UNIT", action = ArgAction::Append)]
    pub(crate) ai_limits: Vec<Limit>,
    /// At most N tokens per UNIT, of four characters each; may be given several times
    #[arg(long = "ai-tokens", value_name = "N/UNIT", action = ArgAction::Append)]
    pub(crate) ai_tokens: Vec<Limit>,
    /// How both are enforced: bucket, log or fixed
    #[arg(long, value_name = "POLICY", default_value = "bucket")]
    pub(crate) ai_policy: AiPolicy,
    /// How long a vendor works on a call after counting it, in ms: 0, 20..400 or exp:60
    #[arg(long, value_name = "LAW", default_value = "0")]
    pub(crate) ai_service_ms: Law,
    /// A key that is good; may be given several times; any is if none is given
    #[arg(long = "ai-key", value_name = "KEY", action = ArgAction::Append)]
    pub(crate) ai_keys: Vec<String>,
    /// A model that there is; may be given several times; any is if none is given
    #[arg(long = "ai-model", value_name = "NAME", action = ArgAction::Append)]
    pub(crate) ai_models: Vec<String>,
    /// What goes wrong, see below; may be given several times
    #[arg(long = "ai-fault", value_name = "LAW", action = ArgAction::Append)]
    pub(crate) ai_faults: Vec<AiFaultLaw>,
}

/// Their fault law, and an example.
pub(super) fn help() -> String {
    format!("The law of --ai-fault:\n{AI_FAULT_GRAMMAR}\n\nExample:\n{EXAMPLE}")
}

const EXAMPLE: &str = r#"  paceline lab --ai-limit 500/min --ai-tokens 60000/min --ai-service-ms 200..900
  curl http://127.0.0.1:PORT/v1/chat/completions -H 'Authorization: Bearer x' --json \
    '{"model": "any", "messages": [{"role": "user", "content": "Capital of Norway?"}]}'"#;
