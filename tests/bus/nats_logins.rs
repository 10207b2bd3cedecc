//! The ways to log in to NATS that need more than a word: credentials signed by an operator, certificates of our own.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use serde_json::{Value, json};
use sightwire::bus::{BusConfig, BusError, MessageKind, NatsConfig, Publisher, probe, start_nats};

use crate::common::{NatsServer, PATIENCE, context, message};
use crate::{drained, make_certificates};

/// A JWT as `nsc` makes them: `subject` is what `issuer` says it is.
fn jwt(issuer: &KeyPair, subject: &KeyPair, name: &str, nats: &Value) -> String {
    let claims = json!({ "jti": name, "iat": 1_700_000_000, "iss": issuer.public_key(), "name": name,
        "sub": subject.public_key(), "nats": nats });
    let header = json!({ "typ": "JWT", "alg": "ed25519-nkey" });
    let said = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let signature = URL_SAFE_NO_PAD.encode(issuer.sign(said.as_bytes()).unwrap());
    format!("{said}.{signature}")
}

/// As `nsc generate creds` writes it.
fn credentials(user_jwt: &str, user: &KeyPair) -> String {
    format!(
        "-----BEGIN NATS USER JWT-----\n{user_jwt}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
        user.seed().unwrap()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_logs_in_by_credentials_that_an_operator_signed() {
    let (operator, account, user) = (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_user());
    let limits = json!({ "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
        "conn": -1, "leaf": -1 });
    let user_claims =
        json!({ "type": "user", "version": 2, "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1 });
    let operator_jwt = jwt(&operator, &operator, "operator", &json!({ "type": "operator", "version": 2 }));
    let account_jwt =
        jwt(&operator, &account, "account", &json!({ "type": "account", "version": 2, "limits": limits }));
    let server = NatsServer::with(&format!(
        "operator: {operator_jwt}\nresolver: MEMORY\nresolver_preload: {{ {}: {account_jwt} }}",
        account.public_key()
    ));
    let dir = tempfile::tempdir().unwrap();
    let with = |name: &str, user_jwt: String, key: &KeyPair| {
        std::fs::write(dir.path().join(name), credentials(&user_jwt, key)).unwrap();
        NatsConfig { creds_file: Some(dir.path().join(name)), ..server.config() }
    };
    let good = with("good", jwt(&account, &user, "node", &user_claims), &user);
    let link = start_nats(&good, context().0).unwrap();
    link.outbox().offer(message(MessageKind::Detections, "frame"));
    drained(&link).await;
    assert_eq!(link.outbox().tally(MessageKind::Detections).sent, 1);
    // Signed by an account that the operator does not know, or with another user's key.
    let (stranger, other) = (KeyPair::new_account(), KeyPair::new_user());
    let foreign = with("foreign", jwt(&stranger, &user, "node", &user_claims), &user);
    let stolen = with("stolen", jwt(&account, &user, "node", &user_claims), &other);
    for config in [foreign, stolen, NatsConfig { creds_file: None, ..good }] {
        let error = probe(&BusConfig::Nats(config), PATIENCE).await.unwrap_err();
        assert!(matches!(error, BusError::Refused { .. }), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_shows_its_certificate_to_a_server_that_wants_one() {
    let dir = tempfile::tempdir().unwrap();
    make_certificates(dir.path());
    let path = dir.path().display();
    let server = NatsServer::with(&format!(
        "tls {{ cert_file: \"{path}/server.pem\", key_file: \"{path}/server.key\", ca_file: \"{path}/ca.pem\", verify: true }}"
    ));
    let file = |name: &str| Some(dir.path().join(name));
    let with = NatsConfig {
        url: format!("tls://localhost:{}", server.port),
        ca_file: file("ca.pem"),
        cert_file: file("client.pem"),
        key_file: file("client.key"),
        ..NatsConfig::default()
    };
    let link = start_nats(&with, context().0).unwrap();
    link.outbox().offer(message(MessageKind::Event, "event"));
    drained(&link).await;
    let without = NatsConfig { cert_file: None, key_file: None, ..with };
    probe(&BusConfig::Nats(without), PATIENCE).await.unwrap_err();
}
