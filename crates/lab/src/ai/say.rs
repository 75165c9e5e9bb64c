//! What the model says to a question, and what a fault makes of it.

use std::time::Duration;

use super::answer::{ai_text, ai_tokens, ai_value};
use super::dialect::{Ask, Counts, End, Problem, Said, TooMany};
use super::fault::{AiFault, AiFaultKind};

/// A garbled answer.
const GARBLED: &str = "Sure! Here is the JSON you asked for";

/// What a fault says before the vendor works on the call, if it is of that kind.
pub(super) fn at_once(fault: AiFault) -> Option<Problem> {
    Some(match fault.kind {
        AiFaultKind::TooMany => {
            let wait = Duration::from_secs(fault.value);
            let counts = Counts::Requests;
            Problem::TooMany(TooMany { counts, limit: 1, used: 1, requested: 1, wait })
        }
        AiFaultKind::Quota => Problem::Quota,
        AiFaultKind::Unauthorized => Problem::BadKey,
        AiFaultKind::Overloaded => Problem::Overloaded,
        _ => return None,
    })
}

/// What the model says, after what a fault makes of it.
pub(super) fn say(ask: &Ask, fault: Option<AiFaultKind>) -> Said {
    let text = match &ask.shape {
        None => ai_text(&ask.prompt),
        Some(_) if fault == Some(AiFaultKind::Garbled) => GARBLED.to_owned(),
        Some(_) if fault == Some(AiFaultKind::Misshapen) => r#"{"other":[]}"#.to_owned(),
        Some(shape) => ai_value(&shape.schema, &ask.prompt).to_string(),
    };
    let (most, end) = match fault {
        Some(AiFaultKind::Refusal) => (0, End::Refusal),
        Some(AiFaultKind::Blocked) => (0, End::Blocked),
        Some(AiFaultKind::Empty) => (0, End::Whole),
        Some(AiFaultKind::Length) => (ai_tokens(&text) / 2, End::Length),
        _ => match ask.output_max {
            Some(most) if most < ai_tokens(&text) => (most, End::Length),
            _ => (u64::MAX, End::Whole),
        },
    };
    let chars = usize::try_from(most.saturating_mul(4)).unwrap_or(usize::MAX);
    let text: String = text.chars().take(chars).collect();
    let (input_tokens, output_tokens) = (ai_tokens(&ask.input), ai_tokens(&text));
    Said { text, end, input_tokens, output_tokens }
}
