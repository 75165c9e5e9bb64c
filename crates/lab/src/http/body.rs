//! Reply bodies: whole ones, ones that break off, and ones too long to hold.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};

/// How long a huge body is.
pub const HUGE_BODY_BYTES: u64 = 64 * 1024 * 1024;

/// White space before the reply proper: the huge body stays one JSON value, and one chunk of it is all that is held.
static SPACES: [u8; 64 * 1024] = [b' '; 64 * 1024];

/// The body of a reply.
#[derive(Debug)]
pub(super) enum ReplyBody {
    /// All of it.
    Whole(Bytes),
    /// `spaces` bytes of white space, then all of it.
    Padded { spaces: u64, then: Bytes },
    /// The beginning, after which the connection ends although `promised` bytes were announced.
    Cut { begun: Bytes, promised: u64, stage: CutStage },
}

/// How far a body that breaks off has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CutStage {
    Unsent,
    /// The connection is given a chance to write what it has; an error at once would throw it away.
    Sent,
    Flushed,
}

/// A body breaks off on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CutShort;

impl fmt::Display for CutShort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the fault law cut this body short")
    }
}

impl std::error::Error for CutShort {}

impl ReplyBody {
    /// The first half of `whole`, announced as all of it.
    pub(super) fn truncated(whole: Bytes) -> Self {
        let promised = whole.len() as u64;
        Self::Cut { begun: whole.slice(..whole.len() / 2), promised, stage: CutStage::Unsent }
    }

    /// `whole`, after so much white space that both together are [`HUGE_BODY_BYTES`].
    pub(super) fn huge(whole: Bytes) -> Self {
        let spaces = HUGE_BODY_BYTES.saturating_sub(whole.len() as u64);
        Self::Padded { spaces, then: whole }
    }

    fn left(&self) -> u64 {
        match self {
            Self::Whole(bytes) => bytes.len() as u64,
            Self::Padded { spaces, then } => spaces + then.len() as u64,
            Self::Cut { promised, .. } => *promised,
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = CutShort;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutShort>>> {
        let data = |bytes: Bytes| Poll::Ready(Some(Ok(Frame::data(bytes))));
        match &mut *self {
            Self::Padded { spaces: 0, then } => {
                let then = std::mem::take(then);
                *self = Self::Whole(Bytes::new());
                data(then)
            }
            Self::Padded { spaces, .. } => {
                let chunk = (*spaces).min(SPACES.len() as u64);
                *spaces -= chunk;
                // A chunk is at most as long as the static one.
                data(Bytes::from_static(&SPACES[..chunk as usize]))
            }
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => data(std::mem::take(bytes)),
            Self::Cut { begun, stage, .. } => match stage {
                CutStage::Unsent => {
                    *stage = CutStage::Sent;
                    data(std::mem::take(begun))
                }
                CutStage::Sent => {
                    *stage = CutStage::Flushed;
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                CutStage::Flushed => Poll::Ready(Some(Err(CutShort))),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left())
    }
}
