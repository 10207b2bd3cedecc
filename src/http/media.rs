//! The media type that a request's body has, RFC 9110, 8.3.

use axum::http::{HeaderMap, StatusCode, header};

use super::problem::Problem;

/// The body is said to be one of `wanted`; parameters are left aside.
pub fn is_one_of(headers: &HeaderMap, wanted: &[&str]) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    wanted.iter().any(|wanted| kind.eq_ignore_ascii_case(wanted))
}

/// `detail`: which type to send.
pub fn unsupported(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
}
