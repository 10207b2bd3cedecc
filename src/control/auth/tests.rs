//! Signatures, replays and rules, as an attacker would try them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::{Map, json};

use super::jws::{Claims, Header, TYPE, seal};
use super::*;
use crate::control::{ControlConfig, OperatorConfig};
use crate::domain::{Name, Target};
use crate::envelope::Command;

const NOW: i64 = 1_000_000;
const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

struct House {
    folder: tempfile::TempDir,
    ana: SigningKey,
    config: ControlConfig,
}

impl House {
    /// `ana` has an ed25519 key and may do anything, `desk` a secret and may only stop and start.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ana = SigningKey::read(&generate(false).unwrap()).unwrap();
        let file = folder.path().join("desk.key");
        std::fs::write(&file, SECRET).unwrap();
        let public = OperatorConfig { public_key: ana.public_key(), ..OperatorConfig::default() };
        let secret = OperatorConfig {
            hmac_key_file: Some(file),
            may: Some(vec![Verb::Stop, Verb::Start]),
            ..OperatorConfig::default()
        };
        let operators = [(name("ana"), public), (name("desk"), secret)].into();
        Self { folder, ana, config: ControlConfig { operators, ..ControlConfig::default() } }
    }

    fn guard(&self, now: Timestamp) -> Guard {
        Guard::open(self.config.clone(), self.folder.path(), &name("garage"), now).unwrap()
    }

    fn desk() -> SigningKey {
        SigningKey::read(SECRET).unwrap()
    }
}

fn claims(command: &str, id: &str) -> Claims {
    Claims {
        command: command.into(),
        target: "camera/door".into(),
        id: id.into(),
        issued_at: at(NOW),
        expires_at: at(NOW + 10),
        args: Map::new(),
    }
}

fn raw(payload: &str) -> RawCommand {
    let target = Target::Camera(name("door"));
    RawCommand { bus: "mqtt", target, payload: payload.to_owned().into(), retained: false, reply_to: None }
}

fn code(result: Result<Admitted, Box<Rejected>>) -> &'static str {
    result.map_or_else(|rejected| rejected.refusal.code, |_| "ok")
}

#[test]
fn the_standards_own_examples_hold() {
    // RFC 8037, A.4 and A.5.
    let key = PublicKey::ed25519("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
    let signed = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert!(key.verifies(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()));
    // RFC 7515, A.1.
    let secret = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &URL_SAFE_NO_PAD.decode(secret).unwrap());
    let signed = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let signature = URL_SAFE_NO_PAD.decode("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").unwrap();
    assert!(PublicKey::Hmac(key).verifies(signed.as_bytes(), &signature));
}

#[test]
fn a_signed_command_is_let_in_with_its_operator() {
    let house = House::new();
    let guard = house.guard(at(NOW));
    let args = Map::from_iter([("confidence".to_owned(), json!(0.6))]);
    let text = seal(&Claims { args: args.clone(), ..claims("set", "1") }, "ana", &house.ana);
    let admitted = guard.admit(&raw(&format!("{text}\n")), at(NOW + 1)).unwrap();
    assert_eq!(admitted.operator, Some(name("ana")));
    let (id, expires_at) = (Some("1".into()), Some(at(NOW + 10)));
    assert_eq!(admitted.command, Command { command: Verb::Set, id, args, expires_at });
    let text = seal(&claims("stop", "1"), "desk", &House::desk());
    assert_eq!(guard.admit(&raw(&text), at(NOW)).unwrap().operator, Some(name("desk")), "an id is its operator's own");
}

#[test]
fn classes_that_are_closed_need_a_signature_and_stop_does_not() {
    let house = House::new();
    let guard = house.guard(at(NOW));
    let strict = ControlConfig { trust_http: false, ..house.config.clone() };
    let strict = Guard::open(strict, house.folder.path(), &name("garage"), at(NOW)).unwrap();
    for verb in Verb::ALL {
        let open = matches!(verb, Verb::Stop | Verb::Pause | Verb::Status | Verb::Snapshot);
        let judged = code(guard.admit(&raw(verb.as_str()), at(NOW)));
        assert_eq!(judged, if open { "ok" } else { "unsigned" }, "{verb:?}");
        let over_http = RawCommand { bus: "http", ..raw(verb.as_str()) };
        assert_eq!(code(guard.admit(&over_http, at(NOW))), "ok", "HTTP's own token lets it in");
        assert_eq!(code(strict.admit(&over_http, at(NOW))), judged, "unless it is not trusted");
        let nobody = Guard::open_door();
        assert_eq!(code(nobody.admit(&raw(verb.as_str()), at(NOW))), "ok");
    }
    let all = ControlConfig { require_signature: Some(Verb::ALL.to_vec()), ..house.config.clone() };
    let guard = Guard::open(all, house.folder.path(), &name("garage"), at(NOW)).unwrap();
    let rejected = guard.admit(&raw(r#"{"command":"stop","id":"7"}"#), at(NOW)).unwrap_err();
    assert_eq!((rejected.refusal.code, rejected.refusal.id.as_deref()), ("unsigned", Some("7")));
}

#[test]
fn what_is_not_as_it_was_signed_for_is_refused() {
    let house = House::new();
    let guard = house.guard(at(NOW));
    let judged = |claims: Claims, now: i64| code(guard.admit(&raw(&seal(&claims, "ana", &house.ana)), at(now)));
    let base = || claims("stop", "a");
    assert_eq!(judged(Claims { target: "all".into(), ..base() }, NOW), "wrong_target");
    assert_eq!(judged(base(), NOW + 11), "expired");
    assert_eq!(judged(Claims { issued_at: at(NOW + 11), expires_at: at(NOW + 20), ..base() }, NOW), "not_yet");
    assert_eq!(judged(Claims { expires_at: at(NOW + 301), ..base() }, NOW), "lives_too_long");
    assert_eq!(judged(Claims { issued_at: at(NOW - 1), ..base() }, NOW), "too_old", "no memory of before the start");
    assert_eq!(judged(Claims { id: String::new(), ..base() }, NOW), "malformed");
    assert_eq!(judged(Claims { id: "x".repeat(129), ..base() }, NOW), "malformed");
    assert_eq!(judged(Claims { command: "explode".into(), ..base() }, NOW), "unknown_command");
    let retained = RawCommand { retained: true, ..raw(&seal(&base(), "ana", &house.ana)) };
    assert_eq!(code(guard.admit(&retained, at(NOW))), "retained");
    assert_eq!(judged(base(), NOW), "ok", "none of them used its id up");
    assert_eq!(judged(base(), NOW), "replayed");
    let desk =
        |command: &str| code(guard.admit(&raw(&seal(&claims(command, command), "desk", &House::desk())), at(NOW)));
    assert_eq!((desk("set"), desk("start")), ("not_authorized", "ok"));
}

#[test]
fn who_cannot_sign_learns_nothing_of_who_can() {
    let house = House::new();
    let guard = house.guard(at(NOW));
    let stranger = SigningKey::read(&generate(false).unwrap()).unwrap();
    let tried = |operator: &str, key: &SigningKey| {
        let rejected = guard.admit(&raw(&seal(&claims("start", "x"), operator, key)), at(NOW)).unwrap_err();
        assert_eq!((rejected.operator.as_ref(), rejected.claimed.as_deref()), (None, Some(operator)));
        (rejected.refusal.code, rejected.told())
    };
    let (real, told_real) = tried("ana", &stranger);
    let (none, told_none) = tried("eve", &stranger);
    assert_eq!((real, none), ("bad_signature", "unknown_operator"));
    assert_eq!(told_real, told_none);
    assert_eq!(told_real.id.as_deref(), Some("x"), "its sender can tell the answer");
}

#[test]
fn a_header_that_asks_for_something_else_is_refused() {
    let house = House::new();
    let guard = house.guard(at(NOW));
    let encode = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let body = encode(&json!(claims("stop", "1")));
    let judged = |header: serde_json::Value, key: &SigningKey| {
        let signed = format!("{}.{body}", encode(&header));
        let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()));
        code(guard.admit(&raw(&format!("{signed}.{signature}")), at(NOW)))
    };
    let header = |alg: &str| json!({ "alg": alg, "kid": "ana", "typ": TYPE });
    // The public key taken for a secret: whoever knows it could sign.
    let public = PublicKey::hmac(&house.ana.public_key().unwrap()).unwrap();
    let PublicKey::Hmac(public) = public else { panic!("a secret") };
    assert_eq!(judged(header("HS256"), &SigningKey::Hmac(public)), "bad_signature");
    for alg in ["none", "HS256", "ES256", ""] {
        assert_eq!(judged(header(alg), &house.ana), "bad_signature", "{alg}");
    }
    for more in [json!({ "crit": ["exp"] }), json!({ "b64": false }), json!({ "jwk": {} }), json!({ "typ": "JWT" })] {
        let mut header = header("EdDSA");
        header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(judged(header, &house.ana), "malformed", "{more}");
    }
    assert_eq!(judged(header("Ed25519"), &house.ana), "ok", "RFC 9864's name for it");
    for text in ["eyJ.", "ey..", "eyJ.eyJ", "ey.a.b", "eyJ0.eyJ0.!!", "e30.e30.e30", "ey.ey.ey.ey"] {
        assert_eq!(code(guard.admit(&raw(text), at(NOW))), "malformed", "{text}");
    }
}

#[test]
fn claims_said_twice_or_unknown_are_no_command() {
    let house = House::new();
    let guard = house.guard(at(NOW));
    let header = json!(Header { alg: "EdDSA".into(), kid: "ana".into(), typ: TYPE.into() }).to_string();
    for body in [
        r#"{"command":"stop","command":"start","target":"camera/door","id":"1","issued_at":1000000,"expires_at":1000005}"#,
        r#"{"command":"stop","target":"camera/door","id":"1","issued_at":1000000,"expires_at":1000005,"iat":1}"#,
        r#"{"command":"stop","target":"camera/door","id":"1","expires_at":1000005}"#,
        r#"{"command":"stop","target":"camera/door","issued_at":1000000,"expires_at":1000005}"#,
        r#"{"command":"stop","target":"camera/door","id":"1","issued_at":1000000}"#,
        "5",
    ] {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(&header), URL_SAFE_NO_PAD.encode(body));
        let signature = URL_SAFE_NO_PAD.encode(house.ana.sign(signed.as_bytes()));
        let rejected = guard.admit(&raw(&format!("{signed}.{signature}")), at(NOW)).unwrap_err();
        assert_eq!((rejected.refusal.code, rejected.operator), ("malformed", Some(name("ana"))), "{body}");
    }
}

#[tokio::test]
async fn a_restart_forgets_no_command_and_a_lost_memory_says_so() {
    let house = House::new();
    let sign = |id: &str, issued: i64| {
        let claims = Claims { issued_at: at(issued), expires_at: at(issued + 300), ..claims("start", id) };
        raw(&seal(&claims, "ana", &house.ana))
    };
    let first = house.guard(at(NOW));
    let admitted = first.admit(&sign("1", NOW), at(NOW)).unwrap();
    first.keep(&admitted).await;
    let second = house.guard(at(NOW + 5));
    assert_eq!(code(second.admit(&sign("1", NOW), at(NOW + 5))), "replayed");
    assert_eq!(code(second.admit(&sign("2", NOW), at(NOW + 5))), "ok", "signed before the start, and not taken yet");
    std::fs::remove_dir_all(house.folder.path().join("garage")).unwrap();
    let third = house.guard(at(NOW + 10));
    assert_eq!(code(third.admit(&sign("1", NOW), at(NOW + 10))), "too_old");
    assert_eq!(code(third.admit(&sign("3", NOW + 10), at(NOW + 10))), "ok");
    // A start soon after the one that had no memory knows no more than that one did.
    let fourth = house.guard(at(NOW + 15));
    assert_eq!(code(fourth.admit(&sign("1", NOW), at(NOW + 15))), "too_old");
    assert_eq!(code(fourth.admit(&sign("4", NOW + 10), at(NOW + 15))), "ok");
}

#[test]
fn keys_are_exchanged_while_the_node_runs_and_what_was_taken_is_not_forgotten() {
    let house = House::new();
    let other = SigningKey::read(&generate(false).unwrap()).unwrap();
    let renew = |guard: &Guard, key: Option<&SigningKey>| {
        let operator = |key: &SigningKey| OperatorConfig { public_key: key.public_key(), ..OperatorConfig::default() };
        let operators = key.map(|key| (name("ana"), operator(key))).into_iter().collect();
        guard.renew(Rules::read(ControlConfig { operators, ..ControlConfig::default() }).unwrap(), at(NOW + 1));
    };
    let sign = |key: &SigningKey, id: &str| {
        let claims = Claims { issued_at: at(NOW + 1), ..claims("start", id) };
        raw(&seal(&claims, "ana", key))
    };
    let guard = house.guard(at(NOW));
    assert_eq!(code(guard.admit(&sign(&house.ana, "1"), at(NOW + 1))), "ok");
    renew(&guard, Some(&other));
    assert_eq!(code(guard.admit(&sign(&house.ana, "2"), at(NOW + 1))), "bad_signature", "her old key is taken away");
    assert_eq!(code(guard.admit(&sign(&other, "2"), at(NOW + 1))), "ok");
    renew(&guard, None);
    assert_eq!(code(guard.admit(&raw("start"), at(NOW + 1))), "ok", "nobody can sign, and nothing needs it");
    assert_eq!(code(guard.admit(&sign(&other, "3"), at(NOW + 1))), "unknown_operator");
    renew(&guard, Some(&house.ana));
    assert_eq!(code(guard.admit(&raw("start"), at(NOW + 1))), "unsigned");
    assert_eq!(code(guard.admit(&sign(&house.ana, "1"), at(NOW + 1))), "replayed");
    // The first operators come with a reload: nothing is known of what was taken before.
    let late =
        Guard::open(ControlConfig::default(), &house.folder.path().join("late"), &name("garage"), at(NOW)).unwrap();
    renew(&late, Some(&house.ana));
    let early = Claims { issued_at: at(NOW), ..claims("start", "4") };
    assert_eq!(code(late.admit(&raw(&seal(&early, "ana", &house.ana)), at(NOW + 1))), "too_old");
    assert_eq!(code(late.admit(&sign(&house.ana, "5"), at(NOW + 1))), "ok");
}

#[test]
fn a_key_that_is_none_ends_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let open = |operator: OperatorConfig| {
        let config = ControlConfig { operators: [(name("ana"), operator)].into(), ..ControlConfig::default() };
        Guard::open(config, folder.path(), &name("garage"), at(0)).map(drop).unwrap_err().to_string()
    };
    let none = OperatorConfig::default();
    assert!(open(none.clone()).contains("control.operators.ana"));
    assert!(open(OperatorConfig { public_key: Some("AAAA".into()), ..none.clone() }).contains("32 bytes"));
    let file = folder.path().join("key");
    std::fs::write(&file, "hunter2").unwrap();
    let error = open(OperatorConfig { hmac_key_file: Some(file), ..none });
    assert!(error.contains("32 characters") && !error.contains("hunter2"), "{error}");
}

#[test]
fn any_bit_flipped_anywhere_is_refused() {
    let house = House::new();
    let guard = house.guard(at(NOW));
    for text in [seal(&claims("stop", "1"), "desk", &House::desk()), seal(&claims("stop", "1"), "ana", &house.ana)] {
        for (index, bit) in (0..text.len()).flat_map(|index| (0..8).map(move |bit| (index, bit))) {
            let mut bytes = text.clone().into_bytes();
            bytes[index] ^= 1 << bit;
            let flipped = RawCommand { payload: bytes.into(), ..raw("") };
            assert!(guard.admit(&flipped, at(NOW)).is_err(), "bit {bit} of byte {index} of {text}");
        }
        assert_eq!(code(guard.admit(&raw(&text), at(NOW))), "ok");
    }
}

proptest! {
    // Each opens a guard with its file.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn in_whatever_order_they_come_each_is_taken_once(order in proptest::collection::vec(0_u8..8, 1..40)) {
        let house = House::new();
        let guard = house.guard(at(NOW));
        let mut taken = std::collections::BTreeSet::new();
        for id in order {
            let text = seal(&claims("start", &id.to_string()), "ana", &house.ana);
            prop_assert_eq!(code(guard.admit(&raw(&text), at(NOW))), if taken.insert(id) { "ok" } else { "replayed" });
        }
    }

    #[test]
    fn no_payload_panics(text in "ey[a-zA-Z0-9_.-]{0,200}", bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let house = House::new();
        let guard = house.guard(at(NOW));
        for payload in [text.into_bytes(), bytes] {
            let _judged = guard.admit(&RawCommand { payload: payload.into(), ..raw("") }, at(NOW));
        }
    }
}
