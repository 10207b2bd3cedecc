//! The ACL of docs/control.md, in a real mosquitto: it lets through what is needed, and nothing in another's name.

use std::process::Command;

use crate::common::{Mosquitto, process::Process};
use crate::nodes::sightwire;

/// The `acl_file` that docs/control.md shows.
fn acl() -> &'static str {
    let guide = include_str!("../../docs/control.md");
    let (_, rest) = guide.split_once("```conf acl\n").expect("an ACL");
    rest.split_once("```").expect("it ends").0
}

fn broker() -> Mosquitto {
    let mut broker =
        Mosquitto::configured("allow_anonymous false\npassword_file {dir}/users\nacl_file {dir}/acl", |dir| {
            std::fs::write(dir.join("acl"), acl()).unwrap();
            std::fs::write(dir.join("users"), "").unwrap();
            for user in ["garage", "attic", "operator", "watcher"] {
                let mut passwd = Command::new("mosquitto_passwd");
                assert!(passwd.arg("-b").arg(dir.join("users")).args([user, "geheim"]).status().unwrap().success());
            }
        });
    broker.start();
    broker
}

#[test]
fn the_acl_in_the_guide_is_all_that_nodes_and_callers_need() {
    let broker = broker();
    let folder = tempfile::tempdir().unwrap();
    let node = |node: &str, camera: &str| {
        let text = format!(
            "node: {node}\nstate_dir: state\nhttp: {{ listen: \"127.0.0.1:0\" }}\n\
             buses: {{ mqtt: {{ url: \"mqtt://127.0.0.1:{}\", username: {node}, password: geheim }} }}\n\
             models: {{ shapes: {{ path: \"bundled:shapes\" }} }}\ncameras:\n  {camera}: {{ source: \
             \"synthetic:shapes?width=96&height=64&fps=2\", model: shapes, groups: [out], keyframes: {{}} }}\n",
            broker.port
        );
        std::fs::write(folder.path().join(format!("{node}.yaml")), text).unwrap();
        let log = std::fs::File::create(folder.path().join(format!("{node}.log"))).unwrap();
        Process::spawn(sightwire(folder.path()).args(["run", "-c", &format!("{node}.yaml")]).stderr(log))
    };
    let _nodes = [node("garage", "front-door"), node("attic", "roof")];
    let ctl = |user: &str, args: &[&str]| {
        let bus = format!("mqtt://{user}:geheim@127.0.0.1:{}", broker.port);
        let output = sightwire(folder.path()).args(["ctl", "--bus", &bus]).args(args).output().unwrap();
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
        assert!(!said.contains("geheim"), "{said}");
        (output.status.code().unwrap(), said)
    };
    let running = (0..120).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(250));
        ctl("operator", &["status", "--all"]).1.matches(" running ").count() == 2
    });
    assert!(running, "{}", ctl("operator", &["status", "--all"]).1);
    for command in ["stop", "start"] {
        for more in [
            &["--all"][..],
            &["--group", "out", "--mqtt-version", "3.1.1"],
            &["--node", "attic"],
            &["--camera", "roof"],
        ] {
            let (code, said) = ctl("operator", &[&[command, "--timeout", "20s"], more].concat());
            assert_eq!(code, 0, "{said}");
        }
    }
    // Who only looks stops nothing, and a node speaks in nobody else's name.
    let (code, said) = ctl("watcher", &["stop", "--all", "--timeout", "2s"]);
    assert!(code == 1 && said.contains("does not let this user publish"), "{said}");
    let publish = |user: &str, topic: &str| {
        let port = broker.port.to_string();
        let args = ["-p", &port, "-V", "mqttv5", "-q", "1", "-u", user, "-P", "geheim", "-t", topic, "-m", "x"];
        let output = Command::new("mosquitto_pub").args(args).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    for (user, topic) in [
        ("attic", "sightwire/nodes/garage/audit"),
        ("attic", "sightwire/cameras/front-door/control"),
        ("operator", "sightwire/nodes/garage/status"),
        ("operator", "sightwire/nodes/garage/audit"),
        ("watcher", "sightwire/control"),
    ] {
        assert!(publish(user, topic).contains("Not authorized"), "{user}: {topic}");
    }
    assert_eq!(publish("operator", "sightwire/cameras/roof/control"), "");
    let (code, said) = ctl("operator", &["status", "--all"]);
    assert!(code == 0 && said.matches(" running ").count() == 2, "{said}");
    // Whoever asks chooses where the answer goes: if the node may not speak there, that is no illness of the node's.
    let port = broker.port.to_string();
    let astray =
        ["-p", &port, "-V", "mqttv5", "-u", "operator", "-P", "geheim", "-t", "sightwire/control", "-m", "status"];
    let elsewhere = ["-D", "publish", "response-topic", "other/place"];
    assert!(Command::new("mosquitto_pub").args(astray).args(elsewhere).status().unwrap().success());
    let log = |node: &str| std::fs::read_to_string(folder.path().join(format!("{node}.log"))).unwrap();
    let told = (0..200).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        log("garage").contains("message refused") && log("attic").contains("message refused")
    });
    assert!(told, "{}", log("garage"));
    let (_, said) = ctl("operator", &["status", "--node", "garage", "--json"]);
    let roll: serde_json::Value = serde_json::from_str(&said).unwrap();
    let node = roll["rows"].as_array().unwrap().iter().find(|row| row["target"] == "node/garage").unwrap();
    assert_eq!(node["state"]["buses"][0]["problem"], serde_json::Value::Null, "{node}");
    // Nothing that a node has to say by itself is refused.
    for node in ["garage", "attic"] {
        let log = log(node);
        let refused: Vec<&str> =
            log.lines().filter(|line| line.contains("message refused") && !line.contains("other/place")).collect();
        assert!(refused.is_empty() && !log.contains("ERROR") && !log.contains("geheim"), "{log}");
    }
}
