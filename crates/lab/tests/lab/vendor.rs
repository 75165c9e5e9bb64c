//! The vendor in virtual time: delays, faults, headers, counts.

use std::sync::Arc;
use std::time::Duration;

use paceline_clock::{Clock, SimClock, Tick};
use paceline_lab::{
    Answer, Call, ConfigError, FaultKind, Refusal, Reply, Stats, Vendor, VendorConfig,
};

/// A configuration in the words of the command line.
pub(crate) fn config(limits: &[&str], policy: &str, faults: &str) -> VendorConfig {
    VendorConfig {
        limits: limits.iter().map(|limit| limit.parse().unwrap()).collect(),
        policy: policy.parse().unwrap(),
        faults: faults.parse().unwrap(),
        ..VendorConfig::default()
    }
}

fn delayed(config: VendorConfig, net: &str, service: &str) -> VendorConfig {
    VendorConfig { net: net.parse().unwrap(), service: service.parse().unwrap(), ..config }
}

/// Runs a scenario against a vendor in virtual time.
pub(crate) fn with_vendor<T, F: Future<Output = T>>(
    config: VendorConfig,
    scenario: impl FnOnce(Arc<Vendor>, Clock) -> F,
) -> T {
    SimClock::new()
        .run(|clock| scenario(Arc::new(Vendor::new(config, clock.clone()).unwrap()), clock))
}

/// Calls that set out at these milliseconds, and what came back, in the order in which they set out.
pub(crate) async fn calls_at(vendor: &Arc<Vendor>, clock: &Clock, at_ms: &[u64]) -> Vec<Answer> {
    let tasks: Vec<_> = at_ms
        .iter()
        .map(|&ms| {
            let (vendor, clock) = (Arc::clone(vendor), clock.clone());
            tokio::spawn(async move {
                clock.sleep_until(Tick::from_millis(ms)).await;
                vendor.call(Call::new()).await
            })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

#[test]
fn a_call_is_counted_after_one_delay_and_served_before_the_next() {
    let config = delayed(config(&["1/h"], "log", "none"), "20", "100");
    with_vendor(config, |vendor, clock| async move {
        let served = vendor.call(Call::new()).await;
        assert_eq!((served.reply, served.counted_at), (Reply::Accepted, Tick::from_millis(20)));
        assert_eq!(clock.now(), Tick::from_millis(140));
        let refused = vendor.call(Call::new()).await;
        let until = Tick::from_millis(20) + Duration::from_secs(3600);
        assert_eq!(refused.reply, Reply::Refused(Refusal { limit: 0, until }));
        assert_eq!(clock.now(), Tick::from_millis(180));
    });
}

#[test]
fn each_fault_takes_its_time_and_has_its_effect() {
    // Out and back are 20 ms, work is 100 ms; `None` never answers.
    let (at_once, after_work) = (Some(40), Some(140));
    let cases = [
        ("429", Some(429), at_once, 0),
        ("429-after", Some(429), at_once, 0),
        ("429-date", Some(429), at_once, 0),
        ("500", Some(500), after_work, 0),
        ("502", Some(502), after_work, 0),
        ("503", Some(503), after_work, 0),
        ("503-after", Some(503), after_work, 0),
        ("401", Some(401), at_once, 0),
        ("400", Some(400), at_once, 0),
        ("reset", None, at_once, 0),
        ("drop", None, after_work, 1),
        ("hang", None, None, 1),
        ("truncated", Some(200), after_work, 1),
        ("huge", Some(200), after_work, 1),
        ("notjson", Some(200), after_work, 1),
    ];
    assert_eq!(cases.len(), FaultKind::ALL.len());
    for (kind, status, answered_ms, served) in cases {
        let config = delayed(config(&[], "log", &format!("{kind}:1")), "20", "100");
        let (answered, stats) = with_vendor(config, |vendor, clock| async move {
            let answered = tokio::select! {
                answer = vendor.call(Call::new().key(b"a")) => Some((answer.status(), clock.now().as_millis())),
                () = clock.sleep(Duration::from_secs(86_400)) => None,
            };
            (answered, vendor.stats())
        });
        assert_eq!(answered, answered_ms.map(|ms| (status, ms)), "{kind}");
        let Stats { accepted, served: done, keys, duplicates, faults, .. } = stats;
        assert_eq!((accepted, done, keys, duplicates), (1, served, served, 0), "{kind}");
        assert_eq!(faults.into_iter().collect::<Vec<_>>(), [(kind, 1)]);
    }
}

#[test]
fn a_key_is_a_duplicate_only_if_its_first_call_was_done() {
    for (fault, duplicates) in [("500", 0), ("reset", 0), ("429", 0), ("drop", 1), ("truncated", 1)]
    {
        let config = config(&[], "log", &format!("{fault}:1"));
        let stats = with_vendor(config, |vendor, _| async move {
            vendor.call(Call::new().key(b"row-1")).await;
            vendor.set_faults("none".parse().unwrap());
            vendor.call(Call::new().key(b"row-1")).await;
            vendor.call(Call::new().key(b"row-2")).await;
            vendor.call(Call::new()).await;
            vendor.stats()
        });
        assert_eq!((stats.duplicates, stats.keys), (duplicates, 2), "{fault}");
        assert_eq!(stats.served, 3 + duplicates, "{fault}");
    }
}

#[test]
fn a_call_that_is_wrong_in_itself_is_counted_and_not_done() {
    let config = config(&["2/h"], "log", "none");
    let stats = with_vendor(config, |vendor, _| async move {
        for _ in 0..3 {
            vendor.call(Call::new().invalid().key(b"a")).await;
        }
        vendor.stats()
    });
    let Stats { accepted, refused, invalid, served, keys, .. } = stats;
    assert_eq!((accepted, refused, invalid, served, keys), (2, 1, 2, 0, 0));
}

#[test]
fn a_storm_lasts_for_its_span_since_the_first_call() {
    let config = config(&[], "log", "429:1@0s..20s");
    let answers = with_vendor(config, |vendor, clock| async move {
        calls_at(&vendor, &clock, &[5_000, 24_999, 25_000]).await
    });
    let statuses: Vec<_> = answers.iter().map(Answer::status).collect();
    assert_eq!(statuses, [Some(429), Some(429), Some(200)]);
}

#[test]
fn statistics_tell_the_busiest_window_and_the_most_in_flight() {
    let config = delayed(config(&["3/s", "9/min"], "fixed", "none"), "0", "500");
    let stats = with_vendor(config, |vendor, clock| async move {
        // Five at once across a boundary of the second: 3 + 2, in any second at most 5 however the limit says 3.
        calls_at(&vendor, &clock, &[900, 900, 900, 900, 1000, 1000, 3000]).await;
        vendor.stats()
    });
    assert_eq!((stats.accepted, stats.refused, stats.served), (6, 1, 6));
    let limits: Vec<_> =
        stats.limits.iter().map(|l| (l.limit.as_str(), l.window_ms, l.busiest)).collect();
    assert_eq!(limits, [("3/s", 1_000, 5), ("9/min", 60_000, 6)]);
    assert_eq!(stats.in_flight_max, 5);
    assert_eq!((stats.first_call_ms, stats.last_call_ms), (Some(900), Some(3_000)));
}

#[test]
fn reset_forgets_counts_keys_and_what_the_limits_remember() {
    let config = config(&["1/h"], "log", "none");
    with_vendor(config, |vendor, _| async move {
        let fresh = vendor.stats();
        vendor.call(Call::new().key(b"a")).await;
        assert_eq!(vendor.call(Call::new()).await.status(), Some(429));
        vendor.reset();
        assert_eq!(vendor.stats(), fresh);
        assert_eq!(vendor.call(Call::new().key(b"a")).await.status(), Some(200));
        assert_eq!(vendor.stats().duplicates, 0);
    });
}

#[test]
fn a_vendor_that_starts_late_counts_its_windows_from_then_and_tells_moments_of_the_clock() {
    let answers = SimClock::new().run(|clock| async move {
        clock.sleep_until(Tick::from_millis(700)).await;
        let vendor = Vendor::new(config(&["1/s"], "fixed", "none"), clock.clone())?;
        clock.sleep_until(Tick::from_millis(1_600)).await;
        let answers = (vendor.call(Call::new()).await, vendor.call(Call::new()).await);
        assert_eq!(vendor.stats().first_call_ms, Some(900));
        Ok::<_, ConfigError>(answers)
    });
    let (first, second) = answers.unwrap();
    assert_eq!(first.counted_at, Tick::from_millis(1_600));
    let until = Tick::from_millis(1_700);
    assert_eq!(second.reply, Reply::Refused(Refusal { limit: 0, until }));
}

#[test]
fn a_run_is_repeated_from_its_seed() {
    let run = |seed| {
        let config = config(&["20/s"], "log", "500:0.2,reset:0.1");
        let config = VendorConfig { seed, ..delayed(config, "1..400", "exp:60") };
        with_vendor(config, |vendor, clock| async move {
            let at_ms: Vec<u64> = (0..200).map(|n| n * 30).collect();
            calls_at(&vendor, &clock, &at_ms).await
        })
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn calls_overtake_one_another_where_the_delay_varies() {
    let config = delayed(config(&[], "log", "none"), "20..400", "0");
    let answers = with_vendor(config, |vendor, clock| async move {
        let at_ms: Vec<u64> = (0..100).collect();
        calls_at(&vendor, &clock, &at_ms).await
    });
    let counted: Vec<_> = answers.iter().map(|answer| answer.counted_at).collect();
    assert!(!counted.is_sorted());
    let bounds = Tick::from_millis(20)..=Tick::from_millis(499);
    assert!(counted.iter().all(|at| bounds.contains(at)));
}
