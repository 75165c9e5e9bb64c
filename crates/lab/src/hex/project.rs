//! Projects as GetProject and ListProjects tell them, in pages with cursors.

use std::time::Duration;

use paceline_clock::Timestamp;
use serde_json::{Value, json};

use super::config::{HexConfig, HexProject};
use super::query::Query;
use crate::date::iso;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
/// What a cursor begins with. Its rest is nobody's business.
const CURSOR: &str = "c1-";
const OWNER: &str = "owner@example.com";

/// What a listing is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SortBy {
    Created,
    LastEdited,
    LastPublished,
}

/// When a project was created, last edited and last published.
struct Dates {
    created: Timestamp,
    edited: Timestamp,
    published: Option<Timestamp>,
}

impl Dates {
    /// Those of the project at `place`: created in the order of the configuration, and edited in the other one, so that
    /// sorting shows.
    fn of(project: &HexProject, place: usize, lab_began: Timestamp) -> Self {
        let steps = MINUTE * u32::try_from(place).unwrap_or(u32::MAX);
        let edited = lab_began.before(DAY).before(steps);
        Self {
            created: lab_began.before(30 * DAY) + steps,
            edited,
            published: project.published.then(|| edited + MINUTE / 2),
        }
    }
}

/// One project; `place` is its place in the configuration, and `lab_began` when this Hex came to be.
pub(super) fn tell(project: &HexProject, place: usize, lab_began: Timestamp) -> Value {
    let dates = Dates::of(project, place, lab_began);
    let since = |is_set: bool| is_set.then(|| iso(lab_began));
    json!({
        "id": project.id,
        "title": project.title,
        "description": null,
        "type": if project.component { "COMPONENT" } else { "PROJECT" },
        "creator": { "email": OWNER },
        "owner": { "email": OWNER },
        "status": null,
        "categories": [],
        "reviews": { "required": false },
        "analytics": {
            "appViews": {
                "allTime": 0, "lastSevenDays": 0, "lastFourteenDays": 0, "lastThirtyDays": 0,
            },
            "lastViewedAt": null,
            "publishedResultsUpdatedAt": null,
        },
        "lastEditedAt": iso(dates.edited),
        "lastPublishedAt": dates.published.map(iso),
        "createdAt": iso(dates.created),
        "archivedAt": since(project.archived),
        "trashedAt": since(project.trashed),
        "schedules": [],
    })
}

/// One project of a listing or asked for alone, with who it is shared with if that is asked for.
pub(super) fn tell_shared(mut told: Value, is_sharing: bool) -> Value {
    if is_sharing {
        told["sharing"] = json!({
            "users": [{ "user": { "email": OWNER }, "access": "FULL_ACCESS" }],
            "collections": [],
            "groups": [],
            "workspace": { "access": "NONE" },
            "publicWeb": { "access": "NONE" },
            "support": { "access": "NONE" },
        });
    }
    told
}

/// A page of the projects; a refusal says what is wrong with the query.
pub(super) fn page(
    config: &HexConfig,
    query: Query<'_>,
    lab_began: Timestamp,
) -> Result<Value, String> {
    let limit = query.limit()?;
    let is_sharing = query.flag("includeSharing")?;
    let places = sorted(config, query, lab_began)?;
    let at = |cursor: &str| {
        let id = query.text(cursor);
        let place = |id: &str| {
            let id = id.strip_prefix(CURSOR)?;
            places.iter().position(|place| config.projects[*place].id == id)
        };
        id.map(|id| place(&id).ok_or_else(|| format!("{cursor} is no cursor of this listing")))
            .transpose()
    };
    let from = at("after")?.map_or(0, |place| place + 1);
    let (from, to) = match at("before")? {
        Some(before) => (from.max(before.saturating_sub(limit)), before),
        None => (from, places.len().min(from + limit)),
    };
    let page = places.get(from..to).unwrap_or_default();
    let cursor = |place: &usize| format!("{CURSOR}{}", config.projects[*place].id);
    let values = page
        .iter()
        .map(|place| tell_shared(tell(&config.projects[*place], *place, lab_began), is_sharing));
    Ok(json!({
        "values": values.collect::<Vec<_>>(),
        "pagination": {
            "after": page.last().filter(|_| to < places.len()).map(cursor),
            "before": page.first().filter(|_| from > 0).map(cursor),
        },
    }))
}

/// The places of the projects that a query asks for, in its order.
fn sorted(
    config: &HexConfig,
    query: Query<'_>,
    lab_began: Timestamp,
) -> Result<Vec<usize>, String> {
    let archived = query.flag("includeArchived")?;
    let trashed = query.flag("includeTrashed")?;
    let components = query.flag("includeComponents")?;
    let sort_by = query.word(
        "sortBy",
        &[
            ("CREATED_AT", SortBy::Created),
            ("LAST_EDITED_AT", SortBy::LastEdited),
            ("LAST_PUBLISHED_AT", SortBy::LastPublished),
        ],
    )?;
    let is_descending = query.word("sortDirection", &[("ASC", false), ("DESC", true)])?;
    let is_asked_for = |place: &usize| {
        let project = &config.projects[*place];
        (archived || !project.archived)
            && (trashed || !project.trashed)
            && (components || !project.component)
    };
    let mut places: Vec<usize> = (0..config.projects.len()).filter(is_asked_for).collect();
    places.sort_by_key(|place| {
        let dates = Dates::of(&config.projects[*place], *place, lab_began);
        match sort_by.unwrap_or(SortBy::Created) {
            SortBy::Created => Some(dates.created),
            SortBy::LastEdited => Some(dates.edited),
            SortBy::LastPublished => dates.published,
        }
    });
    if is_descending.unwrap_or(false) {
        places.reverse();
    }
    Ok(places)
}
