//! A person's word on cells whose outcome nobody knows, of columns of every kind.

use paceline_hex::{Note, RunId as HexRunId};
use paceline_model::{
    CellError, CellWord, ColumnId, Filter, Operator, RowId, Run, RunOptions, Scope, Subject, Table,
    Test, Value,
};

use super::{Engine, smart_column};
use crate::{Error, Result};

/// A person's word on a cell whose outcome nobody knows.
#[derive(Clone, Debug, PartialEq)]
pub enum Settle {
    /// It took effect; this is its value, if there is one.
    Done(Option<Value>),
    /// It has failed; nothing more is done for it unless failed cells are retried.
    Failed,
    /// It never arrived. The cell is as if nobody had asked for it, and [`Engine::send_again`] sends it; its idempotency
    /// key is the same as before as long as its inputs are, so that a vendor who knows such keys does it once. Of a job
    /// (Hex), the next run over the unknown cells starts it.
    Resend,
    /// This run is the job's: the next run over the unknown cells watches it to its end. Of jobs (Hex) only.
    Attach(String),
}

impl Engine {
    /// Settles a cell whose outcome nobody knows.
    ///
    /// # Errors
    /// A conflict if the cell is not unknown or a run is at work on it; [`Error::Config`] if the word is not one for a
    /// column of this kind.
    pub async fn settle(
        &self,
        table: &Table,
        column: &str,
        row: RowId,
        settle: Settle,
    ) -> Result<()> {
        let (column, smart) = smart_column(table, column)?;
        if smart.kind.is_local() {
            let problem = "calls nobody, so that none of its cells is unknown; run it again";
            return Err(Error::config("column", problem));
        }
        let store = &self.inner.store;
        let word = match settle {
            Settle::Done(value) => CellWord::Done(value),
            Settle::Failed => {
                let message = "a person looked and said that this call failed".to_owned();
                CellWord::Failed(CellError { code: "SETTLED_AS_FAILED".to_owned(), message })
            }
            Settle::Resend if smart.is_job() => {
                return self.note_word(column.id, row, &Note::Resend).await;
            }
            Settle::Resend => CellWord::NotSent,
            Settle::Attach(_) if !smart.is_job() => {
                let problem =
                    "is for jobs of Hex; say that the call is done, failed or to be sent again";
                return Err(Error::config("run", problem));
            }
            Settle::Attach(run) if !HexRunId(run.clone()).is_valid() => {
                let problem = "is no run id: copy it from the end of the run's address in Hex";
                return Err(Error::config("run", problem));
            }
            Settle::Attach(run) => {
                let project = self.project_of(table, column, smart, row).await?;
                let note = Note::attach(project, HexRunId(run), self.inner.clock.wall());
                return self.note_word(column.id, row, &note).await;
            }
        };
        Ok(store.settle_unknown(column.id, row, word).await?)
    }

    /// Sets a run to work over one cell that nobody has asked for: one that was settled as never sent.
    ///
    /// # Errors
    /// As [`Engine::start_run`].
    pub async fn send_again(&self, table: &Table, column: &str, row: RowId) -> Result<Run> {
        let operator = Operator::Eq(Value::Int(row.0));
        let only = Filter::Test(Test { subject: Subject::Id, path: Vec::new(), operator });
        let options = RunOptions { filter: Some(only), ..RunOptions::default() };
        let runs = self.start_runs(table, &[column], Scope::Empty, options).await?;
        runs.into_iter().next().ok_or_else(|| Error::Internal("no run was made".to_owned()))
    }

    async fn note_word(&self, column: ColumnId, row: RowId, note: &Note) -> Result<()> {
        let note =
            serde_json::to_string(note).map_err(|error| Error::Internal(error.to_string()))?;
        Ok(self.inner.store.put_note(column, row, Some(note)).await?)
    }
}
