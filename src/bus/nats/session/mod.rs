//! One session with a server, told straight: connect, subscribe, publish and listen until it ends.

mod hearing;
mod sending;
mod storing;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use async_nats::jetstream::Context;
use async_nats::jetstream::context::ContextBuilder;
use async_nats::{Client, Event, ServerError};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesOrdered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::mpsc;

use self::hearing::Ears;
use self::sending::{FORBIDDEN, Flushed, NotStored};
use self::storing::{Stored, Storing};
use super::connect::Connection;
use super::permissions::{Permissions, Violation};
use super::setup::Setup;
use super::stream::{self, Unusable};
use crate::bus::link::{End, Inbound, Server, Wire, wish_changed};
use crate::bus::{Parcel, Ticket, Trouble, Vacancy};
use crate::domain::ReplyTo;
use crate::telemetry::Notice;

/// Messages handed out and not yet confirmed, in the stream and in the socket: so many whatever their size, and up to
/// [`WINDOW`] while they are small. A server at full speed is kept busy by some hundreds, and a slow link does not have
/// megabytes of pictures before it.
const WINDOW_OF_ANY: usize = 128;
const WINDOW: usize = 1024;
const WINDOW_BYTES: usize = 512 << 10;
const FLUSH_DEADLINE: Duration = Duration::from_secs(10);
const ACK_DEADLINE: Duration = Duration::from_secs(5);
const API_DEADLINE: Duration = Duration::from_secs(5);
/// For the shortest exchanges: an echo, a farewell.
const BRIEFLY: Duration = Duration::from_secs(1);

struct Session<'a> {
    setup: &'a Setup,
    client: Client,
    /// Absent: events and keyframes go by core NATS.
    jetstream: Option<Context>,
    /// The stream keeps the audit, too.
    keeps_audit: bool,
    storing: Storing,
    /// Batches on their way into the socket.
    flushing: FuturesOrdered<BoxFuture<'static, Flushed>>,
    unflushed: usize,
    unflushed_bytes: usize,
    /// Buffers that are used again.
    acked: Vec<Ticket>,
    max_payload: usize,
    permissions: Permissions,
    complaints: HashSet<String>,
    slow: u64,
}

impl Server for Setup {
    async fn session(&mut self, wire: &mut Wire) -> End {
        let stop = wire.stop.clone();
        let Some(connected) = stop.run_until_cancelled(self.connect()).await else { return End::Stopped };
        let mut connection = match connected {
            Ok(connection) => connection,
            Err(End::Refused(why)) => return End::Refused(format!("{}: the server refused: {why}", self.shown)),
            Err(End::Lost { why, since }) => return End::lost(format!("{}: {why}", self.shown), since),
            Err(end @ (End::Stopped | End::TakenOver { .. })) => return end,
        };
        self.learn(&connection.client);
        let since = Instant::now();
        let Some(why) = stop.run_until_cancelled(talk(self, wire, &mut connection)).await else {
            let _late = tokio::time::timeout(BRIEFLY, farewell(&connection.client)).await;
            return End::Stopped;
        };
        End::lost(format!("{}: {why}", self.shown), Some(since))
    }
}

/// Everything is flushed by the outbox's own account; drain ends the subscriptions and closes in order.
async fn farewell(client: &Client) {
    let _gone = client.flush().await;
    let _gone = client.drain().await;
}

/// Returns why the session ended.
async fn talk(setup: &Setup, wire: &mut Wire, connection: &mut Connection) -> String {
    let client = connection.client.clone();
    let info = client.server_info();
    wire.look_up_wish();
    let mut ears = Ears::default();
    if let Err(why) = ears.listen(&client, wire).await {
        return why;
    }
    round_trip(&client).await;
    let mut said = Vec::new();
    let (jetstream, keeps_audit) = match find_jetstream(setup, &client, &mut connection.events, &mut said).await {
        Ok(found) => found.unzip(),
        Err(why) => return why,
    };
    let storage = if jetstream.is_some() { "with JetStream" } else { "core only" };
    let mut session = Session {
        setup,
        client,
        jetstream,
        keeps_audit: keeps_audit.unwrap_or_default(),
        storing: Storing::default(),
        flushing: FuturesOrdered::new(),
        unflushed: 0,
        unflushed_bytes: 0,
        acked: Vec::new(),
        max_payload: info.max_payload,
        permissions: Permissions::default(),
        complaints: HashSet::new(),
        slow: 0,
    };
    wire.outbox.link_up();
    wire.report.up(&format!("{} (NATS {}, {storage})", setup.shown, info.version));
    wire.probing_begins();
    for event in said {
        if let Some(why) = fatal(&event) {
            return why.to_owned();
        }
        session.told(wire, event);
    }
    let mut parcels = Vec::new();
    loop {
        if let Err(why) = session.step(wire, &mut connection.events, &mut ears, &mut parcels).await {
            return why;
        }
    }
}

/// The server handles a connection's words in order: once it answers, the subscriptions before stand.
async fn round_trip(client: &Client) {
    let inbox = client.new_inbox();
    let echo = async {
        let mut echo = client.subscribe(inbox.clone()).await.ok()?;
        client.publish(inbox, Bytes::new()).await.ok()?;
        echo.next().await
    };
    // No matter if it fails: an account without permission for inboxes works as well.
    let _answered = tokio::time::timeout(BRIEFLY, echo).await;
}

/// Listens to the client until it says what ends the session; what else it says waits in `backlog`.
async fn broken(events: &mut mpsc::UnboundedReceiver<Event>, backlog: &mut Vec<Event>) -> String {
    while let Some(event) = events.recv().await {
        match fatal(&event) {
            Some(why) => return why.to_owned(),
            None => backlog.push(event),
        }
    }
    "the client stopped".into()
}

fn fatal(event: &Event) -> Option<&'static str> {
    match event {
        Event::Disconnected | Event::Closed => Some("the connection was lost"),
        Event::ServerError(ServerError::AuthorizationViolation) => Some("the server refused: authorization"),
        _ => None,
    }
}

/// With whether it keeps the audit. `None`: it is not wanted, or not there for us. The error: it is not ready, and what must not be lost waits.
async fn find_jetstream(
    setup: &Setup,
    client: &Client,
    events: &mut mpsc::UnboundedReceiver<Event>,
    said: &mut Vec<Event>,
) -> Result<Option<(Context, bool)>, String> {
    if !setup.jetstream {
        return Ok(None);
    }
    let jetstream = ContextBuilder::new()
        .timeout(API_DEADLINE)
        .ack_timeout(ACK_DEADLINE)
        .max_ack_inflight(WINDOW + 1)
        .build(client.clone());
    let found = if client.server_info().jetstream {
        stream::ensure(&jetstream, &setup.prefix, replicas(setup, client)).await
    } else {
        Err(Unusable::Never("the server runs without JetStream".to_owned()))
    };
    said.extend(std::iter::from_fn(|| events.try_recv().ok()));
    let why = match found {
        Ok(keeps_audit) => return Ok(Some((jetstream, keeps_audit))),
        Err(Unusable::Never(why)) => why,
        Err(Unusable::NotReady(why)) if may_not_ask(said) => format!("{why}: this node has no permission to ask it"),
        Err(Unusable::NotReady(why)) => return Err(format!("JetStream is not ready: {why}")),
    };
    tracing::warn!(
        bus = "nats",
        why,
        "events and keyframes go by core NATS, without acknowledgement; enable JetStream, or set jetstream: false"
    );
    Ok(None)
}

/// The server complained that we may not use JetStream's interface, or hear its answers.
fn may_not_ask(said: &[Event]) -> bool {
    said.iter().any(|event| {
        let Event::ServerError(error) = event else { return false };
        match Violation::read(&error.to_string()) {
            Some(Violation::Publish(subject) | Violation::Subscribe(subject)) => subject.starts_with(['$', '_']),
            None => false,
        }
    })
}

/// How many servers hold the stream that is made: what is configured, else three in a cluster, so that one may fail.
fn replicas(setup: &Setup, client: &Client) -> usize {
    match setup.replicas {
        0 if client.server_info().cluster.is_some() => 3,
        0 => 1,
        configured => configured.into(),
    }
}

impl Session<'_> {
    async fn step(
        &mut self,
        wire: &mut Wire,
        events: &mut mpsc::UnboundedReceiver<Event>,
        ears: &mut Ears,
        parcels: &mut Vec<Parcel>,
    ) -> Result<(), String> {
        let vacancy = self.vacancy();
        let probe = wire.delivery.due().map(tokio::time::Instant::from_std);
        tokio::select! {
            biased;
            event = events.recv() => {
                let event = event.ok_or("the client stopped")?;
                fatal(&event).map_or(Ok(()), |why| Err(why.to_owned()))?;
                self.told(wire, event);
            }
            // Before what is to be sent: a backlog must not make a stop wait.
            Some(message) = ears.next() => wire.deliver(inbound(message)),
            () = wish_changed(&mut wire.wishes) => {
                wire.look_up_wish();
                let mut backlog = Vec::new();
                let done = tokio::select! {
                    biased;
                    why = broken(events, &mut backlog) => Err(why),
                    done = ears.listen(&self.client, wire) => done,
                };
                for event in backlog {
                    self.told(wire, event);
                }
                done?;
                self.deaf_on(wire);
            }
            // Before what was said, so that the server is not kept waiting until all of it is settled; only with much room, so that
            // what was said has its turn, and batches are large.
            () = wire.outbox.next_batch(vacancy, parcels), if vacancy.is_any() && vacancy.messages >= WINDOW / 4 => {
                self.send(wire, events, parcels).await?;
            }
            stored = self.storing.next(), if self.storing.count() > 0 => self.settle_all(wire, stored)?,
            Some(flushed) = self.flushing.next(), if !self.flushing.is_empty() => {
                let (mut sent, bytes) = flushed?;
                self.unflushed -= sent.len();
                self.unflushed_bytes -= bytes;
                wire.outbox.settle_batch(&mut Vec::new(), &mut sent, &mut Vec::new());
            }
            () = tokio::time::sleep_until(probe.unwrap_or_else(tokio::time::Instant::now)), if probe.is_some() => {
                self.probe(wire).await?;
            }
        }
        Ok(())
    }

    async fn send(
        &mut self,
        wire: &mut Wire,
        events: &mut mpsc::UnboundedReceiver<Event>,
        parcels: &mut Vec<Parcel>,
    ) -> Result<(), String> {
        let mut backlog = Vec::new();
        // Nothing inside the client resolves once its connection is gone: listen for that meanwhile.
        let sent = tokio::select! {
            biased;
            why = broken(events, &mut backlog) => Err(why),
            sent = self.send_batch(wire, parcels) => sent,
        };
        for event in backlog {
            self.told(wire, event);
        }
        sent
    }

    fn vacancy(&self) -> Vacancy {
        let (count, bytes) = (self.storing.count() + self.unflushed, self.storing.bytes() + self.unflushed_bytes);
        Vacancy {
            of_any: WINDOW_OF_ANY.saturating_sub(count),
            messages: WINDOW.saturating_sub(count),
            bytes: WINDOW_BYTES.saturating_sub(bytes),
        }
    }

    /// What the stream said, and what else it has said already; the outbox is told of all of it at once.
    fn settle_all(&mut self, wire: &mut Wire, first: Option<Stored>) -> Result<(), String> {
        let mut next = first;
        let mut settled = Ok(());
        while let Some(stored) = next {
            settled = self.settle(wire, stored);
            if settled.is_err() {
                break;
            }
            next = self.storing.next().now_or_never().flatten();
        }
        wire.outbox.settle_batch(&mut Vec::new(), &mut Vec::new(), &mut self.acked);
        settled
    }

    fn settle(&mut self, wire: &mut Wire, stored: Stored) -> Result<(), String> {
        let Stored { ticket, subject, result } = stored;
        match result {
            Ok(()) => {
                self.acked.push(ticket);
                wire.report.allowed(|| subject);
            }
            Err(NotStored::Refused(why)) => wire.outbox.refused(ticket, &why),
            Err(NotStored::Later(why)) => return Err(why),
        }
        Ok(())
    }

    /// What the server or the client says beside the messages.
    fn told(&mut self, wire: &mut Wire, event: Event) {
        match event {
            Event::ServerError(ServerError::SlowConsumer(_)) | Event::SlowConsumer(_) => {
                wire.report.notice(Notice::SlowConsumer);
                self.slow += 1;
                if self.slow.is_power_of_two() {
                    tracing::warn!(
                        bus = "nats",
                        lost = self.slow,
                        "slow consumer: commands come faster than they are handled, and were lost"
                    );
                }
            }
            Event::ServerError(error) => self.complaint(wire, &error.to_string()),
            Event::LameDuckMode => wire.report.trouble(
                Trouble::LameDuck,
                "the server is about to shut down (lame duck); another one is looked for when it closes the connection",
            ),
            _ => {}
        }
    }

    fn complaint(&mut self, wire: &mut Wire, text: &str) {
        match Violation::read(text) {
            Some(Violation::Publish(subject)) if subject == wire.probe_address => wire.probe_forbidden("publish to"),
            Some(Violation::Subscribe(subject)) if subject == wire.probe_address => wire.probe_forbidden("listen on"),
            Some(Violation::Subscribe(subject)) if wire.listening.contains_key(&subject) => {
                self.permissions.deaf.insert(subject);
                self.deaf_on(wire);
            }
            // Not a subject of the server's own, such as an inbox or JetStream's interface.
            Some(Violation::Publish(subject)) if !subject.starts_with(['$', '_']) => {
                wire.report.forbidden(&subject);
                // Of these no acknowledgement will come.
                self.storing.give_up(&subject, |ticket| wire.outbox.refused(ticket, FORBIDDEN));
                self.permissions.forbid(subject, Instant::now());
            }
            _ => {
                wire.report.notice(Notice::Error);
                // A missing permission is told for every single message; once is enough.
                if self.complaints.len() < 64 && self.complaints.insert(text.to_owned()) {
                    tracing::error!(bus = "nats", error = text, "the server complains");
                }
            }
        }
    }

    /// What we may not listen on, as far as it is wanted.
    fn deaf_on(&mut self, wire: &mut Wire) {
        self.permissions.deaf.retain(|subject| wire.listening.contains_key(subject));
        let deaf: Vec<String> = self.permissions.deaf.iter().cloned().collect();
        wire.report.deaf_on(&deaf);
    }

    async fn probe(&mut self, wire: &mut Wire) -> Result<(), String> {
        let payload = wire.next_probe().payload;
        let (client, address) = (&self.client, wire.probe_address.clone());
        let said = async {
            client.publish(address, payload).await.map_err(|error| error.to_string())?;
            client.flush().await.map_err(|error| format!("flush failed: {error}"))
        };
        let late = |_| Err(format!("the socket took nothing for {FLUSH_DEADLINE:?}"));
        tokio::time::timeout(FLUSH_DEADLINE, said).await.unwrap_or_else(late)
    }
}

pub(super) fn inbound(message: async_nats::Message) -> Inbound {
    let content_type = message.headers.as_ref().and_then(|h| h.get("Content-Type")).map(|v| v.as_str().to_owned());
    Inbound {
        address: message.subject.to_string(),
        payload: message.payload,
        retained: false,
        reply_to: message.reply.map(|subject| ReplyTo { address: subject.to_string(), correlation: None }),
        content_type,
    }
}
