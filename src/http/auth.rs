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

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(token: Option<&str>, header: Option<&str>) -> bool {
        let request = Request::builder();
        let request = match header {
            Some(header) => request.header("authorization", header),
            None => request,
        };
        Token(token.map(Into::into)).admits(&request.body(axum::body::Body::empty()).unwrap())
    }

    #[test]
    fn only_the_whole_token_opens_the_door() {
        const TOKEN: Option<&str> = Some("0123456789abcdef");
        assert!(admitted(None, None) && admitted(TOKEN, Some("Bearer 0123456789abcdef")));
        for wrong in [None, Some(""), Some("Bearer "), Some("Bearer 0123456789abcde"), Some("Bearer 0123456789abcdef0")]
        {
            assert!(!admitted(TOKEN, wrong), "{wrong:?}");
        }
        assert!(!admitted(TOKEN, Some("0123456789abcdef")) && !admitted(TOKEN, Some("Basic 0123456789abcdef")));
    }

    #[test]
    fn a_token_anyone_could_guess_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let load = |text: &str| {
            std::fs::write(file.path(), text).unwrap();
            Token::load(&HttpConfig { token_file: Some(file.path().into()), ..HttpConfig::default() })
        };
        for short in ["", "\n0123456789abcdef", "secret"] {
            assert!(load(short).is_err_and(|error| error.to_string().contains("16 characters")));
        }
        assert!(
            load("  0123456789abcdef  \n a comment").is_ok_and(|token| token.0.as_deref() == Some("0123456789abcdef"))
        );
    }
}
