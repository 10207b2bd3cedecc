//! The program itself, as people run it: cameras, the bundled model, both buses, `SIGSTOP` for the node as well. Fewer messages a
//! second than a link alone, and every room takes part.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fastrand::Rng;
use tokio::task::{JoinSet, block_in_place};
use tokio::time::sleep;

use super::arena::Report;
use super::common::{Mosquitto, NatsServer, publish};
use super::faults::{Fault, Struck};
use super::ledger::{Ledger, Line};
use super::memory::Samples;
use super::mqtt::sum;
use super::nats::stored;
use super::node::{Home, Node, SHAPES};
use super::plan::{between, ms, plan};
use super::proxy::{Proxy, Weather};
use super::tap::Tap;

const FPS: u64 = 15;
const CAMERAS: [&str; 3] = ["door", "gate", "yard"];
const KINDS: [&str; 5] = ["state", "event", "keyframe", "detections", "reply"];
/// After the last fault: both links may be at the end of their longest pause.
const CALM: Duration = Duration::from_secs(150);

/// While messages wait they cost memory, and the stream keeps its heap warm: a leak of every frame's message would be far more.
const FLAT_MIB: u64 = 24;

/// A bus of the node with the way there.
struct Bus<S> {
    server: S,
    proxy: Proxy,
}

struct Yard {
    mqtt: Bus<Mosquitto>,
    nats: Bus<NatsServer>,
    home: Home,
    dice: Rng,
}

/// Every frame is looked at, and every message is one that has to arrive.
fn camera(name: &str, seed: u32) -> String {
    let scene = format!("synthetic:shapes?width=320&height=240&fps={FPS}&seed={seed}&objects=6");
    format!(
        "  {name}:\n    source: \"{scene}\"\n    model: shapes\n    max_fps: 0\n    publish: {{ qos: 1 }}\n    \
         queue: {{ depth: 4, when_full: block }}\n    keyframes: {{ when: [event], every: 5s }}\n"
    )
}

fn yard(version: u8, index: usize) -> Yard {
    let (broker, server) = (Mosquitto::with("allow_anonymous true"), NatsServer::with_jetstream());
    let mqtt = Bus { proxy: Proxy::start(broker.port, Some(Tap::new(version == 5))), server: broker };
    let nats = Bus { proxy: Proxy::start(server.port, None), server };
    let mut dice = plan().dice("program", index);
    let version = if version == 5 { "5" } else { "3.1.1" };
    let mut text = format!(
        "buses:\n  mqtt: {{ url: \"mqtt://127.0.0.1:{}\", version: {version} }}\n  nats: {{ url: \"nats://127.0.0.1:{}\" }}\n{SHAPES}cameras:\n",
        mqtt.proxy.port, nats.proxy.port
    );
    for name in CAMERAS {
        text += &camera(name, dice.u32(..));
    }
    Yard { mqtt, nats, home: Home::new(&text), dice }
}

impl Yard {
    async fn storm(mut self) -> Report {
        let mut node = block_in_place(|| self.home.start());
        let mut report = Report { links: 2, ..Report::default() };
        let (mut memory, pid) = (Samples::default(), node.process.0.id().to_string());
        let end = Instant::now() + plan().storm();
        while Instant::now() < end {
            self.strike(&node, &mut report.struck).await;
            report.looks += block_in_place(|| look_at_the_law(&node));
            memory.take(&pid);
            let rest = if self.dice.bool() { ms(2_500) } else { ms(400) };
            sleep(between(&mut self.dice, ms(0), rest)).await;
        }
        self.mqtt.proxy.weather(Weather::default());
        self.mqtt.proxy.cut_after(-1);
        self.nats.proxy.weather(Weather::default());
        self.nats.proxy.cut_after(-1);
        if memory.tell() {
            println!("chaos: the program's resident memory: {}", memory.assert_flat("the program", FLAT_MIB));
        }
        self.calm(&mut node).await;
        let page = block_in_place(|| node.metrics());
        let offered =
            |bus| page.sum("sightwire_messages_total", &[("bus", bus), ("kind", "event"), ("outcome", "offered")]);
        for bus in ["mqtt", "nats"] {
            let sum = |outcome| {
                page.sum("sightwire_messages_total", &[("bus", bus), ("kind", "event"), ("outcome", outcome)])
            };
            assert_eq!((sum("acked"), sum("dropped"), sum("refused")), (offered(bus), 0.0, 0.0), "{bus}");
            report.sessions += 1 + page.sum("sightwire_bus_reconnects_total", &[("bus", bus)]) as u64;
        }
        let (status, log) = block_in_place(|| node.end());
        assert!(status.success(), "{status}\n{}", log.text());
        let in_stream = stored(&self.nats.server).await;
        let detections =
            page.sum("sightwire_messages_total", &[("bus", "mqtt"), ("kind", "detections"), ("outcome", "offered")]);
        self.mqtt.proxy.tap(|tap| {
            check(&tap.acked, &in_stream, offered("mqtt") as u64);
            let acked: u64 = tap.acked.reached("detections").values().sum();
            assert_eq!(acked, detections as u64, "every frame's detections are acknowledged");
        });
        assert_eq!(offered("mqtt"), offered("nats"));
        report.duplicates = in_stream.duplicates + self.mqtt.proxy.tap(|tap| tap.acked.duplicates);
        report.events = 2 * offered("mqtt") as u64;
        report
    }

    async fn strike(&mut self, node: &Node, struck: &mut Struck) {
        if self.dice.u8(..8) == 0 {
            struck.count("node frozen");
            node.process.signal("STOP");
            sleep(between(&mut self.dice, ms(10), ms(1_500))).await;
            return node.process.signal("CONT");
        }
        let fault = Fault::roll(&mut self.dice, true);
        struck.count(fault.name());
        if self.dice.bool() {
            fault.strike(&mut self.mqtt.server, &self.mqtt.proxy).await;
        } else {
            fault.strike(&mut self.nats.server, &self.nats.proxy).await;
        }
    }

    /// The cameras are stopped, as soon as a command arrives, and nothing waits any more.
    async fn calm(&self, node: &mut Node) {
        let start = Instant::now();
        let stopped = |camera: &&str| node.camera(camera)["actual"] == "stopped";
        while !block_in_place(|| CAMERAS.iter().all(stopped)) {
            assert!(start.elapsed() < CALM, "the cameras never stop\n{}", node.log.text());
            block_in_place(|| publish(self.mqtt.server.port, "sightwire/control", "stop", &["-q", "1"]));
            sleep(ms(500)).await;
        }
        loop {
            let page = block_in_place(|| node.metrics());
            if page.sum("sightwire_outbox_messages", &[]) == 0.0 {
                return;
            }
            let waits: Vec<_> = page.find("sightwire_outbox_messages", &[]).filter(|lane| lane.value > 0.0).collect();
            assert!(start.elapsed() < CALM, "still waiting: {waits:?}\n{}", node.log.text());
            sleep(ms(200)).await;
        }
    }
}

/// On the wire and in the stream: the same events, every one, and the same audits of the commands, which go as they do.
fn check(wire: &Ledger, stream: &Ledger, events: u64) {
    let mut promised: BTreeMap<Line, u64> = stream.reached("event");
    assert!(!promised.is_empty(), "nothing happened in front of the cameras");
    promised.extend(stream.reached("audit"));
    assert_eq!(promised.values().sum::<u64>(), events, "{promised:?}");
    stream.check("in the stream", &promised);
    wire.check("acknowledged on the wire", &promised);
}

/// A page is read while the figures move: of some looks one has to be exact.
fn look_at_the_law(node: &Node) -> u64 {
    let mut seen = String::new();
    for _ in 0..50 {
        let page = node.metrics();
        let wrong = ["mqtt", "nats"].iter().flat_map(|bus| KINDS.map(|kind| (*bus, kind))).find_map(|(bus, kind)| {
            let sum =
                |outcome| page.sum("sightwire_messages_total", &[("bus", bus), ("kind", kind), ("outcome", outcome)]);
            let waiting = page.sum("sightwire_outbox_messages", &[("bus", bus), ("kind", kind)]);
            let came = sum("offered") + sum("restored");
            let settled = ["sent", "acked", "dropped", "refused", "kept"].map(sum).iter().sum::<f64>();
            (came != settled + waiting)
                .then(|| format!("{bus} {kind}: offered or restored {came}, settled {settled}, waiting {waiting}"))
        });
        match wrong {
            None => return 1,
            Some(wrong) => seen = wrong,
        }
    }
    panic!("the law does not hold: {seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_itself_delivers_every_event_over_both_buses_whatever_happens_to_them() {
    let mut storms = JoinSet::new();
    for (index, version) in [5, 3].into_iter().enumerate().take(if plan().full { 2 } else { 1 }) {
        storms.spawn(yard(version, index).storm());
    }
    sum(storms).await.say("the program, MQTT and NATS at once, SIGSTOP of the node too");
}
