//! Which cells a run takes up, as statements. What both databases say alike stands here, and what they say differently is
//! in [`Words`]. In every statement the user's table is called `t`, what is on record of the row's cell `c` and a task
//! `k`; the third parameter is the column.
//!
//! A run that comes after others (`RunOptions::after`) takes up a row once none of them is at it any more: each is over,
//! or has its cursor past the row and no task of it. Its own cursor never passes theirs; a row that one of them is at when
//! the cursor passes becomes a task that waits and that nobody has. What is due is asked of such a row only when it has
//! become ready: what the runs before wrote may decide it.

mod gate;
mod walk;

use paceline_model::{ColumnId, RunId, Scope};

use crate::rules::SCAN_ROWS_MAX;
pub(crate) use gate::*;
pub(crate) use walk::*;

/// In which words a statement is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Words {
    Sqlite,
    Postgres,
}

impl Words {
    /// One of our own tables.
    fn own(self, name: &str) -> String {
        match self {
            Self::Sqlite => name.to_owned(),
            Self::Postgres => format!("paceline.{name}"),
        }
    }

    /// A numbered parameter.
    fn parameter(self, number: usize) -> String {
        match self {
            Self::Sqlite => format!("?{number}"),
            Self::Postgres => format!("${number}"),
        }
    }

    /// A join whose left side leads: SQLite takes the word for it, PostgreSQL looks at what each would cost.
    fn join(self) -> &'static str {
        match self {
            Self::Sqlite => "CROSS JOIN",
            Self::Postgres => "JOIN",
        }
    }
}

/// What the statements about the due cells of a column are made of.
#[derive(Clone, Debug)]
pub(crate) struct Statements {
    pub(crate) words: Words,
    pub(crate) scope: Scope,
    /// What the user's table is called.
    pub(crate) table: String,
    /// What is read of each row: `, t."a", t."b"`.
    pub(crate) selected: String,
    /// Whose ends the scope `following` looks for.
    pub(crate) followed: Vec<(RunId, ColumnId)>,
}

impl Statements {
    /// Due rows with their cells. Parameters: after which row, up to which, the column, how many, then those of the filter.
    pub(crate) fn due(&self, filter: &str) -> String {
        let order = if self.by_cell() { "c.row_id" } else { "t._ht_id" };
        format!(
            "-- paceline: claim_tasks\nSELECT t._ht_id, {CELL}{} FROM {} AND {}{filter} ORDER BY {order} LIMIT {}",
            self.selected,
            self.rows(),
            self.condition(),
            self.words.parameter(4)
        )
    }

    /// How many are due. Parameters: after which row, up to which, the column, then those of the filter.
    pub(crate) fn count(&self, filter: &str) -> String {
        format!(
            "-- paceline: count_due\nSELECT count(*) FROM {} AND {}{filter}",
            self.rows(),
            self.condition()
        )
    }

    /// Tasks that were claimed before and that nobody holds, and those that waited and are ready, with their cells, and
    /// whether they are due (still). Parameters: the run, now, the column, who asks, how many, then those of the filter.
    pub(crate) fn unheld(&self, gate: &Gate, filter: &str) -> String {
        let (words, parameter) = (self.words, |number| self.words.parameter(number));
        let due = match gate.gated {
            true => {
                format!("coalesce(k.waits IS NOT TRUE OR ({}{filter}), FALSE)", self.condition())
            }
            false => "TRUE".to_owned(),
        };
        let ready = match gate.unfinished.as_slice() {
            [] => String::new(),
            unfinished => format!(
                " AND (k.waits IS NOT TRUE OR NOT EXISTS (SELECT 1 FROM {} AS w \
                 WHERE w.run_id IN ({}) AND w.row_id = k.row_id))",
                words.own("_ht_tasks"),
                ids(unfinished)
            ),
        };
        // Whatever somebody else does with a task, an SQL shell say, a claim does not wait for it.
        let hold = if words == Words::Postgres { " FOR UPDATE OF k SKIP LOCKED" } else { "" };
        format!(
            "-- paceline: claim_tasks\nSELECT k.row_id, {CELL}, k.errors, k.attempts, k.throttled_since, \
             k.not_before, {due}{} FROM {} AS k {} {} AS t ON t._ht_id = k.row_id \
             LEFT JOIN {} AS c ON c.column_id = {} AND c.row_id = k.row_id \
             WHERE k.run_id = {} AND (k.owner IS NULL \
             OR (k.lease_until <= {} AND k.owner <> {} AND k.intent_at IS NULL)){ready} \
             ORDER BY k.row_id LIMIT {}{hold}",
            self.selected,
            words.own("_ht_tasks"),
            words.join(),
            self.table,
            words.own("_ht_cells"),
            parameter(3),
            parameter(1),
            parameter(2),
            parameter(4),
            parameter(5)
        )
    }

    /// Whether a task of a run waits, of a row that is there. Parameter: the run.
    pub(crate) fn waiting(&self) -> String {
        format!(
            "-- paceline: claim_tasks\nSELECT EXISTS (SELECT 1 FROM {} AS k {} {} AS t \
             ON t._ht_id = k.row_id WHERE k.run_id = {} AND k.waits IS TRUE)",
            self.words.own("_ht_tasks"),
            self.words.join(),
            self.table,
            self.words.parameter(1)
        )
    }

    /// How far one step looks from there.
    pub(crate) fn end(&self, filtered: bool, cursor: i64, last: i64) -> i64 {
        match self.scope {
            // They come from an index that has nothing else in it, so they need no bound on what is looked at.
            Scope::Failed | Scope::Unknown if !filtered => last,
            _ => last.min(cursor.saturating_add(SCAN_ROWS_MAX)),
        }
    }

    /// Whether the records of the cells lead, and not the rows.
    fn by_cell(&self) -> bool {
        matches!(self.scope, Scope::Failed | Scope::Unknown | Scope::Stale)
    }

    /// The rows in question with their cells.
    fn rows(&self) -> String {
        let (words, table) = (self.words, &self.table);
        let cells = words.own("_ht_cells");
        let (after, end, column) = (words.parameter(1), words.parameter(2), words.parameter(3));
        if self.by_cell() {
            // The name of the scope is that of the state, and of its index.
            let index = match (words, self.scope) {
                (Words::Sqlite, Scope::Failed | Scope::Unknown) => {
                    format!(" INDEXED BY _ht_cells_{}", self.scope.as_str())
                }
                _ => String::new(),
            };
            return format!(
                "{cells} AS c{index} {} {table} AS t ON t._ht_id = c.row_id \
                 WHERE c.column_id = {column} AND c.row_id > {after} AND c.row_id <= {end}",
                words.join()
            );
        }
        // Said of the cells too: PostgreSQL may read them in one go, and then no others.
        let also = match words {
            Words::Sqlite => String::new(),
            Words::Postgres => format!(" AND c.row_id > {after} AND c.row_id <= {end}"),
        };
        format!(
            "{table} AS t LEFT JOIN {cells} AS c ON c.column_id = {column} AND c.row_id = t._ht_id{also} \
             WHERE t._ht_id > {after} AND t._ht_id <= {end}"
        )
    }

    /// Whether the cell is due. A locked one never is.
    fn condition(&self) -> String {
        match self.scope {
            Scope::All => UNLOCKED.to_owned(),
            Scope::Empty => "c.row_id IS NULL".to_owned(),
            Scope::Failed => format!("c.state = 'failed' AND {UNLOCKED}"),
            Scope::Unknown => format!("c.state = 'unknown' AND {UNLOCKED}"),
            Scope::Stale => format!("c.state IN ('completed', 'skipped') AND {UNLOCKED}"),
            Scope::Following => format!(
                "(c.row_id IS NULL OR c.state IN ('completed', 'skipped')) AND {UNLOCKED} AND {}",
                self.followed()
            ),
        }
    }

    /// Whether one of the runs before came to an end with its cell of the row.
    fn followed(&self) -> String {
        let cells = self.words.own("_ht_cells");
        let end = |(run, column): &(RunId, ColumnId)| {
            format!(
                "EXISTS (SELECT 1 FROM {cells} AS u WHERE u.column_id = {column} \
                 AND u.row_id = t._ht_id AND u.run_id = {run})"
            )
        };
        let ends: Vec<String> = self.followed.iter().map(end).collect();
        if ends.is_empty() { "FALSE".to_owned() } else { format!("({})", ends.join(" OR ")) }
    }
}

/// What is read of a cell.
const CELL: &str = "c.state, c.error_code, c.fingerprint, c.parts, c.locked";
/// True without a record too.
const UNLOCKED: &str = "c.locked IS NOT TRUE";

/// The states of these columns' cells as the end of a select list, in one look-up each.
pub(crate) fn states_list(words: Words, smart: impl Iterator<Item = ColumnId>) -> String {
    let cells = words.own("_ht_cells");
    smart
        .map(|column| {
            format!(
                ", (SELECT s.state FROM {cells} AS s WHERE s.column_id = {column} \
                 AND s.row_id = t._ht_id)"
            )
        })
        .collect()
}

/// Numbers of ours as a list; never text of anybody else.
fn ids(runs: &[RunId]) -> String {
    let ids: Vec<String> = runs.iter().map(RunId::to_string).collect();
    ids.join(", ")
}
