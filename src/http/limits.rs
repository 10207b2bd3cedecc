//! What one request may bring and how long it may take, by the kind of its operation. Bodies are read here, whole, so that no
//! handler can forget it.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::HttpConfig;
use super::problem::{Problem, internal};
use super::server::Peer;
use super::table::{Kind, Operation};

const SMALL: usize = 64 * 1024;
/// For a small body, for a picture, and for room to read one.
const SMALL_READ: Duration = Duration::from_secs(10);
const PICTURE_READ: Duration = Duration::from_secs(30);
const ROOM: Duration = Duration::from_secs(10);
/// A command may wait for a slow camera, a picture for room in its queue; nothing waits longer.
const ANSWER: Duration = Duration::from_mins(1);
/// Pictures of several programs that are in memory at once, in units of 1 KiB.
const UNIT: usize = 1024;

pub struct Limits {
    kinds: HashMap<(Method, &'static str), Kind>,
    streams: Arc<Semaphore>,
    pictures: Arc<Semaphore>,
    largest: usize,
}

impl Limits {
    pub fn new(config: &HttpConfig, operations: &[Operation]) -> Self {
        let largest = usize::try_from(config.max_frame.0.min(HttpConfig::LARGEST_FRAME.0)).unwrap_or(SMALL);
        Self {
            kinds: operations
                .iter()
                .map(|operation| ((operation.method.clone(), operation.path), operation.kind))
                .collect(),
            streams: Arc::new(Semaphore::new(config.max_streams)),
            pictures: Arc::new(Semaphore::new(2 * largest.div_ceil(UNIT))),
            largest,
        }
    }

    fn kind(&self, request: &Request) -> Kind {
        let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
        let method = if request.method() == Method::HEAD { Method::GET } else { request.method().clone() };
        self.kinds.iter().find(|((m, p), _)| *p == path && *m == method).map_or(Kind::Plain, |(_, kind)| *kind)
    }

    /// Room for a picture, so that many at once do not fill the memory.
    async fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Problem> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        match timeout(ROOM, self.pictures.clone().acquire_many_owned(units)).await {
            Ok(Ok(room)) => Ok(room),
            _ => Err(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                "too many pictures come in at once; try again",
            )
            .retry_after(1)),
        }
    }

    /// The request with its body read; a picture's room with it.
    async fn read(&self, request: Request, kind: Kind) -> Result<Request, Problem> {
        let (limit, span) = if kind == Kind::Picture { (self.largest, PICTURE_READ) } else { (SMALL, SMALL_READ) };
        let said = request
            .headers()
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        let too_large = || {
            let what = if kind == Kind::Picture { " (http.max_frame)" } else { "" };
            Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                format!("at most {limit} bytes are read here{what}"),
            )
        };
        if said.is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let (mut parts, body) = request.into_parts();
        if kind == Kind::Picture {
            let room = self.room(said.unwrap_or(limit)).await?;
            parts.extensions.insert(Arc::new(room));
        }
        let bytes = match timeout(span, to_bytes(body, limit)).await {
            Ok(Ok(bytes)) => bytes,
            // The framework tells a body that is too long from one that broke off only by words.
            Ok(Err(e)) if e.to_string().contains("limit") => return Err(too_large()),
            Ok(Err(_)) => {
                return Err(Problem::new(StatusCode::BAD_REQUEST, "malformed", "the request's body broke off"));
            }
            Err(_) => {
                let detail = format!("the request's body did not come within {} s", span.as_secs());
                return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", detail));
            }
        };
        Ok(Request::from_parts(parts, Body::from(bytes)))
    }

    async fn admit(&self, request: Request, kind: Kind) -> Result<Request, Problem> {
        if kind != Kind::Stream {
            return self.read(request, kind).await;
        }
        let Ok(permit) = self.streams.clone().try_acquire_owned() else {
            let detail = "as many live streams are watched as http.max_streams allows; close one, or try again later";
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_streams", detail).retry_after(5));
        };
        if let Some(peer) = request.extensions().get::<Peer>() {
            peer.sit(Some(permit));
        }
        Ok(request)
    }
}

pub async fn limit(State(limits): State<Arc<Limits>>, request: Request, next: Next) -> Response {
    let kind = limits.kind(&request);
    let request = match limits.admit(request, kind).await {
        Ok(request) => request,
        Err(problem) => return closing(problem),
    };
    let path = request.uri().path().to_owned();
    // The picture is in memory until it is answered, longer than the request that brought it.
    let _room = request.extensions().get::<Arc<OwnedSemaphorePermit>>().cloned();
    match timeout(ANSWER, AssertUnwindSafe(next.run(request)).catch_unwind()).await {
        Ok(Ok(response)) => response,
        Ok(Err(_panic)) => {
            tracing::error!(path, "a panic while an HTTP request was answered; please report it");
            internal()
        }
        Err(_) => {
            let detail = format!("no answer within {} s", ANSWER.as_secs());
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", detail).into_response()
        }
    }
}

/// What is left of a body nobody will read ends with the connection.
fn closing(problem: Problem) -> Response {
    let mut response = problem.into_response();
    response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    response
}
