//! From what a script threw to an error of its row.

use rquickjs::{CaughtError, Ctx, Exception};

use super::{FILE, Limits};
use crate::error::{ScriptCode, ScriptError, told};

/// The error that a failed call left behind.
pub(super) fn error(
    ctx: &Ctx<'_>,
    error: rquickjs::Error,
    limits: Limits,
    tripped: bool,
) -> ScriptError {
    // Taken in any case: what is left behind would be found by the next call.
    let caught = CaughtError::from_error(ctx, error);
    if tripped {
        return ScriptError::timeout(limits.timeout);
    }
    match caught {
        CaughtError::Exception(exception) => of_exception(ctx, &exception, limits),
        // Out of memory, there is not even room for an error.
        CaughtError::Value(value) if value.is_null() || value.is_undefined() => {
            ScriptError::memory(limits.memory_bytes)
        }
        CaughtError::Value(value) => {
            let text = value.get::<rquickjs::Coerced<String>>().map(|text| text.0);
            let text = text.unwrap_or_else(|_| {
                ctx.catch();
                value.type_name().to_owned()
            });
            ScriptError::new(ScriptCode::Error, format!("threw {}", told(&text)))
        }
        CaughtError::Error(rquickjs::Error::Allocation) => ScriptError::memory(limits.memory_bytes),
        CaughtError::Error(error) => ScriptError::new(ScriptCode::Error, told(&error.to_string())),
    }
}

fn of_exception(ctx: &Ctx<'_>, exception: &Exception<'_>, limits: Limits) -> ScriptError {
    let part = |name: &str| {
        let text = exception.as_object().get::<_, Option<rquickjs::Coerced<String>>>(name);
        text.map(|text| text.map(|text| text.0).unwrap_or_default()).unwrap_or_else(|_| {
            ctx.catch();
            String::new()
        })
    };
    let (name, message, stack) = (part("name"), part("message"), part("stack"));
    if name == "InternalError" && message == "out of memory" {
        return ScriptError::memory(limits.memory_bytes);
    }
    let advice = match name.as_str() {
        "RangeError" if message.contains("call stack") => "; it calls itself too deep",
        _ => "",
    };
    let text = if message.is_empty() { name } else { format!("{name}: {message}") };
    let line = line_of(&stack);
    ScriptError { line, ..ScriptError::new(ScriptCode::Error, format!("{}{advice}", told(&text))) }
}

/// The first line of the script itself in a stack trace, whose places are written `script:LINE:COLUMN`.
fn line_of(stack: &str) -> Option<u32> {
    let (_, place) = stack.split_once(&format!("{FILE}:"))?;
    let digits = place.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}
