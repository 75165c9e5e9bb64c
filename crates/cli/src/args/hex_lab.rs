//! The flags of the lab's simulated Hex.

use std::path::PathBuf;

use clap::ArgAction;
use paceline_lab::{FAULT_GRAMMAR, HEX_FAULT_GRAMMAR, HexFaultLaw, HexLimit, HexPolicy, Law};

/// A simulated Hex is served beside the vendor, at /api/v1/; its verdict is at /_lab/hex.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Simulated Hex, at /api/v1/")]
pub(crate) struct HexLabArgs {
    /// Its projects and all else as JSON, see below; ten projects whose runs end COMPLETED if not given
    #[arg(long, value_name = "FILE")]
    pub(crate) hex: Option<PathBuf>,
    /// At most N calls per UNIT of a group: runs, reads or overall; may be given several times
    #[arg(long = "hex-limit", value_name = "GROUP:N/UNIT", action = ArgAction::Append)]
    pub(crate) hex_limits: Vec<HexLimit>,
    /// How they are enforced, in every group or in one, as --policy; fixed if not given
    #[arg(long = "hex-policy", value_name = "[GROUP:]POLICY", action = ArgAction::Append)]
    pub(crate) hex_policies: Vec<HexPolicy>,
    /// How many runs may go on at once; a further start is answered 503
    #[arg(long, value_name = "N")]
    pub(crate) hex_kernels: Option<u32>,
    /// How long every run is RUNNING, in ms: 2000, 20..400 or exp:60
    #[arg(long, value_name = "LAW")]
    pub(crate) hex_run_ms: Option<Law>,
    /// A token that is good; may be given several times; any is if none is given
    #[arg(long = "hex-token", value_name = "TOKEN", action = ArgAction::Append)]
    pub(crate) hex_tokens: Vec<String>,
    /// What goes wrong, see below; may be given several times
    #[arg(long = "hex-fault", value_name = "LAW", action = ArgAction::Append)]
    pub(crate) hex_faults: Vec<HexFaultLaw>,
}

/// What follows the flags of the lab: both fault laws, and how a Hex is described.
pub(super) fn help() -> String {
    format!(
        "The law of --fault:\n{FAULT_GRAMMAR}\n\n\
         The law of --hex-fault:\n{HEX_FAULT_GRAMMAR}\n\n\
         The file of --hex, every name optional but `id`; flags come on top of it:\n{FILE}\n\n\
         Example:\n{EXAMPLE}"
    )
}

const FILE: &str = r#"  {"projects": [{"id": "daily", "title": "Daily", "pending_ms": 100, "run_ms": "500..900",
                 "ends": "COMPLETED", "published": true, "forbidden": false, "version": 3,
                 "archived": false, "trashed": false, "component": false,
                 "inputs": {"day": "string", "n": "number", "full": "boolean"}}],
   "limits": {"runs": ["20/min", "60/h"], "reads": ["30/min", "1800/h"], "overall": ["60/min"]},
   "policy": "first_call", "kernels": 25, "tokens": ["secret"], "faults": "none",
   "cancel_ms": 0, "cancel_ended_status": 422, "errors": "documented", "version_form": "string"}
  errors: documented, new, old or html; version_form: string, int or draft.
  A project that ends PENDING or RUNNING is stuck there until it is cancelled."#;

const EXAMPLE: &str =
    "  paceline lab --hex-limit runs:20/min --hex-policy first_call --hex-fault drop-after-start:#3
  curl -H 'Authorization: Bearer x' http://127.0.0.1:PORT/api/v1/projects";
