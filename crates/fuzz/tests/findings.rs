//! What fuzzing found once, and the seeds it begins with, replayed.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};

use paceline_fuzz::{TARGETS, replay};

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(found) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = found.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn what_was_found_once_is_never_found_again() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, target) in TARGETS {
        let seeds = files(&root.join("seeds").join(name));
        assert!(!seeds.is_empty(), "the target {name} begins with nothing");
        let found = files(&root.join("findings").join(name));
        replay(target, seeds.into_iter().chain(found)).unwrap();
    }
}

#[test]
fn every_target_takes_anything() {
    for (_, target) in TARGETS {
        for data in [&b""[..], b"\n", b"\xff\xfe", b"{", b"{{", b"\0", b"a:b\nretry-after: 1"] {
            target(data);
        }
    }
}
