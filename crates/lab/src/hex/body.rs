//! The body of RunProject: what may stand in it, and what is wrong with it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::config::HexInput;

/// A body that can be acted on.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct RunBody {
    pub(super) params: Map<String, Value>,
    pub(super) view_id: Option<String>,
    pub(super) is_dry: bool,
    pub(super) notifications: Vec<Value>,
}

/// A body that cannot.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum BodyError {
    /// It is no JSON object: 400.
    Malformed(String),
    /// Fields of it are wrong: 422.
    Invalid(Vec<String>),
}

const SWITCHES: [&str; 4] =
    ["dryRun", "updateCache", "updatePublishedResults", "useCachedSqlResults"];

impl RunBody {
    /// Reads a body; an empty one is `{}`. Fields that nobody knows are accepted.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, BodyError> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        let fields = match serde_json::from_slice(bytes) {
            Ok(Value::Object(fields)) => fields,
            Ok(_) => return Err(BodyError::Malformed("the body must be a JSON object".to_owned())),
            Err(error) => return Err(BodyError::Malformed(format!("malformed JSON: {error}"))),
        };
        let mut issues = Vec::new();
        let body = Self::of(&fields, &mut issues);
        if issues.is_empty() { Ok(body) } else { Err(BodyError::Invalid(issues)) }
    }

    fn of(fields: &Map<String, Value>, issues: &mut Vec<String>) -> Self {
        let mut body = Self::default();
        let wrong = |name: &str, wanted: &str, value: &Value| {
            format!("{name}: expected {wanted}, received {}", type_of(value))
        };
        for name in SWITCHES {
            match fields.get(name).map(|value| (switch(value), value)) {
                None => {}
                Some((Some(is_on), _)) => body.is_dry |= is_on && name == "dryRun",
                Some((None, value)) => issues.push(wrong(name, "boolean", value)),
            }
        }
        match fields.get("inputParams") {
            None => {}
            Some(Value::Object(params)) => body.params = params.clone(),
            Some(value) => issues.push(wrong("inputParams", "object", value)),
        }
        match fields.get("viewId") {
            None => {}
            Some(Value::String(view)) => body.view_id = Some(view.clone()),
            Some(value) => issues.push(wrong("viewId", "string", value)),
        }
        match fields.get("notifications") {
            None => {}
            Some(Value::Array(items)) => {
                let sent = items.iter().flat_map(|item| notifications(item, issues));
                body.notifications = sent.collect();
            }
            Some(value) => issues.push(wrong("notifications", "array", value)),
        }
        if fields.contains_key("inputParams") && fields.contains_key("viewId") {
            issues.push("inputParams and viewId exclude each other".to_owned());
        }
        body
    }

    /// The inputs of the wrong type, as the older 422 lists them; inputs that the app does not have are not among them.
    pub(super) fn misfits(&self, inputs: &BTreeMap<String, HexInput>) -> Vec<Value> {
        let misfit = |(name, value): (&String, &Value)| {
            let input = inputs.get(name)?;
            let (fits, data_type, cell_type) = match input {
                HexInput::Number => (value.is_number(), "NUMBER", "NUMERIC"),
                HexInput::String => (value.is_string(), "STRING", "TEXT_INPUT"),
                HexInput::Boolean => (value.is_boolean(), "BOOLEAN", "CHECKBOX"),
            };
            let told = json!({
                "dataType": data_type, "inputCellType": cell_type,
                "paramName": name, "paramValue": value,
            });
            (!fits).then_some(told)
        };
        self.params.iter().filter_map(misfit).collect()
    }

    /// The names of inputs that the app does not have.
    pub(super) fn strangers(&self, inputs: &BTreeMap<String, HexInput>) -> Vec<&str> {
        let is_strange = |name: &&String| !inputs.is_empty() && !inputs.contains_key(*name);
        self.params.keys().filter(is_strange).map(String::as_str).collect()
    }

    /// What makes two starts of a project the same job: the view and the inputs, whatever the order of their names.
    pub(super) fn job(&self, project: &str) -> String {
        let params = sorted(&Value::Object(self.params.clone()));
        json!([project, self.view_id, params]).to_string()
    }
}

/// A boolean. Samples in Hex's pages write them as text, so that is accepted too.
fn switch(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(is_on) => Some(*is_on),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// What a run tells of a notification that was asked for: one item for each recipient.
fn notifications(item: &Value, issues: &mut Vec<String>) -> Vec<Value> {
    let kind = item["type"].as_str().filter(|kind| ["SUCCESS", "FAILURE", "ALL"].contains(kind));
    let (Some(kind), Some(has_screenshot)) = (kind, switch(&item["includeSuccessScreenshot"]))
    else {
        issues.push(
            "notifications: type (SUCCESS, FAILURE, ALL) and includeSuccessScreenshot are required"
                .to_owned(),
        );
        return Vec::new();
    };
    let recipients =
        [("slackChannelIds", "SLACK_CHANNEL"), ("userIds", "USER"), ("groupIds", "GROUP")];
    let told = |(field, recipient_type): (&str, &str)| {
        let ids: Vec<&Value> = item[field].as_array().into_iter().flatten().collect();
        let told = ids.into_iter().map(|id| {
            json!({
                "type": kind,
                "subject": item["subject"],
                "body": item["body"],
                "recipientType": recipient_type,
                "includeSuccessScreenshot": has_screenshot,
                "screenshotFormat": item["screenshotFormat"].as_array().cloned().unwrap_or_default(),
                "recipient": { "id": id, "name": id, "isPrivate": false },
            })
        });
        told.collect::<Vec<_>>()
    };
    recipients.into_iter().flat_map(told).collect()
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<_, _> =
                fields.iter().map(|(name, value)| (name.clone(), sorted(value))).collect();
            Value::Object(fields.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        plain => plain.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_real_clients_send_is_accepted() {
        for body in [
            "",
            " \n",
            "{}",
            r#"{"inputParams":{"a":1},"dryRun":false,"updatePublishedResults":false,"useCachedSqlResults":true}"#,
            r#"{"updateCache":false,"inputParams":{}}"#,
            r#"{"dryRun":"false","useCachedSqlResults":"true","somethingNew":[1]}"#,
            r#"{"viewId":"v"}"#,
            r#"{"notifications":[{"type":"ALL","includeSuccessScreenshot":true,"userIds":["u"]}]}"#,
        ] {
            assert!(RunBody::read(body.as_bytes()).is_ok(), "{body}");
        }
        assert!(RunBody::read(br#"{"dryRun":"true"}"#).unwrap().is_dry);
    }

    #[test]
    fn what_is_wrong_is_malformed_or_invalid() {
        for body in ["{", "[]", "null", "1", "{} x", "inputParams=1"] {
            let error = RunBody::read(body.as_bytes()).unwrap_err();
            assert!(matches!(error, BodyError::Malformed(_)), "{body}: {error:?}");
        }
        for (body, issue) in [
            (r#"{"inputParams":null}"#, "inputParams: expected object, received null"),
            (r#"{"inputParams":[1]}"#, "received array"),
            (r#"{"viewId":7}"#, "viewId: expected string"),
            (r#"{"dryRun":"yes"}"#, "dryRun: expected boolean"),
            (r#"{"useCachedSqlResults":null}"#, "useCachedSqlResults"),
            (r#"{"inputParams":{},"viewId":"v"}"#, "exclude each other"),
            (r#"{"notifications":{}}"#, "notifications: expected array"),
            (r#"{"notifications":[{"type":"ALL"}]}"#, "includeSuccessScreenshot"),
            (r#"{"notifications":[7]}"#, "required"),
        ] {
            let error = RunBody::read(body.as_bytes()).unwrap_err();
            let BodyError::Invalid(issues) = error else { panic!("{body}: {error:?}") };
            assert!(issues.len() == 1 && issues[0].contains(issue), "{body}: {issues:?}");
        }
    }

    #[test]
    fn the_order_of_names_does_not_make_another_job() {
        let job = |body: &str| RunBody::read(body.as_bytes()).unwrap().job("p");
        let one = job(r#"{"inputParams":{"a":1,"b":{"x":[1,2],"y":2}}}"#);
        assert_eq!(one, job(r#"{"dryRun":false,"inputParams":{"b":{"y":2,"x":[1,2]},"a":1}}"#));
        assert_ne!(one, job(r#"{"inputParams":{"a":1,"b":{"x":[2,1],"y":2}}}"#));
        assert_ne!(job(r#"{"viewId":"v"}"#), job("{}"));
        assert_eq!(job(""), job(r#"{"inputParams":{}}"#));
    }

    #[test]
    fn inputs_are_held_to_their_types() {
        let inputs = BTreeMap::from([("n".to_owned(), HexInput::Number)]);
        let body = |text: &str| RunBody::read(text.as_bytes()).unwrap();
        assert!(body(r#"{"inputParams":{"n":1.5,"x":"y"}}"#).misfits(&inputs).is_empty());
        let wrong = body(r#"{"inputParams":{"n":"1","x":"y"}}"#);
        assert_eq!(wrong.misfits(&inputs)[0]["paramName"], "n");
        assert_eq!(wrong.strangers(&inputs), ["x"]);
        assert!(wrong.misfits(&BTreeMap::new()).is_empty());
        assert!(wrong.strangers(&BTreeMap::new()).is_empty());
    }
}
