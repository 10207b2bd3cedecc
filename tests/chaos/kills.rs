//! `kill -9` of the node: what was committed to the spool, or acknowledged, is there after the next start, each boot from its
//! first number without a gap, older boots first.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sightwire::bus::{BusContext, Fanout, Link, MqttConfig, NatsConfig, start_mqtt, start_nats};
use sightwire::domain::Timestamp;
use tempfile::TempDir;
use tokio::task::block_in_place;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::arena::spool_in;
use super::common::process::Process;
use super::common::{Mosquitto, NatsServer, context};
use super::faults::{Fault, Struck};
use super::ledger::{Ledger, Line};
use super::nats::stored;
use super::node::{Home, Node, SHAPES, wait_for};
use super::plan::{between, ms, plan};
use super::proxy::Proxy;
use super::stream::Stream;
use super::tap::Tap;

const CALM: Duration = Duration::from_secs(150);
/// The promise is `spool.write_after`, 50 ms, and the time the disk needs; a busy machine's disk may need long.
const LATEST: Duration = Duration::from_secs(5);
const CHILD: &str = "SIGHTWIRE_CHAOS_CHILD";

/// Two brokers behind proxies; the servers are there for the last run, whatever happened before.
struct Servers {
    mqtt: (Mosquitto, Proxy),
    nats: (NatsServer, Proxy),
}

impl Servers {
    fn new() -> Self {
        let (broker, server) = (Mosquitto::with("allow_anonymous true"), NatsServer::with_jetstream());
        let mqtt = Proxy::start(broker.port, Some(Tap::new(true)));
        let nats = Proxy::start(server.port, None);
        Self { mqtt: (broker, mqtt), nats: (server, nats) }
    }

    fn urls(&self) -> (String, String) {
        (format!("mqtt://127.0.0.1:{}", self.mqtt.1.port), format!("nats://127.0.0.1:{}", self.nats.1.port))
    }

    async fn strike(&mut self, fault: Fault, which: bool) {
        if which {
            fault.strike(&mut self.mqtt.0, &self.mqtt.1).await;
        } else {
            fault.strike(&mut self.nats.0, &self.nats.1).await;
        }
    }
}

/// What a killed boot had offered, and when; told by its diary.
#[derive(Default)]
struct Diary {
    offered: BTreeMap<Line, Vec<i64>>,
    killed: BTreeMap<String, i64>,
}

impl Diary {
    fn read(&mut self, path: &Path, killed: Timestamp) {
        for entry in std::fs::read_to_string(path).unwrap().lines() {
            let words: Vec<&str> = entry.split(' ').collect();
            // The kill may have come within a line.
            let [camera, boot, kind, _, at] = words[..] else { continue };
            let kind = if kind == "event" { "event" } else { "detections" };
            self.offered.entry((camera.into(), boot.into(), kind)).or_default().push(at.parse().unwrap());
            self.killed.insert(boot.into(), killed.as_micros());
        }
    }

    /// How many were offered and never seen, and how long before the kill the oldest of them was offered.
    fn lost(&self, seen: &Ledger) -> (usize, Duration) {
        let (mut lost, mut oldest) = (0, 0);
        for (line, times) in &self.offered {
            let missing = &times[times.len().min(seen.last(line) as usize)..];
            lost += missing.len();
            oldest = oldest.max(missing.first().map_or(0, |at| self.killed[&line.1] - at));
        }
        (lost, Duration::from_micros(oldest.unsigned_abs()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_again_and_again_loses_nothing_but_its_last_moment() {
    let mut servers = Servers::new();
    let folder = tempfile::tempdir().unwrap();
    let mut dice = plan().dice("kills", 0);
    let (mut struck, mut diary) = (Struck::default(), Diary::default());
    let end = Instant::now() + plan().storm();
    let mut kills = 0;
    while Instant::now() < end {
        let mut child = spawn_child(&folder, &servers, kills, false);
        let long = plan().full && dice.u8(..12) == 0;
        let life = if long { between(&mut dice, ms(6_000), ms(9_000)) } else { between(&mut dice, ms(50), ms(1_500)) };
        let begin = Instant::now();
        if dice.bool() {
            let fault = Fault::roll(&mut dice, true);
            struck.count(fault.name());
            sleep(life.mul_f64(dice.f64() / 2.0)).await;
            let _longer_than_its_life = timeout(Duration::from_secs(4), servers.strike(fault, dice.bool())).await;
            servers.heal();
        }
        sleep(life.saturating_sub(begin.elapsed())).await;
        let killed = Timestamp::now();
        child.kill();
        struck.count("kill of the node");
        if diary_of(&folder, kills).exists() {
            diary.read(&diary_of(&folder, kills), killed);
        }
        kills += 1;
    }
    let mut last = spawn_child(&folder, &servers, kills, true);
    let ended = block_in_place(|| last.child().wait()).unwrap();
    assert!(ended.success(), "the last child could not deliver what was left");

    let in_stream = stored(&servers.nats.0).await;
    in_stream.check("in the stream", &BTreeMap::new());
    let (mut lost, mut oldest) = (0, Duration::ZERO);
    let events: u64 = in_stream.reached("event").values().sum();
    servers.mqtt.1.tap(|tap| {
        tap.acked.check("acknowledged on the wire", &BTreeMap::new());
        (lost, oldest) = diary.lost(&tap.acked);
    });
    diary.offered.retain(|line, _| line.2 == "event");
    let (lost_of_stream, oldest_of_stream) = diary.lost(&in_stream);
    let oldest = oldest.max(oldest_of_stream);
    assert!(oldest < LATEST, "lost although it was offered {oldest:?} before the kill");
    println!(
        "chaos: kill -9 of a process with a spool, MQTT 5 and NATS: {} faults ({struck}); {events} events in the stream, each boot \
         without a gap, 0 out of order; of the last moments {lost} messages (MQTT) and {lost_of_stream} (NATS) were not yet on \
         disk, the oldest offered {} ms before its kill",
        struck.total(),
        oldest.as_millis()
    );
}

fn diary_of(folder: &TempDir, index: u32) -> std::path::PathBuf {
    folder.path().join(format!("diary-{index}"))
}

/// This very program, as the child below.
fn spawn_child(folder: &TempDir, servers: &Servers, index: u32, last: bool) -> Process {
    let (mqtt, nats) = servers.urls();
    let say =
        [folder.path().to_str().unwrap(), &mqtt, &nats, &index.to_string(), if last { "last" } else { "" }].join(" ");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "--ignored", "--nocapture", "kills::a_child_that_offers_until_it_is_killed"])
        .env(CHILD, say);
    Process::spawn(command.stdout(Stdio::null()).stderr(Stdio::null()))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a part of the test above, which runs it as a process of its own"]
async fn a_child_that_offers_until_it_is_killed() {
    let Ok(said) = std::env::var(CHILD) else { return };
    let words: Vec<&str> = said.split(' ').collect();
    let [folder, mqtt, nats, index, last] = words[..] else { panic!("{said}") };
    let folder = Path::new(folder);
    let context = BusContext { spool: Some(spool_in(&folder.join("spool"))), ..context().0 };
    let boot_id = context.boot_id.clone();
    let (mqtt, nats) = (
        MqttConfig { url: mqtt.into(), ..MqttConfig::default() },
        NatsConfig { url: nats.into(), ..NatsConfig::default() },
    );
    let links = [start_mqtt(&mqtt, context.clone()).unwrap(), start_nats(&nats, context).unwrap()];
    if last == "last" {
        deliver_the_rest(links).await;
        return;
    }
    let diary = File::create(folder.join(format!("diary-{index}"))).unwrap();
    let stream = Stream::new(Arc::new(Fanout::new(&links)), boot_id, 4).with_diary(diary);
    stream.flow(fastrand::Rng::new(), CancellationToken::new()).await;
}

async fn deliver_the_rest(links: [Link; 2]) {
    for link in &links {
        timeout(CALM, link.state().wait_for(|state| state.connected)).await.unwrap().unwrap();
    }
    // What an earlier run left is found a moment after the start.
    sleep(Duration::from_secs(1)).await;
    timeout(CALM, Fanout::new(&links).drained()).await.unwrap();
    for link in links {
        let left = link.shutdown(CALM).await;
        assert_eq!((left.waiting.total_messages(), left.kept.total_messages()), (0, 0));
    }
}

impl Servers {
    /// After a fault that was left in its middle.
    fn heal(&mut self) {
        use super::proxy::Weather;
        for proxy in [&self.mqtt.1, &self.nats.1] {
            proxy.weather(Weather::default());
            proxy.cut_after(-1);
        }
        self.mqtt.0.signal("CONT");
        self.nats.0.signal("CONT");
        if !self.mqtt.0.runs() {
            block_in_place(|| self.mqtt.0.start());
        }
        if !self.nats.0.runs() {
            block_in_place(|| self.nats.0.start());
        }
    }
}

const CAMERAS: [&str; 2] = ["door", "gate"];

fn home(servers: &Servers, seed: u64) -> Home {
    let (mqtt, nats) = servers.urls();
    let camera = |name: &str| {
        let scene = format!("synthetic:shapes?width=320&height=240&fps=15&seed={seed}&objects=8");
        format!("  {name}: {{ source: \"{scene}\", model: shapes, max_fps: 0, publish: {{ qos: 1 }} }}\n")
    };
    let cameras = CAMERAS.map(camera).concat();
    Home::new(&format!(
        "buses:\n  mqtt: {{ url: \"{mqtt}\" }}\n  nats: {{ url: \"{nats}\" }}\n{SHAPES}cameras:\n{cameras}"
    ))
}

/// The program itself; `offered` is what its metrics said a while before the kill.
#[tokio::test(flavor = "multi_thread")]
async fn the_program_that_is_killed_delivers_after_its_restart_what_it_had_offered() {
    let mut servers = Servers::new();
    let mut dice = plan().dice("program kills", 0);
    let home = home(&servers, dice.u64(..1_000));
    let (mut struck, mut offered) = (Struck::default(), BTreeMap::new());
    let end = Instant::now() + plan().storm();
    while Instant::now() < end || offered.len() < 2 {
        let mut node = block_in_place(|| home.start());
        let boot = block_in_place(|| node.camera("door"))["boot_id"].as_str().unwrap().to_owned();
        let fault = Fault::roll(&mut dice, true);
        struck.count(fault.name());
        let (which, life) = (dice.bool(), between(&mut dice, ms(500), ms(3_000)));
        let _longer_than_its_life = timeout(life, servers.strike(fault, which)).await;
        let before = events(&node);
        sleep(between(&mut dice, ms(1_000), ms(2_000))).await;
        node.process.signal("KILL");
        block_in_place(|| node.process.wait());
        servers.heal();
        struck.count("kill of the node");
        offered.insert(boot, before);
    }
    let node = block_in_place(|| home.start());
    wait_for("the spool is empty and new events came", || {
        let page = node.metrics();
        let waiting = page.sum("sightwire_outbox_messages", &[("kind", "event")]);
        (waiting == 0.0 && events(&node) >= 4).then_some(())
    });
    let (status, log) = block_in_place(|| node.end());
    assert!(status.success(), "{}", log.text());
    let in_stream = stored(&servers.nats.0).await;
    in_stream.check("in the stream", &BTreeMap::new());
    servers.mqtt.1.tap(|tap| tap.acked.check("acknowledged on the wire", &BTreeMap::new()));
    for (boot, before) in &offered {
        let survived =
            |seen: &Ledger| CAMERAS.map(|name| seen.last(&(name.into(), boot.clone(), "event"))).iter().sum::<u64>();
        let (wire, stream) = (servers.mqtt.1.tap(|tap| survived(&tap.acked)), survived(&in_stream));
        assert!(wire >= *before && stream >= *before, "{boot}: {before} were offered, {wire} and {stream} arrived");
    }
    println!(
        "chaos: kill -9 of the program, MQTT 5 and NATS: {} faults ({struck}); {} events in the stream, each boot without a gap, \
         0 out of order, none lost that was offered a second before its kill",
        struck.total(),
        in_stream.reached("event").values().sum::<u64>()
    );
}

fn events(node: &Node) -> u64 {
    let offered = [("bus", "mqtt"), ("kind", "event"), ("outcome", "offered")];
    block_in_place(|| node.metrics()).sum("sightwire_messages_total", &offered) as u64
}
