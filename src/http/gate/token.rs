//! The token: whoever brings it may do everything.

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};

use super::super::{HttpConfig, HttpError};

/// Characters. Whatever is shorter is guessed.
const SHORTEST: usize = 16;

/// The token's hash, when there is a token.
#[derive(Clone)]
pub struct Token(Option<Arc<[u8]>>);

impl Token {
    pub fn load(config: &HttpConfig) -> Result<Self, HttpError> {
        let Some(path) = &config.token_file else { return Ok(Self(None)) };
        let fail = |why: String| HttpError::Token { path: path.display().to_string(), why };
        let text = std::fs::read_to_string(path).map_err(|e| fail(e.to_string()))?;
        let token = text.lines().next().unwrap_or_default().trim();
        if token.len() < SHORTEST {
            return Err(fail(format!("its first line is to hold a token of at least {SHORTEST} characters")));
        }
        // In a header nothing else comes through whole.
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(fail("the token is to be of ASCII letters, digits and punctuation, without blanks".into()));
        }
        Ok(Self(Some(hash(token).into())))
    }

    /// Without one, everybody on loopback may do everything.
    pub fn is_needed(&self) -> bool {
        self.0.is_some()
    }

    /// Compares hashes, so that the time taken tells nothing of where the difference lies.
    pub fn is(&self, sent: &str) -> bool {
        self.0.as_deref().is_some_and(|own| own == hash(sent).as_slice())
    }
}

fn hash(text: &str) -> Vec<u8> {
    digest(&SHA256, text.as_bytes()).as_ref().to_vec()
}

/// What a request says in `Authorization`.
#[derive(Debug, PartialEq, Eq)]
pub enum Sent {
    Bearer(String),
    /// The password: for players and other programs that know a user and a password only.
    Basic(String),
}

/// `None` where there is no such header, or one of another scheme, which is somebody else's matter.
pub fn sent(headers: &HeaderMap) -> Option<Sent> {
    let mut lines = headers.get_all(header::AUTHORIZATION).iter();
    let line = lines.next()?;
    if lines.next().is_some() {
        return Some(Sent::Bearer(String::new()));
    }
    let line = line.to_str().unwrap_or("Bearer");
    let (scheme, rest) = line.split_once(' ').unwrap_or((line, ""));
    // RFC 9110, section 11.1: the scheme's case does not matter.
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Sent::Bearer(rest.trim().to_owned()));
    }
    scheme.eq_ignore_ascii_case("basic").then(|| Sent::Basic(password(rest.trim()).unwrap_or_default()))
}

/// RFC 7617: `user:password` in base64.
fn password(pair: &str) -> Option<String> {
    let pair = String::from_utf8(STANDARD.decode(pair).ok()?).ok()?;
    pair.split_once(':').map(|(_, password)| password.to_owned())
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
    fn a_token_is_brought_as_bearer_or_as_a_password() {
        let brought = |value: &str| sent(&[(header::AUTHORIZATION, value.parse().unwrap())].into_iter().collect());
        let bearer = |token: &str| Some(Sent::Bearer(token.into()));
        assert_eq!((brought("Bearer abc"), brought("bearer  abc ")), (bearer("abc"), bearer("abc")));
        assert_eq!(brought("Bearer"), bearer(""));
        // me:a:b
        assert_eq!(brought("Basic bWU6YTpi"), Some(Sent::Basic("a:b".into())));
        for wrong in ["Basic", "Basic !", "Basic bWU="] {
            assert_eq!(brought(wrong), Some(Sent::Basic(String::new())), "{wrong:?}");
        }
        assert_eq!((brought("abc"), brought("Digest a=b"), brought("")), (None, None, None));
        assert_eq!(sent(&HeaderMap::new()), None);
        let mut twice = HeaderMap::new();
        for token in ["Bearer abc", "Bearer abd"] {
            twice.append(header::AUTHORIZATION, token.parse().unwrap());
        }
        assert_eq!(sent(&twice), bearer(""));
    }

    #[test]
    fn a_token_anyone_could_guess_is_refused() {
        for short in ["", "\n0123456789abcdef", "secret"] {
            assert!(load(short).is_err_and(|error| error.to_string().contains("16 characters")));
        }
        for odd in ["gehäim-gehäim-gehäim", "geheim geheim geheim"] {
            assert!(load(odd).is_err_and(|error| error.to_string().contains("ASCII")));
        }
    }
}
