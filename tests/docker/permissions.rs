//! Each user of the shipped brokers may do what it is for, and nothing else.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::common::PATIENCE;
use crate::site::{Site, shipped, sightwire};

/// Exit code and all that was said.
fn ctl(site: &Site, scheme: &str, user: &str, args: &[&str]) -> (i32, String) {
    let bus = site.bus(scheme, user);
    let output = sightwire(site.folder.path()).args(["ctl", "--bus", &bus]).args(args).output().unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    (output.status.code().unwrap(), said)
}

/// What mosquitto says to this user about this topic; nothing = it is allowed.
fn publish(site: &Site, user: &str, topic: &str) -> String {
    let (port, password) = (site.mqtt.port.to_string(), site.secret(&format!("mqtt_{user}")));
    let args = ["-p", &port, "-V", "mqttv5", "-q", "1", "-u", user, "-P", &password, "-t", topic, "-m", "x"];
    String::from_utf8(Command::new("mosquitto_pub").args(args).output().unwrap().stderr).unwrap()
}

/// The first message that this user gets of a topic.
fn hears(site: &Site, user: &str, topic: &str) -> Option<String> {
    hears_within(site, user, topic, "30")
}

fn hears_within(site: &Site, user: &str, topic: &str, seconds: &str) -> Option<String> {
    let (port, password) = (site.mqtt.port.to_string(), site.secret(&format!("mqtt_{user}")));
    let args = ["-p", &port, "-u", user, "-P", &password, "-t", topic, "-C", "1", "-W", seconds];
    let output = Command::new("mosquitto_sub").args(args).output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

/// What nats-server complains of when this user says these lines; nothing = it is allowed.
fn complaint(site: &Site, user: &str, lines: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", site.nats.port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let password = site.secret(&format!("nats_{user}"));
    let connect = format!(r#"{{"user":"{user}","pass":"{password}","verbose":false}}"#);
    write!(stream, "CONNECT {connect}\r\n{lines}\r\nPING\r\n").unwrap();
    let said = BufReader::new(stream).lines().map(Result::unwrap);
    said.take_while(|line| line != "PONG").filter(|line| line.starts_with("-ERR")).collect()
}

/// Until everybody runs, and says so on both buses.
fn settled(site: &Site) {
    for scheme in ["mqtt", "nats"] {
        let start = Instant::now();
        while ctl(site, scheme, "operator", &["status", "--all"]).1.matches(" running ").count() != 2 {
            assert!(
                start.elapsed() < 2 * PATIENCE,
                "{}\n{}",
                ctl(site, scheme, "operator", &["status", "--all"]).1,
                site.log()
            );
            std::thread::sleep(Duration::from_millis(250));
        }
    }
}

#[test]
fn the_shipped_brokers_allow_each_user_what_it_is_for_and_nothing_else() {
    let site = Site::open();
    let config = site.config("cameras.yaml", "frigate: { topics: true }\n").display().to_string();
    std::fs::write(
        &config,
        std::fs::read_to_string(&config).unwrap().replace("${SIGHTWIRE_HOMEASSISTANT:-false}", "true"),
    )
    .unwrap();
    let node = site.run(config.as_ref());
    settled(&site);

    // Who commands is obeyed on both buses.
    for (scheme, command) in [
        ("mqtt", ["stop", "--camera", "demo-1"].as_slice()),
        ("mqtt", &["start", "--all"]),
        ("nats", &["pause", "--group", "demo"]),
        ("nats", &["resume", "--node", "home"]),
    ] {
        let (code, said) = ctl(&site, scheme, "operator", &[command, &["--timeout", "30s"]].concat());
        assert_eq!(code, 0, "{scheme} {command:?}: {said}");
    }
    // Who looks, sees.
    assert!(hears(&site, "viewer", "sightwire/cameras/+/detections").unwrap().contains("\"detections\""));
    assert!(hears(&site, "homeassistant", "homeassistant/#").unwrap().contains("origin"));
    assert_eq!(hears(&site, "viewer", "frigate/available").unwrap().trim(), "online");
    let bus = site.bus("nats", "viewer");
    let watch =
        sightwire(site.folder.path()).args(["watch", "--bus", &bus, "--seconds", "10", "--json"]).output().unwrap();
    let watched = String::from_utf8_lossy(&watch.stdout).into_owned();
    assert!(watched.contains("demo-1") && watched.contains("demo-2"), "{watched}");
    assert!(hears(&site, "health", "$SYS/broker/uptime").is_some());

    for (user, topic) in [
        ("viewer", "sightwire/control"),
        ("viewer", "sightwire/cameras/demo-1/control"),
        ("viewer", "sightwire/cameras/demo-1/detections"),
        ("viewer", "frigate/demo-1/enabled/set"),
        ("operator", "sightwire/cameras/demo-1/events"),
        ("operator", "sightwire/nodes/home/status"),
        ("operator", "sightwire/nodes/home/audit"),
        ("homeassistant", "sightwire/control"),
        ("homeassistant", "sightwire/cameras/demo-1/status"),
        ("node", "sightwire/control"),
        ("node", "sightwire/cameras/demo-1/control"),
        ("node", "elsewhere"),
        ("health", "sightwire/control"),
    ] {
        assert!(publish(&site, user, topic).contains("Not authorized"), "{user} may publish to {topic}");
    }
    for (user, topic) in [("operator", "sightwire/cameras/demo-1/control"), ("homeassistant", "homeassistant/status")] {
        assert_eq!(publish(&site, user, topic), "", "{user}: {topic}");
    }
    assert_eq!(hears_within(&site, "health", "sightwire/#", "3"), None);

    for (user, lines) in [
        ("viewer", "PUB sightwire.control 4\r\nstop"),
        ("viewer", "PUB sightwire.cameras.demo-1.events 1\r\nx"),
        ("viewer", "PUB $JS.API.STREAM.DELETE.SIGHTWIRE 0\r\n"),
        ("viewer", "PUB $JS.API.STREAM.PURGE.SIGHTWIRE 0\r\n"),
        ("viewer", "SUB elsewhere 1"),
        ("operator", "PUB sightwire.cameras.demo-1.events 1\r\nx"),
        ("operator", "PUB $JS.API.STREAM.DELETE.SIGHTWIRE 0\r\n"),
        ("node", "PUB sightwire.control 4\r\nstop"),
        ("node", "PUB $JS.API.STREAM.DELETE.SIGHTWIRE 0\r\n"),
        ("node", "SUB sightwire.> 1"),
    ] {
        assert!(complaint(&site, user, lines).contains("Permissions Violation"), "{user}: {lines}");
    }
    for (user, lines) in
        [("viewer", "SUB sightwire.> 1"), ("operator", "PUB sightwire.cameras.demo-1.control 6\r\nstatus")]
    {
        assert_eq!(complaint(&site, user, lines), "", "{user}: {lines}");
    }

    // Nobody was stopped by any of that, and nothing that the node says by itself was refused.
    settled(&site);
    drop(node);
    let log = site.log();
    assert!(log.contains("camera state"), "the log says nothing: {log}");
    assert!(!log.contains("message refused") && !log.contains("ERROR") && !log.contains("not connected"), "{log}");
}

#[test]
fn a_viewer_reads_the_events_that_the_stream_keeps() {
    let site = Site::open();
    let _node = site.run(&site.config("cameras.yaml", ""));
    settled(&site);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let viewer = async_nats::ConnectOptions::with_user_and_password("viewer".into(), site.secret("nats_viewer"));
        let client = viewer.connect(site.nats.url()).await.unwrap();
        let stream = async_nats::jetstream::new(client).get_stream("SIGHTWIRE").await.unwrap();
        crate::common::eventually("the stream keeps an event", async || {
            stream.get_last_raw_message_by_subject("sightwire.cameras.demo-1.events").await.is_ok()
        })
        .await;
        let consumer = stream.create_consumer(async_nats::jetstream::consumer::pull::Config::default()).await.unwrap();
        let mut batch = consumer.fetch().max_messages(1).messages().await.unwrap();
        let message = futures_util::StreamExt::next(&mut batch).await.expect("a message").unwrap();
        message.ack().await.unwrap();
    });
}

/// The topics that `check --explain` names, each with whether the node listens there.
fn explained(site: &Site) -> Vec<(String, bool)> {
    let config = site.config("cameras.yaml", "frigate: { topics: true }\n");
    let text = std::fs::read_to_string(&config).unwrap().replace("${SIGHTWIRE_HOMEASSISTANT:-false}", "true");
    std::fs::write(&config, text).unwrap();
    let output =
        sightwire(site.folder.path()).args(["check", "--offline", "--explain", "-c"]).arg(config).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    let lines = said.lines().filter_map(|line| line.split_once("  (").filter(|(topic, _)| !topic.starts_with(' ')));
    lines.map(|(topic, kind)| (topic.to_owned(), kind.starts_with("listens"))).collect()
}

/// Whether the words of a topic fit a pattern of MQTT or NATS.
fn fits(pattern: &str, topic: &str, separator: char) -> bool {
    let (mut pattern, mut topic) = (pattern.split(separator), topic.split(separator));
    loop {
        match (pattern.next(), topic.next()) {
            (Some("#" | ">"), Some(_)) | (None, None) => return true,
            (Some("+" | "*"), Some(_)) => {}
            (Some(a), Some(b)) if a == b => {}
            _ => return false,
        }
    }
}

#[test]
fn the_nodes_permissions_cover_every_topic_that_check_explains() {
    let site = Site::open();
    let topics = explained(&site);
    assert!(topics.len() > 40, "{topics:?}");
    let acl = shipped("docker/mosquitto/acl");
    let (_, own) = acl.split_once("user node\n").unwrap();
    let own: Vec<&str> = own.lines().take_while(|line| !line.starts_with("user ")).collect();
    let nats = shipped("docker/nats/nats.conf");
    let (_, rest) = nats.split_once("publish: [").unwrap();
    let (publish, rest) = rest.split_once(']').unwrap();
    let subscribe = rest.split_once("subscribe: [").unwrap().1.split_once(']').unwrap().0;
    for (topic, listens) in topics {
        let allowed = if topic.contains('/') {
            let words =
                if listens { ["topic read ", "topic readwrite "] } else { ["topic write ", "topic readwrite "] };
            let mut patterns = own.iter().flat_map(|line| words.iter().filter_map(|word| line.strip_prefix(word)));
            patterns.any(|pattern| fits(pattern, &topic, '/'))
        } else {
            let list = if listens { subscribe } else { publish };
            list.split('"').any(|pattern| fits(pattern, &topic, '.'))
                || topic == "sightwire.control" && subscribe.contains(&topic)
        };
        assert!(allowed, "{topic} (listens: {listens}) is not allowed to the node");
    }
}
