//! The flags of `paceline hex`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Subcommand, ValueEnum};
use paceline_governor::Limit;

use super::calls;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The token: HEX_TOKEN, --token-file or --token-command. Where Hex is: HEX_BASE_URL or --base-url.
Exit codes: 0 every job completed, 2 wrong usage or input, 3 some jobs failed,
4 paused (token refused), 5 some outcomes unknown, 130 interrupted (runs go on at Hex).")]
pub(crate) struct HexArgs {
    #[command(subcommand)]
    pub(crate) command: HexCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum HexCommand {
    /// List the projects that the token's user sees
    List(ListArgs),
    /// Start one run of a project
    Run(Box<RunArgs>),
    /// Start a run per row of a file, as early as Hex's limits allow, and see each to its end
    Batch(Box<BatchArgs>),
    /// Tell where a run stands
    Status(RunIdArgs),
    /// Cancel a run, and tell how it ended
    Cancel(RunIdArgs),
}

/// Who asks, and whom.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct AccountArgs {
    /// Read the token from this file, again after each 401
    #[arg(long, value_name = "PATH", conflicts_with = "token_command")]
    pub(crate) token_file: Option<PathBuf>,
    /// Run this in a shell to get the token, again after each 401
    #[arg(long, value_name = "CMD")]
    pub(crate) token_command: Option<String>,
    /// Hex's origin; that of app.hex.tech if neither this nor HEX_BASE_URL is given
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: Option<String>,
    /// Tells two users at one origin apart: each has limits, and a state, of their own
    #[arg(long, value_name = "NAME")]
    pub(crate) account: Option<String>,
    /// Where the account's state is kept
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Allow a --base-url inside this machine or its network
    #[arg(long)]
    pub(crate) allow_private: bool,
    /// Print one JSON object as the last line of stdout
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) account: AccountArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RunIdArgs {
    /// The run's id
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
    /// Its project's id; not needed for runs that paceline started
    #[arg(long, value_name = "P")]
    pub(crate) project: Option<String>,
    #[command(flatten)]
    pub(crate) account: AccountArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// The project's id
    #[arg(value_name = "PROJECT")]
    pub(crate) project: String,
    /// A parameter, as text or as NAME:number, NAME:bool or NAME:json; may be given several times
    #[arg(long = "param", value_name = "NAME[:TYPE]=VALUE", action = ArgAction::Append)]
    pub(crate) params: Vec<String>,
    /// Wait for the run's end
    #[arg(long)]
    pub(crate) wait: bool,
    /// What became of a start whose outcome is unknown: this run is it, `again` or `failed`
    #[arg(long, value_name = "RUN|again|failed")]
    pub(crate) settle: Option<String>,
    #[command(flatten)]
    pub(crate) unfinished: UnfinishedArgs,
    #[command(flatten)]
    pub(crate) account: AccountArgs,
    #[command(flatten)]
    pub(crate) tuning: TuningArgs,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
FILE is .csv, .tsv or .jsonl and has a column project_id. Parameters: a column `params` (a JSON
object), or one column each: param.NAME (text), param.NAME:number, param.NAME:bool,
param.NAME:json. An empty cell is not sent. --help tells of limits and waits, too.

Example:
  paceline hex batch jobs.csv --plan        # when it would end, without a call
  paceline hex batch jobs.csv --resume      # for CI: goes on with what a crash left, else begins")]
pub(crate) struct BatchArgs {
    /// The jobs, one per row, or - for a pipe
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Where the rows with their results go, or - for a pipe; FILE's name with .runs before its ending if not given
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: Option<PathBuf>,
    /// A parameter of every job whose row has none of that name; may be given several times
    #[arg(long = "param", value_name = "NAME[:TYPE]=VALUE", action = ArgAction::Append)]
    pub(crate) params: Vec<String>,
    /// Jobs at once, 1 to 1024
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) concurrency: u32,
    /// Tell when the last run would start and end and which limit binds, without a call
    #[arg(long)]
    pub(crate) plan: bool,
    /// For --plan: how long a run takes
    #[arg(long, value_name = "N", default_value_t = 30.0)]
    pub(crate) run_seconds: f64,
    /// Start the failed jobs of the last batch again; FILE must be the same
    #[arg(long)]
    pub(crate) retry_failed: bool,
    /// What became of the unknown job on this line of FILE: this run is it, start it `again`, or it `failed`
    #[arg(long = "settle", value_name = "LINE=RUN|again|failed", action = ArgAction::Append)]
    pub(crate) settle: Vec<String>,
    #[command(flatten)]
    pub(crate) unfinished: UnfinishedArgs,
    #[command(flatten)]
    pub(crate) account: AccountArgs,
    #[command(flatten)]
    pub(crate) tuning: TuningArgs,
}

/// What becomes of a batch that did not come to its end.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct UnfinishedArgs {
    /// Go on with the unfinished batch; begin if there is none
    #[arg(long, conflicts_with = "restart")]
    pub(crate) resume: bool,
    /// Forget the unfinished batch and begin anew; its runs go on at Hex
    #[arg(long)]
    pub(crate) restart: bool,
    /// On Ctrl-C cancel at Hex the runs that were started
    #[arg(long)]
    pub(crate) cancel_on_interrupt: bool,
}

/// Settings that mostly stay as they are.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Tuning")]
pub(crate) struct TuningArgs {
    /// At most N starts per UNIT, all hold at once; 20/min and 60/h if not given
    #[arg(long = "limit", hide_short_help = true, value_name = "N/UNIT", action = ArgAction::Append, value_parser = calls)]
    pub(crate) limits: Vec<Limit>,
    /// At most N reads per UNIT; 30/min and 1800/h if not given
    #[arg(long = "poll-limit", hide_short_help = true, value_name = "N/UNIT", action = ArgAction::Append, value_parser = calls)]
    pub(crate) poll_limits: Vec<Limit>,
    /// At most N calls of any kind per UNIT; 60/min if not given
    #[arg(long = "overall-limit", hide_short_help = true, value_name = "N/UNIT", action = ArgAction::Append, value_parser = calls)]
    pub(crate) overall_limits: Vec<Limit>,
    /// Time from one start to the next at the least, as 5s
    #[arg(long, hide_short_help = true, value_name = "TIME", value_parser = time)]
    pub(crate) min_spacing: Option<Duration>,
    /// How often runs are looked at; 5s, or as rarely as the read limits demand
    #[arg(long, hide_short_help = true, value_name = "TIME", value_parser = time)]
    pub(crate) poll_interval: Option<Duration>,
    /// A run that goes on for longer is cancelled and fails as STUCK; 30m
    #[arg(long, hide_short_help = true, value_name = "TIME", value_parser = time)]
    pub(crate) stuck_after: Option<Duration>,
    /// The same for a run that waits for a kernel; 30m
    #[arg(long, hide_short_help = true, value_name = "TIME", value_parser = time)]
    pub(crate) pending_max: Option<Duration>,
    /// What to do if Hex says that another run of the project is under way
    #[arg(long, hide_short_help = true, value_enum)]
    pub(crate) on_conflict: Option<OnConflict>,
    /// Runs of ours at once that Hex has kernels for; 25
    #[arg(long, hide_short_help = true, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) kernels: Option<u32>,
    /// How long to wait for a kernel before the next try; 30s
    #[arg(long, hide_short_help = true, value_name = "TIME", value_parser = time)]
    pub(crate) kernel_wait: Option<Duration>,
    /// How long a kind of call pauses after a 429 that names no time; 60s
    #[arg(long, hide_short_help = true, value_name = "TIME", value_parser = time)]
    pub(crate) throttle_pause: Option<Duration>,
    /// A job waits this, doubled each time, after a 429; 30s
    #[arg(long = "retry-429-base", hide_short_help = true, value_name = "TIME", value_parser = time)]
    pub(crate) retry_429_base: Option<Duration>,
    /// The same after a 5xx that started no run; 3s
    #[arg(long = "retry-5xx-base", hide_short_help = true, value_name = "TIME", value_parser = time)]
    pub(crate) retry_5xx_base: Option<Duration>,
    /// Tries after the first one; 3
    #[arg(long, hide_short_help = true, value_name = "N")]
    pub(crate) retries: Option<u32>,
    /// When to look for a run after a start without an answer; 2s,10s,30s,60s
    #[arg(long, hide_short_help = true, value_name = "TIMES", value_delimiter = ',', value_parser = time)]
    pub(crate) settle_waits: Vec<Duration>,
    /// Time for one call; 30s
    #[arg(long, hide_short_help = true, value_name = "TIME", value_parser = time)]
    pub(crate) call_timeout: Option<Duration>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum OnConflict {
    /// Wait for its end, then start ours
    Wait,
    /// Take it for ours
    Attach,
    /// Fail
    Fail,
}

/// A time with its unit: `500ms`, `5s`, `30m`, `1h`.
fn time(text: &str) -> Result<Duration, String> {
    let wrong = || "write a number and its unit: 500ms, 5s, 30m or 1h".to_owned();
    let digits = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let seconds = match unit {
        "ms" => number / 1e3,
        "s" => number,
        "m" | "min" => number * 60.0,
        "h" => number * 3600.0,
        _ => return Err(wrong()),
    };
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        let good = [("500ms", 500), ("5s", 5_000), ("1.5s", 1_500), ("30m", 1_800_000)];
        for (text, ms) in good {
            assert_eq!(time(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "5", "s", "-5s", "5 s", "1e9h", "5d", "1.2.3s"] {
            assert!(time(text).is_err_and(|error| error.contains("500ms")), "{text}");
        }
    }
}
