//! What is kept of a request: one line without secrets (spec R7).

use std::fmt::Write as _;

use paceline_model::limits;

use crate::Request;
use crate::secret::{MASK, has_word, is_secret_header};

/// Words that make the name of a query's parameter that of a secret, beside those of headers.
const SECRET_NAMES: [&str; 6] = ["sig", "auth", "code", "pwd", "pass", "jwt"];
/// Shorter values of secret headers are not looked for: they would be found everywhere.
pub(crate) const SECRET_BYTES_MIN: usize = 6;

/// `POST https://host/path?q=x&key=******** (123 bytes)`: method, address, size of the body. Header values are not in it.
pub(super) fn request_line(request: &Request, secret_path: bool) -> String {
    let line = format!("{} {}", request.method, masked_address(request, secret_path));
    let body = request.body.as_ref().map(|body| format!(" ({} bytes)", body.len()));
    cut(line, &body.unwrap_or_default())
}

/// The address of a request: user names, passwords and values of parameters that are called like secrets are masked. Of a
/// `secret_path` only the first part is told.
pub(crate) fn masked_address(request: &Request, secret_path: bool) -> String {
    let url = &request.url;
    let mut line = format!("{}://", url.scheme());
    if !url.username().is_empty() || url.password().is_some() {
        let _ = write!(line, "{MASK}@");
    }
    line.push_str(url.host_str().unwrap_or_default());
    if let Some(port) = url.port() {
        let _ = write!(line, ":{port}");
    }
    match url.path().split('/').nth(1) {
        Some(first) if secret_path => {
            let _ = write!(line, "/{first}/{MASK}");
        }
        _ => line.push_str(url.path()),
    }
    let mut mark = '?';
    for part in url.query().unwrap_or_default().split('&').filter(|part| !part.is_empty()) {
        line.push(mark);
        mark = '&';
        match part.split_once('=') {
            Some((name, _)) if is_secret_name(name) => {
                let _ = write!(line, "{name}={MASK}");
            }
            _ => line.push_str(part),
        }
    }
    line
}

fn cut(mut line: String, tail: &str) -> String {
    const CUT: &str = "...";
    if line.len() + tail.len() > limits::REQUEST_LINE_BYTES_MAX {
        let room = limits::REQUEST_LINE_BYTES_MAX - tail.len() - CUT.len();
        let end = (0..=room).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
        line.truncate(end);
        line.push_str(CUT);
    }
    line.push_str(tail);
    line
}

/// Whether a parameter of that name is called like a secret.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
    is_secret_header(&name) || SECRET_NAMES.iter().any(|word| has_word(&name, word))
}

/// The secrets that a request carries: a vendor that repeats them in its answer must not have them kept.
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    pub(crate) fn of(request: &Request, secret_path: bool) -> Self {
        let mut secrets = Vec::new();
        if secret_path {
            secrets.extend(request.url.path().splitn(3, '/').nth(2).map(str::to_owned));
        }
        for (name, value) in &request.headers {
            if !is_secret_header(name.as_str()) {
                continue;
            }
            let Ok(value) = value.to_str() else { continue };
            // `Bearer abc`: the vendor may repeat the second word alone.
            let last = value.rsplit(' ').next().unwrap_or_default();
            secrets.extend([value, last].map(str::to_owned));
        }
        for part in request.url.query().unwrap_or_default().split('&') {
            let Some((name, value)) = part.split_once('=') else { continue };
            if is_secret_name(name) {
                // As it is meant, and as it stands there.
                let pairs = url::form_urlencoded::parse(part.as_bytes());
                secrets.extend(pairs.map(|(_, value)| value.into_owned()));
                secrets.push(value.to_owned());
            }
        }
        secrets.extend(request.url.password().map(str::to_owned));
        secrets.retain(|secret| secret.len() >= SECRET_BYTES_MIN);
        Self(secrets)
    }

    /// Each of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// A text without them.
    pub(super) fn masked(&self, text: String) -> String {
        self.0.iter().fold(text, |text, secret| {
            if text.contains(secret.as_str()) { text.replace(secret.as_str(), MASK) } else { text }
        })
    }
}
