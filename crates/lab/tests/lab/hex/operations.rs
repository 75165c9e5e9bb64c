//! What each operation answers: fields, statuses, shapes of errors.

use hyper::header::HeaderValue;
use paceline_lab::{
    HexConfig, HexErrors, HexInput, HexProject, HexRequest, HexStatus, HexVersionForm,
};
use serde_json::{Value, json};

use super::{Bench, P1, with_hex};

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn a_start_answers_with_ids_and_links_and_without_a_status() {
    with_hex(HexConfig::default(), |bench| async move {
        let answer = bench.run(P1, r#"{"inputParams":{"day":"x"}}"#).await;
        let told = answer.json();
        let fields = ["projectId", "runId", "runUrl", "runStatusUrl", "traceId", "projectVersion"];
        assert_eq!((answer.status(), keys(&told)), (Some(201), fields.to_vec()));
        assert!(told["projectVersion"].is_u64(), "{told}");
        let run = told["runId"].as_str().unwrap();
        let link = told["runStatusUrl"].as_str().unwrap();
        assert!(link.ends_with(&format!("/api/v1/projects/{P1}/runs/{run}")), "{link}");
        assert_eq!(answer.header("x-trace-id"), told["traceId"].as_str());
        assert_eq!(answer.header("content-type"), Some("application/json"));
    });
}

#[test]
fn a_run_tells_its_moments_only_once_they_have_come() {
    let mut config = HexConfig::default();
    config.projects[0].pending = "1000".parse().unwrap();
    with_hex(config, |bench| async move {
        let run = bench.start().await;
        let nothing = (Value::Null, Value::Null, Value::Null);
        let times = |told: &Value| {
            (told["startTime"].clone(), told["endTime"].clone(), told["elapsedTime"].clone())
        };
        let told = bench.told(&run).await;
        assert_eq!((told["status"].as_str(), times(&told)), (Some("PENDING"), nothing));
        bench.sleep_ms(1_500).await;
        let told = bench.told(&run).await;
        let started = json!("2026-01-01T00:00:01.000Z");
        assert_eq!(told["status"], "RUNNING");
        assert_eq!(times(&told), (started.clone(), Value::Null, json!(500)));
        bench.sleep_ms(9_000).await;
        let told = bench.told(&run).await;
        assert_eq!(told["status"], "COMPLETED");
        assert_eq!(times(&told), (started, json!("2026-01-01T00:00:03.000Z"), json!(2000)));
        let fields = "projectId projectVersion runId runUrl status runTrigger startTime endTime \
                      elapsedTime traceId";
        assert_eq!(keys(&told), fields.split_whitespace().collect::<Vec<_>>());
        assert_eq!((&told["projectVersion"], &told["runTrigger"]), (&json!("3"), &json!("API")));
    });
}

#[test]
fn the_version_of_a_run_has_each_form_that_hex_is_known_for() {
    for (version_form, expected) in [
        (HexVersionForm::String, json!("3")),
        (HexVersionForm::Int, json!(3)),
        (HexVersionForm::Draft, json!("draft")),
    ] {
        let config = HexConfig { version_form, ..HexConfig::default() };
        with_hex(config, |bench| async move {
            let started = bench.run(P1, "").await.json();
            assert_eq!(started["projectVersion"], 3);
            let told = bench.told(started["runId"].as_str().unwrap()).await;
            assert_eq!(told["projectVersion"], expected);
        });
    }
}

#[test]
fn state_events_come_only_when_asked_for() {
    with_hex(HexConfig::default(), |bench| async move {
        let run = bench.start().await;
        bench.sleep_ms(5_000).await;
        assert_eq!(bench.told(&run).await.get("stateEvents"), None);
        let mut request = HexRequest::get(&format!("/api/v1/projects/{P1}/runs/{run}"), "t");
        request.headers.insert("enable-expanded-stats", HeaderValue::from_static("true"));
        let told = bench.hex.handle(request).await.json();
        let values: Vec<_> =
            told["stateEvents"].as_array().unwrap().iter().map(|event| &event["value"]).collect();
        assert_eq!(values, ["PENDING", "RUNNING", "COMPLETED"]);
    });
}

#[test]
fn a_run_echoes_its_notifications_and_not_its_inputs() {
    with_hex(HexConfig::default(), |bench| async move {
        let body = r#"{"inputParams":{"secret":1},"notifications":[{"type":"FAILURE","subject":"s",
            "includeSuccessScreenshot":false,"userIds":["u"],"slackChannelIds":["c","d"]}]}"#;
        let started = bench.run(P1, body).await.json();
        let told = bench.told(started["runId"].as_str().unwrap()).await;
        assert_eq!(told["notifications"], started["notifications"]);
        let types: Vec<_> = told["notifications"]
            .as_array()
            .unwrap()
            .iter()
            .map(|sent| sent["recipientType"].as_str().unwrap())
            .collect();
        assert_eq!(types, ["SLACK_CHANNEL", "SLACK_CHANNEL", "USER"]);
        assert!(!told.to_string().contains("secret"), "{told}");
    });
}

#[test]
fn a_dry_run_answers_and_runs_nothing() {
    with_hex(HexConfig::default(), |bench| async move {
        let answer = bench.run(P1, r#"{"dryRun":true}"#).await;
        assert_eq!(answer.status(), Some(201));
        let run = answer.json()["runId"].as_str().unwrap().to_owned();
        assert_eq!(bench.get(&format!("projects/{P1}/runs/{run}")).await.status(), Some(404));
        assert_eq!(bench.listed("").await.len(), 0);
        let stats = bench.hex.stats();
        assert_eq!((stats.started, stats.dry_runs), (0, 1));
    });
}

#[test]
fn a_cancelled_run_is_killed_and_the_answer_is_empty() {
    with_hex(HexConfig::default(), |bench| async move {
        let run = bench.start().await;
        let path = format!("projects/{P1}/runs/{run}");
        let answer = bench.delete(&path).await;
        assert_eq!((answer.status(), answer.json()), (Some(204), Value::Null));
        assert_eq!(bench.status(&run).await, "KILLED");
        assert_eq!(bench.delete(&path).await.status(), Some(422), "it has ended");
        assert_eq!(bench.hex.stats().cancelled, 1);
    });
}

#[test]
fn cancelling_an_ended_run_answers_as_it_is_told_to() {
    for status in [204, 404, 409, 422] {
        let config = HexConfig { cancel_ended_status: status, ..HexConfig::default() };
        with_hex(config, |bench| async move {
            let run = bench.start().await;
            bench.sleep_ms(9_000).await;
            let answer = bench.delete(&format!("projects/{P1}/runs/{run}")).await;
            assert_eq!(answer.status(), Some(status));
            assert_eq!(bench.status(&run).await, "COMPLETED");
        });
    }
}

fn with_odd_projects() -> HexConfig {
    let unpublished = HexProject { published: false, ..HexProject::new("unpublished", "U") };
    let forbidden = HexProject { forbidden: true, ..HexProject::new("forbidden", "F") };
    let typed = HexProject {
        inputs: [("n".to_owned(), HexInput::Number)].into(),
        ..HexProject::new("typed", "T")
    };
    HexConfig { projects: vec![unpublished, forbidden, typed], ..HexConfig::default() }
}

async fn status_of(bench: &Bench, method: &str, path: &str, body: &str) -> Option<u16> {
    let mut request = HexRequest::post(&format!("/api/v1/{path}"), "t", body);
    request.method = method.parse().unwrap();
    bench.hex.handle(request).await.status()
}

#[test]
fn what_cannot_be_done_has_the_status_that_hex_documents() {
    with_hex(with_odd_projects(), |bench| async move {
        for (method, path, body, status) in [
            ("POST", "projects/unpublished/runs", "", 422),
            ("GET", "projects/unpublished/runs", "", 422),
            ("GET", "projects/unpublished", "", 200),
            ("GET", "projects/unpublished/runs/x", "", 404),
            ("POST", "projects/forbidden/runs", "", 403),
            ("GET", "projects/forbidden", "", 403),
            ("GET", "projects/forbidden/runs", "", 403),
            ("DELETE", "projects/forbidden/runs/x", "", 403),
            ("POST", "projects/nowhere/runs", "", 404),
            ("GET", "projects/nowhere", "", 404),
            ("DELETE", "projects/typed/runs/x", "", 404),
            ("POST", "projects/typed/runs", "{", 400),
            ("POST", "projects/typed/runs", "[]", 400),
            ("POST", "projects/typed/runs", r#"{"inputParams":null}"#, 422),
            ("POST", "projects/typed/runs", r#"{"inputParams":{},"viewId":"v"}"#, 422),
            ("POST", "projects/typed/runs", r#"{"inputParams":{"n":"1"}}"#, 422),
            ("POST", "projects/typed/runs", r#"{"inputParams":{"n":1,"other":"x"}}"#, 201),
            ("GET", "projects/typed/runs?limit=101", "", 400),
            ("GET", "projects/typed/runs?statusFilter=DONE", "", 400),
            ("GET", "projects?limit=0", "", 400),
            ("GET", "projects?sortBy=NAME", "", 400),
            ("GET", "projects?whatever=1", "", 200),
            ("POST", "run/typed", "", 404),
            ("PATCH", "projects/typed", "", 404),
        ] {
            let seen = status_of(&bench, method, path, body).await;
            assert_eq!(seen, Some(status), "{method} {path} {body}");
        }
        assert_eq!(bench.hex.stats().started, 1);
    });
}

#[test]
fn errors_have_the_shape_that_is_asked_for() {
    let new = json!({"code": "NOT_FOUND", "message": "there is no such project"});
    for (errors, started, cancelled) in [
        (HexErrors::Documented, "code", "reason"),
        (HexErrors::New, "code", "code"),
        (HexErrors::Old, "reason", "reason"),
    ] {
        let config = HexConfig { errors, ..HexConfig::default() };
        with_hex(config, |bench| {
            let new = new.clone();
            async move {
                let answer = bench.run("nowhere", "").await;
                assert!(answer.json()[started].is_string(), "{errors:?}: {answer:?}");
                assert_eq!(answer.json() == new, started == "code", "no trace id in the body");
                assert!(answer.header("x-trace-id").is_some());
                let answer = bench.delete("projects/nowhere/runs/x").await;
                assert!(answer.json()[cancelled].is_string(), "{errors:?}: {answer:?}");
                let trace_id = answer.json()["traceId"].is_string();
                assert_eq!(trace_id, cancelled == "reason", "{answer:?}");
            }
        });
    }
    let config = HexConfig { errors: HexErrors::Html, ..HexConfig::default() };
    with_hex(config, |bench| async move {
        let answer = bench.run("nowhere", "").await;
        assert_eq!(
            (answer.status(), answer.header("content-type")),
            (Some(404), Some("text/html"))
        );
    });
}

#[test]
fn refused_inputs_are_listed_in_both_shapes() {
    let body = r#"{"inputParams":{"n":"one","stranger":1}}"#;
    with_hex(with_odd_projects(), |bench| async move {
        let told = bench.run("typed", body).await.json();
        assert_eq!(told["code"], "UNPROCESSABLE_CONTENT");
        assert!(told["issues"][0]["message"].as_str().unwrap().contains('n'), "{told}");
    });
    let config = HexConfig { errors: HexErrors::Old, ..with_odd_projects() };
    with_hex(config, |bench| async move {
        let told = bench.run("typed", body).await.json();
        let invalid = json!([{
            "dataType": "NUMBER", "inputCellType": "NUMERIC", "paramName": "n", "paramValue": "one",
        }]);
        assert_eq!((&told["invalid"], &told["notFound"]), (&invalid, &json!(["stranger"])));
    });
}

#[test]
fn runs_end_as_their_project_says() {
    for ends in HexStatus::ALL {
        let mut config = HexConfig::default();
        config.projects[0].ends = ends;
        with_hex(config, |bench| async move {
            let run = bench.start().await;
            bench.sleep_ms(3_600_000).await;
            assert_eq!(bench.status(&run).await, ends.name());
        });
    }
}

#[test]
fn without_a_good_token_there_is_only_plain_text() {
    let config = HexConfig { tokens: vec!["good".into(), "other".into()], ..HexConfig::default() };
    with_hex(config, |bench| async move {
        let answer = async |bearer: Option<&str>| {
            let mut request = HexRequest::get("/api/v1/projects", "");
            request.bearer = bearer.map(str::to_owned);
            bench.hex.handle(request).await
        };
        for bearer in [None, Some(""), Some("bad"), Some("Good")] {
            let refused = answer(bearer).await;
            assert_eq!(refused.status(), Some(401), "{bearer:?}");
            assert!(refused.header("content-type").unwrap().starts_with("text/plain"));
        }
        assert_eq!(answer(Some("good")).await.status(), Some(200));
        assert_eq!(answer(Some("other")).await.status(), Some(200));
        let stats = bench.hex.stats();
        assert_eq!((stats.unauthorized, stats.overall.accepted), (4, 2), "no limit counts a 401");
    });
}
