//! The schemas in `schemas/` are those of the types, and they hold what is really sent.

#![allow(clippy::unwrap_used, reason = "these are tests, their helpers too")]

use std::path::PathBuf;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use sightwire::codec::{encode_detections, encode_event, encode_json, encode_keyframe_meta};
use sightwire::domain::{BBox, BootId, Detection, Timestamp, TimestampSource};
use sightwire::envelope::*;

fn names() -> impl Iterator<Item = (&'static str, Value)> {
    let payloads = SCHEMAS.into_iter().map(|name| (name, schema(name).unwrap()));
    payloads.chain([
        ("config", sightwire::config::schema()),
        ("bench", sightwire::cli::bench_schema()),
        ("live", sightwire::live::schema()),
    ])
}

fn valid(name: &str, payload: &Value) -> Result<(), String> {
    let schema = schema(name).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(payload).map(|e| format!("{}: {e}", e.instance_path())).collect();
    if errors.is_empty() { Ok(()) } else { Err(errors.join("\n")) }
}

#[test]
fn the_schemas_in_the_repository_are_those_of_the_types() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schemas");
    let update = std::env::var_os("UPDATE_GENERATED").is_some();
    let mut stale = Vec::new();
    for (name, schema) in names() {
        assert!(jsonschema::meta::is_valid(&schema), "{name} is a schema");
        let file = folder.join(format!("{name}.schema.json"));
        let fresh = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
        if update {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&file, &fresh).unwrap();
        }
        if std::fs::read_to_string(&file).unwrap_or_default() != fresh {
            stale.push(file);
        }
    }
    for (name, document) in
        [("openapi.json", sightwire::http::openapi()), ("asyncapi.json", sightwire::asyncapi::document())]
    {
        let file = folder.join(name);
        let fresh = format!("{}\n", serde_json::to_string_pretty(&document).unwrap());
        if update {
            std::fs::write(&file, &fresh).unwrap();
        }
        if std::fs::read_to_string(&file).unwrap_or_default() != fresh {
            stale.push(file);
        }
    }
    assert!(stale.is_empty(), "not what the types say: {stale:?}; renew: UPDATE_GENERATED=1 cargo test --test schemas");
}

fn contract_detections() -> Value {
    json!({"timestamp":1_763_683_200.123,
        "detections":[{"label":"car","score":0.94,"bbox":[0.11,0.33,0.28,0.77],"class_id":2,"track_id":17}],
        "camera":"front-door","node":"garage","boot_id":"0199","seq":1042,
        "frame":{"id":5210,"width":1920,"height":1080,"timestamp_source":"host"},
        "timing":{"decode":4.1,"wait":0.3,"preprocess":0.9,"inference":11.8,"postprocess":0.1,"track":0.05,"encode":0.02}})
}

fn contract_event() -> Value {
    json!({"timestamp":1_763_683_200.123,"event":"started","camera":"front-door","node":"garage","boot_id":"0199","seq":12,
        "track_id":17,"label":"car","score":0.94,"bbox":[0.11,0.33,0.28,0.77],"first_seen":1_763_683_199.9,
        "last_seen":1_763_683_200.123})
}

#[test]
fn the_contracts_examples_are_valid() {
    valid("detections", &contract_detections()).unwrap();
    valid("event", &contract_event()).unwrap();
    let minimal = json!({"timestamp":1_763_683_200.123,
        "detections":[{"label":"car","score":0.94,"bbox":[0.11,0.33,0.28,0.77]}]});
    valid("minimal", &minimal).unwrap();
    valid("control", &json!({"command":"stop","id":"any string","args":{},"expires_at":1_763_683_200})).unwrap();
    valid("control", &json!({"command":"stop"})).unwrap();
    let refusal = json!({"id":"1","node":"garage","command":"stpo","target":"camera/front-door","ok":false,
        "error":{"code":"unknown_command","message":"…"}});
    valid("reply", &refusal).unwrap();
}

#[test]
fn what_is_wrong_is_refused() {
    let wrong = |name: &str, payload: &Value, pointer: &str, value: Value| {
        let mut payload = payload.clone();
        *payload.pointer_mut(pointer).unwrap() = value.clone();
        assert!(valid(name, &payload).is_err(), "{name}: {pointer} = {value}");
    };
    let (detections, event) = (contract_detections(), contract_event());
    for (pointer, value) in [
        ("/detections/0/score", json!(1.5)),
        ("/detections/0/score", json!("high")),
        ("/detections/0/bbox", json!([0.1, 0.2, 0.3])),
        ("/detections/0/bbox", json!([0.1, 0.2, 0.3, 0.4, 0.5])),
        ("/detections/0/bbox/2", json!(1.2)),
        ("/detections/0/track_id", json!(-1)),
        ("/detections/0/label", json!(null)),
        ("/camera", json!("Front Door")),
        ("/seq", json!(0)),
        ("/timestamp", json!("2025-11-21T00:00:00Z")),
        ("/frame/timestamp_source", json!("moon")),
        ("/timing/inference", json!(-1)),
    ] {
        wrong("detections", &detections, pointer, value);
    }
    wrong("event", &event, "/event", json!("exploded"));
    wrong("event", &event, "/score", json!(1.5));
    for key in detections.as_object().unwrap().keys() {
        let mut without = detections.clone();
        without.as_object_mut().unwrap().remove(key);
        assert!(valid("detections", &without).is_err(), "{key} is required");
    }
    assert!(valid("control", &json!({"command":"explode"})).is_err());
    assert!(valid("control", &json!({"command":"stop","why":"?"})).is_err());
    assert!(valid("reply", &json!({"node":"n","target":"the moon","ok":true})).is_err());
}

#[test]
fn whatever_is_encoded_fits_its_schema() {
    let unit = || 0.0f32..=1.0;
    let detection = (".{0,20}", unit(), prop::array::uniform4(unit()), any::<u32>(), any::<Option<u64>>()).prop_map(
        |(label, score, [a, b, c, d], class_id, track_id)| Detection {
            label: label.into(),
            score,
            bbox: BBox::clamped(a, b, c, d),
            class_id,
            track_id,
        },
    );
    let message = (prop::collection::vec(detection, 0..10), 0i64..4_000_000_000_000_000, 1u64.., any::<bool>());
    let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
    TestRunner::default()
        .run(&message, |(found, micros, seq, replayed)| {
            let frame = FrameInfo { id: seq, width: 640, height: 480, timestamp_source: TimestampSource::Rtcp };
            let timestamp = Timestamp::from_micros(micros);
            let full = Detections {
                timestamp,
                detections: found.clone(),
                camera: "c".parse().unwrap(),
                node: "n".parse().unwrap(),
                boot_id: BootId::new(),
                seq,
                frame,
                timing: Timing { decode: 0.123_456, ..Timing::default() },
                text: vec!["a line".into()],
                inferred_at: replayed.then_some(timestamp),
                replayed,
            };
            for (payload, name) in [(PayloadChoice::Full, "detections"), (PayloadChoice::Minimal, "minimal")] {
                let (bytes, _) = encode_detections(&full, payload, Encoding::Json);
                prop_assert_eq!(valid(name, &json(&bytes)), Ok(()));
            }
            if let Some(first) = found.first() {
                let event = Event {
                    timestamp,
                    event: EventKind::Ended,
                    camera: full.camera.clone(),
                    node: full.node.clone(),
                    boot_id: full.boot_id.clone(),
                    seq,
                    track_id: 1,
                    label: first.label.clone(),
                    score: first.score,
                    bbox: first.bbox,
                    first_seen: timestamp,
                    last_seen: timestamp,
                    first_bbox: Some(first.bbox),
                    duration: Some(0.0),
                    replayed,
                };
                prop_assert_eq!(valid("event", &json(&encode_event(&event, Encoding::Json).0)), Ok(()));
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn states_replies_and_keyframe_metadata_fit_their_schemas() {
    let camera = CameraState {
        timestamp: Timestamp::now(),
        camera: "front-door".parse().unwrap(),
        node: "garage".parse().unwrap(),
        boot_id: BootId::new(),
        desired: DesiredState::Running,
        actual: ActualState::Failed,
        reason: Some(Reason { code: "source_unreachable".into(), message: "connection refused".into() }),
        since: Some(Timestamp::now()),
        settings: CameraSettings {
            source: "rtsp://***@camera/stream1".into(),
            model: "street".parse().unwrap(),
            groups: vec!["outdoor".parse().unwrap()],
            max_fps: 5.0,
            confidence: 0.4,
            labels: Some(vec!["person".into()]),
            skip_static: SkipStatic(Some(StillRules::default())),
            tracked: true,
            publish: PublishConfig::default(),
            keyframes: Some(KeyframeConfig::default()),
            changed: vec!["publish.when".into()],
        },
        frames: FrameCounts { read: 4, inferred: 2, still: 1, dropped: 1 },
        fps: 4.987_65,
        latency: Some(Latency { p50: 0.031, p95: 0.074 }),
    };
    let node = NodeState {
        timestamp: Timestamp::now(),
        node: "garage".parse().unwrap(),
        boot_id: BootId::new(),
        version: "0.1.0".into(),
        onnxruntime: Some("1.22.0".into()),
        started_at: Timestamp::now(),
        cameras: vec![CameraSummary { name: "front-door".parse().unwrap(), state: ActualState::Running }],
        models: vec![ModelSummary {
            name: "street".parse().unwrap(),
            family: None,
            device: Some("cpu".into()),
            input: None,
        }],
        buses: vec![BusState { name: "mqtt".into(), connected: true, problem: None, spool: None }],
        reload: Some(ReloadSummary {
            timestamp: Timestamp::now(),
            ok: true,
            added: vec!["yard".parse().unwrap()],
            removed: Vec::new(),
            restarted: Vec::new(),
            changed: Vec::new(),
            needs_restart: vec!["buses.mqtt".into()],
            warnings: Vec::new(),
            error: None,
        }),
    };
    let reply = |state| Reply {
        id: None,
        node: "garage".parse().unwrap(),
        command: Some("status".into()),
        target: "camera/front-door".into(),
        ok: true,
        applied_at: Some(Timestamp::now()),
        state: Some(state),
        keyframe: None,
        error: None,
    };
    let meta = KeyframeMeta {
        timestamp: Timestamp::now(),
        camera: "front-door".parse().unwrap(),
        node: "garage".parse().unwrap(),
        boot_id: BootId::new(),
        seq: None,
        frame: FrameInfo { id: 1, width: 1920, height: 1080, timestamp_source: TimestampSource::File },
        width: 1280,
        height: 720,
        bytes: 100_000,
        content_type: "image/jpeg".into(),
        reason: KeyframeReason::Interval,
    };
    let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
    valid("state", &json(&encode_json(&camera).0)).unwrap();
    valid("node-state", &json(&encode_json(&node).0)).unwrap();
    valid("keyframe-meta", &json(&encode_keyframe_meta(&meta, Encoding::Json).0)).unwrap();
    for said in [reply(ReplyState::Camera(Box::new(camera))), reply(ReplyState::Node(Box::new(node)))] {
        let bytes = encode_json(&said).0;
        valid("reply", &json(&bytes)).unwrap();
        assert_eq!(serde_json::from_slice::<Reply>(&bytes).unwrap().target, said.target);
    }
    let command = Command::bare(Verb::Stop);
    assert_eq!(&encode_json(&command).0[..], br#"{"command":"stop"}"#);
    valid("control", &json(&encode_json(&command).0)).unwrap();
}

#[test]
fn every_verb_is_written_as_its_word() {
    for verb in Verb::ALL {
        assert_eq!(serde_json::to_value(verb).unwrap(), verb.as_str());
        assert_eq!(verb.as_str().parse(), Ok(verb));
    }
}
