//! Whether the server is there, and whether it can work: all that anyone may know without a key.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use super::{Shared, answered, refused};
use crate::App;
use crate::envelope::{self, Outcome};
use crate::error::{ApiError, Code, Result};

/// A store that takes longer than this for one small question is not ready for large ones.
const READY_WITHIN: Duration = Duration::from_secs(1);
/// What is asked of it: a setting that nobody sets.
const QUESTION: &str = "ready";

#[derive(Debug, Serialize)]
struct Health {
    status: &'static str,
    version: &'static str,
}

/// It answers, so it lives.
pub(super) async fn health() -> Response {
    told("ok")
}

/// Whether it makes sense to send it requests.
pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    match check(&shared.app).await {
        Ok(()) => told("ready"),
        Err(error) => refused(&error.attempting(|| "GET /readyz".to_owned())),
    }
}

async fn check(app: &App) -> Result<()> {
    if app.vitals.is_stopping() {
        return Err(ApiError::new(Code::NotReady, "the server is stopping"));
    }
    tokio::select! {
        biased;
        answer = app.engine.store().setting(QUESTION) => match answer {
            Ok(_) => Ok(()),
            Err(error) => Err(ApiError::from(error).recode(Code::DatabaseError, Code::NotReady)),
        },
        () = app.clock.sleep(READY_WITHIN) => {
            Err(ApiError::new(Code::NotReady, "the database does not answer within a second"))
        }
    }
}

fn told(status: &'static str) -> Response {
    let health = Health { status, version: env!("CARGO_PKG_VERSION") };
    match envelope::success(&Outcome::new(health)) {
        Ok(body) => answered(StatusCode::OK, body),
        Err(error) => refused(&error),
    }
}
