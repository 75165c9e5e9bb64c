//! A `lookup` column takes a value from the row of another table that matches.

mod join;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use paceline_model::{BoundTemplate, Column, ColumnId, ColumnType, Place, Table, Task, suggest};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::plain::{self, Filled, Tools};
use super::{Around, Bound, Elsewhere, KindSpec, Local, Rename};
use crate::labels::{Labels, template, template_error};
use crate::{Error, OutboundGuard, Result};

/// The columns that a match may name: a lookup is by one thing, seldom by two.
const MATCHES_MAX: usize = 8;

/// The configuration as users write it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct LookupSpec {
    /// The other table, by its name or id.
    table: String,
    /// The other table's columns, each with a template that gives what must stand there.
    #[serde(rename = "match")]
    matching: BTreeMap<String, String>,
    /// The other table's column that the value is taken from; `_ht_id` for the row's number.
    value: String,
    /// What is done where several rows match.
    #[serde(skip_serializing_if = "Many::is_default")]
    many: Many,
    /// Whether it is an error of the cell if no row matches; else the cell is empty.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    required: bool,
    /// The other table, once it was looked up.
    #[serde(skip)]
    other: Option<Table>,
}

/// See [`LookupSpec::many`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Many {
    /// The one with the least id counts.
    #[default]
    First,
    /// It is an error of the cell.
    Error,
    /// The value is how many match.
    Count,
}

impl Many {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_default(&self) -> bool {
        *self == Self::First
    }
}

struct LookupColumn {
    table: String,
    matching: Vec<(String, BoundTemplate)>,
    value: String,
    many: Many,
    required: bool,
    other: Option<Table>,
    inputs: Vec<ColumnId>,
    identity: String,
}

impl LookupSpec {
    pub(crate) fn from_json(config: &Json) -> Result<Self> {
        let spec: Self = plain::read(config, &["table", "match", "value", "many", "required"])?;
        if spec.table.is_empty() {
            return Err(plain::required("table", "the name of the other table"));
        }
        if spec.matching.is_empty() || spec.matching.len() > MATCHES_MAX {
            let takes = format!(
                "1 to {MATCHES_MAX} columns of the other table, each with what must stand there, as in \
                 {{\"code\": \"{{{{country}}}}\"}}"
            );
            return Err(plain::required("match", &takes));
        }
        if spec.value.is_empty() && spec.many != Many::Count {
            return Err(plain::required(
                "value",
                "the column of the other table to take, or _ht_id",
            ));
        }
        Ok(spec)
    }

    /// With ids for the names of the other table: another name of one of them moves nothing.
    fn lasting(&self) -> Self {
        let Some(other) = &self.other else { return self.clone() };
        let id = |name: &str| match other.column(name) {
            Some(column) if name != join::ROW_ID => column.id.to_string(),
            _ => name.to_owned(),
        };
        let matching = self.matching.iter().map(|(name, text)| (id(name), text.clone())).collect();
        let (table, value) = (other.id.to_string(), id(&self.value));
        Self { table, matching, value, ..self.clone() }
    }
}

#[async_trait]
impl KindSpec for LookupSpec {
    plain::without_secrets!();

    async fn resolved(&self, around: Around<'_>) -> Result<Box<dyn KindSpec>> {
        let Some(other) = around.store.table(&self.table).await? else {
            let tables = around.store.tables().await?;
            let names = tables.iter().map(|table| table.name.as_str());
            return Err(Error::Config {
                field: "config.table".to_owned(),
                problem: format!("there is no table {:?}; name another", self.table),
                did_you_mean: suggest(&self.table, names).map(str::to_owned),
            });
        };
        join::check(&other, self.matching.keys(), &self.value)?;
        Ok(Box::new(Self { other: Some(other), ..self.clone() }))
    }

    fn check_type(&self, kind: ColumnType) -> Result<()> {
        let other = self.other.as_ref();
        let theirs = match self.many {
            Many::Count => ColumnType::Number,
            _ => match other.and_then(|other| other.column(&self.value)) {
                Some(column) => column.kind,
                None => return Ok(()),
            },
        };
        if join::may_become(theirs, kind) {
            return Ok(());
        }
        let problem = format!(
            "gives values of type {}, which a column of type {} cannot hold; make this column of that type, or of text",
            theirs.as_str(),
            kind.as_str()
        );
        Err(Error::config(
            if self.many == Many::Count { "config.many" } else { "config.value" },
            problem,
        ))
    }

    fn elsewhere(&self) -> Option<Elsewhere> {
        let columns = self.matching.keys().chain(Some(&self.value).filter(|name| !name.is_empty()));
        Some(Elsewhere { table: self.table.clone(), columns: columns.cloned().collect() })
    }

    fn renamed_elsewhere(mut self: Box<Self>, names: Elsewhere) -> Box<dyn KindSpec> {
        self.table = names.table;
        let mut columns = names.columns.into_iter();
        let matching = std::mem::take(&mut self.matching).into_values();
        self.matching = columns.by_ref().take(matching.len()).zip(matching).collect();
        self.value = columns.next().unwrap_or_default();
        self
    }

    fn bind(&self, table: &Table, own: &str, _: &OutboundGuard) -> Result<Bound> {
        let labels = Labels::of(table, own);
        let mut templates = Vec::with_capacity(self.matching.len());
        for (name, text) in &self.matching {
            let field = format!("config.match.{name}");
            let parsed = template(&field, text, Place::Text)?;
            templates.push((name, field, parsed));
        }
        let used =
            labels.used(templates.iter().map(|(_, field, template)| (field.as_str(), template)))?;
        let names: Vec<&str> = used.iter().map(|at| labels.names[*at]).collect();
        let mut matching = Vec::with_capacity(templates.len());
        for (name, field, template) in &templates {
            let bound = template.bind(&names).map_err(|error| template_error(field, &error))?;
            matching.push(((*name).clone(), bound));
        }
        Ok(Bound::Local(Arc::new(LookupColumn {
            table: self.table.clone(),
            matching,
            value: self.value.clone(),
            many: self.many,
            required: self.required,
            other: self.other.clone(),
            inputs: used.iter().map(|at| labels.columns[*at]).collect(),
            identity: format!("lookup\n{}", self.lasting().to_json()),
        })))
    }

    fn renamed(mut self: Box<Self>, rename: Rename<'_>) -> Result<Box<dyn KindSpec>> {
        for text in self.matching.values_mut() {
            *text = rename(text)?;
        }
        Ok(self)
    }
}

#[async_trait]
impl Local for LookupColumn {
    fn inputs(&self) -> &[ColumnId] {
        &self.inputs
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn reads(&self) -> Option<&str> {
        Some(&self.table)
    }

    async fn fill(&self, tools: &Tools, column: &Column, rows: &[Task]) -> Result<Vec<Filled>> {
        let missing = || Error::Internal(format!("the table {:?} was not looked up", self.table));
        let other = self.other.as_ref().ok_or_else(missing)?;
        join::fill(self, tools.store.as_ref(), other, column, rows).await
    }
}
