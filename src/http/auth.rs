//! Who may read: everybody on loopback without a token, else whoever brings it.

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::{HttpConfig, HttpError};

/// The bearer token, when there is one.
#[derive(Clone)]
pub struct Token(Option<std::sync::Arc<str>>);

impl Token {
    pub fn load(config: &HttpConfig) -> Result<Self, HttpError> {
        let Some(path) = &config.token_file else { return Ok(Self(None)) };
        let fail = |why: String| HttpError::Token { path: path.display().to_string(), why };
        let text = std::fs::read_to_string(path).map_err(|e| fail(e.to_string()))?;
        let token = text.lines().next().unwrap_or_default().trim();
        if token.len() < 16 {
            return Err(fail("its first line is to hold a token of at least 16 characters".into()));
        }
        Ok(Self(Some(token.into())))
    }

    fn admits(&self, request: &Request) -> bool {
        let Some(token) = &self.0 else { return true };
        let sent = request.headers().get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
        sent.and_then(|v| v.strip_prefix("Bearer ")).is_some_and(|sent| same(sent.as_bytes(), token.as_bytes()))
    }
}

/// Compares without telling by the time taken where the difference lies.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

/// Health stays open: who probes it holds no secrets.
pub async fn guard(State(token): State<Token>, request: Request, next: Next) -> Response {
    if request.uri().path() == "/healthz" || token.admits(&request) {
        return next.run(request).await;
    }
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], "a bearer token is needed\n").into_response()
}
