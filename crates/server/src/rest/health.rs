//! Whether the server is there; all that anyone may know without a key.

use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use super::{answered, refused};
use crate::envelope::{self, Outcome};

#[derive(Debug, Serialize)]
struct Health {
    status: &'static str,
    version: &'static str,
}

pub(super) async fn health() -> Response {
    let health = Health { status: "ok", version: env!("CARGO_PKG_VERSION") };
    match envelope::success(&Outcome::new(health)) {
        Ok(body) => answered(StatusCode::OK, body),
        Err(error) => refused(&error),
    }
}
