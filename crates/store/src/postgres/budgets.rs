//! What budgets learnt, one record each.

use paceline_clock::Timestamp;
use paceline_model::SavedBudget;

use super::db::Db;
use super::param::params;
use crate::error::Result;
use crate::rules;

pub(super) async fn save_budget(db: &Db, key: &str, snapshot: &str, at: Timestamp) -> Result<()> {
    rules::check_budget(key, snapshot)?;
    db.execute(
        "-- paceline: save_budget\nINSERT INTO paceline._ht_budgets (key, snapshot, saved_at) \
         VALUES ($1, $2, $3) ON CONFLICT (key) DO UPDATE SET \
         snapshot = excluded.snapshot, saved_at = excluded.saved_at",
        params![key, snapshot, at],
    )
    .await?;
    Ok(())
}

pub(super) async fn load_budget(db: &Db, key: &str) -> Result<Option<SavedBudget>> {
    let sql = "-- paceline: load_budget\n\
               SELECT snapshot, saved_at FROM paceline._ht_budgets WHERE key = $1";
    match db.first(sql, params![key]).await? {
        Some(row) => Ok(Some(SavedBudget { snapshot: row.text(0)?, saved_at: row.time(1)? })),
        None => Ok(None),
    }
}
