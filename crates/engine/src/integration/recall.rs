//! What has to be known of the jobs of earlier processes, of every column at one Hex, before the run of one of them is
//! looked for: or a column would take another one's run for its own.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use paceline_clock::{Clock, Timestamp};
use paceline_hex::{Books, Note, RunId};
use paceline_model::{
    Column, ColumnId, Filter, Operator, RowId, RowQuery, Store, Subject, Task, Test, Value, limits,
};

use super::HexWork;

/// Runs on record that are told: more than any listing shows.
const RUNS_MAX: usize = 10_000;
/// Notes read at once: each may hold a page of run ids.
const NOTES_AT_ONCE: usize = 500;
/// A cell that was filled so long before a trigger holds no run that was started after it, whatever the clocks did.
const CLOCKS: Duration = Duration::from_secs(24 * 3600);

/// Tells the session of these tasks' notes.
pub(crate) fn claimed(hex: &HexWork, tasks: &[Task]) {
    let noted = tasks.iter().filter_map(|task| task.note.as_deref());
    let notes: Vec<Note> = noted.filter_map(|note| serde_json::from_str(note).ok()).collect();
    hex.session.recall(&notes);
}

/// Tells the books of a Hex what its columns have on record: their notes, and where one of these is of a trigger that
/// nobody knows the end of, the runs that cells hold which were filled since.
pub(crate) async fn tell(
    store: &dyn Store,
    books: &Books,
    columns: &[(Column, Duration)],
    clock: &Clock,
) -> paceline_model::Result<()> {
    let mut unsettled = BTreeMap::new();
    for (column, settle_span) in columns {
        tell_notes(store, books, (column.id, *settle_span), clock, &mut unsettled).await?;
    }
    let Some(first_ms) = unsettled.values().min() else { return Ok(()) };
    let since = Timestamp::from_micros(i64::saturating_mul(*first_ms, 1_000)).before(CLOCKS);
    let mut runs = Vec::new();
    for (column, _) in columns {
        add_runs(store, column, since, &mut runs).await?;
    }
    newest(&mut runs);
    for project in unsettled.keys() {
        // Which project a run is of, a cell does not say; no two have the same.
        books.own(project, runs.iter().map(|(_, run)| run));
    }
    Ok(())
}

/// Adds to `unsettled` when the first trigger of each project left that nobody knows the end of, in wall ms.
async fn tell_notes(
    store: &dyn Store,
    books: &Books,
    (column, settle_span): (ColumnId, Duration),
    clock: &Clock,
    unsettled: &mut BTreeMap<String, i64>,
) -> paceline_model::Result<()> {
    let mut after = RowId(0);
    loop {
        let page = store.notes(column, after, NOTES_AT_ONCE).await?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = *last;
        let notes = page.iter().filter_map(|(_, note)| serde_json::from_str(note).ok());
        let notes: Vec<Note> = notes.collect();
        books.recall(&notes, settle_span, clock);
        for note in notes {
            if let Note::Sending { project, sent_at_ms, .. } = note {
                let first = unsettled.entry(project).or_insert(sent_at_ms);
                *first = sent_at_ms.min(*first);
            }
        }
    }
}

/// Adds the runs that cells of a column hold which were filled since, with when they were.
async fn add_runs(
    store: &dyn Store,
    column: &Column,
    since: Timestamp,
    runs: &mut Vec<(Timestamp, RunId)>,
) -> paceline_model::Result<()> {
    let operator = Operator::Gte(Value::Int(since.as_micros()));
    let changed = Filter::Test(Test { subject: Subject::UpdatedAt, path: Vec::new(), operator });
    let mut after = RowId(0);
    loop {
        let query = RowQuery {
            columns: vec![column.id],
            filter: Some(changed.clone()),
            after,
            limit: limits::PAGE_ROWS_MAX,
            ..RowQuery::of(column.table)
        };
        let rows = store.rows(query).await?;
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(()) };
        after = last.id;
        // Rows change for other reasons too: it is the cell's own record that counts.
        let cells = store.cells(column.id, first.id, last.id).await?;
        let filled: HashMap<RowId, Timestamp> =
            cells.into_iter().map(|cell| (cell.row, cell.updated_at)).collect();
        for row in &rows {
            let at = filled.get(&row.id).filter(|at| **at >= since);
            let json = row.values.first().map(Value::to_json).unwrap_or_default();
            if let (Some(at), Some(run)) = (at, json["runId"].as_str()) {
                runs.push((*at, RunId(run.to_owned())));
            }
        }
        newest(runs);
    }
}

/// Oldest first, for the books keep the last that they are told.
fn newest(runs: &mut Vec<(Timestamp, RunId)>) {
    runs.sort_by_key(|(at, _)| *at);
    runs.drain(..runs.len().saturating_sub(RUNS_MAX));
}
