//! Errors as problem details, RFC 9457.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use crate::envelope::Reply;

pub const CONTENT_TYPE: &str = "application/problem+json";
/// An error's text is short; what is longer was not written for people.
const LONGEST: usize = 4096;

/// An error: `status` and `code` for programs, `detail` for people.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Problem {
    /// Always `about:blank`: `code` tells problems apart.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: String,
    /// As in the status line.
    status: u16,
    /// A word for programs, as in a reply's `error`: `unknown_camera`, `wrong_host`, …
    #[schemars(regex(pattern = "^[a-z][a-z0-9_]*$"))]
    code: String,
    /// What is wrong and what to do.
    detail: String,
    /// To a command: what every target answered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    replies: Vec<Reply>,
    #[serde(skip)]
    retry_after: Option<u64>,
}

impl Problem {
    pub fn new(status: StatusCode, code: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error").into(),
            status: status.as_u16(),
            code: code.into(),
            detail: detail.into(),
            replies: Vec::new(),
            retry_after: None,
        }
    }

    pub fn missing(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// Worth another try after so many seconds.
    pub fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    pub fn replies(self, replies: Vec<Reply>) -> Self {
        Self { replies, ..self }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, CONTENT_TYPE)], body).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// What the framework refuses in plain words (a path that is no UTF-8, a method that is not there) becomes a problem too.
pub async fn worded(response: Response) -> Response {
    let status = response.status();
    let plain =
        response.headers().get(header::CONTENT_TYPE).is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"));
    if !(status.is_client_error() || status.is_server_error()) || !plain {
        return response;
    }
    let (parts, body) = response.into_parts();
    let said = to_bytes(body, LONGEST).await.unwrap_or_default();
    let said = String::from_utf8_lossy(&said).trim().to_owned();
    let detail = match status {
        StatusCode::METHOD_NOT_ALLOWED => {
            "this path does not take this method; the header Allow names those it takes".into()
        }
        _ if said.is_empty() => status.canonical_reason().unwrap_or("an error").to_owned(),
        _ => said,
    };
    let code = status
        .canonical_reason()
        .unwrap_or("error")
        .to_ascii_lowercase()
        .replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let mut problem = Problem::new(status, code, detail).into_response();
    for (name, value) in &parts.headers {
        if name != header::CONTENT_TYPE && name != header::CONTENT_LENGTH {
            problem.headers_mut().append(name, value.clone());
        }
    }
    problem
}

/// No body and no word of how it came about: for a panic in a handler.
pub fn internal() -> Response<Body> {
    let mut response = Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal_error",
        "a fault of the program's own; its log names the place. Please report it",
    )
    .into_response();
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
