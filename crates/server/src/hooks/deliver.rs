//! Making deliveries, one at a time per webhook so that they arrive in order, and trying again what did not arrive.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use paceline_clock::Timestamp;
use paceline_engine::{FetchReply, FetchRequest, SIGNATURE, signed};
use paceline_model::{Note, Table, limits};
use serde_json::{Value as Json, json};

use super::kept::{Delivery, Hook, Kept};
use super::payload::{self, id_of};
use super::retry::{dead, wait};
use super::signing_place;
use crate::App;
use crate::error::{ApiError, Code, Result};
use crate::follow::Watch;
use crate::kept::{self, Standing};
use crate::sources::{Way, open, opened_headers, place_of};

/// The log of tries.
pub(crate) const DELIVERY_LOG: &str = "delivery";
const DELIVERY: HeaderName = HeaderName::from_static("x-paceline-delivery");
const EVENT: HeaderName = HeaderName::from_static("x-paceline-event");

/// What a turn of a webhook came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// There may be more to do at once.
    More,
    /// Nothing until then.
    Wait(Timestamp),
    /// Nothing until something changes.
    Idle,
}

/// Does the next thing for a webhook: looks what is news, or delivers it.
pub(crate) async fn tick(app: &App, id: i64) -> Result<Turn> {
    let turn = app.sources.turn(id);
    let _turn = turn.lock().await;
    let Some(mut kept) = kept::load::<Hook>(app, id).await? else { return Ok(Turn::Idle) };
    if !kept.asked.enabled {
        return Ok(Turn::Idle);
    }
    let table = app.engine.store().table(&kept.table().to_string()).await?;
    let Some(table) = table else { return Ok(Turn::Idle) };
    let fits =
        kept.asked.field_mapping.bind(&table, Way::Out).and_then(|_| kept.asked.watch(&table));
    let watch = match fits {
        Ok(watch) => watch,
        Err(error) => {
            // It does not fit its table any more; a person has to change it.
            disable(app, kept, error.0.message).await?;
            return Ok(Turn::Idle);
        }
    };
    if kept.state.delivery.is_none() && kept.state.queue.is_empty() {
        return find(app, &mut kept, &table, &watch).await;
    }
    deliver(app, &mut kept, &table).await
}

async fn find(app: &App, kept: &mut Kept, table: &Table, watch: &Watch) -> Result<Turn> {
    let step = kept.state.position.step(app, table, watch).await?;
    if !step.moved {
        return Ok(Turn::Idle);
    }
    kept.state.queue.extend(step.rows);
    let mut notes = step.notes;
    notes.push(kept.note());
    app.engine.store().keep(notes).await?;
    kept.saved();
    Ok(Turn::More)
}

async fn deliver(app: &App, kept: &mut Kept, table: &Table) -> Result<Turn> {
    let now = app.clock.wall();
    if let Some(delivery) = &kept.state.delivery
        && delivery.due.at() > now
    {
        return Ok(Turn::Wait(delivery.due.at()));
    }
    let Some((delivery, body)) = begin(app, kept, table).await? else {
        return Ok(Turn::More);
    };
    let id = id_of(kept.item.id, delivery.number);
    let sent = send(app, kept, &id, body).await;
    conclude(app, kept, delivery, &sent).await
}

/// The delivery to send now and its body, on record before anything is sent. `None` if there was nothing left of it.
async fn begin(app: &App, kept: &mut Kept, table: &Table) -> Result<Option<(Delivery, String)>> {
    let store = app.engine.store();
    if let Some(delivery) = kept.state.delivery.clone() {
        let rows: Vec<i64> = delivery.rows.rows().collect();
        if let Some(payload) =
            payload::build(app, kept, table, delivery.number, &rows, true).await?
        {
            return Ok(Some((delivery, payload.body)));
        }
        let line = line(kept, &delivery, "skipped", None, Some("its rows were deleted"));
        kept.state.delivery = None;
        store.keep(vec![kept.note(), line]).await?;
        return Ok(None);
    }
    let most = if kept.asked.batch { limits::DELIVERY_ROWS_MAX } else { 1 };
    let taken: Vec<i64> = kept.state.queue.take(most).rows().collect();
    let number = kept.state.begun + 1;
    let Some(payload) = payload::build(app, kept, table, number, &taken, false).await? else {
        store.keep(vec![kept.note()]).await?;
        return Ok(None);
    };
    kept.state.queue.put_back(payload.rest);
    let mut rows = super::queue::Queue::default();
    rows.extend(payload.told.into_iter().map(paceline_model::RowId));
    let due = app.clock.wall().into();
    let delivery = Delivery { number, rows, tries: 0, due };
    kept.state.begun = number;
    kept.state.delivery = Some(delivery.clone());
    store.keep(vec![kept.note()]).await?;
    kept.saved();
    Ok(Some((delivery, payload.body)))
}

/// What came of a try: the status, or why there is none.
type Sent = std::result::Result<FetchReply, String>;

async fn send(app: &App, kept: &Kept, id: &str, body: String) -> Sent {
    let (hook, state) = (&kept.asked, kept.asked.state);
    let mut headers = opened_headers(app, &hook.headers, &place_of(Hook::KIND, state, &hook.url))?;
    let secret = open(app, &hook.secret, &signing_place(state))?;
    let signature = signed(&secret, app.clock.wall(), body.as_bytes());
    let own = [(SIGNATURE, signature), (DELIVERY, id.to_owned())];
    headers.retain(|(name, _)| *name != CONTENT_TYPE);
    headers.push((CONTENT_TYPE, HeaderValue::from_static("application/json")));
    headers.push((EVENT, HeaderValue::from_static(hook.trigger.as_str())));
    for (name, value) in own {
        let value = HeaderValue::from_str(&value).map_err(|error| error.to_string())?;
        headers.push((name, value));
    }
    let request = FetchRequest {
        method: Method::POST,
        headers,
        body: Some(Bytes::from(body)),
        timeout: limits::DELIVERY_TIMEOUT,
        // What it says is nobody's concern, only that it says yes.
        reply_bytes_max: 1_024,
        ..FetchRequest::get(hook.url.clone())
    };
    app.engine.fetch(request).await.map_err(|error| error.to_string())
}

/// Writes down what came of a try, and what comes next.
async fn conclude(app: &App, kept: &mut Kept, mut delivery: Delivery, sent: &Sent) -> Result<Turn> {
    let now = app.clock.wall();
    let status = sent.as_ref().ok().map(|reply| reply.status);
    let problem = match sent {
        Ok(reply) if (200..300).contains(&reply.status) => None,
        Ok(reply) => Some(format!("it was answered with status {}", reply.status)),
        Err(problem) => Some(problem.clone()),
    };
    delivery.tries += 1;
    kept.state.last_delivery = Some(now.into());
    kept.state.last_error.clone_from(&problem);
    let Some(problem) = problem else {
        let line = line(kept, &delivery, "delivered", status, None);
        let state = &mut kept.state;
        state.delivery = None;
        state.delivered += 1;
        (state.failed_in_a_row, state.failing_since) = (0, None);
        app.engine.store().keep(vec![kept.note(), line]).await?;
        return Ok(Turn::More);
    };
    let since = *kept.state.failing_since.get_or_insert(now.into());
    let gone = status == Some(StatusCode::GONE.as_u16());
    let given_up = gone || delivery.tries >= limits::DELIVERY_TRIES_MAX;
    if given_up {
        kept.state.failed += 1;
        kept.state.failed_in_a_row += 1;
        kept.state.delivery = None;
    } else {
        delivery.due = (now + wait(app, delivery.tries, sent.as_ref().ok(), now)).into();
        kept.state.delivery = Some(delivery.clone());
    }
    let what = if given_up { "failed" } else { "retrying" };
    let mut notes = vec![line(kept, &delivery, what, status, Some(&problem)), kept.note()];
    let reason = dead(kept, gone, now.since(since.at()), &problem);
    if let Some(reason) = reason {
        kept.asked.enabled = false;
        kept.asked.reason = Some(reason);
        notes.push(kept.asked_note());
    }
    app.engine.store().keep(notes).await?;
    if !kept.asked.enabled {
        app.sources.changed();
        return Ok(Turn::Idle);
    }
    Ok(if given_up { Turn::More } else { Turn::Wait(delivery.due.at()) })
}

/// A line of the log.
fn line(
    kept: &Kept,
    delivery: &Delivery,
    status: &str,
    http_status: Option<u16>,
    error: Option<&str>,
) -> Note {
    let next = (status == "retrying").then_some(delivery.due);
    let error =
        error.map(|text| text.chars().take(limits::ERROR_BYTES_MAX / 4).collect::<String>());
    let body = json!({
        "delivery": id_of(kept.item.id, delivery.number),
        "status": status,
        "attempt": delivery.tries,
        "rows": delivery.rows.len(),
        "http_status": http_status,
        "error": error,
        "next_attempt_at": next,
    });
    let entries = vec![(kept.item.id, body)];
    Note::Entries { log: DELIVERY_LOG.to_owned(), entries, keep: limits::DELIVERIES_KEPT }
}

async fn disable(app: &App, mut kept: Kept, reason: String) -> Result<()> {
    kept.asked.enabled = false;
    kept.asked.reason = Some(reason);
    app.engine.store().keep(vec![kept.asked_note()]).await?;
    app.sources.changed();
    Ok(())
}

/// Sends a sample, once and now; answers the status it was answered with.
pub(crate) async fn sample(app: &App, kept: &Kept, table: &Table) -> Result<(Json, Option<u16>)> {
    let body = payload::sample(kept, table, 0)?;
    let shown: Json = serde_json::from_str(&body).unwrap_or(Json::Null);
    let sent = send(app, kept, &id_of(kept.item.id, 0), body).await;
    let due = app.clock.wall().into();
    let delivery = Delivery { number: 0, rows: Default::default(), tries: 1, due };
    let (status, problem) = match &sent {
        Ok(reply) if (200..300).contains(&reply.status) => (Some(reply.status), None),
        Ok(reply) => {
            (Some(reply.status), Some(format!("it was answered with status {}", reply.status)))
        }
        Err(problem) => (None, Some(problem.clone())),
    };
    let line = line(kept, &delivery, "test", status, problem.as_deref());
    app.engine.store().keep(vec![line]).await?;
    match problem {
        None => Ok((shown, status)),
        Some(problem) => {
            let message = format!("the sample did not arrive: {problem}");
            Err(ApiError::new(Code::UpstreamError, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_whose_and_which_it_is() {
        assert_eq!(id_of(12, 7), "whd_12_7");
    }
}
