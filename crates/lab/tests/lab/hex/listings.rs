//! ListProjects with its cursors and switches, GetProjectRuns with its pages and filters.

use paceline_lab::{HexConfig, HexProject};
use serde_json::Value;

use super::{Bench, P1, with_hex};

async fn projects(bench: &Bench, query: &str) -> (Vec<String>, Value) {
    let answer = bench.get(&format!("projects{query}")).await;
    assert_eq!(answer.status(), Some(200), "{query}: {answer:?}");
    let page = answer.json();
    let id = |project: &Value| project["id"].as_str().unwrap().to_owned();
    (page["values"].as_array().unwrap().iter().map(id).collect(), page["pagination"].clone())
}

fn seven() -> HexConfig {
    let project = |number: u32| HexProject::new(format!("p{number}"), format!("P{number}"));
    HexConfig { projects: (1..=7).map(project).collect(), ..HexConfig::default() }
}

#[test]
fn a_project_tells_every_documented_field() {
    with_hex(HexConfig::default(), |bench| async move {
        let told = bench.get(&format!("projects/{P1}")).await.json();
        let fields = "id title description type creator owner status categories reviews analytics \
                      lastEditedAt lastPublishedAt createdAt archivedAt trashedAt schedules";
        let keys: Vec<&str> = told.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, fields.split_whitespace().collect::<Vec<_>>());
        let page = bench.get("projects?limit=1").await.json();
        assert_eq!(page["values"][0], told);
        let shared = bench.get(&format!("projects/{P1}?includeSharing=true")).await.json();
        assert!(shared["sharing"].is_object());
    });
}

#[test]
fn cursors_lead_through_all_pages_and_back() {
    with_hex(seven(), |bench| async move {
        let (first, cursors) = projects(&bench, "?limit=3").await;
        assert_eq!(
            (first, &cursors["before"]),
            (vec!["p1".into(), "p2".into(), "p3".into()], &Value::Null)
        );
        let after = cursors["after"].as_str().unwrap();
        let (second, cursors) = projects(&bench, &format!("?limit=3&after={after}")).await;
        assert_eq!(second, ["p4", "p5", "p6"]);
        let after = cursors["after"].as_str().unwrap();
        let (third, last) = projects(&bench, &format!("?limit=3&after={after}")).await;
        assert_eq!((third, &last["after"]), (vec!["p7".to_owned()], &Value::Null));
        let before = last["before"].as_str().unwrap();
        assert_eq!(projects(&bench, &format!("?limit=3&before={before}")).await.0, second);
        let before = cursors["before"].as_str().unwrap();
        let (back, cursors) = projects(&bench, &format!("?limit=9&before={before}")).await;
        assert_eq!((back.len(), &cursors["before"]), (3, &Value::Null));
        assert_eq!(bench.get("projects?after=nonsense").await.status(), Some(400));
    });
}

#[test]
fn what_is_put_away_is_listed_only_on_request() {
    let mut config = seven();
    config.projects[1].archived = true;
    config.projects[2].trashed = true;
    config.projects[3].component = true;
    with_hex(config, |bench| async move {
        for (query, expected) in [
            ("", "p1 p5 p6 p7"),
            ("?includeArchived=true", "p1 p2 p5 p6 p7"),
            ("?includeTrashed=true", "p1 p3 p5 p6 p7"),
            ("?includeComponents=true&somethingNew=1", "p1 p4 p5 p6 p7"),
        ] {
            assert_eq!(projects(&bench, query).await.0.join(" "), expected, "{query}");
        }
    });
}

#[test]
fn projects_are_sorted_as_asked() {
    let mut config = seven();
    config.projects[4].published = false;
    with_hex(config, |bench| async move {
        for (query, expected) in [
            ("", "p1 p2 p3 p4 p5 p6 p7"),
            ("?sortBy=CREATED_AT&sortDirection=DESC", "p7 p6 p5 p4 p3 p2 p1"),
            ("?sortBy=LAST_EDITED_AT", "p7 p6 p5 p4 p3 p2 p1"),
            ("?sortBy=LAST_PUBLISHED_AT&sortDirection=DESC", "p1 p2 p3 p4 p6 p7 p5"),
        ] {
            assert_eq!(projects(&bench, query).await.0.join(" "), expected, "{query}");
        }
        let unpublished = bench.get("projects/p5").await.json();
        assert_eq!(unpublished["lastPublishedAt"], Value::Null);
    });
}

#[test]
fn runs_are_listed_newest_first_in_pages() {
    with_hex(HexConfig::default(), |bench| async move {
        let mut runs = Vec::new();
        for _ in 0..30 {
            runs.push(bench.start().await);
            bench.sleep_ms(100).await;
        }
        runs.reverse();
        assert_eq!(bench.listed("").await, runs[..25]);
        assert_eq!(bench.listed("?limit=100").await, runs);
        assert_eq!(bench.listed("?limit=4&offset=7").await, runs[7..11]);
        let page = bench.get(&format!("projects/{P1}/runs?offset=25&statusFilter=RUNNING")).await;
        assert_eq!(
            (page.json()["runs"].as_array().unwrap().len(), &page.json()["nextPage"]),
            (0, &Value::Null)
        );
        // The links lead on, and keep the filter.
        let mut target = format!("projects/{P1}/runs?limit=8&statusFilter=COMPLETED");
        let mut ended = Vec::new();
        loop {
            let page = bench.get(&target).await.json();
            ended.extend(page["runs"].as_array().unwrap().clone());
            let Some(next) = page["nextPage"].as_str() else { break };
            target = next.split("/api/v1/").nth(1).unwrap().to_owned();
        }
        // Those of the last two seconds go on.
        assert_eq!(ended.len(), 11);
        assert!(ended.iter().all(|run| run["status"] == "COMPLETED"));
    });
}

#[test]
fn an_end_counts_as_told_once_a_listing_or_a_status_has_told_it() {
    with_hex(HexConfig::default(), |bench| async move {
        let run = bench.start().await;
        bench.status(&run).await;
        bench.listed("").await;
        assert!(!bench.hex.stats().run_list[0].end_told, "it has not ended");
        bench.sleep_ms(2_000).await;
        assert!(!bench.hex.stats().run_list[0].end_told, "nobody has asked");
        bench.listed("?limit=100&runTriggerFilter=API").await;
        assert!(bench.hex.stats().run_list[0].end_told);
        let run = bench.start().await;
        bench.sleep_ms(2_000).await;
        bench.status(&run).await;
        assert!(bench.hex.stats().run_list[1].end_told);
    });
}
