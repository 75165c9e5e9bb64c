//! The ways in which a call can go wrong.

use super::entries::{Kind, Syntax};
use crate::ConfigError;

/// One way for a call to go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FaultKind {
    /// 429 without a header.
    TooMany,
    /// 429 with `Retry-After` in seconds.
    TooManyAfter,
    /// 429 with `Retry-After` as an HTTP date.
    TooManyDate,
    /// 500.
    Internal,
    /// 502.
    BadGateway,
    /// 503 without a header.
    Unavailable,
    /// 503 with `Retry-After` in seconds.
    UnavailableAfter,
    /// 401.
    Unauthorized,
    /// 400.
    BadRequest,
    /// The connection is reset before any effect.
    Reset,
    /// The effect is done, then the connection ends without a reply.
    Drop,
    /// The effect is done, and no reply ever comes.
    Hang,
    /// The effect is done, and the reply ends before its `Content-Length`.
    Truncated,
    /// The effect is done, and the reply is 64 MB long.
    Huge,
    /// The effect is done, and the reply is HTML.
    NotJson,
}

impl FaultKind {
    /// Every kind, in the order of the grammar.
    pub const ALL: [FaultKind; 15] = [
        Self::TooMany,
        Self::TooManyAfter,
        Self::TooManyDate,
        Self::Internal,
        Self::BadGateway,
        Self::Unavailable,
        Self::UnavailableAfter,
        Self::Unauthorized,
        Self::BadRequest,
        Self::Reset,
        Self::Drop,
        Self::Hang,
        Self::Truncated,
        Self::Huge,
        Self::NotJson,
    ];

    /// The word for it in a fault law and in the statistics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TooMany => "429",
            Self::TooManyAfter => "429-after",
            Self::TooManyDate => "429-date",
            Self::Internal => "500",
            Self::BadGateway => "502",
            Self::Unavailable => "503",
            Self::UnavailableAfter => "503-after",
            Self::Unauthorized => "401",
            Self::BadRequest => "400",
            Self::Reset => "reset",
            Self::Drop => "drop",
            Self::Hang => "hang",
            Self::Truncated => "truncated",
            Self::Huge => "huge",
            Self::NotJson => "notjson",
        }
    }

    /// The status of the reply; none where no reply comes.
    #[must_use]
    pub fn status(self) -> Option<u16> {
        match self {
            Self::TooMany | Self::TooManyAfter | Self::TooManyDate => Some(429),
            Self::Internal => Some(500),
            Self::BadGateway => Some(502),
            Self::Unavailable | Self::UnavailableAfter => Some(503),
            Self::Unauthorized => Some(401),
            Self::BadRequest => Some(400),
            Self::Reset | Self::Drop | Self::Hang => None,
            Self::Truncated | Self::Huge | Self::NotJson => Some(200),
        }
    }

    /// Whether the call is done all the same, so that repeating it does it twice.
    #[must_use]
    pub fn has_effect(self) -> bool {
        matches!(self, Self::Drop | Self::Hang | Self::Truncated | Self::Huge | Self::NotJson)
    }

    /// Whether the vendor works on the call before it goes wrong, or refuses it at its edge.
    #[must_use]
    pub fn takes_service_time(self) -> bool {
        self.has_effect()
            || matches!(
                self,
                Self::Internal | Self::BadGateway | Self::Unavailable | Self::UnavailableAfter
            )
    }
}

impl Kind for FaultKind {
    const KINDS: &'static [Self] = &Self::ALL;
    const SYNTAX: Syntax = Syntax {
        owner: "a vendor",
        value: "seconds",
        value_max: u32::MAX as u64,
        value_wrong: "the seconds are not a whole number",
        numbered: false,
        refuse: |text, reason| ConfigError::Fault { text, reason },
    };

    fn name(self) -> &'static str {
        FaultKind::name(self)
    }

    fn value_default(self) -> Option<u64> {
        matches!(self, Self::TooManyAfter | Self::TooManyDate | Self::UnavailableAfter).then_some(1)
    }
}
