//! The router: the table's paths behind gate and limits.

use std::sync::Arc;

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use axum::{Router, middleware};

use super::gate::{self, Gate};
use super::limits::{self, Limits};
use super::problem::{self, Problem};
use super::table::Operation;
use super::{Board, HttpConfig, api, assets, commands, events, frames, openapi, video, ws};

/// Scripts, styles and pictures are this node's own files; nothing stands in the page itself, and no page shows ours in a frame.
const POLICY: &str = "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; worker-src 'self' blob:; \
    object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const HEADERS: [(HeaderName, &str); 8] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    // With `no-referrer` a browser says `Origin: null` even for our own login form.
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=(), display-capture=()"),
    // What a camera sees is not for a shared cache.
    (header::CACHE_CONTROL, "no-store"),
];

/// Every path there is.
pub fn operations() -> Vec<Operation> {
    let rooms = [
        assets::operations(),
        api::operations(),
        events::operations(),
        ws::operations(),
        commands::operations(),
        frames::operations(),
        gate::operations(),
        openapi::operations(),
        video::operations(),
    ];
    rooms.into_iter().flatten().collect()
}

pub fn router(board: Arc<dyn Board>, gate: Gate, config: &HttpConfig) -> Router {
    let operations = operations();
    let limits = Arc::new(Limits::new(config, &operations));
    let paths =
        operations.into_iter().fold(Router::new(), |router, operation| router.route(operation.path, operation.handler));
    paths
        .fallback(|| async {
            Problem::missing("not_found", "nothing is here; / is the live page, /api/openapi.json names every path")
        })
        .layer(middleware::from_fn_with_state(limits, limits::limit))
        .layer(middleware::from_fn_with_state(Arc::new(gate), gate::guard))
        .layer(middleware::map_response(problem::worded))
        .layer(middleware::map_response(headers))
        .with_state(board)
}

/// A handler that says one of these itself is heeded.
async fn headers(mut response: Response) -> Response {
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}
