//! The flags of `paceline replay`.

use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Every request is answered with what was recorded for the equal request of its row, after the time that it took then. One
that was never made fails its cell with NOT_RECORDED.
Exit codes: 0 every cell ends as it did, 1 some do not, 2 wrong usage or no recording.

Example:
  paceline enrich in.csv -o out.csv --column near --url '...' --record run.jsonl
  paceline replay run.jsonl --rate-limit gentle
  paceline replay run.jsonl --config changed.json --json")]
pub(crate) struct ReplayArgs {
    /// The recording: of `paceline enrich --record`, or of a run with `record`
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Another configuration of the column, a JSON file: a condition, a path, a prompt. Masked secrets may stay masked
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Another rate: a preset, or a rate object as JSON
    #[arg(long, value_name = "PRESET|JSON")]
    pub(crate) rate_limit: Option<String>,
    /// Another number of calls at once, 1 to 1024
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) concurrency: Option<u32>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}
