//! Who may command what: every command passes here before anything is wished.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::jws::{self, Claims, Sealed};
use super::keys::{PublicKey, fingerprint};
use super::memory::{Entry, Memory};
use super::seen::{Repeat, Seen};
use crate::control::parse::{self, MAX_PAYLOAD, Refusal};
use crate::control::{ControlConfig, OperatorConfig};
use crate::domain::{Name, RawCommand, Timestamp};
use crate::envelope::{Command, Verb};

/// The longest life of a signed command, and so how long each is remembered.
pub const LIFETIME: Duration = Duration::from_mins(5);
/// An operator's clock may be ahead of ours by so much.
pub const SKEW: Duration = Duration::from_secs(10);
const LONGEST_ID: usize = 128;
/// The bus whose commands HTTP's own token authorises.
const HTTP: &str = "http";

/// Why nobody can be let in.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    #[error("control.operators.{operator}.{field}: {why}")]
    Key { operator: Name, field: &'static str, why: String },
    #[error("control.operators.{operator}.hmac_key_file: {path}: {why}; check the path and that this user may read it")]
    File { operator: Name, path: PathBuf, why: String },
}

/// A command that may be carried out.
#[derive(Debug)]
pub struct Admitted {
    pub command: Command,
    /// Who signed it.
    pub operator: Option<Name>,
    pub(super) fresh: Option<Entry>,
}

/// A command that may not.
#[derive(Debug)]
pub struct Rejected {
    /// For logs, figures and the audit.
    pub refusal: Refusal,
    /// Whose signature held all the same.
    pub operator: Option<Name>,
    /// Whose it claims to be, its signature not proven.
    pub claimed: Option<String>,
}

struct Operator {
    key: PublicKey,
    may: Option<Vec<Verb>>,
}

/// Keys, rules, and the memory of what was taken.
pub struct Guard {
    config: ControlConfig,
    operators: BTreeMap<Name, Operator>,
    seen: Mutex<Seen>,
    memory: Option<Arc<Mutex<Memory>>>,
    /// Nothing is known of what was taken before: what was signed before is not taken.
    floor: Option<Timestamp>,
    /// Of the last audit message.
    seq: Mutex<u64>,
}

impl Guard {
    /// Reads the keys, and what this node took before.
    ///
    /// # Errors
    /// A key that is none: nobody could command what is closed.
    pub fn open(config: ControlConfig, state_dir: &Path, node: &Name, now: Timestamp) -> Result<Self, GuardError> {
        let key = |(name, operator): (&Name, &OperatorConfig)| {
            let key = PublicKey::of(name, operator)?;
            Ok((name.clone(), Operator { key, may: operator.may.clone() }))
        };
        let operators: BTreeMap<_, _> = config.operators.iter().map(key).collect::<Result<_, GuardError>>()?;
        let mut guard =
            Self { config, operators, seen: Mutex::default(), memory: None, floor: None, seq: Mutex::default() };
        if guard.operators.is_empty() {
            return Ok(guard);
        }
        let (memory, known) = Memory::open(state_dir, node, now);
        guard.memory = Some(Arc::new(Mutex::new(memory)));
        let Some(known) = known else {
            tracing::warn!("no memory of signed commands from before this start: those signed earlier are refused");
            guard.floor = Some(now);
            return Ok(guard);
        };
        let mut seen = Seen::default();
        for (expires_at, fingerprint) in known {
            let _known_twice = seen.take(fingerprint, expires_at, Timestamp::UNIX_EPOCH);
        }
        guard.seen = Mutex::new(seen);
        Ok(guard)
    }

    /// Lets nobody in who would have to sign: for tests of what comes behind.
    #[cfg(test)]
    pub fn open_door() -> Self {
        let config = ControlConfig::default();
        Self {
            config,
            operators: BTreeMap::new(),
            seen: Mutex::default(),
            memory: None,
            floor: None,
            seq: Mutex::default(),
        }
    }

    /// Reads a command and says whether it may be carried out. A signed one is taken once; [`Guard::keep`] makes that last.
    ///
    /// # Errors
    /// Why not.
    pub fn admit(&self, raw: &RawCommand, now: Timestamp) -> Result<Admitted, Box<Rejected>> {
        if raw.payload.len() <= MAX_PAYLOAD && jws::looks_signed(&raw.payload) {
            return self.admit_signed(raw, now);
        }
        let command = parse::parse(raw, now)?;
        if raw.bus != HTTP && self.config.must_be_signed(command.command) {
            let why = format!("{} is to be signed here, by one of the operators", command.command.as_str());
            let (id, word) = (command.id, Some(command.command.as_str().into()));
            return Err(Refusal { id, word, ..Refusal::new("unsigned", why) }.into());
        }
        Ok(Admitted { command, operator: None, fresh: None })
    }

    fn admit_signed(&self, raw: &RawCommand, now: Timestamp) -> Result<Admitted, Box<Rejected>> {
        // `looks_signed` takes ASCII only.
        let text = std::str::from_utf8(&raw.payload).unwrap_or_default();
        let malformed = |why: &str| Refusal::new("malformed", format!("no signed command: {why}"));
        let sealed = Sealed::read(text).map_err(malformed)?;
        let claimed = Some(sealed.header.kid.chars().take(64).collect::<String>());
        let unproven = |code| {
            let (id, word) = sealed.hearsay();
            let refusal = Refusal { id, word, ..Refusal::new(code, "") };
            Box::new(Rejected { refusal, operator: None, claimed: claimed.clone() })
        };
        let Some((name, operator)) = self.operators.get_key_value(sealed.header.kid.as_str()) else {
            return Err(unproven("unknown_operator"));
        };
        let claims = match sealed.open(&operator.key) {
            None => return Err(unproven("bad_signature")),
            Some(Err(why)) => return Err(Box::new(Rejected::proven(malformed(&why), name))),
            Some(Ok(claims)) => claims,
        };
        let refuse = |refusal: Refusal| {
            let (id, word) = (Some(claims.id.clone()), Some(claims.command.chars().take(64).collect()));
            Box::new(Rejected::proven(Refusal { id, word, ..refusal }, name))
        };
        let command = self.judge(raw, &claims, operator, now).map_err(refuse)?;
        // Last, and by this alone it is remembered.
        let entry = (claims.expires_at, fingerprint(name.as_str(), &claims.id));
        let taken = self.seen.lock().unwrap_or_else(PoisonError::into_inner).take(entry.1, entry.0, now);
        taken.map_err(|repeat| {
            refuse(match repeat {
                Repeat::Known => Refusal::new("replayed", "a command with this id was taken before; each has its own"),
                Repeat::Full => Refusal::new("busy", "too many signed commands at once; send it again in a minute"),
            })
        })?;
        Ok(Admitted { command, operator: Some(name.clone()), fresh: Some(entry) })
    }

    /// What the signature covers, against the moment, the topic and the rules.
    fn judge(
        &self,
        raw: &RawCommand,
        claims: &Claims,
        operator: &Operator,
        now: Timestamp,
    ) -> Result<Command, Refusal> {
        let refuse = |code, why: String| Err(Refusal::new(code, why));
        if raw.retained {
            return refuse("retained", "a retained command is stale: publish commands without the retain flag".into());
        }
        let target = raw.target.to_string();
        if claims.target != target {
            return refuse("wrong_target", format!("it was signed for {}, and came to {target}", claims.target));
        }
        if claims.id.is_empty() || claims.id.chars().count() > LONGEST_ID {
            return refuse("malformed", format!("the id of a signed command has 1 to {LONGEST_ID} characters"));
        }
        if claims.expires_at < now {
            let late = now.since(claims.expires_at).as_secs_f64();
            return refuse("expired", format!("it expired {late:.1} s ago, by this node's clock"));
        }
        if claims.issued_at > now.plus(SKEW) {
            let early = claims.issued_at.since(now).as_secs_f64();
            return refuse("not_yet", format!("it was signed {early:.1} s in the future, by this node's clock"));
        }
        if claims.expires_at > claims.issued_at.plus(LIFETIME) {
            return refuse("lives_too_long", format!("expires_at is to be at most {LIFETIME:?} after issued_at"));
        }
        if self.floor.is_some_and(|floor| claims.issued_at < floor) {
            return refuse("too_old", "it was signed before this node started without memory; sign it again".into());
        }
        let Ok(verb) = claims.command.parse::<Verb>() else {
            return Err(parse::unknown_command());
        };
        if operator.may.as_ref().is_some_and(|may| !may.contains(&verb)) {
            return refuse("not_authorized", format!("this operator may not {}", verb.as_str()));
        }
        let (id, expires_at) = (Some(claims.id.clone()), Some(claims.expires_at));
        Ok(Command { command: verb, id, args: claims.args.clone(), expires_at })
    }

    /// The next audit message's number; `say` offers the message, so that they leave in the order of their numbers.
    pub(super) fn number(&self, say: impl FnOnce(u64)) {
        let mut seq = self.seq.lock().unwrap_or_else(PoisonError::into_inner);
        *seq += 1;
        say(*seq);
    }

    /// Resolves once the disk remembers it.
    pub async fn keep(&self, admitted: &Admitted) {
        let (Some(memory), Some(entry)) = (self.memory.clone(), admitted.fresh) else { return };
        let live: Vec<Entry> = self.seen.lock().unwrap_or_else(PoisonError::into_inner).all().collect();
        let write = move || memory.lock().unwrap_or_else(PoisonError::into_inner).keep(entry, || live);
        if let Err(error) = tokio::task::spawn_blocking(write).await {
            tracing::error!(%error, "a signed command is not remembered over a restart");
        }
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

impl Rejected {
    fn proven(refusal: Refusal, operator: &Name) -> Self {
        Self { refusal, operator: Some(operator.clone()), claimed: None }
    }

    /// What its sender is told: whether an operator exists is nobody's business who cannot sign for one.
    pub fn told(&self) -> Refusal {
        let mut told = self.refusal.clone();
        if matches!(told.code, "unknown_operator" | "bad_signature") {
            (told.code, told.message) = ("bad_signature", "no operator of this node signed this".into());
        }
        told
    }
}

impl From<Refusal> for Box<Rejected> {
    fn from(refusal: Refusal) -> Self {
        Self::new(Rejected { refusal, operator: None, claimed: None })
    }
}
