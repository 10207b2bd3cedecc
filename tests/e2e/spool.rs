//! What waits on disk: over a `kill -9`, a clean stop, a full disk, a folder that cannot be written.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use sightwire::envelope::Event;

use crate::common::{Mosquitto, NatsServer};
use crate::metrics::Page;
use crate::node::{Home, Program, SHAPES, buses, scene, wait_for};
use crate::witness::{Inbox, MqttWitness, NatsWitness};

fn home(buses: &str, more: &str) -> Home {
    let camera = |name: &str, seed: u8| {
        let source = scene(15, &format!("&seed={seed}&objects=8"));
        format!("  {name}:\n    source: {source}\n    model: shapes\n    max_fps: 0\n    publish: {{ qos: 1 }}\n")
    };
    Home::new(&format!("{buses}{more}{SHAPES}cameras:\n{}{}", camera("door", 5), camera("yard", 6)))
}

fn outcome(page: &Page, bus: &str, outcome: &str) -> f64 {
    page.sum("sightwire_messages_total", &[("bus", bus), ("outcome", outcome)])
}

/// Messages of a kind that wait, and the spool's own count.
fn on_disk(page: &Page, bus: &str) -> f64 {
    page.sum("sightwire_spool_messages", &[("bus", bus)])
}

/// The events of a camera, each as it came first, in the order of arrival.
fn first_arrivals(inbox: &Inbox, camera: &str) -> Vec<Event> {
    let mut seen = std::collections::HashSet::new();
    let events = inbox.of(camera, "events").into_iter().map(|message| message.event());
    events.filter(|event| seen.insert((event.boot_id.to_string(), event.seq))).collect()
}

/// Old boots first, each without a gap from its first number to its last; returns the last number by boot, in order.
fn assert_in_order(events: &[Event]) -> Vec<(String, u64)> {
    let mut boots: Vec<(String, u64)> = Vec::new();
    for event in events {
        match boots.last_mut() {
            Some((boot, last)) if *boot == event.boot_id.to_string() => {
                assert_eq!(event.seq, *last + 1, "{}: out of order or lost", event.camera);
                *last = event.seq;
            }
            _ => {
                let boot = event.boot_id.to_string();
                assert!(
                    boots.iter().all(|(earlier, _)| *earlier < boot),
                    "{}: an old boot after a new one",
                    event.camera
                );
                assert_eq!(event.seq, 1, "{}: the first of its boot is lost", event.camera);
                boots.push((boot, event.seq));
            }
        }
    }
    boots
}

#[test]
fn what_a_killed_node_had_on_disk_arrives_after_the_next_start_in_order_and_says_so() {
    let mut broker = Mosquitto::down("allow_anonymous true\nmax_queued_messages 0\n");
    let home = home(&buses(Some((broker.port, "5")), None), "");
    let mut written: Vec<BTreeMap<&str, u64>> = Vec::new();
    for _ in 0..2 {
        let before = on_disk_of(&home);
        let mut node = home.start();
        wait_for("events are on disk", || {
            let events = node.metrics().sum("sightwire_outbox_messages", &[("kind", "event")]);
            (events >= 8.0 && on_disk(&node.metrics(), "mqtt") >= events.max(before + 20.0)).then_some(())
        });
        node.process.signal("KILL");
        node.process.wait();
        written.push(committed_events(&home));
    }
    broker.start();
    let witness = MqttWitness::v5(broker.port);
    let node = home.start();
    for camera in ["door", "yard"] {
        let fresh = wait_for("events of this boot", || {
            let events = first_arrivals(&witness.inbox, camera);
            let boots = events.iter().map(|event| event.boot_id.to_string()).collect::<std::collections::BTreeSet<_>>();
            (boots.len() == 3).then_some(events)
        });
        let boots = assert_in_order(&fresh);
        let total: u64 = boots[..2].iter().map(|(_, last)| last).sum();
        assert!(total >= written[1][camera], "{camera}: {boots:?}, and {written:?} were on disk");
        let newest = &boots[2].0;
        for event in &fresh {
            assert!(event.replayed || event.boot_id.as_str() == newest, "{camera} {}: not marked", event.seq);
        }
    }
    wait_for("the spool is empty", || (on_disk(&node.metrics(), "mqtt") == 0.0).then_some(()));
    let page = node.metrics();
    let restored = page.sum("sightwire_messages_total", &[("kind", "event"), ("outcome", "restored")]);
    assert_eq!(restored, sum(&written[1]), "every event that was on disk");
    assert_eq!(outcome(&page, "mqtt", "dropped"), 0.0);
    let (status, _log) = node.end();
    assert!(status.success());
}

/// What another reader of the file counts; no node runs.
fn committed_events(home: &Home) -> BTreeMap<&'static str, u64> {
    let database = rusqlite::Connection::open(home.path().join("state/garage/spool/mqtt.db")).unwrap();
    let count = |camera: &str| {
        let sql = "SELECT count(*) FROM messages JOIN cameras ON camera = cameras.id WHERE kind = 1 AND name = ?1";
        database.query_row(sql, [camera], |row| row.get(0)).unwrap()
    };
    ["door", "yard"].map(|camera| (camera, count(camera))).into()
}

fn on_disk_of(home: &Home) -> f64 {
    if !home.path().join("state/garage/spool/mqtt.db").exists() {
        return 0.0;
    }
    sum(&committed_events(home))
}

fn sum(counts: &BTreeMap<&str, u64>) -> f64 {
    counts.values().map(|count| f64::from(u32::try_from(*count).unwrap())).sum()
}

#[test]
fn a_clean_stop_without_a_broker_keeps_everything_for_the_next_start() {
    let mut server = NatsServer::down("jetstream { store_dir: \"{dir}/js\" }\n");
    let home = home(&buses(None, Some(server.port)), "");
    let node = home.start();
    wait_for("events wait", || {
        (node.metrics().sum("sightwire_outbox_messages", &[("kind", "event")]) >= 8.0).then_some(())
    });
    let (status, log) = node.end();
    assert!(status.success());
    let line = log.wait("of the end", |line| line.contains("not delivered"));
    let record: Value = serde_json::from_str(&line).unwrap();
    let kept = record["fields"]["kept"].as_u64().unwrap();
    assert!(kept >= 8, "{line}");
    server.start();
    let witness = NatsWitness::new(server.port);
    let node = home.start();
    let page = wait_for("everything is delivered", || {
        let page = node.metrics();
        let of = |outcome| page.sum("sightwire_messages_total", &[("kind", "event"), ("outcome", outcome)]);
        (of("acked") > of("restored") && of("restored") > 0.0).then_some(page)
    });
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    let kept = kept as f64;
    assert_eq!(outcome(&page, "nats", "restored"), kept);
    for camera in ["door", "yard"] {
        let events = wait_for("events of both boots", || {
            let events = first_arrivals(&witness.inbox, camera);
            (events.len() > 1 && events[0].boot_id != events[events.len() - 1].boot_id).then_some(events)
        });
        assert_eq!(assert_in_order(&events).len(), 2);
        assert!(events[0].replayed && !events[events.len() - 1].replayed);
    }
}

/// A small file system of the test's own; `None` where this user may not mount.
struct Disk<'a>(&'a Path);

impl<'a> Disk<'a> {
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    fn mount(at: &'a Path, options: &str) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(at));
        }
        eprintln!("skipped: mount is refused here");
        None
    }

    fn remount(&self, options: &str) {
        let status = Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(self.0).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        // Lazily: whoever still holds a file in it ends soon.
        let _gone = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_is_said_and_the_node_goes_on_in_memory_until_there_is_room() {
    let broker = Mosquitto::down("allow_anonymous true\n");
    let home = home(&buses(Some((broker.port, "5")), None), "");
    let state = home.path().join("state");
    let Some(disk) = Disk::mount(&state, "size=600k") else { return };
    let node = home.start();
    let ok = |page: &Page| page.sum("sightwire_spool_ok", &[("bus", "mqtt")]);
    wait_for("the disk is full", || {
        (ok(&node.metrics()) == 0.0 && on_disk(&node.metrics(), "mqtt") > 0.0).then_some(())
    });
    let parts: Value = serde_json::from_str(&node.get("/readyz").1).unwrap();
    let part = &parts["spools"][0];
    assert!(part["ready"] == false && part["detail"].as_str().unwrap().contains("no space"), "{parts}");
    assert_eq!(node.camera("door")["actual"], "running");
    disk.remount("size=64m");
    wait_for("the spool works again", || (ok(&node.metrics()) == 1.0).then_some(()));
    wait_for("everything is on disk", || {
        let page = node.metrics();
        let waiting = page.sum("sightwire_outbox_messages", &[("kind", "event")])
            + page.sum("sightwire_outbox_messages", &[("kind", "detections")]);
        (on_disk(&page, "mqtt") + 30.0 >= waiting && waiting > 0.0).then_some(())
    });
    assert_eq!(node.metrics().sum("sightwire_messages_dropped_total", &[("kind", "event")]), 0.0);
    let said = node.log.all().iter().filter(|line| line.contains("no space left")).count();
    assert_eq!(said, 1, "said once");
    drop(node);
}

#[test]
fn a_spool_that_fills_its_disk_itself_works_again_once_all_of_it_is_delivered() {
    let mut broker = Mosquitto::down("allow_anonymous true\n");
    let home = home(&buses(Some((broker.port, "5")), None), "");
    let state = home.path().join("state");
    let Some(_disk) = Disk::mount(&state, "size=600k") else { return };
    let node = home.start();
    let ok = |page: &Page| page.sum("sightwire_spool_ok", &[("bus", "mqtt")]);
    wait_for("the disk is full", || {
        (ok(&node.metrics()) == 0.0 && on_disk(&node.metrics(), "mqtt") > 0.0).then_some(())
    });
    broker.start();
    node.log.wait("of the new file", |line| line.contains("its file begun anew"));
    wait_for("the spool works again", || (ok(&node.metrics()) == 1.0).then_some(()));
    assert_eq!(node.metrics().sum("sightwire_messages_dropped_total", &[]), 0.0);
    drop(node);
}

#[test]
fn a_file_system_that_is_read_only_leaves_the_memory() {
    let broker = Mosquitto::open();
    let home = home(&buses(Some((broker.port, "5")), None), "");
    let state = home.path().join("state");
    let Some(disk) = Disk::mount(&state, "size=4m") else { return };
    std::fs::create_dir_all(state.join("garage")).unwrap();
    disk.remount("ro,size=4m");
    let witness = MqttWitness::v5(broker.port);
    let node = home.start();
    witness.inbox.wait("an event", |m| m.is_of("door", "events"));
    let told: Value = witness
        .inbox
        .wait("the node's state", |m| {
            m.topic == "sightwire/nodes/garage/state" && m.json()["buses"][0]["spool"]["ok"] == false
        })
        .json();
    let detail = told["buses"][0]["spool"]["detail"].as_str().unwrap();
    assert!(detail.to_lowercase().contains("read-only"), "{detail}");
    assert_eq!(node.get("/readyz").0, 200, "the node does its work");
    drop(node);
}

#[test]
fn the_spool_of_a_bus_that_is_gone_is_named_and_kept() {
    let broker = Mosquitto::open();
    let home = home(&buses(Some((broker.port, "5")), None), "");
    let spools = home.path().join("state/garage/spool");
    std::fs::create_dir_all(&spools).unwrap();
    std::fs::write(spools.join("nats.db"), "what was meant for it").unwrap();
    let node = home.start();
    let line = node.log.wait("of the spool left behind", |line| line.contains("a spool that is not used"));
    assert!(line.contains("nats.db"), "{line}");
    assert!(spools.join("nats.db").is_file());
}

#[test]
fn check_says_what_waits_and_what_is_wrong_with_a_spool() {
    let broker = Mosquitto::open();
    let home = home(&buses(Some((broker.port, "5")), None), "");
    let check = || {
        let mut program = Program::start(home.path(), &["check", "-c", "sightwire.yaml"]);
        let status = program.process.wait();
        (status.success(), program.out.wait("of the spool", |line| line.contains("spool") && line.contains("mqtt")))
    };
    let (well, line) = check();
    assert!(well && line.contains("0 messages wait"), "{line}");
    let path = home.path().join("state/garage/spool/mqtt.db");
    std::fs::write(&path, "not a database, however long it is".repeat(100)).unwrap();
    let (well, line) = check();
    assert!(!well && line.contains("FAIL") && line.contains("not a database"), "{line}");
    assert!(path.is_file(), "who only looks puts nothing aside");
    let node = home.start();
    let line = node.log.wait("of the file put aside", |line| line.contains("put aside"));
    assert!(line.contains("mqtt.db.corrupt-"), "{line}");
    wait_for("the new spool works", || {
        (node.metrics().sum("sightwire_spool_ok", &[("bus", "mqtt")]) == 1.0).then_some(())
    });
    let (well, line) = check();
    assert!(well && line.contains("in use by a running node"), "{line}");
}
