//! An `http` column is one call.

use std::sync::Arc;

use paceline_model::{CellError, Column, ColumnId, Place, Table, Value};
use serde_json::Value as Json;

use super::{Answer, Bound, Call, Called, KindSpec, Rename, host_of};
use crate::labels::template;
use crate::secret::is_secret_header;
use crate::{HttpColumn, HttpSpec, OutboundGuard, Reply, Request, Result, Sealer, extract};

impl KindSpec for HttpSpec {
    fn to_json(&self) -> Json {
        Self::to_json(self)
    }

    fn bind(&self, table: &Table, own: &str, guard: &OutboundGuard) -> Result<Bound> {
        let column = HttpColumn::new(self, table, own, guard)?;
        Ok(Bound::Call(Arc::new(column)))
    }

    fn renamed(self: Box<Self>, rename: Rename<'_>) -> Result<Box<dyn KindSpec>> {
        Ok(Box::new(Self::renamed(*self, rename)?))
    }

    fn sealed(self: Box<Self>, sealer: Option<&Sealer>, place: &str) -> Result<Box<dyn KindSpec>> {
        Ok(Box::new(Self::sealed(*self, sealer, place)?))
    }

    fn opened(self: Box<Self>, sealer: Option<&Sealer>, place: &str) -> Result<Box<dyn KindSpec>> {
        Ok(Box::new(Self::opened(*self, sealer, place)?))
    }

    fn masked(self: Box<Self>) -> Box<dyn KindSpec> {
        Box::new(Self::masked(*self))
    }

    fn calls(&self) -> Option<Called> {
        let url = template("config.url", &self.url, Place::Url).ok()?;
        let prefix = url.literal_prefix();
        let (_, after_scheme) = prefix.split_once("://")?;
        if !url.is_literal() && !after_scheme.contains(['/', '?', '#']) {
            return None;
        }
        let secrets = self.headers.iter().filter(|(name, _)| is_secret_header(name));
        let mut secrets: Vec<&str> = secrets.map(|(_, value)| value.trim()).collect();
        secrets.sort_unstable();
        // A secret that rows bring differs from row to row.
        let is_fixed = !secrets.is_empty() && !secrets.iter().any(|text| text.contains("{{"));
        let secret = is_fixed.then(|| secrets.join("\n"));
        Some(Called { host: host_of(prefix)?, secret })
    }

    fn boxed(&self) -> Box<dyn KindSpec> {
        Box::new(self.clone())
    }
}

impl Call for HttpColumn {
    fn inputs(&self) -> &[ColumnId] {
        &self.inputs
    }

    fn repeatable(&self) -> bool {
        self.repeatable
    }

    fn names_timeout(&self) -> bool {
        self.names_timeout
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn render(&self, values: &[Value], key: &str) -> std::result::Result<Request, CellError> {
        Self::render(self, values, key)
    }

    fn read(&self, reply: &Reply, column: &Column) -> std::result::Result<Answer, CellError> {
        let value = extract::value(reply, self.extract.as_ref(), column)?;
        Ok(Answer { value, tokens: None })
    }
}
