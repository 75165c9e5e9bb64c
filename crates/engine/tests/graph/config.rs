//! What is refused when a column is made or changed, and what follows when its columns get other names.

use paceline_clock::SimClock;
use paceline_engine::Error;
use paceline_model::{ColumnChange, limits};
use serde_json::{Value as Json, json};

use crate::support::{Scene, Server, config};

/// The field of an error, its text, and what was probably meant.
fn told(error: Error) -> (String, String, Option<String>) {
    match error {
        Error::Config { field, problem, did_you_mean } => (field, problem, did_you_mean),
        other => panic!("{other}"),
    }
}

#[test]
fn a_circle_is_refused_with_its_way_and_the_field_that_closes_it() {
    SimClock::new().run(|clock| async move {
        let scene = Scene::new(&clock, Server::good(&clock), 1).await;
        scene.add_diamond().await;
        let cases = [
            (config("a", "{{n}}", json!({"depends_on": ["n", "d"]})), "config.depends_on[1]", "d"),
            (config("a", "{{n}}/{{b}}", json!({})), "config.url", "b"),
            (
                config("a", "{{n}}", json!({"run_if": {"c": {"is_null": false}}})),
                "config.run_if.c",
                "c",
            ),
        ];
        for (config, field, by) in cases {
            let table = scene.table().await;
            let error = scene.engine.update_smart_column(&table, "a", Some(config), None).await;
            let (at, problem, _) = told(error.unwrap_err());
            assert_eq!(at, field);
            let way = if by == "d" { "a -> d -> b -> a" } else { &format!("a -> {by} -> a") };
            assert!(problem.contains(&format!("one another: {way};")), "{problem}");
        }
    });
}

#[test]
fn names_that_are_wrong_are_told_with_those_that_were_meant() {
    SimClock::new().run(|clock| async move {
        let scene = Scene::new(&clock, Server::good(&clock), 1).await;
        let cases: [(Json, &str, Option<&str>); 7] = [
            (json!({"depends_on": ["wrod"]}), "config.depends_on[0]", Some("word")),
            (json!({"depends_on": ["own"]}), "config.depends_on[0]", None),
            (json!({"depends_on": "word"}), "config.depends_on", None),
            (json!({"dependson": ["word"]}), "config.dependson", Some("depends_on")),
            (json!({"run_if": {"wrod": "x"}}), "config.run_if.wrod", Some("word")),
            (json!({"run_if": {"n": {"betwen": 5}}}), "config.run_if.n.betwen", Some("between")),
            (json!({"run_if": {"_ht_created_at": {"gt": "2026-01-01"}}}), "config.run_if", None),
        ];
        for (more, field, meant) in cases {
            let error = scene.try_add("own", config("own", "{{n}}", more)).await.unwrap_err();
            let (at, problem, did_you_mean) = told(error);
            assert_eq!((at.as_str(), did_you_mean.as_deref()), (field, meant), "{problem}");
        }
    });
}

#[test]
fn a_chain_of_columns_ends_somewhere() {
    SimClock::new().run(|clock| async move {
        let scene = Scene::new(&clock, Server::good(&clock), 1).await;
        scene.add("c1", "{{n}}", json!({})).await;
        for at in 2..=limits::DEPENDENCY_DEPTH_MAX {
            scene.add(&format!("c{at}"), &format!("{{{{c{}}}}}", at - 1), json!({})).await;
        }
        let last = format!("{{{{c{}}}}}", limits::DEPENDENCY_DEPTH_MAX);
        let error = scene.try_add("more", config("more", &last, json!({}))).await.unwrap_err();
        assert!(told(error).1.contains("would depend on 64 columns"));
    });
}

#[test]
fn a_new_name_follows_into_conditions_and_dependencies_and_makes_nothing_stale() {
    SimClock::new().run(|clock| async move {
        let scene = Scene::new(&clock, Server::good(&clock), 3).await;
        scene.add("a", "{{n}}", json!({})).await;
        let more =
            json!({"depends_on": ["a"], "run_if": {"or": [{"n": {"gt": 1}}, {"word": "x"}]}});
        scene.add("b", "{{n}}", more).await;
        let table = scene.table().await;
        let column = |name: &str| table.column(name).unwrap().id;
        for (name, new) in [("a", "first"), ("n", "number")] {
            let change = ColumnChange { name: Some(new.to_owned()), ..ColumnChange::default() };
            scene.engine.update_column(table.id, column(name), change).await.unwrap();
        }
        let after = scene.table().await;
        let config = &after.column("b").unwrap().smart.as_ref().unwrap().config;
        assert_eq!(config["depends_on"], json!(["first"]));
        let wanted = json!({"or": [{"number": {"gt": 1}}, {"word": {"eq": "x"}}]});
        assert_eq!(config["run_if"], wanted);
        for name in ["first", "number", "word"] {
            let id = after.column(name).unwrap().id;
            let error = scene.engine.delete_column(after.id, id).await.unwrap_err();
            assert!(error.to_string().contains("is used by the smart columns"), "{error}");
        }
    });
}
