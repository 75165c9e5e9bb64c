//! The order that rows come in, and what comes after a row in it. Empty values come last in both directions, and what is
//! alike in all keys comes by its id: so every row has one place, and paging shows each once.

use paceline_model::{Error, Result, RowId, Sort, Subject, Value};

use super::{Dialect, Kind, Place, Writer, check_fits, whole_kind};

/// A key of an order.
struct Key {
    sql: String,
    kind: Kind,
    /// Whether it can be empty.
    empty: bool,
    descending: bool,
}

impl<D: Dialect> Writer<D> {
    /// What stands after ORDER BY.
    ///
    /// Fails with `Invalid` for what has no order, with `Missing` for a column that is not known.
    pub(crate) fn order_by(&mut self, sort: &[Sort]) -> Result<String> {
        let mut parts = Vec::new();
        for key in self.keys(sort)? {
            let direction = if key.descending { " DESC" } else { "" };
            let last = if key.empty { " NULLS LAST" } else { "" };
            parts.push(format!("{}{direction}{last}", key.sql));
        }
        if !by_id(sort) {
            parts.push("t._ht_id".to_owned());
        }
        Ok(parts.join(", "))
    }

    /// The condition of rows that come after this one, which has these values in the keys.
    ///
    /// Fails with `Invalid` if the values do not fit the keys.
    pub(crate) fn after(&mut self, sort: &[Sort], row: RowId, values: &[Value]) -> Result<String> {
        if values.len() != sort.len() {
            return Err(Error::invalid(format!(
                "{} values of the row to go on after, for {} keys of the order",
                values.len(),
                sort.len()
            )));
        }
        let keys = self.keys(sort)?;
        // From the last key to the first: after in this one, or the same and after in those behind it.
        let mut after = if by_id(sort) {
            "FALSE".to_owned()
        } else {
            format!("t._ht_id > {}", self.dialect.bind(Kind::Int, &Value::Int(row.0)))
        };
        for (key, value) in keys.iter().zip(values).rev() {
            if value.is_null() {
                // Nothing comes after what is empty but what is empty too.
                after = format!("({} IS NULL AND {after})", key.sql);
                continue;
            }
            check_fits(key.kind, value)?;
            let bound = self.dialect.bind_ordered(key.kind, value);
            let (sql, sign) = (&key.sql, if key.descending { '<' } else { '>' });
            let empty = if key.empty { format!(" OR {sql} IS NULL") } else { String::new() };
            after = match after.as_str() {
                "FALSE" => format!("({sql} {sign} {bound}{empty})"),
                _ => format!("({sql} {sign} {bound}{empty} OR ({sql} = {bound} AND {after}))"),
            };
        }
        Ok(after)
    }

    /// The keys up to the first that no two rows have alike.
    fn keys(&mut self, sort: &[Sort]) -> Result<Vec<Key>> {
        let mut keys = Vec::with_capacity(sort.len());
        for key in sort {
            let (sql, column) = self.place(key.subject)?;
            let kind = whole_kind(column, &[]).unwrap_or(Kind::Json);
            if kind == Kind::Json {
                return Err(Error::invalid("JSON and lists of options have no order"));
            }
            let operand = self.dialect.operand(Place { sql: &sql, path: &[] }, kind);
            let sql = self.dialect.ordered(&operand, kind);
            keys.push(Key { sql, kind, empty: column.is_some(), descending: key.descending });
            if key.subject == Subject::Id {
                break;
            }
        }
        Ok(keys)
    }
}

fn by_id(sort: &[Sort]) -> bool {
    sort.iter().any(|key| key.subject == Subject::Id)
}
