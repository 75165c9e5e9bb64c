//! The nouns of Paceline, in reading order: a [`Table`] has [`Column`]s and rows; a smart column fills its cells by
//! calling an API with [`Template`]s rendered from the row; a [`Run`] is a request to fill many cells; a task is one cell
//! of a run; an [`Attempt`] is one outbound call. [`Store`] says what must keep them.
//!
//! This crate knows neither SQL nor HTTP nor the runtime.
#![warn(missing_docs)]

mod budget;
mod cell;
mod change;
mod column;
mod error;
mod filter;
mod id;
pub mod limits;
mod name;
mod note;
mod registry;
mod run;
mod store;
mod table;
mod task;
mod template;
mod value;

pub use budget::SavedBudget;
pub use cell::{Cell, CellError, CellState, CellWord, Filled, FilledCells, Fingerprint};
pub use change::{Change, ChangeKind, TableEnd};
pub use column::{Column, ColumnType, NewColumn, SmartColumn, SmartKind};
pub use error::{Error, Result};
pub use filter::{Filter, FilterError, FilterRow, Operator, PathStep, Sort, Subject, Test};
pub use id::{ColumnId, RowId, RunId, TableId};
pub use name::{Nearest, check_name, nearest, suggest};
pub use note::{NoteStep, NotedCall, Recovery};
pub use registry::{Entry, EntryQuery, Item, NewItem, Note, Registry};
pub use run::{Caps, Counts, DueQuery, NewRun, Run, RunOptions, RunStatus, Scope, Spent};
pub use store::Store;
pub use table::{
    ColumnChange, DeletedTable, NewTable, Row, RowQuery, Table, TableChange, Upserted,
};
pub use task::{
    Attempt, AttemptClass, CellBefore, Claim, Lease, NextCells, SentRecord, Task, TaskReport,
    TaskStep,
};
pub use template::{BoundTemplate, Place, RenderError, Template, TemplateError};
pub use value::Value;
