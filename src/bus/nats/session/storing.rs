//! What is on its way into the stream, until that has said so.

use std::collections::VecDeque;

use async_nats::jetstream::context::PublishError;
use async_nats::jetstream::publish::PublishAck;
use futures_util::future::BoxFuture;

use super::sending::{NotStored, not_stored};
use crate::bus::Ticket;

/// What the stream says of a message; fails by itself after a while.
type Ack = BoxFuture<'static, Result<PublishAck, PublishError>>;

/// In the order of publishing. A stream answers in that order, so only the oldest is waited for: one timer and one waking for
/// as many answers as have come, in place of one each. Should a later answer overtake, it lies ready until its turn.
#[derive(Default)]
pub(super) struct Storing {
    messages: VecDeque<Entry>,
    bytes: usize,
}

struct Entry {
    ticket: Ticket,
    subject: String,
    bytes: usize,
    ack: Ack,
}

/// What became of one.
pub(super) struct Stored {
    pub(super) ticket: Ticket,
    pub(super) subject: String,
    pub(super) result: Result<(), NotStored>,
}

impl Storing {
    pub(super) fn add(&mut self, ticket: Ticket, subject: String, bytes: usize, ack: Ack) {
        self.bytes += bytes;
        self.messages.push_back(Entry { ticket, subject, bytes, ack });
    }

    pub(super) fn count(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Waits for the oldest; `None` when there is none. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Stored> {
        let result = (&mut self.messages.front_mut()?.ack).await;
        let Entry { ticket, subject, bytes, .. } = self.messages.pop_front()?;
        self.bytes -= bytes;
        Some(Stored { ticket, subject, result: result.map(drop).map_err(|error| not_stored(&error)) })
    }

    /// Of these no answer will come.
    pub(super) fn give_up(&mut self, subject: &str, mut tell: impl FnMut(Ticket)) {
        self.messages.retain(|entry| {
            let goes = entry.subject == subject;
            if goes {
                self.bytes -= entry.bytes;
                tell(entry.ticket);
            }
            !goes
        });
    }
}
