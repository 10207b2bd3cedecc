//! One session with a broker, told straight: connect, subscribe, publish and listen until it ends.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::dialect::{Closing, Dialect, Receipt, Saying};
use super::setup::{Setup, WINDOW};
use crate::bus::link::{End, Server, Wire};
use crate::bus::{Backoff, MessageKind, Parcel, Qos, Ticket};

/// Nothing confirmed for so long while something is out: the connection is dead, whatever TCP believes.
const STALL: Duration = Duration::from_secs(30);
const FAREWELL: Duration = Duration::from_secs(1);
/// Filters a SUBSCRIBE packet; some brokers take no more.
const FILTERS_A_PACKET: usize = 8;
/// A broker of MQTT 3.1.1 that finds a message too large just cuts the link, again and again: a large message that
/// saw that many links die is given up. So is a reply of any size: whoever sends the command chooses its topic, and may
/// choose one that makes the broker cut the link.
const POISON_ATTEMPTS: u32 = 4;
const POISON_BYTES: usize = 64 << 10;
pub(super) const HUNG_UP: &str = "the broker closed the connection";
/// Short sessions in a row that look like two clients throwing each other out.
const SUSPICIOUS: u32 = 3;

/// A connection driven by a task of its own, which dies with this.
pub(super) struct Driven<D: Dialect> {
    pub(super) client: D,
    pub(super) sayings: mpsc::Receiver<Result<Saying, Closing>>,
    task: JoinHandle<()>,
}

impl<D: Dialect> Driven<D> {
    pub(super) fn open(setup: &Setup) -> Self {
        let (client, mut connection) = D::open(setup);
        let (tell, sayings) = mpsc::channel(WINDOW.into());
        let task = tokio::spawn(async move {
            loop {
                let said = match D::poll(&mut connection).await {
                    Ok(None) => continue,
                    Ok(Some(saying)) => Ok(saying),
                    Err(closing) => Err(closing),
                };
                let last = said.is_err();
                if tell.send(said).await.is_err() || last {
                    return;
                }
            }
        });
        Self { client, sayings, task }
    }

    /// The next saying; a task that ended without a word counts as a lost connection.
    pub(super) async fn next(&mut self) -> Result<Saying, Closing> {
        self.sayings.recv().await.unwrap_or_else(|| Err(Closing::Lost("the client stopped".into())))
    }

    /// Returns how many answers will come.
    pub(super) fn subscribe(&self, addresses: &[String]) -> usize {
        let chunks = addresses.chunks(FILTERS_A_PACKET);
        chunks.inspect(|chunk| self.client.subscribe(chunk)).count()
    }

    /// DISCONNECT, and a moment for it to leave.
    pub(super) async fn leave(mut self) {
        self.client.disconnect();
        let _late = tokio::time::timeout(FAREWELL, async { while self.next().await.is_ok() {} }).await;
    }
}

impl<D: Dialect> Drop for Driven<D> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A broker, spoken to in one version of MQTT.
pub(super) struct Broker<D> {
    setup: Setup,
    /// Sessions in a row that were made and did not last.
    short_sessions: u32,
    dialect: PhantomData<fn() -> D>,
}

impl<D> Broker<D> {
    pub(super) fn new(setup: Setup) -> Self {
        Self { setup, short_sessions: 0, dialect: PhantomData }
    }
}

impl<D: Dialect> Server for Broker<D> {
    async fn session(&mut self, wire: &mut Wire) -> End {
        let end = talk::<D>(&self.setup, wire).await;
        let short = matches!(&end, End::Lost { since: Some(since), .. } if since.elapsed() < Backoff::STABLE);
        self.short_sessions = if short { self.short_sessions + 1 } else { 0 };
        match end {
            // MQTT 3.1.1 has no word for it, and not every broker of MQTT 5 says it.
            End::Lost { why, since } if self.short_sessions >= SUSPICIOUS && why.ends_with(HUNG_UP) => {
                End::lost(format!("{why} again and again: is the same node running twice?"), since)
            }
            end => end,
        }
    }
}

async fn talk<D: Dialect>(setup: &Setup, wire: &mut Wire) -> End {
    let stop = wire.stop.clone();
    let mut link = Driven::<D>::open(setup);
    let connected = tokio::select! {
        () = stop.cancelled() => return End::Stopped,
        first = link.next() => first,
    };
    let max_packet = match connected {
        Ok(Saying::Connected { max_packet }) => max_packet,
        Ok(other) => return End::lost(format!("unexpected before the session began: {other:?}"), None),
        Err(closing) => return ended(closing, setup, None),
    };
    let since = Instant::now();
    let addresses: Vec<String> = wire.control.keys().cloned().collect();
    // Publishing begins at once; the link counts as up when commands arrive as well.
    let mut unanswered = link.subscribe(&addresses);
    wire.outbox.link_up();
    let found = format!("{} ({})", setup.shown, D::NAME);
    if unanswered == 0 {
        wire.report.up(&found);
    }

    let mut notices = FuturesUnordered::new();
    // QoS 1 messages in the order of their `Written`; `None`: its acknowledgement was heard first.
    let mut unwritten: VecDeque<Option<Ticket>> = VecDeque::new();
    let mut progress = tokio::time::Instant::now();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => {
                // DISCONNECT silences the will: it may, when the node could say for itself that it goes.
                if wire.outbox.closed_empty() {
                    link.leave().await;
                }
                return End::Stopped;
            }
            Some((ticket, receipt)) = notices.next(), if !notices.is_empty() => {
                progress = tokio::time::Instant::now();
                if let Some(early) = unwritten.iter_mut().find(|waiting| **waiting == Some(ticket)) {
                    *early = None;
                }
                settle(wire, ticket, receipt);
            }
            said = link.next() => match said {
                Ok(Saying::Message(inbound)) => wire.deliver(inbound),
                Ok(Saying::Written) => {
                    if let Some(Some(ticket)) = unwritten.pop_front() {
                        wire.outbox.handed(ticket);
                    }
                }
                Ok(Saying::Subscribed { refused }) => {
                    if refused > 0 {
                        tracing::error!(bus = "mqtt", refused, "the broker refuses control topics: commands will not arrive");
                    }
                    unanswered = unanswered.saturating_sub(1);
                    if unanswered == 0 {
                        wire.report.up(&found);
                    }
                }
                Ok(Saying::Connected { .. }) => {}
                Err(closing) => {
                    // What the client still resolves on its way out is true and need not be sent again.
                    while let Some(Some((ticket, receipt))) = futures_util::FutureExt::now_or_never(notices.next()) {
                        settle(wire, ticket, receipt);
                    }
                    return ended(closing, setup, Some(since));
                }
            },
            parcel = wire.outbox.next(), if notices.len() < usize::from(WINDOW) => {
                if notices.is_empty() {
                    progress = tokio::time::Instant::now();
                }
                let address = parcel.message.topic.mqtt(&setup.prefix);
                match admit::<D>(&link.client, &address, &parcel, max_packet) {
                    Ok(notice) => {
                        let ticket = parcel.ticket;
                        if parcel.message.qos == Qos::AtLeastOnce {
                            unwritten.push_back(Some(ticket));
                        }
                        notices.push(async move { (ticket, notice.await) });
                    }
                    Err(why) => wire.outbox.refused(parcel.ticket, &why),
                }
            }
            () = tokio::time::sleep_until(progress + STALL), if !notices.is_empty() => {
                return End::lost(format!("{}: nothing confirmed for {STALL:?}", setup.shown), Some(since));
            }
        }
    }
}

fn settle(wire: &Wire, ticket: Ticket, receipt: Receipt) {
    match receipt {
        Receipt::Sent => wire.outbox.sent(ticket),
        Receipt::Acked => wire.outbox.acked(ticket),
        Receipt::Refused(why) => wire.outbox.refused(ticket, &format!("by the broker: {why}")),
        // It stays in flight; the session's end puts it back in its place.
        Receipt::Lost => {}
    }
}

fn admit<D: Dialect>(
    client: &D,
    address: &str,
    parcel: &Parcel,
    max_packet: usize,
) -> Result<super::dialect::Notice, String> {
    let size = D::packet_size(address, &parcel.message);
    if size > max_packet {
        return Err(format!("{size} bytes are more than the {max_packet} that the broker takes"));
    }
    if let Some(why) = poison(parcel) {
        return Err(why);
    }
    client.publish(address, &parcel.message)
}

/// Why the message is held to be what kills the links.
fn poison(parcel: &Parcel) -> Option<String> {
    let guess = match parcel.message.kind {
        MessageKind::Reply => "does the broker refuse the response topic?",
        _ if parcel.message.payload.len() > POISON_BYTES => "too large for the broker?",
        _ => return None,
    };
    let died = parcel.attempts;
    (died >= POISON_ATTEMPTS).then(|| format!("the link died {died} times with it on the way: {guess}"))
}

fn ended(closing: Closing, setup: &Setup, since: Option<Instant>) -> End {
    let shown = &setup.shown;
    match closing {
        Closing::Refused(why) => End::Refused(format!("{shown}: the broker refused: {why}")),
        Closing::Lost(why) => End::lost(format!("{shown}: {why}"), since),
        Closing::HungUp => End::lost(format!("{shown}: {HUNG_UP}"), since),
        Closing::Done => End::lost(format!("{shown}: closed"), since),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use bytes::Bytes;
    use futures_util::FutureExt;

    use super::super::{v5, v311};
    use super::*;
    use crate::bus::{Message, MqttConfig, Outbox, OutboxLimits, Publisher, Topic};
    use crate::telemetry::BusMetrics;

    fn reply() -> Message {
        Message::reply(Topic::Replies("garage".parse().unwrap()), Bytes::from_static(b"{}"), None)
    }

    fn publishes_to_nobody<D: Dialect>() {
        let setup = Setup::for_visitor(&MqttConfig::default(), "test").unwrap();
        let (client, connection) = D::open(&setup);
        drop(connection);
        let notice = client.publish("a/b", &reply()).unwrap_or_else(|why| panic!("{}: {why}", D::NAME));
        assert_eq!(notice.now_or_never(), Some(Receipt::Lost), "{}", D::NAME);
        let why = client.publish("a/#", &reply()).err().unwrap();
        assert!(why.contains("no topic"), "{}: {why}", D::NAME);
    }

    #[test]
    fn a_message_for_a_connection_that_is_over_is_lost_with_it_and_not_refused() {
        publishes_to_nobody::<v5::Client>();
        publishes_to_nobody::<v311::Client>();
    }

    /// As it is handed out when the link has died so often with it on the way.
    fn after(deaths: u32, message: Message) -> Parcel {
        let outbox = Outbox::new("test", BusMetrics::new("test"), OutboxLimits::default(), HashMap::new());
        outbox.offer(message);
        for _ in 0..deaths {
            outbox.try_next().unwrap();
            outbox.requeue_in_flight();
        }
        outbox.try_next().unwrap()
    }

    #[test]
    fn a_reply_that_kills_the_link_again_and_again_is_given_up_however_small() {
        assert_eq!(poison(&after(POISON_ATTEMPTS - 1, reply())), None);
        assert!(poison(&after(POISON_ATTEMPTS, reply())).unwrap().contains("response topic"));
        let event = |bytes| Message { kind: MessageKind::Event, payload: vec![0; bytes].into(), ..reply() };
        assert_eq!(poison(&after(POISON_ATTEMPTS, event(POISON_BYTES))), None);
        assert!(poison(&after(POISON_ATTEMPTS, event(POISON_BYTES + 1))).unwrap().contains("too large"));
    }
}
