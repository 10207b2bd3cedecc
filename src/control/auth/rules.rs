//! Operators, their keys, and what must be signed: as the file has it, and anew with every reload.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::keys::PublicKey;
use crate::control::{ControlConfig, OperatorConfig};
use crate::domain::Name;
use crate::envelope::Verb;

/// Why nobody can be let in.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    #[error("control.operators.{operator}.{field}: {why}")]
    Key { operator: Name, field: &'static str, why: String },
    #[error("control.operators.{operator}.hmac_key_file: {path}: {why}; check the path and that this user may read it")]
    File { operator: Name, path: PathBuf, why: String },
}

/// One operator's key, and what is open to it.
#[derive(Debug)]
pub(super) struct Operator {
    pub key: PublicKey,
    pub may: Option<Vec<Verb>>,
}

/// See the module's words.
#[derive(Debug, Default)]
pub struct Rules {
    pub(super) config: ControlConfig,
    pub(super) operators: BTreeMap<Name, Operator>,
}

impl Rules {
    /// Reads the keys. Blocks for the disk.
    ///
    /// # Errors
    /// A key that is none: nobody could command what is closed.
    pub fn read(config: ControlConfig) -> Result<Self, GuardError> {
        let key = |(name, operator): (&Name, &OperatorConfig)| {
            let key = PublicKey::of(name, operator)?;
            Ok((name.clone(), Operator { key, may: operator.may.clone() }))
        };
        let operators = config.operators.iter().map(key).collect::<Result<_, GuardError>>()?;
        Ok(Self { config, operators })
    }
}

impl PublicKey {
    fn of(name: &Name, operator: &OperatorConfig) -> Result<Self, GuardError> {
        let wrong = |field, why: &str| GuardError::Key { operator: name.clone(), field, why: why.into() };
        match (&operator.public_key, &operator.hmac_key_file) {
            (Some(text), None) => Self::ed25519(text).map_err(|why| wrong("public_key", why)),
            (None, Some(path)) => {
                let fail = |why: String| GuardError::File { operator: name.clone(), path: path.clone(), why };
                let text = std::fs::read_to_string(path).map_err(|e| fail(e.to_string()))?;
                Self::hmac(text.lines().next().unwrap_or_default().trim_end()).map_err(|why| fail(why.into()))
            }
            _ => Err(wrong("public_key", "give public_key or hmac_key_file, one of them")),
        }
    }
}
