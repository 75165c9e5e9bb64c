//! Runs are made: of one column, of several in the order of their graph, and again of what failed with what was computed
//! from it (spec C4, R2).

use paceline_model::{Column, ColumnId, NewRun, Run, RunId, RunOptions, RunStatus, Scope, Table};

use super::{Engine, smart_column};
use crate::graph::Graph;
use crate::runner::Stop;
use crate::{Error, Result};

/// A run to be made of a column.
struct Planned {
    column: ColumnId,
    scope: Scope,
    options: RunOptions,
}

impl Engine {
    /// Makes a run and sets it to work. A row comes to its turn when no unfinished run of a column that this one needs is
    /// at it any more.
    ///
    /// # Errors
    /// No such smart column; a conflict while another run of the column is not at its end.
    pub async fn start_run(&self, table: &Table, column: &str, scope: Scope) -> Result<Run> {
        let options = RunOptions::default();
        let runs = self.start_runs(table, &[column], scope, options).await?;
        only(runs)
    }

    /// Makes one run for each of these columns and sets all of them to work, those first that others need: a row goes on
    /// to the next column as soon as those that it needs are done with it. `options` hold for each run by itself. Answers
    /// the runs in that order.
    ///
    /// # Errors
    /// As [`Engine::start_run`]; then none of them is left standing.
    pub async fn start_runs(
        &self,
        table: &Table,
        columns: &[&str],
        scope: Scope,
        options: RunOptions,
    ) -> Result<Vec<Run>> {
        let ids = columns.iter().map(|name| Ok(smart_column(table, name)?.0.id));
        let ids: Vec<ColumnId> = ids.collect::<Result<_>>()?;
        let graph = self.graph(table);
        let planned = graph.ordered(&ids).into_iter();
        let planned =
            planned.map(|column| Planned { column, scope, options: options.clone() }).collect();
        self.begin(table, &graph, planned).await
    }

    /// Makes a run of a column, and runs over the columns that need it, one through another: each of these takes up the
    /// rows that the runs before it came to their end with, where its cell was made from something else. `first` and
    /// `filter` of the options are for the column itself.
    ///
    /// # Errors
    /// As [`Engine::start_runs`].
    pub async fn start_with_dependents(
        &self,
        table: &Table,
        column: &str,
        scope: Scope,
        options: RunOptions,
    ) -> Result<Vec<Run>> {
        let (column, _) = smart_column(table, column)?;
        let graph = self.graph(table);
        // Of them all the column itself is recorded: the others may call nobody.
        let following = RunOptions { first: None, filter: None, record: false, ..options.clone() };
        let mut planned = vec![Planned { column: column.id, scope, options }];
        planned.extend(graph.dependents(column.id).into_iter().map(|column| Planned {
            column,
            scope: Scope::Following,
            options: following.clone(),
        }));
        self.begin(table, &graph, planned).await
    }

    /// Retries the failed cells of a column and what was computed from them, and nothing else (spec R2). Answers the run
    /// of the column first.
    ///
    /// # Errors
    /// As [`Engine::start_runs`].
    pub async fn retry_failed(&self, table: &Table, column: &str) -> Result<Vec<Run>> {
        self.start_with_dependents(table, column, Scope::Failed, RunOptions::default()).await
    }

    /// Makes these runs, each after those that its column needs, and sets them to work; or none.
    async fn begin(&self, table: &Table, graph: &Graph, planned: Vec<Planned>) -> Result<Vec<Run>> {
        for planned in planned.iter().filter(|planned| planned.options.record) {
            self.check_recordable(table, planned.column)?;
        }
        let mut at_it = self.unfinished(table, graph, &planned).await?;
        let mut runs = Vec::with_capacity(planned.len());
        for Planned { column, scope, mut options } in planned {
            for needed in graph.needs(column) {
                let run = at_it.iter().find(|(of, _)| of == needed).map(|(_, run)| *run);
                options.after.extend(run.filter(|run| !options.after.contains(run)));
            }
            let new = NewRun { options, ..NewRun::new(table.id, column, scope) };
            match self.inner.store.create_run(new).await {
                Ok(run) => {
                    at_it.retain(|(of, _)| *of != column);
                    at_it.push((column, run.id));
                    runs.push(run);
                }
                Err(error) => {
                    let error = in_the_way(table, column, error.into());
                    return Err(self.undo(&runs, error).await);
                }
            }
        }
        let mut launched = Vec::with_capacity(runs.len());
        for run in &runs {
            match self.launch(table, run).await {
                Ok(run) => launched.push(run),
                // Nobody asked for it who could be told.
                Err(error) if run.options.automatic => {
                    launched.push(self.put_off(run, error).await?);
                }
                Err(error) => return Err(self.undo(&runs, error).await),
            }
        }
        Ok(launched)
    }

    /// Pauses a run that cannot be set to work as things stand, with the reason.
    ///
    /// # Errors
    /// The database's own, which no person can mend in the run.
    pub(super) async fn put_off(&self, run: &Run, error: Error) -> Result<Run> {
        if matches!(error, Error::Store(paceline_model::Error::Database { .. })) {
            return Err(error);
        }
        tracing::warn!(run = %run.id, %error, "a run cannot go on and is paused");
        let reason = format!("it could not go on: {error}. Mend the cause, then resume");
        Ok(self.inner.store.set_run_status(run.id, RunStatus::Paused, Some(reason)).await?)
    }

    /// The runs of a table that are not at their end, by column. Where no planned run needs a column, nobody asks.
    async fn unfinished(
        &self,
        table: &Table,
        graph: &Graph,
        planned: &[Planned],
    ) -> Result<Vec<(ColumnId, RunId)>> {
        if planned.iter().all(|planned| graph.needs(planned.column).is_empty()) {
            return Ok(Vec::new());
        }
        let runs = self.inner.store.unfinished_runs(Some(table.id)).await?;
        Ok(runs.into_iter().map(|run| (run.column, run.id)).collect())
    }

    /// Runs that cannot begin together must not stand in the way of the next ones: they are cancelled. One that a column
    /// began by itself is paused instead: nobody has heard why, and its rows wait until a person has mended that. Answers
    /// why.
    async fn undo(&self, runs: &[Run], error: Error) -> Error {
        for run in runs {
            let (stop, status, remedy) = match run.options.automatic {
                true => (Stop::Pause, RunStatus::Paused, "; mend that, then resume this run"),
                false => (Stop::Cancel, RunStatus::Cancelled, ""),
            };
            if let Some(active) = self.active(run.id) {
                active.ctx.stop(stop);
            }
            let reason = Some(format!("it could not begin: {error}{remedy}"));
            let ended = self.inner.store.set_run_status(run.id, status, reason).await;
            if let Err(failed) = ended {
                let status = status.as_str();
                tracing::warn!(run = %run.id, error = %failed, "a run that could not begin is not {status}");
            }
        }
        error
    }
}

fn only(runs: Vec<Run>) -> Result<Run> {
    let run = runs.into_iter().next();
    run.ok_or_else(|| Error::Internal("a run was made and is not there".to_owned()))
}

/// Which column of several it is whose other run stands in the way.
fn in_the_way(table: &Table, column: ColumnId, error: Error) -> Error {
    let named = |column: &Column| format!("column {}: {error}", column.name);
    match &error {
        Error::Store(paceline_model::Error::Conflict(_)) => {
            let known = table.columns.iter().find(|known| known.id == column);
            known.map(named).map_or(error, Error::Conflict)
        }
        _ => error,
    }
}
