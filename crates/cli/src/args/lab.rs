//! The flags of `paceline lab`; those of each simulated vendor are in files of their own.

use std::net::SocketAddr;

use clap::ArgAction;
use paceline_lab::{FaultLaw, Law, Limit, Policy, RateHeaders, RetryAfter};

use super::{ai_lab, hex_lab, hook_lab};

#[derive(Debug, clap::Args)]
#[command(after_help = help())]
pub(crate) struct LabArgs {
    /// Where to listen; port 0 is any free port
    #[arg(long, value_name = "127.0.0.1:PORT", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// At most N calls per UNIT; may be given several times, all must accept
    #[arg(long = "limit", value_name = "N/UNIT", action = ArgAction::Append)]
    pub(crate) limits: Vec<Limit>,
    /// How the limits are enforced: fixed, first_call, log, log_counting, counter or bucket:SIZE
    #[arg(long, default_value = "fixed")]
    pub(crate) policy: Policy,
    /// One-way delay before a call is counted, and again on the way back, in ms: 0, 20..400 or exp:60
    #[arg(long, value_name = "LAW", default_value = "0")]
    pub(crate) net_ms: Law,
    /// How long the vendor works on a call after counting it, in ms: 0, 20..400 or exp:60
    #[arg(long, value_name = "LAW", default_value = "0")]
    pub(crate) service_ms: Law,
    /// What goes wrong, see below
    #[arg(long, value_name = "LAW", default_value = "none")]
    pub(crate) fault: FaultLaw,
    /// How a refusal says when to come back: none, seconds or date
    #[arg(long, value_name = "FORM", default_value = "seconds")]
    pub(crate) retry_after: RetryAfter,
    /// Which headers tell what is left: none, draft, draft03 or x
    #[arg(long, value_name = "FORM", default_value = "none")]
    pub(crate) rate_headers: RateHeaders,
    /// Where chance comes from
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) hex: hex_lab::HexLabArgs,
    #[command(flatten)]
    pub(crate) ai: ai_lab::AiLabArgs,
    #[command(flatten)]
    pub(crate) slack: hook_lab::SlackLabArgs,
    #[command(flatten)]
    pub(crate) webhook: hook_lab::WebhookLabArgs,
}

/// What follows the flags: the laws and files of each vendor, and examples.
fn help() -> String {
    format!("{}\n\n{}\n\n{}", hex_lab::help(), ai_lab::help(), hook_lab::help())
}
