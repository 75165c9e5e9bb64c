//! Everything here takes any bytes and must not panic, hang or break a promise of what it calls. `scripts/fuzz` feeds each
//! function by libFuzzer for a while; what it finds is kept under `findings/` and replayed by the tests from then on.
#![warn(missing_docs)]

mod csv;
mod filter;
mod header;
mod limit;
mod template;

use std::path::PathBuf;

pub use csv::csv;
pub use filter::filter;
pub use header::header;
pub use limit::limit;
pub use template::template;

/// A target: its name, which is that of its folders, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 5] = [
    ("template", template),
    ("filter", filter),
    ("limit", limit),
    ("header", header),
    ("csv", csv),
];

/// Feeds a target with files, one after another.
///
/// # Errors
/// A file cannot be read.
pub fn replay(target: fn(&[u8]), files: impl Iterator<Item = PathBuf>) -> std::io::Result<()> {
    for file in files {
        target(&std::fs::read(file)?);
    }
    Ok(())
}
