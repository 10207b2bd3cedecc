//! TLS over websockets, and the system's own authorities.

use sightwire::bus::{BusConfig, MessageKind, MqttConfig, MqttVersion, Publisher, probe, start_mqtt};
use std::process::Command;

use crate::common::{Mosquitto, PATIENCE, context, free_port, message};
use crate::{drained, make_certificates};

const FILES: &str = "cafile {dir}/ca.pem\ncertfile {dir}/server.pem\nkeyfile {dir}/server.key";

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_speaks_websockets_over_tls_with_a_password_from_a_file() {
    let wss = free_port();
    let more = format!(
        "per_listener_settings false\npassword_file {{dir}}/passwords\nallow_anonymous false\n\
         listener {wss} 127.0.0.1\nprotocol websockets\n{FILES}\nrequire_certificate true"
    );
    let mut broker = Mosquitto::configured(&more, |dir| {
        make_certificates(dir);
        let mut passwd = Command::new("mosquitto_passwd");
        passwd.arg("-c").arg("-b").arg(dir.join("passwords")).args(["me", "s3cret"]);
        assert!(passwd.status().unwrap().success());
        std::fs::write(dir.join("password"), "s3cret\n").unwrap();
    });
    broker.start();
    let file = |name: &str| Some(broker.dir().join(name));
    for version in [MqttVersion::V5, MqttVersion::V311] {
        let config = MqttConfig {
            url: format!("wss://localhost:{wss}/mqtt"),
            username: Some("me".into()),
            password_file: file("password"),
            ca_file: file("ca.pem"),
            cert_file: file("client.pem"),
            key_file: file("client.key"),
            version,
            ..MqttConfig::default()
        };
        let link = start_mqtt(&config, context().0).unwrap();
        link.outbox().offer(message(MessageKind::Event, vec![b'x'; 200_000]));
        drained(&link).await;
        assert_eq!(link.outbox().tally(MessageKind::Event).acked, 1);
        let without = MqttConfig { cert_file: None, key_file: None, ..config.clone() };
        probe(&BusConfig::Mqtt(without), PATIENCE).await.unwrap_err();
        let stranger = MqttConfig { ca_file: file("client.pem"), ..config };
        probe(&BusConfig::Mqtt(stranger), PATIENCE).await.unwrap_err();
    }
}

/// `SSL_CERT_FILE` stands for the system's authorities, for this one process.
#[test]
fn without_a_ca_file_the_systems_authorities_are_trusted() {
    let mut broker = Mosquitto::configured(&format!("{FILES}\nallow_anonymous true"), make_certificates);
    broker.start();
    let url = format!("mqtts://localhost:{}", broker.port);
    let file = format!(
        "buses: {{ mqtt: {{ url: \"{url}\" }} }}\nmodels: {{ m: {{ path: \"bundled:shapes\" }} }}\n\
         cameras: {{ c: {{ source: \"synthetic:shapes?width=64&height=48\", model: m }} }}\n"
    );
    std::fs::write(broker.dir().join("sightwire.yaml"), file).unwrap();
    let check = |authorities: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sightwire"));
        command.arg("check").current_dir(broker.dir()).env_remove("SSL_CERT_DIR");
        let out = command.env("SSL_CERT_FILE", broker.dir().join(authorities)).output().unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        text.lines().find(|line| line.contains(" bus ") && line.contains(" mqtt ")).map(str::to_owned).unwrap_or(text)
    };
    assert!(check("ca.pem").starts_with("ok"), "{}", check("ca.pem"));
    let refused = check("client.pem");
    assert!(refused.starts_with("FAIL") && refused.to_lowercase().contains("certificate"), "{refused}");
}
