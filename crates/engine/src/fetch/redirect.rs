//! Where a redirect leads, and what is taken along (RFC 9110, 15.4).

use http::{HeaderName, Method, header};

use super::FetchError;
use crate::{OutboundGuard, Reply, Request};

/// What another origin gets to see. Any other header may hold a secret, whatever its name.
const PLAIN: [HeaderName; 5] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::CONTENT_TYPE,
    header::USER_AGENT,
];

/// The next call if `reply` is a redirect that can be followed; `None` if it is the reply.
pub(super) fn next(
    hop: &Request,
    reply: &Reply,
    guard: &OutboundGuard,
) -> Result<Option<Request>, FetchError> {
    // These may send the method and the body again; the others ask for a GET, as all clients take them.
    let same = matches!(reply.status, 307 | 308);
    if !same && !matches!(reply.status, 301..=303) {
        return Ok(None);
    }
    let Some(url) = reply.header("location").and_then(|place| hop.url.join(place).ok()) else {
        return Ok(None);
    };
    let url = guard.check_url(url.as_str()).map_err(|error| {
        FetchError::Blocked(format!("the reply redirects to where nothing may be called: {error}"))
    })?;
    let mut next = Request { url, ..hop.clone() };
    if !same && !matches!(next.method, Method::GET | Method::HEAD) {
        next.method = Method::GET;
        next.body = None;
        next.headers.retain(|(name, _)| *name != header::CONTENT_TYPE);
    }
    if next.url.origin() != hop.url.origin() {
        if next.body.is_some() {
            return Ok(None);
        }
        next.headers.retain(|(name, _)| PLAIN.contains(name));
    }
    Ok(Some(next))
}
