//! What the import test reads: the manifests through Cargo, the tables of ARCHITECTURE.md, and the source.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read its own repository has nothing else to say"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand};

pub(crate) const PAGE: &str = "ARCHITECTURE.md";

/// One declared dependency. A workspace crate goes by the name of its folder, any other by the name of its package.
pub(crate) struct Arrow {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) kind: DependencyKind,
}

impl Arrow {
    /// Tests may wire what they like; only what ships is held to the tables.
    pub(crate) fn ships(&self) -> bool {
        self.kind != DependencyKind::Development
    }
}

/// The workspace as Cargo sees it.
pub(crate) struct Workspace {
    pub(crate) crates: BTreeSet<String>,
    pub(crate) arrows: Vec<Arrow>,
}

impl Workspace {
    /// From one of ours to another of ours.
    pub(crate) fn arrows_inside(&self) -> impl Iterator<Item = &Arrow> {
        self.arrows.iter().filter(|arrow| self.crates.contains(&arrow.to))
    }

    /// From one of ours to a crate from the registry.
    pub(crate) fn arrows_outside(&self) -> impl Iterator<Item = &Arrow> {
        self.arrows.iter().filter(|arrow| !self.crates.contains(&arrow.to))
    }
}

/// One table of the page: the name in the first column, and the names that the second allows it.
pub(crate) type Table = BTreeMap<String, BTreeSet<String>>;

/// Cargo runs a test in the folder of its package. A path baked in at build time would be wrong as soon as two
/// checkouts share a target folder.
fn root() -> PathBuf {
    Path::new("../..").canonicalize().unwrap()
}

/// What the manifests declare, optional and target-specific dependencies included. Needs no network and no lock file.
pub(crate) fn workspace() -> Workspace {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .other_options(["--offline".to_owned()])
        .exec()
        .unwrap();
    let packages = metadata.workspace_packages();
    let folders: BTreeMap<&str, &str> = packages
        .iter()
        .map(|package| {
            (package.name.as_str(), package.manifest_path.parent().unwrap().file_name().unwrap())
        })
        .collect();
    let mut arrows = Vec::new();
    for package in &packages {
        for dependency in &package.dependencies {
            let to = dependency.name.as_str();
            arrows.push(Arrow {
                from: folders[package.name.as_str()].to_owned(),
                to: folders.get(to).copied().unwrap_or(to).to_owned(),
                kind: dependency.kind,
            });
        }
    }
    Workspace { crates: folders.into_values().map(str::to_owned).collect(), arrows }
}

pub(crate) fn table(heading: &str) -> Table {
    let table = read_table(&fs::read_to_string(root().join(PAGE)).unwrap(), heading);
    assert!(!table.is_empty(), "{PAGE} has no table whose first heading is `{heading}`");
    table
}

/// The table whose heading row begins with `heading`. Of its first two columns only the words in backticks count.
pub(crate) fn read_table(page: &str, heading: &str) -> Table {
    fn cell(row: &str, column: usize) -> &str {
        row.split('|').nth(column).unwrap_or_default().trim()
    }
    fn words(cell: &str) -> BTreeSet<String> {
        cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }
    page.lines()
        .skip_while(|line| cell(line, 1) != heading)
        .take_while(|line| line.starts_with('|'))
        .flat_map(|row| {
            words(cell(row, 1)).into_iter().map(move |name| (name, words(cell(row, 2))))
        })
        .collect()
}

/// Every Rust file under `crates/*/src`: its path from the root, and its text.
pub(crate) fn sources() -> Vec<(String, String)> {
    let root = root();
    let mut folders: Vec<PathBuf> = fs::read_dir(root.join("crates"))
        .unwrap()
        .map(|member| member.unwrap().path().join("src"))
        .collect();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap().display().to_string();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(!found.is_empty(), "no source under crates/*/src");
    found.sort();
    found
}
