//! What vendors say of their limits.

use std::time::Duration;

use paceline_clock::Timestamp;
use paceline_governor::{HINT_MAX, Hints, retry_after_in_body};

/// A wall time after which dates lie ahead and behind: 2026-11-22.
const WALL_MICROS: i64 = 1_795_305_600_000_000;
/// Header fields of one response; more only repeat.
const FIELDS_MAX: usize = 64;

/// Lines of `name: value`, as they stand in a response's head; the whole as a body, too.
pub fn header(data: &[u8]) {
    let lines = data.split(|byte| *byte == b'\n').take(FIELDS_MAX);
    let fields: Vec<(&str, &[u8])> = lines
        .filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = std::str::from_utf8(&line[..colon]).ok()?;
            Some((name, line[colon + 1..].trim_ascii()))
        })
        .collect();
    let hints = Hints::read(fields.iter().copied(), Timestamp::from_micros(WALL_MICROS));
    let holds = [hints.retry_after, hints.hold(), hints.hold_after_refusal()];
    assert!(holds.into_iter().flatten().all(|wait| wait <= HINT_MAX));
    let short = Duration::from_secs(1);
    let capped = hints.capped(short);
    assert!(capped.hold_after_refusal().is_none_or(|wait| wait <= short));
    let _ = retry_after_in_body(data);
}
