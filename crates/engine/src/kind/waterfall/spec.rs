//! The configuration of a waterfall: read, bound, sealed, opened, masked.

use std::sync::Arc;

use paceline_governor::{Ceilings, Preset, Rate};
use paceline_model::{ColumnId, Table, limits};
use serde_json::{Map, Value as Json};

use super::super::fields::Fields;
use super::super::{Bound, Caller, KindSpec, Rename};
use super::{Source, SourceCall, Until, Waterfall, in_source};
use crate::secret::MASK;
use crate::{Error, HttpColumn, HttpSpec, OutboundGuard, Result, Sealer};

const FIELDS: [&str; 2] = ["sources", "until"];
/// What a source says beside its call.
const OWN_FIELDS: [&str; 3] = ["name", "rate_limit", "optional"];
const NAME_BYTES_MAX: usize = 60;

/// The configuration: `sources`, each with a `name`, the fields of an `http` column, and perhaps `rate_limit` and `optional`;
/// `until` says what counts as a value.
#[derive(Clone)]
pub(in crate::kind) struct WaterfallSpec {
    sources: Vec<SourceSpec>,
    until: Until,
}

#[derive(Clone)]
struct SourceSpec {
    name: String,
    optional: bool,
    rate_limit: Option<Json>,
    http: HttpSpec,
}

impl WaterfallSpec {
    /// Reads a configuration.
    ///
    /// # Errors
    /// The field and the remedy; never a value.
    pub(in crate::kind) fn from_json(json: &Json) -> Result<Self> {
        let fields = Fields::of(json, "config", &FIELDS)?;
        let list = fields.any("sources").and_then(Json::as_array).filter(|list| !list.is_empty());
        let Some(list) = list else {
            let problem = "is required: a list of sources, each with a name and a url";
            return Err(Error::config("config.sources", problem));
        };
        if list.len() > limits::WATERFALL_SOURCES_MAX {
            let most = limits::WATERFALL_SOURCES_MAX;
            let problem = format!("{} sources; at most {most} are asked", list.len());
            return Err(Error::config("config.sources", problem));
        }
        let mut sources: Vec<SourceSpec> = Vec::with_capacity(list.len());
        for (at, json) in list.iter().enumerate() {
            let source = SourceSpec::from_json(json).map_err(|error| in_source(at, error))?;
            if sources.iter().any(|other| other.name == source.name) {
                let problem = "is another source's name; records tell them apart by it";
                return Err(in_source(at, Error::config("config.name", problem)));
            }
            sources.push(source);
        }
        let until = match fields.any("until") {
            None => Until::default(),
            Some(json) => serde_json::from_value(json.clone())
                .map_err(|_| Error::config("config.until", "is one of not_empty and not_null"))?,
        };
        Ok(Self { sources, until })
    }

    fn each(
        mut self,
        mut change: impl FnMut(&str, HttpSpec) -> Result<HttpSpec>,
    ) -> Result<Box<dyn KindSpec>> {
        for (at, source) in self.sources.iter_mut().enumerate() {
            let http = std::mem::take(&mut source.http);
            source.http = change(&source.name, http).map_err(|error| in_source(at, error))?;
        }
        Ok(Box::new(self))
    }
}

impl SourceSpec {
    fn from_json(json: &Json) -> Result<Self> {
        let Some(fields) = json.as_object() else {
            return Err(Error::config("config", "must be an object with at least name and url"));
        };
        let name = fields.get("name").and_then(Json::as_str).map(str::trim).unwrap_or_default();
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
            let problem = format!("is required: a text of at most {NAME_BYTES_MAX} bytes");
            return Err(Error::config("config.name", problem));
        }
        let optional = match fields.get("optional") {
            None | Some(Json::Null) => false,
            Some(Json::Bool(optional)) => *optional,
            Some(_) => return Err(Error::config("config.optional", "must be true or false")),
        };
        let call: Map<String, Json> = fields
            .iter()
            .filter(|(name, value)| !OWN_FIELDS.contains(&name.as_str()) && !value.is_null())
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        Ok(Self {
            name: name.to_owned(),
            optional,
            rate_limit: fields.get("rate_limit").filter(|rate| !rate.is_null()).cloned(),
            http: HttpSpec::from_json(&Json::Object(call))?,
        })
    }

    fn to_json(&self) -> Json {
        let mut json = Map::new();
        json.insert("name".to_owned(), self.name.clone().into());
        if let Json::Object(call) = self.http.to_json() {
            json.extend(call);
        }
        json.extend(self.rate_limit.clone().map(|rate| ("rate_limit".to_owned(), rate)));
        json.extend(self.optional.then(|| ("optional".to_owned(), true.into())));
        Json::Object(json)
    }
}

impl KindSpec for WaterfallSpec {
    fn to_json(&self) -> Json {
        let mut json = Map::new();
        let sources = self.sources.iter().map(SourceSpec::to_json).collect();
        json.insert("sources".to_owned(), sources);
        if self.until != Until::default() {
            json.insert("until".to_owned(), serde_json::to_value(self.until).unwrap_or_default());
        }
        Json::Object(json)
    }

    fn bind(&self, table: &Table, own: &str, guard: &OutboundGuard) -> Result<Bound> {
        let bound = self.sources.iter().enumerate().map(|(at, source)| {
            HttpColumn::new(&source.http, table, own, guard).map_err(|error| in_source(at, error))
        });
        let calls: Vec<HttpColumn> = bound.collect::<Result<_>>()?;
        let mut inputs: Vec<ColumnId> =
            calls.iter().flat_map(|call| call.inputs.iter().copied()).collect();
        inputs.sort_unstable();
        inputs.dedup();
        let sources = self.sources.iter().zip(calls).map(|(source, http)| {
            let places = http.inputs.iter().filter_map(|input| inputs.binary_search(input).ok());
            let call = SourceCall { at: places.collect(), inputs: inputs.clone(), http };
            Source {
                name: source.name.clone(),
                optional: source.optional,
                call: Arc::new(call),
                rate_limit: source.rate_limit.clone(),
            }
        });
        let sources = sources.collect();
        Ok(Bound::Call(Arc::new(Waterfall { inputs, sources, until: self.until })))
    }

    fn renamed(self: Box<Self>, rename: Rename<'_>) -> Result<Box<dyn KindSpec>> {
        self.each(|_, http| http.renamed(rename))
    }

    fn sealed(self: Box<Self>, sealer: Option<&Sealer>, place: &str) -> Result<Box<dyn KindSpec>> {
        self.each(|name, http| {
            if let Some((header, _)) = http.headers.iter().find(|(_, value)| *value == MASK) {
                let problem =
                    "is the mask that is shown instead of the secret; give the secret again";
                return Err(Error::config(format!("config.headers.{header}"), problem));
            }
            http.sealed(sealer, &source_place(place, name))
        })
    }

    fn opened(self: Box<Self>, sealer: Option<&Sealer>, place: &str) -> Result<Box<dyn KindSpec>> {
        self.each(|name, http| http.opened(sealer, &source_place(place, name)))
    }

    fn masked(mut self: Box<Self>) -> Box<dyn KindSpec> {
        for source in &mut self.sources {
            source.http = std::mem::take(&mut source.http).masked();
        }
        self
    }

    fn boxed(&self) -> Box<dyn KindSpec> {
        Box::new(self.clone())
    }

    /// Each source by its own rate, or by the column's.
    fn callers(&self, rate: &Rate, ceilings: Ceilings) -> Result<Vec<Caller>> {
        let callers = self.sources.iter().enumerate().map(|(at, source)| {
            let rate = source_rate(at, source.rate_limit.as_ref(), rate, ceilings)?;
            let source_name = Some(source.name.clone());
            Ok(Caller { source: source_name, called: source.http.calls(), rate })
        });
        callers.collect()
    }

    /// What sources keep that name none of their own, each for itself; conservative if nothing is said.
    fn rate(&self, json: &Json, ceilings: Ceilings) -> Result<Rate> {
        let rate = match json {
            Json::Null => Preset::Conservative.rate(),
            json => Rate::from_json(json, ceilings).map_err(Error::Rate)?,
        };
        HttpColumn::check_rate(&rate)?;
        for (at, source) in self.sources.iter().enumerate() {
            source_rate(at, source.rate_limit.as_ref(), &rate, ceilings)?;
        }
        Ok(rate)
    }
}

/// The rate of a source: its own, or the column's.
pub(super) fn source_rate(
    at: usize,
    own: Option<&Json>,
    column: &Rate,
    ceilings: Ceilings,
) -> Result<Rate> {
    let Some(json) = own else { return Ok(column.clone()) };
    let read = Rate::from_json(json, ceilings).map_err(Error::Rate);
    let read = read.and_then(|rate| HttpColumn::check_rate(&rate).map(|()| rate));
    let fault =
        |problem: String| Error::config(format!("config.sources[{at}].rate_limit"), problem);
    read.map_err(|error| fault(error.to_string()))
}

fn source_place(place: &str, name: &str) -> String {
    format!("{place}.sources.{name}")
}
