//! Who may command what: every command passes here before anything is wished.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use super::jws::{self, Claims, Sealed};
use super::keys::fingerprint;
use super::memory::{Entry, Memory};
use super::rules::{GuardError, Operator, Rules};
use super::seen::{FLOOR, Repeat, Seen};
use crate::control::ControlConfig;
use crate::control::parse::{self, MAX_PAYLOAD, Refusal};
use crate::domain::{Name, RawCommand, Timestamp};
use crate::envelope::{Command, Verb};

/// The longest life of a signed command, and so how long each is remembered.
pub const LIFETIME: Duration = Duration::from_mins(5);
/// An operator's clock may be ahead of ours by so much.
pub const SKEW: Duration = Duration::from_secs(10);
const LONGEST_ID: usize = 128;
/// The bus whose commands HTTP's own token authorises, where it is trusted.
const HTTP: &str = "http";

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

/// What was taken before.
#[derive(Default)]
struct Past {
    seen: Seen,
    memory: Option<Arc<Mutex<Memory>>>,
    /// Nothing is known of what was taken before: what was signed before is not taken.
    floor: Option<Timestamp>,
}

/// Keys, rules, and the memory of what was taken.
pub struct Guard {
    state_dir: PathBuf,
    node: Name,
    rules: RwLock<Rules>,
    past: Mutex<Past>,
    /// Of the last audit message.
    seq: Mutex<u64>,
}

impl Guard {
    /// Reads the keys, and what this node took before.
    ///
    /// # Errors
    /// A key that is none: nobody could command what is closed.
    pub fn open(config: ControlConfig, state_dir: &Path, node: &Name, now: Timestamp) -> Result<Self, GuardError> {
        let guard = Self {
            state_dir: state_dir.to_owned(),
            node: node.clone(),
            rules: RwLock::default(),
            past: Mutex::default(),
            seq: Mutex::default(),
        };
        guard.renew(Rules::read(config)?, now);
        Ok(guard)
    }

    /// From now on these hold: a key that is not among them opens nothing any more. What was taken is not forgotten. Blocks
    /// for the disk where these are the first operators.
    pub fn renew(&self, rules: Rules, now: Timestamp) {
        if !rules.operators.is_empty() {
            self.past().remember(&self.state_dir, &self.node, now);
        }
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = rules;
    }

    /// Lets nobody in who would have to sign: for tests of what comes behind.
    #[cfg(test)]
    pub fn open_door() -> Self {
        let nowhere = (Path::new(""), "nobody".parse().unwrap());
        Self::open(ControlConfig::default(), nowhere.0, &nowhere.1, Timestamp::UNIX_EPOCH).unwrap()
    }

    fn past(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rules(&self) -> RwLockReadGuard<'_, Rules> {
        self.rules.read().unwrap_or_else(PoisonError::into_inner)
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
        let rules = self.rules();
        let trusted = raw.bus == HTTP && rules.config.trust_http;
        if !trusted && rules.config.must_be_signed(command.command) {
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
        let rules = self.rules();
        let Some((name, operator)) = rules.operators.get_key_value(sealed.header.kid.as_str()) else {
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
        let taken = self.past().seen.take(entry.1, entry.0, now);
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
        if self.past().floor.is_some_and(|floor| claims.issued_at < floor) {
            return refuse("too_old", "it was signed before this node started without memory; sign it again".into());
        }
        let Ok(verb) = claims.command.parse::<Verb>() else {
            return Err(parse::unknown_command());
        };
        // Who can sign may ask how things stand: it changes nothing, and `ctl` asks before it commands.
        if verb != Verb::Status && operator.may.as_ref().is_some_and(|may| !may.contains(&verb)) {
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
        let Some(entry) = admitted.fresh else { return };
        let (memory, live): (_, Vec<Entry>) = {
            let past = self.past();
            (past.memory.clone(), past.seen.all().collect())
        };
        let Some(memory) = memory else { return };
        let write = move || memory.lock().unwrap_or_else(PoisonError::into_inner).keep(entry, || live);
        if let Err(error) = tokio::task::spawn_blocking(write).await {
            tracing::error!(%error, "a signed command is not remembered over a restart");
        }
    }
}

impl Past {
    /// Opens the memory, once.
    fn remember(&mut self, state_dir: &Path, node: &Name, now: Timestamp) {
        if self.memory.is_some() {
            return;
        }
        let (memory, known) = Memory::open(state_dir, node, now);
        self.memory = Some(Arc::new(Mutex::new(memory)));
        let Some(known) = known else {
            tracing::warn!("no memory of signed commands from before this start: those signed earlier are refused");
            self.floor = Some(now);
            let _room = self.seen.take(FLOOR, now.plus(LIFETIME), Timestamp::UNIX_EPOCH);
            return;
        };
        let floors = known.iter().filter(|(_, fingerprint)| *fingerprint == FLOOR);
        self.floor = floors.map(|(until, _)| until.minus(LIFETIME)).max();
        for (expires_at, fingerprint) in known {
            let _known_twice = self.seen.take(fingerprint, expires_at, Timestamp::UNIX_EPOCH);
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
