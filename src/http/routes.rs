//! The paths.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router, middleware};
use serde::Serialize;

use super::{Board, auth};
use crate::envelope::{CameraState, Detections, NodeState};

const PAGE: &str = include_str!("page.html");

type Shared = State<Arc<dyn Board>>;

/// A camera as the API shows it.
#[derive(Serialize)]
struct CameraView {
    #[serde(flatten)]
    state: CameraState,
    /// The latest detections message; absent when the camera is not running.
    #[serde(skip_serializing_if = "Option::is_none")]
    latest: Option<Arc<Detections>>,
}

pub fn router(board: Arc<dyn Board>, token: auth::Token) -> Router {
    Router::new()
        .route("/", get(|| async { Html(PAGE) }))
        .route("/api/cameras", get(cameras))
        .route("/api/cameras/{camera}", get(camera))
        .route("/api/node", get(node))
        .route("/cameras/{camera}/keyframe.jpg", get(keyframe))
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .merge(super::whep::routes())
        .fallback(|| async {
            missing("nothing is here; see / for the live page, /api/cameras, /api/node, /metrics, /readyz")
        })
        .layer(middleware::from_fn_with_state(token, auth::guard))
        .layer(middleware::map_response(headers))
        .with_state(board)
}

async fn cameras(State(board): Shared) -> Json<Vec<CameraView>> {
    let view = |state: CameraState| CameraView { latest: board.latest(state.camera.as_str()), state };
    Json(board.cameras().into_iter().map(view).collect())
}

async fn camera(State(board): Shared, Path(name): Path<String>) -> Response {
    match board.cameras().into_iter().find(|state| state.camera.as_str() == name) {
        Some(state) => Json(CameraView { latest: board.latest(&name), state }).into_response(),
        None => missing("no such camera on this node"),
    }
}

async fn node(State(board): Shared) -> Json<NodeState> {
    Json(board.node())
}

async fn keyframe(State(board): Shared, Path(name): Path<String>) -> Response {
    match board.keyframe(&name) {
        Some(jpeg) => {
            ([(header::CONTENT_TYPE, "image/jpeg"), (header::CACHE_CONTROL, "no-store")], jpeg).into_response()
        }
        None => missing("no such camera, or no keyframe of it yet (is `keyframes` set?)"),
    }
}

async fn metrics(State(board): Shared) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], board.metrics()).into_response()
}

async fn readyz(State(board): Shared) -> Response {
    let readiness = board.readiness();
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness)).into_response()
}

/// Problem details, RFC 9457.
fn missing(detail: &str) -> Response {
    let body = serde_json::json!({ "title": "Not Found", "status": 404, "detail": detail }).to_string();
    (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
}

async fn headers(mut response: Response) -> Response {
    let policy = "default-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src 'self' data: blob:; frame-ancestors 'none'";
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("content-security-policy"), policy),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
