//! Keeps tables, runs and changes: SQLite and PostgreSQL behind [`paceline_model::Store`]. The only crate that speaks SQL.
//!
//! ```
//! use paceline_clock::SimClock;
//! use paceline_model::{ColumnType, NewColumn, NewTable, Store};
//! use paceline_store::SqliteStore;
//!
//! let name = SimClock::new().run(|clock| async move {
//!     let store = SqliteStore::open_in_memory(clock)?;
//!     let column = NewColumn { name: "email".into(), title: None, kind: ColumnType::Email, options: Vec::new(), smart: None };
//!     let leads = NewTable { name: "leads".into(), description: String::new(), columns: vec![column] };
//!     store.create_table(leads).await.map(|table| table.columns[0].name.clone())
//! });
//! assert_eq!(name.unwrap(), "email");
//! ```
#![warn(missing_docs)]

mod calls;
mod change;
mod codec;
mod due;
mod edit;
mod end;
mod error;
mod file;
mod filter;
mod fingerprint;
mod interrupted;
mod key;
mod migrate;
mod packed;
mod postgres;
mod rules;
mod spent;
mod sqlite;
mod wakeup;

pub use postgres::{Access, PostgresStore, is_postgres_url};
pub use sqlite::SqliteStore;
