//! The import test: what ARCHITECTURE.md says about the crates is what Cargo and the source say.
//!
//! The two tables of that page are read, not repeated, so that the page and the rule cannot drift apart. Every failure
//! names the offender, the rule, and where the rule stands.

mod broken;
mod repository;

use std::collections::BTreeSet;

use repository::{Arrow, PAGE, Table, Workspace, sources, table, workspace};

const SOURCE_LINES_MAX: usize = 450;

/// What may be written in one place only: the text, and the files (or folders, ending in `/`) that may hold it.
///
/// The linter bans these calls by type (`clippy.toml`); this catches the `#[expect]` that would open a second door.
const DOORS: [(&str, &[&str]); 4] = [
    ("env::var", &["crates/cli/src/env.rs"]),
    ("Instant::now", &["crates/clock/src/system.rs"]),
    ("SystemTime::now", &["crates/clock/src/system.rs"]),
    (
        "reqwest::Client",
        &[
            "crates/engine/src/provider/http.rs",
            "crates/engine/src/provider/http/",
            // Behind a feature, for users of the governor alone; takes its builder from them.
            "crates/governor/src/adapter/reqwest.rs",
        ],
    ),
];

#[test]
fn arrows_between_crates_are_the_ones_on_the_page() {
    assert_none(&arrow_faults(&workspace(), &table("crate")));
}

#[test]
fn the_judge_does_not_know_the_judged() {
    assert_none(&judge_faults(&workspace()));
}

#[test]
fn external_crates_stay_in_their_homes() {
    assert_none(&home_faults(&workspace(), &table("external crate")));
}

#[test]
fn doors_to_the_outside_stand_in_one_place() {
    let faults: Vec<_> =
        sources().iter().flat_map(|(path, text)| door_faults(path, text)).collect();
    assert_none(&faults);
}

#[test]
fn source_files_are_short_and_say_what_they_are_for() {
    let faults: Vec<_> =
        sources().iter().flat_map(|(path, text)| tidy_faults(path, text)).collect();
    assert_none(&faults);
}

#[track_caller]
fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// Every arrow between workspace crates that the table does not draw, and every row or crate without its counterpart.
fn arrow_faults(workspace: &Workspace, allowed: &Table) -> Vec<String> {
    let mut faults = Vec::new();
    let rows: BTreeSet<String> = allowed.keys().cloned().collect();
    for name in workspace.crates.difference(&rows) {
        faults.push(format!(
            "crate `{name}` has no row in the table of crates in {PAGE}: say what it may import"
        ));
    }
    for name in rows.difference(&workspace.crates) {
        faults.push(format!(
            "the table of crates in {PAGE} has a row for `{name}`, which is not in the workspace"
        ));
    }
    for Arrow { from, to, kind } in workspace.arrows_inside().filter(|arrow| arrow.ships()) {
        let Some(row) = allowed.get(from) else {
            continue;
        };
        if !row.contains(to) && !row.contains("all") {
            faults.push(format!(
                "`{from}` -> `{to}` ({kind} dependency): not an arrow of the table of crates in {PAGE}"
            ));
        }
    }
    faults
}

/// The lab judges the governor, so no path leads from one to the other, not even through the lab's own tests.
fn judge_faults(workspace: &Workspace) -> Vec<String> {
    let mut faults = Vec::new();
    let mut seen = BTreeSet::from(["lab"]);
    let mut queue = vec!["lab"];
    while let Some(from) = queue.pop() {
        // The dev-dependencies of what the lab uses are not built with it; its own are.
        let counts = |arrow: &&Arrow| arrow.from == from && (arrow.ships() || from == "lab");
        for arrow in workspace.arrows_inside().filter(counts) {
            if arrow.to == "governor" {
                faults.push(format!(
                    "`{from}` -> `governor` ({} dependency), reached from `lab`: the lab must not know the governor ({PAGE})",
                    arrow.kind
                ));
            }
            if seen.insert(&arrow.to) {
                queue.push(&arrow.to);
            }
        }
    }
    faults
}

/// Every external crate that nobody has given a reason for, or that ships with a crate which is not its home.
fn home_faults(workspace: &Workspace, homes: &Table) -> Vec<String> {
    let mut faults = Vec::new();
    for arrow in workspace.arrows_outside() {
        let Arrow { from, to, kind } = arrow;
        match homes.get(to) {
            None => faults.push(format!(
                "`{from}` -> `{to}` ({kind} dependency): no row in the table of external crates in {PAGE} says why"
            )),
            Some(row) if arrow.ships() && !row.contains(from) && !row.contains("any") => faults.push(format!(
                "`{from}` -> `{to}` ({kind} dependency): `{to}` is not for `{from}` in the table of external crates in {PAGE}"
            )),
            Some(_) => {}
        }
    }
    faults
}

/// Every line of code that goes through a door which stands elsewhere. Comment lines may name it.
fn door_faults(path: &str, text: &str) -> Vec<String> {
    let is_home = |home: &&str| path == *home || (home.ends_with('/') && path.starts_with(home));
    let mut faults = Vec::new();
    for (call, homes) in DOORS.iter().filter(|(_, homes)| !homes.iter().any(is_home)) {
        for (index, line) in text.lines().enumerate() {
            if line.contains(call) && !line.trim_start().starts_with("//") {
                faults.push(format!(
                    "{path}:{}: `{call}` is for {} only (\"doors\" in {PAGE})",
                    index + 1,
                    homes[0]
                ));
            }
        }
    }
    faults
}

/// A file is one screenful of understanding, and its first line says what it is for.
fn tidy_faults(path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let lines = text.lines().count();
    if lines > SOURCE_LINES_MAX {
        faults.push(format!(
            "{path}: {lines} lines, and {SOURCE_LINES_MAX} are allowed: split it by noun, or move its tests to tests/ (CONTRIBUTING.md)"
        ));
    }
    if !text.starts_with("//!") {
        faults.push(format!(
            "{path}: begins without a `//!` line that says what it is for (CONTRIBUTING.md)"
        ));
    }
    faults
}
