//! Limits as people write them, and rate objects.

use paceline_governor::{Ceilings, Limit, Rate};

/// Those of the command line: everything that can be asked for.
const CEILINGS: Ceilings =
    Ceilings { concurrent_max: 1_024, rate_max: 10_000.0, rate_optional: true };

/// A limit that is read is written so that it is read again; a rate is refused with faults or taken.
pub fn limit(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(limit) = text.parse::<Limit>() {
        let written = limit.to_string();
        assert_eq!(
            written.parse::<Limit>().as_ref(),
            Ok(&limit),
            "{text:?} is written {written:?}"
        );
    }
    if let Ok(json) = serde_json::from_str(text)
        && let Err(faults) = Rate::from_json(&json, CEILINGS)
    {
        assert!(!faults.is_empty(), "refused without a reason");
    }
}
