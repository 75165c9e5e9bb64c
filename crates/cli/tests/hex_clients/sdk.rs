//! The two SDKs, each driven by `drive.py`.

use paceline_lab::{HexProject, Running};
use serde_json::{Value, json};

use crate::{P1, assert_nothing_twice_and_nothing_refused, client, hex, run};

const SDKS: [&str; 2] = ["hex_toolkit", "hex_api"];
const DRIVE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hex_clients/drive.py");

async fn drive(sdk: &str, lab: &Running, what: &str) -> Value {
    let mut command = client("python", lab);
    command.args([DRIVE, sdk, &format!("http://{}", lab.addr()), P1, what]);
    let ended = run(command).await.exits(0);
    serde_json::from_str(&ended.stdout).expect("one JSON object")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sdk_lists_runs_polls_and_cancels() {
    for sdk in SDKS {
        let lab = hex(|_| {}).await;
        let saw = drive(sdk, &lab, "lifecycle").await;
        let ids: Vec<String> =
            lab.hex().config().projects.iter().map(|project| project.id.clone()).collect();
        assert_eq!(saw["projects"], json!(ids), "{sdk}: every page");
        assert_eq!((&saw["title"], &saw["version"]), (&json!("Project 1"), &json!(3)), "{sdk}");
        assert_eq!(saw["seen"], json!(["PENDING", "RUNNING", "COMPLETED"]), "{sdk}");
        assert_eq!(saw["cancelled"], Value::Null, "{sdk}: 204 has no body");
        assert_eq!(saw["seen_of_cancelled"], json!(["KILLED"]), "{sdk}");
        let [first, second] = [0, 1].map(|place| saw["started"][place].clone());
        assert_eq!(saw["listed"], json!([second, first]), "{sdk}: newest first, no dry run");
        assert_nothing_twice_and_nothing_refused(&lab, 2);
        assert_eq!(lab.hex().stats().dry_runs, 1, "{sdk}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sdk_understands_every_refusal_and_repeats_nothing() {
    for sdk in SDKS {
        let lab = hex(|hex| {
            hex.faults =
                "drop-after-start:#1,502-after-start:#2,503-kernels:#3,rotate:#8".parse().unwrap();
            // The fifth start is refused: the one of an unpublished project counts too.
            hex.limits.runs.limits = vec!["4/h".parse().unwrap()];
            hex.limits.runs.policy = "first_call".parse().unwrap();
        })
        .await;
        let saw = drive(sdk, &lab, "errors").await;
        assert_eq!(saw["unpublished"], json!(["HexValidationError", 422, null]), "{sdk}");
        assert_eq!(saw["unknown"], json!(["HexNotFoundError", 404, null]), "{sdk}");
        assert_eq!(saw["cancel_unknown"], json!(["HexNotFoundError", 404, null]), "{sdk}");
        assert_eq!(saw["dropped"], json!(["RemoteProtocolError", null, null]), "{sdk}");
        assert_eq!(saw["bad_gateway"], json!(["HexServerError", 502, null]), "{sdk}");
        assert_eq!(saw["kernels"], json!(["HexServerError", 503, null]), "{sdk}");
        let too_many = saw["too_many"].as_array().unwrap();
        assert_eq!(too_many[..2], [json!("HexRateLimitError"), json!(429)], "{sdk}");
        assert!((3_590..=3_600).contains(&too_many[2].as_u64().unwrap()), "{sdk}: {too_many:?}");
        assert_eq!(saw["rotated"], json!(["HexAuthenticationError", 401, null]), "{sdk}");
        let stats = lab.hex().stats();
        // It was told of neither run, and started neither again.
        assert_eq!((stats.started, stats.double_started, stats.refused), (2, 0, 1), "{stats:#?}");
    }
}

/// Known from the field: this SDK wants an integer, and Hex sends a text.
#[tokio::test(flavor = "multi_thread")]
async fn a_draft_breaks_the_sdk_that_wants_a_number() {
    let lab = hex(|hex| {
        hex.version_form = paceline_lab::HexVersionForm::Draft;
        hex.projects = vec![HexProject::new(P1, "Project 1")];
    })
    .await;
    let mut command = client("python", &lab);
    command.args([DRIVE, "hex_toolkit", &format!("http://{}", lab.addr()), P1, "lifecycle"]);
    let ended = run(command).await;
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("ValidationError") && ended.stderr.contains("draft"),
        "{ended:#?}"
    );
}
