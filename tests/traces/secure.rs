//! A collector behind TLS, with an authority of its own.

use std::path::Path;
use std::process::Command;

use crate::collector::Collector;
use crate::common::Mosquitto;
use crate::node::{Home, SHAPES, buses, scene, wait_for};
use crate::traces;

/// `ca.pem`, and `server.pem` with `server.key` for this machine.
fn make_certificates(dir: &Path) {
    let openssl = |arguments: &str| {
        let done = Command::new("openssl").args(arguments.split(' ')).current_dir(dir).output().unwrap();
        assert!(done.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&done.stderr));
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=test-ca"));
    std::fs::write(dir.join("san"), "subjectAltName=DNS:localhost").unwrap();
    openssl(&format!("req {key} -keyout server.key -out server.csr -subj /CN=server"));
    openssl("x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 2 -extfile san");
}

#[test]
fn a_collector_is_spoken_to_by_tls_and_only_if_its_authority_is_the_one_that_is_named() {
    let broker = Mosquitto::open();
    let home = |more: &str, collector: &Collector| {
        let endpoint = format!("https://localhost:{}/otlp?key=hush-hush", collector.port);
        Home::new(&format!(
            "{}{}{SHAPES}cameras:\n  door: {{ source: {}, model: shapes, max_fps: 0 }}\n",
            buses(Some((broker.port, "5")), None),
            traces(&endpoint, "1s", more),
            scene(10, ""),
        ))
    };
    let certificates = tempfile::tempdir().unwrap();
    make_certificates(certificates.path());
    let file = |name: &str| certificates.path().join(name);
    let collector = Collector::secure(&file("server.pem"), &file("server.key"));
    let node = home(&format!(", ca_file: {}", file("ca.pem").display()), &collector).start_owned();
    let told = wait_for("a trace by TLS", || collector.told().first().cloned());
    assert_eq!(told.path, "/otlp?key=hush-hush", "the path that was given");
    let (status, log) = node.end();
    assert!(status.success() && !log.text().contains("hush"));

    // The system's authorities know nothing of it.
    let stranger = Collector::secure(&file("server.pem"), &file("server.key"));
    let node = home("", &stranger).start_owned();
    let said = node.log.wait("that names the reason", |line| line.contains("takes no traces"));
    assert!(said.contains("TLS") && !said.contains("hush"), "{said}");
    assert!(stranger.told().is_empty());
    assert!(node.end().0.success());
}
