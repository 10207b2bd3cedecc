use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::Span;
use crate::pipeline::{CameraConfig, KeyframeConfig, PublishWhen, StillRules};

fn now() -> Tuning {
    Tuning::new(&CameraConfig::new("synthetic:shapes".parse().unwrap(), "m".parse().unwrap()), 0.4)
}

fn changed(now: &Tuning, args: &Value) -> Result<Tuning, ChangeError> {
    let labels: Vec<Label> = ["person", "car"].map(Into::into).into();
    Changeable { now, model_confidence: 0.4, labels: &labels }.change(args.as_object().unwrap())
}

fn refused(args: &Value) -> (&'static str, String) {
    let error = changed(&now(), args).expect_err(&args.to_string());
    (error.code, error.message)
}

#[test]
fn nested_and_dotted_keys_say_the_same() {
    let nested = changed(&now(), &json!({"publish": {"when": "on_change", "min_interval": "1s"}})).unwrap();
    let dotted = changed(&now(), &json!({"publish.when": "on_change", "publish.min_interval": "1s"})).unwrap();
    let mixed = changed(&now(), &json!({"publish": {"when": "on_change"}, "publish.min_interval": "1s"})).unwrap();
    assert_eq!((&nested, &nested), (&dotted, &mixed));
    assert_eq!((nested.publish.when, nested.publish.min_interval), (PublishWhen::OnChange, Span::secs(1)));
    assert_eq!(nested.publish.encoding, now().publish.encoding, "what is not named stays");
}

#[test]
fn every_live_key_is_taken() {
    let args = json!({"confidence": 0.6, "max_fps": 2, "labels": ["car"], "publish": {"qos": 1},
        "keyframes": {"every": "10s", "quality": 60}});
    let next = changed(&now(), &args).unwrap();
    assert_eq!((next.confidence, next.max_fps, next.publish.qos), (0.6, 2.0, 1));
    assert_eq!(next.labels.as_deref(), Some(&["car".to_owned()][..]));
    let keyframes = next.keyframes.clone().unwrap();
    assert_eq!((keyframes.every, keyframes.quality, keyframes.max_width), (Span::secs(10), 60, 1280));
    // And back.
    let back = changed(&next, &json!({"confidence": null, "labels": null, "keyframes": null})).unwrap();
    assert_eq!((back.confidence, back.labels, back.keyframes), (0.4, None, None));
    assert_eq!(changed(&now(), &json!({"keyframes": {}})).unwrap().keyframes, Some(KeyframeConfig::default()));
    assert_eq!(changed(&now(), &json!({"labels": []})).unwrap().labels, Some(Vec::new()), "as in the file: none");
}

#[test]
fn the_motion_gate_is_switched_or_given_rules_and_keeps_those_that_are_not_named() {
    let on = changed(&now(), &json!({"skip_static": true})).unwrap();
    assert_eq!(on.skip_static.0, Some(StillRules::default()));
    let slow = changed(&on, &json!({"skip_static.max_age": "1m"})).unwrap();
    let slower = changed(&slow, &json!({"skip_static": {"heartbeat": "5s"}})).unwrap();
    let rules = slower.skip_static.0.clone().unwrap();
    assert_eq!((rules.max_age, rules.heartbeat, rules.threshold), (Span::secs(60), Span::secs(5), 8));
    assert_eq!(changed(&slower, &json!({"skip_static": true})).unwrap(), slower, "it is on already, by these rules");
    assert_eq!(changed(&slower, &json!({"skip_static": false})).unwrap(), now());
    assert_eq!(slower.differing(&now()), ["skip_static"]);
    let (code, message) = refused(&json!({"skip_static": {"threshold": 0}}));
    assert!(code == "bad_value" && message.contains("skip_static.threshold"), "{message}");
    let (code, message) = refused(&json!({"skip_static.treshold": 3}));
    assert!(code == "unknown_key" && message.contains("did you mean 'threshold'"), "{message}");
}

#[test]
fn what_does_not_fit_is_named_with_its_value_and_what_does() {
    for (args, code, words) in [
        (json!({"confidence": 1.5}), "bad_value", &["confidence", "'1.5'", "at most 1"][..]),
        (json!({"confidence": "0.5"}), "bad_value", &["confidence", "'0.5'", "a number"]),
        (json!({"max_fps": -1}), "bad_value", &["max_fps", "'-1'", "at least 0"]),
        (json!({"max_fps": null}), "bad_value", &["max_fps"]),
        (json!({"publish": null}), "bad_value", &["publish"]),
        (json!({"publish": 3}), "bad_value", &["publish", "a mapping"]),
        (
            json!({"publish.when": "always"}),
            "bad_value",
            &["publish.when", "'always'", "every_frame, non_empty, on_change"],
        ),
        (json!({"publish.qos": 2}), "bad_value", &["publish.qos", "at most 1"]),
        (json!({"publish.min_interval": "soon"}), "bad_value", &["publish.min_interval", "30s"]),
        (json!({"publish.whne": "on_change"}), "unknown_key", &["publish.whne", "did you mean 'when'"]),
        (json!({"keyframes": {"quality": 0}}), "bad_value", &["keyframes.quality", "'0'", "at least 1"]),
        (
            json!({"keyframes.when": ["sometimes"]}),
            "bad_value",
            &["keyframes.when", "'sometimes'", "event, detections"],
        ),
        (json!({"labels": "car"}), "bad_value", &["labels", "'car'", "a list"]),
        (json!({"labels": ["persn"]}), "bad_value", &["labels", "'persn'", "did you mean 'person'"]),
        (json!({"max_fbs": 3}), "unknown_key", &["max_fbs", "did you mean 'max_fps'"]),
        (json!({"publish": {"qos": 1}, "publish.qos": 0}), "bad_value", &["publish.qos", "twice"]),
    ] {
        let (said, message) = refused(&args);
        assert_eq!(said, code, "{args}: {message}");
        assert!(words.iter().all(|word| message.contains(word)), "{args}: {message}");
    }
}

#[test]
fn what_cannot_be_changed_live_says_what_to_do() {
    for key in ["source", "model", "groups", "queue", "tracker", "loop", "pace", "picture_check", "iou", "workers"] {
        let (code, message) = refused(&json!({ key: 1 }));
        assert_eq!(code, "not_live", "{key}: {message}");
        assert!(message.contains(key) && message.contains("`reload`"), "{message}");
    }
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let (code, message) = refused(&json!({"source": "x", "max_fps": -1, "confidence": 2, "colour": 1}));
    assert_eq!(code, "unknown_key", "{message}");
    assert!(["source", "max_fps", "confidence", "colour"].iter().all(|key| message.contains(key)), "{message}");
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-3i64..2000).prop_map(Value::from),
        "[a-z_.0-9]{0,12}".prop_map(Value::from),
        prop::sample::select(vec!["on_change", "1s", "json", "car", "event"]).prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key(), inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    let known =
        ["confidence", "max_fps", "labels", "publish", "keyframes", "publish.when", "keyframes.every", "when", "every"];
    prop_oneof![prop::sample::select(known.to_vec()).prop_map(str::to_owned), "[a-z.]{0,10}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn no_args_panic_and_what_is_taken_could_stand_in_the_file(args in prop::collection::btree_map(key(), anything(), 0..4)) {
        let args = Value::Object(args.into_iter().collect());
        if let Ok(next) = changed(&now(), &args) {
            prop_assert!((0.0..=1.0).contains(&next.confidence) && (0.0..=1000.0).contains(&next.max_fps));
            prop_assert!(next.publish.qos <= 1);
            prop_assert!(next.keyframes.as_ref().is_none_or(|k| (1..=100).contains(&k.quality) && k.max_width >= 16));
            prop_assert_eq!(Tuning::from_flat(&next.flat()).unwrap().flat(), next.flat());
        }
    }
}
