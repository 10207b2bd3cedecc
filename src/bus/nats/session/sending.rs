//! From the outbox to the server: into the stream, or by core NATS with one flush a batch.

use std::future::IntoFuture as _;
use std::sync::Arc;
use std::time::Instant;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::PublishErrorKind as StreamErrorKind;
use async_nats::{HeaderMap, PublishErrorKind};

use super::{FLUSH_DEADLINE, Session};
use crate::bus::link::Wire;
use crate::bus::nats::permissions::Leave;
use crate::bus::{Channel, Kept, Message, Parcel, Ticket};

pub(super) const FORBIDDEN: &str = "by the server: no permission; allow this node to publish there";

/// What is in the socket now: tickets and bytes.
pub(super) type Flushed = Result<(Vec<Ticket>, usize), String>;

/// Why the stream did not take a message.
pub(super) enum NotStored {
    /// It never will.
    Refused(String),
    /// The session is broken, or JetStream is not ready: everything in flight is sent again.
    Later(String),
}

impl Session<'_> {
    /// Publishes what the outbox handed out, then asks for one flush: a message is `sent` when the socket has it. The next
    /// batch does not wait for that.
    pub(super) async fn send_batch(&mut self, wire: &mut Wire, parcels: &mut Vec<Parcel>) -> Result<(), String> {
        let (mut unflushed, mut bytes) = (Vec::new(), 0);
        for Parcel { ticket, message, .. } in parcels.drain(..) {
            let size = message.payload.len();
            match self.publish(wire, ticket, message).await {
                Ok(Sending::Core) => {
                    unflushed.push(ticket);
                    bytes += size;
                }
                Ok(Sending::Stream) => {}
                Err(NotStored::Refused(why)) => wire.outbox.refused(ticket, &why),
                Err(NotStored::Later(why)) => return Err(why),
            }
        }
        if !unflushed.is_empty() {
            self.unflushed += unflushed.len();
            self.unflushed_bytes += bytes;
            let client = self.client.clone();
            self.flushing.push_back(Box::pin(async move {
                match tokio::time::timeout(FLUSH_DEADLINE, client.flush()).await {
                    Ok(Ok(())) => Ok((unflushed, bytes)),
                    Ok(Err(error)) => Err(format!("flush failed: {error}")),
                    Err(_) => Err(format!("the socket took nothing for {FLUSH_DEADLINE:?}")),
                }
            }));
        }
        Ok(())
    }

    async fn publish(&mut self, wire: &mut Wire, ticket: Ticket, message: Arc<Message>) -> Result<Sending, NotStored> {
        let subject = message.topic.nats(&self.setup.prefix);
        match self.permissions.may_publish(&subject, Instant::now()) {
            Leave::Free => {}
            Leave::Again => wire.report.allowed(|| subject.clone()),
            Leave::Forbidden => return Err(NotStored::Refused(FORBIDDEN.into())),
        }
        let (message, headers) = self.fitting(wire, message).await.map_err(NotStored::Refused)?;
        let stored = match message.topic.channel().map_or(Kept::No, Channel::kept) {
            Kept::No => false,
            Kept::Stream => true,
            Kept::StreamThatTakesIt => self.keeps_audit,
        };
        if let Some(jetstream) = self.jetstream.as_ref().filter(|_| stored) {
            let ack = jetstream
                .publish_with_headers(subject.clone(), headers, message.payload.clone())
                .await
                .map_err(|error| not_stored(&error))?;
            self.storing.add(ticket, subject, message.payload.len(), ack.into_future());
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

    /// The message and its headers as the server takes them: a picture that is too large is made smaller.
    async fn fitting(&mut self, wire: &Wire, message: Arc<Message>) -> Result<(Arc<Message>, HeaderMap), String> {
        let headers_of = |message: &Message| {
            let headers = headers(message);
            let size = headers_size(&headers);
            (headers, size)
        };
        let (headers, overhead) = headers_of(&message);
        let size = message.payload.len() + overhead;
        if size <= self.max_payload {
            return Ok((message, headers));
        }
        // The headers of the smaller picture may differ by a digit or two.
        if let Some(smaller) = message.shrunk(self.max_payload.saturating_sub(overhead + 16)).await {
            let (headers, overhead) = headers_of(&smaller);
            if smaller.payload.len() + overhead <= self.max_payload {
                wire.outbox.metrics().keyframe_shrunk();
                tracing::debug!(bus = "nats", bytes = size, now = smaller.payload.len(), "encoded again to fit");
                return Ok((smaller, headers));
            }
        }
        Err(format!("{size} bytes are more than the server's max_payload, {}", self.max_payload))
    }
}

enum Sending {
    Core,
    Stream,
}

pub(super) fn not_stored(error: &async_nats::jetstream::context::PublishError) -> NotStored {
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
    let clean = |value: &str| -> String {
        if value.contains(['\r', '\n']) { value.replace(['\r', '\n'], " ") } else { value.to_owned() }
    };
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
