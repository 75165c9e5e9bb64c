//! What is due of a column: the rows that a run takes up, and how many there are. What is asked stands in
//! [`crate::due`].

use std::collections::{BTreeSet, HashMap};

use paceline_model::{
    CellBefore, ColumnId, Error, Filter, NewRun, RowId, RunId, RunOptions, TableId, Task,
};

use super::db::Db;
use super::param::{Found, Param, params};
use super::schema::{Place, check_still, places, select_list, table_name, table_ref};
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
    pub(super) table: TableId,
    pub(super) table_name: String,
    column: ColumnId,
    filter: Option<Filter>,
    inputs: Vec<Place>,
    /// Whether the cells may have notes.
    noted: bool,
    pub(super) statements: Statements,
}

impl Source {
    /// `upstream` are the runs that this one comes after. The name of the table is to be checked once a statement has
    /// named it ([`check_still`]).
    ///
    /// Fails with `Missing` if an input is not a column of the table.
    pub(super) async fn new(
        db: &Db,
        new: NewRun,
        table_name: String,
        upstream: &[Upstream],
        inputs: &[ColumnId],
        noted: bool,
    ) -> Result<Self> {
        let inputs = places(db, new.table, inputs).await?;
        let smart = inputs.iter().filter(|place| place.smart.is_some());
        let states = due::states_list(Words::Postgres, smart.map(|place| place.id));
        let statements = Statements {
            words: Words::Postgres,
            scope: new.scope,
            table: table_ref(&table_name),
            selected: format!("{states}{}", select_list("t", &inputs)),
            followed: upstream.iter().map(|run| (run.run, run.column)).collect(),
        };
        let (table, column, filter) = (new.table, new.column, new.options.filter);
        Ok(Self { table, table_name, column, filter, inputs, noted, statements })
    }

    /// Due rows after one and up to another, at most `max`, as tasks that nobody holds.
    pub(super) async fn due(
        &self,
        db: &Db,
        (after, end): (i64, i64),
        max: usize,
    ) -> Result<Vec<Task>> {
        let fixed = [after, end, self.column.0, signed(max)];
        let (filter, parameters) = self.with_filter(db, &fixed).await?;
        let found = db.query(&self.statements.due(&filter), &parameters).await?;
        found.iter().map(|row| self.read(row, CELL_END)).collect()
    }

    /// How many rows are due up to the last.
    pub(super) async fn count(&self, db: &Db, last: i64) -> Result<u64> {
        let (filter, parameters) = self.with_filter(db, &[0, last, self.column.0]).await?;
        Ok(unsigned(db.one(&self.statements.count(&filter), &parameters).await?.int(0)?))
    }

    /// Tasks of a run that nobody holds and that may be had now, with whether they are due (still).
    pub(super) async fn unheld(
        &self,
        db: &Db,
        run: RunId,
        gate: &Gate,
        (token, max): (i64, usize),
    ) -> Result<Vec<(Task, bool)>> {
        let fixed = [run.0, db.now.as_micros(), self.column.0, token, signed(max)];
        let (filter, parameters) = match gate.gated {
            true => self.with_filter(db, &fixed).await?,
            false => (String::new(), fixed.map(Param::from).into()),
        };
        let found = db.query(&self.statements.unheld(gate, &filter), &parameters).await?;
        let read = |row: &Found| {
            let task = Task {
                errors: row.small(CELL_END)?,
                attempts: row.small(CELL_END + 1)?,
                throttled_since: row.opt_time(CELL_END + 2)?,
                not_before: row.opt_time(CELL_END + 3)?,
                ..self.read(row, TASK_END)?
            };
            Ok((task, row.bool(CELL_END + 4)?))
        };
        found.iter().map(read).collect()
    }

    /// Which rows after one and up to another the runs before are at.
    pub(super) async fn busy(
        &self,
        db: &Db,
        gate: &Gate,
        (after, end): (i64, i64),
    ) -> Result<BTreeSet<i64>> {
        if gate.unfinished.is_empty() {
            return Ok(BTreeSet::new());
        }
        let found = db.query(&gate.rows_sql(Words::Postgres), params![after, end]).await?;
        found.iter().map(|row| row.int(0)).collect()
    }

    /// Gives each task the note of its cell.
    pub(super) async fn add_notes(&self, db: &Db, tasks: &mut [Task]) -> Result<()> {
        if self.noted {
            notes::add_to(db, self.column, tasks).await?;
        }
        Ok(())
    }

    /// How far one step looks from there.
    pub(super) fn end(&self, cursor: i64, last: i64) -> i64 {
        self.statements.end(self.filter.is_some(), cursor, last)
    }

    /// The filter as the end of a condition, and all parameters, the fixed ones first.
    async fn with_filter(&self, db: &Db, fixed: &[i64]) -> Result<(String, Vec<Param<'static>>)> {
        let fixed = fixed.iter().copied().map(Param::from).collect();
        let Some(filter) = &self.filter else { return Ok((String::new(), fixed)) };
        let mut writer = filter::writer(db, self.table, Some(filter), &[]).await?;
        writer.dialect.parameters = fixed;
        let condition = writer.condition(filter)?;
        Ok((format!(" AND {condition}"), writer.dialect.parameters))
    }

    /// The row, its cell, and what begins at `index`: the states of its smart inputs and the values of all.
    fn read(&self, row: &Found, index: usize) -> Result<Task> {
        let smart = self.inputs.iter().any(|place| place.smart.is_some());
        let (mut states, mut index) = (Vec::new(), index);
        for place in self.inputs.iter().filter(|_| smart) {
            let mut state = None;
            if place.smart.is_some() {
                state = row.opt_text(index)?;
                index += 1;
            }
            states.push(state.as_deref().map(rules::parse_cell_state).transpose()?);
        }
        Ok(Task {
            row: RowId(row.int(0)?),
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

fn read_cell(row: &Found) -> Result<Option<CellBefore>> {
    let Some(state) = row.opt_text(1)? else { return Ok(None) };
    Ok(Some(CellBefore {
        state: rules::parse_cell_state(&state)?,
        error_code: row.opt_text(2)?,
        fingerprint: fingerprint::from_columns(row.opt_bytes(3)?, row.opt_bytes(4)?)?,
        locked: row.bool(5)?,
    }))
}

/// The runs that a run comes after; those that are gone with their columns are left out. They are not held: see [`Gate`].
pub(super) async fn upstream(db: &Db, options: &RunOptions) -> Result<Vec<Upstream>> {
    if options.after.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<i64> = options.after.iter().map(|run| run.0).collect();
    let found = db
        .query(
            "-- paceline: upstream\nSELECT id, column_id, status, cursor_row \
             FROM paceline._ht_runs WHERE id = ANY ($1)",
            params![ids],
        )
        .await?;
    let mut known = HashMap::with_capacity(found.len());
    for row in found {
        let run = Upstream {
            run: RunId(row.int(0)?),
            column: ColumnId(row.int(1)?),
            status: rules::parse_status(&row.text(2)?)?,
            cursor: row.int(3)?,
        };
        known.insert(run.run, run);
    }
    Ok(options.after.iter().filter_map(|run| known.get(run).copied()).collect())
}

/// What a run would take up in one stretch of rows.
pub(super) async fn due_cells(
    db: &Db,
    new: NewRun,
    inputs: &[ColumnId],
    cursor: i64,
    max: usize,
) -> Result<Stretch> {
    let (source, last) = of_new(db, new, inputs).await?;
    let end = source.end(cursor, last);
    let mut tasks = source.due(db, (cursor, end), max).await?;
    source.add_notes(db, &mut tasks).await?;
    check_still(db, source.table, &source.table_name).await?;
    Ok(Stretch::new(tasks, max, end, last))
}

/// What a run that is to be made would take up, and the last row there is.
async fn of_new(db: &Db, new: NewRun, inputs: &[ColumnId]) -> Result<(Source, i64)> {
    let name = table_name(db, new.table).await?;
    let column = columns::column_by_id(db, new.column)
        .await?
        .filter(|column| column.table == new.table)
        .ok_or_else(|| Error::Missing(format!("table {name:?} has no column {}", new.column)))?;
    rules::check_runnable(&column, &new)?;
    let upstream = upstream(db, &new.options).await?;
    let noted = column.smart.is_some_and(|smart| smart.kind.has_notes());
    let sql =
        format!("-- paceline: last_row\nSELECT coalesce(max(_ht_id), 0) FROM {}", table_ref(&name));
    let last = db.one(&sql, &[]).await?.int(0)?;
    Ok((Source::new(db, new, name, &upstream, inputs, noted).await?, last))
}
