//! One session with a broker, told straight: connect, subscribe, publish and listen until it ends.

use std::collections::{HashMap, HashSet, VecDeque};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::dialect::{Closing, Dialect, Receipt, Saying};
use super::driven::Driven;
use super::listening::{Listening, Packets};
use super::setup::{Setup, WINDOW, WINDOW_BYTES, WINDOW_OF_ANY};
use crate::bus::link::{End, Server, Wire, wish_changed};
use crate::bus::subscriptions::Meaning;
use crate::bus::{Backoff, Message, MessageKind, Parcel, Qos, Ticket, Topic, Vacancy};

/// Nothing confirmed for so long while something is out: the connection is dead, whatever TCP believes.
const STALL: Duration = Duration::from_secs(30);
/// A broker of MQTT 3.1.1 that finds a message too large just cuts the link, again and again: a large message that
/// saw that many links die is given up. So is a reply of any size: whoever sends the command chooses its topic, and may
/// choose one that makes the broker cut the link.
const POISON_ATTEMPTS: u32 = 4;
const POISON_BYTES: usize = 64 << 10;
pub(super) const HUNG_UP: &str = "the broker closed the connection";
pub(super) const TAKEN_OVER: &str =
    "another client with this client id took the session over: is the same node running twice, or its machine's image?";
/// Short sessions in a row that look like two clients throwing each other out.
const SUSPICIOUS: u32 = 3;

/// A broker, spoken to in one version of MQTT.
pub(super) struct Broker<D> {
    setup: Setup,
    /// Sessions in a row that were made and did not last.
    short_sessions: u32,
    listening: Listening,
    dialect: PhantomData<fn() -> D>,
}

impl<D> Broker<D> {
    pub(super) fn new(setup: Setup) -> Self {
        Self { setup, short_sessions: 0, listening: Listening::default(), dialect: PhantomData }
    }
}

impl<D: Dialect> Server for Broker<D> {
    async fn session(&mut self, wire: &mut Wire) -> End {
        let end = self.talk(wire).await;
        let short = matches!(&end, End::Lost { since: Some(since), .. } if since.elapsed() < Backoff::STABLE);
        self.short_sessions = if short { self.short_sessions + 1 } else { 0 };
        match end {
            // MQTT 3.1.1 has no word for it, and not every broker of MQTT 5 says it.
            End::Lost { why, since: Some(since) } if self.short_sessions >= SUSPICIOUS && why.ends_with(HUNG_UP) => {
                End::TakenOver { why: format!("{why} again and again: is the same node running twice?"), since }
            }
            end => end,
        }
    }
}

/// What a publish was.
enum Slip {
    Parcel(Ticket, Arc<Message>),
    Probe,
}

impl Slip {
    fn bytes(&self) -> usize {
        if let Self::Parcel(_, message) = self { message.payload.len() } else { 0 }
    }
}

/// What is on its way, in the order of publishing until it is written.
struct OnTheWay {
    /// So many small ones at once.
    window: usize,
    at_most_once: VecDeque<Slip>,
    at_least_once: VecDeque<Slip>,
    /// Written, by packet id.
    unanswered: HashMap<u16, Slip>,
    bytes: usize,
    /// The client would not have them: the session's end puts them back.
    stranded: usize,
}

impl OnTheWay {
    /// What the broker does not take yet waits in the client, where nothing overtakes it: no more than twice what it takes.
    fn of(receive_max: u16) -> Self {
        let window = usize::from(WINDOW).min(WINDOW_OF_ANY.max(2 * usize::from(receive_max)));
        let (at_most_once, at_least_once) = (VecDeque::new(), VecDeque::new());
        Self { window, at_most_once, at_least_once, unanswered: HashMap::new(), bytes: 0, stranded: 0 }
    }

    fn add(&mut self, slip: Slip, qos: Qos) {
        self.bytes += slip.bytes();
        match qos {
            Qos::AtMostOnce => self.at_most_once.push_back(slip),
            Qos::AtLeastOnce => self.at_least_once.push_back(slip),
        }
    }

    /// `None`: of QoS 0, and there will be no answer.
    fn written(&mut self, id: Option<u16>) -> Option<&Slip> {
        let id = id?;
        let slip = self.at_least_once.pop_front()?;
        Some(self.unanswered.entry(id).insert_entry(slip).into_mut())
    }

    fn sent(&mut self) -> Option<Slip> {
        let slip = self.at_most_once.pop_front()?;
        self.bytes -= slip.bytes();
        Some(slip)
    }

    fn answered(&mut self, id: u16) -> Option<Slip> {
        let slip = self.unanswered.remove(&id)?;
        self.bytes -= slip.bytes();
        Some(slip)
    }

    fn count(&self) -> usize {
        self.at_most_once.len() + self.at_least_once.len() + self.unanswered.len() + self.stranded
    }

    /// For how many messages and bytes there is room.
    fn vacancy(&self) -> Vacancy {
        let count = self.count();
        Vacancy {
            of_any: WINDOW_OF_ANY.saturating_sub(count),
            messages: self.window.saturating_sub(count),
            bytes: WINDOW_BYTES.saturating_sub(self.bytes),
        }
    }
}

/// A session that was made.
struct Session<'a, D: Dialect> {
    setup: &'a Setup,
    link: Driven<D>,
    max_packet: usize,
    retains: bool,
    since: Instant,
    listening: &'a mut Listening,
    /// It was said that the link is up: commands arrive.
    up: bool,
    flying: OnTheWay,
    /// When something was confirmed last, or the first thing went out.
    progress: tokio::time::Instant,
    probe_out: bool,
    /// What the outbox is to be told at once.
    told: Told,
    /// Buffers that are used again.
    parcels: Vec<Parcel>,
    address: String,
}

/// What became of messages, until the outbox is told: once for many.
#[derive(Default)]
struct Told {
    handed: Vec<Ticket>,
    sent: Vec<Ticket>,
    acked: Vec<Ticket>,
}

impl<D: Dialect> Broker<D> {
    async fn talk(&mut self, wire: &mut Wire) -> End {
        let stop = wire.stop.clone();
        // On the first connection too, when there can be no session of ours: mosquitto 2.0.11 saves none that began clean.
        let mut link = Driven::<D>::open(&self.setup, self.setup.session_seconds > 0);
        let connected = tokio::select! {
            () = stop.cancelled() => return End::Stopped,
            first = link.next() => first,
        };
        let (max_packet, resumed, retains, receive_max) = match connected {
            Ok(Saying::Connected { max_packet, resumed, retains, receive_max }) => {
                (max_packet, resumed, retains, receive_max)
            }
            Ok(other) => return End::lost(format!("unexpected before the session began: {other:?}"), None),
            Err(closing) => return ended::<D>(closing, &self.setup, None),
        };
        let mut session = Session {
            setup: &self.setup,
            link,
            max_packet,
            retains,
            since: Instant::now(),
            listening: &mut self.listening,
            up: false,
            flying: OnTheWay::of(receive_max),
            progress: tokio::time::Instant::now(),
            probe_out: false,
            told: Told::default(),
            parcels: Vec::new(),
            address: String::new(),
        };
        // Publishing begins at once; the link counts as up when commands arrive as well.
        session.listen(wire, resumed);
        wire.outbox.link_up();
        let end = session.run(wire).await;
        // DISCONNECT silences the will: it may, when the node could say for itself that it goes.
        if matches!(end, End::Stopped) && wire.outbox.closed_empty() {
            session.link.leave().await;
        }
        end
    }
}

impl<D: Dialect> Session<'_, D> {
    /// A session that the broker kept still has what it granted.
    fn listen(&mut self, wire: &mut Wire, resumed: bool) {
        wire.look_up_wish();
        let packets = self.listening.begin(resumed, &wire.probe_address, wanted(wire));
        if resumed {
            let asked = packets.subscribe.len();
            tracing::debug!(bus = "mqtt", asked, "the broker kept the session: commands of the meantime arrive");
        }
        if self.listening.is_granted(&wire.probe_address) {
            wire.probing_begins();
        }
        self.ask(&packets);
        self.judge(wire);
    }

    /// The node wants to listen on something else.
    fn listen_anew(&mut self, wire: &mut Wire) {
        wire.look_up_wish();
        let packets = self.listening.want(wanted(wire));
        self.ask(&packets);
        self.judge(wire);
    }

    fn ask(&self, packets: &Packets) {
        packets.unsubscribe.iter().for_each(|packet| self.link.client.unsubscribe(packet));
        packets.subscribe.iter().for_each(|packet| self.link.client.subscribe(packet));
    }

    /// Says how well we hear, once the broker has answered.
    fn judge(&mut self, wire: &mut Wire) {
        if !self.listening.is_settled() {
            return;
        }
        if !std::mem::replace(&mut self.up, true) {
            wire.report.up(&format!("{} ({})", self.setup.shown, D::NAME));
        }
        let refused = self.listening.refused().filter(|(address, _)| *address != wire.probe_address);
        let of_others = |address: &str| matches!(wire.listening.get(address), Some(Meaning::Absolute(_)));
        let (others, control): (Vec<_>, Vec<_>) = refused.partition(|(address, _)| of_others(address));
        let named = |refused: &[(&str, &str)]| -> Vec<String> {
            refused.iter().map(|(address, why)| format!("{address} ({why})")).collect()
        };
        wire.report.deaf_on(&named(&control));
        wire.report.deaf_to_others(&named(&others));
    }

    async fn run(&mut self, wire: &mut Wire) -> End {
        let stop = wire.stop.clone();
        loop {
            let probe = wire.delivery.due().map(tokio::time::Instant::from_std);
            let (vacancy, flies) = (self.flying.vacancy(), self.flying.count() > 0);
            tokio::select! {
                biased;
                () = stop.cancelled() => return End::Stopped,
                said = self.link.next() => {
                    if let Err(closing) = self.hear_all(wire, said) {
                        return ended::<D>(closing, self.setup, Some(self.since));
                    }
                    self.refill(wire).await;
                }
                () = wish_changed(&mut wire.wishes) => self.listen_anew(wire),
                () = tokio::time::sleep_until(probe.unwrap_or(self.progress)), if probe.is_some() => self.probe(wire),
                () = wire.outbox.next_batch(vacancy, &mut self.parcels), if vacancy.is_any() => self.send_all(wire).await,
                () = tokio::time::sleep_until(self.progress + STALL), if flies => {
                    return End::lost(format!("{}: nothing confirmed for {STALL:?}", self.setup.shown), Some(self.since));
                }
            }
        }
    }

    /// Much room again: the next ones go out before the last of these are settled, so that the broker never waits for us,
    /// nor they for a flood that comes in.
    async fn refill(&mut self, wire: &mut Wire) {
        let vacancy = self.flying.vacancy();
        if vacancy.messages >= self.flying.window / 4 && wire.outbox.try_next_batch(vacancy, &mut self.parcels) > 0 {
            self.send_all(wire).await;
        }
    }

    /// What was said, and what else is there already; the outbox is told of all of it at once.
    fn hear_all(&mut self, wire: &mut Wire, said: Result<Saying, Closing>) -> Result<(), Closing> {
        self.hear(wire, said?);
        self.hear_ready(wire);
        Ok(())
    }

    fn hear_ready(&mut self, wire: &mut Wire) {
        while let Some(saying) = self.link.ready() {
            self.hear(wire, saying);
        }
        let Told { handed, sent, acked } = &mut self.told;
        wire.outbox.settle_batch(handed, sent, acked);
    }

    fn hear(&mut self, wire: &mut Wire, saying: Saying) {
        match saying {
            Saying::Message(inbound) => wire.deliver(inbound),
            Saying::Written(None) => {
                self.progress = tokio::time::Instant::now();
                if let Some(Slip::Parcel(ticket, _)) = self.flying.sent() {
                    self.told.sent.push(ticket);
                }
            }
            Saying::Written(id) => {
                if let Some(Slip::Parcel(ticket, _)) = self.flying.written(id) {
                    self.told.handed.push(*ticket);
                }
            }
            Saying::Answered(id, receipt) => {
                self.progress = tokio::time::Instant::now();
                if let Some(slip) = self.flying.answered(id) {
                    self.settle(wire, slip, receipt);
                }
            }
            Saying::Subscribed { refused } => self.subscribed(wire, refused),
            Saying::Unsubscribed => self.listening.unsubscribed(),
            Saying::Connected { .. } => {}
        }
    }

    fn subscribed(&mut self, wire: &mut Wire, refused: Vec<(usize, String)>) {
        let (probe, granted) = (wire.probe_address.clone(), self.listening.is_granted(&wire.probe_address));
        self.listening.subscribed(refused);
        if !granted && self.listening.is_granted(&probe) {
            wire.probing_begins();
        } else if self.listening.is_refused(&probe) {
            wire.probe_forbidden("listen on");
        }
        self.judge(wire);
    }

    fn settle(&mut self, wire: &mut Wire, slip: Slip, receipt: Receipt) {
        let Slip::Parcel(ticket, message) = slip else {
            self.probe_out = false;
            if receipt == Receipt::Forbidden {
                wire.probe_forbidden("publish to");
            }
            return;
        };
        match receipt {
            Receipt::Acked => {
                self.told.acked.push(ticket);
                wire.report.allowed(|| message.topic.mqtt(&self.setup.prefix));
            }
            Receipt::Refused(why) => wire.outbox.refused(ticket, &format!("by the broker: {why}")),
            Receipt::Forbidden => {
                wire.outbox.refused(ticket, "by the broker: not authorized; allow this node to publish there");
                // Where an answer goes is the asker's choice: a foreign address is no fault of this node's.
                if !matches!(message.topic, Topic::Reply(_)) {
                    wire.report.forbidden(&message.topic.mqtt(&self.setup.prefix));
                }
            }
            // It stays in flight; the session's end puts it back in its place.
            Receipt::Lost => {}
        }
    }

    async fn send_all(&mut self, wire: &mut Wire) {
        let mut parcels = std::mem::take(&mut self.parcels);
        let mut address = std::mem::take(&mut self.address);
        for parcel in parcels.drain(..) {
            if wire.stop.is_cancelled() {
                // The rest stays in flight; the session's end puts it back in its place.
                break;
            }
            address.clear();
            parcel.message.topic.write(&self.setup.prefix, '/', &mut address);
            let ticket = parcel.ticket;
            match self.admit(wire, &address, parcel).await {
                Ok(Some(message)) => {
                    let qos = message.qos;
                    self.note(Slip::Parcel(ticket, message), qos);
                }
                Ok(None) => self.flying.stranded += 1,
                Err(why) => wire.outbox.refused(ticket, &why),
            }
        }
        (self.parcels, self.address) = (parcels, address);
    }

    fn probe(&mut self, wire: &mut Wire) {
        let message = wire.next_probe();
        // One that was not even taken is out already: the next would only wait behind it.
        if !self.probe_out && self.link.client.publish(&wire.probe_address, &message) == Ok(true) {
            self.probe_out = true;
            self.note(Slip::Probe, message.qos);
        }
    }

    fn note(&mut self, slip: Slip, qos: Qos) {
        if self.flying.count() == 0 {
            self.progress = tokio::time::Instant::now();
        }
        self.flying.add(slip, qos);
    }

    /// The message as it went out; `None`: the client took none.
    async fn admit(&mut self, wire: &mut Wire, address: &str, parcel: Parcel) -> Result<Option<Arc<Message>>, String> {
        if parcel.message.retain && !self.retains {
            return Err("the broker keeps no retained messages".into());
        }
        let message = self.fitting(wire, address, &parcel).await?;
        if let Some(why) = poison(&parcel) {
            return Err(why);
        }
        let taken = self.link.client.publish(address, &message)?;
        Ok(taken.then_some(message))
    }

    /// The message as the broker takes it: a picture that is too large is made smaller.
    async fn fitting(&mut self, wire: &mut Wire, address: &str, parcel: &Parcel) -> Result<Arc<Message>, String> {
        let message = &parcel.message;
        let (size, bytes) = (D::packet_size(address, message), message.payload.len());
        let limit = if size > self.max_packet {
            self.max_packet.saturating_sub(size - bytes)
        } else if !D::TELLS_ITS_LIMIT && bytes > POISON_BYTES && parcel.attempts > 1 {
            // Links died with it on the way, and a broker of this version does not say why: half as large a link.
            bytes >> (parcel.attempts - 1).min(16)
        } else {
            return Ok(Arc::clone(message));
        };
        // Encoding takes a while, and a batch may be full of pictures: neither commands nor the broker wait for it.
        let smaller = self.link.beside(message.shrunk(limit)).await;
        self.progress = tokio::time::Instant::now();
        self.hear_ready(wire);
        if let Some(smaller) = smaller {
            wire.outbox.metrics().keyframe_shrunk();
            tracing::debug!(bus = "mqtt", address, bytes, now = smaller.payload.len(), "encoded again to fit");
            return Ok(smaller);
        }
        if size > self.max_packet {
            return Err(format!("{size} bytes are more than the {} that the broker takes", self.max_packet));
        }
        Ok(Arc::clone(message))
    }
}

/// Every address to listen on, the delivery probe's among them.
fn wanted(wire: &Wire) -> HashSet<String> {
    let probe = wire.delivery.wanted().then(|| wire.probe_address.clone());
    wire.listening.keys().cloned().chain(probe).collect()
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

fn ended<D: Dialect>(closing: Closing, setup: &Setup, since: Option<Instant>) -> End {
    let shown = &setup.shown;
    match closing {
        Closing::Refused(why) => End::Refused(format!("{shown}: the broker refused: {why}")),
        Closing::Lost(why) => End::lost(format!("{shown}: {why}"), since),
        Closing::HungUp if since.is_none() => End::lost(
            format!("{shown}: the broker closed the connection before the session began: does it speak {}?", D::NAME),
            None,
        ),
        Closing::HungUp => End::lost(format!("{shown}: {HUNG_UP}"), since),
        Closing::TakenOver => {
            End::TakenOver { why: format!("{shown}: {TAKEN_OVER}"), since: since.unwrap_or_else(Instant::now) }
        }
        Closing::Done => End::lost(format!("{shown}: closed"), since),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use bytes::Bytes;

    use super::super::{v5, v311};
    use super::*;
    use crate::bus::{Message, MqttConfig, Outbox, OutboxLimits, Publisher, Topic};
    use crate::telemetry::BusMetrics;

    fn reply() -> Message {
        Message::reply(Topic::Replies("garage".parse().unwrap()), Bytes::from_static(b"{}"), None)
    }

    fn publishes_to_nobody<D: Dialect>() {
        let setup = Setup::for_visitor(&MqttConfig::default(), "test").unwrap();
        let (client, connection) = D::open(&setup, false);
        drop(connection);
        assert_eq!(client.publish("a/b", &reply()), Ok(false), "{}: not taken, and not refused", D::NAME);
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
