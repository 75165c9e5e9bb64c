//! Every limit, default and time-out of the product on one page, each with its unit and where it comes from.
//! "(seed B)" is the seed's platform table; the others are ours. Relations between neighbours are checked when this compiles.

use std::time::Duration;

/// Bytes of a table or column name. (seed B) (hypertab.md a4)
pub const NAME_BYTES_MAX: usize = 64;
/// Columns of one table; "no hard cap, about 2,000 in practice" (hypertab.md a4), SQLite's own default is 2,000.
pub const TABLE_COLUMNS_MAX: usize = 1_900;
/// Columns of one table on PostgreSQL, which allows 1,600 for whatever is in them (its manual, appendix K). How many of
/// them can be full depends on their values: a row must fit in 8 kB, where each long value takes 18 bytes.
pub const POSTGRES_TABLE_COLUMNS_MAX: usize = 1_590;
/// Rows of one insert call. (seed B)
pub const INSERT_ROWS_MAX: usize = 10_000;
/// Rows of one page of a query over REST when the caller names no limit. (hypertab.md a4)
pub const PAGE_ROWS_DEFAULT: usize = 25;
/// Rows of one page of a query over REST.
pub const PAGE_ROWS_MAX: usize = 10_000;
/// Rows of one page of a query over MCP. (seed B)
pub const MCP_PAGE_ROWS_MAX: usize = 100;
/// Bytes of one reply over MCP. Claude Code, for one, moves replies of over 50,000 characters out of its agent's sight. (ours)
pub const MCP_REPLY_BYTES_MAX: usize = 48 * 1024;
/// Bytes of the list of tools that every client of MCP gets: what using this server costs before the first call. (ours)
pub const MCP_TOOL_LIST_BYTES_MAX: usize = 16 * 1024;
/// Bytes of one value of a row: more than any cell a person reads, little enough that a batch of rows fits in memory.
pub const VALUE_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of one template as written.
pub const TEMPLATE_BYTES_MAX: usize = 64 * 1024;
/// Bytes of one rendered URL; servers refuse around 8,000.
pub const URL_BYTES_MAX: usize = 8 * 1024;
/// Bytes of one rendered request body.
pub const REQUEST_BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Headers of one smart column.
pub const HEADERS_MAX: usize = 64;
/// Bytes of one vendor's reply that are read; a longer one fails its cell.
pub const RESPONSE_BODY_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of a request body to our own API: 10,000 rows of 1 KB and some air.
pub const API_BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Levels of nesting of a JSON value that comes in; serde_json's own stack guard stops at 128.
pub const JSON_DEPTH_MAX: usize = 64;
/// Bytes of an error message that is kept with a cell or an attempt.
pub const ERROR_BYTES_MAX: usize = 500;

/// Calls at once of one smart column. (seed B) ("Platform connection limit"); the operator may raise it.
pub const COLUMN_CONCURRENT_MAX: u32 = 6;
/// Calls per second of one smart column. (seed B); the operator may raise it.
pub const COLUMN_RATE_MAX: f64 = 1_000.0;
/// Calls at once on the command line, where the person is the operator.
pub const CLI_CONCURRENT_MAX: u32 = 1_024;
/// Calls per second on the command line, where the person is the operator.
pub const CLI_RATE_MAX: f64 = 10_000.0;

/// Time for one call when the column names none, and the longest it may name. (The seed's function limit is 30 s.)
pub const CALL_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
/// The longest time-out of one call: LLM calls think for minutes.
pub const CALL_TIMEOUT_MAX: Duration = Duration::from_secs(600);
/// How long jobs of an integration go on trying a vendor that fails all of them; then the run is paused. (ours)
pub const OUTAGE_MAX: Duration = Duration::from_secs(300);
/// How often each of them tries meanwhile. (ours)
pub const OUTAGE_RETRY: Duration = Duration::from_secs(30);
/// How long a claimed task stays ours without renewal. Longer than any pause of a healthy process.
pub const LEASE: Duration = Duration::from_secs(60);
/// How often leases are renewed.
pub const LEASE_RENEWAL: Duration = Duration::from_secs(15);
/// Tasks taken in one claim at the most.
pub const CLAIM_TASKS_MAX: usize = 1_000;
/// Reports written in one group commit at the most.
pub const COMMIT_REPORTS_MAX: usize = 1_000;
/// Attempts kept per cell; older ones are dropped. (issue: "bounded by a setting")
pub const ATTEMPTS_PER_CELL_MAX: u32 = 20;
/// Changes kept per table for readers that resume; older ones answer with a gap.
pub const CHANGES_KEPT: i64 = 100_000;

const _: () = {
    assert!(POSTGRES_TABLE_COLUMNS_MAX <= TABLE_COLUMNS_MAX);
    assert!(PAGE_ROWS_DEFAULT <= PAGE_ROWS_MAX);
    assert!(PAGE_ROWS_DEFAULT <= MCP_PAGE_ROWS_MAX && MCP_PAGE_ROWS_MAX <= PAGE_ROWS_MAX);
    assert!(PAGE_ROWS_MAX <= INSERT_ROWS_MAX, "what was read in a page can be written in a call");
    assert!(COLUMN_CONCURRENT_MAX <= CLI_CONCURRENT_MAX);
    assert!(LEASE.as_secs() >= 3 * LEASE_RENEWAL.as_secs(), "a lease survives two lost renewals");
    assert!(RESPONSE_BODY_BYTES_MAX <= VALUE_BYTES_MAX, "what a vendor answers fits in a cell");
    assert!(CALL_TIMEOUT_DEFAULT.as_secs() <= CALL_TIMEOUT_MAX.as_secs());
};
