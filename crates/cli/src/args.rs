//! Every command and flag; the doc comments are the help.

pub(crate) mod ai_lab;
pub(crate) mod hex;
pub(crate) mod hex_lab;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ArgAction, Parser, Subcommand, ValueEnum};
use paceline_engine::AllowedHost;
use paceline_governor::{Limit, LimitError, Unit};

use crate::exit::Exit;
use crate::output;
use crate::store::StoreUrl;

/// Tables whose columns call APIs, row by row, as fast as those APIs allow and not one call faster.
#[derive(Debug, Parser)]
#[command(name = "paceline", version, max_term_width = 100)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show it: enrich 3,376 airports against a vendor of its own, under a limit it explains
    Demo(DemoArgs),
    /// Add a column to a CSV or JSONL file by calling an API once per row
    Enrich(Box<EnrichArgs>),
    /// Tell when so many calls would start and end under limits, without a call
    Plan(PlanArgs),
    /// Run a simulated vendor on loopback, to try things against
    Lab(Box<LabArgs>),
    /// Serve tables over REST
    Serve(ServeArgs),
    /// Call an operation of a running server; without one, list them
    Api(ApiArgs),
    /// Serve tables to an agent over MCP on stdin and stdout
    Mcp(McpArgs),
    /// Run Hex (hex.tech) projects: by hundreds, each once, inside the limits
    Hex(hex::HexArgs),
    /// Run functions for the server that started this process: calls come on stdin, answers go to stdout
    #[command(hide = true)]
    SandboxWorker,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Print one JSON object as the last line of stdout
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Templates: {{column}}, {{column.path}}, {{column.list[0]}}, with a default as {{column ?? \"none\"}}.
State lives beside OUT; running the same command again resumes.
Exit codes: 0 every cell completed, 2 wrong usage or input, 3 some cells failed (rest written),
4 paused (breaker or credentials), 5 some outcomes unknown, 130 interrupted (state kept).

Example:
  paceline enrich airports.csv -o out.csv --column near \\
    --url 'https://api.example.com/nearest?lat={{latitude}}&lon={{longitude}}' \\
    --extract '$.name' --limit 10/s --limit 300/min")]
pub(crate) struct EnrichArgs {
    /// The table to read: .csv, .tsv, .jsonl, or - for a pipe
    #[arg(value_name = "IN")]
    pub(crate) input: PathBuf,
    /// Where the table with its new column goes, or - for a pipe
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: PathBuf,
    /// The new column
    #[arg(long, value_name = "NAME")]
    pub(crate) column: String,
    /// The address to call, a template
    #[arg(long, value_name = "TEMPLATE")]
    pub(crate) url: String,
    /// GET, POST, PUT, PATCH, DELETE or HEAD
    #[arg(long, default_value = "GET")]
    pub(crate) method: String,
    /// A header, its value a template; may be given several times
    #[arg(long = "header", value_name = "K: V", action = ArgAction::Append)]
    pub(crate) headers: Vec<String>,
    /// The body, a template
    #[arg(long, value_name = "TEMPLATE")]
    pub(crate) body: Option<String>,
    /// What of the reply becomes the cell, a JSONPath such as $.name; the whole reply if not given
    #[arg(long, value_name = "JSONPATH")]
    pub(crate) extract: Option<String>,
    /// aggressive, moderate, conservative, gentle, a rate object as JSON, or `unlimited`; conservative if neither
    /// this nor --limit is given
    #[arg(long, value_name = "PRESET|JSON")]
    pub(crate) rate: Option<String>,
    /// At most N calls per UNIT: 20/min, 60/h, 10/s, 500/15min; may be given several times, all hold at once
    #[arg(long = "limit", value_name = "N/UNIT", action = ArgAction::Append, value_parser = calls)]
    pub(crate) limits: Vec<Limit>,
    /// Calls at once, 1 to 1024; the rate's, or 6
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) concurrency: Option<u32>,
    /// How calls are spread over a window
    #[arg(long, value_enum)]
    pub(crate) shape: Option<ShapeArg>,
    /// How long a call counts as not yet seen by the vendor: auto, strict, or a number of ms
    #[arg(long, value_name = "auto|strict|MS")]
    pub(crate) guard: Option<String>,
    /// Time for one call
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub(crate) timeout_ms: Option<u64>,
    /// Call again for the cells that failed before
    #[arg(long)]
    pub(crate) retry_failed: bool,
    /// Throw away the state of an earlier run and begin anew
    #[arg(long)]
    pub(crate) restart: bool,
    /// Allow addresses inside this machine and its network
    #[arg(long)]
    pub(crate) allow_private: bool,
    /// Print one JSON object as the last line of stdout
    #[arg(long)]
    pub(crate) json: bool,
    /// The demo's: the report is its result
    #[arg(skip)]
    pub(crate) report_on_stdout: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum ShapeArg {
    /// As early as the limits allow, as long as the vendor agrees
    Auto,
    /// As early as the limits allow
    Burst,
    /// Evenly, one call per window/count
    Paced,
    /// One burst, one window's pause, then evenly
    CounterSafe,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PlanArgs {
    /// How many calls
    #[arg(long, value_name = "N")]
    pub(crate) calls: u64,
    /// At most N calls per UNIT: 20/min, 60/h, 10/s, 500/15min; may be given several times, all hold at once
    #[arg(long = "limit", value_name = "N/UNIT", action = ArgAction::Append, value_parser = calls)]
    pub(crate) limits: Vec<Limit>,
    /// Calls at once
    #[arg(long, value_name = "C")]
    pub(crate) concurrency: Option<u32>,
    /// How long one call takes
    #[arg(long, value_name = "S", default_value_t = 0.0)]
    pub(crate) service_ms: f64,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = format!("{}\n\n{}", hex_lab::help(), ai_lab::help()))]
pub(crate) struct LabArgs {
    /// Where to listen; port 0 is any free port
    #[arg(long, value_name = "127.0.0.1:PORT", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// At most N calls per UNIT; may be given several times, all must accept
    #[arg(long = "limit", value_name = "N/UNIT", action = ArgAction::Append)]
    pub(crate) limits: Vec<paceline_lab::Limit>,
    /// How the limits are enforced: fixed, first_call, log, log_counting, counter or bucket:SIZE
    #[arg(long, default_value = "fixed")]
    pub(crate) policy: paceline_lab::Policy,
    /// One-way delay before a call is counted, and again on the way back, in ms: 0, 20..400 or exp:60
    #[arg(long, value_name = "LAW", default_value = "0")]
    pub(crate) net_ms: paceline_lab::Law,
    /// How long the vendor works on a call after counting it, in ms: 0, 20..400 or exp:60
    #[arg(long, value_name = "LAW", default_value = "0")]
    pub(crate) service_ms: paceline_lab::Law,
    /// What goes wrong, see below
    #[arg(long, value_name = "LAW", default_value = "none")]
    pub(crate) fault: paceline_lab::FaultLaw,
    /// How a refusal says when to come back: none, seconds or date
    #[arg(long, value_name = "FORM", default_value = "seconds")]
    pub(crate) retry_after: paceline_lab::RetryAfter,
    /// Which headers tell what is left: none, draft, draft03 or x
    #[arg(long, value_name = "FORM", default_value = "none")]
    pub(crate) rate_headers: paceline_lab::RateHeaders,
    /// Where chance comes from
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) hex: hex_lab::HexLabArgs,
    #[command(flatten)]
    pub(crate) ai: ai_lab::AiLabArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ServeArgs {
    /// The directory that holds everything; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Keep tables and runs in a PostgreSQL database, postgres://USER@HOST:PORT/DATABASE, instead of SQLite in DIR; with
    /// a password in it, set PACELINE_STORE instead, which other users of this machine cannot see
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<StoreUrl>,
    /// Where to listen
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7223")]
    pub(crate) listen: SocketAddr,
    /// Allow calls to all addresses inside this machine and its network, but for those where a cloud hands out the
    /// machine's own credentials
    #[arg(long)]
    pub(crate) allow_private: bool,
    /// Allow calls to this private host and no other: a name or an address, with a port to open only that one, or a
    /// network as 10.1.0.0/16; may be given several times
    #[arg(long = "allow-host", value_name = "HOST[:PORT]|CIDR", action = ArgAction::Append)]
    pub(crate) allow_hosts: Vec<AllowedHost>,
    /// At most so many calls of one API key, as 2000/min; further ones are answered with 429 and when to come again
    #[arg(long, value_name = "N/UNIT", default_value = "2000/min", value_parser = calls)]
    pub(crate) key_limit: Limit,
    /// Settings that differ from the defaults of `GET /api/limits`: a JSON object of names and numbers
    #[arg(long, value_name = "FILE")]
    pub(crate) limits: Option<PathBuf>,
    /// Make a new key in place of the one that was made and shown at the first start
    #[arg(long)]
    pub(crate) new_key: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Tables of a directory of its own, or those of a running server:
  paceline mcp --data tables.paceline
  paceline mcp --url http://127.0.0.1:7223 --key-file key.txt")]
pub(crate) struct McpArgs {
    /// The directory that holds everything; made if it is not there
    #[arg(long, value_name = "DIR", conflicts_with = "url")]
    pub(crate) data: Option<PathBuf>,
    /// As of `paceline serve`: a PostgreSQL database instead of SQLite in DIR
    #[arg(long, value_name = "URL", requires = "data")]
    pub(crate) store: Option<StoreUrl>,
    /// Allow columns to call addresses inside this machine and its network
    #[arg(long, requires = "data")]
    pub(crate) allow_private: bool,
    /// As of `paceline serve`: allow this host, and no other inside
    #[arg(long = "allow-host", value_name = "HOST[:PORT]|CIDR", action = ArgAction::Append, requires = "data")]
    pub(crate) allow_hosts: Vec<AllowedHost>,
    /// Use the tables of this server instead; or set PACELINE_URL
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// The file that holds the server's API key; or set PACELINE_API_KEY
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Operations that become tools of their own beside the usual ones: names of chapters, separated by commas, or all
    #[arg(long, value_name = "NAMES", default_value = "")]
    pub(crate) toolsets: String,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  paceline api
  paceline api insert_rows --help
  paceline api --key-file key list_runs --table airports --limit 5")]
pub(crate) struct ApiArgs {
    /// The server
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7223")]
    pub(crate) url: String,
    /// A file that holds an API key; PACELINE_API_KEY if not given
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Follow the run or the job that the operation sets going, or shows, to its end
    #[arg(long)]
    pub(crate) wait: bool,
    /// The operation and its fields: insert_rows --table airports --rows '[{\"iata\": \"BOS\"}]'
    #[arg(value_name = "OPERATION", trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) words: Vec<String>,
}

/// A limit of calls. Nobody here knows how many tokens a call takes, so a limit of tokens would hold back nothing.
fn calls(text: &str) -> Result<Limit, String> {
    let limit: Limit = text.parse().map_err(|error: LimitError| error.to_string())?;
    match limit.unit() {
        Unit::Calls => Ok(limit),
        Unit::Tokens => Err("it counts tokens; limit the calls, as in 60/min".to_owned()),
    }
}

/// Says what is wrong with the arguments in one line, like every other wrong usage; or shows the help that was asked for.
pub(crate) fn refusal(error: &clap::Error) -> ExitCode {
    let asked_for_help = !error.use_stderr();
    if asked_for_help || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        // A reader that has gone is no error of ours.
        let _ = error.print();
        return if asked_for_help { Exit::Done } else { Exit::Usage }.into();
    }
    output::error(&in_one_line(&error.to_string()));
    Exit::Usage.into()
}

/// The sentences of an error, without the usage that follows them.
fn in_one_line(error: &str) -> String {
    let sentences: Vec<&str> = error
        .lines()
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let text = sentences.join(" ").replace(" tip: ", "; tip: ");
    format!("{}; --help tells more", text.strip_prefix("error: ").unwrap_or(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_fit_together() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }

    #[test]
    fn every_kind_of_wrong_usage_is_one_line_with_what_is_wrong_in_it() {
        let cases: [(&[&str], &[&str]); 4] = [
            (&["plan"], &["--calls <N>"]),
            (&["plan", "--calls", "x\ny"], &["'x y'", "invalid digit"]),
            (&["enrich", "in.csv", "--colunm", "x"], &["--colunm", "'--column'"]),
            (&["enrich", "in.csv", "--shape", "round"], &["round", "burst, paced"]),
        ];
        for (args, parts) in cases {
            let args = std::iter::once("paceline").chain(args.iter().copied());
            let line = in_one_line(&Args::try_parse_from(args).unwrap_err().to_string());
            assert!(parts.iter().all(|part| line.contains(part)), "{line}");
            assert!(!line.contains('\n') && !line.contains("Usage") && !line.starts_with("error"));
        }
    }
}
