//! What the judge says of runs and jobs: how many were started, and which one twice.

use paceline_lab::{HexConfig, HexStats};

use super::{P1, P2, with_hex};

fn after_starts(starts: &'static [(&str, &str)]) -> HexStats {
    with_hex(HexConfig::default(), |bench| async move {
        for (project, body) in starts {
            assert_eq!(bench.run(project, body).await.status(), Some(201));
        }
        bench.hex.stats()
    })
}

#[test]
fn a_job_is_its_project_its_view_and_its_inputs() {
    let stats = after_starts(&[
        (P1, r#"{"inputParams":{"a":1,"b":2}}"#),
        (P2, r#"{"inputParams":{"a":1,"b":2}}"#),
        (P1, r#"{"inputParams":{"a":1}}"#),
        (P1, r#"{"viewId":"v"}"#),
        (P1, ""),
    ]);
    assert_eq!((stats.started, stats.jobs, stats.double_started), (5, 5, 0));
    assert_eq!(stats.started_per_project[P1], 4);
    let twice = after_starts(&[
        (P1, r#"{"inputParams":{"a":1,"b":2}}"#),
        (P1, r#"{"useCachedSqlResults":false,"inputParams":{"b":2,"a":1}}"#),
        (P1, r#"{"inputParams":{"a":1,"b":2}}"#),
        (P2, ""),
    ]);
    assert_eq!((twice.started, twice.jobs, twice.double_started), (4, 2, 1));
}

#[test]
fn a_run_that_the_caller_never_heard_of_is_counted() {
    with_hex(super::faulty("drop-after-start:#1"), |bench| async move {
        assert_eq!(bench.run(P1, "").await.status(), None);
        assert_eq!(bench.run(P1, "").await.status(), Some(201));
        let stats = bench.hex.stats();
        assert_eq!((stats.started, stats.double_started), (2, 1), "that is a double start");
    });
}

#[test]
fn the_list_of_runs_tells_what_became_of_each() {
    with_hex(HexConfig::default(), |bench| async move {
        bench.sleep_ms(500).await;
        let run = bench.run(P1, r#"{"inputParams":{"a":1}}"#).await.json();
        bench.sleep_ms(700).await;
        bench.delete(&format!("projects/{P1}/runs/{}", run["runId"].as_str().unwrap())).await;
        let stats = bench.hex.stats();
        let told = serde_json::to_value(&stats.run_list).unwrap();
        let expected = serde_json::json!([{
            "run_id": run["runId"], "project_id": P1, "input_params": {"a": 1},
            "status": "KILLED", "trigger": "API", "foreign": false, "cancelled": true,
            "started_at_ms": 500, "ended_at_ms": 1200, "end_told": false,
        }]);
        assert_eq!(told, expected);
    });
}

#[test]
fn inputs_that_are_too_long_are_compared_and_not_kept() {
    with_hex(HexConfig::default(), |bench| async move {
        let body =
            |tail: &str| format!(r#"{{"inputParams":{{"a":"{}{tail}"}}}}"#, "x".repeat(5_000));
        for tail in ["1", "2", "1"] {
            assert_eq!(bench.run(P1, &body(tail)).await.status(), Some(201));
        }
        let stats = bench.hex.stats();
        assert_eq!((stats.jobs, stats.double_started), (2, 1));
        assert!(stats.run_list.iter().all(|run| run.input_params.is_none()));
    });
}
