//! Arguments against the fields of an operation: unknown ones, missing ones, wrong ones, all told at once.

use paceline_model::suggest;
use serde_json::{Map, Value as Json};

use super::{Field, Kind};
use crate::error::{ApiError, Detail, Result, format_meant};

/// Characters of a value that are told back.
const SHOWN_CHARS_MAX: usize = 40;

/// Checks `given`; a `null` counts as not given and is taken out.
///
/// # Errors
/// A `VALIDATION_ERROR` with every fault.
pub(super) fn arguments(fields: &[Field], given: &mut Map<String, Json>) -> Result<()> {
    given.retain(|_, value| !value.is_null());
    let mut faults = Faults::default();
    faults.object("", fields, given);
    if faults.details.is_empty() {
        return Ok(());
    }
    Err(ApiError::faults(faults.details).meant_as_said(faults.meant))
}

/// Checks what an operation takes as rows; `rows` is what their argument is called.
pub(crate) fn check_rows(rows: Vec<Json>) -> Result<Vec<Json>> {
    let mut faults = Faults::default();
    faults.rows("rows", &rows);
    if faults.details.is_empty() { Ok(rows) } else { Err(ApiError::faults(faults.details)) }
}

/// A field's value from the text of a path or a query. Text that is not what the field takes stays text, and the check
/// says so.
pub(crate) fn from_text(field: &Field, text: &str) -> Json {
    match field.kind {
        Kind::Whole { .. } => text.parse::<u64>().map_or_else(|_| text.into(), Json::from),
        Kind::Flag => match text {
            "true" => true.into(),
            "false" => false.into(),
            other => other.into(),
        },
        Kind::Any => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        Kind::Names { .. } => text.split(',').map(str::trim).map(Json::from).collect(),
        _ => text.into(),
    }
}

/// A value as it is told back, cut short.
pub(crate) fn shown(value: &Json) -> String {
    match value {
        // Not written out whole first: it may be long.
        Json::Array(items) => format!("a list of {}", items.len()),
        Json::Object(_) => "an object".to_owned(),
        Json::String(text) if text.chars().count() > SHOWN_CHARS_MAX => {
            let head: String = text.chars().take(SHOWN_CHARS_MAX).collect();
            format!("{head:?}...")
        }
        other => other.to_string(),
    }
}

#[derive(Default)]
struct Faults {
    details: Vec<Detail>,
    meant: Option<String>,
}

impl Faults {
    fn add(&mut self, field: impl Into<String>, problem: impl Into<String>) {
        self.details.push(Detail { field: field.into(), problem: problem.into() });
    }

    /// A fault about a name, with what was probably meant.
    fn misnamed(&mut self, field: String, mut problem: String, meant: Option<&str>) {
        if let Some(name) = meant {
            problem.push_str(&format_meant(name));
            self.meant.get_or_insert_with(|| name.to_owned());
        }
        self.add(field, problem);
    }

    fn object(&mut self, at: &str, fields: &[Field], given: &Map<String, Json>) {
        let names = || fields.iter().map(|field| field.name);
        for name in given.keys().filter(|name| !names().any(|known| known == name.as_str())) {
            let shown: String = name.chars().take(SHOWN_CHARS_MAX).collect();
            let problem = if fields.is_empty() {
                "there is no such field here; this operation takes none".to_owned()
            } else {
                let known = names().collect::<Vec<_>>().join(", ");
                format!("there is no such field here; the fields are {known}")
            };
            self.misnamed(format!("{at}{shown}"), problem, suggest(name, names()));
        }
        for field in fields {
            let path = format!("{at}{}", field.name);
            match given.get(field.name) {
                Some(Json::Null) | None if field.required => {
                    self.add(path, format!("is required: {}", field.about));
                }
                Some(Json::Null) | None => {}
                Some(value) => self.value(&path, &field.kind, value),
            }
        }
    }

    fn value(&mut self, path: &str, kind: &Kind, value: &Json) {
        match (kind, value) {
            (Kind::Text { bytes_max }, Json::String(text)) => {
                if text.len() > *bytes_max {
                    let problem = format!("{} bytes are over the limit of {bytes_max}", text.len());
                    self.add(path, problem);
                }
            }
            (Kind::Whole { min, max }, value)
                if value.as_u64().is_some_and(|number| (*min..=*max).contains(&number)) => {}
            (Kind::OneOf(names), Json::String(text)) => {
                let names = names();
                if !names.contains(&text.as_str()) {
                    let problem = format!("{} is not one of {}", shown(value), names.join(", "));
                    self.misnamed(path.to_owned(), problem, suggest(text, names.iter().copied()));
                }
            }
            (Kind::Names { max }, Json::Array(items)) => {
                if items.is_empty() || items.len() > *max || !items.iter().all(Json::is_string) {
                    self.wrong(path, kind, value);
                }
            }
            (Kind::Objects { fields, max }, Json::Array(items)) => {
                if items.len() > *max {
                    self.add(path, format!("{} items are over the limit of {max}", items.len()));
                    return;
                }
                for (index, item) in items.iter().enumerate() {
                    let path = format!("{path}[{index}]");
                    match item {
                        Json::Object(item) => self.object(&format!("{path}."), fields, item),
                        other => self.add(path, format!("{} is not an object", shown(other))),
                    }
                }
            }
            (Kind::Rows, Json::Array(items)) => self.rows(path, items),
            (Kind::Any, _) | (Kind::Flag, Json::Bool(_)) => {}
            (Kind::Object, Json::Object(_)) | (Kind::Rate, Json::Object(_) | Json::String(_)) => {}
            (kind, value) => self.wrong(path, kind, value),
        }
    }

    fn rows(&mut self, path: &str, items: &[Json]) {
        // The first one only: a list of 10,000 lists is one mistake.
        if let Some((index, item)) = items.iter().enumerate().find(|(_, item)| !item.is_object()) {
            let problem = format!("{} is not an object of column names and values", shown(item));
            self.add(format!("{path}[{index}]"), problem);
        }
    }

    fn wrong(&mut self, path: &str, kind: &Kind, value: &Json) {
        let accepted = match kind {
            Kind::Text { .. } => "text".to_owned(),
            Kind::Whole { min, max } if *max >= i64::MAX as u64 => {
                format!("a whole number from {min}")
            }
            Kind::Whole { min, max } => format!("a whole number from {min} to {max}"),
            Kind::OneOf(names) => format!("one of {}", names().join(", ")),
            Kind::Names { max } => format!("a list of 1 to {max} names"),
            Kind::Objects { .. } => "a list of objects".to_owned(),
            Kind::Rows => "a list of objects, each of column names and values".to_owned(),
            Kind::Object => "an object".to_owned(),
            Kind::Flag => "true or false".to_owned(),
            Kind::Any => "JSON".to_owned(),
            Kind::Rate => "a preset's name or an object".to_owned(),
        };
        self.add(path, format!("{} is not {accepted}", shown(value)));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Place;
    use super::*;

    const INNER: &[Field] = &[
        Field::body("name", Kind::Text { bytes_max: 5 }, "its name"),
        Field::body("type", Kind::OneOf(|| vec!["text", "number"]), "its type").optional(),
    ];
    const FIELDS: &[Field] = &[
        Field::query("limit", Kind::Whole { min: 1, max: 9 }, "how many"),
        Field::body("columns", Kind::Objects { fields: INNER, max: 2 }, "the columns").optional(),
        Field::query("only", Kind::Names { max: 2 }, "which"),
        Field::body("rate", Kind::Rate, "how fast").optional(),
    ];

    #[test]
    fn each_fault_is_told_where_it_is() {
        let cases = [
            (json!({"limit": 0}), "limit: 0 is not a whole number from 1 to 9"),
            (json!({"limit": "x"}), "limit: \"x\" is not a whole number from 1 to 9"),
            (json!({"limit": -1}), "limit: -1 is not"),
            (json!({"limti": 3}), "limti: there is no such field here"),
            (json!({"columns": [{}]}), "columns[0].name: is required: its name"),
            (json!({"columns": [{"name": "a"}, 5]}), "columns[1]: 5 is not an object"),
            (json!({"columns": [{"name": "toolong"}]}), "columns[0].name: 7 bytes"),
            (json!({"columns": [{"name": "a", "type": "txt"}]}), "did you mean \"text\""),
            (json!({"columns": [{"name": "a", "tpye": "text"}]}), "columns[0].tpye: there is no"),
            (json!({"columns": [{}, {}, {}]}), "columns: 3 items are over the limit of 2"),
            (json!({"only": []}), "only: a list of 0 is not a list of 1 to 2 names"),
            (json!({"rate": 5}), "rate: 5 is not a preset's name or an object"),
        ];
        for (given, wanted) in cases {
            let mut map = given.as_object().unwrap().clone();
            let message = arguments(FIELDS, &mut map).unwrap_err().0.message;
            assert!(message.contains(wanted), "{given}: {message}");
        }
    }

    #[test]
    fn null_counts_as_not_given_and_all_faults_are_told() {
        let mut map = json!({"limit": null, "only": ["a"]}).as_object().unwrap().clone();
        arguments(FIELDS, &mut map).unwrap();
        assert_eq!(Json::Object(map), json!({"only": ["a"]}));

        let mut map = json!({"limit": 10, "rate": true, "x": 1}).as_object().unwrap().clone();
        let error = arguments(FIELDS, &mut map).unwrap_err();
        assert_eq!(error.0.details.len(), 3);
    }

    #[test]
    fn text_becomes_what_its_field_takes() {
        let field =
            |kind| Field { name: "x", place: Place::Query, kind, required: false, about: "" };
        assert_eq!(from_text(&field(Kind::Whole { min: 0, max: 9 }), "7"), json!(7));
        assert_eq!(from_text(&field(Kind::Whole { min: 0, max: 9 }), "7a"), json!("7a"));
        assert_eq!(from_text(&field(Kind::Names { max: 9 }), "a, b"), json!(["a", "b"]));
        assert_eq!(from_text(&field(Kind::Text { bytes_max: 9 }), "7"), json!("7"));
    }
}
