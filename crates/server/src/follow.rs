//! Following a table by its changes: which rows are news to somebody who was here before. What follows keeps its
//! [`Position`], and so goes on after a crash where it stood; where changes are gone, it looks at every row again and
//! knows from its [marks](marks) which of them are news all the same.

mod gather;
mod last;
mod marks;

use std::collections::BTreeMap;

use paceline_model::{
    ColumnId, Filter, Note, Operator, RowId, RowQuery, Subject, Table, Test, Value,
};
use serde::{Deserialize, Serialize};

use last::{last_row, last_sequence};
use marks::Marks;
pub(crate) use marks::forget;

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

/// Why a row is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// It was inserted, and no change of it has been read yet.
    Inserted,
    /// A change names it.
    Touched,
    /// All rows are looked at.
    Scanned,
    /// It was there before the follower.
    Known,
}

/// What is seen of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    /// Stands for its value, or for passing the filter; never 0.
    mark: u32,
    /// Nothing of it has changed since it was inserted.
    fresh: bool,
    /// It has no value.
    empty: bool,
}

/// Whether a row is news, and marks what is known of it from now on. `seen` is `None` for a row that does not pass the
/// filter or is gone.
fn decide(watch: &Watch, marks: &mut Marks, row: i64, seen: Option<&Seen>, why: Why) -> bool {
    let before = marks.get(row);
    let Some(seen) = seen else {
        if matches!(watch, Watch::Match { once: false, .. }) && before != 0 {
            marks.set(row, 0);
        }
        return false;
    };
    match (watch, why) {
        (_, Why::Known) => {
            marks.set(row, seen.mark);
            false
        }
        (Watch::Field(_), Why::Inserted) => {
            // Its first value is no change. But if it has changed since, its first value is not known, and the change
            // that follows in the list must find it unmarked.
            if before == 0 && seen.fresh {
                marks.set(row, seen.mark);
            }
            false
        }
        (Watch::Field(_), Why::Scanned) if before == 0 => {
            marks.set(row, seen.mark);
            !seen.fresh && !seen.empty
        }
        _ => {
            marks.set(row, seen.mark);
            before != seen.mark
        }
    }
}

/// What is to be seen of rows, which are all of one chunk.
async fn look(
    app: &App,
    table: &Table,
    watch: &Watch,
    rows: &BTreeMap<i64, bool>,
) -> Result<BTreeMap<i64, Seen>> {
    let (Some((first, _)), Some((last, _))) = (rows.first_key_value(), rows.last_key_value())
    else {
        return Ok(BTreeMap::new());
    };
    let span = usize::try_from(last - first + 1).unwrap_or(marks::CHUNK_ROWS);
    let up_to =
        Test { subject: Subject::Id, path: Vec::new(), operator: Operator::Lte(Value::Int(*last)) };
    let mut tests = vec![Filter::Test(up_to)];
    let columns = match watch {
        Watch::Match { filter, .. } => {
            tests.push(filter.clone());
            Vec::new()
        }
        Watch::Field(column) => vec![*column],
        Watch::New => Vec::new(),
    };
    let query = RowQuery {
        columns,
        filter: Some(Filter::All(tests)),
        after: RowId(first - 1),
        limit: span.min(marks::CHUNK_ROWS),
        ..RowQuery::of(table.id)
    };
    let found = app.engine.store().rows(query).await?;
    let seen = found.into_iter().filter(|row| rows.contains_key(&row.id.0)).map(|row| {
        let value = row.values.first();
        let seen = Seen {
            mark: value.map_or(1, marks::mark_of),
            fresh: row.created_at == row.updated_at,
            empty: value.is_none_or(Value::is_null),
        };
        (row.id.0, seen)
    });
    Ok(seen.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: u32 = 7;
    const NEW: u32 = 9;

    fn seen(mark: u32, fresh: bool) -> Seen {
        Seen { mark, fresh, empty: false }
    }

    #[test]
    fn a_field_is_news_when_its_value_is_another_one() {
        let watch = Watch::Field(ColumnId(1));
        let cases = [
            ("inserted, untouched", 0, seen(NEW, true), Why::Inserted, false, NEW),
            ("inserted, and changed since", 0, seen(NEW, false), Why::Inserted, false, 0),
            ("changed after that", 0, seen(NEW, false), Why::Touched, true, NEW),
            ("another value", OLD, seen(NEW, false), Why::Touched, true, NEW),
            ("the same value", OLD, seen(OLD, false), Why::Touched, false, OLD),
            ("there before", 0, seen(NEW, false), Why::Known, false, NEW),
            ("missed, and changed", 0, seen(NEW, false), Why::Scanned, true, NEW),
            ("missed, never changed", 0, seen(NEW, true), Why::Scanned, false, NEW),
            ("known, and changed unseen", OLD, seen(NEW, false), Why::Scanned, true, NEW),
        ];
        for (what, before, seen, why, news, after) in cases {
            let mut marks = Marks::empty(0);
            marks.set(3, before);
            assert_eq!(decide(&watch, &mut marks, 3, Some(&seen), why), news, "{what}");
            assert_eq!(marks.get(3), after, "{what}");
        }
    }

    #[test]
    fn a_match_is_news_when_it_begins() {
        let all = Filter::All(Vec::new());
        let watch = Watch::Match { filter: all.clone(), once: false };
        let mut marks = Marks::empty(0);
        let passes = seen(1, false);
        let mut ask = |seen: Option<&Seen>| decide(&watch, &mut marks, 5, seen, Why::Touched);
        assert!(ask(Some(&passes)), "it begins to");
        assert!(!ask(Some(&passes)), "it still does");
        assert!(!ask(None), "it ends");
        assert!(ask(Some(&passes)), "it begins again");

        let once = Watch::Match { filter: all, once: true };
        assert!(!decide(&once, &mut marks, 5, None, Why::Touched));
        assert!(!decide(&once, &mut marks, 5, Some(&passes), Why::Touched), "once is once");
    }
}
