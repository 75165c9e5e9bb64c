//! The REST face: a route per row of the catalogue, and one adapter for all of them.

mod health;
mod reply;
mod request;

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request, State};
use axum::middleware;
use axum::response::Response;
use axum::routing::{MethodFilter, Router, get, on};
use tokio::sync::Semaphore;

pub(crate) use reply::{Internal, answered, refused};
pub(crate) use request::{check_type, read as read_body, read_up_to};

use crate::catalog::{Caller, Operation, Verb, operations};
use crate::error::{ApiError, Code, Result};
use crate::{App, layers};

/// What every request needs.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) app: App,
    /// Bytes of bodies that may still come in, in units of [`request::BODY_UNIT_BYTES`].
    pub(crate) bodies: Arc<Semaphore>,
    pub(crate) requests: layers::RequestIds,
}

/// Everything that the server answers: `GET /healthz` to anyone, every operation of [`crate::CATALOGUE`] to holders of a key,
/// and an error in the same envelope to the rest.
pub fn router(app: App) -> Router {
    let shared = Arc::new(Shared {
        bodies: Arc::new(Semaphore::new(request::body_units(app.config.bodies_bytes_max))),
        requests: layers::RequestIds::new(&app.clock),
        app,
    });
    let mut guarded = Router::new();
    for operation in operations() {
        let handler =
            move |State(shared): State<Arc<Shared>>, path: PathResult, request: Request| {
                endpoint(operation, shared, path, request)
            };
        guarded = guarded.route(operation.path, on(filter(operation.verb), handler));
    }
    guarded
        .merge(crate::jobs::guarded())
        .merge(crate::mcp::routes())
        .merge(crate::metrics::routes())
        .fallback(no_such_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), layers::authenticate))
        .merge(crate::sources::routes())
        .merge(crate::ws::routes())
        .merge(crate::openapi::routes(&shared.app.config.limits))
        .merge(crate::jobs::open())
        .route("/healthz", get(health::health).fallback(wrong_method))
        .route("/readyz", get(health::ready).fallback(wrong_method))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), layers::frame))
        .with_state(shared)
}

fn filter(verb: Verb) -> MethodFilter {
    match verb {
        Verb::Get => MethodFilter::GET,
        Verb::Post => MethodFilter::POST,
        Verb::Patch => MethodFilter::PATCH,
        Verb::Delete => MethodFilter::DELETE,
    }
}

type PathResult = std::result::Result<RawPathParams, RawPathParamsRejection>;

async fn endpoint(
    operation: &'static Operation,
    shared: Arc<Shared>,
    path: PathResult,
    request: Request,
) -> Response {
    match serve(operation, shared, path, request).await {
        Ok(response) => response,
        Err(error) => refused(&error.attempting(|| operation.name.to_owned())),
    }
}

async fn serve(
    operation: &'static Operation,
    shared: Arc<Shared>,
    path: PathResult,
    request: Request,
) -> Result<Response> {
    let caller = request.extensions().get::<Caller>().cloned();
    let caller = caller.ok_or_else(|| ApiError::internal("a caller passed without a key"))?;
    // Before the body is read.
    operation.allow(&shared.app, &caller)?;
    let path = path
        .map_err(|_| ApiError::field("path", "is not UTF-8 once its percent signs are decoded"))?;
    let (app, timeout) = (shared.app.clone(), operation.timeout(&shared.app.config));
    let deadline = app.clock.sleep(timeout);
    let work = async move {
        let (arguments, held) = request::arguments(operation, &shared, &path, request).await?;
        // In a task of its own: a caller that hangs up, or has no more time, does not leave half of it done.
        let task = tokio::spawn(async move {
            let answer = operation.answer(shared.app.clone(), caller, arguments).await;
            drop(held);
            answer
        });
        task.await
            .map_err(|error| ApiError::internal(format!("{} panicked: {error}", operation.name)))?
    };
    tokio::select! {
        biased;
        answer = work => answer.map(reply::sent),
        () = deadline => {
            let message = format!("no answer within {} ms; it may still take effect", timeout.as_millis());
            Err(ApiError::new(Code::Timeout, message))
        }
    }
}

async fn no_such_route(request: Request) -> Response {
    let path = request.uri().path();
    // Each path once: two operations on one path are no tie.
    let paths: BTreeSet<&str> = operations().map(|operation| operation.path).collect();
    let meant = paceline_model::suggest(path, paths);
    let shown: String = path.chars().take(200).collect();
    let error = ApiError::new(Code::NoSuchRoute, format!("there is nothing at {shown}"))
        .meant(meant)
        .attempting(|| format!("{} {shown}", request.method()))
        .hint(crate::envelope::Hint::new("list_tables", "see which tables there are"));
    refused(&error)
}

pub(crate) async fn wrong_method(request: Request) -> Response {
    let shown: String = request.uri().path().chars().take(200).collect();
    let error = ApiError::new(
        Code::MethodNotAllowed,
        format!("{} is not a method of {shown}", request.method()),
    )
    .attempting(|| format!("{} {shown}", request.method()));
    refused(&error)
}
