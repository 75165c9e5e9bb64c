//! Templates: parsed at every place, bound, and rendered with values that come from the same bytes.

use paceline_model::{Place, Template, Value};

/// A line of values, then the template.
pub fn template(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (values, text) = text.split_once('\n').unwrap_or(("", &text));
    for place in [Place::Url, Place::Header, Place::JsonBody, Place::FormBody, Place::Text] {
        let Ok(parsed) = Template::parse(text, place) else { continue };
        let columns = parsed.columns();
        // A name that nothing is bound to is an error, never a wrong column.
        assert!(columns.is_empty() || parsed.bind(&[]).is_err());
        let Ok(bound) = parsed.bind(&columns) else { continue };
        let row: Vec<Value> = (0..columns.len()).map(|at| value(values, at)).collect();
        assert!(bound.inputs().iter().all(|input| *input < row.len()));
        let _ = bound.render_json(&row);
        let Ok(rendered) = bound.render(&row) else { continue };
        if parsed.is_literal() {
            assert!(row.is_empty(), "a literal names no column");
        }
        if place == Place::Header {
            assert!(!rendered.contains(['\r', '\n', '\0']) || text.contains(['\r', '\n', '\0']));
        }
    }
}

/// A value made of the text: JSON where it is some, else the text itself.
fn value(text: &str, at: usize) -> Value {
    let part = text.split('\t').nth(at).unwrap_or(text);
    match serde_json::from_str(part) {
        Ok(json) => Value::Json(json),
        Err(_) if part.is_empty() => Value::Null,
        Err(_) => Value::Text(part.to_owned()),
    }
}
