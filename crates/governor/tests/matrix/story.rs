use crate::scenario::*;
use paceline_governor::{Guard, Shape};
#[test]
#[ignore = "debug"]
fn story() {
    crate::drive::STORY.store(true, std::sync::atomic::Ordering::Relaxed);
    let text = std::fs::read_to_string("/tmp/story").unwrap();
    let mut parts = text.split_whitespace().map(|p| p.parse::<usize>().unwrap());
    let (v, e, l, run) = (
        parts.next().unwrap(),
        parts.next().unwrap(),
        parts.next().unwrap(),
        parts.next().unwrap(),
    );
    let vendor = &VENDORS[v];
    let guard = if parts.next() == Some(1) { Guard::Auto } else { Guard::Strict };
    let case = Case {
        vendor,
        enforcement: Enforcement::ALL[e],
        latency: Latency::ALL[l],
        shape: Shape::Auto,
        guard,
        retry_after: RetryAfter::default(),
        calls: vendor.calls[LONG],
        run: run as u32,
    };
    let r = crate::drive::run(&case);
    eprintln!(
        "{:?} refused {} settled {} last start {:?} sent {}",
        vendor.limits,
        r.refused,
        r.refused_settled,
        r.last_start(),
        r.sent.len()
    );
}
