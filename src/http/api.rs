//! What is read: the node, its cameras, metrics, health.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::Serialize;

use super::gate::Standing;
use super::problem::Problem;
use super::table::{Answer, Operation};
use super::{Board, Readiness};
use crate::envelope::{CameraState, Detections, NodeState};
use crate::telemetry::Format;

pub type Shared = State<Arc<dyn Board>>;

/// A camera as the API shows it.
#[derive(Serialize, JsonSchema)]
struct CameraView {
    #[serde(flatten)]
    state: CameraState,
    /// The latest detections message; absent when the camera is not running.
    #[serde(skip_serializing_if = "Option::is_none")]
    latest: Option<Arc<Detections>>,
}

pub fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/api/cameras", "cameras", "All cameras of this node", get(cameras)).answer(Answer::json::<
            Vec<CameraView>,
        >(
            "Each with its state and its latest message",
        )),
        Operation::get("/api/cameras/{camera}", "camera", "One camera", get(camera))
            .answer(Answer::json::<CameraView>("Its state and its latest message"))
            .problem(404, "No such camera on this node"),
        Operation::get("/api/node", "node", "The node: version, cameras, models, buses", get(node))
            .answer(Answer::json::<NodeState>("As on its `state` topic")),
        Operation::get("/cameras/{camera}/keyframe.jpg", "keyframe", "The camera's last keyframe", get(keyframe))
            .tag("pictures")
            .answer(Answer::media("image/jpeg").says("The picture"))
            .problem(404, "No such camera, or no keyframe of it yet"),
        Operation::get("/metrics", "metrics", "Metrics for Prometheus", get(metrics))
            .tag("health")
            .details("In the form that `Accept` prefers: `text/plain` (format 0.0.4, also for whoever names none of these), `application/openmetrics-text`, or `application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited`, which has native histograms beside the classic ones.")
            .answer(Answer::text("Text format 0.0.4, or what was asked for")),
        Operation::get("/healthz", "health", "The process lives", get(|| async { "ok\n" }))
            .tag("health")
            .details("Open without a token and under any Host.")
            .answer(Answer::text("`ok`")),
        Operation::get("/readyz", "ready", "Whether buses are connected and cameras run", get(readyz))
            .tag("health")
            .details("Whoever brings no token, where one is needed, or calls the node by a name it does not know, is told `ready` alone, without the parts.")
            .answer(Answer::json::<Readiness>("All is well"))
            .answer(Answer::json::<Readiness>("Something is not; the parts say what").status(503)),
    ]
}

async fn cameras(State(board): Shared) -> Json<Vec<CameraView>> {
    let view = |state: CameraState| CameraView { latest: board.latest(state.camera.as_str()), state };
    Json(board.cameras().into_iter().map(view).collect())
}

async fn camera(State(board): Shared, Path(name): Path<String>) -> Result<Json<CameraView>, Problem> {
    let found = board.cameras().into_iter().find(|state| state.camera.as_str() == name);
    let view = |state| Json(CameraView { latest: board.latest(&name), state });
    found
        .map(view)
        .ok_or_else(|| Problem::missing("unknown_camera", "no such camera on this node; /api/cameras names them"))
}

async fn node(State(board): Shared) -> Json<NodeState> {
    Json(board.node())
}

async fn keyframe(State(board): Shared, Path(name): Path<String>) -> Response {
    match board.keyframe(&name) {
        Some(jpeg) => ([(header::CONTENT_TYPE, "image/jpeg")], jpeg).into_response(),
        None => Problem::missing("no_keyframe", "no such camera, or no keyframe of it yet (is `keyframes` set?)")
            .into_response(),
    }
}

async fn metrics(State(board): Shared, headers: HeaderMap) -> Response {
    let wanted: Vec<&str> = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let format = Format::accepted(&wanted.join(","));
    // Thousands of series take a while to write.
    let Ok(page) = tokio::task::spawn_blocking(move || board.metrics(format)).await else {
        return Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "the page could not be written")
            .into_response();
    };
    ([(header::CONTENT_TYPE, format.content_type()), (header::VARY, "Accept")], page).into_response()
}

async fn readyz(State(board): Shared, Extension(standing): Extension<Standing>) -> Response {
    let mut readiness = board.readiness();
    if standing == Standing::Stranger {
        readiness = Readiness { ready: readiness.ready, buses: Vec::new(), cameras: Vec::new(), spools: Vec::new() };
    }
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness)).into_response()
}
