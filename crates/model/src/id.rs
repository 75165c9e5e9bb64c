//! Typed ids, so that a row cannot be passed for a column. They grow with time, and the databases give them out.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// A table.
    TableId
);
id!(
    /// A column of any table.
    ColumnId
);
id!(
    /// A row of one table; rows of a table are numbered from 1 in the order of their insertion.
    RowId
);
id!(
    /// A run.
    RunId
);
