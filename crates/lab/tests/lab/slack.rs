//! The simulated Slack: its words and statuses, its limit of each channel, what it posts, and what goes wrong.

use std::time::Duration;

use paceline_clock::{Clock, SimClock};
use paceline_lab::{Lab, LabConfig, SlackConfig, SlackRequest, SlackVendor, VendorAnswer};
use serde_json::{Value, json};

use crate::client::Client;

const HOOK: &str = "/services/T1/B1/good";
const METHOD: &str = "/api/chat.postMessage";
const TOKEN: &[(&str, &str)] = &[("authorization", "Bearer good")];

fn config() -> SlackConfig {
    let channel = |text: &str| text.parse().unwrap();
    SlackConfig {
        tokens: vec!["good".to_owned()],
        webhooks: ["B1", "BA", "BM", "BP"].map(|service| format!("T1/{service}/good")).to_vec(),
        channels: ["BA=archived", "BM=missing", "BP=prohibited", "CA=archived", "CP=prohibited"]
            .map(channel)
            .to_vec(),
        ..SlackConfig::default()
    }
}

/// Calls in virtual time, one after the other.
fn calls(config: SlackConfig, requests: Vec<SlackRequest>) -> Vec<VendorAnswer> {
    SimClock::new().run(|clock| async move {
        let slack = SlackVendor::new(config, clock).unwrap();
        let mut answers = Vec::new();
        for request in requests {
            answers.push(slack.handle(request).await);
        }
        answers
    })
}

fn call(request: SlackRequest) -> VendorAnswer {
    calls(config(), vec![request]).remove(0)
}

#[test]
fn a_webhook_answers_a_status_and_a_word_as_plain_text() {
    for (path, body, status, word) in [
        (HOOK, r#"{"text": "hello"}"#, 200, "ok"),
        (HOOK, r#"{"blocks": [{"type": "divider"}]}"#, 200, "ok"),
        (HOOK, "", 400, "invalid_payload"),
        (HOOK, "text=hello", 400, "invalid_payload"),
        (HOOK, "[]", 400, "invalid_payload"),
        (HOOK, "{}", 400, "no_text"),
        (HOOK, r#"{"text": "", "blocks": []}"#, 400, "no_text"),
        (HOOK, r#"{"text": 7}"#, 400, "no_text"),
        ("/services/T1/B1/other", r#"{"text": "hello"}"#, 403, "invalid_token"),
        ("/services/T1/B2/good", r#"{"text": "hello"}"#, 404, "no_service"),
        ("/services/T2/B1/good", r#"{"text": "hello"}"#, 404, "no_team"),
        ("/services/T1/B1", r#"{"text": "hello"}"#, 404, "no_service"),
        ("/services/T1/B1/good/more", r#"{"text": "hello"}"#, 404, "no_service"),
        ("/services/T1/BA/good", r#"{"text": "hello"}"#, 410, "channel_is_archived"),
        ("/services/T1/BM/good", r#"{"text": "hello"}"#, 404, "channel_not_found"),
        ("/services/T1/BP/good", r#"{"text": "hello"}"#, 403, "action_prohibited"),
    ] {
        let answer = call(SlackRequest::post(path, &[], body));
        assert_eq!((answer.status(), answer.text()), (Some(status), word), "{path} {body}");
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    }
}

#[test]
fn the_method_answers_200_whatever_it_says() {
    for (headers, body, word) in [
        (TOKEN, json!({"channel": "C1", "text": "hello"}), None),
        (TOKEN, json!({"channel": "C1"}), Some("no_text")),
        (TOKEN, json!({"text": "hello"}), Some("channel_not_found")),
        (TOKEN, json!([]), Some("invalid_arguments")),
        (TOKEN, json!({"channel": "CA", "text": "hello"}), Some("is_archived")),
        (TOKEN, json!({"channel": "CP", "text": "hello"}), Some("restricted_action")),
        (&[], json!({"channel": "C1", "text": "hello"}), Some("not_authed")),
        (
            &[("authorization", "Bearer bad")],
            json!({"channel": "C1", "text": "x"}),
            Some("invalid_auth"),
        ),
    ] {
        let answer = call(SlackRequest::post(METHOD, headers, &body.to_string()));
        assert_eq!(answer.status(), Some(200), "{body}");
        let told = answer.json();
        assert_eq!(told["ok"], word.is_none(), "{told}");
        assert_eq!(told["error"].as_str(), word, "{body}");
        if word.is_none() {
            assert_eq!(
                (&told["channel"], &told["message"]["text"]),
                (&json!("C1"), &json!("hello"))
            );
            assert!(told["ts"].as_str().unwrap().ends_with(".000001"), "{told}");
        }
    }
}

#[test]
fn a_channel_takes_a_short_burst_and_then_a_message_a_second_and_others_are_not_touched() {
    SimClock::new().run(|clock: Clock| async move {
        let slack = SlackVendor::new(SlackConfig::default(), clock.clone()).unwrap();
        let hook = |service: &str| {
            SlackRequest::post(&format!("/services/T1/{service}/x"), &[], r#"{"text": "hello"}"#)
        };
        for _ in 0..4 {
            assert_eq!(slack.handle(hook("B1")).await.status(), Some(200));
        }
        let refused = slack.handle(hook("B1")).await;
        assert_eq!((refused.status(), refused.header("retry-after")), (Some(429), Some("1")));
        assert_eq!(slack.handle(hook("B2")).await.status(), Some(200), "another channel");
        let body = json!({"channel": "C3", "text": "hello"}).to_string();
        let mut method = Vec::new();
        for _ in 0..5 {
            method.push(slack.handle(SlackRequest::post(METHOD, TOKEN, &body)).await);
        }
        assert_eq!((method[3].status(), method[4].status()), (Some(200), Some(429)));
        assert_eq!(method[4].json(), json!({"ok": false, "error": "ratelimited"}));
        for _ in 0..3 {
            clock.sleep(Duration::from_secs(1)).await;
            assert_eq!(slack.handle(hook("B1")).await.status(), Some(200));
            assert_eq!(slack.handle(hook("B1")).await.status(), Some(429));
        }
        let stats = slack.stats();
        assert_eq!((stats.posted, stats.refused, stats.channels), (12, 5, 3));
        assert_eq!(stats.limits[0].busiest, 4);
    });
}

#[test]
fn what_goes_wrong_is_said_in_slacks_words_and_what_was_posted_is_kept() {
    let law = "500:1@0s..1s,drop:1@1s..2s,503-after=7:1@2s..3s,401:1@3s..4s";
    SimClock::new().run(|clock: Clock| async move {
        let config = SlackConfig { faults: law.parse().unwrap(), ..SlackConfig::default() };
        let slack = SlackVendor::new(config, clock.clone()).unwrap();
        let key = [TOKEN[0], ("idempotency-key", "row-7")];
        let mut seen = Vec::new();
        for _ in 0..5 {
            let hook = slack.handle(SlackRequest::post(HOOK, &[], r#"{"text": "one"}"#)).await;
            let body = json!({"channel": "C1", "text": "two"}).to_string();
            let method = slack.handle(SlackRequest::post(METHOD, &key, &body)).await;
            let told = |answer: &VendorAnswer| answer.status();
            seen.push((told(&hook), told(&method), method.json()["error"].clone()));
            clock.sleep(Duration::from_secs(1)).await;
        }
        let word = |word: &str| Value::from(word);
        assert_eq!(
            seen,
            [
                (Some(500), Some(200), word("internal_error")),
                (None, None, Value::Null),
                (Some(503), Some(503), word("service_unavailable")),
                (Some(403), Some(200), word("invalid_auth")),
                (Some(200), Some(200), Value::Null),
            ]
        );
        let stats = slack.stats();
        assert_eq!(
            (stats.posted, stats.duplicates, stats.keys),
            (4, 1, 1),
            "the dropped are posted"
        );
        assert_eq!((stats.faults["drop"], stats.faults["500"]), (2, 2));
        let messages = slack.messages();
        let texts: Vec<&str> = messages.iter().map(|message| message.text.as_str()).collect();
        assert_eq!(texts, ["one", "two", "one", "two"]);
        assert_eq!((messages[0].channel.as_str(), messages[1].channel.as_str()), ("B1", "C1"));
        assert_eq!((messages[0].at_ms, messages[1].key.as_deref()), (1_000, Some("row-7")));
        slack.reset();
        assert_eq!((slack.stats().posted, slack.messages().len()), (0, 0));
        assert_eq!(
            slack.faults().to_string(),
            law.parse::<paceline_lab::FaultLaw>().unwrap().to_string()
        );
    });
}

#[test]
fn what_cannot_be_is_refused_when_it_is_described() {
    let clock = SimClock::new();
    let refused = |config| clock.run(|clock| async move { SlackVendor::new(config, clock).err() });
    let many = SlackConfig { tokens: vec!["x".to_owned(); 65], ..SlackConfig::default() };
    assert!(refused(many).unwrap().to_string().contains("65 tokens are too many"));
    let sizes = paceline_lab::Policy::Bucket { sizes: vec![1, 2] };
    assert!(refused(SlackConfig { policy: sizes, ..SlackConfig::default() }).is_some());
    let error = "C1=open".parse::<paceline_lab::SlackChannel>().unwrap_err().to_string();
    assert!(error.contains("ID=archived"), "{error}");
    assert_eq!(
        "C1=missing".parse::<paceline_lab::SlackChannel>().unwrap().to_string(),
        "C1=missing"
    );
}

#[tokio::test]
async fn it_answers_over_a_socket_and_the_verdict_is_told() {
    let config = LabConfig { slack: config(), ..LabConfig::default() };
    let any = ([127, 0, 0, 1], 0).into();
    let lab = Lab::start_with(config, Clock::system(), any).await.unwrap();
    let mut client = Client::connect(lab.addr()).await;
    let answer = client.request("POST", HOOK, &[], r#"{"text": "hello"}"#).await.unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (200, b"ok".as_slice()));
    let body = r#"{"channel": "C1", "text": "hi"}"#;
    let answer = client.request("POST", METHOD, TOKEN, body).await.unwrap();
    assert_eq!(answer.json()["ok"], true);
    let law = client.request("POST", "/_lab/slack/fault?law=429-after=9:1", &[], "").await.unwrap();
    assert_eq!(law.json()["law"], "429-after=9:1");
    let answer = client.request("POST", HOOK, &[], r#"{"text": "hello"}"#).await.unwrap();
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("9")));
    let stats = client.get("/_lab/slack").await.unwrap().json();
    assert_eq!((&stats["posted"], &stats["faults"]["429-after"]), (&json!(2), &json!(1)));
    let messages = client.get("/_lab/slack/messages").await.unwrap().json();
    assert_eq!(messages[1]["text"], "hi");
    assert_eq!(client.post("/_lab/slack").await.unwrap().status, 405);
}
