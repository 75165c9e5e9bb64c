//! Each switch of the fault law: what the caller sees, and what has happened.

use std::time::Duration;

use paceline_lab::{HexAnswer, HexRequest, RetryAfter};

use super::{P1, P2, faulty, with_hex};

/// What a call of a faulty Hex looked like: its status, none if the connection broke, 0 if nothing came.
async fn seen(bench: &super::Bench, call: impl Future<Output = HexAnswer>) -> Option<u16> {
    tokio::select! {
        answer = call => answer.status(),
        () = bench.sleep_ms(3_600_000) => Some(0),
    }
}

#[test]
fn a_faulty_start_makes_a_run_or_none() {
    for (law, status, runs) in [
        ("drop-before-start:1", None, 0),
        ("hang-before-start:1", Some(0), 0),
        ("429-on-start:1", Some(429), 0),
        ("500-before-start:1", Some(500), 0),
        ("502-before-start:1", Some(502), 0),
        ("503-kernels:1", Some(503), 0),
        ("503-before-start:1", Some(503), 0),
        ("drop-after-start:1", None, 1),
        ("hang-after-start:1", Some(0), 1),
        ("500-after-start:1", Some(500), 1),
        ("502-after-start:1", Some(502), 1),
        ("504-after-start:1", Some(504), 1),
        ("garbled-after-start:1", Some(201), 1),
    ] {
        with_hex(faulty(law), |bench| async move {
            assert_eq!(seen(&bench, bench.run(P1, "")).await, status, "{law}");
            let stats = bench.hex.stats();
            assert_eq!((stats.started, stats.run_list.len()), (runs, runs as usize), "{law}");
            assert_eq!(stats.faults.values().sum::<u64>(), 1, "{law}");
            assert_eq!(stats.runs.accepted, 1, "a fault strikes what passed the limits");
        });
    }
}

#[test]
fn a_faulty_read_or_cancellation_looks_as_it_should() {
    for (law, read, cancelled, cancels) in [
        ("drop-on-read:1", None, Some(204), 1),
        ("hang-on-read:1", Some(0), Some(204), 1),
        ("429-on-read:1", Some(429), Some(204), 1),
        ("500-on-read:1", Some(500), Some(204), 1),
        ("502-on-read:1", Some(502), Some(204), 1),
        ("garbled-on-read:1", Some(200), Some(204), 1),
        ("drop-on-cancel:1", Some(200), None, 1),
        ("429-on-cancel:1", Some(200), Some(429), 0),
        ("500-on-cancel:1", Some(200), Some(500), 0),
    ] {
        let mut config = faulty(law);
        config.projects[0].ends = "RUNNING".parse().unwrap();
        with_hex(config, |bench| async move {
            let path = format!("projects/{P1}/runs/{}", bench.start().await);
            assert_eq!(seen(&bench, bench.get(&path)).await, read, "{law}");
            assert_eq!(seen(&bench, bench.delete(&path)).await, cancelled, "{law}");
            assert_eq!(bench.hex.stats().cancelled, cancels, "{law}");
        });
    }
}

#[test]
fn only_hex_itself_answers_in_its_own_shape() {
    for (law, is_hex) in [
        ("503-kernels:1", true),
        ("500-before-start:1", true),
        ("503-before-start:1", false),
        ("502-after-start:1", false),
        ("504-after-start:1", false),
        ("garbled-after-start:1", false),
    ] {
        with_hex(faulty(law), |bench| async move {
            let told = bench.run(P1, "").await.json();
            assert_eq!(told["code"].is_string(), is_hex, "{law}: {told}");
        });
    }
}

#[test]
fn a_refusal_by_fault_says_when_to_come_back() {
    for (retry_after, expected) in [(RetryAfter::Seconds, Some("7")), (RetryAfter::None, None)] {
        let mut config = faulty("429-on-start=7:#1");
        config.retry_after = retry_after;
        with_hex(config, |bench| async move {
            assert_eq!(bench.run(P1, "").await.header("retry-after"), expected);
            assert_eq!(bench.run(P1, "").await.status(), Some(201));
            assert_eq!(bench.hex.stats().refused, 0, "the limits refused nothing");
        });
    }
}

#[test]
fn runs_have_the_ends_that_the_law_gives_them() {
    for (law, status) in [
        ("stuck-pending:1", "PENDING"),
        ("stuck-running:1", "RUNNING"),
        ("errored:1", "ERRORED"),
        ("killed:1", "KILLED"),
        ("no-kernel:1", "UNABLE_TO_ALLOCATE_KERNEL"),
        ("errored:#2", "COMPLETED"),
    ] {
        with_hex(faulty(law), |bench| async move {
            let run = bench.start().await;
            bench.sleep_ms(3_600_000).await;
            assert_eq!(bench.status(&run).await, status, "{law}");
            assert!(!bench.hex.stats().run_list[0].cancelled, "{law}");
        });
    }
}

#[test]
fn somebody_else_kills_a_run_half_way() {
    with_hex(faulty("killed:1"), |bench| async move {
        let run = bench.start().await;
        bench.sleep_ms(999).await;
        assert_eq!(bench.status(&run).await, "RUNNING");
        bench.sleep_ms(1).await;
        assert_eq!(bench.status(&run).await, "KILLED");
    });
}

#[test]
fn a_run_that_completes_during_its_cancellation_is_a_success() {
    with_hex(faulty("stuck-running:1,completes-on-cancel:1"), |bench| async move {
        let run = bench.start().await;
        bench.sleep_ms(60_000).await;
        let answer = bench.delete(&format!("projects/{P1}/runs/{run}")).await;
        assert_eq!((answer.status(), bench.status(&run).await.as_str()), (Some(204), "COMPLETED"));
    });
}

#[test]
fn a_late_run_is_not_listed_at_first_and_its_status_is_told_at_once() {
    with_hex(faulty("late-in-list=5000:#2"), |bench| async move {
        let runs = [bench.start().await, bench.start().await];
        assert_eq!(bench.listed("").await, [runs[0].clone()]);
        assert_eq!(bench.status(&runs[1]).await, "RUNNING");
        bench.sleep_ms(4_999).await;
        assert_eq!(bench.listed("").await.len(), 1);
        bench.sleep_ms(1).await;
        assert_eq!(bench.listed("").await, [runs[1].clone(), runs[0].clone()]);
    });
}

#[test]
fn an_overlap_is_a_conflict_only_where_the_law_says_so() {
    with_hex(faulty("none"), |bench| async move {
        bench.start().await;
        bench.start().await;
        assert_eq!(bench.hex.stats().started, 2, "Hex starts overlapping runs");
    });
    with_hex(faulty("409-on-overlap:1"), |bench| async move {
        bench.start().await;
        assert_eq!(bench.run(P1, "").await.status(), Some(409));
        assert_eq!(bench.run(P2, "").await.status(), Some(201), "another project");
        bench.sleep_ms(2_000).await;
        assert_eq!(bench.run(P1, "").await.status(), Some(201), "the first has ended");
        assert_eq!(bench.hex.stats().faults["409-on-overlap"], 1);
    });
}

#[test]
fn a_run_of_somebody_else_appears_beside_ours_and_is_not_ours() {
    for (law, api, all) in [("foreign:#2", 4, 4), ("foreign-scheduled:#2", 3, 4)] {
        with_hex(faulty(law), |bench| async move {
            for _ in 0..3 {
                bench.start().await;
            }
            assert_eq!(bench.listed("?runTriggerFilter=API").await.len(), api, "{law}");
            assert_eq!(bench.listed("").await.len(), all, "{law}");
            let stats = bench.hex.stats();
            assert_eq!((stats.started, stats.foreign), (3, 1), "{law}");
            assert_eq!(stats.run_list.iter().filter(|run| run.foreign).count(), 1);
        });
    }
}

#[test]
fn a_rotated_token_is_refused_until_another_one_comes() {
    with_hex(faulty("rotate:#3"), |bench| async move {
        let call = async |token: &str| {
            bench.hex.handle(HexRequest::get("/api/v1/projects", token)).await.status().unwrap()
        };
        let mut statuses = Vec::new();
        for token in ["old", "old", "old", "old", "new", "old", "new"] {
            statuses.push(call(token).await);
        }
        assert_eq!(statuses, [200, 200, 401, 401, 200, 401, 200]);
        bench.hex.reset();
        assert_eq!(call("old").await, 200, "a reset forgets it");
    });
}

#[test]
fn one_refused_token_is_good_again_at_once() {
    with_hex(faulty("401:#1"), |bench| async move {
        assert_eq!(bench.run(P1, "").await.status(), Some(401));
        assert_eq!(bench.run(P1, "").await.status(), Some(201));
    });
}

#[test]
fn a_span_counts_from_the_first_call() {
    with_hex(faulty("500-on-read:1@0s..20s"), |bench| async move {
        bench.sleep_ms(60_000).await;
        for (after_ms, status) in [(0, 500), (19_999, 500), (1, 200)] {
            bench.clock.sleep(Duration::from_millis(after_ms)).await;
            assert_eq!(bench.get("projects").await.status(), Some(status), "{after_ms}");
        }
    });
}

#[test]
fn the_law_can_be_changed_on_the_way() {
    with_hex(faulty("errored:1"), |bench| async move {
        bench.start().await;
        bench.hex.set_faults("killed:#1".parse().unwrap());
        assert_eq!(bench.hex.faults().to_string(), "killed:#1");
        bench.start().await;
        bench.start().await;
        bench.sleep_ms(9_000).await;
        let ends: Vec<_> = bench.hex.stats().run_list.iter().map(|run| run.status).collect();
        assert_eq!(ends, ["ERRORED", "KILLED", "COMPLETED"]);
    });
}
