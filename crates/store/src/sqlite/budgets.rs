//! What budgets learnt, one record each.

use paceline_clock::Timestamp;
use paceline_model::SavedBudget;
use rusqlite::{OptionalExtension, params};

use super::connection::Db;
use crate::error::Result;
use crate::rules;

pub(super) fn save_budget(db: &Db<'_>, key: &str, snapshot: &str, at: Timestamp) -> Result<()> {
    rules::check_budget(key, snapshot)?;
    db.conn
        .prepare_cached(
            "-- paceline: save_budget\nINSERT INTO _ht_budgets (key, snapshot, saved_at) \
             VALUES (?1, ?2, ?3) ON CONFLICT (key) DO UPDATE SET \
             snapshot = excluded.snapshot, saved_at = excluded.saved_at",
        )?
        .execute(params![key, snapshot, at.as_micros()])?;
    Ok(())
}

pub(super) fn load_budget(db: &Db<'_>, key: &str) -> Result<Option<SavedBudget>> {
    let saved = db
        .conn
        .prepare_cached(
            "-- paceline: load_budget\nSELECT snapshot, saved_at FROM _ht_budgets WHERE key = ?1",
        )?
        .query_row([key], |row| {
            let saved_at = Timestamp::from_micros(row.get(1)?);
            Ok(SavedBudget { snapshot: row.get(0)?, saved_at })
        })
        .optional()?;
    Ok(saved)
}
