//! From the words of a command line to a request.

use std::borrow::Cow;
use std::io::Read;

use paceline_model::{limits, suggest};
use paceline_server::{Field, Kind, Operation, Place};
use serde_json::{Map, Value as Json};
use url::Url;

use crate::exit::{Failure, usage};

/// A request that can be sent.
#[derive(Debug, PartialEq)]
pub(super) struct Call {
    pub(super) method: &'static str,
    pub(super) url: String,
    pub(super) body: Option<Json>,
}

/// Reads `--field value` or `--field=value`, each once; a value of the body may be `@FILE`, whose text it then is, or `@-` for
/// stdin. What a value must be, the server says.
pub(super) fn read(
    operation: &'static Operation,
    words: &[String],
    server: &str,
) -> Result<Call, Failure> {
    let given = given(operation, words)?;
    let mut url = Url::parse(server).map_err(|error| usage(format!("--url {server}: {error}")))?;
    path(operation, &given, &mut url)?;
    let mut body = Map::new();
    for (field, text) in &given {
        match field.place {
            Place::Path => {}
            Place::Query => {
                url.query_pairs_mut().append_pair(field.name, text);
            }
            Place::Body => {
                body.insert(field.name.to_owned(), value(field, &text_of(field.name, text)?));
            }
        }
    }
    let takes_body = operation.fields.iter().any(|field| field.place == Place::Body);
    let body = takes_body.then_some(Json::Object(body));
    Ok(Call { method: operation.verb.as_str(), url: url.into(), body })
}

fn given(
    operation: &'static Operation,
    words: &[String],
) -> Result<Vec<(&'static Field, String)>, Failure> {
    let mut given: Vec<(&'static Field, String)> = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let Some(option) = word.strip_prefix("--") else {
            return Err(usage(format!("{word:?} stands where a field should, as in --table NAME")));
        };
        let (name, text) = match option.split_once('=') {
            Some((name, text)) => (name, text.to_owned()),
            None => match words.next() {
                Some(text) => (option, text.clone()),
                None => return Err(usage(format!("--{option} has no value"))),
            },
        };
        let field = field(operation, name)?;
        if given.iter().any(|(known, _)| known.name == field.name) {
            return Err(usage(format!("--{name} is given twice")));
        }
        given.push((field, text));
    }
    Ok(given)
}

fn field(operation: &'static Operation, name: &str) -> Result<&'static Field, Failure> {
    operation.fields.iter().find(|field| field.name == name).ok_or_else(|| {
        let meant = suggest(name, operation.fields.iter().map(|field| field.name));
        let meant = meant.map_or_else(String::new, |meant| format!("; did you mean --{meant}?"));
        let help = format!("`paceline api {} --help` lists its fields", operation.name);
        usage(format!("{} has no field --{name}{meant}; {help}", operation.name))
    })
}

fn path(
    operation: &Operation,
    given: &[(&'static Field, String)],
    url: &mut Url,
) -> Result<(), Failure> {
    let server = url.to_string();
    let mut segments = url.path_segments_mut().map_err(|()| {
        usage(format!("--url {server} is not an address such as http://127.0.0.1:7223"))
    })?;
    segments.pop_if_empty();
    for part in operation.path.split('/').filter(|part| !part.is_empty()) {
        let Some(name) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) else {
            segments.push(part);
            continue;
        };
        let text = given.iter().find(|(field, _)| field.name == name).map(|(_, text)| text);
        // A dot would be taken for the way up, and an empty one for no segment.
        match text.filter(|text| !matches!(text.as_str(), "" | "." | "..")) {
            Some(text) => segments.push(text),
            None => return Err(usage(format!("{} needs --{name}", operation.name))),
        };
    }
    Ok(())
}

/// What a value stands for: itself, the text of a file (`@FILE`, `@-`), or text that begins with an at-sign (`@@text`).
fn text_of<'a>(name: &str, given: &'a str) -> Result<Cow<'a, str>, Failure> {
    let Some(path) = given.strip_prefix('@') else { return Ok(given.into()) };
    if path.starts_with('@') {
        return Ok(path.into());
    }
    let read = match path {
        "-" => read_to_end(std::io::stdin().lock()),
        path => std::fs::File::open(path).and_then(read_to_end),
    };
    read.map(Cow::Owned).map_err(|error| {
        let literal = "text that begins with @ is written with two of them";
        usage(format!("--{name} {given}: {error}; {literal}"))
    })
}

/// A text, but not more of it than a server takes.
fn read_to_end(source: impl Read) -> std::io::Result<String> {
    let mut text = String::new();
    source.take(limits::API_BODY_BYTES_MAX as u64 + 1).read_to_string(&mut text)?;
    if text.len() > limits::API_BODY_BYTES_MAX {
        let most = limits::API_BODY_BYTES_MAX / (1024 * 1024);
        return Err(std::io::Error::other(format!("it is larger than a call may be, {most} MiB")));
    }
    Ok(text)
}

/// A value of the body. Text that is not the JSON its field takes goes as text, and the server says what is wrong.
fn value(field: &Field, text: &str) -> Json {
    let as_json = || serde_json::from_str(text).unwrap_or_else(|_| text.into());
    match field.kind {
        Kind::Text { .. } | Kind::OneOf(_) => text.into(),
        Kind::Names { .. } if !text.starts_with('[') => {
            text.split(',').map(str::trim).map(Json::from).collect()
        }
        _ => as_json(),
    }
}

#[cfg(test)]
mod tests {
    use paceline_server::operations;
    use serde_json::json;

    use super::*;

    fn call(line: &[&str]) -> Result<Call, String> {
        let (name, words) = line.split_first().unwrap();
        let operation = operations().find(|operation| operation.name == *name).unwrap();
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        read(operation, &words, "http://127.0.0.1:7223/").map_err(|error| error.to_string())
    }

    #[test]
    fn fields_go_where_they_belong() {
        let made = call(&["insert_rows", "--table", "a b/c", "--rows", r#"[{"x": 1}]"#]).unwrap();
        assert_eq!(made.method, "POST");
        assert_eq!(made.url, "http://127.0.0.1:7223/api/tables/a%20b%2Fc/rows");
        assert_eq!(made.body, Some(json!({"rows": [{"x": 1}]})));
        let made = call(&["list_runs", "--table=t", "--limit=5"]).unwrap();
        assert_eq!(
            (made.url.as_str(), made.body),
            ("http://127.0.0.1:7223/api/tables/t/runs?limit=5", None)
        );
    }

    #[test]
    fn what_does_not_fit_is_told_before_anything_is_sent() {
        let cases: [(&[&str], &str); 6] = [
            (&["list_runs"], "list_runs needs --table"),
            (&["list_runs", "--table", ".."], "list_runs needs --table"),
            (&["list_runs", "--tabel", "t"], "did you mean --table?"),
            (&["list_runs", "--table"], "--table has no value"),
            (&["list_runs", "t"], "\"t\" stands where a field should"),
            (&["list_runs", "--table", "t", "--table", "u"], "--table is given twice"),
        ];
        for (line, wanted) in cases {
            let told = call(line).unwrap_err();
            assert!(told.contains(wanted), "{line:?}: {told}");
        }
    }
}
