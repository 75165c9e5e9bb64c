//! A batch of rows and the state of the work it belongs to, together.

use paceline_model::{Item, ItemStep, RowBatch};

use super::connection::Db;
use super::{registry, rows};
use crate::error::Result;
use crate::rules;

pub(super) fn import_rows(db: &Db<'_>, batch: &RowBatch, mut step: ItemStep) -> Result<Item> {
    let RowBatch { table, key, columns, rows } = batch;
    let done = match key.as_slice() {
        [] => rules::all_inserted(rows::insert_rows(db, *table, columns, rows)?),
        _ => return Err(paceline_model::Error::invalid("not built yet").into()),
    };
    rules::count_rows(&mut step.body, done);
    registry::update(db, &step.kind, step.id, step.version, &step.body)
}
