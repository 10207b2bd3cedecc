//! A network that swallows packets: node and broker in network namespaces of their own, a pair of virtual cards between them.
//! Nobody is told anything: no RST, no FIN, no ICMP; the node has to find out by itself.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::common::process::Process;
use super::faults::Struck;
use super::ledger::{Ledger, Said};
use super::node::{Home, Lines, Running, SHAPES, wait_for};
use super::plan::{between, ms, plan};

const FPS: u64 = 15;
const CALM: Duration = Duration::from_secs(150);

/// A network namespace: it lives as long as the process that sleeps in it.
struct Place(Process);

impl Place {
    fn new() -> Self {
        let mut sleeper = Process::spawn(Command::new("unshare").args(["-n", "sleep", "infinity"]));
        let (own, of) = (namespace("self"), sleeper.child().id().to_string());
        wait_for("a namespace of its own", || (namespace(&of) != own).then_some(()));
        let mut place = Self(sleeper);
        place.ip("link set lo up");
        place
    }

    fn pid(&mut self) -> String {
        self.0.child().id().to_string()
    }

    fn command(&mut self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.pid(), "-n", program]);
        command
    }

    fn ip(&mut self, arguments: &str) {
        let status = self.command("ip").args(arguments.split(' ')).status().unwrap();
        assert!(status.success(), "ip {arguments}");
    }
}

fn namespace(pid: &str) -> Option<std::path::PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/ns/net")).ok()
}

/// As root, with a kernel that has them.
fn allowed() -> bool {
    let mut command = Command::new("unshare");
    command.args(["-n", "ip", "link", "add", "a0", "type", "veth", "peer", "name", "a1"]);
    command.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

struct Network {
    broker: Place,
    node: Place,
}

impl Network {
    fn new() -> Self {
        let (mut broker, mut node) = (Place::new(), Place::new());
        broker.ip(&format!("link add wire type veth peer name wire netns {}", node.pid()));
        broker.ip("addr add 10.9.0.1/24 dev wire");
        node.ip("addr add 10.9.0.2/24 dev wire");
        broker.ip("link set wire up");
        node.ip("link set wire up");
        Self { broker, node }
    }

    /// Everything to the node is swallowed; its own packets arrive and are never confirmed.
    fn swallow(&mut self, length: Duration) {
        self.broker.ip("route add blackhole 10.9.0.2/32");
        std::thread::sleep(length);
        self.broker.ip("route del blackhole 10.9.0.2/32");
    }

    /// The cable is pulled at the broker's side.
    fn unplug(&mut self, length: Duration) {
        self.broker.ip("link set wire down");
        std::thread::sleep(length);
        self.broker.ip("link set wire up");
    }
}

/// `mosquitto_sub` beside the broker, which never ends here: it sees what the broker takes.
fn subscriber(network: &mut Network) -> (Process, Arc<Mutex<Ledger>>) {
    let mut command = network.broker.command("mosquitto_sub");
    command.args(["-h", "10.9.0.1", "-q", "1", "-t", "ready"]);
    command.args(["-t", "sightwire/cameras/+/events", "-t", "sightwire/cameras/+/detections"]);
    let mut process = Process::spawn(command.stdout(Stdio::piped()).stderr(Stdio::null()));
    let output = process.child().stdout.take().unwrap();
    let seen = Arc::new(Mutex::new(Ledger::default()));
    let (into, (tell, ready)) = (Arc::clone(&seen), mpsc::channel());
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            match line.as_str() {
                "yes" => drop(tell.send(())),
                line => into.lock().unwrap().saw(&Said::read(line.as_bytes()).expect("an event or detections")),
            }
        }
    });
    // A word of the test's own comes back once the subscription stands.
    wait_for("a subscription", || {
        network.broker.command("mosquitto_pub").args(["-h", "10.9.0.1", "-t", "ready", "-m", "yes"]).status().unwrap();
        ready.recv_timeout(ms(100)).ok()
    });
    (process, seen)
}

/// So many frames that the camera ends with the storm; then the node ends by itself, once all is acknowledged.
fn home(frames: u64) -> Home {
    Home::new(&format!(
        "buses:\n  mqtt: {{ url: \"mqtt://10.9.0.1:1883\" }}\n{SHAPES}cameras:\n  door:\n    \
         source: \"synthetic:shapes?width=320&height=240&fps={FPS}&frames={frames}&seed={}&objects=6\"\n    \
         model: shapes\n    max_fps: 0\n    queue: {{ depth: 4, when_full: block }}\n    publish: {{ qos: 1 }}\n",
        plan().seed % 1_000
    ))
}

#[test]
fn a_network_that_swallows_everything_loses_nothing() {
    if !allowed() {
        println!("chaos: skipped: network namespaces need root and a kernel that has them");
        return;
    }
    let mut network = Network::new();
    let home = home(plan().storm().as_secs() * FPS);
    std::fs::write(home.path().join("broker.conf"), "user root\nallow_anonymous true\nlistener 1883 10.9.0.1\n")
        .unwrap();
    let mut broker = network.broker.command("mosquitto");
    let _broker = Process::spawn(broker.arg("-c").arg(home.path().join("broker.conf")).stderr(Stdio::null()));
    wait_for("the broker", || {
        let tried = network
            .broker
            .command("mosquitto_pub")
            .args(["-h", "10.9.0.1", "-t", "ready", "-m", "no"])
            .stderr(Stdio::null())
            .status();
        tried.unwrap().success().then_some(())
    });
    let (_subscriber, seen) = subscriber(&mut network);

    let mut command = network.node.command(env!("CARGO_BIN_EXE_sightwire"));
    command.args(["run", "-c", "sightwire.yaml", "--until-done", "--summary", "json"]).current_dir(home.path());
    let mut node = Running::spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let (out, log) = (Lines::follow(node.0.stdout.take().unwrap()), Lines::follow(node.0.stderr.take().unwrap()));

    let (mut dice, mut struck) = (plan().dice("network", 0), Struck::default());
    let end = Instant::now() + plan().storm();
    while Instant::now() < end {
        std::thread::sleep(between(&mut dice, ms(0), ms(2_000)));
        let long = plan().full && dice.u8(..6) == 0;
        let length =
            if long { between(&mut dice, ms(20_000), ms(45_000)) } else { between(&mut dice, ms(50), ms(2_500)) };
        let swallow = dice.bool();
        struck.count(if swallow { "swallow" } else { "unplug" });
        if swallow { network.swallow(length) } else { network.unplug(length) }
    }
    let start = Instant::now();
    let status = loop {
        if let Some(status) = node.0.try_wait().unwrap() {
            break status;
        }
        assert!(start.elapsed() < CALM, "not done\n{}", log.text());
        std::thread::sleep(ms(50));
    };
    assert!(status.success(), "{status}\n{}", log.text());
    let summary: Value = serde_json::from_str(&out.wait("of the summary", |line| line.starts_with('{'))).unwrap();
    let row = &summary["cameras"][0];
    let number = |key: &str| row[key].as_u64().unwrap();
    assert_eq!(number("messages_lost"), 0, "{summary}");
    assert_eq!(number("messages_offered"), number("messages_sent") + number("messages_acknowledged"), "{summary}");

    // What the broker acknowledged is on its way to the subscriber at most.
    let frames = number("frames_inferred");
    wait_for("the last of it", || {
        let reached = seen.lock().unwrap().reached("detections");
        reached.values().copied().eq([frames]).then_some(())
    });
    let seen = seen.lock().unwrap();
    let events = seen.reached("event");
    assert!(!events.is_empty(), "nothing happened in front of the camera");
    seen.check("a subscriber", &events);
    println!(
        "chaos: a network that swallows packets, the program and MQTT 5: {} faults ({struck}); {} events and {frames} detections, \
         0 lost, 0 out of order, {} repeated",
        struck.total(),
        events.values().sum::<u64>(),
        seen.duplicates
    );
}
