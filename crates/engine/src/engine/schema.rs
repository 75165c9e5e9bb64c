//! Tables and columns get other names, or go: what refers to them follows, or the change is refused.

use paceline_clock::Timestamp;
use paceline_model::{
    Column, ColumnChange, ColumnId, DeletedTable, NewColumn, NewTable, SmartColumn, Table,
    TableChange, TableId,
};
use serde_json::Value as Json;

use super::readers::following;
use super::spec::{Spec, first_place, lasting_place, unusable};
use super::{Engine, SmartSpec};
use crate::{Error, Result};

/// A column of a table to be made.
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnSpec {
    /// One that holds data.
    Plain(NewColumn),
    /// One whose cells are filled by calls. It may refer to plain columns and to smart ones before it.
    Smart(SmartSpec),
}

impl Engine {
    /// Makes a table with all its columns, or nothing.
    ///
    /// # Errors
    /// [`Error::InColumn`] for a smart column as [`Engine::add_smart_column`] refuses it; else the store's.
    pub async fn create_table(
        &self,
        name: String,
        description: String,
        columns: Vec<ColumnSpec>,
    ) -> Result<Table> {
        let mut draft = Table {
            id: TableId(0),
            name,
            description,
            columns: Vec::new(),
            created_at: Timestamp::from_micros(0),
        };
        draft.columns = columns
            .iter()
            .enumerate()
            .filter_map(|(index, column)| match column {
                ColumnSpec::Plain(column) => Some(drafted(index, column)),
                ColumnSpec::Smart(_) => None,
            })
            .collect();
        let mut made = Vec::with_capacity(columns.len());
        for (index, column) in columns.into_iter().enumerate() {
            let column = match column {
                ColumnSpec::Plain(column) => column,
                ColumnSpec::Smart(spec) => {
                    let column = self
                        .new_smart_column(&draft, spec)
                        .await
                        .map_err(|error| Error::InColumn { index, error: Box::new(error) })?;
                    draft.columns.push(drafted(index, &column));
                    column
                }
            };
            made.push(column);
        }
        self.check_depths(&draft)?;
        let table = NewTable { name: draft.name, description: draft.description, columns: made };
        let table = self.inner.store.create_table(table).await?;
        self.watch_told(&table).await?;
        Ok(table)
    }

    /// A smart column checked against its table, its secrets sealed.
    pub(super) async fn new_smart_column(
        &self,
        table: &Table,
        spec: SmartSpec,
    ) -> Result<NewColumn> {
        let config = Spec::from_json(spec.smart, &spec.config)?;
        let rate = self.rate(spec.smart, &config, &spec.rate_limit)?;
        self.check_spec(&config, spec.kind).await?;
        self.check_budget(&rate, &config).await?;
        let place = first_place(table, &spec.name);
        let config = self.checked_config(table, &spec.name, config, &place)?;
        Ok(NewColumn {
            name: spec.name,
            title: spec.title,
            kind: spec.kind,
            options: spec.options,
            smart: Some(SmartColumn {
                kind: spec.smart,
                config,
                rate_limit: spec.rate_limit,
                version: 1,
            }),
        })
    }

    /// Checks a configuration against its table; answers it as the store may have it.
    pub(super) fn checked_config(
        &self,
        table: &Table,
        name: &str,
        spec: Spec,
        place: &str,
    ) -> Result<Json> {
        spec.needs(table, name, &self.inner.config.outbound)?;
        Ok(spec.sealed(self.inner.config.sealer.as_ref(), place)?.to_json())
    }

    /// The smart columns of a table that need a column: its values, or that it is done first.
    ///
    /// # Errors
    /// A conflict if one of them cannot be read.
    pub fn users_of<'t>(&self, table: &'t Table, column: ColumnId) -> Result<Vec<&'t Column>> {
        let mut users = Vec::new();
        for other in table.columns.iter().filter(|other| other.id != column) {
            let Some(smart) = &other.smart else { continue };
            let needs = self
                .opened(table, other, smart)
                .and_then(|spec| spec.needs(table, &other.name, &self.inner.config.outbound));
            if needs.map_err(|error| unusable(other, &error))?.contains(&column) {
                users.push(other);
            }
        }
        Ok(users)
    }

    /// Changes a column. With a new name or title, the templates of the table's smart columns that mean it are rewritten
    /// in the same transaction, and its own secrets stay readable.
    ///
    /// # Errors
    /// The store's; a conflict if a template would then mean another column, or cannot be read.
    pub async fn update_column(
        &self,
        table: TableId,
        column: ColumnId,
        mut change: ColumnChange,
    ) -> Result<Column> {
        let _held = self.inner.schema.lock().await;
        let (table, column) = self.fresh_column(table, column).await?;
        if change.name.is_some() || change.title.is_some() {
            change.references = self.references(&table, &column, &change).await?;
        }
        Ok(self.inner.store.update_column(column.id, change).await?)
    }

    /// The configurations that a new name or title changes.
    async fn references(
        &self,
        table: &Table,
        column: &Column,
        change: &ColumnChange,
    ) -> Result<Vec<(ColumnId, Json)>> {
        let (guard, sealer) = (&self.inner.config.outbound, self.inner.config.sealer.as_ref());
        let name = change.name.as_deref().unwrap_or(&column.name);
        let mut after = table.clone();
        for own in after.columns.iter_mut().filter(|other| other.id == column.id) {
            name.clone_into(&mut own.name);
            own.title = change.title.clone().unwrap_or_else(|| own.title.take());
        }
        let renamed = (column.id, name);
        let mut references = self.column_followed(table, &after, renamed).await?;
        for other in &table.columns {
            let Some(smart) = &other.smart else { continue };
            let opened =
                self.opened(table, other, smart).map_err(|error| unusable(other, &error))?;
            let before =
                opened.needs(table, &other.name, guard).map_err(|error| unusable(other, &error))?;
            let is_own = other.id == column.id;
            let (spec, own_name) = if is_own {
                (opened, name)
            } else {
                (opened.renamed(table, &other.name, column.id, name)?, other.name.as_str())
            };
            if spec.needs(&after, own_name, guard).ok() != Some(before.clone()) {
                let message = format!(
                    "with that name, a template of the smart column {} would mean another column",
                    other.name
                );
                return Err(Error::Conflict(message));
            }
            let follows = following(spec.clone(), &other.name, table, &after, renamed)?;
            if is_own || follows.is_some() || before.contains(&column.id) {
                let spec = follows.unwrap_or(spec);
                let sealed = spec.sealed(sealer, &lasting_place(other.id))?;
                references.push((other.id, sealed.to_json()));
            }
        }
        Ok(references)
    }

    /// Deletes a column that no smart column needs, of its table or of another one.
    ///
    /// # Errors
    /// A conflict that names the smart columns that need it; else the store's.
    pub async fn delete_column(&self, table: TableId, column: ColumnId) -> Result<()> {
        let _held = self.inner.schema.lock().await;
        let (table, column) = self.fresh_column(table, column).await?;
        let users = self.users_of(&table, column.id)?;
        if !users.is_empty() {
            let names: Vec<&str> = users.iter().map(|user| user.name.as_str()).collect();
            let message = format!(
                "column {} is used by the smart columns {}; change or delete these first",
                column.name,
                names.join(", ")
            );
            return Err(Error::Conflict(message));
        }
        self.check_column_unread(&table, &column).await?;
        self.inner.store.delete_column(column.id).await?;
        let mut state = self.lock();
        state.budgets.remove(&column.id);
        state.sources.retain(|(owner, _), _| *owner != column.id);
        Ok(())
    }

    /// Changes a table; its secrets stay readable under another name, and lookups into it follow.
    ///
    /// # Errors
    /// The store's.
    pub async fn update_table(&self, table: TableId, mut change: TableChange) -> Result<Table> {
        let _held = self.inner.schema.lock().await;
        if let Some(name) = &change.name {
            self.seal_for_good(table).await?;
            change.references = self.table_followed(&self.fresh(table).await?, name).await?;
        }
        Ok(self.inner.store.update_table(table, change).await?)
    }

    /// Deletes a table that no other one looks into, so that it can be restored, under another name as well.
    ///
    /// # Errors
    /// A conflict that names the lookups into it; else the store's.
    pub async fn delete_table(&self, table: TableId) -> Result<DeletedTable> {
        let _held = self.inner.schema.lock().await;
        self.check_unread(&self.fresh(table).await?).await?;
        self.seal_for_good(table).await?;
        Ok(self.inner.store.delete_table(table).await?)
    }

    /// Has every secret of a table sealed for its lasting place. One that does not open is left as it is: it is lost
    /// either way.
    async fn seal_for_good(&self, table: TableId) -> Result<()> {
        let table = self.fresh(table).await?;
        let sealer = self.inner.config.sealer.as_ref();
        for column in &table.columns {
            let Some(smart) = &column.smart else { continue };
            let spec = Spec::from_json(smart.kind, &smart.config)?;
            let place = lasting_place(column.id);
            // Where there is no secret, any place opens it.
            if spec.clone().opened(sealer, &place).is_ok() {
                continue;
            }
            let Ok(opened) = spec.opened(sealer, &first_place(&table, &column.name)) else {
                continue;
            };
            let config = opened.sealed(sealer, &place)?.to_json();
            let references = vec![(column.id, config)];
            let change = ColumnChange { references, ..ColumnChange::default() };
            self.inner.store.update_column(column.id, change).await?;
        }
        Ok(())
    }

    /// The table as it is now.
    pub(super) async fn fresh(&self, table: TableId) -> Result<Table> {
        let found = self.inner.store.table(&table.to_string()).await?;
        found.ok_or_else(|| Error::Missing(format!("table {table} is gone")))
    }

    async fn fresh_column(&self, table: TableId, column: ColumnId) -> Result<(Table, Column)> {
        let table = self.fresh(table).await?;
        let found = table.columns.iter().find(|known| known.id == column).cloned();
        let found = found.ok_or_else(|| Error::Missing(format!("column {column} is gone")))?;
        Ok((table, found))
    }
}

/// A column of a table that is being made; its id tells it from the others of the draft, and is not kept.
fn drafted(index: usize, column: &NewColumn) -> Column {
    Column {
        id: ColumnId(i64::try_from(index).unwrap_or(i64::MAX)),
        table: TableId(0),
        name: column.name.clone(),
        title: column.title.clone(),
        kind: column.kind,
        options: column.options.clone(),
        smart: column.smart.clone(),
    }
}
