//! Each fault as it looks on the wire.

use std::io::{self, ErrorKind};

use paceline_lab::{FaultKind, HUGE_BODY_BYTES, Running, VendorConfig};

use crate::client::{Client, Response, start, until};

async fn lab(faults: &str) -> Running {
    start(VendorConfig { faults: faults.parse().unwrap(), ..VendorConfig::default() }).await
}

/// What a caller of `/echo` gets under a fault law.
async fn struck(faults: &str) -> (io::Result<Response>, Running) {
    let lab = lab(faults).await;
    let response = Client::connect(lab.addr()).await.get("/echo").await;
    (response, lab)
}

#[tokio::test]
async fn faults_with_a_status_reply_with_it_and_keep_the_connection() {
    for kind in FaultKind::ALL {
        let Some(status) = kind.status().filter(|status| *status >= 400) else {
            continue;
        };
        let lab = lab(&format!("{}:1", kind.name())).await;
        let mut client = Client::connect(lab.addr()).await;
        for _ in 0..2 {
            let response = client.get("/echo").await.unwrap();
            assert_eq!(response.status, status);
            assert!(response.json()["error"].as_str().unwrap().contains(kind.name()));
            let tells_when = kind.name().contains('-');
            assert_eq!(response.header("retry-after").is_some(), tells_when, "{}", kind.name());
        }
        assert_eq!((lab.stats().faults[kind.name()], lab.stats().served), (2, 0));
    }
}

#[tokio::test]
async fn reset_is_a_real_reset_and_nothing_was_done() {
    let (response, lab) = struck("reset:1").await;
    assert_eq!(response.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!((lab.stats().accepted, lab.stats().served), (1, 0));
}

#[tokio::test]
async fn drop_closes_in_order_after_the_call_was_done() {
    let (response, lab) = struck("drop:1").await;
    assert_eq!(response.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!((lab.stats().accepted, lab.stats().served), (1, 1));
}

#[tokio::test]
async fn hang_sends_not_one_byte_until_the_lab_ends() {
    let lab = lab("hang:1").await;
    let mut client = Client::connect(lab.addr()).await;
    client.send("GET", "/echo", &[], "").await.unwrap();
    until("the effect", || lab.stats().served == 1).await;
    lab.shutdown().await;
    // Had there been a reply, it would be read before the end.
    assert_eq!(client.receive().await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn truncated_sends_half_of_what_it_announces() {
    let (response, lab) = struck("truncated:1").await;
    let response = response.unwrap();
    let announced: usize = response.header("content-length").unwrap().parse().unwrap();
    assert!(response.status == 200 && response.is_cut);
    assert_eq!(response.body.len(), announced / 2);
    assert!(response.body.starts_with(br#"{"method":"GET""#));
    assert_eq!(lab.stats().served, 1);
}

#[tokio::test]
async fn huge_is_one_json_value_of_64_megabytes() {
    let (response, _lab) = struck("huge:1").await;
    let response = response.unwrap();
    assert_eq!(response.body.len() as u64, HUGE_BODY_BYTES);
    assert_eq!(response.json()["path"], "/echo");
}

#[tokio::test]
async fn notjson_is_a_page_with_status_200() {
    let (response, _lab) = struck("notjson:1").await;
    let response = response.unwrap();
    assert_eq!((response.status, response.header("content-type")), (200, Some("text/html")));
    assert!(serde_json::from_slice::<serde_json::Value>(&response.body).is_err());
}
