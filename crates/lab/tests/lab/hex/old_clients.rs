//! The exact requests of public clients, as they were seen on the wire: dagster-hex 0.1.10, airflow-provider-hex 0.1.9,
//! prefect-hex 0.2.1 and kestra's plugin-hex 1.0.0. Those that can be installed in a minute run for themselves in
//! `crates/cli/tests/hex_clients`.

use paceline_lab::HexConfig;

use super::{P1, with_hex};

#[test]
fn the_singular_paths_of_orchestrators_start_watch_and_cancel() {
    for (client, body) in [
        (
            "dagster-hex",
            r#"{"useCachedSqlResults":true,"dryRun":false,"updatePublishedResults":false,"inputParams":{"a":1}}"#,
        ),
        (
            "dagster-hex, nothing set",
            r#"{"useCachedSqlResults":true,"dryRun":false,"updatePublishedResults":false}"#,
        ),
        ("airflow-provider-hex", r#"{"updateCache":false,"inputParams":{"a":1}}"#),
        ("prefect-hex", r#"{"dryRun":false,"inputParams":{"a":1},"updateCache":false}"#),
    ] {
        with_hex(HexConfig::default(), |bench| async move {
            let started = bench.post(&format!("project/{P1}/run"), body).await;
            assert_eq!(started.status(), Some(201), "{client}");
            let started = started.json();
            let item = format!("project/{P1}/run/{}", started["runId"].as_str().unwrap());
            // What they read of it.
            for field in ["projectId", "runId", "runUrl", "runStatusUrl", "traceId"] {
                assert!(started[field].is_string(), "{client}: {field}");
            }
            assert_eq!(bench.get(&item).await.json()["status"], "RUNNING", "{client}");
            assert_eq!(bench.delete(&item).await.status(), Some(204), "{client}");
            assert_eq!(bench.get(&item).await.json()["status"], "KILLED", "{client}");
            let list = bench.get(&format!("project/{P1}/runs?limit=25&offset=0")).await;
            assert_eq!(list.json()["runs"].as_array().unwrap().len(), 1, "{client}");
            let stats = bench.hex.stats();
            assert_eq!((stats.started, stats.double_started, stats.refused), (1, 0, 0));
        });
    }
}

#[test]
fn kestra_finds_the_latest_completed_run() {
    with_hex(HexConfig::default(), |bench| async move {
        let first = bench.start().await;
        bench.sleep_ms(1_000).await;
        bench.start().await;
        bench.sleep_ms(1_500).await;
        assert_eq!(bench.listed("?limit=1&statusFilter=COMPLETED").await, [first]);
    });
}

/// dagster-hex repeats a start that it got no answer to: the judge must say so.
#[test]
fn a_client_that_repeats_a_start_is_caught() {
    with_hex(super::faulty("drop-after-start:#1"), |bench| async move {
        let body = r#"{"useCachedSqlResults":true,"dryRun":false,"updatePublishedResults":false,"inputParams":{"a":1}}"#;
        assert_eq!(bench.post(&format!("project/{P1}/run"), body).await.status(), None);
        bench.sleep_ms(250).await;
        assert_eq!(bench.post(&format!("project/{P1}/run"), body).await.status(), Some(201));
        assert_eq!(bench.hex.stats().double_started, 1);
    });
}
