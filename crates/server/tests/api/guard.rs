//! Where this server does not call (spec S2, acceptance 6): every hostile address is refused before a connection is made.

use serde_json::json;

use crate::outside::Outside;

/// What a URL alone gives away. PORT is one that somebody listens on.
const LITERAL: [&str; 42] = [
    // This machine and its network, as they are.
    "http://127.0.0.1:PORT/",
    "http://127.8.9.1/",
    "http://localhost:PORT/",
    "http://10.0.0.1/",
    "http://172.16.5.5/",
    "http://172.31.255.255:8443/",
    "http://192.168.0.1/admin",
    "http://0.0.0.0:PORT/",
    "http://100.64.0.1/",
    "http://198.18.0.1/",
    "http://192.0.0.8/",
    "http://224.0.0.251/",
    "http://255.255.255.255/",
    // In other notations.
    "http://2130706433:PORT/",
    "http://0x7f000001:PORT/",
    "http://0x7f.0.0.1:PORT/",
    "http://0177.0.0.01:PORT/",
    "http://127.1:PORT/",
    "http://127.0.1:PORT/",
    "http://127.0.0.1.:PORT/",
    "http://%31%32%37.0.0.1:PORT/",
    "http://①②⑦.⓪.⓪.①:PORT/",
    "http://127。0。0。1:PORT/",
    // IPv6, and what it carries.
    "http://[::1]:PORT/",
    "http://[::]:PORT/",
    "http://[::ffff:127.0.0.1]:PORT/",
    "http://[0:0:0:0:0:ffff:7f00:1]:PORT/",
    "http://[::127.0.0.1]:PORT/",
    "http://[64:ff9b::10.0.0.1]/",
    "http://[64:ff9b:1::1]/",
    "http://[2002:c0a8:1::]/",
    "http://[2001:0:1::1]/",
    "http://[fe80::1]/",
    "http://[fd12:3456::1]/",
    // Names that stay inside, in any spelling.
    "http://LocalHost.:PORT/",
    "http://tenant.localhost:PORT/",
    "http://printer.local/",
    // Where clouds hand out credentials.
    "http://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]/latest/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://Metadata.Google.Internal.:80/",
    "http://168.63.129.16/machine",
];
/// Credentials and tricks with them.
const USERINFO: [&str; 5] = [
    "http://user:hunter2@8.8.8.8/",
    "https://hunter2@example.com/",
    "http://8.8.8.8:80@127.0.0.1:PORT/",
    "http://example.com%2f@127.0.0.1:PORT/",
    "http://127.0.0.1:PORT\\@8.8.8.8/",
];
/// Other schemes.
const SCHEMES: [&str; 4] = [
    "file:///etc/passwd",
    "gopher://8.8.8.8:70/_x",
    "ftp://8.8.8.8/",
    "unix://var/run/docker.sock",
];
/// Names that resolve to what may not be called.
const RESOLVED: [&str; 8] = [
    "http://127-0-0-1.to.example:PORT/",
    "http://127-0-0-1.TO.example.:PORT/",
    "http://10-0-0-1.to.example/",
    "http://169-254-169-254.to.example/",
    "http://--1.to.example:PORT/",
    "http://--ffff-7f00-1.to.example:PORT/",
    "http://127-0-0-1.and.192-168-0-1.to.example:PORT/",
    "http://intranet:PORT/",
];

#[tokio::test]
async fn no_hostile_address_is_called() {
    let outside = Outside::new(&[]).await;
    let port = outside.closed.port().to_string();
    let literal = LITERAL.iter().chain(&USERINFO).chain(&SCHEMES);
    for url in literal.chain(&RESOLVED) {
        let url = url.replace("PORT", &port);
        let answer = outside.request(&url).await;
        let told = answer.refused(400, "BLOCKED_URL", &[]).to_string();
        assert!(!told.contains("hunter2"), "{url}: {told}");
    }
    assert_eq!(outside.connections(), 0);
}

#[tokio::test]
async fn no_redirect_leads_to_a_hostile_address() {
    let outside = Outside::new(&[]).await;
    let port = outside.closed.port().to_string();
    for url in LITERAL.iter().chain(&USERINFO).chain(&SCHEMES).chain(&RESOLVED) {
        // A header cannot carry the others as they are.
        let url = url.replace("PORT", &port);
        if !url.is_ascii() {
            continue;
        }
        let first = format!("http://{}/to?{url}", outside.open);
        let answer = outside.request(&first).await;
        answer.refused(400, "BLOCKED_URL", &[]);
    }
    // Through a redirect that is harmless, too.
    let inner = format!("http://{}/to?http://127.0.0.1:{port}/", outside.open);
    let url = format!("http://{}/to?{inner}", outside.open);
    outside.request(&url).await.refused(400, "BLOCKED_URL", &["redirect"]);
    assert_eq!(outside.connections(), 0);
}

#[tokio::test]
async fn no_column_is_made_that_calls_a_hostile_address() {
    let outside = Outside::new(&[]).await;
    let port = outside.closed.port().to_string();
    outside.app.airports().await;
    for url in LITERAL.iter().chain(&USERINFO).chain(&SCHEMES) {
        let url = url.replace("PORT", &port);
        let body = json!({"name": "near", "type": "json", "kind": "http", "config": {"url": url}});
        let answer = outside.app.post("/api/tables/airports/smart-columns", body).await;
        answer.refused(400, "BLOCKED_URL", &[]);
    }
}

#[tokio::test]
async fn a_column_whose_name_resolves_to_a_hostile_address_fails_its_cells_and_calls_nobody() {
    let outside = Outside::new(&[]).await;
    let app = &outside.app;
    app.airports().await;
    let url = format!("http://127-0-0-1.to.example:{}/?q={{{{iata}}}}", outside.closed.port());
    let config = json!({"url": url});
    let body = json!({"name": "near", "type": "json", "kind": "http", "config": config});
    app.post("/api/tables/airports/smart-columns", body).await.ok();
    let run = app.post("/api/tables/airports/columns/near/run", json!({})).await;
    app.settled(&run).await;
    let story = app.get("/api/tables/airports/columns/near/cells/1/attempts").await;
    assert!(story.body.to_string().contains("private addresses"), "{:#}", story.body);
    assert_eq!(outside.connections(), 0);
}

#[tokio::test]
async fn the_allow_list_opens_exactly_what_it_names() {
    // Each opens some of these, by its place, and nothing else.
    let urls = |port: u16| {
        [
            format!("http://127.0.0.1:{port}/"),
            format!("http://0x7f.1:{port}/"),
            format!("http://127-0-0-1.to.example:{port}/"),
            format!("http://intranet:{port}/"),
            format!("http://INTRANET.:{port}/"),
            format!("http://metadata.google.internal:{port}/"),
            format!("http://localhost:{port}/"),
        ]
    };
    let rules: [(&str, &[usize]); 7] = [
        ("127.0.0.1", &[0, 1, 2, 3, 4]),
        ("127.0.0.1:PORT", &[0, 1, 2, 3, 4]),
        ("127.0.0.0/8", &[0, 1, 2, 3, 4]),
        ("127.0.0.1:9", &[]),
        ("intranet:PORT", &[3, 4]),
        ("127-0-0-1.to.example", &[2]),
        ("metadata.google.internal", &[5]),
    ];
    for (rule, opened) in rules {
        // The port is not known before somebody listens.
        let port = Outside::new(&[]).await.closed.port();
        let outside = Outside::new(&[&rule.replace("PORT", &port.to_string())]).await;
        let port = if rule.contains("PORT") { port } else { outside.closed.port() };
        for (place, url) in urls(port).iter().enumerate() {
            let code = outside.request(url).await.body["error"]["code"].clone();
            let wanted = if opened.contains(&place) { "UPSTREAM_ERROR" } else { "BLOCKED_URL" };
            assert_eq!(code, wanted, "{rule}: {url}");
        }
    }
}
