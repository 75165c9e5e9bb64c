//! The limits of this server, and what stands in it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use paceline_model::limits::{self, Limit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::App;
use crate::envelope::{Hint, Outcome};
use crate::error::Result;

/// Files that are looked at for the size on disk, at the most.
const FILES_MAX: usize = 100_000;

/// Nothing is asked.
#[derive(Debug, Deserialize)]
pub(crate) struct Nothing {}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Stats {
    version: &'static str,
    uptime_s: u64,
    tables: usize,
    columns: usize,
    smart_columns: usize,
    rows: u64,
    /// Cells of smart columns by state. Cells that nobody asked for yet are in no state.
    cells: BTreeMap<&'static str, u64>,
    runs_at_work: usize,
    /// Bytes of the files of the data directory; `null` if there is none, or too many files to count.
    disk_bytes: Option<u64>,
}

pub(crate) async fn limits(app: App, Nothing {}: Nothing) -> Result<Outcome<Vec<Limit>>> {
    Ok(Outcome::new(limits::all(&app.config.limits)))
}

pub(crate) async fn stats(app: App, Nothing {}: Nothing) -> Result<Outcome<Stats>> {
    let store = app.engine.store();
    let tables = store.tables().await?;
    let (mut columns, mut smart_columns, mut rows) = (0, 0, 0);
    let mut cells = BTreeMap::new();
    for table in &tables {
        rows += store.count_rows(table.id, None).await?;
        columns += table.columns.len();
        for column in table.columns.iter().filter(|column| column.smart.is_some()) {
            smart_columns += 1;
            for (state, count) in store.count_cells(column.id).await? {
                *cells.entry(state.as_str()).or_default() += count;
            }
        }
    }
    let stats = Stats {
        version: env!("CARGO_PKG_VERSION"),
        uptime_s: (app.clock.now() - app.vitals.began).as_secs(),
        tables: tables.len(),
        columns,
        smart_columns,
        rows,
        cells,
        runs_at_work: app.engine.runs_at_work(),
        disk_bytes: match app.dir.clone() {
            Some(dir) => disk_bytes(&app, dir).await,
            None => None,
        },
    };
    Ok(Outcome::new(stats).hint(Hint::new("list_tables", "see the tables one by one")))
}

/// The size of a directory; `None` if it cannot be told.
async fn disk_bytes(app: &App, dir: PathBuf) -> Option<u64> {
    let busy = app.clock.busy();
    let counted = tokio::task::spawn_blocking(move || size_of(&dir)).await.ok()?;
    drop(busy);
    counted.ok().flatten()
}

fn size_of(dir: &Path) -> io::Result<Option<u64>> {
    let (mut open, mut bytes, mut files) = (vec![dir.to_owned()], 0, 0);
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            files += 1;
            if files > FILES_MAX {
                return Ok(None);
            }
            // Of the entry itself: a link leads out of the directory. A file that went away meanwhile has no size.
            match entry.metadata() {
                Ok(found) if found.is_dir() => open.push(entry.path()),
                Ok(found) => bytes += found.len(),
                Err(_) => {}
            }
        }
    }
    Ok(Some(bytes))
}
