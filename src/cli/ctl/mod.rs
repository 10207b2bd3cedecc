//! `sightwire ctl`: says a command and calls the roll of those who are to answer.

mod order;
mod roll;
mod roster;
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use self::roll::Roll;
use self::roster::Roster;
use super::bus_args::BusArgs;
use super::{BadUsage, FAILED, say, signals, tell};
use crate::bus::{BusConfig, BusError, Call, MqttVersion, Remedy, Told};
use crate::control::auth::jws::{Claims, seal};
use crate::control::auth::{self, SigningKey};
use crate::domain::{Name, Span, Target, Timestamp};
use crate::envelope::{RollCall, RollKnownBy, Verb};

/// On NATS: whoever is there says so within this time, or within the second one after somebody else did.
const CALLED: Duration = Duration::from_secs(1);
const SILENCE: Duration = Duration::from_millis(300);

#[derive(Debug, clap::Args)]
pub struct CtlArgs {
    /// start, stop, pause, resume, snapshot, set, restart, status, reset; to nodes also reload and shutdown.
    #[arg(value_name = "COMMAND", value_parser = order::verb)]
    command: Verb,
    /// For `set`: `confidence=0.6`, `labels=person,car`, `publish.when=on_change`, `keyframes=null`, …
    #[arg(value_name = "KEY=VALUE")]
    settings: Vec<String>,
    #[command(flatten)]
    whom: Whom,
    #[command(flatten)]
    bus: BusArgs,
    /// For a broker that speaks no MQTT 5.
    #[arg(long, value_name = "VERSION", default_value = "5", value_parser = ["5", "3.1.1"])]
    mqtt_version: String,
    /// So long answers are waited for.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = span)]
    timeout: Duration,
    /// The command's own name, in answers and logs; one that occurs once is made up.
    #[arg(long, value_name = "TEXT")]
    id: Option<String>,
    /// After this the command is refused by whoever gets it late; default: the time answers are waited for. `0s` = never.
    #[arg(long, value_name = "TIME", value_parser = span)]
    expires: Option<Duration>,
    /// Nodes that must answer, even if nothing is known of them (NATS keeps no states, so a node that is away is not missed there).
    #[arg(long, value_name = "NODE,…", value_delimiter = ',', requires = "all")]
    expect: Vec<Name>,
    /// Sign the command as this operator; the nodes know the key.
    #[arg(long, value_name = "NAME", requires = "key_file")]
    operator: Option<Name>,
    /// The operator's key: ed25519 in PEM, or a secret in the first line (`sightwire keygen`).
    #[arg(long, value_name = "FILE", requires = "operator")]
    key_file: Option<PathBuf>,
    /// One JSON document: `sightwire schema roll-call`.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Whom {
    /// One camera, wherever it runs.
    #[arg(long, value_name = "NAME")]
    camera: Option<Name>,
    /// The cameras of a group, on every node.
    #[arg(long, value_name = "NAME")]
    group: Option<Name>,
    /// One node and its cameras.
    #[arg(long, value_name = "NAME")]
    node: Option<Name>,
    /// Everything on the bus.
    #[arg(long)]
    all: bool,
}

impl Whom {
    fn target(&self) -> Target {
        match (&self.camera, &self.group, &self.node) {
            (Some(camera), ..) => Target::Camera(camera.clone()),
            (_, Some(group), _) => Target::Group(group.clone()),
            (.., Some(node)) => Target::Node(node.clone()),
            _ => Target::All,
        }
    }
}

fn span(text: &str) -> Result<Duration, String> {
    text.parse::<Span>().map(|span| span.0)
}

pub async fn run(args: CtlArgs) -> anyhow::Result<ExitCode> {
    let stop = signals::stop_token()?;
    let order = Order::of(&args)?;
    let opened = Call::open(&bus(&args)?, args.timeout.max(Duration::from_secs(1))).await;
    let mut call = opened.map_err(usage)?;
    let called = tokio::select! {
        called = call_roll(&mut call, &order, &args) => called,
        () = stop.cancelled() => Err(anyhow::anyhow!("interrupted; what was sent stays sent")),
    };
    call.leave().await;
    let roll_call = called?;
    if args.json {
        say(&serde_json::to_string_pretty(&roll_call)?);
    } else {
        for line in table::lines(&roll_call.rows) {
            say(&line);
        }
        say(&roll_call.summary);
    }
    Ok(if roll_call.ok { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

fn bus(args: &CtlArgs) -> anyhow::Result<BusConfig> {
    let mut bus = args.bus.config()?;
    if let BusConfig::Mqtt(mqtt) = &mut bus {
        mqtt.version = if args.mqtt_version == "5" { MqttVersion::V5 } else { MqttVersion::V311 };
    }
    Ok(bus)
}

/// What no waiting mends was said wrong on the command line.
fn usage(error: BusError) -> anyhow::Error {
    match error {
        BusError::Setting { field: "topic_prefix" | "subject_prefix", why, .. } => {
            BadUsage(format!("--prefix: {why}")).into()
        }
        fatal if fatal.remedy() == Remedy::Fatal => BadUsage(fatal.to_string()).into(),
        other => other.into(),
    }
}

/// What is to be said.
struct Order {
    verb: Verb,
    args: Map<String, Value>,
    target: Target,
    id: String,
    lifetime: Option<Duration>,
    /// Operator and key.
    signed_by: Option<(Name, Arc<SigningKey>)>,
}

impl Order {
    fn of(args: &CtlArgs) -> Result<Self, BadUsage> {
        if args.timeout.is_zero() {
            return Err(BadUsage("--timeout: nobody can answer within 0s; give some time, such as 5s".into()));
        }
        let lifetime = args.expires.unwrap_or(args.timeout);
        let signed_by = match (&args.operator, &args.key_file) {
            (Some(operator), Some(file)) => Some((operator.clone(), Arc::new(key(file)?))),
            _ => None,
        };
        if signed_by.is_some() && (lifetime.is_zero() || lifetime > auth::LIFETIME) {
            let why = format!(
                "a signed command lives at most {:?}: give --expires (or --timeout) up to that",
                auth::LIFETIME
            );
            return Err(BadUsage(why));
        }
        Ok(Self {
            signed_by,
            verb: args.command,
            args: order::settings(args.command, &args.settings)?,
            target: args.whom.target(),
            id: args.id.clone().unwrap_or_else(|| uuid::Uuid::now_v7().to_string()),
            lifetime: (!lifetime.is_zero()).then_some(lifetime),
        })
    }

    fn payload(&self, now: Timestamp) -> Vec<u8> {
        if let Some((operator, key)) = &self.signed_by {
            let claims = Claims {
                command: self.verb.as_str().into(),
                target: self.target.to_string(),
                id: self.id.clone(),
                issued_at: now,
                expires_at: now.plus(self.lifetime.unwrap_or(auth::LIFETIME)),
                args: self.args.clone(),
            };
            return seal(&claims, operator.as_str(), key).into_bytes();
        }
        let mut command = json!({ "command": self.verb, "id": self.id });
        if !self.args.is_empty() {
            command["args"] = self.args.clone().into();
        }
        if let Some(lifetime) = self.lifetime {
            command["expires_at"] = json!(now.plus(lifetime));
        }
        command.to_string().into_bytes()
    }

    async fn send(&self, call: &Call, now: Timestamp) -> anyhow::Result<()> {
        let (payload, id) = (self.payload(now), self.id.clone().into_bytes());
        Ok(call.say(&self.target, payload.into(), id.into(), self.lifetime).await?)
    }
}

fn key(file: &Path) -> Result<SigningKey, BadUsage> {
    let fail = |why: &str| BadUsage(format!("--key-file {}: {why}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| fail(&error.to_string()))?;
    SigningKey::read(&text).map_err(fail)
}

async fn call_roll(call: &mut Call, order: &Order, args: &CtlArgs) -> anyhow::Result<RollCall> {
    let mut roster = Roster::default();
    let known_by = if call.retains() {
        remember(call, &mut roster).await?;
        RollKnownBy::RetainedState
    } else {
        ask_around(call, &mut roster, order).await?;
        RollKnownBy::Status
    };
    roster.expect(&args.expect);
    let due = roster.due(&order.target, order.verb).map_err(|nobody| match nobody {
        roster::Nobody::Unknown { .. } => BadUsage(nobody.to_string()).into(),
        nobody => anyhow::Error::from(nobody),
    })?;
    let target = order.target.to_string();
    let mut roll = Roll::new(&order.id, &target, due);
    let (sent, timestamp) = (Instant::now(), Timestamp::now());
    order.send(call, timestamp).await?;
    let deadline = tokio::time::Instant::now() + args.timeout;
    while !roll.is_complete() {
        match tokio::time::timeout_at(deadline, call.next()).await {
            Err(_) | Ok(Told::Nobody) => break,
            Ok(Told::Message(message)) => roll.take(&message.payload, sent.elapsed()),
            Ok(Told::CaughtUp) => {}
            Ok(Told::Over(why)) => {
                tell(&format!("{why}; answers that come now are not seen"));
                break;
            }
        }
    }
    let rows = roll.rows();
    Ok(RollCall {
        timestamp,
        command: order.verb,
        id: order.id.clone(),
        target,
        ok: roll::is_ok(&rows),
        summary: roll::summary(order.verb, &rows),
        known_by,
        rows,
    })
}

/// MQTT: what nodes and cameras left there for whoever comes later.
async fn remember(call: &mut Call, roster: &mut Roster) -> anyhow::Result<()> {
    loop {
        match call.next().await {
            Told::Message(message) => {
                if let Some(words) = call.words(&message.address) {
                    roster.read(&words, &message.payload);
                }
            }
            Told::CaughtUp => return Ok(()),
            Told::Nobody => {}
            Told::Over(why) => anyhow::bail!(why),
        }
    }
}

/// NATS: `status` to all; who answers is there.
async fn ask_around(call: &mut Call, roster: &mut Roster, order: &Order) -> anyhow::Result<()> {
    let id = uuid::Uuid::now_v7().to_string();
    let question = Order {
        verb: Verb::Status,
        args: Map::new(),
        target: Target::All,
        id: id.clone(),
        lifetime: Some(CALLED),
        signed_by: order.signed_by.clone(),
    };
    question.send(call, Timestamp::now()).await?;
    let last = tokio::time::Instant::now() + CALLED;
    let mut until = last;
    loop {
        match tokio::time::timeout_at(until, call.next()).await {
            Err(_) | Ok(Told::Nobody) => return Ok(()),
            Ok(Told::Message(message)) => {
                let answer: Value = serde_json::from_slice(&message.payload).unwrap_or_default();
                if answer["id"] == id {
                    roster.state(&answer["state"]);
                    until = last.min(tokio::time::Instant::now() + SILENCE);
                }
            }
            Ok(Told::CaughtUp) => {}
            Ok(Told::Over(why)) => anyhow::bail!(why),
        }
    }
}
