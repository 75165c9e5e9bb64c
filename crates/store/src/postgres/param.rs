//! Parameters of statements and columns of answers, in the few types that there are: whole numbers, text, bytes and
//! lists of them, and truth.
//!
//! Every statement is sent with its types and without a name, parsed, bound and run in one round trip. Nothing stays
//! behind on a connection: no statement outlives a change of its table, a proxy may hand each transaction to another
//! connection, and the planner always sees the values.

use std::borrow::Cow;

use bytes::BytesMut;
use paceline_clock::Timestamp;
use paceline_model::{CellError, Error};
use tokio_postgres::types::{FromSqlOwned, IsNull, ToSql, Type, to_sql_checked};

use super::text::{escaped, unescaped};
use crate::error::Result;

/// One parameter. Text is made fit for PostgreSQL on its way in (see [`super::text`]).
#[derive(Debug)]
pub(super) enum Param<'a> {
    Int(Option<i64>),
    Text(Option<Cow<'a, str>>),
    Bool(bool),
    Bytes(Option<Cow<'a, [u8]>>),
    Ints(Vec<Option<i64>>),
    Texts(Vec<Option<Cow<'a, str>>>),
    BytesList(Vec<Option<Vec<u8>>>),
}

impl Param<'_> {
    /// The type that the statement is told.
    pub(super) fn sql_type(&self) -> Type {
        match self {
            Self::Int(_) => Type::INT8,
            Self::Text(_) => Type::TEXT,
            Self::Bool(_) => Type::BOOL,
            Self::Bytes(_) => Type::BYTEA,
            Self::Ints(_) => Type::INT8_ARRAY,
            Self::Texts(_) => Type::TEXT_ARRAY,
            Self::BytesList(_) => Type::BYTEA_ARRAY,
        }
    }
}

impl ToSql for Param<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> std::result::Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Int(value) => value.to_sql(ty, out),
            Self::Text(value) => value.to_sql(ty, out),
            Self::Bool(value) => value.to_sql(ty, out),
            Self::Bytes(value) => value.as_deref().to_sql(ty, out),
            Self::Ints(values) => values.to_sql(ty, out),
            Self::Texts(values) => values.to_sql(ty, out),
            Self::BytesList(values) => values.to_sql(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        // Each goes out as the type that it names itself.
        true
    }

    to_sql_checked!();
}

impl From<i64> for Param<'_> {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}

impl From<Option<i64>> for Param<'_> {
    fn from(value: Option<i64>) -> Self {
        Self::Int(value)
    }
}

impl From<Timestamp> for Param<'_> {
    fn from(value: Timestamp) -> Self {
        Self::Int(Some(value.as_micros()))
    }
}

impl From<bool> for Param<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl<'a> From<&'a str> for Param<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(Some(escaped(value)))
    }
}

impl<'a> From<Option<&'a str>> for Param<'a> {
    fn from(value: Option<&'a str>) -> Self {
        Self::Text(value.map(escaped))
    }
}

impl From<Vec<u8>> for Param<'_> {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(Some(value.into()))
    }
}

impl From<Option<Vec<u8>>> for Param<'_> {
    fn from(value: Option<Vec<u8>>) -> Self {
        Self::Bytes(value.map(Into::into))
    }
}

impl From<Vec<Option<Vec<u8>>>> for Param<'_> {
    fn from(values: Vec<Option<Vec<u8>>>) -> Self {
        Self::BytesList(values)
    }
}

impl From<Vec<i64>> for Param<'_> {
    fn from(values: Vec<i64>) -> Self {
        Self::Ints(values.into_iter().map(Some).collect())
    }
}

impl From<Vec<Option<i64>>> for Param<'_> {
    fn from(values: Vec<Option<i64>>) -> Self {
        Self::Ints(values)
    }
}

impl<'a> From<Vec<&'a str>> for Param<'a> {
    fn from(values: Vec<&'a str>) -> Self {
        Self::Texts(values.into_iter().map(|value| Some(escaped(value))).collect())
    }
}

impl<'a> From<Vec<Option<&'a str>>> for Param<'a> {
    fn from(values: Vec<Option<&'a str>>) -> Self {
        Self::Texts(values.into_iter().map(|value| value.map(escaped)).collect())
    }
}

impl<'a> From<Vec<Option<Cow<'a, str>>>> for Param<'a> {
    fn from(values: Vec<Option<Cow<'a, str>>>) -> Self {
        let fit = |text| match text {
            Cow::Borrowed(text) => escaped(text),
            Cow::Owned(text) => Cow::Owned(escaped(&text).into_owned()),
        };
        Self::Texts(values.into_iter().map(|value| value.map(fit)).collect())
    }
}

/// The parameters of a statement, each turned into a [`Param`].
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::postgres::param::Param::from($value)),*] };
}
pub(super) use params;

/// One row of an answer.
#[derive(Debug)]
pub(super) struct Found(pub(super) tokio_postgres::Row);

impl Found {
    pub(super) fn int(&self, index: usize) -> Result<i64> {
        self.get(index)
    }

    pub(super) fn opt_int(&self, index: usize) -> Result<Option<i64>> {
        self.get(index)
    }

    /// A number that was written from a `u32` or a `u16`.
    pub(super) fn small<T: TryFrom<i64>>(&self, index: usize) -> Result<T> {
        T::try_from(self.int(index)?).map_err(|_| unexpected(index))
    }

    pub(super) fn opt_small<T: TryFrom<i64>>(&self, index: usize) -> Result<Option<T>> {
        let small = self.opt_int(index)?.map(|number| T::try_from(number));
        small.transpose().map_err(|_| unexpected(index))
    }

    pub(super) fn time(&self, index: usize) -> Result<Timestamp> {
        self.int(index).map(Timestamp::from_micros)
    }

    pub(super) fn opt_time(&self, index: usize) -> Result<Option<Timestamp>> {
        Ok(self.opt_int(index)?.map(Timestamp::from_micros))
    }

    pub(super) fn text(&self, index: usize) -> Result<String> {
        self.get::<String>(index).map(unescaped)
    }

    pub(super) fn opt_text(&self, index: usize) -> Result<Option<String>> {
        Ok(self.get::<Option<String>>(index)?.map(unescaped))
    }

    pub(super) fn bool(&self, index: usize) -> Result<bool> {
        self.get(index)
    }

    pub(super) fn bytes(&self, index: usize) -> Result<Vec<u8>> {
        self.get(index)
    }

    pub(super) fn opt_bytes(&self, index: usize) -> Result<Option<Vec<u8>>> {
        self.get(index)
    }

    /// The error in the columns `index` and `index + 1`.
    pub(super) fn error(&self, index: usize) -> Result<Option<CellError>> {
        let Some(code) = self.opt_text(index)? else { return Ok(None) };
        let message = self.opt_text(index + 1)?.unwrap_or_default();
        Ok(Some(CellError { code, message }))
    }

    fn get<T: FromSqlOwned>(&self, index: usize) -> Result<T> {
        self.0.try_get(index).map_err(|_| unexpected(index))
    }
}

fn unexpected(index: usize) -> crate::error::Fault {
    Error::Corrupt(format!(
        "column {index} of an internal query holds what was never written there"
    ))
    .into()
}
