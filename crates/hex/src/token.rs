//! The API token: where it comes from, and a type that never prints it.

use std::fmt;

use async_trait::async_trait;
use http::HeaderValue;

/// What is shown instead of a token.
pub(crate) const MASK: &str = "********";
/// Longer is no token, and would not fit into a header.
const TOKEN_BYTES_MAX: usize = 4_096;
/// What is shorter is a word that somebody made up for a test.
const SECRET_BYTES_MIN: usize = 16;
/// What Hex's own tokens begin with (personal, workspace), whoever they belong to.
const PREFIXES: [&str; 2] = ["hxtp_", "hxtw_"];

/// A token. It shows neither in `Debug` nor anywhere else; [`Secret::mask`] takes it out of what others wrote.
///
/// ```
/// use paceline_hex::Secret;
/// let token = Secret::new(" hxtp_0123 \n").unwrap();
/// assert_eq!(format!("{token:?}"), "Secret(..)");
/// assert_eq!(token.mask("bad token hxtp_0123!"), "bad token ********!");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A token, without the white space around it (a file ends in a line break).
    ///
    /// # Errors
    /// If it is empty, longer than 4,096 bytes, or holds what a header cannot carry. The text does not repeat it.
    pub fn new(text: &str) -> Result<Self, TokenError> {
        let token = text.trim();
        if token.is_empty() {
            return Err(TokenError("the token is empty; put one there and try again".to_owned()));
        }
        if token.len() > TOKEN_BYTES_MAX || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError(
                "what was read is no token: it must be one word of ASCII, at most 4096 bytes"
                    .to_owned(),
            ));
        }
        Ok(Self(token.to_owned()))
    }

    /// `text` without the token, and without anything else that looks like a token of Hex.
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        mask_tokens(&text.replace(&self.0, MASK))
    }

    /// As [`Secret::mask`], for a body that is still to be read: a token shorter than any secret may be part of any word in
    /// it, and is left there.
    pub(crate) fn mask_body(&self, body: &str) -> String {
        if self.0.len() < SECRET_BYTES_MIN { mask_tokens(body) } else { self.mask(body) }
    }

    /// The header that carries it, marked as sensitive.
    pub(crate) fn bearer(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::try_from(format!("Bearer {}", self.0)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// `text` without anything that looks like a token of Hex.
pub(crate) fn mask_tokens(text: &str) -> String {
    let mut masked = text.to_owned();
    for prefix in PREFIXES {
        let mut from = 0;
        while let Some(at) = masked[from..].find(prefix).map(|at| at + from) {
            let rest = &masked[at + prefix.len()..];
            let length = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
            masked.replace_range(at..at + prefix.len() + length, MASK);
            from = at + MASK.len();
        }
    }
    masked
}

/// No token could be had: what was tried, why it failed, and what to do. It never holds a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TokenError(pub String);

/// Where the token comes from: a variable, a file, a command.
#[async_trait]
pub trait TokenSource: Send + Sync {
    /// Reads it. Called once at the start and again whenever Hex answered 401: whoever regenerates a token revokes the
    /// old value at once, so what was read before is worth nothing then.
    ///
    /// # Errors
    /// [`TokenError`], which is shown to people.
    async fn read(&self) -> Result<Secret, TokenError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_token_is_refused_without_repeating_it() {
        for text in ["", " \n", "two words", "schlüssel", &"x".repeat(5_000)] {
            let error = Secret::new(text).unwrap_err().to_string();
            assert!(text.trim().is_empty() || !error.contains(text.trim()), "{error}");
        }
    }

    #[test]
    fn every_token_of_hex_is_masked_not_only_the_present_one() {
        let token = Secret::new("abc").unwrap();
        let text = "abc, hxtp_12ab and hxtw_, hxtp_zz.";
        assert_eq!(token.mask(text), "********, ******** and ********, ********.");
    }
}
