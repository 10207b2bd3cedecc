//! What every bus shares: how a link is started, what it reports, how it ends.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::delivery::Delivery;
use super::report::{LinkState, Report};
use super::spool::{Bell, Spool};
use super::subscriptions::{Meaning, Wish};
use super::{
    Absolute, Backoff, Heard, Message, Outbox, OutboxLimits, SpoolPlace, SpoolState, Subscriptions, Topic, Waiting,
};
use crate::domain::{BootId, Name, RawCommand, ReplyTo, Target};
use crate::telemetry::{BusMetrics, CameraMetrics, Notice, count_command};

/// How long a link may take to say good-bye once its outbox is closed.
const FAREWELL: Duration = Duration::from_secs(3);
/// For the disk, when a link ends: once to write what is left, once to close the file.
const DISK: Duration = Duration::from_secs(2);

/// Of a command's payload so much is kept: one byte more than the control room reads (its `MAX_PAYLOAD`, 64 KiB), which
/// refuses the rest by its size.
const KEPT_PAYLOAD: usize = (64 << 10) + 1;

/// What a link needs from the node.
#[derive(Debug, Clone)]
pub struct BusContext {
    pub node: Name,
    pub boot_id: BootId,
    pub subscriptions: Subscriptions,
    /// Where what is heard goes; a command that finds it full is lost, logged and counted (its sender gets no reply).
    pub heard: mpsc::Sender<Heard>,
    /// Cameras whose capture-to-publish totals this link fills: give them to the first link only.
    pub cameras: HashMap<Name, Arc<CameraMetrics>>,
    pub limits: OutboxLimits,
    /// Where messages that must not be lost wait on disk; `None`: everything waits in memory only.
    pub spool: Option<SpoolPlace>,
}

/// What was still waiting when a link was shut down.
#[derive(Debug, Clone, Copy)]
pub struct Leftover {
    pub link: &'static str,
    /// Lost, and counted as dropped.
    pub waiting: Waiting,
    /// In the spool, for the next start.
    pub kept: Waiting,
}

/// A running link to one bus. Dropping it ends it without waiting for anything.
#[derive(Debug)]
pub struct Link {
    name: &'static str,
    outbox: Arc<Outbox>,
    state: watch::Receiver<LinkState>,
    stop: DropGuard,
    task: JoinHandle<()>,
    spool: Option<Spool>,
}

impl Link {
    /// `mqtt` or `nats`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    #[must_use]
    pub fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    #[must_use]
    pub fn state(&self) -> watch::Receiver<LinkState> {
        self.state.clone()
    }

    /// How the spool is; `None`: there is none.
    #[must_use]
    pub fn spool(&self) -> Option<watch::Receiver<SpoolState>> {
        self.spool.as_ref().map(Spool::state)
    }

    /// Waits until everything is sent or acknowledged, at most for `deadline`; then says good-bye to the server.
    /// What did not make it is kept in the spool, or dropped and counted.
    pub async fn shutdown(self, deadline: Duration) -> Leftover {
        let in_time = tokio::time::timeout(deadline, self.outbox.drained()).await.is_ok();
        if let Some(spool) = &self.spool {
            spool.flush(DISK).await;
        }
        let (kept, waiting) = self.outbox.close();
        if !in_time {
            let (dropped, kept) = (waiting.total_messages(), kept.total_messages());
            tracing::warn!(
                bus = self.name,
                dropped,
                kept,
                ?deadline,
                "shut down with messages that were not delivered; what was kept in the spool goes out after the next start"
            );
        }
        self.stop.disarm().cancel();
        let abort = self.task.abort_handle();
        if tokio::time::timeout(FAREWELL, self.task).await.is_err() {
            abort.abort();
        }
        if let Some(spool) = self.spool {
            spool.stop(DISK).await;
        }
        Leftover { link: self.name, waiting, kept }
    }

    /// Starts the link; `prefix` and `separator` make the addresses it listens on. `probe_interval` zero: no delivery probe.
    pub(super) fn start(
        name: &'static str,
        server: impl Server,
        context: BusContext,
        (prefix, separator): (&str, char),
        probe_interval: Duration,
    ) -> Self {
        let (metrics, limits, cameras) = (BusMetrics::new(name), context.limits, context.cameras);
        let (outbox, spool) = if let Some(place) = context.spool {
            let bell = Arc::new(Bell::default());
            let outbox = Outbox::with_spool(name, metrics, limits, cameras, Arc::clone(&bell));
            let spool = Spool::start(place, bell, &outbox);
            (outbox, Some(spool))
        } else {
            (Outbox::new(name, metrics, limits, cameras), None)
        };
        let stop = CancellationToken::new();
        let (state_tx, state) = watch::channel(LinkState::new());
        let probe = Topic::Probe(context.node);
        let mut wishes = context.subscriptions.follow();
        let listening = wishes.borrow_and_update().addresses(prefix, separator);
        let wire = Wire {
            outbox: Arc::clone(&outbox),
            listening,
            wishes,
            words: (prefix.to_owned(), separator),
            ear: Ear { bus: name, sender: context.heard, overflows: 0 },
            report: Report::new(name, Arc::clone(&outbox), state_tx, (prefix, separator), !probe_interval.is_zero()),
            delivery: Delivery::new(probe_interval, context.boot_id),
            probe_address: if separator == '/' { probe.mqtt(prefix) } else { probe.nats(prefix) },
            probe,
            stop: stop.clone(),
        };
        Self { name, outbox, state, stop: stop.drop_guard(), task: tokio::spawn(keep_alive(server, wire)), spool }
    }
}

/// The driver's end of a link.
pub(super) struct Wire {
    pub(super) outbox: Arc<Outbox>,
    /// Every address to listen on, and what is said there.
    pub(super) listening: HashMap<String, Meaning>,
    /// See [`wish_changed`].
    pub(super) wishes: watch::Receiver<Wish>,
    /// Prefix and separator.
    words: (String, char),
    ear: Ear,
    pub(super) report: Report,
    pub(super) delivery: Delivery,
    probe: Topic,
    /// Where the delivery probe goes and comes from.
    pub(super) probe_address: String,
    pub(super) stop: CancellationToken,
}

impl Wire {
    /// Hands on what arrived: a command, or the delivery probe.
    pub(super) fn deliver(&mut self, inbound: Inbound) {
        if inbound.address == self.probe_address {
            if let Some(took) = self.delivery.heard(&inbound.payload, Instant::now()) {
                self.outbox.metrics().round_trip(took);
                self.report.delivery(self.delivery.verdict(), &self.probe_address);
            }
        } else if let Some(meaning) = self.listening.get(&inbound.address) {
            self.ear.deliver(meaning, inbound);
        }
    }

    /// Every address to listen on, by the node's wish of this moment.
    pub(super) fn look_up_wish(&mut self) {
        let (prefix, separator) = &self.words;
        self.listening = self.wishes.borrow_and_update().addresses(prefix, *separator);
    }

    /// The session listens on the probe's address.
    pub(super) fn probing_begins(&mut self) {
        self.delivery.begin(Instant::now());
    }

    /// The next delivery probe, which is due; what the ones before tell is reported.
    pub(super) fn next_probe(&mut self) -> Message {
        let payload = self.delivery.next(Instant::now());
        self.report.delivery(self.delivery.verdict(), &self.probe_address);
        Message::reply(self.probe.clone(), payload.into(), None)
    }

    /// The server does not let us `what` (publish to, listen on) the probe's address.
    pub(super) fn probe_forbidden(&mut self, what: &str) {
        self.delivery.end();
        self.report.probe_forbidden(what, &self.probe_address);
    }
}

/// Waits until the node wants to listen on something else than when it was looked up last.
pub(super) async fn wish_changed(wishes: &mut watch::Receiver<Wish>) {
    if wishes.changed().await.is_err() {
        // The node is gone, and with it whoever could wish.
        std::future::pending::<()>().await;
    }
}

/// A message that arrived.
#[derive(Debug, Clone)]
pub(super) struct Inbound {
    pub(super) address: String,
    pub(super) payload: Bytes,
    pub(super) retained: bool,
    pub(super) reply_to: Option<ReplyTo>,
    pub(super) content_type: Option<String>,
}

struct Ear {
    bus: &'static str,
    sender: mpsc::Sender<Heard>,
    overflows: u64,
}

impl Ear {
    fn deliver(&mut self, meaning: &Meaning, inbound: Inbound) {
        let Inbound { payload, retained, reply_to, .. } = inbound;
        if retained && payload.is_empty() {
            // Somebody clears what was retained there.
            return;
        }
        let command = |target: &Target, payload| {
            let reply_to = reply_to.map(|ReplyTo { address, correlation }| {
                let correlation = correlation.map(|data| Bytes::copy_from_slice(&data));
                ReplyTo { address, correlation }
            });
            Heard::Command(RawCommand { bus: self.bus, target: target.clone(), payload, retained, reply_to })
        };
        // Copies: a slice would keep the whole buffer that was read from the socket, megabytes, for as long as it waits.
        let copy = || Bytes::copy_from_slice(&payload[..payload.len().min(KEPT_PAYLOAD)]);
        let heard = match meaning {
            Meaning::Control(target) => command(target, copy()),
            Meaning::Absolute(Absolute::Birth) => Heard::Birth(copy()),
            Meaning::Absolute(Absolute::Switch(camera)) => {
                let word: &[u8] = match &payload[..] {
                    b"ON" => b"start",
                    b"OFF" => b"stop",
                    // Nothing else may be commanded here: who may publish to this topic may switch, no more.
                    _ => {
                        count_command("unknown", "refused");
                        tracing::warn!(bus = self.bus, %camera, "neither ON nor OFF came on its switch: ignored");
                        return;
                    }
                };
                command(&Target::Camera(camera.clone()), Bytes::from_static(word))
            }
        };
        self.send(heard);
    }

    /// Never waits: a flood of commands must not hold up the messages on their way out.
    fn send(&mut self, heard: Heard) {
        let Err(mpsc::error::TrySendError::Full(heard)) = self.sender.try_send(heard) else { return };
        self.overflows += 1;
        let target = match heard {
            Heard::Command(command) => {
                count_command("unknown", "overflow");
                command.target.to_string()
            }
            Heard::Birth(_) => "birth".to_owned(),
        };
        if self.overflows.is_power_of_two() {
            let lost = self.overflows;
            tracing::warn!(bus = self.bus, target, lost, "commands come faster than they are handled: lost");
        }
    }
}

/// How a session with a server ended.
#[derive(Debug)]
pub(super) enum End {
    /// Asked to by [`Wire::stop`].
    Stopped,
    /// The server will not have us: credentials, permissions, version.
    Refused(String),
    /// Never made, or made at `since` and lost.
    Lost { why: String, since: Option<Instant> },
    /// Made at `since`, and another client with our id took it over.
    TakenOver { why: String, since: Instant },
}

impl End {
    pub(super) fn lost(why: impl Into<String>, since: Option<Instant>) -> Self {
        Self::Lost { why: why.into(), since }
    }
}

/// The other side, as one bus knows to talk to it.
pub(super) trait Server: Send + 'static {
    /// One session, from connecting until it ends.
    fn session(&mut self, wire: &mut Wire) -> impl Future<Output = End> + Send;
}

/// Retries only: what one session is, [`Server::session`] tells.
async fn keep_alive(mut server: impl Server, mut wire: Wire) {
    const SLOW: Duration = Duration::from_secs(5);
    let mut backoff = Backoff::default();
    let mut peace = Truce::default();
    loop {
        let end = server.session(&mut wire).await;
        wire.delivery.end();
        let lost = wire.outbox.requeue_in_flight();
        if lost > 0 {
            tracing::debug!(messages = lost, "unconfirmed messages will be sent again");
        }
        let delay = match end {
            End::Stopped => break,
            // A person has to act: no hurry, and no lock-out by a server that counts failed log-ins.
            End::Refused(why) => {
                wire.report.down(&why);
                backoff.next_delay().max(SLOW)
            }
            End::Lost { why, since } => {
                wire.report.down(&why);
                backoff.connected_for(since.map_or(Duration::ZERO, |since| since.elapsed()));
                backoff.next_delay()
            }
            End::TakenOver { why, since } => {
                wire.report.notice(Notice::TakenOver);
                wire.report.down(&why);
                peace.next_delay(since.elapsed())
            }
        };
        if wire.stop.run_until_cancelled(tokio::time::sleep(delay)).await.is_none() {
            break;
        }
    }
    wire.report.stopped();
}

/// Two clients that throw each other out must not do it every second: the longer it goes on, the longer we leave the
/// session to the other one.
struct Truce(Backoff);

impl Default for Truce {
    fn default() -> Self {
        Self(Backoff::new(Duration::from_secs(5), Duration::from_mins(5)))
    }
}

impl Truce {
    /// A session that lived so long was no war.
    const PEACE: Duration = Duration::from_mins(10);

    fn next_delay(&mut self, lived: Duration) -> Duration {
        if lived >= Self::PEACE {
            *self = Self::default();
        }
        self.0.next_delay()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_clients_with_one_id_leave_each_other_alone_for_longer_and_longer() {
        let mut truce = Truce::default();
        let delays: Vec<_> = (0..30).map(|_| truce.next_delay(Duration::from_secs(30))).collect();
        assert!(delays.iter().all(|delay| *delay >= Duration::from_secs(5)), "{delays:?}");
        assert!(delays[10..].iter().any(|delay| *delay > Duration::from_mins(1)), "{delays:?}");
        assert!(truce.next_delay(Truce::PEACE) <= Duration::from_secs(10));
    }

    fn command(receiver: &mut mpsc::Receiver<Heard>) -> RawCommand {
        let Ok(Heard::Command(command)) = receiver.try_recv() else { panic!("no command") };
        command
    }

    #[test]
    fn a_switch_of_others_starts_and_stops_its_camera_and_can_do_no_more() {
        let (sender, mut receiver) = mpsc::channel(9);
        let mut ear = Ear { bus: "mqtt", sender, overflows: 0 };
        let switch = Meaning::Absolute(Absolute::Switch("door".parse().unwrap()));
        for payload in ["ON", "shutdown", "OFF", "", r#"{"command":"restart"}"#] {
            let (address, payload) = ("door/enabled/set".into(), Bytes::from(payload));
            ear.deliver(&switch, Inbound { address, payload, retained: true, reply_to: None, content_type: None });
        }
        for word in ["start", "stop"] {
            let heard = command(&mut receiver);
            assert_eq!((&heard.payload[..], heard.target.to_string()), (word.as_bytes(), "camera/door".into()));
            assert!(heard.retained, "for the control room to refuse");
        }
        assert!(receiver.try_recv().is_err());
    }

    #[test]
    fn a_flood_of_commands_is_dropped_and_never_waits() {
        let (sender, mut receiver) = mpsc::channel(2);
        let mut ear = Ear { bus: "test", sender, overflows: 0 };
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            for i in 0..5_u8 {
                let payload = Bytes::from(vec![i]);
                let inbound =
                    Inbound { address: "a".into(), payload, retained: false, reply_to: None, content_type: None };
                ear.deliver(&Meaning::Control(Target::All), inbound);
            }
        });
        assert_eq!(ear.overflows, 3);
        let counted = recorder.handle().render();
        assert!(counted.contains(r#"{command="unknown",result="overflow"} 3"#), "{counted}");
        assert_eq!(&command(&mut receiver).payload[..], [0]);
    }

    #[test]
    fn a_waiting_command_does_not_keep_the_buffer_it_was_read_into() {
        let (sender, mut receiver) = mpsc::channel(2);
        let mut ear = Ear { bus: "test", sender, overflows: 0 };
        let read = Bytes::from(vec![7_u8; 16 << 20]);
        for (size, kept) in [(read.len(), KEPT_PAYLOAD), (100, 100)] {
            let payload = read.slice(..size);
            let reply_to = Some(ReplyTo { address: "me".into(), correlation: Some(read.slice(..4)) });
            let inbound = Inbound { address: "a".into(), payload, retained: false, reply_to, content_type: None };
            ear.deliver(&Meaning::Control(Target::All), inbound);
            let waiting = command(&mut receiver);
            assert_eq!(waiting.payload.len(), kept);
            assert_eq!(waiting.reply_to.as_ref().unwrap().correlation.as_deref(), Some(&[7_u8; 4][..]));
            assert!(read.is_unique(), "{kept} bytes hold it");
        }
    }
}
