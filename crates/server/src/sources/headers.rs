//! Headers that are sent along: every value of them is sealed at rest and shown to nobody, because any of them may be a
//! secret.

use http::{HeaderName, HeaderValue};
use paceline_model::limits;
use serde_json::{Map, Value as Json};

use crate::App;
use crate::error::{ApiError, Code, Result};

/// Names, and sealed values.
pub(crate) type Headers = Vec<(String, String)>;

/// Shown instead of a value.
const MASK: &str = "********";

/// Checks headers and seals them for a place.
pub(crate) fn sealed_headers(app: &App, given: Option<&Json>, place: &str) -> Result<Headers> {
    let Some(given) = given else { return Ok(Headers::new()) };
    let Json::Object(given) = given else {
        return Err(ApiError::field("headers", "is not an object of names and texts"));
    };
    if given.len() > limits::HEADERS_MAX {
        let problem = format!("{} are over the limit of {}", given.len(), limits::HEADERS_MAX);
        return Err(ApiError::field("headers", problem));
    }
    given.iter().map(|(name, value)| sealed_header(app, name, value, place)).collect()
}

fn sealed_header(app: &App, name: &str, value: &Json, place: &str) -> Result<(String, String)> {
    let field = || format!("headers.{}", name.chars().take(80).collect::<String>());
    let Json::String(value) = value else {
        return Err(ApiError::field(field(), "is not text"));
    };
    if value == MASK {
        let problem = "is the mask that is shown instead of the value; give the value again";
        return Err(ApiError::field(field(), problem));
    }
    let parsed: Option<HeaderName> = name.parse().ok();
    let name = parsed.ok_or_else(|| ApiError::field(field(), "is not the name of a header"))?;
    if HeaderValue::from_str(value).is_err() {
        return Err(ApiError::field(field(), "has characters that a header cannot carry"));
    }
    Ok((name.as_str().to_owned(), seal(app, value, &header_place(place, name.as_str()))?))
}

/// Seals a secret for a place.
pub(crate) fn seal(app: &App, plain: &str, place: &str) -> Result<String> {
    let sealed = app.engine.sealer().and_then(|sealer| sealer.seal(plain, place));
    sealed.ok_or_else(|| {
        let message = "this server has no key to seal secrets with, and so takes none";
        ApiError::new(Code::Conflict, message)
    })
}

/// Opens a secret; the error says what to do about it.
pub(crate) fn open(app: &App, sealed: &str, place: &str) -> std::result::Result<String, String> {
    let opened = app.engine.sealer().and_then(|sealer| sealer.open(sealed, place));
    opened.ok_or_else(|| {
        "a secret cannot be opened with this data directory's key; give it again".to_owned()
    })
}

/// Headers as they are sent.
pub(crate) fn opened_headers(
    app: &App,
    headers: &Headers,
    place: &str,
) -> std::result::Result<Vec<(HeaderName, HeaderValue)>, String> {
    let mut opened = Vec::with_capacity(headers.len());
    for (name, sealed) in headers {
        let value = open(app, sealed, &header_place(place, name))?;
        let (Ok(name), Ok(mut value)) = (name.parse(), HeaderValue::from_str(&value)) else {
            return Err(format!("the header {name} cannot be sent; give it again"));
        };
        value.set_sensitive(true);
        opened.push((name, value));
    }
    Ok(opened)
}

/// Headers as people and programs may see them.
pub(crate) fn shown_headers(headers: &Headers) -> Json {
    headers.iter().map(|(name, _)| (name.clone(), MASK.into())).collect::<Map<_, _>>().into()
}

fn header_place(place: &str, name: &str) -> String {
    format!("{place}:{name}")
}
