//! Every limit, default and time-out of the product on one page, each with its unit and where it comes from. The constants,
//! the list that `GET /api/limits` answers and the settings of a server are all drawn from it. To add one, add a line.
//! Relations between neighbours are checked when this compiles.

#[macro_use]
mod macros;
mod listing;
mod settings;

use std::time::Duration;

use serde_json::Value as Json;

pub use listing::Limit;
pub use settings::SettingError;

/// The seed's platform table, as published for Hypertab.
const SEED: &str = "seed B";
/// What Hypertab's documentation says beyond that table.
const HYPERTAB: &str = "Hypertab's documentation";
/// PostgreSQL's manual, appendix K.
const POSTGRES: &str = "PostgreSQL's manual";
/// Ours.
const OURS: &str = "ours";

/// Every limit, with what holds under these settings.
///
/// ```
/// use paceline_model::limits::{self, Settings};
/// let limits = limits::all(&Settings::default());
/// let insert = limits.iter().find(|limit| limit.name == "insert_rows_max").unwrap();
/// assert_eq!((insert.value.as_u64(), insert.unit, insert.source), (Some(10_000), "rows", "seed B"));
/// ```
#[must_use]
pub fn all(settings: &Settings) -> Vec<Limit> {
    settings.listed().into_iter().chain(fixed()).collect()
}

// The platform: an operator may set these.
settable! {
    /// Rows of one insert call, of one call to an incoming webhook, and of one transaction of an import or a pull.
    INSERT_ROWS_MAX insert_rows_max: usize = 10_000, "rows", SEED, 1..=INSERT_ROWS_MAX;
    /// Rows of one page of a query over MCP: what a model reads costs its context.
    MCP_PAGE_ROWS_MAX mcp_page_rows_max: usize = 100, "rows", SEED, 1..=PAGE_ROWS_MAX;
    /// Rows of an export that are answered inline; more become a file with a link.
    EXPORT_INLINE_ROWS_MAX export_inline_rows_max: usize = 50_000, "rows", SEED, 1..=1_000_000;
    /// How long a link to a file holds, and with it the file of an export.
    FILE_LINK_LIFETIME file_link_lifetime: Duration = Duration::from_secs(3600), "s", OURS,
        Duration::from_secs(60)..=Duration::from_secs(7 * 24 * 3600);
    /// The longest time that a call of the HTTP proxy may take.
    PROXY_TIMEOUT_MAX proxy_timeout_max: Duration = Duration::from_secs(60), "s", SEED,
        Duration::from_secs(1)..=CALL_TIMEOUT_MAX;
    /// Bytes of a reply that the HTTP proxy hands on; the rest is cut, and said to be.
    PROXY_REPLY_BYTES_MAX proxy_reply_bytes_max: usize = 100 * 1024, "bytes", SEED, 1..=RESPONSE_BODY_BYTES_MAX;
    /// Time for one run of a user's function.
    FUNCTION_TIMEOUT function_timeout: Duration = Duration::from_secs(30), "s", SEED,
        Duration::from_millis(100)..=CALL_TIMEOUT_MAX;
    /// WebSockets of one client on one table; a newer one takes the place of the oldest.
    WEBSOCKETS_PER_TABLE_AND_CLIENT websockets_per_table_and_client: usize = 1, "connections", SEED, 1..=100;
    /// Requests without a good key from one address in [`STRANGER_WINDOW`] that get a proper answer.
    STRANGER_TRIES_MAX stranger_tries_max: u32 = 60, "requests", OURS, 1..=10_000;
    /// Calls that a run may make without the token of a plan; zero asks for a plan each time.
    RUN_UNPLANNED_CALLS_MAX run_unplanned_calls_max: u64 = 1_000, "calls", OURS, 0..=1_000_000_000;
    /// Attempts kept per cell; older ones are dropped.
    ATTEMPTS_PER_CELL_MAX attempts_per_cell_max: u32 = 20, "attempts", OURS, 1..=1_000;
    /// Bytes of the recording of one run; what does not fit is left out, and the recording says so.
    RECORDING_BYTES_MAX recording_bytes_max: u64 = 256 * 1024 * 1024, "bytes", OURS,
        64 * 1024..=RECORDING_READ_BYTES_MAX;
    /// Calls at once of one smart column ("Platform connection limit").
    COLUMN_CONCURRENT_MAX column_concurrent_max: u32 = 6, "calls", SEED, 1..=CLI_CONCURRENT_MAX;
    /// Calls per second of one smart column.
    COLUMN_RATE_MAX column_rate_max: f64 = 1_000.0, "calls/s", SEED, 0.1..=CLI_RATE_MAX;
}

fixed! {
    /// Bytes of a table or column name.
    NAME_BYTES_MAX: usize = 64, "bytes", SEED;
    /// Columns of one table: "no hard cap, about 2,000 in practice"; SQLite's own default is 2,000.
    TABLE_COLUMNS_MAX: usize = 1_900, "columns", HYPERTAB;
    /// Columns of one table on PostgreSQL, which allows 1,600 for whatever is in them. How many of them can be full
    /// depends on their values: a row must fit in 8 kB, where each long value takes 18 bytes.
    POSTGRES_TABLE_COLUMNS_MAX: usize = 1_590, "columns", POSTGRES;
    /// Rows of one page of a query over REST when the caller names no limit.
    PAGE_ROWS_DEFAULT: usize = 25, "rows", HYPERTAB;
    /// Rows of one page of a query over REST.
    PAGE_ROWS_MAX: usize = 10_000, "rows", OURS;
    /// Bytes of one value of a row: more than any cell a person reads, little enough that a batch of rows fits in memory.
    VALUE_BYTES_MAX: usize = 1024 * 1024, "bytes", OURS;
    /// Bytes of one template as written.
    TEMPLATE_BYTES_MAX: usize = 64 * 1024, "bytes", OURS;
    /// Bytes of one rendered URL; servers refuse around 8,000.
    URL_BYTES_MAX: usize = 8 * 1024, "bytes", OURS;
    /// Bytes of one rendered request body.
    REQUEST_BODY_BYTES_MAX: usize = 4 * 1024 * 1024, "bytes", OURS;
    /// Headers of one smart column.
    HEADERS_MAX: usize = 64, "headers", OURS;
    /// Bytes of one vendor's reply that are read; a longer one fails its cell.
    RESPONSE_BODY_BYTES_MAX: usize = 1024 * 1024, "bytes", OURS;
    /// Bytes of a request body to our own API: 10,000 rows of 1 KB and some air.
    API_BODY_BYTES_MAX: usize = 16 * 1024 * 1024, "bytes", OURS;
    /// Levels of nesting of a JSON value that comes in; serde_json's own stack guard stops at 128.
    JSON_DEPTH_MAX: usize = 64, "levels", OURS;
    /// Bytes of an error message that is kept with a cell or an attempt.
    ERROR_BYTES_MAX: usize = 500, "bytes", OURS;
    /// Bytes of a reply to a call of the platform's own (a page of a source, a person's request) that are read at the most.
    FETCH_REPLY_BYTES_MAX: usize = 10 * 1024 * 1024, "bytes", OURS;
    /// Bytes of such replies in memory together; further calls wait.
    FETCHES_BYTES_MAX: usize = 128 * 1024 * 1024, "bytes", OURS;
    /// Redirects of such a call that are followed at the most.
    REDIRECTS_MAX: u8 = 5, "redirects", OURS;

    /// Calls of one key in [`KEY_WINDOW`]: Hypertab's one paid plan. `paceline serve --key-limit` sets another.
    KEY_CALLS_MAX: u32 = 2_000, "calls", HYPERTAB;
    /// The window that calls of a key are counted in.
    KEY_WINDOW: Duration = Duration::from_secs(60), "s", HYPERTAB;
    /// Keys whose calls are counted at once.
    LIMITED_KEYS_MAX: usize = 20_000, "keys", OURS;
    /// The window that they are counted in.
    STRANGER_WINDOW: Duration = Duration::from_secs(60), "s", OURS;
    /// Addresses that are told apart for that.
    STRANGERS_MAX: usize = 10_000, "addresses", OURS;
    /// Lines of the audit log: what was done.
    AUDIT_KEPT: u64 = 100_000, "lines", OURS;
    /// Lines of the log of those who were not let in.
    AUDIT_REFUSALS_KEPT: u64 = 10_000, "lines", OURS;
    /// Lines of either that wait to be written; further ones are counted only.
    AUDIT_QUEUE_MAX: usize = 10_000, "lines", OURS;
    /// AI providers, each with a key.
    PROVIDERS_MAX: usize = 1_000, "providers", OURS;

    /// Calls at once on the command line, where the person is the operator.
    CLI_CONCURRENT_MAX: u32 = 1_024, "calls", OURS;
    /// Calls per second on the command line, where the person is the operator.
    CLI_RATE_MAX: f64 = 10_000.0, "calls/s", OURS;

    /// Time for one call when the column names none. (The seed's function limit is 30 s.)
    CALL_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30), "s", OURS;
    /// The longest time-out of one call: LLM calls think for minutes.
    CALL_TIMEOUT_MAX: Duration = Duration::from_secs(600), "s", OURS;
    /// Time for one call of a language model when the column names none.
    AI_TIMEOUT_DEFAULT: Duration = Duration::from_secs(120), "s", OURS;
    /// Tokens that an answer of a language model may take when the column names no number.
    AI_OUTPUT_TOKENS_DEFAULT: u64 = 1_024, "tokens", OURS;
    /// The most that a column may name.
    AI_OUTPUT_TOKENS_MAX: u64 = 1_000_000, "tokens", OURS;
    /// Bytes of the name of a model.
    AI_MODEL_BYTES_MAX: usize = 256, "bytes", OURS;
    /// Bytes of the schema of an answer.
    AI_SCHEMA_BYTES_MAX: usize = 64 * 1024, "bytes", OURS;
    /// How deep that schema, and an answer to it, may be nested.
    AI_SCHEMA_DEPTH_MAX: usize = 32, "levels", OURS;
    /// How long somebody who resumes a run is kept waiting for what is in flight of it since it was paused.
    PAUSE_WAIT: Duration = Duration::from_secs(30), "s", OURS;
    /// How long jobs of an integration go on trying a vendor that fails all of them; then the run is paused.
    OUTAGE_MAX: Duration = Duration::from_secs(300), "s", OURS;
    /// How often each of them tries meanwhile.
    OUTAGE_RETRY: Duration = Duration::from_secs(30), "s", OURS;
    /// How often a call is tried that was refused for its rate past its deadline, while others come through.
    THROTTLED_RETRY: Duration = Duration::from_secs(60), "s", OURS;
    /// How often it is refused before its cell fails: then it is the call that is refused, and not the rate.
    THROTTLES_ALONE_MAX: u32 = 20, "calls", OURS;
    /// How long a claimed task stays ours without renewal. Longer than any pause of a healthy process.
    LEASE: Duration = Duration::from_secs(60), "s", OURS;
    /// How often leases are renewed.
    LEASE_RENEWAL: Duration = Duration::from_secs(15), "s", OURS;
    /// Tasks taken in one claim at the most.
    CLAIM_TASKS_MAX: usize = 1_000, "tasks", OURS;
    /// Memory of a run for which calls it has made: enough to know those of 1.6 million cells from new ones.
    SEEN_CALLS_BITS_MAX: u64 = 16_777_216, "bits", OURS;
    /// Reports written in one group commit at the most.
    COMMIT_REPORTS_MAX: usize = 1_000, "reports", OURS;
    /// Cells filled without a call that one commit writes at the most.
    FILL_CELLS_MAX: usize = 10_000, "cells", OURS;
    /// Bytes of the longest recording that is read.
    RECORDING_READ_BYTES_MAX: u64 = 1024 * 1024 * 1024, "bytes", OURS;
    /// Bytes of one line of a recording: a reply of 1 MiB in which every character has to be escaped, and some air.
    RECORDING_LINE_BYTES_MAX: usize = 8 * 1024 * 1024, "bytes", OURS;
    /// Bytes of the line that is kept of what an attempt sent.
    REQUEST_LINE_BYTES_MAX: usize = 500, "bytes", OURS;
    /// How long the token of a plan holds.
    PLAN_LIFETIME: Duration = Duration::from_secs(15 * 60), "s", OURS;
    /// Columns that one column may depend on, one through another.
    DEPENDENCY_DEPTH_MAX: usize = 64, "columns", OURS;
    /// Sources of one waterfall.
    WATERFALL_SOURCES_MAX: usize = 16, "sources", OURS;
    /// Bytes of the code of a formula or function.
    SCRIPT_BYTES_MAX: usize = 64 * 1024, "bytes", OURS;
    /// Memory of one formula or function at work.
    SCRIPT_MEMORY_BYTES_MAX: usize = 64 * 1024 * 1024, "bytes", OURS;
    /// Time for one formula in one row.
    FORMULA_TIMEOUT: Duration = Duration::from_millis(250), "ms", OURS;
    /// Bytes of the body of one call of an incoming webhook.
    HOOK_BODY_BYTES_MAX: usize = 10_000_000, "bytes", HYPERTAB;
    /// Fields of one record of an incoming webhook, and of a field mapping.
    HOOK_FIELDS_MAX: usize = 100, "fields", HYPERTAB;
    /// Calls per second of one incoming webhook; further ones are told when to come again.
    HOOK_CALLS_PER_SECOND_MAX: u32 = 100, "calls/s", OURS;
    /// Ids of calls that an incoming webhook knows again when they are sent a second time.
    HOOK_IDS_KEPT: usize = 4_096, "ids", OURS;
    /// Rows of one delivery of an outgoing webhook.
    DELIVERY_ROWS_MAX: usize = 100, "rows", OURS;
    /// Bytes of one delivery of an outgoing webhook, unless one row alone has more.
    DELIVERY_BYTES_MAX: usize = 1_000_000, "bytes", OURS;
    /// Time for the answer to one delivery.
    DELIVERY_TIMEOUT: Duration = Duration::from_secs(15), "s", OURS;
    /// How often a delivery is tried before it is given up.
    DELIVERY_TRIES_MAX: u32 = 5, "tries", OURS;
    /// The longest wait before a delivery is tried again, whatever the receiver asks for.
    DELIVERY_WAIT_MAX: Duration = Duration::from_secs(3_600), "s", OURS;
    /// Deliveries given up one after the other that disable a webhook.
    DELIVERIES_FAILED_MAX: u32 = 20, "deliveries", OURS;
    /// How long nothing can be delivered before a webhook is disabled.
    DELIVERY_OUTAGE_MAX: Duration = Duration::from_secs(72 * 3_600), "s", OURS;
    /// Tries that the log of deliveries keeps, those of all webhooks together.
    DELIVERIES_KEPT: u64 = 100_000, "tries", OURS;
    /// Sources of all tables together; as many outgoing webhooks may be.
    SOURCES_MAX: usize = 1_000, "sources", OURS;
    /// Pages that one run of a source fetches.
    SOURCE_PAGES_MAX: u32 = 100, "pages", OURS;
    /// Bytes of one page that a source fetches.
    SOURCE_PAGE_BYTES_MAX: usize = 8 * 1024 * 1024, "bytes", OURS;
    /// Bytes of the source text of a function.
    FUNCTION_BYTES_MAX: usize = 256 * 1024, "bytes", OURS;
    /// Processes that functions run in at once, each with one call; further calls wait.
    FUNCTION_PROCESSES_MAX: usize = 4, "processes", OURS;
    /// Processes at once for formulas that were caught in what cannot be stopped otherwise; as many again for the other
    /// formulas, while threads for them are missing.
    FORMULA_PROCESSES_MAX: usize = 2, "processes", OURS;
    /// Memory that a process of either may take from the system, beyond what it starts with: what a script may take, what the
    /// engine needs for it, and air.
    FUNCTION_PROCESS_MEMORY_BYTES_MAX: usize = 256 * 1024 * 1024, "bytes", OURS;
    /// Versions of one function that are kept.
    FUNCTION_VERSIONS_KEPT: u64 = 50, "versions", OURS;
    /// Changes kept per table for readers that resume; older ones answer with a gap.
    CHANGES_KEPT: i64 = 100_000, "changes", OURS;
    /// WebSockets of all tables together.
    WEBSOCKETS_MAX: usize = 1_024, "connections", OURS;
    /// WebSockets of one table.
    WEBSOCKETS_PER_TABLE_MAX: usize = 512, "connections", OURS;
    /// Messages that wait for one WebSocket; with more of them its queue is dropped, and it is told to resync.
    WEBSOCKET_QUEUE_MAX: usize = 256, "messages", OURS;
    /// Bytes that wait for one WebSocket.
    WEBSOCKET_QUEUE_BYTES_MAX: usize = 1024 * 1024, "bytes", OURS;
    /// Bytes of cells with their values in one message; further cells are named only, to be read.
    WEBSOCKET_CELLS_BYTES_MAX: usize = 64 * 1024, "bytes", OURS;
    /// Bytes of one message that a client sends over a WebSocket.
    WEBSOCKET_MESSAGE_BYTES_MAX: usize = 4 * 1024, "bytes", OURS;
    /// Messages that a client may send in [`WEBSOCKET_MESSAGES_WINDOW`].
    WEBSOCKET_MESSAGES_MAX: u32 = 100, "messages", OURS;
    /// The window that they are counted in.
    WEBSOCKET_MESSAGES_WINDOW: Duration = Duration::from_secs(10), "s", OURS;
    /// How often a WebSocket is pinged; one that gave no sign of life since the last ping but one is closed.
    WEBSOCKET_PING: Duration = Duration::from_secs(20), "s", OURS;
    /// How long a WebSocket may take for one message.
    WEBSOCKET_SEND_TIMEOUT: Duration = Duration::from_secs(10), "s", OURS;
    /// Changes that come within this time go out together.
    WEBSOCKET_COALESCE: Duration = Duration::from_millis(50), "s", OURS;
    /// How often the progress of a run at work is told over WebSockets at the most.
    WEBSOCKET_PROGRESS: Duration = Duration::from_millis(500), "s", OURS;
    /// Bytes of one reply over MCP. Claude Code, for one, moves replies of over 50,000 characters out of its agent's sight.
    MCP_REPLY_BYTES_MAX: usize = 48 * 1024, "bytes", OURS;
    /// Bytes of the list of tools that every client of MCP gets: what using this server costs before the first call.
    MCP_TOOL_LIST_BYTES_MAX: usize = 16 * 1024, "bytes", OURS;
    /// Groups of a filter inside one another; people nest two or three.
    FILTER_DEPTH_MAX: usize = 16, "levels", OURS;
    /// Tests and groups of one filter; SQLite takes expressions up to 1,000 levels deep.
    FILTER_TESTS_MAX: usize = 500, "tests", OURS;
    /// Values in all `in` lists of one filter together: a page of ids fits. SQLite binds at most 32,766 values.
    FILTER_VALUES_MAX: usize = 10_000, "values", OURS;
    /// Keys of one order.
    SORT_KEYS_MAX: usize = 16, "keys", OURS;
    /// Rows that one change tells by their ids; with more of them it only says that the table is to be read again.
    CHANGE_ROWS_MAX: usize = 10_000, "rows", OURS;
    /// Bytes of the name of an item (a key, a webhook, a source) and of a log.
    ITEM_NAME_BYTES_MAX: usize = 256, "bytes", OURS;
    /// Items of one kind, those of deleted tables among them: all of them are read at once.
    ITEMS_PER_KIND_MAX: usize = 10_000, "items", OURS;
    /// Lines that one call may add to a log.
    LOG_APPEND_MAX: usize = 10_000, "lines", OURS;
    /// Lines that a log keeps at the most, whatever its owner asks for.
    LOG_ENTRIES_MAX: u64 = 1_000_000, "lines", OURS;
    /// Bytes of one file that is uploaded for an import.
    UPLOAD_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024, "bytes", OURS;
    /// Bytes of all files of imports and exports together.
    FILES_BYTES_MAX: u64 = 20 * 1024 * 1024 * 1024, "bytes", OURS;
    /// Uploads at once; further ones wait.
    UPLOADS_AT_ONCE_MAX: usize = 4, "uploads", OURS;
    /// Imports and exports at work at once.
    JOBS_AT_WORK_MAX: usize = 2, "jobs", OURS;
    /// Imports and exports that have not come to an end, those at work among them; more are refused.
    JOBS_OPEN_MAX: usize = 100, "jobs", OURS;
    /// Imports and exports that came to an end and are still listed.
    JOBS_KEPT_MAX: usize = 1_000, "jobs", OURS;
    /// How long the report of an import's bad rows is kept.
    IMPORT_REPORT_KEPT: Duration = Duration::from_secs(7 * 24 * 3600), "s", OURS;
    /// Options of one select or multi_select column.
    OPTIONS_MAX: usize = 1_000, "options", OURS;
    /// Bytes of one option.
    OPTION_BYTES_MAX: usize = 256, "bytes", OURS;
}

const _: () = {
    assert!(PAGE_ROWS_DEFAULT <= MCP_PAGE_ROWS_MAX && MCP_PAGE_ROWS_MAX <= PAGE_ROWS_MAX);
    assert!(PAGE_ROWS_MAX <= FILTER_VALUES_MAX, "the rows of a page can be named in a filter");
    assert!(FILL_CELLS_MAX <= CHANGE_ROWS_MAX, "what one commit fills is told cell by cell");
    assert!(INSERT_ROWS_MAX <= CHANGE_ROWS_MAX, "what one call writes is told row by row");
    assert!(POSTGRES_TABLE_COLUMNS_MAX <= TABLE_COLUMNS_MAX);
    assert!(PAGE_ROWS_DEFAULT <= PAGE_ROWS_MAX);
    assert!(PAGE_ROWS_MAX <= INSERT_ROWS_MAX, "what was read in a page can be written in a call");
    assert!(MCP_PAGE_ROWS_MAX <= PAGE_ROWS_MAX);
    assert!(PROXY_REPLY_BYTES_MAX <= RESPONSE_BODY_BYTES_MAX);
    assert!(PROXY_TIMEOUT_MAX.as_secs() <= CALL_TIMEOUT_MAX.as_secs());
    assert!(COLUMN_CONCURRENT_MAX <= CLI_CONCURRENT_MAX);
    assert!(LEASE.as_secs() >= 3 * LEASE_RENEWAL.as_secs(), "a lease survives two lost renewals");
    assert!(RESPONSE_BODY_BYTES_MAX <= VALUE_BYTES_MAX, "what a vendor answers fits in a cell");
    assert!(RESPONSE_BODY_BYTES_MAX <= FETCH_REPLY_BYTES_MAX);
    assert!(FETCH_REPLY_BYTES_MAX <= FETCHES_BYTES_MAX, "one reply has room");
    assert!(CALL_TIMEOUT_DEFAULT.as_secs() <= CALL_TIMEOUT_MAX.as_secs());
    assert!(AI_TIMEOUT_DEFAULT.as_secs() <= CALL_TIMEOUT_MAX.as_secs());
    assert!(AI_OUTPUT_TOKENS_DEFAULT <= AI_OUTPUT_TOKENS_MAX);
    assert!(DELIVERY_TIMEOUT.as_secs() <= CALL_TIMEOUT_MAX.as_secs());
    assert!(DELIVERY_BYTES_MAX <= REQUEST_BODY_BYTES_MAX);
    assert!(SOURCES_MAX <= ITEMS_PER_KIND_MAX);
    assert!(WEBSOCKETS_PER_TABLE_MAX <= WEBSOCKETS_MAX);
    assert!(WEBSOCKET_CELLS_BYTES_MAX <= WEBSOCKET_QUEUE_BYTES_MAX);
    assert!(FUNCTION_BYTES_MAX <= VALUE_BYTES_MAX);
    assert!(SCRIPT_MEMORY_BYTES_MAX <= FUNCTION_PROCESS_MEMORY_BYTES_MAX / 2);
};
