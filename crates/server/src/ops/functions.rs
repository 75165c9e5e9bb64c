//! Functions: JavaScript that a person wrote, kept with its versions. Nothing here runs it: that is what columns of kind function are for.

use paceline_model::{Entry, EntryQuery, Item, NewItem, Note, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::iso;
use super::rows::unconfirmed;
use super::sources::{Deleted, name_taken};
use crate::App;
use crate::envelope::{Hint, Outcome};
use crate::error::{ApiError, Code, Result};

const KIND: &str = "function";

#[derive(Debug, Deserialize)]
pub(crate) struct CreateFunction {
    name: String,
    source: String,
    description: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ListFunctions {}

#[derive(Debug, Deserialize)]
pub(crate) struct GetFunction {
    function: String,
    version: Option<i64>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct UpdateFunction {
    function: String,
    source: Option<String>,
    description: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct DeleteFunction {
    function: String,
    #[serde(default)]
    confirm: bool,
}

/// A function at rest.
#[derive(Debug, Serialize, Deserialize)]
struct Body {
    description: String,
    source: String,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FunctionLine {
    id: i64,
    name: String,
    description: String,
    version: i64,
    bytes: usize,
    created_at: Option<String>,
    updated_at: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FunctionView {
    #[serde(flatten)]
    line: FunctionLine,
    source: String,
}

pub(crate) async fn create(app: App, input: CreateFunction) -> Result<Outcome<FunctionView>> {
    super::check_new_name("function", "name", &input.name)
        .map_err(|error| error.recode(Code::InvalidColumnName, Code::ValidationError))?;
    let body = Body { description: input.description.unwrap_or_default(), source: input.source };
    let new = NewItem { kind: KIND, table: None, name: input.name.clone(), body: written(&body) };
    let made = app.engine.store().create_item(new).await.map_err(ApiError::from);
    let item = made.map_err(|error| name_taken(error, &input.name))?;
    Ok(Outcome::new(view(&item)?))
}

pub(crate) async fn list(app: App, _: ListFunctions) -> Result<Outcome<Vec<FunctionLine>>> {
    let items = app.engine.store().items(KIND, None).await?;
    Ok(Outcome::new(items.iter().map(line).collect::<Result<_>>()?))
}

pub(crate) async fn get(app: App, input: GetFunction) -> Result<Outcome<FunctionView>> {
    let item = found(&app, &input.function).await?;
    let mut view = view(&item)?;
    if let Some(version) = input.version.filter(|version| *version != item.version) {
        let max = usize::try_from(limits::FUNCTION_VERSIONS_KEPT).unwrap_or(usize::MAX);
        let query = EntryQuery { subject: None, before: None, max };
        let entries = app.engine.store().entries(&log(item.id), query).await?;
        let earlier = entries.into_iter().find(|entry| entry.body["version"] == version);
        let Some(Entry { body, .. }) = earlier else {
            let problem = format!("is not kept; the newest is {}", item.version);
            return Err(ApiError::field("version", problem));
        };
        let body: Body = serde_json::from_value(body).map_err(|error| damaged(&item, &error))?;
        (view.line.version, view.line.bytes) = (version, body.source.len());
        (view.line.description, view.source) = (body.description, body.source);
    }
    Ok(Outcome::new(view))
}

pub(crate) async fn update(app: App, input: UpdateFunction) -> Result<Outcome<FunctionView>> {
    let mut item = found(&app, &input.function).await?;
    if input.source.is_none() && input.description.is_none() {
        let problem = "give source, description or both; there is nothing to change";
        return Err(ApiError::field("source", problem));
    }
    let now = body(&item)?;
    let earlier = earlier(&item, &now);
    let body = Body {
        description: input.description.unwrap_or(now.description),
        source: input.source.unwrap_or(now.source),
    };
    let change =
        Note::Item { kind: KIND, id: item.id, version: item.version, body: written(&body) };
    app.engine.store().keep(vec![change, earlier]).await?;
    item = found(&app, &item.id.to_string()).await?;
    Ok(Outcome::new(view(&item)?))
}

pub(crate) async fn delete(app: App, input: DeleteFunction) -> Result<Outcome<Deleted>> {
    let item = found(&app, &input.function).await?;
    if !input.confirm {
        let again = Hint::new("delete_function", "delete it").with("function", input.function);
        let message = format!("this deletes the function {:?} with all its versions", item.name);
        return Err(unconfirmed(message, again.with("confirm", true)));
    }
    let store = app.engine.store();
    store.delete_item(KIND, item.id).await?;
    store.append_entries(&log(item.id), Vec::new(), 0).await?;
    Ok(Outcome::new(Deleted { id: item.id, deleted: true }))
}

/// The function of that name or id.
async fn found(app: &App, name: &str) -> Result<Item> {
    let store = app.engine.store();
    // A name never begins with a digit.
    if let Ok(id) = name.parse::<i64>()
        && let Some(item) = store.item(KIND, id).await?
    {
        return Ok(item);
    }
    let items = store.items(KIND, None).await?;
    if let Some(item) = items.iter().find(|item| item.name == name) {
        return Ok(item.clone());
    }
    let meant = paceline_model::suggest(name, items.iter().map(|item| item.name.as_str()));
    Err(ApiError::new(Code::NotFound, format!("there is no function {name:?}"))
        .meant(meant)
        .hint(Hint::new("list_functions", "see which functions there are")))
}

fn log(id: i64) -> String {
    format!("function_versions:{id}")
}

/// The version that an update takes the place of.
fn earlier(item: &Item, body: &Body) -> Note {
    let body =
        json!({"version": item.version, "description": body.description, "source": body.source});
    let keep = limits::FUNCTION_VERSIONS_KEPT;
    Note::Entries { log: log(item.id), entries: vec![(item.id, body)], keep }
}

fn written(body: &Body) -> Json {
    serde_json::to_value(body).unwrap_or(Json::Null)
}

fn body(item: &Item) -> Result<Body> {
    serde_json::from_value(item.body.clone()).map_err(|error| damaged(item, &error))
}

fn damaged(item: &Item, error: &serde_json::Error) -> ApiError {
    paceline_model::Error::Corrupt(format!("function {}: {error}", item.id)).into()
}

fn line(item: &Item) -> Result<FunctionLine> {
    let body = body(item)?;
    Ok(FunctionLine {
        id: item.id,
        name: item.name.clone(),
        description: body.description,
        version: item.version,
        bytes: body.source.len(),
        created_at: iso(item.created_at),
        updated_at: iso(item.updated_at),
    })
}

fn view(item: &Item) -> Result<FunctionView> {
    Ok(FunctionView { line: line(item)?, source: body(item)?.source })
}
