//! Which requests are equal: what a replay finds the recorded answer by.

use crate::Request;
use crate::secret::is_secret_header;
use crate::task::masked_address;

/// Headers that are new with every call, or say nothing of what is asked.
const PASSING: [&str; 3] = ["idempotency-key", "traceparent", "user-agent"];

/// The hash of a request. `text` is done to its address, its headers and its body first: it takes away what is secret.
pub(crate) fn request_key(
    request: &Request,
    secret_path: bool,
    text: impl Fn(&str) -> String,
) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut add = |part: &[u8]| {
        hasher.update(&part.len().to_le_bytes()).update(part);
    };
    add(request.method.as_str().as_bytes());
    add(text(&masked_address(request, secret_path)).as_bytes());
    for (name, value) in &request.headers {
        let name = name.as_str();
        if is_secret_header(name) || PASSING.contains(&name) {
            continue;
        }
        add(name.as_bytes());
        add(text(&String::from_utf8_lossy(value.as_bytes())).as_bytes());
    }
    match request.body.as_deref().map(std::str::from_utf8) {
        None => add(b""),
        Some(Ok(body)) => add(text(body).as_bytes()),
        Some(Err(_)) => add(request.body.as_deref().unwrap_or_default()),
    }
    hasher.finalize().to_hex()[..32].to_owned()
}
