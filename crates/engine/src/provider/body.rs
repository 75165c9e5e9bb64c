//! A reply's body, never more of it in memory than was asked for and one piece.

use bytes::{Bytes, BytesMut};
use paceline_governor::Transport;

use super::CallError;
use super::http::chain;

/// What happens to a body that is longer than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overlong {
    /// The call fails.
    Refused,
    /// Its beginning is kept, and the rest is not read.
    Cut,
}

/// The body, and whether it was cut.
pub(super) async fn read(
    mut response: reqwest::Response,
    bytes_max: usize,
    overlong: Overlong,
) -> Result<(Bytes, bool), CallError> {
    let too_long = CallError::TooLong { status: response.status().as_u16(), bytes_max };
    let said = response.content_length().is_some_and(|length| length > bytes_max as u64);
    if said && overlong == Overlong::Refused {
        return Err(too_long);
    }
    let Some(mut first) = next_piece(&mut response).await? else {
        return Ok((Bytes::new(), false));
    };
    if first.len() > bytes_max {
        first.truncate(bytes_max);
        return if overlong == Overlong::Cut { Ok((first, true)) } else { Err(too_long) };
    }
    // Most replies come in one piece and need no copy.
    let Some(second) = next_piece(&mut response).await? else { return Ok((first, false)) };
    let mut body = BytesMut::from(first);
    let mut next = Some(second);
    while let Some(piece) = next {
        let room = bytes_max - body.len();
        if piece.len() > room {
            body.extend_from_slice(&piece[..room]);
            return if overlong == Overlong::Cut {
                Ok((body.freeze(), true))
            } else {
                Err(too_long)
            };
        }
        body.extend_from_slice(&piece);
        next = next_piece(&mut response).await?;
    }
    Ok((body.freeze(), false))
}

async fn next_piece(response: &mut reqwest::Response) -> Result<Option<Bytes>, CallError> {
    response.chunk().await.map_err(|error| CallError::Transport {
        kind: Transport::Broken,
        message: format!("the reply broke off: {}", chain(&error)),
    })
}
