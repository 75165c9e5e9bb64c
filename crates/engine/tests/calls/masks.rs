//! No secret of a column is in anything that is kept of its calls (spec R7, S3).

use paceline_clock::SimClock;
use paceline_model::{ColumnType, Scope, SmartKind, limits};
use paceline_store::SqliteStore;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::support::{COLUMN, Vendors, attempts, engine, rate, says, smart, table};

/// Everything that is kept of two calls of a column to a vendor that repeats all it was sent, and refuses it.
fn kept(kind: SmartKind, config: Json) -> String {
    SimClock::new().run(|clock| async move {
        let vendors = Vendors::new(5, |call, _| {
            let headers = format!("{:?}", call.headers);
            says(422, format!("no: {} {} {headers}", call.path, call.body))
        });
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let engine = engine(&store, &clock, &vendors);
        let table = table(&engine, 2, smart(kind, config, rate(1), ColumnType::Text)).await;
        let run = engine.start_run(&table, COLUMN, Scope::All).await.unwrap();
        let run = engine.wait(run.id).await.unwrap();
        let attempts = attempts(&engine, &table, 2).await;
        let lines = attempts.iter().flatten().map(|attempt| attempt.request.as_deref().unwrap());
        for line in lines {
            assert!(line.len() <= limits::REQUEST_LINE_BYTES_MAX, "{line}");
        }
        let stored = engine.store().table("rows").await.unwrap();
        let masked = engine.masked_config(
            stored.as_ref().unwrap().column(COLUMN).unwrap().smart.as_ref().unwrap(),
        );
        format!("{attempts:?} {run:?} {stored:?} {masked}")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_secret_is_in_an_attempt_whatever_the_vendor_says(secret in "[A-Za-z0-9_-]{12,40}") {
        let source = json!({"name": "a", "url": "https://v.example/{{n}}", "headers": {"X-Api-Key": secret}});
        let cases = [
            (SmartKind::Http, json!({
                "url": "https://v.example/{{n}}", "headers": {"Authorization": format!("Bearer {secret}")},
            })),
            (SmartKind::Integration, json!({
                "provider": "webhook", "url": "https://v.example/", "body": "{{n}}", "secret": secret,
                "headers": {"X-Token": secret},
            })),
            (SmartKind::Integration, json!({
                "provider": "slack", "webhook_url": format!("https://hooks.example/services/T1/{secret}"), "text": "{{n}}",
            })),
            (SmartKind::Integration, json!({
                "provider": "slack", "token": secret, "channel": "C1", "text": "{{n}}",
            })),
            (SmartKind::Waterfall, json!({"sources": [source]})),
        ];
        for (kind, config) in cases {
            let kept = kept(kind, config.clone());
            prop_assert!(!kept.contains(&secret), "{config}: {kept}");
            prop_assert!(kept.contains("request: Some(\""), "{kept}");
        }
    }

    #[test]
    fn secrets_of_an_address_are_not_in_the_line_of_its_request(secret in "[a-z0-9]{12,40}", long in 0_usize..1_000) {
        let filler = "x".repeat(long);
        let url = format!("https://v.example/{{{{n}}}}?q={filler}&api_key={secret}&access%5Ftoken={secret}&sig={secret}");
        // The address itself is no secret of the configuration, so only the attempts are looked at.
        let kept = kept(SmartKind::Http, json!({"url": url}));
        let attempts = kept.split(" Run {").next().unwrap();
        prop_assert!(!attempts.contains(&secret), "{attempts}");
        prop_assert!(attempts.contains("GET https://v.example/1?q="), "{attempts}");
    }
}
