//! No secret is in a recording: not the column's, not one that rows bring, not one that the vendor repeats.

use base64::Engine as _;
use paceline_engine::replay::Altered;
use serde_json::json;

use crate::support::{Act, Case, record, replayed};

/// A vendor that repeats everything that it was told.
fn echo(_: u32, request: &paceline_engine::Request) -> Act {
    let headers: Vec<String> = request
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    let body = request.body.as_ref().map(|body| String::from_utf8_lossy(body).into_owned());
    let body = json!({"url": request.url.as_str(), "headers": headers, "body": body});
    Act::Say(200, ("content-type", "application/json"), body.to_string(), 10)
}

#[test]
fn no_secret_is_in_the_file_and_the_cells_are_the_same_all_the_same() {
    let case = Case::get(8).config(json!({
        "url": "https://vendor.example/a/{{n}}?api_key=k-in-address&sig={{token}}",
        "method": "POST",
        "repeatable": true,
        "headers": {
            "Authorization": "Bearer fixed-secret-1", "X-Row-Token": "{{token}}", "X-Plain": "plain-1"
        },
        "body": {"again": "{{token}}", "fixed": "fixed-secret-1", "n": "{{n}}"}
    }));
    let run = record(&case, echo);
    assert_eq!(run.counts.completed, 8, "{:?}", run.reason);
    let text = case.files.text();
    for secret in ["fixed-secret-1", "k-in-address", "row-token-"] {
        assert!(!text.contains(secret), "{secret} is in {text}");
        let encoded = base64::engine::general_purpose::STANDARD.encode(secret);
        assert!(!text.contains(&encoded[..encoded.len() - 4]));
    }
    assert!(text.contains("plain-1"));
    let recording = case.files.read();
    let report = replayed(&recording, Altered::default()).unwrap();
    assert!(report.is_same(), "{report:#?}");
    assert_eq!((report.same, report.not_recorded), (8, 0));
    // Rows with different secrets stay different.
    let tokens: std::collections::BTreeSet<String> =
        recording.rows.values().map(|row| row.values[1].to_string()).collect();
    assert_eq!(tokens.len(), 8);
}
