//! One session with a server, told straight: connect, subscribe, publish and listen until it ends.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use async_nats::jetstream::context::{ContextBuilder, PublishErrorKind as StreamErrorKind};
use async_nats::jetstream::{Context, ErrorCode};
use async_nats::{Client, Event, HeaderMap, PublishErrorKind, ServerError};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, SelectAll};
use tokio::sync::mpsc;

use super::connect::Connection;
use super::setup::Setup;
use super::stream;
use crate::bus::link::{End, Inbound, Server, Wire};
use crate::bus::{Message, MessageKind, Parcel, Ticket};
use crate::domain::ReplyTo;

/// JetStream publishes whose acknowledgement is out.
const WINDOW: usize = 128;
/// Messages to one flush.
const BATCH: usize = 64;
const FLUSH_DEADLINE: Duration = Duration::from_secs(10);
const ACK_DEADLINE: Duration = Duration::from_secs(5);
const API_DEADLINE: Duration = Duration::from_secs(5);
/// For the shortest exchanges: an echo, a farewell.
const BRIEFLY: Duration = Duration::from_secs(1);

type Stored = (Ticket, Result<(), NotStored>);

/// Why the stream did not take a message.
enum NotStored {
    /// It never will.
    Refused(String),
    /// The session is broken, or JetStream is not ready: everything in flight is sent again.
    Later(String),
}

struct Session<'a> {
    setup: &'a Setup,
    client: Client,
    /// Absent: events and keyframes go by core NATS.
    jetstream: Option<Context>,
    stored: FuturesUnordered<BoxFuture<'static, Stored>>,
    max_payload: usize,
}

impl Server for Setup {
    async fn session(&mut self, wire: &mut Wire) -> End {
        let stop = wire.stop.clone();
        let Some(connected) = stop.run_until_cancelled(self.connect()).await else { return End::Stopped };
        let mut connection = match connected {
            Ok(connection) => connection,
            Err(End::Refused(why)) => return End::Refused(format!("{}: the server refused: {why}", self.shown)),
            Err(End::Lost { why, since }) => return End::lost(format!("{}: {why}", self.shown), since),
            Err(End::Stopped) => return End::Stopped,
        };
        self.learn(&connection.client);
        let since = Instant::now();
        let Some(end) = stop.run_until_cancelled(talk(self, wire, &mut connection, since)).await else {
            let _late = tokio::time::timeout(BRIEFLY, farewell(&connection.client)).await;
            return End::Stopped;
        };
        end
    }
}

/// Everything is flushed by the outbox's own account; drain ends the subscriptions and closes in order.
async fn farewell(client: &Client) {
    let _gone = client.flush().await;
    let _gone = client.drain().await;
}

async fn talk(setup: &Setup, wire: &mut Wire, connection: &mut Connection, since: Instant) -> End {
    let client = connection.client.clone();
    let info = client.server_info();
    let mut commands = SelectAll::new();
    for address in wire.control.keys() {
        match client.subscribe(address.clone()).await {
            Ok(subscription) => commands.push(subscription),
            Err(error) => return End::lost(format!("{}: cannot subscribe: {error}", setup.shown), Some(since)),
        }
    }
    round_trip(&client).await;
    let jetstream = if setup.jetstream { find_jetstream(setup, &client).await } else { None };
    let storage = if jetstream.is_some() { "with JetStream" } else { "core only" };
    let mut session =
        Session { setup, client, jetstream, stored: FuturesUnordered::new(), max_payload: info.max_payload };
    wire.outbox.link_up();
    wire.report.up(&format!("{} (NATS {}, {storage})", setup.shown, info.version));

    let mut complaints = HashSet::new();
    loop {
        let step = tokio::select! {
            biased;
            why = broken(&mut connection.events, &mut complaints) => Err(why),
            Some((ticket, result)) = session.stored.next(), if !session.stored.is_empty() => match result {
                Ok(()) => {
                    wire.outbox.acked(ticket);
                    Ok(())
                }
                Err(NotStored::Refused(why)) => {
                    wire.outbox.refused(ticket, &why);
                    Ok(())
                }
                Err(NotStored::Later(why)) => Err(why),
            },
            Some(message) = commands.next(), if !commands.is_empty() => {
                wire.deliver(inbound(message));
                Ok(())
            }
            parcel = wire.outbox.next(), if session.stored.len() < WINDOW => {
                // Nothing inside the client resolves once its connection is gone: listen for that meanwhile.
                tokio::select! {
                    biased;
                    why = broken(&mut connection.events, &mut complaints) => Err(why),
                    step = session.send_batch(wire, parcel) => step,
                }
            }
        };
        if let Err(why) = step {
            return End::lost(format!("{}: {why}", setup.shown), Some(since));
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

/// Listens to the client until it says what ends the session.
async fn broken(events: &mut mpsc::UnboundedReceiver<Event>, complaints: &mut HashSet<String>) -> String {
    while let Some(event) = events.recv().await {
        match event {
            Event::Disconnected | Event::Closed => return "the connection was lost".into(),
            Event::ServerError(ServerError::AuthorizationViolation) => {
                return "the server refused: authorization".into();
            }
            Event::ServerError(error) => {
                // A missing permission is told for every single message; once is enough.
                let text = error.to_string();
                if complaints.len() < 64 && complaints.insert(text.clone()) {
                    tracing::error!(bus = "nats", error = text, "the server complains");
                }
            }
            Event::SlowConsumer(_) => {
                tracing::warn!(bus = "nats", "commands come faster than they are handled: some were lost");
            }
            Event::LameDuckMode => tracing::info!(bus = "nats", "the server is about to shut down"),
            Event::Connected | Event::Draining | Event::ClientError(_) => {}
        }
    }
    "the client stopped".into()
}

async fn find_jetstream(setup: &Setup, client: &Client) -> Option<Context> {
    let jetstream = ContextBuilder::new()
        .timeout(API_DEADLINE)
        .ack_timeout(ACK_DEADLINE)
        .max_ack_inflight(WINDOW + BATCH)
        .build(client.clone());
    let found = if client.server_info().jetstream {
        stream::ensure(&jetstream, &setup.prefix).await
    } else {
        Err("the server runs without JetStream".to_owned())
    };
    match found {
        Ok(()) => Some(jetstream),
        Err(why) => {
            tracing::warn!(
                bus = "nats",
                why,
                "events and keyframes go by core NATS, without acknowledgement; enable JetStream, or set jetstream: false"
            );
            None
        }
    }
}

impl Session<'_> {
    /// Publishes `first` and what else is ready, then flushes once: a message is `sent` when the socket has it.
    async fn send_batch(&mut self, wire: &Wire, first: Parcel) -> Result<(), String> {
        let mut unflushed = Vec::new();
        let mut next = Some(first);
        let mut count = 0;
        while let Some(parcel) = next {
            let Parcel { ticket, message, .. } = parcel;
            match self.publish(ticket, &message).await {
                Ok(Sending::Core) => unflushed.push(ticket),
                Ok(Sending::Stream) => {}
                Err(NotStored::Refused(why)) => wire.outbox.refused(ticket, &why),
                Err(NotStored::Later(why)) => return Err(why),
            }
            count += 1;
            next = if count < BATCH && self.stored.len() < WINDOW { wire.outbox.try_next() } else { None };
        }
        if unflushed.is_empty() {
            return Ok(());
        }
        match tokio::time::timeout(FLUSH_DEADLINE, self.client.flush()).await {
            Ok(Ok(())) => {
                for ticket in unflushed {
                    wire.outbox.sent(ticket);
                }
                Ok(())
            }
            Ok(Err(error)) => Err(format!("flush failed: {error}")),
            Err(_) => Err(format!("the socket took nothing for {FLUSH_DEADLINE:?}")),
        }
    }

    async fn publish(&mut self, ticket: Ticket, message: &Message) -> Result<Sending, NotStored> {
        let subject = message.topic.nats(&self.setup.prefix);
        let headers = headers(message);
        let size = message.payload.len() + headers_size(&headers);
        if size > self.max_payload {
            return Err(NotStored::Refused(format!(
                "{size} bytes are more than the server's max_payload, {}",
                self.max_payload
            )));
        }
        let stored = matches!(message.kind, MessageKind::Event | MessageKind::Keyframe);
        if let Some(jetstream) = self.jetstream.as_ref().filter(|_| stored) {
            let ack = jetstream
                .publish_with_headers(subject, headers, message.payload.clone())
                .await
                .map_err(|error| not_stored(&error))?;
            self.stored.push(Box::pin(async move {
                let stored = ack.await.map(drop).map_err(|error| not_stored(&error));
                (ticket, stored)
            }));
            return Ok(Sending::Stream);
        }
        let publish = self.client.publish_with_headers(subject, headers, message.payload.clone());
        match tokio::time::timeout(FLUSH_DEADLINE, publish).await {
            Ok(Ok(())) => Ok(Sending::Core),
            Ok(Err(error)) => Err(match error.kind() {
                PublishErrorKind::MaxPayloadExceeded | PublishErrorKind::InvalidSubject => {
                    NotStored::Refused(error.to_string())
                }
                PublishErrorKind::Send => NotStored::Later(error.to_string()),
            }),
            Err(_) => Err(NotStored::Later(format!("the client took nothing for {FLUSH_DEADLINE:?}"))),
        }
    }
}

enum Sending {
    Core,
    Stream,
}

fn not_stored(error: &async_nats::jetstream::context::PublishError) -> NotStored {
    let why = std::error::Error::source(error).map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
    match error.kind() {
        StreamErrorKind::StreamNotFound => NotStored::Later("the stream is gone".into()),
        StreamErrorKind::TimedOut | StreamErrorKind::BrokenPipe | StreamErrorKind::MaxAckPending => {
            NotStored::Later(format!("the stream does not acknowledge: {why}"))
        }
        StreamErrorKind::MaxPayloadExceeded
        | StreamErrorKind::WrongLastMessageId
        | StreamErrorKind::WrongLastSequence => NotStored::Refused(why),
        StreamErrorKind::Other => {
            let cause =
                std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<async_nats::jetstream::Error>());
            match cause {
                // 503: no leader yet, a server is starting; it passes.
                Some(cause) if cause.code() == 503 || cause.error_code() == ErrorCode::CLUSTER_NOT_AVAILABLE => {
                    NotStored::Later(why)
                }
                Some(_) => NotStored::Refused(format!("by the stream: {why}")),
                None => NotStored::Refused(why),
            }
        }
    }
}

fn headers(message: &Message) -> HeaderMap {
    // A line break would end the header: values that hold one are made harmless.
    let clean = |value: &str| value.replace(['\r', '\n'], " ");
    let mut headers = HeaderMap::new();
    headers.insert("Content-Type", message.content_type);
    for (key, value) in &message.properties {
        headers.insert(*key, clean(value));
    }
    if let Some(id) = &message.id {
        headers.insert("Nats-Msg-Id", clean(id));
    }
    headers
}

/// An upper bound of the headers' bytes on the wire.
fn headers_size(headers: &HeaderMap) -> usize {
    let lines = headers.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
    let name_len = |name: &async_nats::HeaderName| AsRef::<[u8]>::as_ref(name).len();
    14 + lines.map(|(name, value)| name_len(name) + value.as_str().len() + 4).sum::<usize>()
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
