//! Values into JavaScript and out of it.

use paceline_model::{Value, limits};
use rquickjs::{Ctx, Value as Js};
use serde_json::{Number, Value as Json};

use crate::error::{ScriptCode, ScriptError};

/// The largest whole number that a double tells from its neighbours.
const WHOLE_MAX: f64 = 9_007_199_254_740_991.0;

/// A value as a script sees it: null, a boolean, a number (whole ones beyond 2^53 lose their last digits), text, or the
/// objects and lists of JSON.
pub(crate) fn into_js<'js>(ctx: &Ctx<'js>, value: &Value) -> rquickjs::Result<Js<'js>> {
    Ok(match value {
        Value::Null => Js::new_null(ctx.clone()),
        Value::Bool(flag) => Js::new_bool(ctx.clone(), *flag),
        Value::Int(whole) => match i32::try_from(*whole) {
            Ok(small) => Js::new_int(ctx.clone(), small),
            Err(_) => Js::new_float(ctx.clone(), *whole as f64),
        },
        Value::Number(number) => Js::new_number(ctx.clone(), *number),
        Value::Text(text) => text_into_js(ctx, text)?,
        Value::Json(json) => json_into_js(ctx, json)?,
    })
}

/// JSON as a script sees it.
pub(crate) fn json_into_js<'js>(ctx: &Ctx<'js>, json: &Json) -> rquickjs::Result<Js<'js>> {
    match json {
        Json::String(text) => text_into_js(ctx, text),
        // Read by the engine itself, so that a field `__proto__` is a field.
        other => ctx.json_parse(other.to_string()),
    }
}

fn text_into_js<'js>(ctx: &Ctx<'js>, text: &str) -> rquickjs::Result<Js<'js>> {
    rquickjs::String::from_str(ctx.clone(), text).map(rquickjs::String::into_value)
}

/// What a script returned, as JSON. `Err(None)`: it threw on the way out.
pub(crate) fn out_of_js<'js>(ctx: &Ctx<'js>, value: Js<'js>) -> Result<Json, Option<ScriptError>> {
    if value.is_undefined() || value.is_null() {
        return Ok(Json::Null);
    }
    if let Some(flag) = value.as_bool() {
        return Ok(Json::Bool(flag));
    }
    if let Some(number) = value.as_number() {
        return number_out(number).map_err(Some);
    }
    if let Some(text) = value.as_string() {
        return text_out(text).map(Json::String).map_err(Some);
    }
    if value.is_function() {
        return Err(Some(wrong("is a function; call it, and return what it gives")));
    }
    if value.is_symbol() {
        return Err(Some(wrong("is a symbol; return text")));
    }
    if let Some(big) = value.as_big_int() {
        let text: String = coerced(&value).map_err(|_| None)?;
        let fits = big.clone().to_i64().ok().filter(|whole| whole.to_string() == text);
        let beyond = || Some(wrong("is a BigInt beyond 64 bits; return it as text with String()"));
        return fits.map(Json::from).ok_or_else(beyond);
    }
    let Some(text) = ctx.json_stringify(value).map_err(|_| None)? else {
        return Ok(Json::Null);
    };
    let text = text_out(&text).map_err(Some)?;
    serde_json::from_str(&text).map_err(|error| {
        Some(wrong(&format!(
            "is JSON that cannot be kept ({error}); nest it less, and use whole characters"
        )))
    })
}

fn coerced(value: &Js<'_>) -> rquickjs::Result<String> {
    value.get::<rquickjs::Coerced<String>>().map(|text| text.0)
}

fn number_out(number: f64) -> Result<Json, ScriptError> {
    if number.fract() == 0.0 && number.abs() <= WHOLE_MAX {
        return Ok(Json::from(number as i64));
    }
    Number::from_f64(number).map(Json::Number).ok_or_else(|| {
        let advice = if number.is_nan() {
            "look for an input that is empty or no number, as in `price ?? 0`"
        } else {
            "look for a division by zero"
        };
        wrong(&format!("is {number}, which is no value of a cell; {advice}"))
    })
}

fn text_out(text: &rquickjs::String<'_>) -> Result<String, ScriptError> {
    let text = text
        .to_string()
        .map_err(|_| wrong("is text with half of a character in it; use its toWellFormed()"))?;
    if text.len() > limits::VALUE_BYTES_MAX {
        return Err(wrong(&format!(
            "is {} bytes long, over the limit of {} bytes; return less",
            text.len(),
            limits::VALUE_BYTES_MAX
        )));
    }
    Ok(text)
}

fn wrong(what: &str) -> ScriptError {
    ScriptError::new(ScriptCode::Result, format!("the result {what}"))
}
