//! Which calls are tried again, and that every try has a permit of its own.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use paceline_governor::adapter::reqwest::GovernedClient;
use paceline_governor::{Backoff, RetryPolicy, Strategy};
use reqwest::{Method, Request};

use super::{DROPPED, EMPTY, client, request, scripted, used};

const FAILED: &str = "HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n";
const THROTTLED: &str = "HTTP/1.1 429 X\r\nretry-after: 0\r\ncontent-length: 4\r\n\r\nslow";

fn retrying() -> GovernedClient {
    let backoff = Backoff { strategy: Strategy::Fixed, base: Duration::from_millis(1) };
    let throttle_deadline = Duration::from_secs(60);
    client().with_retry(RetryPolicy { backoff, max_retries: 2, throttle_deadline })
}

/// Its name, method, what is changed in the request, what the vendor answers; and its last status after how many tries.
type Case<'a> =
    (&'a str, Method, &'a dyn Fn(Request) -> Request, &'static [&'static str], (u16, usize));

/// What became of a call after how many tries: its status, or 0 if there is none.
async fn tries(client: GovernedClient, request: Request, answered: &AtomicUsize) -> (u16, usize) {
    let status = client.execute(request).await.map_or(0, |response| response.status().as_u16());
    assert_eq!(used(&client).0, answered.load(Relaxed), "one permit per attempt");
    (status, answered.load(Relaxed))
}

#[tokio::test]
async fn what_may_be_repeated_is_tried_again_and_every_try_has_its_permit() {
    const PASSING: &[&str] = &[FAILED, DROPPED, EMPTY];
    const LASTING: &[&str] = &[FAILED, FAILED, FAILED];
    const BUSY: &[&str] = &[THROTTLED, THROTTLED, THROTTLED, THROTTLED, EMPTY];
    let keyed = |mut request: Request| {
        request.headers_mut().insert("idempotency-key", "7".parse().unwrap());
        request
    };
    let streamed = |mut request: Request| {
        *request.body_mut() = Some(reqwest::Body::wrap(http_body_util::Empty::<&[u8]>::new()));
        request
    };
    let plain = |request: Request| request;
    let cases: [Case<'_>; 8] = [
        ("passes", Method::GET, &plain, PASSING, (200, 3)),
        ("stays", Method::GET, &plain, LASTING, (500, 3)),
        ("may have acted", Method::POST, &plain, PASSING, (500, 1)),
        ("may have acted", Method::POST, &plain, &[DROPPED, EMPTY], (0, 1)),
        ("has a key", Method::POST, &keyed, PASSING, (200, 3)),
        ("refused, so did nothing", Method::POST, &plain, BUSY, (200, 5)),
        ("its body is gone", Method::GET, &streamed, PASSING, (500, 1)),
        ("will not change", Method::GET, &plain, &["HTTP/1.1 404 X\r\n\r\n", EMPTY], (404, 1)),
    ];
    for (name, method, change, replies, wanted) in cases {
        let (url, answered) = scripted(replies).await;
        let request = change(request(method.clone(), &url));
        assert_eq!(tries(retrying(), request, &answered).await, wanted, "{method} {name}");
    }
    let (url, answered) = scripted(PASSING).await;
    let client = retrying().repeats_any_method();
    assert_eq!(tries(client, request(Method::POST, &url), &answered).await, (200, 3));
    let (url, answered) = scripted(&["HTTP/1.1 404 X\r\n\r\n", EMPTY]).await;
    let client = retrying().with_retry_on([404]);
    assert_eq!(tries(client, request(Method::GET, &url), &answered).await, (200, 2));
}
