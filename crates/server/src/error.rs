//! One page turns every error into what a caller sees: a code with its status, and a text that says what was tried,
//! what went wrong and what to do instead. What happened inside goes to the log only.

use std::time::Duration;

use paceline_engine::{FetchError, OutboundError};
use schemars::JsonSchema;
use serde::Serialize;

use crate::app::FAULTS_TOLD_MAX;
use crate::envelope::Hint;

/// The result of an operation.
pub(crate) type Result<T> = std::result::Result<T, ApiError>;

macro_rules! codes {
    ($($variant:ident $status:literal $name:literal $fix:literal;)*) => {
        /// The codes that programs act on (hypertab.md a2), each with its status and what to do about it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Code {
            $(#[doc = $name] $variant,)*
        }

        impl Code {
            /// Every one.
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),*];

            pub(crate) fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            pub(crate) fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            pub(crate) fn fix(self) -> &'static str {
                match self { $(Self::$variant => $fix,)* }
            }
        }
    };
}

codes! {
    ProviderNotFound 404 "PROVIDER_NOT_FOUND" "list the AI providers, then use an id from there";
    Unauthorized 401 "UNAUTHORIZED" "send the header `Authorization: Bearer KEY`, with the key that the server was started with or showed at its first start";
    Forbidden 403 "FORBIDDEN" "use a key with the scope that this operation needs";
    TableNotFound 404 "TABLE_NOT_FOUND" "list the tables, then use a name or id from there";
    ColumnNotFound 404 "COLUMN_NOT_FOUND" "look at the table's schema, then use a column from there";
    RowNotFound 404 "ROW_NOT_FOUND" "query the rows, then use an _ht_id from there";
    RunNotFound 404 "RUN_NOT_FOUND" "list the runs of the table, then use an id from there";
    NotFound 404 "NOT_FOUND" "look it up again; it may have been removed";
    ToolNotFound 404 "TOOL_NOT_FOUND" "list the tools, or call hypertab_call_operation without arguments to see every operation";
    NoSuchRoute 404 "ROUTE_NOT_FOUND" "check the path; every path of the API begins with /api";
    LinkExpired 410 "LINK_EXPIRED" "export again, or ask for the job again for a new link";
    MethodNotAllowed 405 "METHOD_NOT_ALLOWED" "use a method from the Allow header";
    TableDeleted 410 "TABLE_DELETED" "restore the table; it is kept for 30 days";
    TableAlreadyExists 409 "TABLE_ALREADY_EXISTS" "choose another name";
    ColumnAlreadyExists 409 "COLUMN_ALREADY_EXISTS" "choose another name, or update the column";
    DuplicateColumn 409 "DUPLICATE_COLUMN" "give each column a name of its own";
    Conflict 409 "CONFLICT" "wait until the state of things allows it, or change that first";
    PlanRequired 409 "PLAN_REQUIRED" "plan the run with plan_run, look at its calls and cost, then run it with the plan's token";
    PlanOutdated 409 "PLAN_OUTDATED" "plan the run again, then run it with the new plan's token";
    InvalidTableName 400 "INVALID_TABLE_NAME" "use a-z, 0-9 and _, beginning with a letter, at most 64 characters";
    InvalidColumnName 400 "INVALID_COLUMN_NAME" "use a-z, 0-9 and _, beginning with a letter, at most 64 characters";
    ReservedPrefix 400 "RESERVED_PREFIX" "choose a name that does not begin with _ht_; that prefix is the system's";
    SystemColumnImmutable 400 "SYSTEM_COLUMN_IMMUTABLE" "leave system columns out; the system fills them";
    ValidationError 400 "VALIDATION_ERROR" "correct what is named and send the request again; nothing was changed";
    InvalidFilter 400 "INVALID_FILTER" "write {column: {operator: value}}; the operators are eq, neq, gt, gte, lt, lte, contains, starts_with, in, between, is_null, is_not_null, and state for smart columns; {\"or\": [...]} groups; nothing was changed";
    ConfirmationRequired 400 "CONFIRMATION_REQUIRED" "send it again with confirm: true if that is what is wanted; nothing was changed";
    InvalidJson 400 "INVALID_JSON" "send one JSON object as the body";
    BatchTooLarge 400 "BATCH_TOO_LARGE" "split it into several calls; nothing was inserted";
    BlockedUrl 400 "BLOCKED_URL" "call a public http or https address without credentials in it; to call into a private network, ask whoever operates the server for --allow-host";
    ReplyTooLarge 413 "REPLY_TOO_LARGE" "ask for less: fewer rows, or the columns you need; REST gives the whole";
    BodyTooLarge 413 "BODY_TOO_LARGE" "split it into several calls; nothing was changed";
    UnsupportedMediaType 415 "UNSUPPORTED_MEDIA_TYPE" "send JSON with the header `Content-Type: application/json`";
    RateLimited 429 "RATE_LIMITED" "wait as long as Retry-After says; the headers RateLimit and RateLimit-Policy tell how much is left";
    UpstreamError 502 "UPSTREAM_ERROR" "check that the address is right and that its server is up, then send the request again";
    Timeout 504 "TIMEOUT" "look whether it took effect before you send it again";
    DatabaseBusy 503 "DATABASE_BUSY" "send the request again";
    NotReady 503 "NOT_READY" "send it to another server, or wait until this one is ready";
    DatabaseError 500 "DATABASE_ERROR" "ask whoever operates the server to look for this request's id in its log";
    DataCorrupt 500 "DATA_CORRUPT" "ask whoever operates the server to look for this request's id in its log";
    InternalError 500 "INTERNAL_ERROR" "ask whoever operates the server to look for this request's id in its log";
}

/// What a database that is held up gets as its time to recover, in ms.
const DATABASE_WAIT_MS: u64 = 1_000;

/// One fault of a request: a path into it, and what is wrong there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Detail {
    /// As in `rows[3].price` or `rate_limit.max_concurrent`.
    pub(crate) field: String,
    /// What was given and what is accepted.
    pub(crate) problem: String,
}

/// An error on its way to a caller.
#[derive(Debug)]
pub(crate) struct ApiError(pub(crate) Box<Fault>);

/// See [`ApiError`]. Serialised as the `error` of the envelope.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Error", deny_unknown_fields)]
pub(crate) struct Fault {
    #[serde(serialize_with = "code_name")]
    #[schemars(with = "String")]
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) attempted: String,
    pub(crate) fix: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) did_you_mean: Option<String>,
    pub(crate) retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) details: Vec<Detail>,
    /// Outside the `error` in the envelope.
    #[serde(skip)]
    pub(crate) hints: Vec<Hint>,
    /// What really happened, for the log.
    #[serde(skip)]
    pub(crate) internal: Option<String>,
}

fn code_name<S: serde::Serializer>(
    code: &Code,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(code.as_str())
}

impl ApiError {
    /// An error with its code's usual remedy.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self(Box::new(Fault {
            code,
            message: message.into(),
            attempted: String::new(),
            fix: code.fix().to_owned(),
            did_you_mean: None,
            retryable: false,
            retry_after_ms: None,
            details: Vec::new(),
            hints: Vec::new(),
            internal: None,
        }))
    }

    /// A `VALIDATION_ERROR` of one field.
    pub(crate) fn field(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::faults(vec![Detail { field: field.into(), problem: problem.into() }])
    }

    /// A `VALIDATION_ERROR` of several fields; all of them are told, up to a limit.
    pub(crate) fn faults(mut details: Vec<Detail>) -> Self {
        let more = details.len().saturating_sub(FAULTS_TOLD_MAX);
        details.truncate(FAULTS_TOLD_MAX);
        let told: Vec<String> =
            details.iter().map(|fault| format!("{}: {}", fault.field, fault.problem)).collect();
        let mut message = told.join("; ");
        if more > 0 {
            message.push_str("; and more");
        }
        let mut error = Self::new(Code::ValidationError, message);
        error.0.details = details;
        error
    }

    /// Something of this server does not work; `what` is for the log.
    pub(crate) fn internal(what: impl Into<String>) -> Self {
        let message = "the server could not do this because of a fault of its own";
        Self::new(Code::InternalError, message).because(what)
    }

    /// With another message, for a fault of ours that a caller may know.
    pub(crate) fn saying(mut self, message: impl Into<String>) -> Self {
        self.0.message = message.into();
        self
    }

    pub(crate) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.0.fix = fix.into();
        self
    }

    /// The same call may succeed this much later.
    pub(crate) fn retry_after(mut self, wait: Duration) -> Self {
        self.0.retryable = true;
        self.0.retry_after_ms =
            Some(wait.as_nanos().div_ceil(1_000_000).try_into().unwrap_or(u64::MAX));
        self
    }

    pub(crate) fn meant(mut self, name: Option<&str>) -> Self {
        if let Some(name) = name {
            self.0.message.push_str(&format_meant(name));
            self.0.did_you_mean = Some(name.to_owned());
        }
        self
    }

    /// As [`ApiError::meant`], where the message says it already.
    pub(crate) fn meant_as_said(mut self, name: Option<String>) -> Self {
        self.0.did_you_mean = name;
        self
    }

    pub(crate) fn hint(mut self, hint: Hint) -> Self {
        self.0.hints.push(hint);
        self
    }

    /// As a fault of a part of the request: `path` goes before each field.
    pub(crate) fn under(mut self, path: &str) -> Self {
        let fault = &mut self.0;
        if fault.details.is_empty() {
            fault.message.insert_str(0, path);
            return self;
        }
        for detail in &mut fault.details {
            detail.field.insert_str(0, path);
        }
        let mut error = Self::faults(std::mem::take(&mut fault.details));
        error.0.did_you_mean = fault.did_you_mean.take();
        error
    }

    /// Says what was tried, unless that is said already.
    pub(crate) fn attempting(mut self, what: impl FnOnce() -> String) -> Self {
        if self.0.attempted.is_empty() {
            self.0.attempted = what();
        }
        self
    }

    /// With another code for the same thing, where the caller knows better what it is about.
    pub(crate) fn recode(mut self, from: Code, to: Code) -> Self {
        if self.0.code == from {
            self.0.code = to;
            self.0.fix = to.fix().to_owned();
        }
        self
    }

    fn because(mut self, what: impl Into<String>) -> Self {
        self.0.internal = Some(what.into());
        self
    }
}

/// "did you mean" as part of a sentence.
pub(crate) fn format_meant(name: &str) -> String {
    format!("; did you mean {name:?}?")
}

impl From<paceline_model::Error> for ApiError {
    fn from(error: paceline_model::Error) -> Self {
        use paceline_model::Error as E;
        match error {
            E::Invalid(message) => Self::new(Code::ValidationError, message),
            E::Exists(message) | E::Conflict(message) => Self::new(Code::Conflict, message),
            E::Missing(message) => Self::new(Code::NotFound, message),
            E::Database { message, retryable: true } => {
                let shown = "the database is held up or out of space at the moment";
                let mut error = Self::new(Code::DatabaseBusy, shown).because(message);
                error.0.retryable = true;
                error.0.retry_after_ms = Some(DATABASE_WAIT_MS);
                error
            }
            E::Database { message, .. } => {
                Self::new(Code::DatabaseError, "the database failed; nothing was changed")
                    .because(message)
            }
            E::Corrupt(message) => {
                let shown = "stored data cannot be read: it is damaged or from a newer version";
                Self::new(Code::DataCorrupt, shown).because(message)
            }
            other => Self::internal(other.to_string()),
        }
    }
}

impl From<FetchError> for ApiError {
    fn from(error: FetchError) -> Self {
        let (message, retryable) = (error.to_string(), error.retryable());
        let code = match error {
            FetchError::Invalid { field, problem } => return Self::field(field, problem),
            FetchError::Blocked(_) => Code::BlockedUrl,
            FetchError::Timeout(_) => Code::Timeout,
            FetchError::Internal(message) => return Self::internal(message),
            _ => Code::UpstreamError,
        };
        let mut error = Self::new(code, message);
        error.0.retryable = retryable;
        error
    }
}

impl From<paceline_engine::Error> for ApiError {
    fn from(error: paceline_engine::Error) -> Self {
        use paceline_engine::Error as E;
        match error {
            E::Store(error) => error.into(),
            E::Config { field, problem, did_you_mean } => {
                Self::field(field, problem).meant_as_said(did_you_mean)
            }
            E::Rate(faults) => {
                let meant = faults.iter().find_map(|fault| fault.did_you_mean.clone());
                let path = |field: &str| {
                    if field.is_empty() {
                        "rate_limit".into()
                    } else {
                        format!("rate_limit.{field}")
                    }
                };
                let details = faults
                    .into_iter()
                    .map(|fault| Detail { field: path(&fault.field), problem: fault.problem })
                    .collect();
                Self::faults(details).meant_as_said(meant)
            }
            E::Outbound(error @ OutboundError::NotAUrl(_)) => {
                Self::field("config.url", error.to_string())
            }
            E::Outbound(error) => Self::new(Code::BlockedUrl, format!("config.url: {error}")),
            E::Missing(message) => Self::new(Code::NotFound, message),
            error @ E::PlanNeeded { .. } => Self::new(Code::PlanRequired, error.to_string()),
            error @ E::PlanOutdated(_) => Self::new(Code::PlanOutdated, error.to_string()),
            E::Conflict(message) => Self::new(Code::Conflict, message),
            E::InColumn { index, error } => Self::from(*error).under(&format!("columns[{index}].")),
            other => Self::internal(other.to_string()),
        }
    }
}
