//! What works by itself, at rest: an item that says what a person asked for, and beside it another one, its state, that says
//! how far it has come. The state is written often, and in the transactions of the work; what was asked for only by people.

use paceline_model::{Item, NewItem, Note, Table, TableId, limits};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::App;
use crate::error::{ApiError, Code, Result};

/// What a person asks for that then works by itself.
pub(crate) trait Standing: Serialize + DeserializeOwned {
    /// How far it has come.
    type State: Serialize + DeserializeOwned;
    /// What it is called in the registry, and to people.
    const KIND: &'static str;
    /// What its states are called in the registry.
    const STATE_KIND: &'static str;

    /// The item with its state.
    fn state_item(&self) -> i64;
}

/// One of them as it was read.
#[derive(Clone, Debug)]
pub(crate) struct Kept<T: Standing> {
    pub(crate) item: Item,
    pub(crate) asked: T,
    pub(crate) state: T::State,
    state_version: i64,
}

impl<T: Standing> Kept<T> {
    /// The table that it belongs to.
    pub(crate) fn table(&self) -> TableId {
        self.item.table.unwrap_or(TableId(0))
    }

    /// What writes its state. Once it is written, this was an earlier reading; see [`Kept::saved`].
    pub(crate) fn note(&self) -> Note {
        let (id, version) = (self.asked.state_item(), self.state_version);
        Note::Item { kind: T::STATE_KIND, id, version, body: body_of(&self.state) }
    }

    /// What writes that which was asked for.
    pub(crate) fn asked_note(&self) -> Note {
        let (id, version) = (self.item.id, self.item.version);
        Note::Item { kind: T::KIND, id, version, body: body_of(&self.asked) }
    }

    /// Writes its state, which counts as read again.
    pub(crate) async fn save(&mut self, app: &App) -> Result<()> {
        app.engine.store().keep(vec![self.note()]).await?;
        self.saved();
        Ok(())
    }

    /// After [`Kept::note`] has been written.
    pub(crate) fn saved(&mut self) {
        self.state_version += 1;
    }
}

/// The one of that id, and its state; `None` if there is none.
pub(crate) async fn load<T: Standing>(app: &App, id: i64) -> Result<Option<Kept<T>>> {
    match app.engine.store().item(T::KIND, id).await? {
        Some(item) => read(app, item).await.map(Some),
        None => Ok(None),
    }
}

/// The one that an item holds.
pub(crate) async fn read<T: Standing>(app: &App, item: Item) -> Result<Kept<T>> {
    let damaged = |what: &str| {
        let problem = format!("{} {}: {what}", T::KIND, item.id);
        ApiError::from(paceline_model::Error::Corrupt(problem))
    };
    let asked: T =
        serde_json::from_value(item.body.clone()).map_err(|error| damaged(&error.to_string()))?;
    let state = app.engine.store().item(T::STATE_KIND, asked.state_item()).await?;
    let state = state.ok_or_else(|| damaged("it has no state"))?;
    let state_version = state.version;
    let state = serde_json::from_value(state.body).map_err(|error| damaged(&error.to_string()))?;
    Ok(Kept { item, asked, state, state_version })
}

/// Makes one. `asked` is told the id of the state, to which secrets are bound.
///
/// # Errors
/// There are as many as there may be; or `asked` refuses, and then nothing is left of it.
pub(crate) async fn make<T: Standing>(
    app: &App,
    table: &Table,
    name: &str,
    state: T::State,
    asked: impl FnOnce(i64) -> Result<T>,
) -> Result<Kept<T>> {
    let store = app.engine.store();
    if store.items(T::KIND, None).await?.len() >= limits::SOURCES_MAX {
        let message = format!("there are {} {}s; delete one first", limits::SOURCES_MAX, T::KIND);
        return Err(ApiError::new(Code::Conflict, message));
    }
    let state_name = format!("{:016x}", app.random.next_u64());
    let table = Some(table.id);
    let new = NewItem { kind: T::STATE_KIND, table, name: state_name, body: body_of(&state) };
    let state_item = store.create_item(new).await?;
    let made = async {
        let asked = asked(state_item.id)?;
        let body = body_of(&asked);
        let new = NewItem { kind: T::KIND, table, name: name.to_owned(), body };
        Ok((store.create_item(new).await?, asked))
    }
    .await;
    match made {
        Ok((item, asked)) => {
            app.sources.changed();
            Ok(Kept { item, asked, state, state_version: state_item.version })
        }
        Err(error) => {
            store.delete_item(T::STATE_KIND, state_item.id).await?;
            Err(error)
        }
    }
}

/// Takes one away with its state. What else belongs to it is the caller's.
pub(crate) async fn forget<T: Standing>(app: &App, kept: &Kept<T>) -> Result<()> {
    let store = app.engine.store();
    store.delete_item(T::KIND, kept.item.id).await?;
    store.delete_item(T::STATE_KIND, kept.asked.state_item()).await?;
    Ok(())
}

fn body_of(what: &impl Serialize) -> Json {
    serde_json::to_value(what).unwrap_or(Json::Null)
}
