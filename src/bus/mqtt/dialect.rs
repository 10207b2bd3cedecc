//! The seam between the two versions of MQTT: what a session needs, in words that belong to neither.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

use super::setup::Setup;
use crate::bus::Message;
use crate::bus::link::Inbound;
use crate::domain::ReplyTo;

/// What became of one publish at QoS 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Receipt {
    Acked,
    /// By the broker's reason code.
    Refused(String),
    /// We may not publish to its topic.
    Forbidden,
    /// The session ended first; it has to be sent again.
    Lost,
}

pub(super) type Notice = Pin<Box<dyn Future<Output = Receipt> + Send>>;

/// What the connection says.
#[derive(Debug)]
pub(super) enum Saying {
    /// The broker took us.
    Connected {
        /// The largest packet it takes, in bytes.
        max_packet: usize,
        /// It kept our session, with what we listen on.
        resumed: bool,
        /// It takes retained messages.
        retains: bool,
        /// So many of QoS 1 it takes unacknowledged (MQTT 5.0, 3.2.2.3.3).
        receive_max: u16,
    },
    Message(Inbound),
    /// The next of our messages of this quality, in the order of publishing, is in the socket: of QoS 0 (`None`) that is
    /// all there will be, of QoS 1 [`Saying::Answered`] comes with this packet id.
    Written(Option<u16>),
    /// What the broker says of the QoS 1 message that was written with this packet id.
    Answered(u16, Receipt),
    /// The next of our SUBSCRIBEs, in their order, was answered: which of its topics we may not listen on, and why.
    Subscribed {
        refused: Vec<(usize, String)>,
    },
    /// The next of our UNSUBSCRIBEs, in their order, was answered.
    Unsubscribed,
}

/// Why a connection is over.
#[derive(Debug)]
pub(super) enum Closing {
    Refused(String),
    Lost(String),
    /// Another client with our id took the session over.
    TakenOver,
    /// The broker closed the connection without a word.
    HungUp,
    /// We asked for it.
    Done,
}

/// A command that somebody sends.
pub(super) struct Asking<'a> {
    pub(super) address: &'a str,
    pub(super) payload: Bytes,
    /// Said only where [`Dialect::HAS_RESPONSE_TOPICS`].
    pub(super) reply_to: Option<ReplyTo>,
    /// So long the broker may hold it, where it can be told.
    pub(super) expiry: Option<Duration>,
}

/// One connection's client. A new one is made for every session, so nothing of an old session can linger in it.
pub(super) trait Dialect: Send + Sync + Sized + 'static {
    type Connection: Send + 'static;

    /// For people: `MQTT 5`.
    const NAME: &'static str;

    /// It says the largest packet it takes; else only a link that dies shows it.
    const TELLS_ITS_LIMIT: bool;

    /// A message can name the topic where it is to be answered.
    const HAS_RESPONSE_TOPICS: bool;

    /// `resume`: go on with the session that the broker may still hold of ours, if this version knows how.
    fn open(setup: &Setup, resume: bool) -> (Self, Self::Connection);

    /// Drives the connection; `None` when nothing of interest happened.
    fn poll(connection: &mut Self::Connection) -> impl Future<Output = Result<Option<Saying>, Closing>> + Send;

    /// Whether the client took it; what becomes of it then [`Saying::Written`] and [`Saying::Answered`] tell. A connection
    /// that is over takes nothing: the message is not to blame. Nor does a queue that is full: with fewer than its room in
    /// flight, only one that nobody empties any more is.
    ///
    /// # Errors
    /// Why this message can never be sent (its topic).
    fn publish(&self, address: &str, message: &Message) -> Result<bool, String>;

    /// Publishes a command, at least once, not retained. A connection that is over gives [`Receipt::Lost`].
    ///
    /// # Errors
    /// Why it can never be sent (its topic).
    fn ask(&self, asking: Asking<'_>) -> Result<Notice, String>;

    fn subscribe(&self, addresses: &[String]);

    fn unsubscribe(&self, addresses: &[String]);

    /// Sends DISCONNECT, so that the will is not published.
    fn disconnect(&self);

    /// An upper bound of the packet's size, bytes.
    fn packet_size(address: &str, message: &Message) -> usize {
        // Fixed header, packet id, and every property with its identifier and lengths.
        let properties: usize = message.properties.iter().map(|(key, value)| key.len() + value.len() + 5).sum();
        let correlation = message.correlation.as_ref().map_or(0, |data| data.len() + 3);
        message.payload.len() + address.len() + message.content_type.len() + properties + correlation + 24
    }
}
