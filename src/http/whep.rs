//! WebRTC by WHEP (draft-ietf-wish-whep): an offer is posted, the answer makes a session, deleting it ends it.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;

use super::Board;
use crate::domain::Name;
use crate::live::webrtc::{LONGEST_OFFER, Refused, TrickleError, WebRtc};

const SDP: &str = "application/sdp";
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";
/// Seconds after which a viewer that found the house full may try again.
const LATER: &str = "10";

type Shared = State<Arc<dyn Board>>;
type Body = Result<Bytes, BytesRejection>;

pub fn routes() -> Router<Arc<dyn Board>> {
    Router::new()
        .route("/cameras/{camera}/whep", post(open).options(|| async { allowed("POST, OPTIONS", "accept-post", SDP) }))
        .route(
            "/cameras/{camera}/whep/{session}",
            axum::routing::delete(close)
                .patch(trickle)
                .options(|| async { allowed("DELETE, PATCH, OPTIONS", "accept-patch", FRAGMENT) }),
        )
        .layer(DefaultBodyLimit::max(LONGEST_OFFER))
}

async fn open(State(board): Shared, Path(camera): Path<String>, headers: HeaderMap, body: Body) -> Response {
    let Some(webrtc) = board.webrtc() else { return switched_off() };
    let (Ok(camera), Some(studio)) = (camera.parse::<Name>(), board.studio(&camera)) else { return no_camera() };
    if !is(&headers, SDP) {
        return problem(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            &format!("the body is to be an SDP offer, Content-Type: {SDP}"),
        );
    }
    let offer = match text(body) {
        Ok(offer) => offer,
        Err((status, why)) => return problem(status, &why),
    };
    match webrtc.open(&camera, studio, &offer) {
        Ok(opened) => {
            let location = format!("/cameras/{camera}/whep/{}", opened.id);
            let headers = [
                (header::CONTENT_TYPE, SDP),
                (header::LOCATION, location.as_str()),
                (header::ETAG, opened.etag.as_str()),
                (HeaderName::from_static("accept-patch"), FRAGMENT),
                (header::CACHE_CONTROL, "no-store"),
            ];
            (StatusCode::CREATED, headers, opened.answer).into_response()
        }
        Err(refused) => refusal(&refused),
    }
}

async fn close(State(board): Shared, Path((camera, id)): Path<(String, String)>) -> Response {
    let closed = session(&board, &camera).is_some_and(|(webrtc, camera)| webrtc.close(&camera, &id));
    if closed { StatusCode::NO_CONTENT.into_response() } else { no_session() }
}

async fn trickle(
    State(board): Shared,
    Path((camera, id)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Some((webrtc, camera)) = session(&board, &camera) else { return no_session() };
    if !is(&headers, FRAGMENT) {
        let detail = format!("the body is to be ICE candidates, Content-Type: {FRAGMENT}");
        return problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, &detail);
    }
    let fragment = match text(body) {
        Ok(fragment) => fragment,
        Err((status, why)) => return problem(status, &why),
    };
    let sent = headers.get(header::IF_MATCH).map(|value| value.to_str().unwrap_or_default());
    let status = match webrtc.trickle(&camera, &id, sent, &fragment) {
        None => return no_session(),
        Some(Ok(())) => return StatusCode::NO_CONTENT.into_response(),
        Some(Err(error)) => (status_of(&error), error.to_string()),
    };
    problem(status.0, &status.1)
}

fn status_of(error: &TrickleError) -> StatusCode {
    match error {
        TrickleError::NoMatch => StatusCode::PRECONDITION_REQUIRED,
        TrickleError::Mismatch => StatusCode::PRECONDITION_FAILED,
        TrickleError::Restart => StatusCode::UNPROCESSABLE_ENTITY,
        TrickleError::Unreadable(_) => StatusCode::BAD_REQUEST,
    }
}

fn session<'a>(board: &'a Arc<dyn Board>, camera: &str) -> Option<(&'a WebRtc, Name)> {
    Some((board.webrtc()?, camera.parse().ok()?))
}

/// Whether the body is said to be of this type, parameters left aside.
fn is(headers: &HeaderMap, wanted: &str) -> bool {
    let sent = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    sent.split(';').next().is_some_and(|sent| sent.trim().eq_ignore_ascii_case(wanted))
}

/// The body as text; else what is wrong with it.
fn text(body: Body) -> Result<String, (StatusCode, String)> {
    let bytes = body.map_err(|rejection| match rejection.status() {
        status @ StatusCode::PAYLOAD_TOO_LARGE => (status, format!("the body is longer than {LONGEST_OFFER} bytes")),
        status => (status, "the body could not be read".into()),
    })?;
    String::from_utf8(bytes.into()).map_err(|_| (StatusCode::BAD_REQUEST, "the body is not UTF-8".into()))
}

fn refusal(refused: &Refused) -> Response {
    let status = match refused {
        Refused::Offer(_) => StatusCode::BAD_REQUEST,
        Refused::Full(_) | Refused::NoAddress | Refused::ShuttingDown | Refused::NoSecret => {
            StatusCode::SERVICE_UNAVAILABLE
        }
    };
    let mut response = problem(status, &refused.to_string());
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(LATER));
    }
    response
}

fn allowed(methods: &'static str, accepts: &'static str, kind: &'static str) -> Response {
    let headers = [(header::ALLOW, methods), (HeaderName::from_static(accepts), kind)];
    (StatusCode::NO_CONTENT, headers).into_response()
}

fn switched_off() -> Response {
    problem(
        StatusCode::NOT_FOUND,
        "live video by WebRTC is switched off (http.webrtc.enabled: false); MJPEG and HLS work",
    )
}

fn no_camera() -> Response {
    problem(StatusCode::NOT_FOUND, "no such camera on this node")
}

fn no_session() -> Response {
    problem(StatusCode::NOT_FOUND, "no such session of this camera; it may have ended")
}

/// Problem details, RFC 9457.
fn problem(status: StatusCode, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or("Error");
    let body = serde_json::json!({ "title": title, "status": status.as_u16(), "detail": detail }).to_string();
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
}
