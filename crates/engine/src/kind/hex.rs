//! An `integration` column of Hex is a job.

use paceline_governor::{Ceilings, Rate};
use paceline_model::{ColumnType, Table};
use serde_json::Value as Json;

use super::{Bound, Called, KindSpec, Rename};
use crate::integration::{self, IntegrationColumn};
use crate::{IntegrationSpec, OutboundGuard, Result, Sealer};

impl KindSpec for IntegrationSpec {
    fn to_json(&self) -> Json {
        Self::to_json(self)
    }

    fn bind(&self, table: &Table, own: &str, guard: &OutboundGuard) -> Result<Bound> {
        let column = IntegrationColumn::new(self, table, own, guard)?;
        Ok(Bound::Job(Box::new(self.clone()), Box::new(column)))
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
        let host = self.options().ok()?.base_url.trim_end_matches('/').to_owned();
        // Without one it is the engine's own, which is one and the same for all.
        Some(Called { host, secret: Some(self.token.clone().unwrap_or_default()) })
    }

    fn boxed(&self) -> Box<dyn KindSpec> {
        Box::new(self.clone())
    }

    fn check_type(&self, kind: ColumnType) -> Result<()> {
        IntegrationColumn::check_type(kind)
    }

    /// What its jobs are started with; null stands for the vendor's own limits.
    fn rate(&self, json: &Json, ceilings: Ceilings) -> Result<Rate> {
        integration::rate(json, ceilings)
    }
}
