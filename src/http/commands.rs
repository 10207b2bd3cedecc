//! Commands: the same words as on the buses, the same answers.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Board;
use super::api::Shared;
use super::media;
use super::problem::Problem;
use super::table::{Answer, Body, Content, Operation};
use crate::control::auth::jws::{Sealed, looks_signed};
use crate::domain::{Name, RawCommand, Target};
use crate::envelope::Reply;

/// The bus's name in logs.
const BUS: &str = "http";
/// A JWS in its compact form (RFC 7515, 9.2.1).
const SIGNED: &str = "application/jose";

#[derive(Deserialize)]
struct Asked {
    id: Option<String>,
    expires_at: Option<f64>,
}

type Asking = Result<Query<Asked>, QueryRejection>;

pub fn operations() -> Vec<Operation> {
    vec![
        described(Operation::post(
            "/api/cameras/{camera}/{command}",
            "commandCamera",
            "A command to one camera",
            post(to_camera),
        ))
        .answer(Answer::json::<Reply>("Applied; the camera's reply, with its state")),
        described(Operation::post(
            "/api/groups/{group}/{command}",
            "commandGroup",
            "A command to every camera of a group",
            post(to_group),
        ))
        .answer(Answer::json::<Vec<Reply>>("Applied by all; one reply a camera")),
        described(Operation::post(
            "/api/node/{command}",
            "commandNode",
            "A command to the node and its cameras",
            post(to_node),
        ))
        .answer(Answer::json::<Vec<Reply>>("Applied by all; one reply a target")),
    ]
}

fn described(operation: Operation) -> Operation {
    let args =
        json!({ "type": "object", "description": "The command's `args`: for `set` the settings and their new values" });
    operation
        .tag("commands")
        .details(
            "Answered once it is applied, not once it is received. A client that hangs up does not cut a command in half. When a target \
             refuses, the answer is a problem whose `code` is that of the first refusal, with every target's reply in `replies`.",
        )
        .query("id", "Any text; comes back in the replies", json!({ "type": "string" }))
        .query("expires_at", "Seconds since the Unix epoch; after this moment the command is refused", json!({ "type": "number" }))
        .body(
            Body::json(false, "Arguments; none for most commands. Or a signed command", Content::Written(args))
                .or(SIGNED, Content::Written(json!({ "type": "string", "description": "A JWS in its compact form, as in docs/control.md" }))),
        )
        .problem(403, "To be signed: `unsigned`; or signed and not taken: `not_authorized`, `bad_signature`, `replayed`, …")
        .problem(404, "No such camera or group on this node, or no such command")
        .problem(409, "Refused as things are: `stopped`, `not_paused`, `expired`, …")
        .problem(422, "Arguments that cannot be")
        .problem(500, "Applied, but not remembered over a restart")
        .problem(501, "Known, but not supported here")
        .problem(503, "Cannot be done now")
        .problem(504, "Not applied in time; it is still wanted")
}

async fn to_camera(
    State(board): Shared,
    Path((camera, command)): Path<(String, String)>,
    asked: Asking,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let camera: Name = camera.parse().map_err(|_| unknown("camera"))?;
    let mut replies = carry_out(board, Target::Camera(camera), command, asked, &headers, &body).await?;
    match replies.pop() {
        Some(reply) => Ok(Json(reply).into_response()),
        None => Err(unknown("camera")),
    }
}

async fn to_group(
    State(board): Shared,
    Path((group, command)): Path<(String, String)>,
    asked: Asking,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let group: Name = group.parse().map_err(|_| unknown("group"))?;
    let replies = carry_out(board, Target::Group(group), command, asked, &headers, &body).await?;
    if replies.is_empty() { Err(unknown("group")) } else { Ok(Json(replies).into_response()) }
}

async fn to_node(
    State(board): Shared,
    Path(command): Path<String>,
    asked: Asking,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let target = Target::Node(board.node().node);
    Ok(Json(carry_out(board, target, command, asked, &headers, &body).await?).into_response())
}

/// Every target's reply when all are ok.
async fn carry_out(
    board: Arc<dyn Board>,
    target: Target,
    command: String,
    asked: Asking,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Vec<Reply>, Problem> {
    let Query(asked) = asked.map_err(|e| malformed(e.body_text()))?;
    let payload = if media::is_one_of(headers, &[SIGNED]) {
        signed(&command, &asked, body)?
    } else {
        unsigned(&command, asked, headers, body)?
    };
    let raw = RawCommand { bus: BUS, target, payload, retained: false, reply_to: None };
    // A task of its own: it goes on when the client hangs up.
    let carried = tokio::spawn(async move { board.command(&raw).await }).await;
    let replies = carried.map_err(|_| {
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            "a fault of the program's own; its log names the place",
        )
    })?;
    let Some(error) = replies.iter().find_map(|reply| reply.error.clone()) else { return Ok(replies) };
    let detail = match replies.as_slice() {
        [_] => error.message,
        many => {
            let refused = many.iter().filter(|reply| !reply.ok).count();
            format!("{refused} of {} targets did not do it; the first: {}", many.len(), error.message)
        }
    };
    Err(Problem::new(status(&error.code), error.code, detail).replies(replies))
}

fn unsigned(command: &str, asked: Asked, headers: &HeaderMap, body: &Bytes) -> Result<Bytes, Problem> {
    let mut said = json!({ "command": command, "args": args(headers, body)? });
    if let Some(id) = asked.id {
        said["id"] = id.into();
    }
    if let Some(at) = asked.expires_at {
        // JSON knows no infinity; what is no moment must not become a command without one.
        said["expires_at"] =
            serde_json::Number::from_f64(at).ok_or_else(|| malformed("expires_at: not a moment"))?.into();
    }
    Ok(said.to_string().into())
}

/// A signed command as it is: whether the signature holds is the control room's to say, and that its target is the path's.
fn signed(command: &str, asked: &Asked, body: &Bytes) -> Result<Bytes, Problem> {
    if asked.id.is_some() || asked.expires_at.is_some() {
        return Err(malformed("id and expires_at are part of what is signed: leave them out of the query"));
    }
    let text = std::str::from_utf8(body).ok().filter(|_| looks_signed(body));
    let text =
        text.ok_or_else(|| malformed("the body is no signed command (docs/control.md, header.claims.signature)"))?;
    let sealed = Sealed::read(text).map_err(|why| malformed(format!("no signed command: {why}")))?;
    // What is read here is what the signature will be looked at for, byte by byte.
    match sealed.hearsay().1 {
        Some(signed) if signed != command => {
            Err(malformed(format!("the path says {command}, and {signed} was signed: post it to the path it is for")))
        }
        _ => Ok(body.clone()),
    }
}

fn args(headers: &HeaderMap, body: &Bytes) -> Result<Map<String, Value>, Problem> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    if !media::is_one_of(headers, &["application/json"]) {
        let detail = "the arguments are JSON: send Content-Type: application/json, or no body; a signed command is application/jose";
        return Err(media::unsupported(detail));
    }
    serde_json::from_slice(body).map_err(|e| malformed(format!("the body is to be a JSON object of arguments: {e}")))
}

fn malformed(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "malformed", detail)
}

fn unknown(what: &str) -> Problem {
    Problem::missing(
        &format!("unknown_{what}"),
        format!("no such {what} on this node; /api/cameras names the cameras with their groups"),
    )
}

/// What a refusal's word is in HTTP.
fn status(code: &str) -> StatusCode {
    match code {
        "malformed" => StatusCode::BAD_REQUEST,
        "too_large" => StatusCode::PAYLOAD_TOO_LARGE,
        "unknown_command" | "unknown_camera" | "no_camera" => StatusCode::NOT_FOUND,
        "bad_args" | "bad_value" | "unknown_key" | "wrong_target" => StatusCode::UNPROCESSABLE_ENTITY,
        "not_authorized" | "unsigned" | "bad_signature" | "replayed" | "too_old" | "not_yet" | "lives_too_long" => {
            StatusCode::FORBIDDEN
        }
        "not_remembered" | "internal_error" => StatusCode::INTERNAL_SERVER_ERROR,
        "unsupported" => StatusCode::NOT_IMPLEMENTED,
        "busy" | "shutting_down" => StatusCode::SERVICE_UNAVAILABLE,
        "timeout" => StatusCode::GATEWAY_TIMEOUT,
        // Everything else is a matter of how things stand.
        _ => StatusCode::CONFLICT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_a_status() {
        for (code, expected) in [
            ("unknown_command", 404),
            ("stopped", 409),
            ("expired", 409),
            ("timeout", 504),
            ("unsupported", 501),
            ("bad_value", 422),
            ("unsigned", 403),
            ("bad_signature", 403),
            ("shutting_down", 503),
        ] {
            assert_eq!(status(code).as_u16(), expected, "{code}");
        }
    }
}
