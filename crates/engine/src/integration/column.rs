//! An `integration` column, bound to its table, and the job it renders for a row.

use paceline_hex::Job;
use paceline_model::{
    BoundTemplate, CellError, ColumnId, ColumnType, Place, RenderError, Table, Template, Value,
    limits,
};
use serde_json::{Map, Value as Json};

use crate::labels::{Labels, render_error, template, template_error};
use crate::task::cell_error;
use crate::{Error, IntegrationSpec, OutboundGuard, Result};

/// An `integration` column, bound to the columns of its table: everything checked that can be checked before a row is seen.
pub(crate) struct IntegrationColumn {
    project: BoundTemplate,
    params: Vec<(String, Param<BoundTemplate>)>,
    /// All of them as one object.
    all_params: Option<BoundTemplate>,
    view_id: Option<BoundTemplate>,
    /// What is the same for every row.
    fixed: Job,
    /// The columns whose values [`IntegrationColumn::render`] takes, in this order.
    pub(crate) inputs: Vec<ColumnId>,
}

/// A value of a parameter, whose texts are templates.
enum Param<T> {
    Template(T),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
    Value(Json),
}

impl IntegrationColumn {
    /// Checks a configuration against a table (`own` is the column's own name, which it may not refer to).
    pub(crate) fn new(
        spec: &IntegrationSpec,
        table: &Table,
        own: &str,
        guard: &OutboundGuard,
    ) -> Result<Self> {
        guard.check_url(&spec.options()?.base_url)?;
        let project = template("config.project", &spec.project, Place::Text)?;
        let view_id = spec.view_id.as_deref();
        let view_id = view_id.map(|text| template("config.view_id", text, Place::Text));
        let view_id = view_id.transpose()?;
        let params = spec.params.iter();
        let params: Vec<(String, Param<Template>)> = params
            .map(|(name, json)| Ok((name.clone(), Param::read(&field(name), json)?)))
            .collect::<Result<_>>()?;

        let all_params = spec.params_template.as_deref();
        let all_params = all_params.map(|text| template("config.params", text, Place::Text));
        let all_params = all_params.transpose()?;

        let mut templates = vec![("config.project".to_owned(), &project)];
        templates.extend(all_params.iter().map(|all| ("config.params".to_owned(), all)));
        templates.extend(view_id.iter().map(|view| ("config.view_id".to_owned(), view)));
        for (name, param) in &params {
            param.templates(&mut |template| templates.push((field(name), template)));
        }
        let labels = Labels::of(table, own);
        let used = labels.used(templates.iter().map(|(field, text)| (field.as_str(), *text)))?;
        let names: Vec<&str> = used.iter().map(|index| labels.names[*index]).collect();
        let bind = |template: &Template| {
            template.bind(&names).map_err(|error| template_error("config", &error))
        };
        let fixed = Job {
            use_cached_sql_results: spec.use_cached_sql_results,
            update_published_results: spec.update_published_results,
            notifications: spec.notifications.clone(),
            ..Job::default()
        };
        let column = Self {
            project: bind(&project)?,
            params: params
                .iter()
                .map(|(name, param)| Ok((name.clone(), param.bind(&bind)?)))
                .collect::<Result<_>>()?,
            all_params: all_params.as_ref().map(bind).transpose()?,
            view_id: view_id.as_ref().map(bind).transpose()?,
            fixed,
            inputs: used.iter().map(|index| labels.columns[*index]).collect(),
        };
        column.check_pairs()
    }

    /// Refuses a type of values that cannot hold what a job yields.
    pub(crate) fn check_type(kind: ColumnType) -> Result<()> {
        if kind == ColumnType::Json {
            return Ok(());
        }
        let problem = format!(
            "a column of kind integration yields objects ({{runId, status, ...}}); make its type json, not {kind}"
        );
        Err(Error::config("type", problem))
    }

    /// The job for a row whose input values are `values`. A parameter without a value (`{{column ?? null}}`) is left out.
    pub(crate) fn render(&self, values: &[Value]) -> std::result::Result<Job, CellError> {
        let text = |template: &BoundTemplate| {
            template.render(values).map_err(|error| render_error(&error))
        };
        let mut job = Job { project: text(&self.project)?, ..self.fixed.clone() };
        job.view_id = self.view_id.as_ref().map(text).transpose()?;
        if let Some(all) = &self.all_params {
            match all.render_json(values).map_err(|error| render_error(&error))? {
                Json::Object(fields) => job.params = fields,
                Json::Null => {}
                _ => return Err(cell_error("TYPE_MISMATCH", "the parameters are no object")),
            }
        }
        for (name, param) in &self.params {
            let value = param.render(values).map_err(|error| render_error(&error))?;
            if !value.is_null() {
                job.params.insert(name.clone(), value);
            }
        }
        let bytes: usize = job.params.values().map(|value| value.to_string().len()).sum();
        if bytes > limits::REQUEST_BODY_BYTES_MAX {
            let most = limits::REQUEST_BODY_BYTES_MAX;
            let message = format!("the parameters are {bytes} bytes long; at most {most} are sent");
            return Err(cell_error("TOO_LONG", message));
        }
        Ok(job)
    }

    /// What the service would refuse for every row is refused here.
    fn check_pairs(self) -> Result<Self> {
        let mut job = Job { project: "project".to_owned(), ..self.fixed.clone() };
        job.view_id = self.view_id.as_ref().map(|_| "view".to_owned());
        job.params.extend(self.params.iter().map(|(name, _)| (name.clone(), Json::Null)));
        job.check().map_err(|error| Error::config("config", error.to_string()))?;
        Ok(self)
    }
}

impl Param<Template> {
    fn read(field: &str, json: &Json) -> Result<Self> {
        Ok(match json {
            Json::String(text) => Self::Template(template(field, text, Place::Text)?),
            Json::Array(items) => {
                Self::List(items.iter().map(|item| Self::read(field, item)).collect::<Result<_>>()?)
            }
            Json::Object(fields) => Self::Object(
                fields
                    .iter()
                    .map(|(name, item)| Ok((name.clone(), Self::read(field, item)?)))
                    .collect::<Result<_>>()?,
            ),
            other => Self::Value(other.clone()),
        })
    }

    fn templates<'s>(&'s self, visit: &mut impl FnMut(&'s Template)) {
        match self {
            Self::Template(template) => visit(template),
            Self::List(items) => items.iter().for_each(|item| item.templates(visit)),
            Self::Object(fields) => fields.iter().for_each(|(_, item)| item.templates(visit)),
            Self::Value(_) => {}
        }
    }

    fn bind(
        &self,
        bind: &impl Fn(&Template) -> Result<BoundTemplate>,
    ) -> Result<Param<BoundTemplate>> {
        Ok(match self {
            Self::Template(template) => Param::Template(bind(template)?),
            Self::List(items) => {
                Param::List(items.iter().map(|item| item.bind(bind)).collect::<Result<_>>()?)
            }
            Self::Object(fields) => Param::Object(
                fields
                    .iter()
                    .map(|(name, item)| Ok((name.clone(), item.bind(bind)?)))
                    .collect::<Result<_>>()?,
            ),
            Self::Value(value) => Param::Value(value.clone()),
        })
    }
}

impl Param<BoundTemplate> {
    fn render(&self, values: &[Value]) -> std::result::Result<Json, RenderError> {
        Ok(match self {
            Self::Template(template) => template.render_json(values)?,
            Self::List(items) => Json::Array(
                items
                    .iter()
                    .map(|item| item.render(values))
                    .collect::<std::result::Result<_, _>>()?,
            ),
            Self::Object(fields) => {
                let fields = fields.iter();
                let fields = fields.map(|(name, item)| Ok((name.clone(), item.render(values)?)));
                Json::Object(fields.collect::<std::result::Result<Map<_, _>, _>>()?)
            }
            Self::Value(value) => value.clone(),
        })
    }
}

fn field(name: &str) -> String {
    format!("config.params.{}", name.chars().take(60).collect::<String>())
}
