//! One answer of Hex, read: what it refused and why (three shapes, or a proxy's page), and what a POST's answer means.

use http::HeaderMap;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Secret;
use crate::wire::WireError;

/// As much of a server's text as goes into a message, in characters.
const TEXT_MAX: usize = 300;

/// An answer, without any token in it.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) trace_id: Option<String>,
    secret: Secret,
}

impl Answer {
    /// An answer to a call that `secret` was sent with: a server may repeat it.
    pub(crate) fn new(status: u16, headers: &HeaderMap, body: &[u8], secret: &Secret) -> Self {
        let trace = headers.get("x-trace-id").and_then(|value| value.to_str().ok());
        let body = secret.mask_body(&String::from_utf8_lossy(body));
        let trace = trace.map(|trace| short(&secret.mask(trace)));
        let trace_id = trace.filter(|trace| !trace.is_empty());
        Self { status, body, trace_id, secret: secret.clone() }
    }

    pub(crate) fn is_success(&self) -> bool {
        (200..=299).contains(&self.status)
    }

    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(&self.body).ok()
    }

    /// Whether Hex itself wrote this error: a proxy's page has no code and no reason.
    pub(crate) fn is_in_hex_shape(&self) -> bool {
        let body: Option<Value> = self.parse();
        let has = |name: &str| {
            body.as_ref().and_then(|body| body.get(name)).is_some_and(Value::is_string)
        };
        (has("code") && has("message")) || has("reason")
    }

    /// The server's own words, as far as they help: never more than a few lines.
    fn words(&self) -> Option<String> {
        let Some(body) = self.parse::<Value>().filter(Value::is_object) else {
            let text = self.body.trim();
            let page = text.starts_with('<');
            return (!page && !text.is_empty()).then(|| short(text));
        };
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        let mut parts: Vec<String> = text("message").or(text("reason")).into_iter().collect();
        parts.extend(text("details"));
        let list = |name: &str| body.get(name).and_then(Value::as_array).into_iter().flatten();
        parts.extend(
            list("issues").filter_map(|issue| issue.get("message")?.as_str()).map(str::to_owned),
        );
        let unknown: Vec<&str> = list("notFound").filter_map(Value::as_str).collect();
        if !unknown.is_empty() {
            parts.push(format!("no such inputs: {}", unknown.join(", ")));
        }
        let invalid = list("invalid").filter_map(|input| input.get("paramName")?.as_str());
        let invalid: Vec<&str> = invalid.collect();
        if !invalid.is_empty() {
            parts.push(format!("wrong type: {}", invalid.join(", ")));
        }
        (!parts.is_empty()).then(|| short(&parts.join("; ")))
    }

    /// The trace id of the header, or that of an older body.
    fn trace(&self) -> Option<String> {
        let body = || self.parse::<Value>()?.get("traceId")?.as_str().map(short);
        self.trace_id.clone().or_else(body)
    }

    /// What was tried, what came back, what to do.
    pub(crate) fn describe(&self, tried: &str) -> String {
        let reason = http::StatusCode::from_u16(self.status)
            .ok()
            .and_then(|status| status.canonical_reason())
            .unwrap_or("no known status");
        let mut text = format!("{tried}: Hex answered HTTP {} ({reason})", self.status);
        if let Some(words) = self.words() {
            text = format!("{text}: {}", self.secret.mask(&words));
        }
        if let Some(trace) = self.trace() {
            text = format!("{text} [trace {}]", self.secret.mask(&trace));
        }
        match advice(self.status) {
            Some(advice) => format!("{text}. {advice}"),
            None => text,
        }
    }
}

fn advice(status: u16) -> Option<&'static str> {
    Some(match status {
        300..=399 => "Redirects are not followed; put the address it leads to into base_url",
        400 | 422 => {
            "Correct the parameters (names, types), or publish the project's latest version"
        }
        401 => "Put a valid token in its place",
        403 => {
            "The token needs the scope \"Run projects\", and its user the right to run this project"
        }
        404 => "Check the project's id, and that the token's user may see the project",
        _ => return None,
    })
}

/// What a server wrote, on one line and cut.
pub(crate) fn short(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = line.trim();
    match line.char_indices().nth(TEXT_MAX) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line.to_owned(),
    }
}

/// What came of a POST that asked for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PostClass {
    /// A run was started.
    Started,
    /// Nothing was written: no run.
    NotSent,
    /// No kernel was free: no run.
    NoKernel,
    /// Another run of the project is under way: no run.
    Conflict,
    /// Refused for the rate: no run.
    Throttled,
    /// The token was refused: no run.
    Unauthorized,
    /// Refused for good: no run.
    Refused,
    /// Nobody knows.
    Ambiguous,
}

/// Classes a POST by hex.md 1.8: ambiguous is whatever may have been written and got no clean answer.
///
/// `head` is the status of an answer that broke off or was too long.
pub(crate) fn class_of_post(
    answer: Result<(&Answer, bool), &WireError>,
    head: Option<u16>,
) -> PostClass {
    match answer {
        Ok((answer, parsed)) => match answer.status {
            200..=299 if parsed => PostClass::Started,
            503 if answer.is_in_hex_shape() => PostClass::NoKernel,
            status => class_of_head(status),
        },
        Err(WireError::TooLong { status, .. }) => class_of_head(*status),
        Err(WireError::Transport { kind, .. }) => match head {
            Some(status) => class_of_head(status),
            None if kind.may_have_arrived() => PostClass::Ambiguous,
            None => PostClass::NotSent,
        },
    }
}

/// What a status says by itself. A request time-out (408, and nginx's 499) comes from something in between.
fn class_of_head(status: u16) -> PostClass {
    match status {
        401 => PostClass::Unauthorized,
        409 => PostClass::Conflict,
        429 => PostClass::Throttled,
        408 | 499 => PostClass::Ambiguous,
        300..=498 => PostClass::Refused,
        _ => PostClass::Ambiguous,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use paceline_governor::Transport;

    const HTML: &str = "<html><body>503 Service Unavailable</body></html>";

    fn answer(status: u16, body: &str) -> Answer {
        let secret = Secret::new("0123456789abcdef").unwrap();
        Answer::new(status, &HeaderMap::new(), body.as_bytes(), &secret)
    }

    #[test]
    fn only_a_clean_answer_says_that_no_run_was_started() {
        use PostClass::*;
        let new = r#"{"code":"SERVICE_UNAVAILABLE","message":"no kernels"}"#;
        let old = r#"{"reason":"no kernels"}"#;
        let cases = [
            (201, "{}", true, Started),
            (201, "{}", false, Ambiguous),
            (204, "", false, Ambiguous),
            (302, "", false, Refused),
            (400, "", false, Refused),
            (401, "Unauthorized", false, Unauthorized),
            (403, new, false, Refused),
            (404, HTML, false, Refused),
            (408, "", false, Ambiguous),
            (409, new, false, Conflict),
            (422, new, false, Refused),
            (429, "", false, Throttled),
            (499, "", false, Ambiguous),
            (500, new, false, Ambiguous),
            (502, HTML, false, Ambiguous),
            (503, new, false, NoKernel),
            (503, old, false, NoKernel),
            (503, HTML, false, Ambiguous),
            (503, "", false, Ambiguous),
            (503, r#"{"message":"upstream"}"#, false, Ambiguous),
            (504, HTML, false, Ambiguous),
            (100, "", false, Ambiguous),
            (999, "", false, Ambiguous),
        ];
        for (status, body, parsed, wanted) in cases {
            let class = class_of_post(Ok((&answer(status, body), parsed)), Some(status));
            assert_eq!(class, wanted, "{status} {body}");
        }
    }

    #[test]
    fn only_a_connection_that_never_was_is_no_call() {
        use PostClass::*;
        let cases = [
            (Transport::Connect, None, NotSent),
            (Transport::UnknownHost, None, NotSent),
            (Transport::Blocked, None, NotSent),
            (Transport::Broken, None, Ambiguous),
            (Transport::Timeout, None, Ambiguous),
            (Transport::Broken, Some(201), Ambiguous),
            (Transport::Broken, Some(422), Refused),
            (Transport::Timeout, Some(429), Throttled),
            (Transport::Timeout, Some(503), Ambiguous),
        ];
        for (kind, head, wanted) in cases {
            let error = WireError::Transport { kind, message: String::new() };
            assert_eq!(class_of_post(Err(&error), head), wanted, "{kind:?} {head:?}");
        }
        let long = |status| WireError::TooLong { status, bytes_max: 1 };
        assert_eq!(class_of_post(Err(&long(201)), Some(201)), Ambiguous);
        assert_eq!(class_of_post(Err(&long(422)), Some(422)), Refused);
    }

    #[test]
    fn every_shape_of_error_gives_its_words() {
        let cases = [
            (r#"{"code":"X","message":"bad","issues":[{"message":"worse"}]}"#, "bad; worse"),
            (
                r#"{"reason":"Validation Failed","details":"inputs","traceId":"t1"}"#,
                "inputs [trace t1]",
            ),
            (
                r#"{"notFound":["a","b"],"invalid":[{"paramName":"c"}],"traceId":"t"}"#,
                "no such inputs: a, b; wrong type: c",
            ),
            ("Unauthorized", ": Unauthorized"),
        ];
        for (body, wanted) in cases {
            let text = answer(422, body).describe("triggering project p");
            assert!(text.contains(wanted), "{body}: {text}");
        }
        assert!(!answer(502, HTML).describe("x").contains('<'));
        let long = answer(400, &"é\n".repeat(1_000)).describe("x");
        assert!(long.chars().count() < 600 && !long.contains('\n'), "{long}");
    }

    #[test]
    fn a_token_that_the_server_repeats_is_masked() {
        for token in ["hxtp_aa", "short", "a-token-of-another-kind"] {
            let mut headers = HeaderMap::new();
            headers.insert("x-trace-id", format!("t-{token}").parse().unwrap());
            let body = format!(r#"{{"message":"bad {token}","code":"short","traceId":"{token}"}}"#);
            let secret = Secret::new(token).unwrap();
            let answer = Answer::new(400, &headers, body.as_bytes(), &secret);
            assert!(answer.parse::<Value>().is_some());
            assert!(!answer.describe("x").contains(token), "{answer:?}");
        }
    }
}
