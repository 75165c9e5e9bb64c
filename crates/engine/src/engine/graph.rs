//! The graph of a table's smart columns: checked when a column changes, and the order in which they are run.

use paceline_model::{Column, ColumnId, Table, limits};

use super::Engine;
use super::spec::Spec;
use crate::graph::Graph;
use crate::{Error, OutboundGuard, Result};

impl Engine {
    /// Which smart columns of a table need which. A column that cannot be read as it stands needs none.
    pub(super) fn graph(&self, table: &Table) -> Graph {
        Graph::new(table.columns.iter().filter_map(|column| {
            let smart = column.smart.as_ref()?;
            let needs = self
                .opened(table, column, smart)
                .and_then(|spec| spec.reads(table, &column.name, &self.inner.config.outbound));
            Some((column.id, needs.unwrap_or_default()))
        }))
    }

    /// Refuses a configuration of a column with which columns would need one another in a circle, or one through another
    /// more of them than [`limits::DEPENDENCY_DEPTH_MAX`].
    pub(super) fn check_graph(&self, table: &Table, name: &str, spec: &Spec) -> Result<()> {
        let guard = &self.inner.config.outbound;
        let own = table.columns.iter().find(|column| column.name == name);
        // A column that is not there yet is nobody's need.
        let own = own.map_or(ColumnId(i64::MAX), |column| column.id);
        let others = table.columns.iter().filter(|column| column.id != own).filter_map(|column| {
            let opened = self.opened(table, column, column.smart.as_ref()?);
            let needs = opened.and_then(|spec| spec.reads(table, &column.name, guard));
            Some((column.id, needs.unwrap_or_default()))
        });
        let its = (own, spec.needs(table, name, guard)?);
        let graph = Graph::new(others.chain([its]));
        if let Some(cycle) = graph.cycle(own) {
            return Err(cycle_error(table, name, spec, &cycle, guard));
        }
        check_depth(&graph, table, own, name)
    }

    /// Refuses a table to be made in which one column depends on too many others.
    pub(super) fn check_depths(&self, draft: &Table) -> Result<()> {
        let graph = self.graph(draft);
        for column in draft.columns.iter().filter(|column| column.smart.is_some()) {
            let index = usize::try_from(column.id.0).unwrap_or_default();
            check_depth(&graph, draft, column.id, &column.name)
                .map_err(|error| Error::InColumn { index, error: Box::new(error) })?;
        }
        Ok(())
    }
}

fn check_depth(graph: &Graph, table: &Table, own: ColumnId, name: &str) -> Result<()> {
    let depths = graph.depths();
    let deepest = depths.iter().max_by_key(|(_, depth)| **depth);
    let max = limits::DEPENDENCY_DEPTH_MAX;
    match deepest {
        Some((column, depth)) if *depth > max => {
            let column = named(table, *column, own, name);
            let problem = format!(
                "column {column} would depend on {} columns, one through another; at most {max} are allowed",
                depth - 1
            );
            Err(Error::config("config", problem))
        }
        _ => Ok(()),
    }
}

/// The circle by the names of its columns, at the field that closes it.
fn cycle_error(
    table: &Table,
    name: &str,
    spec: &Spec,
    cycle: &[ColumnId],
    guard: &OutboundGuard,
) -> Error {
    let own = cycle.first().copied().unwrap_or(ColumnId(0));
    let path: Vec<&str> = cycle.iter().map(|column| named(table, *column, own, name)).collect();
    // Without the column that it needs first, the configuration does not fit, and the error says which field names it.
    let mut without = table.clone();
    without.columns.retain(|column| Some(&column.id) != cycle.get(1));
    let field = match spec.needs(&without, name, guard) {
        Err(Error::Config { field, .. }) => field,
        _ => "config".to_owned(),
    };
    let problem = format!(
        "columns would wait for one another: {}; take one of these references away",
        path.join(" -> ")
    );
    Error::config(field, problem)
}

fn named<'t>(table: &'t Table, column: ColumnId, own: ColumnId, name: &'t str) -> &'t str {
    let known = table.columns.iter().find(|known| known.id == column && column != own);
    known.map_or(name, |column: &Column| &column.name)
}
