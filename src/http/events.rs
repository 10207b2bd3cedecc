//! The latest events and their pictures.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Board;
use super::problem::Problem;
use super::table::{Answer, Operation};
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

#[derive(Serialize, JsonSchema)]
struct Events {
    /// The newest first.
    events: Vec<GalleryEvent>,
}

pub fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/api/events", "events", "The latest events, the newest first", get(list))
            .details("In memory only: at most 512, 64 of a camera.")
            .query("camera", "Only those of this camera", json!({ "type": "string" }))
            .query("limit", "At most so many", json!({ "type": "integer", "minimum": 0, "default": USUAL }))
            .answer(Answer::json::<Events>("Each with the address of its picture, where there is one"))
            .problem(404, "No such camera on this node"),
        Operation::get(
            "/api/events/{id}/picture.jpg",
            "eventPicture",
            "The picture of an event, with its boxes",
            get(picture),
        )
        .tag("pictures")
        .answer(Answer::media("image/jpeg").says("The picture"))
        .problem(404, "No such event, or no picture of it"),
    ]
}

async fn list(State(board): State<Arc<dyn Board>>, Query(wanted): Query<Wanted>) -> Result<Json<Events>, Problem> {
    let camera = match wanted.camera.map(|name| name.parse::<Name>()) {
        None => None,
        Some(Ok(camera)) if board.cameras().iter().any(|state| state.camera == camera) => Some(camera),
        Some(_) => {
            return Err(Problem::missing("unknown_camera", "no such camera on this node; /api/cameras names them"));
        }
    };
    let events = board.feed().gallery().latest(camera.as_ref(), wanted.limit.unwrap_or(USUAL));
    Ok(Json(Events { events }))
}

async fn picture(State(board): State<Arc<dyn Board>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let kept = board.feed().gallery().picture(&id);
    let jpeg = kept.ok_or_else(|| {
        Problem::missing("no_picture", "no such event, or no picture of it: only the latest are kept, in memory")
    })?;
    // It never changes: the id names the boot too.
    let headers = [(header::CONTENT_TYPE, codec::JPEG), (header::CACHE_CONTROL, "private, max-age=86400, immutable")];
    Ok((headers, jpeg).into_response())
}
