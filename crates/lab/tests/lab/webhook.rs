//! The receiver of webhooks: signatures, keys, and the faults that lose an answer after its effect.

use std::time::Duration;

use paceline_clock::{Clock, SimClock};
use paceline_lab::{
    ConfigError, Lab, LabConfig, VendorConfig, WebhookConfig, WebhookReceiver, WebhookRequest,
};
use serde_json::json;

use crate::client::Client;

/// Made with Python: hmac.new(b"whsec_test", b"1767225600." + BODY, "sha256").hexdigest()
const SIGNATURE: &str =
    "t=1767225600,v1=04a90f25f917bab32b0851de0054dd7b2f8cd90daac179dc511a2fefc7301a7b";
const BODY: &str = r#"{"id":"whd_1_1"}"#;

fn secret() -> Vec<String> {
    vec!["whsec_test".to_owned()]
}

/// Simulated time begins at the moment of the signature.
fn receiver(config: WebhookConfig, clock: &Clock) -> WebhookReceiver {
    WebhookReceiver::new(config, clock.clone()).unwrap()
}

#[test]
fn only_what_is_signed_with_the_secret_and_lately_takes_effect() {
    SimClock::new().run(|clock| async move {
        let config = WebhookConfig { secrets: secret(), ..WebhookConfig::default() };
        let receiver = receiver(config, &clock);
        let call = |headers: &[(&str, &str)], body| WebhookRequest::post(headers, body);
        let signed = [("x-paceline-signature", SIGNATURE), ("x-paceline-event", "new_row")];
        let taken = receiver.handle(call(&signed, BODY)).await;
        assert_eq!(
            (taken.status(), taken.json()),
            (Some(200), json!({"received": true, "duplicate": false}))
        );
        for (headers, body, word) in [
            (&[][..], BODY, "there is no X-Paceline-Signature"),
            (&signed[..], "{}", "does not fit"),
            (&[("x-paceline-signature", "t=1767225600,v1=00")][..], BODY, "does not fit"),
        ] {
            let refused = receiver.handle(call(headers, body)).await;
            assert_eq!(refused.status(), Some(401));
            assert!(refused.json()["error"].as_str().unwrap().contains(word), "{refused:?}");
        }
        clock.sleep(Duration::from_secs(301)).await;
        let late = receiver.handle(call(&signed, BODY)).await;
        assert!(late.json()["error"].as_str().unwrap().contains("too far from now"));
        let stats = receiver.stats();
        assert_eq!((stats.signed, stats.unsigned, stats.forged, stats.stale), (1, 1, 2, 1));
        assert_eq!((stats.calls.served, stats.calls.invalid), (1, 4));
        let calls = receiver.calls();
        assert_eq!(calls.len(), 1, "what is refused has no effect");
        assert_eq!((calls[0].body.as_str(), calls[0].event.as_deref()), (BODY, Some("new_row")));
        assert!(calls[0].signed && calls[0].key.is_none());
    });
}

#[test]
fn a_key_that_comes_again_is_told_and_counted_even_where_its_answer_was_lost() {
    SimClock::new().run(|clock| async move {
        let faults = "drop:1@0s..1s,500:1@1s..2s,429-after=3:1@2s..3s".parse().unwrap();
        let vendor = VendorConfig { faults, ..VendorConfig::default() };
        let receiver = receiver(WebhookConfig { vendor, ..WebhookConfig::default() }, &clock);
        let call = || WebhookRequest::post(&[("idempotency-key", "row-7")], "{}");
        let mut seen = Vec::new();
        for _ in 0..4 {
            let answer = receiver.handle(call()).await;
            seen.push((answer.status(), answer.json()["duplicate"].as_bool()));
            clock.sleep(Duration::from_secs(1)).await;
        }
        let lost = (None, None);
        assert_eq!(seen, [lost, (Some(500), None), (Some(429), None), (Some(200), Some(true))]);
        let delivery = [("x-paceline-delivery", "whd_1_7")];
        receiver.handle(WebhookRequest::post(&delivery, "{}")).await;
        let stats = receiver.stats().calls;
        assert_eq!((stats.served, stats.keys, stats.duplicates), (3, 2, 1));
        let calls = receiver.calls();
        let keys: Vec<_> = calls.iter().map(|call| (call.key.as_deref(), call.duplicate)).collect();
        assert_eq!(keys, [(Some("row-7"), false), (Some("row-7"), true), (Some("whd_1_7"), false)]);
        assert_eq!(calls[1].at_ms, 3_000);
        receiver.reset();
        assert_eq!((receiver.stats().calls.served, receiver.calls().len()), (0, 0));
    });
}

#[test]
fn limits_come_first_and_anything_but_a_post_is_refused() {
    SimClock::new().run(|clock| async move {
        let vendor =
            VendorConfig { limits: vec!["2/min".parse().unwrap()], ..VendorConfig::default() };
        let receiver = receiver(WebhookConfig { vendor, ..WebhookConfig::default() }, &clock);
        let mut wrong = WebhookRequest::post(&[], "{}");
        wrong.method = "GET".parse().unwrap();
        assert_eq!(receiver.handle(wrong).await.status(), Some(405));
        assert_eq!(receiver.handle(WebhookRequest::post(&[], "{}")).await.status(), Some(200));
        let refused = receiver.handle(WebhookRequest::post(&[], "{}")).await;
        assert_eq!((refused.status(), refused.header("retry-after")), (Some(429), Some("60")));
    });
}

#[test]
fn secrets_come_later_too_and_have_their_bounds() {
    SimClock::new().run(|clock| async move {
        let receiver = receiver(WebhookConfig::default(), &clock);
        assert_eq!(receiver.handle(WebhookRequest::post(&[], "{}")).await.status(), Some(200));
        receiver.add_secret("whsec_test").unwrap();
        assert_eq!(receiver.handle(WebhookRequest::post(&[], "{}")).await.status(), Some(401));
        assert!(matches!(receiver.add_secret(""), Err(ConfigError::Together(_))));
        for n in 1..64 {
            receiver.add_secret(&n.to_string()).unwrap();
        }
        let error = receiver.add_secret("one more").unwrap_err().to_string();
        assert!(error.contains("at most 64") && !error.contains("one more"), "{error}");
    });
}

#[tokio::test]
async fn it_answers_over_a_socket_and_what_came_is_told() {
    let any = ([127, 0, 0, 1], 0).into();
    let lab = Lab::start_with(LabConfig::default(), Clock::system(), any).await.unwrap();
    let mut client = Client::connect(lab.addr()).await;
    let key = [("idempotency-key", "row-7")];
    for path in ["/webhook", "/webhook/crm"] {
        let answer = client.request("POST", path, &key, r#"{"n": 7}"#).await.unwrap();
        assert_eq!(answer.status, 200, "{path}");
    }
    assert_eq!(client.request("POST", "/webhooks", &key, "{}").await.unwrap().status, 404);
    let stats = client.get("/_lab/webhook").await.unwrap().json();
    assert_eq!((&stats["served"], &stats["duplicates"]), (&json!(2), &json!(1)));
    let calls = client.get("/_lab/webhook/calls").await.unwrap().json();
    assert_eq!((&calls[1]["key"], &calls[1]["body"]), (&json!("row-7"), &json!(r#"{"n": 7}"#)));
    let added = client.post("/_lab/webhook/secret?secret=whsec_test").await.unwrap();
    assert_eq!(added.json(), json!({"added": true}));
    assert_eq!(client.post("/_lab/webhook/secret").await.unwrap().status, 400);
    assert_eq!(client.request("POST", "/webhook", &key, "{}").await.unwrap().status, 401);
    client.post("/_lab/webhook/fault?law=reset:1").await.unwrap();
    client.request("POST", "/webhook", &key, "{}").await.unwrap_err();
    let mut client = Client::connect(lab.addr()).await;
    client.post("/_lab/webhook/fault?law=truncated:1").await.unwrap();
    assert!(client.request("POST", "/webhook", &key, "{}").await.unwrap().is_cut);
    let mut client = Client::connect(lab.addr()).await;
    client.post("/_lab/reset").await.unwrap();
    assert_eq!(lab.webhook().stats().calls.served, 0);
}
