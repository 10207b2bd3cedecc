//! WebRTC by WHEP (draft-ietf-wish-whep): an offer is posted, the answer makes a session, deleting it ends it.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, options, patch, post};

use super::Board;
use super::api::Shared;
use super::media;
use super::problem::Problem;
use super::table::{Answer, Body, Operation};
use super::video::studio;
use crate::domain::Name;
use crate::live::webrtc::{Refused, TrickleError, WebRtc};

const SDP: &str = "application/sdp";
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";
const OFFER: &str = "/cameras/{camera}/whep";
const SESSION: &str = "/cameras/{camera}/whep/{session}";
/// Seconds after which a viewer that found the house full may try again.
const LATER: u32 = 10;

pub fn operations() -> Vec<Operation> {
    let gone = "No such camera, no such session, or `http.webrtc.enabled: false`";
    vec![
        Operation::post(OFFER, "whep", "The camera by WebRTC (WHEP), with boxes: an SDP offer, answered", post(open))
            .tag("live")
            .details(
                "The offer has one video section that receives, with H.264. The answer's Location is the session. Candidates need \
                 not be sent: the node is an ICE-lite agent with all its addresses in the answer.",
            )
            .body(Body::media("The offer", &[SDP]))
            .answer(Answer::media(SDP).status(201).says("The SDP answer; Location, ETag"))
            .problem(400, "An offer that cannot be served, and why")
            .problem(404, gone)
            .problem(503, "As many watch as `http.webrtc.max_sessions` allows, or no address to reach; Retry-After"),
        Operation::new(Method::DELETE, SESSION, "whepEnd", "End a WebRTC session", delete(close))
            .tag("live")
            .answer(Answer::empty(204, "Ended"))
            .problem(404, gone),
        Operation::new(Method::PATCH, SESSION, "whepTrickle", "Bring ICE candidates of the viewer", patch(trickle))
            .tag("live")
            .details("With If-Match, the ETag of the answer. They are not needed, and an ICE restart is refused.")
            .body(Body::media("The candidates", &[FRAGMENT]))
            .answer(Answer::empty(204, "Heard"))
            .problem(404, gone)
            .problem(412, "Another session's ETag")
            .problem(422, "An ICE restart; make a new session instead")
            .problem(428, "No If-Match"),
        Operation::new(
            Method::OPTIONS,
            OFFER,
            "whepOptions",
            "What WHEP takes here",
            options(offers),
        )
        .tag("live")
        .answer(Answer::empty(204, "Allow, Accept-Post"))
        .problem(404, gone),
        Operation::new(
            Method::OPTIONS,
            SESSION,
            "whepSessionOptions",
            "What a WebRTC session takes",
            options(fragments),
        )
        .tag("live")
        .answer(Answer::empty(204, "Allow, Accept-Patch"))
        .problem(404, gone),
    ]
}

async fn open(
    State(board): Shared,
    Path(camera): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let webrtc = board.webrtc().ok_or_else(switched_off)?;
    let studio = studio(board.as_ref(), &camera)?;
    let camera: Name = camera.parse().map_err(|_| no_session())?;
    let offer = text(&headers, SDP, body)?;
    let opened = webrtc.open(&camera, studio, &offer).map_err(|refused| refusal(&refused))?;
    let location = format!("/cameras/{camera}/whep/{}", opened.id);
    let headers = [
        (header::CONTENT_TYPE, SDP),
        (header::LOCATION, location.as_str()),
        (header::ETAG, opened.etag.as_str()),
        (HeaderName::from_static("accept-patch"), FRAGMENT),
    ];
    Ok((StatusCode::CREATED, headers, opened.answer).into_response())
}

async fn close(State(board): Shared, Path((camera, id)): Path<(String, String)>) -> Result<StatusCode, Problem> {
    let (webrtc, camera) = session(board.as_ref(), &camera)?;
    if webrtc.close(&camera, &id) { Ok(StatusCode::NO_CONTENT) } else { Err(no_session()) }
}

async fn trickle(
    State(board): Shared,
    Path((camera, id)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    let (webrtc, camera) = session(board.as_ref(), &camera)?;
    let fragment = text(&headers, FRAGMENT, body)?;
    let sent = headers.get(header::IF_MATCH).map(|value| value.to_str().unwrap_or_default());
    match webrtc.trickle(&camera, &id, sent, &fragment).ok_or_else(no_session)? {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(error) => {
            let (status, code) = said_as(&error);
            Err(Problem::new(status, code, error.to_string()))
        }
    }
}

async fn offers(State(board): Shared, Path(camera): Path<String>) -> Result<Response, Problem> {
    studio(board.as_ref(), &camera)?;
    board.webrtc().ok_or_else(switched_off)?;
    Ok(allowed("POST, OPTIONS", "accept-post", SDP))
}

async fn fragments(State(board): Shared, Path((camera, _id)): Path<(String, String)>) -> Result<Response, Problem> {
    studio(board.as_ref(), &camera)?;
    board.webrtc().ok_or_else(switched_off)?;
    Ok(allowed("DELETE, PATCH, OPTIONS", "accept-patch", FRAGMENT))
}

fn said_as(error: &TrickleError) -> (StatusCode, &'static str) {
    match error {
        TrickleError::NoMatch => (StatusCode::PRECONDITION_REQUIRED, "no_etag"),
        TrickleError::Mismatch => (StatusCode::PRECONDITION_FAILED, "wrong_etag"),
        TrickleError::Restart => (StatusCode::UNPROCESSABLE_ENTITY, "no_ice_restart"),
        TrickleError::Unreadable(_) => (StatusCode::BAD_REQUEST, "malformed"),
    }
}

fn session<'a>(board: &'a dyn Board, camera: &str) -> Result<(&'a WebRtc, Name), Problem> {
    let webrtc = board.webrtc().ok_or_else(switched_off)?;
    Ok((webrtc, camera.parse().map_err(|_| no_session())?))
}

/// The body, of the type it is to be.
fn text(headers: &HeaderMap, wanted: &str, body: Bytes) -> Result<String, Problem> {
    if !media::is_one_of(headers, &[wanted]) {
        return Err(media::unsupported(format!("the body is to be of Content-Type {wanted}")));
    }
    let not_text = |_| Problem::new(StatusCode::BAD_REQUEST, "malformed", "the body is not UTF-8");
    String::from_utf8(body.into()).map_err(not_text)
}

fn refusal(refused: &Refused) -> Problem {
    match refused {
        Refused::Offer(_) => Problem::new(StatusCode::BAD_REQUEST, refused.as_str(), refused.to_string()),
        Refused::Full(_) | Refused::NoAddress | Refused::ShuttingDown | Refused::NoSecret => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, refused.as_str(), refused.to_string()).retry_after(LATER)
        }
    }
}

fn allowed(methods: &'static str, accepts: &'static str, kind: &'static str) -> Response {
    let headers = [(header::ALLOW, methods), (HeaderName::from_static(accepts), kind)];
    (StatusCode::NO_CONTENT, headers).into_response()
}

fn switched_off() -> Problem {
    let detail = "live video by WebRTC is switched off (http.webrtc.enabled: false); MJPEG and HLS work";
    Problem::missing("switched_off", detail)
}

fn no_session() -> Problem {
    Problem::missing("unknown_session", "no such session of this camera; it may have ended")
}
