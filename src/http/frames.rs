//! Pictures in: a program pushes what it renders.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::put;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::api::Shared;
use super::media;
use super::problem::Problem;
use super::table::{Answer, Body, Kind, Operation};
use crate::domain::{Name, Timestamp};

const PICTURES: &[&str] = &["image/jpeg", "image/png"];
/// Lines with a picture, and letters in a line.
const LINES: usize = 16;
const LETTERS: usize = 500;

/// A picture as a program sent it.
#[derive(Debug)]
pub struct PushedPicture {
    /// JPEG or PNG, not yet decoded.
    pub bytes: Bytes,
    pub text: Vec<String>,
    /// When it was captured; now, when the program does not say.
    pub timestamp: Option<Timestamp>,
}

/// Why a picture was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushRefusal {
    UnknownCamera,
    /// Its pictures come from elsewhere.
    NotPushed,
    Stopped,
    Paused,
    /// It will not run, and why.
    Failed(String),
    /// Its session has not begun, or is beginning anew.
    NotThere,
    Full,
    Undecodable(String),
}

/// The picture was taken and is on its way to the model.
#[derive(Serialize, JsonSchema)]
struct Taken {
    camera: Name,
    /// The `frame.id` of its detections message.
    frame_id: u64,
}

pub fn operations() -> Vec<Operation> {
    let text = json!({ "type": "array", "maxItems": LINES, "items": { "type": "string", "maxLength": LETTERS } });
    let moment = json!({ "oneOf": [{ "type": "number" }, { "type": "string", "format": "date-time" }] });
    vec![
        Operation::put("/cameras/{camera}/frame", "pushFrame", "Hand a picture to a camera whose source is `push:`", put(frame))
            .tag("pictures")
            .kind(Kind::Picture)
            .details(
                "With `queue.when_full: block` the request waits for room in the camera's queue (20 s at most, then 429); with `drop_oldest` a full \
                 queue is answered with 429 at once. A picture that was taken goes to the model, unless `max_fps` passes it over or the camera is \
                 stopped first; either is counted in `sightwire_frames_total`.",
            )
            .query("text", "A line that is shown with the picture; may be repeated", text)
            .query("timestamp", "When it was captured: seconds since the Unix epoch, or RFC 3339 in UTC; absent = now", moment)
            .body(Body::media("The picture", PICTURES))
            .answer(Answer::json::<Taken>("Taken").status(202))
            .problem(404, "No such camera on this node")
            .problem(409, "Not now: `stopped`, `paused`, `camera_failed`; or not this camera: `not_pushed`")
            .problem(422, "Not a picture, or an absurd one; or a text or time that cannot be")
            .problem(429, "Its queue is full: `queue_full`; or too many wrong tokens")
            .problem(503, "The camera is only starting: `not_there`; or too much at once"),
    ]
}

async fn frame(
    State(board): Shared,
    Path(camera): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Problem> {
    let name: Name = camera.parse().map_err(|_| refused(PushRefusal::UnknownCamera))?;
    if !media::is_one_of(&headers, PICTURES) {
        return Err(media::unsupported("send the picture itself with Content-Type: image/jpeg or image/png"));
    }
    let (text, timestamp) = asked(&query.unwrap_or_default())?;
    let picture = PushedPicture { bytes, text, timestamp };
    let frame_id = board.push(&camera, picture).await.map_err(refused)?;
    Ok((StatusCode::ACCEPTED, Json(Taken { camera: name, frame_id })).into_response())
}

/// Lines of text and the time of capture.
fn asked(query: &str) -> Result<(Vec<String>, Option<Timestamp>), Problem> {
    let (mut text, mut timestamp) = (Vec::new(), None);
    for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match key.as_ref() {
            "text" => text.extend(value.lines().map(str::to_owned)),
            "timestamp" => timestamp = Some(moment(&value)?),
            _ => {
                return Err(Problem::new(StatusCode::BAD_REQUEST, "malformed", "in the query may be: text, timestamp"));
            }
        }
    }
    let too_long = |line: &String| line.chars().count() > LETTERS;
    if text.len() > LINES || text.iter().any(too_long) {
        let detail = format!("text: at most {LINES} lines of {LETTERS} letters");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "text_too_long", detail));
    }
    if text.iter().any(|line| line.chars().any(char::is_control)) {
        let detail = "text: control characters cannot be shown";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_text", detail));
    }
    Ok((text, timestamp))
}

fn moment(text: &str) -> Result<Timestamp, Problem> {
    // Until the year 2255 a number of seconds is exact to the microsecond.
    let seconds =
        text.parse::<f64>().ok().filter(|seconds| (0.0..=9e9).contains(seconds)).map(Timestamp::from_secs_f64);
    let written = || humantime::parse_rfc3339(text).ok().map(Timestamp::from_system);
    seconds.or_else(written).ok_or_else(|| {
        let detail =
            "timestamp: seconds since the Unix epoch (1763683200.5) or RFC 3339 in UTC (2025-11-21T00:00:00.5Z)";
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_timestamp", detail)
    })
}

fn refused(refusal: PushRefusal) -> Problem {
    let conflict = |code: &str, detail: &str| Problem::new(StatusCode::CONFLICT, code, detail);
    match refusal {
        PushRefusal::UnknownCamera => {
            Problem::missing("unknown_camera", "no such camera on this node; /api/cameras names them")
        }
        PushRefusal::NotPushed => {
            conflict("not_pushed", "this camera takes its pictures elsewhere; write 'source: push:' to push them")
        }
        PushRefusal::Stopped => conflict("stopped", "the camera is stopped; start it first"),
        PushRefusal::Paused => conflict("paused", "the camera is paused; resume it first"),
        PushRefusal::Failed(why) => conflict("camera_failed", &format!("the camera does not run: {why}")),
        PushRefusal::NotThere => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_there", "the camera is only starting; try again")
                .retry_after(1)
        }
        PushRefusal::Full => {
            let detail = "the camera has as many pictures waiting as queue.depth allows; send fewer, or set queue.when_full: block to wait";
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "queue_full", detail).retry_after(1)
        }
        PushRefusal::Undecodable(why) => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "undecodable", format!("no picture that can be read: {why}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_times_are_read_as_people_write_them() {
        let (text, at) = asked("text=eins%0Azwei&text=dr%C3%A9i+%F0%9F%9A%97&timestamp=1763683200.123").unwrap();
        assert_eq!(text, ["eins", "zwei", "dréi 🚗"]);
        assert_eq!(at, Some(Timestamp::from_micros(1_763_683_200_123_000)));
        let (_, at) = asked("timestamp=2025-11-21T00:00:00.123Z").unwrap();
        assert_eq!(at, Some(Timestamp::from_micros(1_763_683_200_123_000)));
        let lines = "text=a&".repeat(17);
        let long = format!("text={}", "x".repeat(501));
        for wrong in [
            "colour=1",
            "timestamp=soon",
            "timestamp=NaN",
            "timestamp=-5",
            "timestamp=1e300",
            "text=%07",
            &lines,
            &long,
        ] {
            assert!(asked(wrong).is_err(), "{wrong}");
        }
    }
}
