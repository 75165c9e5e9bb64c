//! The operators by name, and which of them a value of what kind takes.

use crate::ColumnType;

/// An operator as it is named in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Eq,
    Neq,
    Gt,
    Gte,
    Lt,
    Lte,
    Contains,
    StartsWith,
    In,
    Between,
    IsNull,
    IsNotNull,
    State,
}

impl Name {
    /// In the order of the documentation.
    const ALL: [(&'static str, Self); 13] = [
        ("eq", Self::Eq),
        ("neq", Self::Neq),
        ("gt", Self::Gt),
        ("gte", Self::Gte),
        ("lt", Self::Lt),
        ("lte", Self::Lte),
        ("contains", Self::Contains),
        ("starts_with", Self::StartsWith),
        ("in", Self::In),
        ("between", Self::Between),
        ("is_null", Self::IsNull),
        ("is_not_null", Self::IsNotNull),
        ("state", Self::State),
    ];

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, operator)| *operator)
    }

    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        Self::ALL.iter().map(|(name, _)| *name)
    }
}

/// What a test compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Id,
    Moment,
    Column(ColumnType),
    /// A value inside a JSON column, of whatever kind it is.
    Inside,
}

impl Kind {
    pub(super) fn takes(self, operator: Name) -> bool {
        let ordered =
            matches!(operator, Name::Gt | Name::Gte | Name::Lt | Name::Lte | Name::Between);
        match operator {
            // Asked of the column before this.
            Name::State | Name::IsNull | Name::IsNotNull | Name::Eq | Name::Neq | Name::In => true,
            Name::Contains => self.is_text() || self == Self::Column(ColumnType::MultiSelect),
            Name::StartsWith => self.is_text(),
            _ if ordered => !matches!(
                self,
                Self::Column(ColumnType::Boolean | ColumnType::Json | ColumnType::MultiSelect)
            ),
            _ => false,
        }
    }

    /// The operators it takes, for a person who used another.
    pub(super) fn operators(self) -> String {
        let taken =
            |(_, operator): &&(&str, Name)| *operator != Name::State && self.takes(*operator);
        let names: Vec<&str> = Name::ALL.iter().filter(taken).map(|(name, _)| *name).collect();
        names.join(", ")
    }

    fn is_text(self) -> bool {
        match self {
            Self::Column(kind) => kind.is_text(),
            Self::Inside => true,
            Self::Id | Self::Moment => false,
        }
    }
}
