//! Signed commands as they travel: a JWS in its compact form (RFC 7515), `header.payload.signature`. Pure.
//!
//! What is signed is the very text that travels, so nothing has to be brought into a canonical form first, and nothing is
//! read before its signature holds.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::keys::{PublicKey, SigningKey};
use crate::domain::Timestamp;

/// The header's `typ`: a key that signs other things as well signs no command by that.
pub const TYPE: &str = "sightwire-command";

/// Exactly these fields: what else a header may hold (`crit`, `b64`, `jwk`, …) asks for things that are not done here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    pub alg: String,
    /// The operator.
    pub kid: String,
    pub typ: String,
}

/// What an operator signs: the command, whom it is for, and when it holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    pub command: String,
    /// `camera/front-door`, `group/outdoor`, `node/garage`, `all`.
    pub target: String,
    /// Occurs once.
    pub id: String,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub args: Map<String, Value>,
}

/// A signed command whose signature was not yet looked at.
#[derive(Debug)]
pub struct Sealed<'a> {
    pub header: Header,
    signed: &'a str,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

/// Whether this can be nothing but a signed command: three words joined by dots, which neither a bare word nor JSON is.
#[must_use]
pub fn looks_signed(payload: &[u8]) -> bool {
    let base64 = |c: &u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    payload.starts_with(b"ey") && payload.trim_ascii_end().iter().all(base64) && payload.contains(&b'.')
}

impl<'a> Sealed<'a> {
    /// Takes it apart.
    ///
    /// # Errors
    /// What is wrong with its form.
    pub fn read(text: &'a str) -> Result<Self, &'static str> {
        let text = text.trim_ascii_end();
        let (signed, signature) = text.rsplit_once('.').ok_or("it has no signature")?;
        let (header, payload) = signed.split_once('.').ok_or("it is not header.payload.signature")?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| "a part is not base64url without padding");
        let (header, payload, signature) = (decode(header)?, decode(payload)?, decode(signature)?);
        let header: Header =
            serde_json::from_slice(&header).map_err(|_| "its header is to hold alg, kid and typ, and nothing else")?;
        if header.typ != TYPE {
            return Err("its header's typ is not sightwire-command");
        }
        Ok(Self { header, signed, payload, signature })
    }

    /// The claims, if `key` signed them. The algorithm is the key's, whatever the header says; it is to say the same.
    #[must_use]
    pub fn open(&self, key: &PublicKey) -> Option<Result<Claims, String>> {
        let named = key.algorithms().contains(&self.header.alg.as_str());
        let holds = named && key.verifies(self.signed.as_bytes(), &self.signature);
        holds.then(|| serde_json::from_slice(&self.payload).map_err(|error| error.to_string()))
    }

    /// What it says it is, for an answer that its sender can tell from others; nothing may depend on it.
    #[must_use]
    pub fn hearsay(&self) -> (Option<String>, Option<String>) {
        let value: Value = serde_json::from_slice(&self.payload).unwrap_or_default();
        let said = |key: &str| value[key].as_str().map(|text| text.chars().take(128).collect());
        (said("id"), said("command"))
    }
}

/// Signs.
#[must_use]
pub fn seal(claims: &Claims, operator: &str, key: &SigningKey) -> String {
    let header = Header { alg: key.algorithm().into(), kid: operator.into(), typ: TYPE.into() };
    let encode = |json: Result<Vec<u8>, _>| URL_SAFE_NO_PAD.encode(json.unwrap_or_default());
    let signed = format!("{}.{}", encode(serde_json::to_vec(&header)), encode(serde_json::to_vec(claims)));
    let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}
