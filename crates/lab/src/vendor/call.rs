//! What goes to a vendor and what comes back.

use paceline_clock::Tick;

use crate::stats::{KeyHash, Sighting};
use crate::{FaultKind, Refusal};

/// A call, as far as the vendor's edge looks at it.
///
/// ```
/// use paceline_lab::Call;
/// let call = Call::new().key(b"row-7");
/// assert_ne!(call, Call::new().key(b"row-8"));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Call {
    pub(super) key: Option<KeyHash>,
    pub(super) invalid: bool,
}

impl Call {
    /// A sound call without an idempotency key.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same call with this idempotency key.
    #[must_use]
    pub fn key(self, key: &[u8]) -> Self {
        Self { key: Some(KeyHash::of(key)), ..self }
    }

    /// The same call, but wrong in itself: it is counted like any other, and nothing is done.
    #[must_use]
    pub fn invalid(self) -> Self {
        Self { invalid: true, ..self }
    }
}

/// Whoever comes to a vendor: looked at on arrival, and told of the effect.
pub(crate) trait Visitor {
    /// The call, as it is at the moment of its arrival. Not asked of one that is refused before anybody looks at it.
    fn arrives(&mut self) -> Call;

    /// It has taken effect; whether its key had been seen, where it has one.
    fn served(&mut self, _sighting: Option<Sighting>) {}
}

impl Visitor for Call {
    fn arrives(&mut self) -> Call {
        *self
    }
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It passed; the endpoint answers it.
    Accepted,
    /// The limits refused it: 429. The moment is one of the vendor's clock.
    Refused(Refusal),
    /// It passed, and this went wrong.
    Fault(FaultKind),
}

/// What comes back to the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What became of the call.
    pub reply: Reply,
    /// When it arrived and was counted, by the vendor's clock.
    pub counted_at: Tick,
    /// `Retry-After` and its like; names are lowercase.
    pub headers: Vec<(&'static str, String)>,
}

impl Answer {
    /// The status a caller sees; none if the connection just ends. A sound call that was accepted has 200.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self.reply {
            Reply::Accepted => Some(200),
            Reply::Refused(_) => Some(429),
            Reply::Fault(kind) => kind.status(),
        }
    }

    /// The value of a header, by its lowercase name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn takes_service_time(&self) -> bool {
        match self.reply {
            Reply::Accepted => true,
            Reply::Refused(_) => false,
            Reply::Fault(kind) => kind.takes_service_time(),
        }
    }

    pub(crate) fn has_effect(&self) -> bool {
        match self.reply {
            Reply::Accepted => true,
            Reply::Refused(_) => false,
            Reply::Fault(kind) => kind.has_effect(),
        }
    }
}
