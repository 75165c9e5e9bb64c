//! The same vendors over real sockets.

use paceline_clock::Clock;
use paceline_lab::{AiConfig, Lab, LabConfig, ai_text};
use serde_json::json;

use crate::client::Client;

#[tokio::test]
async fn the_vendors_answer_at_their_own_paths_and_the_verdict_is_told() {
    let ai = AiConfig { models: vec!["m".to_owned()], ..AiConfig::default() };
    let config = LabConfig { ai, ..LabConfig::default() };
    let any = ([127, 0, 0, 1], 0).into();
    let lab = Lab::start_with(config, Clock::system(), any).await.unwrap();
    let mut client = Client::connect(lab.addr()).await;
    let key = &[("authorization", "Bearer k"), ("x-api-key", "k"), ("x-goog-api-key", "k")];
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).to_string();
    for path in ["/v1/chat/completions", "/compatible/v9/chat/completions"] {
        let answer = client.request("POST", path, key, &body).await.unwrap();
        assert_eq!(answer.json()["choices"][0]["message"]["content"], ai_text("hi"), "{path}");
    }
    let models = client.request("GET", "/v1beta/models", key, "").await.unwrap();
    assert_eq!(models.json()["models"][0]["name"], "models/m");
    let law = client.request("POST", "/_lab/ai/fault?law=quota:1", &[], "").await.unwrap();
    assert_eq!(law.json()["law"], "quota:1");
    let answer = client.request("POST", "/v1/chat/completions", key, &body).await.unwrap();
    assert_eq!(
        (answer.status, &answer.json()["error"]["type"]),
        (429, &json!("insufficient_quota"))
    );
    let stats = client.get("/_lab/ai").await.unwrap().json();
    assert_eq!((&stats["openai"]["accepted"], &stats["openai"]["served"]), (&json!(3), &json!(2)));
    assert_eq!(stats["openai"]["faults"]["quota"], 1);
    client.request("POST", "/_lab/reset", &[], "").await.unwrap();
    assert_eq!(lab.ai().stats().openai.accepted, 0);
}
