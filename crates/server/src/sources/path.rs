//! A dotted path into JSON, as in `user.emails[0].address`.

use serde_json::{Map, Value as Json};

/// Bytes of a path, and steps of one.
const BYTES_MAX: usize = 256;
const STEPS_MAX: usize = 16;

/// Where something stands in a JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

impl Path {
    /// Reads a path; what is wrong with it, if it is none.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > BYTES_MAX {
            return Err(format!("a path of {} bytes is over the limit of {BYTES_MAX}", text.len()));
        }
        let mut steps = Vec::new();
        for part in text.split('.') {
            let (key, indexes) = match part.find('[') {
                Some(at) => part.split_at(at),
                None => (part, ""),
            };
            // Only the first part may be nothing but an index: the record is a list then.
            if key.is_empty() && (indexes.is_empty() || !steps.is_empty()) {
                return Err(format!("{text:?} is not of the form user.emails[0].address"));
            }
            if !key.is_empty() {
                steps.push(Step::Key(key.to_owned()));
            }
            read_indexes(indexes, &mut steps)
                .ok_or_else(|| format!("{text:?} has brackets that do not hold a number"))?;
        }
        if steps.len() > STEPS_MAX {
            return Err(format!(
                "a path of {} steps is over the limit of {STEPS_MAX}",
                steps.len()
            ));
        }
        Ok(Self(steps))
    }

    /// What stands there.
    pub(crate) fn find<'j>(&self, json: &'j Json) -> Option<&'j Json> {
        self.0.iter().try_fold(json, |json, step| match step {
            Step::Key(key) => json.get(key),
            Step::Index(index) => json.get(index),
        })
    }

    /// The keys, if there are only keys: what [`put`] takes.
    pub(crate) fn keys(&self) -> Option<Vec<&str>> {
        let key = |step: &'_ Step| matches!(step, Step::Key(_));
        self.0.iter().all(key).then(|| {
            let keys = self.0.iter().filter_map(|step| match step {
                Step::Key(key) => Some(key.as_str()),
                Step::Index(_) => None,
            });
            keys.collect()
        })
    }
}

/// Puts a value into nested objects, making those that are missing. What stands in its way is replaced.
pub(crate) fn put(object: &mut Map<String, Json>, keys: &[&str], value: Json) {
    match keys {
        [] => {}
        [last] => {
            object.insert((*last).to_owned(), value);
        }
        [first, rest @ ..] => {
            let inner = object.entry(*first).or_insert_with(|| Json::Object(Map::new()));
            if !inner.is_object() {
                *inner = Json::Object(Map::new());
            }
            if let Json::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

fn read_indexes(mut text: &str, steps: &mut Vec<Step>) -> Option<()> {
    while !text.is_empty() {
        let (index, rest) = text.strip_prefix('[')?.split_once(']')?;
        if !index.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        steps.push(Step::Index(index.parse().ok()?));
        text = rest;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_finds_what_stands_there() {
        let json = json!({"a": {"b": [{"c": 1}, 2]}, "d": null});
        let cases = [
            ("a.b[0].c", Some(json!(1))),
            ("a.b[1]", Some(json!(2))),
            ("a.b[2]", None),
            ("a.c", None),
            ("d", Some(json!(null))),
            ("d.e", None),
        ];
        for (path, wanted) in cases {
            assert_eq!(Path::parse(path).unwrap().find(&json), wanted.as_ref(), "{path}");
        }
        assert_eq!(Path::parse("[1]").unwrap().find(&json!([1, 2])), Some(&json!(2)));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        let long = ["a"; STEPS_MAX + 1].join(".");
        for text in ["", ".", "a..b", "a.", "a[", "a[x]", "a[+1]", "a[1]b", "a.[0]", &long] {
            assert!(Path::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn values_are_put_into_nested_objects() {
        let mut object = Map::new();
        put(&mut object, &["user", "email"], json!("a@b.c"));
        put(&mut object, &["user", "name", "first"], json!("A"));
        put(&mut object, &["user", "email", "work"], json!("w"));
        assert_eq!(
            Json::Object(object),
            json!({"user": {"email": {"work": "w"}, "name": {"first": "A"}}})
        );
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_much_for_it(text in ".{0,300}") {
            if let Ok(path) = Path::parse(&text) {
                let _ = path.find(&json!({"a": [1]}));
            }
        }
    }
}
