//! The API in a browser: Swagger UI, whose files are part of this program. Its page may load nothing from elsewhere and
//! talk to nobody but this server.

use std::sync::{Arc, LazyLock};

use axum::body::Body;
use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{Router, get};
use http::HeaderValue;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use utoipa_swagger_ui::{Config, serve};

use crate::error::{ApiError, Code};
use crate::rest::{Shared, refused};

/// Its styles are set from its scripts, and its icons stand in its styles; beyond that it needs this server only.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    let config = Config::from("/openapi.json")
        // Else it sends the document's address to a service that checks documents.
        .validator_url("none")
        .display_operation_id(true)
        .doc_expansion("none")
        .filter(true)
        .try_it_out_enabled(true)
        // A key that was typed in is gone when the page is.
        .persist_authorization(false);
    Arc::new(config)
});

/// `/docs`, for anyone: the page has no data in it, and asks for a key before it calls.
pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/docs", get(async || Redirect::permanent("/docs/")))
        .route("/docs/", get(async || file("index.html")))
        .route("/docs/{file}", get(async |Path(name): Path<String>| file(&name)))
}

fn file(name: &str) -> Response {
    let (bytes, kind) = match serve(name, Arc::clone(&CONFIG)) {
        Ok(Some(file)) => (file.bytes.into_owned(), file.content_type),
        Ok(None) => {
            let shown: String = name.chars().take(200).collect();
            let error =
                ApiError::new(Code::NoSuchRoute, format!("there is nothing at /docs/{shown}"));
            return refused(&error.fix("begin at /docs").attempting(|| "GET /docs".to_owned()));
        }
        Err(error) => {
            return refused(
                &ApiError::internal(error.to_string()).attempting(|| "GET /docs".to_owned()),
            );
        }
    };
    let headers = [
        (
            CONTENT_TYPE,
            HeaderValue::from_str(&kind).unwrap_or(HeaderValue::from_static("text/plain")),
        ),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        // The next version of this program has other files under the same names.
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, Body::from(bytes)).into_response()
}
