//! Presets to the letter, and each wrong field's own message.

use serde_json::json;

use super::*;

const PLATFORM: Ceilings = Ceilings { concurrent_max: 6, rate_max: 1000.0, rate_optional: false };

fn seed_object() -> Json {
    json!({
        "requests_per_second": 10, "max_concurrent": 5, "retry_strategy": "exponential",
        "max_retries": 3, "retry_delay_ms": 1000, "cool_down_on_429": true
    })
}

fn with(field: &str, value: Json) -> Json {
    let mut object = seed_object();
    object[field] = value;
    object
}

#[test]
fn presets_are_those_of_the_seed() {
    let rows = [
        ("aggressive", "500/s", 6, 3, Strategy::Exponential),
        ("moderate", "50/s", 6, 3, Strategy::Exponential),
        ("conservative", "10/s", 5, 5, Strategy::Exponential),
        ("gentle", "2/s", 1, 5, Strategy::Linear),
    ];
    for (name, limit, concurrent_max, max_retries, strategy) in rows {
        let rate = Rate::from_json(&json!(name), PLATFORM).unwrap();
        assert_eq!(rate.limits.iter().map(Limit::to_string).collect::<Vec<_>>(), [limit]);
        assert_eq!(
            (rate.concurrent_max, rate.max_retries),
            (concurrent_max, max_retries),
            "{name}"
        );
        assert_eq!(rate.backoff, Backoff { strategy, base: Duration::from_secs(1) }, "{name}");
        assert!(rate.cool_down_on_429);
    }
}

#[test]
fn the_seeds_object_is_taken_as_it_is_printed() {
    let rate = Rate::from_json(&seed_object(), PLATFORM).unwrap();
    assert_eq!(rate.limits[0].to_string(), "10/s");
    assert_eq!((rate.concurrent_max, rate.max_retries), (5, 3));
}

#[test]
fn ranges_are_taken_to_their_ends_and_not_beyond() {
    let cases = [
        (
            "requests_per_second",
            vec![json!(0.1), json!(1000)],
            vec![json!(0.09), json!(1000.1), json!("10"), json!(null)],
        ),
        (
            "max_concurrent",
            vec![json!(1), json!(6)],
            vec![json!(0), json!(7), json!(1.5), json!(-1)],
        ),
        ("retry_strategy", vec![json!("linear"), json!("fixed")], vec![json!("expo"), json!(1)]),
        ("max_retries", vec![json!(0), json!(10)], vec![json!(11), json!(-1), json!(0.5)]),
        ("retry_delay_ms", vec![json!(100), json!(60000)], vec![json!(99), json!(60001)]),
        ("cool_down_on_429", vec![json!(true), json!(false)], vec![json!("true"), json!(1)]),
        (
            "limits",
            vec![json!([]), json!(["20/min", "60/h"])],
            vec![json!("20/min"), json!(["20/fortnight"]), json!([1]), json!(["2000/s"])],
        ),
        ("budget", vec![json!("hex")], vec![json!(""), json!(1), json!("x".repeat(65))]),
        ("min_spacing_ms", vec![json!(0), json!(5000)], vec![json!(-1)]),
        ("shape", vec![json!("paced")], vec![json!("pace")]),
        (
            "guard",
            vec![json!("strict"), json!(0), json!(250)],
            vec![json!("loose"), json!(-1), json!(60001)],
        ),
        ("timeout_ms", vec![json!(1), json!(600000)], vec![json!(0), json!(600001)]),
        ("retry_on", vec![json!([404, 409])], vec![json!([200]), json!(404), json!(["404"])]),
        ("max_wait_ms", vec![json!(1000)], vec![json!(999)]),
    ];
    for (field, good, bad) in cases {
        for value in good {
            assert!(
                Rate::from_json(&with(field, value.clone()), PLATFORM).is_ok(),
                "{field} {value}"
            );
        }
        for value in bad {
            let faults = Rate::from_json(&with(field, value.clone()), PLATFORM).expect_err(field);
            assert_eq!(faults.len(), 1, "{field} {value}: {faults:?}");
            assert!(faults[0].field.starts_with(field), "{faults:?}");
        }
    }
}

#[test]
fn every_fault_is_told_at_once_with_what_is_accepted() {
    let faults = Rate::from_json(&json!({"requests_per_sec": 10, "max_concurrent": 7}), PLATFORM)
        .unwrap_err();
    let told: Vec<String> = faults.iter().map(RateError::to_string).collect();
    assert_eq!(faults.len(), 7, "{told:#?}");
    assert_eq!(faults[0].did_you_mean.as_deref(), Some("requests_per_second"));
    assert!(
        told.iter()
            .any(|fault| fault == "rate_limit.max_concurrent: 7 is not a whole number from 1 to 6")
    );
    assert!(told.iter().any(|fault| fault.contains("retry_delay_ms: is required")));
    let operator = Ceilings { concurrent_max: 1024, rate_max: 10_000.0, rate_optional: true };
    assert!(Rate::from_json(&with("max_concurrent", json!(1024)), operator).is_ok());
    let mut object = with("limits", json!(["20/min"]));
    object.as_object_mut().unwrap().remove("requests_per_second");
    let rate = Rate::from_json(&object, operator).unwrap();
    assert_eq!(rate.limits.iter().map(Limit::to_string).collect::<Vec<_>>(), ["20/min"]);
    assert!(Rate::from_json(&object, PLATFORM).is_err());
}

#[test]
fn an_hours_window_stretches_the_throttle_deadline() {
    let rate = Rate::from_json(&with("limits", json!(["60/h"])), PLATFORM).unwrap();
    assert_eq!(rate.retry_policy().throttle_deadline.as_secs(), 4 * 3600);
    let rate = Rate::from_json(&with("max_wait_ms", json!(5000)), PLATFORM).unwrap();
    assert_eq!(rate.retry_policy().throttle_deadline.as_secs(), 5);
}

#[test]
fn the_ceiling_is_one_of_calls_and_not_of_tokens() {
    let limits = ["90000 tokens/min", "2000000 tokens/s"];
    let rate = Rate::from_json(&with("limits", json!(limits)), PLATFORM).unwrap();
    assert_eq!(rate.limits[1..].iter().map(Limit::to_string).collect::<Vec<_>>(), limits);
    assert!(Rate::from_json(&with("limits", json!(["2000000/s"])), PLATFORM).is_err());
}
