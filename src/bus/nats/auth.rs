//! The ways to log in to NATS.

use async_nats::ConnectOptions;

use super::setup::{BUS, READER};
use crate::bus::{BusError, NatsConfig};

#[derive(Clone)]
pub(super) enum Auth {
    None,
    User(String, String),
    Token(String),
    Nkey(String),
    /// The text of a credentials file.
    Credentials(String),
}

/// What the settings say, else what the URL says.
pub(super) fn auth(config: &NatsConfig, in_url: Auth) -> Result<Auth, BusError> {
    let ways = [
        config.username.as_ref().map(|_| "username"),
        config.creds_file.as_ref().map(|_| "creds_file"),
        config.nkey_file.as_ref().map(|_| "nkey_file"),
        config.token_file.as_ref().map(|_| "token_file"),
    ];
    let given: Vec<&str> = ways.into_iter().flatten().collect();
    if given.len() > 1 {
        return Err(READER.setting("username", format!("give one way to log in, not {}", given.join(" and "))));
    }
    if let Some(path) = &config.creds_file {
        let text = READER.text("creds_file", path)?;
        return match ConnectOptions::new().credentials(&text) {
            Ok(_) => Ok(Auth::Credentials(text)),
            Err(e) => Err(BusError::File { bus: BUS, field: "creds_file", path: path.clone(), why: e.to_string() }),
        };
    }
    if let Some(path) = &config.nkey_file {
        // The seed may stand between comment lines.
        let text = READER.text("nkey_file", path)?;
        let seed = text.lines().map(str::trim).find(|line| line.starts_with("SU"));
        let why = "holds no user seed (a line that begins with SU)".to_owned();
        let missing = BusError::File { bus: BUS, field: "nkey_file", path: path.clone(), why };
        return seed.map(|seed| Auth::Nkey(seed.to_owned())).ok_or(missing);
    }
    if let Some(path) = &config.token_file {
        return Ok(Auth::Token(READER.first_line("token_file", path)?));
    }
    // `${NATS_PASSWORD:-}` that is not set is no password.
    let given = config.password.as_ref().filter(|password| !password.reveal().is_empty());
    let password = match (given, &config.password_file) {
        (Some(_), Some(_)) => return Err(READER.setting("password", "give password or password_file, not both")),
        (Some(password), None) => Some(password.reveal().to_owned()),
        (None, Some(path)) => Some(READER.first_line("password_file", path)?),
        (None, None) => None,
    };
    match (&config.username, password) {
        (Some(user), password) if !user.is_empty() => Ok(Auth::User(user.clone(), password.unwrap_or_default())),
        (_, Some(password)) if !password.is_empty() => {
            Err(READER.setting("username", "a password without a user name; a token goes into token_file"))
        }
        _ => Ok(in_url),
    }
}
