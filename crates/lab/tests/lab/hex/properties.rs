//! Whatever callers do, the sums hold: what the judge says is what they saw, and a seed repeats itself.

use paceline_lab::{HexConfig, HexRequest, HexStatus};
use proptest::prelude::*;
use serde_json::Value;

use super::{Bench, P1, faulty, with_hex};

#[derive(Clone, Debug)]
enum Act {
    Start(u8),
    Poll(u8),
    List,
    Cancel(u8),
    Wait(u16),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        3 => (0..4u8).prop_map(Act::Start),
        3 => any::<u8>().prop_map(Act::Poll),
        1 => Just(Act::List),
        1 => any::<u8>().prop_map(Act::Cancel),
        2 => (0..4_000u16).prop_map(Act::Wait),
    ];
    proptest::collection::vec(act, 1..60)
}

/// Plays the acts and answers with everything that came back.
async fn play(bench: &Bench, acts: &[Act]) -> Vec<(Option<u16>, Value)> {
    let mut runs: Vec<String> = Vec::new();
    let mut seen = Vec::new();
    for act in acts {
        let chosen = |place: &u8| runs.get(usize::from(*place) % runs.len().max(1)).cloned();
        let path = |run: Option<String>| format!("projects/{P1}/runs/{}", run.unwrap_or_default());
        let answer = match act {
            Act::Start(job) => {
                bench.run(P1, &format!(r#"{{"inputParams":{{"job":{job}}}}}"#)).await
            }
            Act::Poll(place) => bench.get(&path(chosen(place))).await,
            Act::List => bench.get(&format!("projects/{P1}/runs?limit=100")).await,
            Act::Cancel(place) => bench.delete(&path(chosen(place))).await,
            Act::Wait(ms) => {
                bench.sleep_ms(u64::from(*ms)).await;
                continue;
            }
        };
        if let Some(run) = answer.json()["runId"].as_str().filter(|_| answer.status() == Some(201))
        {
            runs.push(run.to_owned());
        }
        seen.push((answer.status(), answer.json()));
    }
    seen
}

const LAWS: [&str; 4] = [
    "none",
    "drop-after-start:0.3,502-before-start:0.2,500-on-read:0.2",
    "stuck-running:0.3,killed:0.2,completes-on-cancel:0.5,late-in-list=900:0.5",
    "foreign:0.3,no-kernel:0.2,drop-on-cancel:0.3,409-on-overlap:0.5",
];

fn config(law: usize, seed: u64) -> HexConfig {
    let mut config = HexConfig { seed, kernels: Some(3), ..faulty(LAWS[law]) };
    config.limits.runs.limits = vec!["5/10s".parse().unwrap()];
    config.limits.overall.limits = vec!["20/10s".parse().unwrap()];
    config.projects[0].run = "500..3000".parse().unwrap();
    config.projects[0].pending = "0..400".parse().unwrap();
    config
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_judge_counts_what_the_caller_sees(acts in acts(), law in 0..LAWS.len(), seed: u64) {
        let (seen, stats) = with_hex(config(law, seed), |bench| {
            let acts = acts.clone();
            async move { (play(&bench, &acts).await, bench.hex.stats()) }
        });
        let count = |status: u16| seen.iter().filter(|(seen, _)| *seen == Some(status)).count() as u64;
        let struck = |fault: &str| stats.faults.get(fault).copied().unwrap_or(0);
        prop_assert_eq!(stats.refused, count(429));
        prop_assert_eq!(stats.overall.accepted + stats.refused, seen.len() as u64);
        prop_assert_eq!(stats.started, count(201) + struck("drop-after-start"));
        prop_assert_eq!(stats.kernels_refused, count(503));
        prop_assert!(stats.kernels_busiest <= 3);
        prop_assert_eq!(struck("409-on-overlap"), count(409));
        prop_assert_eq!(stats.run_list.len() as u64, stats.started + stats.foreign);
        prop_assert!(stats.jobs <= stats.started && stats.double_started <= stats.jobs);
        for limit in stats.runs.limits.iter().chain(&stats.overall.limits) {
            let most = limit.limit.split('/').next().unwrap().parse::<u64>().unwrap();
            // Fixed windows let through twice their limit around a boundary.
            prop_assert!(limit.busiest <= 2 * most);
        }
    }

    #[test]
    fn statuses_only_go_forward_and_an_end_stays(acts in acts(), law in 0..LAWS.len(), seed: u64) {
        let seen = with_hex(config(law, seed), |bench| {
            let acts = acts.clone();
            async move { play(&bench, &acts).await }
        });
        let mut known: std::collections::HashMap<String, HexStatus> = Default::default();
        let told = seen.iter().flat_map(|(_, told)| match &told["runs"] {
            Value::Array(runs) => runs.clone(),
            _ => vec![told.clone()],
        });
        for run in told.filter(|run| run["status"].is_string()) {
            let status: HexStatus = run["status"].as_str().unwrap().parse().unwrap();
            let id = run["runId"].as_str().unwrap().to_owned();
            let before = known.insert(id, status).unwrap_or(HexStatus::Pending);
            prop_assert!(!before.is_terminal() || before == status, "{before:?} became {status:?}");
            prop_assert!(before <= status, "{before:?} became {status:?}");
            prop_assert_eq!(run["endTime"].is_string(), status.is_terminal());
            prop_assert_eq!(run["startTime"].is_null(), run["elapsedTime"].is_null());
        }
    }

    #[test]
    fn a_seed_repeats_itself(acts in acts(), law in 0..LAWS.len(), seed: u64) {
        let played = || with_hex(config(law, seed), |bench| {
            let acts = acts.clone();
            async move { (play(&bench, &acts).await, bench.hex.stats()) }
        });
        prop_assert_eq!(played(), played());
    }

    #[test]
    fn no_request_whatever_makes_it_panic(
        method in "GET|POST|DELETE|PUT",
        target in "/api/v1/(projects?(/[a-z0-9%-]{0,5}){0,4})?(\\?[a-zA-Z=&%0-9-]{0,30})?",
        body: Vec<u8>,
        bearer in proptest::option::of("[ -~]{0,9}"),
    ) {
        let mut request = HexRequest::get(&target, "");
        request.method = method.parse().unwrap();
        request.body = body.into();
        request.bearer = bearer;
        let status = with_hex(HexConfig::default(), |bench| async move {
            bench.hex.handle(request).await.status()
        });
        prop_assert!(status.is_some_and(|status| status < 500), "{status:?}");
    }
}
