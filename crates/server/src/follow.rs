//! Following a table by its changes: which rows are news to somebody who was here before. What follows keeps its
//! [`Position`], and so goes on after a crash where it stood; where changes are gone, it looks at every row again and
//! knows from its [marks](marks) which of them are news all the same.

mod gather;
mod last;
mod marks;
mod news;

use std::collections::BTreeMap;

use paceline_model::{ColumnId, Filter, Note, RowId, RowQuery, Table};
use serde::{Deserialize, Serialize};

use last::last_row;
pub(crate) use last::last_sequence;
use marks::Marks;
pub(crate) use marks::forget;
use news::{Why, decide, look};

use crate::App;
use crate::error::Result;

/// Changes read at once.
const CHANGES_READ_MAX: usize = 512;
/// New rows that one step answers.
const NEW_ROWS_MAX: usize = 4_096;

/// What is news.
#[derive(Clone, Debug)]
pub(crate) enum Watch {
    /// A row that was not there.
    New,
    /// A row that passes the filter and did not before.
    Match {
        /// The filter.
        filter: Filter,
        /// Whether a row is news only once, however often it begins to pass.
        once: bool,
    },
    /// A row whose value in this column is another one.
    Field(ColumnId),
}

/// How far a follower has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// The last row seen; all that [`Watch::New`] needs, as ids only grow.
    row: i64,
    /// Changes up to here are dealt with,
    sequence: i64,
    /// and of the one after it the rows up to here.
    #[serde(default, skip_serializing_if = "is_zero")]
    within: i64,
    /// Every row is being looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scan: Option<Scan>,
    /// From a chunk of rows to the item with its marks.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    chunks: BTreeMap<i64, i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Scan {
    /// Rows up to here have been looked at.
    after: i64,
    /// Nothing is news up to this row: it was there before the follower was.
    known: i64,
}

/// What one step found.
#[derive(Debug, Default)]
pub(crate) struct Step {
    /// The rows that are news, ascending.
    pub(crate) rows: Vec<RowId>,
    /// What must be written in the transaction that acts on them and keeps the position.
    pub(crate) notes: Vec<Note>,
    /// Whether the position has moved. If not, there is nothing to do until something changes.
    pub(crate) moved: bool,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl Position {
    /// That of somebody who comes now. `known`: whether the rows that are there already are known to him.
    pub(crate) async fn now(app: &App, table: &Table, watch: &Watch, known: bool) -> Result<Self> {
        let sequence = last_sequence(app, table.id).await?;
        let row = last_row(app, table.id).await?;
        Ok(match (watch, known) {
            (Watch::New, true) => Self { row, ..Self::default() },
            (Watch::New, false) => Self::default(),
            (_, known) => {
                let known = if known { row } else { 0 };
                Self { sequence, scan: Some(Scan { after: 0, known }), ..Self::default() }
            }
        })
    }

    /// The items with its marks.
    pub(crate) fn items(&self) -> impl Iterator<Item = i64> {
        self.chunks.values().copied()
    }

    /// Looks at a bounded number of changes or rows, and moves on.
    pub(crate) async fn step(&mut self, app: &App, table: &Table, watch: &Watch) -> Result<Step> {
        if matches!(watch, Watch::New) {
            return self.new_rows(app, table).await;
        }
        if let Some(scan) = self.scan {
            return self.scan(app, table, watch, scan).await;
        }
        let store = app.engine.store();
        let (changes, oldest) =
            store.changes_after(table.id, self.sequence, CHANGES_READ_MAX).await?;
        if self.sequence < oldest {
            // Changes are gone. Those that are left are read after the scan: they may bring nothing that it did not.
            self.sequence = oldest;
            self.rescan();
            return Ok(Step { moved: true, ..Step::default() });
        }
        let piece = gather::gather(&changes, watch, self.sequence, self.within);
        let moved = piece.sequence != self.sequence || piece.within != self.within;
        (self.sequence, self.within) = (piece.sequence, piece.within);
        let mut step = Step { moved, ..Step::default() };
        if let Some(chunk) = piece.chunk {
            let mut marks = Marks::load(app, &self.chunks, chunk).await?;
            let seen = look(app, table, watch, &piece.rows).await?;
            for (row, touched) in &piece.rows {
                let why = if *touched { Why::Touched } else { Why::Inserted };
                if decide(watch, &mut marks, *row, seen.get(row), why) {
                    step.rows.push(RowId(*row));
                }
            }
            step.notes.extend(marks.note(app, table.id, &mut self.chunks).await?);
        }
        if piece.reload {
            self.rescan();
        }
        Ok(step)
    }

    fn rescan(&mut self) {
        self.within = 0;
        self.scan = Some(Scan { after: 0, known: 0 });
    }

    async fn new_rows(&mut self, app: &App, table: &Table) -> Result<Step> {
        let query =
            RowQuery { after: RowId(self.row), limit: NEW_ROWS_MAX, ..RowQuery::of(table.id) };
        let rows: Vec<RowId> =
            app.engine.store().rows(query).await?.iter().map(|row| row.id).collect();
        let Some(last) = rows.last() else { return Ok(Step::default()) };
        self.row = last.0;
        Ok(Step { rows, notes: Vec::new(), moved: true })
    }

    /// Looks at the rows of the next chunk that has any.
    async fn scan(&mut self, app: &App, table: &Table, watch: &Watch, scan: Scan) -> Result<Step> {
        let query = RowQuery {
            after: RowId(scan.after),
            limit: marks::CHUNK_ROWS,
            ..RowQuery::of(table.id)
        };
        let found = app.engine.store().rows(query).await?;
        let Some(chunk) = found.first().map(|row| marks::chunk_of(row.id.0)) else {
            self.scan = None;
            return Ok(Step { moved: true, ..Step::default() });
        };
        let ids = found.iter().map(|row| row.id.0).filter(|row| marks::chunk_of(*row) == chunk);
        let rows: BTreeMap<i64, bool> = ids.map(|row| (row, true)).collect();
        let mut marks = Marks::load(app, &self.chunks, chunk).await?;
        let seen = look(app, table, watch, &rows).await?;
        let mut step = Step { moved: true, ..Step::default() };
        for row in rows.keys() {
            let why = if *row <= scan.known { Why::Known } else { Why::Scanned };
            if decide(watch, &mut marks, *row, seen.get(row), why) {
                step.rows.push(RowId(*row));
            }
        }
        step.notes.extend(marks.note(app, table.id, &mut self.chunks).await?);
        let after = rows.last_key_value().map_or(scan.after, |(row, _)| *row);
        self.scan = Some(Scan { after, ..scan });
        Ok(step)
    }
}
