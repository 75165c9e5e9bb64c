//! What is due of a column: the rows that a run takes up, and how many there are. What is asked stands in
//! [`crate::due`].

use std::collections::BTreeSet;

use paceline_clock::Timestamp;
use paceline_model::{
    CellBefore, ColumnId, Error, Filter, NewRun, RowId, RunId, RunOptions, TableId, Task,
};
use rusqlite::types::Value as Owned;
use rusqlite::{CachedStatement, Row, params, params_from_iter};

use super::connection::Db;
use super::schema::{Place, places, quote, select_list, table_name};
use super::{columns, filter, notes, rows};
use crate::codec::{signed, unsigned};
use crate::due::{self, Gate, Statements, Stretch, Upstream, Words};
use crate::error::Result;
use crate::{fingerprint, rules};

/// What is read first of every row: its id and its cell.
const CELL_END: usize = 6;
/// And then of a task: its record, and whether it is due.
const TASK_END: usize = 11;

/// The cells of a column that a run of some scope takes up.
#[derive(Debug)]
pub(super) struct Source {
    table: TableId,
    pub(super) column: ColumnId,
    filter: Option<Filter>,
    inputs: Vec<Place>,
    /// Whether the cells may have notes.
    noted: bool,
    pub(super) statements: Statements,
}

impl Source {
    /// `upstream` are the runs that this one comes after.
    ///
    /// Fails with `Missing` if an input is not a column of the table.
    pub(super) fn new(
        db: &Db<'_>,
        new: NewRun,
        upstream: &[Upstream],
        inputs: &[ColumnId],
        noted: bool,
    ) -> Result<Self> {
        let inputs = places(db, new.table, inputs)?;
        let smart = inputs.iter().filter(|place| place.smart.is_some());
        let states = due::states_list(Words::Sqlite, smart.map(|place| place.id));
        let statements = Statements {
            words: Words::Sqlite,
            scope: new.scope,
            table: quote(&table_name(db, new.table)?),
            selected: format!("{states}{}", select_list("t", &inputs)),
            followed: upstream.iter().map(|run| (run.run, run.column)).collect(),
        };
        let (table, column, filter) = (new.table, new.column, new.options.filter);
        Ok(Self { table, column, filter, inputs, noted, statements })
    }

    /// Due rows after one and up to another, at most `max`, as tasks that nobody holds.
    pub(super) fn due(
        &self,
        db: &Db<'_>,
        (after, end): (i64, i64),
        max: usize,
    ) -> Result<Vec<Task>> {
        let fixed = [after, end, self.column.0, signed(max)];
        let (filter, parameters) = self.with_filter(db, &fixed)?;
        let mut statement = db.conn.prepare_cached(&self.statements.due(&filter))?;
        let mut found = statement.query(params_from_iter(parameters))?;
        let mut tasks = Vec::new();
        while let Some(row) = found.next()? {
            tasks.push(self.read(row, CELL_END)?);
        }
        Ok(tasks)
    }

    /// How many rows are due up to the last.
    pub(super) fn count(&self, db: &Db<'_>, last: i64) -> Result<u64> {
        let (filter, parameters) = self.with_filter(db, &[0, last, self.column.0])?;
        // Not kept: it is asked once in the life of a run.
        let mut statement = db.conn.prepare(&self.statements.count(&filter))?;
        Ok(unsigned(statement.query_row(params_from_iter(parameters), |row| row.get(0))?))
    }

    /// Tasks of a run that nobody holds and that may be had now, with whether they are due (still).
    pub(super) fn unheld(
        &self,
        db: &Db<'_>,
        run: RunId,
        gate: &Gate,
        (token, max): (i64, usize),
    ) -> Result<Vec<(Task, bool)>> {
        let fixed = [run.0, db.now.as_micros(), self.column.0, token, signed(max)];
        let (filter, parameters) = match gate.gated {
            true => self.with_filter(db, &fixed)?,
            false => (String::new(), fixed.map(Owned::Integer).to_vec()),
        };
        let mut statement = db.conn.prepare_cached(&self.statements.unheld(gate, &filter))?;
        let mut found = statement.query(params_from_iter(parameters))?;
        let mut tasks = Vec::new();
        while let Some(row) = found.next()? {
            let task = Task {
                errors: row.get(CELL_END)?,
                attempts: row.get(CELL_END + 1)?,
                throttled_since: row
                    .get::<_, Option<i64>>(CELL_END + 2)?
                    .map(Timestamp::from_micros),
                not_before: row.get::<_, Option<i64>>(CELL_END + 3)?.map(Timestamp::from_micros),
                ..self.read(row, TASK_END)?
            };
            tasks.push((task, row.get(CELL_END + 4)?));
        }
        Ok(tasks)
    }

    /// Which rows after one and up to another the runs before are at.
    pub(super) fn busy(
        &self,
        db: &Db<'_>,
        gate: &Gate,
        (after, end): (i64, i64),
    ) -> Result<BTreeSet<i64>> {
        if gate.unfinished.is_empty() {
            return Ok(BTreeSet::new());
        }
        let mut statement = db.conn.prepare_cached(&gate.rows_sql(Words::Sqlite))?;
        let found = statement.query_map([after, end], |row| row.get(0))?;
        Ok(found.collect::<rusqlite::Result<_>>()?)
    }

    /// Gives each task the note of its cell.
    pub(super) fn add_notes(&self, db: &Db<'_>, tasks: &mut [Task]) -> Result<()> {
        if self.noted {
            for task in tasks {
                task.note = notes::note(db, self.column, task.row)?;
            }
        }
        Ok(())
    }

    /// How far one step looks from there.
    pub(super) fn end(&self, cursor: i64, last: i64) -> i64 {
        self.statements.end(self.filter.is_some(), cursor, last)
    }

    /// The filter as the end of a condition, and all parameters, the fixed ones first.
    fn with_filter(&self, db: &Db<'_>, fixed: &[i64]) -> Result<(String, Vec<Owned>)> {
        let fixed = fixed.iter().copied().map(Owned::Integer).collect();
        let Some(filter) = &self.filter else { return Ok((String::new(), fixed)) };
        let mut writer = filter::writer(db, self.table, Some(filter), &[])?;
        writer.dialect.parameters = fixed;
        let condition = writer.condition(filter)?;
        Ok((format!(" AND {condition}"), writer.dialect.parameters))
    }

    /// The row, its cell, and what begins at `index`: the states of its smart inputs and the values of all.
    fn read(&self, row: &Row<'_>, index: usize) -> Result<Task> {
        let smart = self.inputs.iter().any(|place| place.smart.is_some());
        let (mut states, mut index) = (Vec::new(), index);
        for place in self.inputs.iter().filter(|_| smart) {
            let mut state = None;
            if place.smart.is_some() {
                state = row.get::<_, Option<String>>(index)?;
                index += 1;
            }
            states.push(state.as_deref().map(rules::parse_cell_state).transpose()?);
        }
        Ok(Task {
            row: RowId(row.get(0)?),
            inputs: rows::values(row, index, &self.inputs)?,
            errors: 0,
            attempts: 0,
            throttled_since: None,
            not_before: None,
            note: None,
            cell: read_cell(row)?,
            states,
        })
    }
}

fn read_cell(row: &Row<'_>) -> Result<Option<CellBefore>> {
    let Some(state) = row.get_ref(1)?.as_str_or_null().map_err(rusqlite::Error::from)? else {
        return Ok(None);
    };
    Ok(Some(CellBefore {
        state: rules::parse_cell_state(state)?,
        error_code: row.get(2)?,
        fingerprint: fingerprint::from_columns(row.get(3)?, row.get(4)?)?,
        locked: row.get(5)?,
    }))
}

/// The runs that a run comes after; those that are gone with their columns are left out.
pub(super) fn upstream(db: &Db<'_>, options: &RunOptions) -> Result<Vec<Upstream>> {
    let mut statement: CachedStatement<'_> = db.conn.prepare_cached(
        "-- paceline: upstream\n\
         SELECT column_id, status, cursor_row FROM _ht_runs WHERE id = ?1",
    )?;
    let mut upstream = Vec::with_capacity(options.after.len());
    for &run in &options.after {
        let mut found = statement.query(params![run.0])?;
        let Some(row) = found.next()? else { continue };
        upstream.push(Upstream {
            run,
            column: ColumnId(row.get(0)?),
            status: rules::parse_status(row.get_ref(1)?.as_str().unwrap_or_default())?,
            cursor: row.get(2)?,
        });
    }
    Ok(upstream)
}

/// What a run would take up in one stretch of rows.
pub(super) fn due_cells(
    db: &Db<'_>,
    new: NewRun,
    inputs: &[ColumnId],
    cursor: i64,
    max: usize,
) -> Result<Stretch> {
    let (source, last) = of_new(db, new, inputs)?;
    let end = source.end(cursor, last);
    let mut tasks = source.due(db, (cursor, end), max)?;
    source.add_notes(db, &mut tasks)?;
    Ok(Stretch::new(tasks, max, end, last))
}

/// What a run that is to be made would take up, and the last row there is.
fn of_new(db: &Db<'_>, new: NewRun, inputs: &[ColumnId]) -> Result<(Source, i64)> {
    let name = table_name(db, new.table)?;
    let column = columns::column_by_id(db, new.column)?
        .filter(|column| column.table == new.table)
        .ok_or_else(|| Error::Missing(format!("table {name:?} has no column {}", new.column)))?;
    rules::check_runnable(&column, &new)?;
    let upstream = upstream(db, &new.options)?;
    let noted = column.smart.is_some_and(|smart| smart.kind.has_notes());
    let last = rows::last_row(db, new.table, &name)?;
    Ok((Source::new(db, new, &upstream, inputs, noted)?, last))
}
