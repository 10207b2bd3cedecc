//! The token: whoever brings it may do everything.

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use ring::digest::{SHA256, digest};

use super::super::{HttpConfig, HttpError};

/// The token's hash, when there is a token.
#[derive(Clone)]
pub struct Token(Option<Arc<[u8]>>);

impl Token {
    pub fn load(config: &HttpConfig) -> Result<Self, HttpError> {
        let Some(path) = &config.token_file else { return Ok(Self(None)) };
        let fail = |why: String| HttpError::Token { path: path.display().to_string(), why };
        let text = std::fs::read_to_string(path).map_err(|e| fail(e.to_string()))?;
        let token = text.lines().next().unwrap_or_default().trim();
        if token.len() < 16 {
            return Err(fail("its first line is to hold a token of at least 16 characters".into()));
        }
        Ok(Self(Some(hash(token).into())))
    }

    /// Without one, everybody on loopback may do everything.
    pub fn is_needed(&self) -> bool {
        self.0.is_some()
    }

    /// Compares hashes, so that the time taken tells nothing of where the difference lies.
    pub fn is(&self, sent: &str) -> bool {
        self.0.as_deref().is_some_and(|own| own == hash(sent.trim()).as_slice())
    }
}

fn hash(text: &str) -> Vec<u8> {
    digest(&SHA256, text.as_bytes()).as_ref().to_vec()
}

/// What `Authorization` brings: the token after `Bearer`; `None` where there is no such header.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let sent = headers.get(header::AUTHORIZATION)?.to_str().unwrap_or_default();
    let (scheme, token) = sent.split_once(' ').unwrap_or((sent, ""));
    // RFC 9110, section 11.1: the scheme's case does not matter.
    Some(if scheme.eq_ignore_ascii_case("bearer") { token } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Token, HttpError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Token::load(&HttpConfig { token_file: Some(file.path().into()), ..HttpConfig::default() })
    }

    #[test]
    fn only_the_whole_token_opens_the_door() {
        let token = load("  0123456789abcdef  \n a comment").unwrap();
        assert!(token.is_needed() && token.is("0123456789abcdef"));
        for wrong in ["", "0123456789abcde", "0123456789abcdef0", "0123456789ABCDEF", "a comment"] {
            assert!(!token.is(wrong), "{wrong:?}");
        }
        let none = Token::load(&HttpConfig::default()).unwrap();
        assert!(!none.is_needed() && !none.is(""));
    }

    #[test]
    fn a_token_is_brought_after_the_word_bearer() {
        let brought = |value: &str| {
            bearer(&[(header::AUTHORIZATION, value.parse().unwrap())].into_iter().collect()).map(str::to_owned)
        };
        assert_eq!(brought("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(brought("bearer abc").as_deref(), Some("abc"));
        for wrong in ["abc", "Basic abc", "Bearer", ""] {
            assert_eq!(brought(wrong).as_deref(), Some(""), "{wrong:?}");
        }
        assert_eq!(bearer(&HeaderMap::new()), None);
    }

    #[test]
    fn a_token_anyone_could_guess_is_refused() {
        for short in ["", "\n0123456789abcdef", "secret"] {
            assert!(load(short).is_err_and(|error| error.to_string().contains("16 characters")));
        }
    }
}
