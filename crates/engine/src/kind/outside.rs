//! What a configuration names that stands outside its table: where it is found, what of it shapes the values, what it is called.

use paceline_model::Store;

use crate::Sealer;

/// Where configurations find what they name.
#[derive(Clone, Copy)]
pub(crate) struct Around<'a> {
    pub(crate) store: &'a dyn Store,
    pub(crate) sealer: Option<&'a Sealer>,
}

/// What shapes a column's values and stands in no configuration of its table, as text without secrets: where the text is
/// the same, so are the values. A key that takes the place of another one shapes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outside {
    /// The source of a stored function.
    Function(String),
    /// Which service a stored provider is of, and where.
    Provider(String),
}

/// What a configuration reads of another table, as it calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Elsewhere {
    /// By its name or id.
    pub(crate) table: String,
    /// By their names or titles.
    pub(crate) columns: Vec<String>,
}
