//! A `formula` column is an expression in JavaScript over the columns of its row.

use async_trait::async_trait;
use paceline_model::{Column, ColumnId, Table, Task};
use paceline_script::Formula;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::plain::{self, Filled, Tools};
use super::{Bound, KindSpec, Local, Rename};
use crate::labels::Labels;
use crate::{Error, OutboundGuard, Result};

/// The configuration as users write it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct FormulaSpec {
    /// An expression, or statements with a `return`; columns are names.
    formula: String,
}

struct FormulaColumn {
    formula: Formula,
    inputs: Vec<ColumnId>,
    identity: String,
}

impl FormulaSpec {
    pub(crate) fn from_json(config: &Json) -> Result<Self> {
        let spec: Self = plain::read(config, &["formula"])?;
        if spec.formula.is_empty() {
            return Err(plain::required(
                "formula",
                "JavaScript, as in \"Math.round(price * 1.2)\"",
            ));
        }
        Ok(spec)
    }
}

impl KindSpec for FormulaSpec {
    plain::without_secrets!();

    fn bind(&self, table: &Table, own: &str, _: &OutboundGuard) -> Result<Bound> {
        let labels = Labels::of(table, own);
        let formula = Formula::compile(&self.formula, &labels.names)
            .map_err(|error| plain::script_error("formula", &error))?;
        let inputs = formula.inputs().iter().map(|at| labels.columns[*at]).collect();
        let identity = format!("formula\n{}", self.formula);
        Ok(Bound::Local(std::sync::Arc::new(FormulaColumn { formula, inputs, identity })))
    }

    fn inputs(&self, table: &Table, own: &str, _: &OutboundGuard) -> Result<Vec<ColumnId>> {
        let labels = Labels::of(table, own);
        let used = Formula::uses(&self.formula, &labels.names);
        Ok(used.into_iter().map(|at| labels.columns[at]).collect())
    }

    fn renamed(self: Box<Self>, rename: Rename<'_>) -> Result<Box<dyn KindSpec>> {
        let new = |name: &str| plain::renamed_name(name, rename);
        let formula = Formula::renamed(&self.formula, &new).map_err(|error| {
            Error::Conflict(format!("the formula {:?} cannot follow: {error}", self.formula))
        })?;
        Ok(Box::new(Self { formula }))
    }
}

#[async_trait]
impl Local for FormulaColumn {
    fn inputs(&self) -> &[ColumnId] {
        &self.inputs
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }

    async fn fill(&self, tools: &Tools, column: &Column, rows: &[Task]) -> Result<Vec<Filled>> {
        let _busy = tools.clock.busy();
        let values = rows.iter().map(|task| task.inputs.clone()).collect();
        let outcomes = tools.formulas.eval(&self.formula, values).await;
        Ok(outcomes.into_iter().map(|outcome| plain::made(outcome, column)).collect())
    }
}
