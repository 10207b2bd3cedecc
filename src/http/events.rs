//! The latest events and their pictures.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::Board;
use super::routes::missing;
use crate::codec;
use crate::domain::Name;
use crate::live::GalleryEvent;

/// When `limit` is absent.
const USUAL: usize = 50;

#[derive(Deserialize)]
pub struct Wanted {
    camera: Option<String>,
    limit: Option<usize>,
}

#[derive(Serialize)]
struct Events {
    /// The newest first.
    events: Vec<GalleryEvent>,
}

pub async fn list(State(board): State<Arc<dyn Board>>, Query(wanted): Query<Wanted>) -> Response {
    let camera = match wanted.camera.map(|name| name.parse::<Name>()) {
        None => None,
        Some(Ok(camera)) if board.cameras().iter().any(|state| state.camera == camera) => Some(camera),
        Some(_) => return missing("no such camera on this node"),
    };
    let events = board.feed().gallery().latest(camera.as_ref(), wanted.limit.unwrap_or(USUAL));
    Json(Events { events }).into_response()
}

pub async fn picture(State(board): State<Arc<dyn Board>>, Path(id): Path<String>) -> Response {
    match board.feed().gallery().picture(&id) {
        // An event's picture never changes, but its id may mean another event after the node's next start.
        Some(jpeg) => ([(header::CONTENT_TYPE, codec::JPEG), (header::CACHE_CONTROL, "private, max-age=60")], jpeg)
            .into_response(),
        None => missing("no such event, or no picture of it (only the latest are kept, in memory)"),
    }
}
