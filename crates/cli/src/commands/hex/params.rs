//! One parameter as people write it: `NAME=VALUE`, `NAME:number=VALUE`.

use paceline_model::suggest;
use serde_json::Value as Json;

use super::jobs::clip;
use crate::exit::{Failure, usage};

/// A parameter of a run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Param {
    pub(super) name: String,
    pub(super) value: Json,
}

/// What a parameter's text stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing is said: text is text, and JSON is what it is.
    Any,
    Text,
    Number,
    Bool,
    Json,
}

const KINDS: [(&str, Kind); 4] =
    [("text", Kind::Text), ("number", Kind::Number), ("bool", Kind::Bool), ("json", Kind::Json)];

impl Kind {
    /// `NAME` or `NAME:TYPE`.
    pub(super) fn split(text: &str) -> Result<(&str, Self), String> {
        let (name, kind) = match text.rsplit_once(':') {
            None => (text, Self::Any),
            Some((name, kind)) => match KINDS.iter().find(|(word, _)| *word == kind) {
                Some((_, kind)) => (name, *kind),
                None => {
                    let meant = suggest(kind, KINDS.iter().map(|(word, _)| *word));
                    let meant =
                        meant.map_or_else(String::new, |word| format!("; did you mean {word}?"));
                    return Err(format!(
                        "there is no type {:?}, only text, number, bool and json{meant}",
                        clip(kind)
                    ));
                }
            },
        };
        if name.trim().is_empty() {
            return Err("the parameter has no name".to_owned());
        }
        Ok((name, kind))
    }

    /// The value that a text stands for.
    pub(super) fn read(self, text: &str) -> Result<Json, String> {
        let shown = || clip(text);
        match self {
            Self::Any | Self::Text => Ok(Json::from(text)),
            Self::Number => serde_json::from_str(text.trim())
                .map(Json::Number)
                .map_err(|_| format!("{:?} is no number, such as 12 or 1.5e3", shown())),
            Self::Bool => match text.trim() {
                text if text.eq_ignore_ascii_case("true") => Ok(Json::Bool(true)),
                text if text.eq_ignore_ascii_case("false") => Ok(Json::Bool(false)),
                _ => Err(format!("{:?} is neither true nor false", shown())),
            },
            Self::Json => serde_json::from_str(text)
                .map_err(|error| format!("{:?} is not JSON: {error}", shown())),
        }
    }

    /// A value that came as JSON.
    pub(super) fn check(self, json: Json) -> Result<Json, String> {
        let fits = match self {
            Self::Any | Self::Json => true,
            Self::Text => json.is_string(),
            Self::Number => json.is_number(),
            Self::Bool => json.is_boolean(),
        };
        match (fits, &json) {
            (true, _) => Ok(json),
            (false, Json::String(text)) => self.read(text),
            (false, other) => Err(format!("{:?} is of another type", clip(&other.to_string()))),
        }
    }
}

/// The parameters of a command line.
pub(super) fn given(flags: &[String]) -> Result<Vec<Param>, Failure> {
    let mut params: Vec<Param> = Vec::new();
    for flag in flags {
        let wrong = |problem: String| usage(format!("--param {}: {problem}", clip(flag)));
        let (name, text) =
            flag.split_once('=').ok_or_else(|| wrong("write NAME=VALUE".to_owned()))?;
        let (name, kind) = Kind::split(name).map_err(wrong)?;
        let value = kind.read(text).map_err(wrong)?;
        if params.iter().any(|param| param.name == name) {
            return Err(wrong("it is given twice".to_owned()));
        }
        params.push(Param { name: name.to_owned(), value });
    }
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_become_what_their_type_says() {
        let cases = [
            ("a=1", json!("1")),
            ("a=", json!("")),
            ("a=b=c", json!("b=c")),
            ("a:text=1", json!("1")),
            ("a:number=1", json!(1)),
            ("a:number= 1.5e3", json!(1500.0)),
            ("a:bool=TRUE", json!(true)),
            ("a:json=[1,null]", json!([1, null])),
        ];
        for (text, wanted) in cases {
            let params = given(&[text.to_owned()]).unwrap();
            assert_eq!(params, [Param { name: "a".to_owned(), value: wanted }], "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let cases = [
            ("a", "NAME=VALUE"),
            ("=1", "no name"),
            (":number=1", "no name"),
            ("a:nubmer=1", "did you mean number?"),
            ("a:number=NaN", "no number"),
            ("a:bool=yes", "neither true nor false"),
            ("a:json={", "not JSON"),
        ];
        for (text, part) in cases {
            let error = given(&[text.to_owned()]).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        let twice = given(&["a=1".to_owned(), "a:number=2".to_owned()]);
        assert!(twice.unwrap_err().to_string().contains("twice"));
    }
}
