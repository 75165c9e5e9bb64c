//! Columns that read another table: they follow the new names of what they read, and keep it from being deleted.

use paceline_model::{Column, ColumnId, Table};
use serde_json::Value as Json;

use super::Engine;
use super::spec::Spec;
use crate::kind::Elsewhere;
use crate::{Error, Result};

/// A column that reads a table.
struct Reader {
    table: Table,
    column: Column,
    spec: Spec,
    reads: Elsewhere,
}

impl Engine {
    /// The columns that read a table: its own too, where they look at other rows.
    async fn readers(&self, of: &Table) -> Result<Vec<Reader>> {
        let mut readers = Vec::new();
        for table in self.inner.store.tables().await? {
            for column in &table.columns {
                let Some(smart) = &column.smart else { continue };
                // What cannot be read cannot be followed; whoever runs it is told.
                let Ok(spec) = Spec::from_json(smart.kind, &smart.config) else { continue };
                let reads = spec.elsewhere().filter(|reads| means(&reads.table, of));
                if let Some(reads) = reads {
                    let (table, column) = (table.clone(), column.clone());
                    readers.push(Reader { table, column, spec, reads });
                }
            }
        }
        Ok(readers)
    }

    /// Refuses to delete a table that columns of other tables read.
    pub(super) async fn check_unread(&self, table: &Table) -> Result<()> {
        let readers = self.readers(table).await?;
        let others = readers.iter().filter(|reader| reader.table.id != table.id);
        refuse(&format!("table {}", table.name), &others.map(Reader::name).collect::<Vec<_>>())
    }

    /// Refuses to delete a column whose values other columns look up.
    pub(super) async fn check_column_unread(&self, table: &Table, column: &Column) -> Result<()> {
        let readers = self.readers(table).await?;
        let its = readers.iter().filter(|reader| {
            let meant = reader.reads.columns.iter().filter_map(|name| table.column(name));
            reader.column.id != column.id && meant.into_iter().any(|known| known.id == column.id)
        });
        refuse(&format!("column {}", column.name), &its.map(Reader::name).collect::<Vec<_>>())
    }

    /// The configurations of the columns that read a table by its name, under its new one.
    pub(super) async fn table_followed(
        &self,
        table: &Table,
        new: &str,
    ) -> Result<Vec<(ColumnId, Json)>> {
        let readers = self.readers(table).await?.into_iter();
        let named = readers.filter(|reader| reader.reads.table == table.name);
        let followed = named.map(|reader| {
            let reads = Elsewhere { table: new.to_owned(), ..reader.reads };
            (reader.column.id, reader.spec.renamed_elsewhere(reads).to_json())
        });
        Ok(followed.collect())
    }

    /// The configurations of other tables' columns that read a column of `table`, which is called `new` in `after`.
    pub(super) async fn column_followed(
        &self,
        table: &Table,
        after: &Table,
        (column, new): (ColumnId, &str),
    ) -> Result<Vec<(ColumnId, Json)>> {
        let mut followed = Vec::new();
        for reader in self.readers(table).await? {
            if reader.table.id == table.id {
                continue;
            }
            let name = reader.name();
            if let Some(spec) = following(reader.spec, &name, table, after, (column, new))? {
                followed.push((reader.column.id, spec.to_json()));
            }
        }
        Ok(followed)
    }
}

impl Reader {
    fn name(&self) -> String {
        format!("{}.{}", self.table.name, self.column.name)
    }
}

/// A configuration with a column's new name wherever it reads that column of `table`; none if nothing of it changes.
/// `name` says whose configuration it is.
pub(super) fn following(
    spec: Spec,
    name: &str,
    table: &Table,
    after: &Table,
    (column, new): (ColumnId, &str),
) -> Result<Option<Spec>> {
    let Some(mut reads) = spec.elsewhere().filter(|reads| means(&reads.table, table)) else {
        return Ok(None);
    };
    let mut changed = false;
    for written in &mut reads.columns {
        let id = |of: &Table| of.column(written).map(|known| known.id);
        let (before, now) = (id(table), id(after));
        if before == now {
            continue;
        }
        if before != Some(column) {
            return Err(Error::Conflict(format!(
                "with that name, the lookup {name} would mean another column by {written:?}"
            )));
        }
        new.clone_into(written);
        changed = true;
    }
    Ok(changed.then(|| spec.renamed_elsewhere(reads)))
}

/// Whether a configuration means that table by what it says.
fn means(written: &str, table: &Table) -> bool {
    // A name never begins with a digit.
    written == table.name || written.parse() == Ok(table.id.0)
}

fn refuse(what: &str, readers: &[String]) -> Result<()> {
    if readers.is_empty() {
        return Ok(());
    }
    let names = readers.join(", ");
    Err(Error::Conflict(format!(
        "{what} is read by the lookups {names}; change or delete these first"
    )))
}
