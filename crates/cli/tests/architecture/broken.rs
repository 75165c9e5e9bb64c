//! Each rule of the import test, broken: a check that finds nothing has to be able to find something.

use cargo_metadata::DependencyKind::{self, Build, Development, Normal};

use crate::repository::{Arrow, Workspace, read_table};
use crate::{SOURCE_LINES_MAX, arrow_faults, door_faults, home_faults, judge_faults, tidy_faults};

const EXAMPLE: &str = "\
| crate | may import | deliberately does not know |
|---|---|---|
| `clock` | nothing | `lab` |
| `governor` | `clock` | |
| `lab` | `clock` | |
| `cli` | `all` | |

| external crate | only in | why |
|---|---|---|
| `clap`, `indicatif` | `cli` | |
| `serde` | `any` | |
| `proptest` | tests | |
";

/// From, to, and the kind of the dependency.
type Edge = (&'static str, &'static str, DependencyKind);

fn workspace(edges: &[Edge]) -> Workspace {
    let arrow = |&(from, to, kind): &Edge| Arrow { from: from.to_owned(), to: to.to_owned(), kind };
    Workspace {
        crates: ["clock", "governor", "lab", "cli"].map(str::to_owned).into(),
        arrows: edges.iter().map(arrow).collect(),
    }
}

#[test]
fn a_table_is_read_from_the_page() {
    let crates = read_table(EXAMPLE, "crate");
    assert!(crates.keys().eq(["cli", "clock", "governor", "lab"].iter()));
    assert!(crates["clock"].is_empty());
    assert!(crates["governor"].iter().eq(["clock"].iter()));
    let homes = read_table(EXAMPLE, "external crate");
    assert!(homes["indicatif"].iter().eq(["cli"].iter()));
    assert!(homes["proptest"].is_empty());
}

#[test]
fn an_arrow_off_the_table_is_a_fault() {
    let table = read_table(EXAMPLE, "crate");
    let cases: [(Edge, usize); 6] = [
        (("governor", "clock", Normal), 0),
        (("cli", "lab", Normal), 0),
        (("clock", "serde", Normal), 0),
        (("governor", "lab", Development), 0),
        (("governor", "lab", Normal), 1),
        (("clock", "governor", Build), 1),
    ];
    for (edge, faults) in cases {
        assert_eq!(arrow_faults(&workspace(&[edge]), &table).len(), faults, "{edge:?}");
    }
}

#[test]
fn a_crate_without_a_row_and_a_row_without_a_crate_are_faults() {
    let table = read_table(&EXAMPLE.replace("| `lab` |", "| `hex` |"), "crate");
    assert_eq!(arrow_faults(&workspace(&[]), &table).len(), 2);
}

#[test]
fn the_lab_reaches_the_governor_by_no_path() {
    let cases: [(&[Edge], usize); 5] = [
        (&[("governor", "lab", Development)], 0),
        (&[("lab", "governor", Normal)], 1),
        (&[("lab", "governor", Development)], 1),
        (&[("lab", "cli", Development), ("cli", "governor", Normal)], 1),
        (&[("lab", "clock", Normal), ("clock", "governor", Development)], 0),
    ];
    for (edges, faults) in cases {
        assert_eq!(judge_faults(&workspace(edges)).len(), faults, "{edges:?}");
    }
}

#[test]
fn an_external_crate_away_from_home_or_without_a_reason_is_a_fault() {
    let table = read_table(EXAMPLE, "external crate");
    let cases: [(Edge, usize); 8] = [
        (("cli", "clap", Normal), 0),
        (("lab", "serde", Normal), 0),
        (("lab", "clock", Normal), 0),
        (("lab", "clap", Development), 0),
        (("lab", "proptest", Development), 0),
        (("lab", "clap", Normal), 1),
        (("lab", "proptest", Build), 1),
        (("lab", "left-pad", Development), 1),
    ];
    for (edge, faults) in cases {
        assert_eq!(home_faults(&workspace(&[edge]), &table).len(), faults, "{edge:?}");
    }
}

#[test]
fn a_second_door_is_a_fault() {
    let cases = [
        ("crates/store/src/lib.rs", "let at = Instant::now();", 1),
        ("crates/store/src/lib.rs", "    // not Instant::now()", 0),
        ("crates/clock/src/system.rs", "let at = Instant::now();", 0),
        ("crates/cli/src/main.rs", "std::env::var_os(\"HOME\")", 1),
        ("crates/engine/src/provider/http.rs", "reqwest::Client::new()", 0),
        ("crates/engine/src/provider/http/tls.rs", "reqwest::Client::new()", 0),
        ("crates/engine/src/provider/https.rs", "reqwest::Client::new()", 1),
    ];
    for (path, text, faults) in cases {
        assert_eq!(door_faults(path, text).len(), faults, "{path}: {text}");
    }
}

#[test]
fn a_long_or_wordless_file_is_a_fault() {
    let lines = |count: usize| format!("//! What it is for.\n{}", "\n".repeat(count - 1));
    assert_eq!(tidy_faults("a.rs", &lines(SOURCE_LINES_MAX)).len(), 0);
    assert_eq!(tidy_faults("a.rs", &lines(SOURCE_LINES_MAX + 1)).len(), 1);
    assert_eq!(tidy_faults("a.rs", "use std::fs;\n").len(), 1);
}
