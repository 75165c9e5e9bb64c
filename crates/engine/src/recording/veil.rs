//! What must not be in a recording, and what stands in its place.

use paceline_model::{Place, Template};
use serde_json::Value as Json;

use crate::secret::{MASK, is_sealed, is_secret_header};
use crate::task::{SECRET_BYTES_MIN, is_secret_name};

/// What stands in the place of a secret that is the same for all rows. Not the mask of a configuration: where that one stands
/// alone, a secret is to be put in its place.
pub(crate) const HIDDEN: &str = "masked_secret";

/// Texts, each with what stands in its place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Veil(Vec<(String, String)>);

impl Veil {
    /// Hides a text. Too short a one is left, because it would be found everywhere; and so is a template, whose secrets rows
    /// bring.
    pub(crate) fn hide(&mut self, secret: &str, shown: &str) {
        if secret.contains("{{") {
            return;
        }
        let known = self.0.iter().any(|(known, _)| known == secret);
        if secret.len() >= SECRET_BYTES_MIN && secret != MASK && !known {
            self.0.push((secret.to_owned(), shown.to_owned()));
            // One that holds another one goes first.
            self.0.sort_by_key(|(secret, _)| std::cmp::Reverse(secret.len()));
        }
    }

    /// Hides what another one hides, too.
    pub(crate) fn add(&mut self, other: &Self) {
        for (secret, shown) in &other.0 {
            self.hide(secret, shown);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn text(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (secret, shown)| {
            if text.contains(secret.as_str()) { text.replace(secret.as_str(), shown) } else { text }
        })
    }

    /// Each text in it, names of fields too.
    pub(crate) fn json(&self, json: Json) -> Json {
        match json {
            Json::String(text) => Json::String(self.text(&text)),
            Json::Array(items) => items.into_iter().map(|item| self.json(item)).collect(),
            Json::Object(fields) => fields
                .into_iter()
                .map(|(name, value)| (self.text(&name), self.json(value)))
                .collect(),
            other => other,
        }
    }

    /// Of bytes that are no text.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Vec<u8> {
        self.0.iter().fold(bytes.to_vec(), |bytes, (secret, shown)| {
            replaced(&bytes, secret.as_bytes(), shown.as_bytes())
        })
    }

    /// The secrets of a configuration: what is masked where it is shown, the credentials in its addresses.
    pub(crate) fn of_config(opened: &Json, masked: &Json) -> Self {
        let mut veil = Self::default();
        veil.differing(opened, masked);
        each_text(opened, "", &mut |field, text| {
            if field == "url" || field == "base_url" {
                secret_parts(text).for_each(|part| veil.hide(part, HIDDEN));
            }
        });
        veil
    }

    fn differing(&mut self, opened: &Json, masked: &Json) {
        match (opened, masked) {
            (Json::String(secret), Json::String(mask)) if secret != mask => {
                self.hide(secret, HIDDEN);
                // `Bearer abc`: the vendor may repeat the second word alone.
                self.hide(secret.rsplit(' ').next().unwrap_or_default(), HIDDEN);
            }
            (Json::Array(opened), Json::Array(masked)) => {
                opened
                    .iter()
                    .zip(masked)
                    .for_each(|(opened, masked)| self.differing(opened, masked));
            }
            (Json::Object(opened), Json::Object(masked)) => {
                for (name, opened) in opened {
                    self.differing(opened, masked.get(name).unwrap_or(&Json::Null));
                }
            }
            _ => {}
        }
    }
}

/// A configuration as a recording has it: masked, but an address that is a secret keeps what tells where it leads, so that it
/// can be read again.
pub(crate) fn shown(opened: &Json, masked: Json) -> Json {
    match (opened, masked) {
        (Json::String(secret), Json::String(mask)) if *secret != mask => {
            if let Some(references) = references(secret) {
                return Json::String(references);
            }
            let url =
                url::Url::parse(secret).ok().filter(|url| url.has_host() && !is_sealed(secret));
            let Some(url) = url else { return Json::String(mask) };
            let first = url.path().split('/').nth(1).unwrap_or_default();
            Json::String(format!("{}/{first}/{MASK}", url.origin().ascii_serialization()))
        }
        (Json::Array(opened), Json::Array(masked)) => {
            opened.iter().zip(masked).map(|(opened, masked)| shown(opened, masked)).collect()
        }
        (Json::Object(opened), Json::Object(masked)) => masked
            .into_iter()
            .map(|(name, value)| {
                let opened = opened.get(&name).unwrap_or(&Json::Null);
                let value = shown(opened, value);
                (name, value)
            })
            .collect(),
        (_, other) => other,
    }
}

/// What a secret takes from rows, without its own words: `Bearer {{token}}` is `{{token}}`. A default may be secret, so an empty
/// one stands in its place. None for a text that takes nothing.
fn references(secret: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = secret;
    while let Some((_, after)) = rest.split_once("{{") {
        let (inner, next) = after.split_once("}}")?;
        let reference = match inner.split_once("??") {
            Some((name, _)) => format!("{} ?? \"\"", name.trim()),
            None => inner.to_owned(),
        };
        out.extend(["{{", &reference, "}}"]);
        rest = next;
    }
    (!out.is_empty()).then_some(out)
}

/// The names of the columns whose values go into secrets: into headers that carry them, and into the credentials of addresses.
pub(crate) fn secret_columns(opened: &Json) -> Vec<String> {
    let mut columns = Vec::new();
    let mut add = |text: &str| {
        if let Ok(template) = Template::parse(text, Place::Text) {
            columns.extend(template.columns().into_iter().map(str::to_owned));
        }
    };
    each_text(opened, "", &mut |field, text| {
        if field == "url" {
            secret_parts(text).for_each(&mut add);
        } else if field.strip_prefix("headers.").is_some_and(is_secret_header) {
            add(text);
        }
    });
    columns
}

/// Each text of a configuration with the name of its field; that of a header is `headers.NAME`.
fn each_text(json: &Json, field: &str, see: &mut dyn FnMut(&str, &str)) {
    match json {
        Json::String(text) => see(field, text),
        Json::Array(items) => items.iter().for_each(|item| each_text(item, field, see)),
        Json::Object(fields) => {
            for (name, value) in fields {
                let of_headers =
                    if field == "headers" { format!("headers.{name}") } else { name.clone() };
                each_text(value, &of_headers, see);
            }
        }
        _ => {}
    }
}

/// The credentials in an address that may be a template: the password, the user's name, values of parameters called like
/// secrets.
fn secret_parts(url: &str) -> impl Iterator<Item = &str> {
    let after = url.split_once("://").map_or("", |(_, after)| after);
    let authority = after.split(['/', '?', '#']).next().unwrap_or_default();
    let user = authority.rsplit_once('@').map(|(user, _)| user);
    let (name, password) = user.map_or((None, None), |user| match user.split_once(':') {
        Some((name, password)) => (Some(name), Some(password)),
        None => (Some(user), None),
    });
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let parts = query.split(['&', '#']).filter_map(|part| part.split_once('='));
    let values = parts.filter(|(name, _)| is_secret_name(name)).map(|(_, value)| value);
    name.into_iter().chain(password).chain(values)
}

fn replaced(bytes: &[u8], secret: &[u8], shown: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.windows(secret.len().max(1)).position(|window| window == secret) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(shown);
        rest = &rest[at + secret.len()..];
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_configuration_masks_is_hidden_wherever_it_stands() {
        let opened = json!({
            "url": "https://user:passwort@h.example/a?api_key=k-123456&q={{city}}",
            "headers": {"Authorization": "Bearer abcdef123", "Accept": "application/json"},
            "sources": [{"url": "https://h.example?token={{token}}", "headers": {"x-key": "{{other}}"}}],
        });
        let mut masked = opened.clone();
        masked["headers"]["Authorization"] = json!(MASK);
        let veil = Veil::of_config(&opened, &masked);
        let told = veil.text("abcdef123, Bearer abcdef123, k-123456, passwort, application/json");
        assert_eq!(told, format!("{HIDDEN}, {HIDDEN}, {HIDDEN}, {HIDDEN}, application/json"));
        assert_eq!(
            veil.bytes(b"\xffabcdef123\xfe"),
            [b"\xff", HIDDEN.as_bytes(), b"\xfe"].concat()
        );
        assert_eq!(secret_columns(&opened), ["token", "other"]);
    }

    #[test]
    fn of_a_secret_that_takes_from_rows_only_that_is_shown() {
        let cases = [
            ("Bearer {{token}}", "{{token}}"),
            ("{{a.b}}:hidden {{c ?? \"hidden\"}}", "{{a.b}}{{c ?? \"\"}}"),
            ("hidden", MASK),
            ("hidden {{a", MASK),
        ];
        for (secret, wanted) in cases {
            assert_eq!(shown(&json!(secret), json!(MASK)), json!(wanted), "{secret}");
        }
    }

    #[test]
    fn an_address_that_is_a_secret_stays_an_address() {
        let opened =
            json!({"webhook_url": "https://hooks.example/services/T0/B0/xyz", "token": "t"});
        let masked = json!({"webhook_url": MASK, "token": MASK});
        let wanted = json!({
            "webhook_url": format!("https://hooks.example/services/{MASK}"), "token": MASK
        });
        assert_eq!(shown(&opened, masked), wanted);
    }
}
