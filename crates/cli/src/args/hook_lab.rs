//! The flags of the lab's simulated Slack and of its receiver of webhooks.

use clap::ArgAction;
use paceline_lab::{FaultLaw, Law, Limit, Policy, SlackChannel};

/// Incoming webhooks and chat.postMessage are served beside the vendor; the verdict is at /_lab/slack, and what was posted
/// at /_lab/slack/messages.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Simulated Slack, at /services/ and /api/chat.postMessage")]
pub(crate) struct SlackLabArgs {
    /// At most N messages per UNIT and channel; 1/s if not given; may be given several times
    #[arg(long = "slack-limit", value_name = "N/UNIT", action = ArgAction::Append)]
    pub(crate) slack_limits: Vec<Limit>,
    /// How they are enforced, as --policy
    #[arg(long, value_name = "POLICY", default_value = "bucket:4")]
    pub(crate) slack_policy: Policy,
    /// How long Slack works on a call after counting it, in ms: 0, 20..400 or exp:60
    #[arg(long, value_name = "LAW", default_value = "0")]
    pub(crate) slack_service_ms: Law,
    /// A token that is good; may be given several times; any is if none is given
    #[arg(long = "slack-token", value_name = "TOKEN", action = ArgAction::Append)]
    pub(crate) slack_tokens: Vec<String>,
    /// A webhook that there is; may be given several times; any is if none is given
    #[arg(long = "slack-webhook", value_name = "T/B/SECRET", action = ArgAction::Append)]
    pub(crate) slack_webhooks: Vec<String>,
    /// A channel (of a webhook: its B) that is archived, missing or prohibited; may be given several times
    #[arg(long = "slack-channel", value_name = "ID=STATE", action = ArgAction::Append)]
    pub(crate) slack_channels: Vec<SlackChannel>,
    /// What goes wrong, as --fault
    #[arg(long, value_name = "LAW", default_value = "none")]
    pub(crate) slack_fault: FaultLaw,
}

/// It is served beside the vendor; the verdict is at /_lab/webhook, and what came in at /_lab/webhook/calls.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Receiver of webhooks, at /webhook")]
pub(crate) struct WebhookLabArgs {
    /// At most N calls per UNIT; may be given several times
    #[arg(long = "webhook-limit", value_name = "N/UNIT", action = ArgAction::Append)]
    pub(crate) webhook_limits: Vec<Limit>,
    /// How they are enforced, as --policy
    #[arg(long, value_name = "POLICY", default_value = "fixed")]
    pub(crate) webhook_policy: Policy,
    /// How long it works on a call after counting it, in ms: 0, 20..400 or exp:60
    #[arg(long, value_name = "LAW", default_value = "0")]
    pub(crate) webhook_service_ms: Law,
    /// A secret that calls may be signed with; may be given several times; nobody looks for a signature if none is given
    #[arg(long = "webhook-secret", value_name = "SECRET", action = ArgAction::Append)]
    pub(crate) webhook_secrets: Vec<String>,
    /// How far a signature's time may be from now, in seconds
    #[arg(long, value_name = "S", default_value_t = 300)]
    pub(crate) webhook_tolerance_s: u64,
    /// What goes wrong, as --fault
    #[arg(long, value_name = "LAW", default_value = "none")]
    pub(crate) webhook_fault: FaultLaw,
}

/// An example.
pub(super) fn help() -> String {
    format!("Example:\n{EXAMPLE}")
}

const EXAMPLE: &str = r#"  paceline lab --slack-channel B2=archived --webhook-secret whsec_test --webhook-fault drop:0.1
  curl http://127.0.0.1:PORT/services/T1/B1/any --json '{"text": "hello"}'
  curl http://127.0.0.1:PORT/_lab/webhook"#;
