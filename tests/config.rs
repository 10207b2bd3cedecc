//! The configuration as its writer meets it: what is taken, and how everything wrong is said at once.

#![allow(clippy::unwrap_used, reason = "these are tests, their helpers too")]

use std::fmt::Write;
use std::path::Path;

use proptest::prelude::*;
use sightwire::config::{ConfigError, Loaded, load_text, load_with};
use sightwire::inference::LabelsConfig;
use sightwire::source::SourceKind;

fn environment(name: &str) -> Option<String> {
    match name {
        "HOME" => Some("/home/anna".into()),
        "CAM_PASSWORD" => Some("hunter2-secret".into()),
        "DIGITS" => Some("12345".into()),
        "WORD" => Some("zebra-stripes".into()),
        "FPS" => Some("12.5".into()),
        _ => None,
    }
}

fn load(text: &str) -> Result<Loaded, ConfigError> {
    load_text(text, Path::new("sightwire.yaml"), &environment)
}

/// What is said of a faulty file; no secret of these tests may be in it.
fn problems(text: &str) -> String {
    let error = load(text).unwrap_err();
    let said = format!("{error}\n{error:?}");
    for secret in ["hunter2", "12345", "zebra", "s3cret"] {
        assert!(!said.contains(secret), "{secret} came out: {said}");
    }
    error.to_string()
}

/// A good file with `more` at its end (indented, it belongs to the camera).
fn good_and(more: &str) -> String {
    format!(
        "models:\n  shapes: {{ path: 'bundled:shapes' }}\ncameras:\n  front-door:\n    source: synthetic:shapes\n    \
         model: shapes\n{more}"
    )
}

fn assert_says(text: &str, lines: &[&str]) {
    let said = problems(text);
    for line in lines {
        assert!(said.contains(line), "not said: {line}\nin:\n{said}");
    }
}

#[test]
fn the_smallest_useful_file_is_one_model_and_one_camera() {
    let loaded = load(&good_and("")).unwrap();
    assert_eq!(loaded.state_dir, Path::new("/home/anna/.local/state/sightwire"));
    assert_eq!(loaded.config.cameras["front-door"].max_fps, 5.0);
    assert_eq!(loaded.config.http.listen.to_string(), "127.0.0.1:8720");
    assert_eq!(loaded.config.buses.mqtt, None);
    assert!(loaded.warnings.is_empty());
}

#[test]
fn a_models_input_can_be_set_and_nonsense_in_it_is_said() {
    let model = |input: &str| {
        format!(
            "models:\n  m: {{ path: 'bundled:shapes', input: {{ {input} }} }}\ncameras:\n  c: {{ source: synthetic:shapes, model: m }}\n"
        )
    };
    let all = "size: [640, 480], resize: stretch, padding: top_left, pad: [0, 1, 2.5], interpolation: area, channels: bgr, mean: 127, \
               std: [57.375, 57.12, 58.395]";
    let input = load(&model(all)).unwrap().config.models["m"].input;
    assert_eq!((input.size, input.mean.unwrap().each()), (Some([640, 480]), [127.0; 3]));
    assert_eq!((input.pad.unwrap().each(), input.std.unwrap().each()[0]), ([0.0, 1.0, 2.5], 57.375));
    for (input, says) in [
        ("pad: 256", "models.m.input.pad: 256 cannot be used"),
        ("pad: [0, 0, -1]", "models.m.input.pad: -1 cannot be used"),
        ("std: 0", "give values above 0"),
        ("std: [1, 1, 0]", "models.m.input.std: 0 cannot be used"),
        ("std: [1, 1]", "models.m.input.std: the list is too short"),
        ("pad: [1, 1, 1, 1]", "models.m.input.pad: the list is too long"),
        ("mean: 1e39", "models.m.input.mean"),
        ("mean: .nan", "models.m.input.mean"),
        ("size: [640]", "give as many as 2"),
        ("size: [0, 640]", "models.m.input.size"),
        ("size: [640, 9000]", "models.m.input.size"),
        ("size: 640", "models.m.input.size"),
        ("resize: crop", "letterbox, stretch"),
        ("padding: left", "centre, top_left"),
        ("interpolation: cubic", "linear, area, antialias, warp"),
        ("channels: grey", "rgb, bgr"),
        ("padd: 3", "did you mean 'pad'"),
    ] {
        let said = problems(&model(input));
        assert!(said.contains(says), "{input}:\n{said}");
    }
}

/// The contract's own example, but for the parts that need files.
const CONTRACT: &str = r"
node: garage                       # default: the host's name
state_dir: /var/lib/sightwire      # spool and remembered switches; default under XDG_STATE_HOME
buses:                             # one or both; none = an embedded MQTT broker on loopback
  mqtt:
    url: mqtt://localhost:1883     # mqtts:// for TLS, ws:// and wss:// for websockets
    username: ${MQTT_USER:-}
    version: 5                     # or 3.1.1
    topic_prefix: sightwire
  nats:
    url: nats://localhost:4222,nats://other:4222
    jetstream: true                # events and keyframes acknowledged by the stream
    subject_prefix: sightwire
models:
  street:
    path: bundled:shapes
    family: auto
    labels: coco
    confidence: 0.4
    iou: 0.5
    class_agnostic_nms: false
    max_candidates: 3000
    max_detections: 300
    device: cpu
    workers: 1
    threads: 1
cameras:
  front-door:
    source: rtsp://user:${CAM_PASSWORD}@camera/stream1
    model: street
    groups: [outdoor]
    max_fps: 5
    pace: realtime
    loop: false
    queue: { depth: 2, when_full: drop_oldest }
    labels: [person, car]
    tracker: bytetrack
    publish:
      payload: full
      encoding: json
      when: every_frame
      qos: 0
      min_interval: 0s
    keyframes: { when: [event], every: 30s, max_width: 1280, quality: 80, overlay: true }
http:
  listen: 127.0.0.1:8720
";

#[test]
fn the_contracts_example_says_nothing_but_defaults() {
    let loaded = load(CONTRACT).unwrap();
    assert_eq!((loaded.node.as_str(), loaded.warnings.len()), ("garage", 0));
    let text = "models: { street: { path: 'bundled:shapes', labels: coco } }\ncameras:\n  front-door: { model: street, \
                source: 'rtsp://user:${CAM_PASSWORD}@camera/stream1', groups: [outdoor], labels: [person, car], keyframes: {} }\n\
                buses: { mqtt: {}, nats: { url: 'nats://localhost:4222,nats://other:4222' } }\n";
    let short = load(text).unwrap().config;
    let full = loaded.config;
    assert_eq!((&full.models, &full.cameras, &full.buses), (&short.models, &short.cameras, &short.buses));
    assert!(!format!("{full:?}").contains("hunter2"));
}

#[test]
fn every_problem_is_said_at_once_in_the_order_of_its_lines() {
    let said = problems(FAULTY);
    let expected = FAULTY
        .lines()
        .enumerate()
        .filter_map(|(n, line)| line.split_once("#! ").map(|(_, what)| (n + 1, what)))
        .flat_map(|(n, what)| what.split("; ").map(move |what| (n, what)));
    let mut missing = Vec::new();
    let mut count = 0;
    for (line, what) in expected {
        count += 1;
        if !said.lines().any(|l| l.starts_with(&format!("sightwire.yaml:{line}:")) && l.contains(what)) {
            missing.push(format!("{line}: {what}"));
        }
    }
    assert!(missing.is_empty(), "not said: {missing:#?}\nin:\n{said}");
    assert!(said.ends_with(&format!("{count} problems; nothing was started")), "{said}");
    let lines: Vec<usize> =
        said.lines().filter_map(|l| l.strip_prefix("sightwire.yaml:")?.split(':').next()?.parse().ok()).collect();
    assert!(lines.is_sorted(), "{lines:?}");
}

/// What follows `#!` is said of its line; several things are separated by `; `.
const FAULTY: &str = r#"
node: My Garage                                 #! 'My Garage' does not fit
buses:
  mqtt:
    url: tcp://bob:s3cret@localhost:1883        #! 'tcp://***@localhost:1883' does not begin with mqtt://
    pasword: s3cret                             #! buses.mqtt.pasword: there is no such key
    password: ${NO_SUCH_PASSWORD}               #! the environment variable NO_SUCH_PASSWORD is not set
    version: 4                                  #! written 3.1.1 here
    cert_file: nowhere.pem                      #! a certificate without its key; there is no file nowhere.pem
    topic_prefix: a/+/b                         #! holds the wildcard '+'
  nats:
    url: nats://bob:s3cret@                     #! is not an address
    creds_file: ${WORD}                         #! username and creds_file exclude each other; there is no file '${WORD}'
    username: bob                               #! a user without a password
models:
  street:
    path: models/none.onnx                      #! there is no file models/none.onnx
    family: yolov9                              #! 'yolov9' is not known here
    confidence: 1.5                             #! '1.5' is too large: at most 1
    max_candidates: lots                        #! 'lots' is text, not a whole number
    device: [cpu, gpu]                          #! models.street.device[1]: 'gpu' is not known here
    labels: { a: 1 }                            #! this is a mapping, not text or a list
  shapes: { path: bundled:shapes, workers: 0 }  #! '0' is too small: at least 1
  good: { path: bundled:shapes }
  good: { path: bundled:shapes }                #! two models are named 'good': the first is in line 24
cameras:
  front-door:
    source: rtsp://user:${CAM_PASSWORD}@camera/stream1
    model: stret                                #! there is no model 'stret'
    max_fps: ${WORD}                            #! '${WORD}' is text, not a number
    publish: { when: always, min_interval: 30 } #! publish.when: 'always' is not known; min_interval: '30' does not fit
    keyframes:                                  #! there is no value after the key
    queue: 5                                    #! '5' is a number, not a mapping
    loop: "yes"                                 #! 'yes' is text, not true or false
    labels: [person, [car]]                     #! labels[1]: this is a list, not text
  front-door:                                   #! two cameras are named 'front-door': the first is in line 27
    source: x
  Back Door: { source: x, model: shapes }       #! 'Back Door' is not a name
  side:
    source: synthetic:${WORD}                   #! cameras.side.source: 
    model: good
  yard:
    source: rtsp://u:${NO_SUCH}@cam             #! the environment variable NO_SUCH is not set
    model: good
  roof: { model: shapes }                       #! cameras.roof.source: is missing
http:
  listen: localhost:8720                        #! 'localhost:8720' is not an address and a port
  port: 80                                      #! http.port: there is no such key
"#;

#[test]
fn a_problem_says_where_what_why_and_what_to_do() {
    assert_eq!(
        problems(&good_and("    max_fsp: 3\n")),
        "sightwire.yaml:7:5: cameras.front-door.max_fsp: there is no such key\n    fix: did you mean 'max_fps'? known \
         here: confidence, groups, keyframes, labels, loop, max_fps, model, pace, picture_check, publish, queue, \
         skip_static, source, tracker"
    );
    assert_eq!(
        problems(&good_and("    max_fps: fast\n")),
        "sightwire.yaml:7:14: cameras.front-door.max_fps: 'fast' is text, not a number\n    why: Frames a second to infer \
         at most; 0 = as many as the source gives.\n    fix: write a number from 0 to 1000"
    );
}

#[test]
fn variables_come_from_the_environment_and_are_typed_after() {
    let text = good_and("    max_fps: ${FPS}\n    loop: ${NO_SUCH:-true}\n    labels: [\"${WORD}\", '$${WORD}']\n");
    let camera = &load(&text).unwrap().config.cameras["front-door"];
    assert_eq!((camera.max_fps, camera.looping), (12.5, true));
    assert_eq!(camera.labels.as_deref(), Some(&["zebra-stripes".into(), "${WORD}".into()][..]));
}

#[test]
fn an_empty_variable_leaves_a_key_unset_and_digits_may_be_a_password() {
    let text = good_and("buses:\n  mqtt:\n    username: ${NO_SUCH:-}\n    password: ${DIGITS}\n    version: 3.1.1\n");
    let mqtt = load(&text).unwrap().config.buses.mqtt.unwrap();
    assert_eq!(mqtt.username, None);
    assert_eq!(mqtt.password.as_ref().map(sightwire::bus::Secret::reveal), Some("12345"));
    assert_says(&good_and("    max_fps: \"5\"\n"), &["'5' is text, not a number"]);
}

#[test]
fn relative_paths_begin_at_the_configurations_folder() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["m.onnx", "names.txt", "pw", "tok"] {
        std::fs::write(folder.path().join(file), "0123456789abcdef").unwrap();
    }
    let file = folder.path().join("node.yaml");
    let text = "state_dir: state\nmodels:\n  m: { path: m.onnx, labels: names.txt }\n  b: { path: 'bundled:shapes', labels: coco }\n\
                cameras:\n  c: { source: clip.mp4, model: m }\n  d: { source: 'rtsp://u:p@h/s', model: b }\n\
                buses:\n  mqtt: { password_file: pw }\nhttp: { listen: '0.0.0.0:80', token_file: tok }\n";
    std::fs::write(&file, text).unwrap();
    let loaded = load_with(Some(&file), &environment).unwrap();
    let at = |name: &str| folder.path().join(name);
    let config = &loaded.config;
    assert_eq!(loaded.state_dir, at("state"));
    assert_eq!(config.models["m"].path, at("m.onnx"));
    assert_eq!(config.models["m"].labels, Some(LabelsConfig::Named(at("names.txt").to_str().unwrap().into())));
    assert_eq!(config.models["b"].path, Path::new("bundled:shapes"));
    assert_eq!(config.models["b"].labels, Some(LabelsConfig::Named("coco".into())));
    assert_eq!(config.cameras["c"].source.kind(), &SourceKind::File(at("clip.mp4")));
    assert_eq!(config.buses.mqtt.as_ref().unwrap().password_file, Some(at("pw")));
    assert_eq!(config.http.token_file, Some(at("tok")));
    let shown = format!("{loaded:?}");
    assert!(!shown.contains("u:p"), "{shown}");
}

#[test]
fn a_missing_or_unreadable_file_is_one_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let missing = load_with(Some(&folder.path().join("none.yaml")), &environment).unwrap_err().to_string();
    assert!(missing.contains("none.yaml: there is no such file\n    fix: name yours with '-c FILE'"), "{missing}");
    let directory = load_with(Some(folder.path()), &environment).unwrap_err().to_string();
    assert!(directory.contains("cannot be read"), "{directory}");
    let binary = folder.path().join("binary");
    std::fs::write(&binary, b"a: 1\nb: \xff\xfe").unwrap();
    let binary = load_with(Some(&binary), &environment).unwrap_err().to_string();
    assert!(binary.contains("binary:2:4: this is not UTF-8 text"), "{binary}");
    let large = folder.path().join("large");
    std::fs::write(&large, vec![b' '; 2 << 20]).unwrap();
    let large = load_with(Some(&large), &environment).unwrap_err().to_string();
    assert!(large.contains("larger than 1024 KiB"), "{large}");
}

#[test]
fn what_is_no_configuration_at_all_is_said_plainly() {
    for (text, said) in [
        ("", "the file is empty"),
        ("# only a comment\n", "the file is empty"),
        ("- a\n", "1:1: the file is not a mapping"),
        ("word", "1:1: the file is not a mapping"),
        ("a: [", "this is not YAML"),
        ("a: 'x", "this is not YAML"),
        ("a: { b: ${C}, d: e }", "inside '{ }', put a value that holds '${…}' in quotes"),
        ("a: *nowhere", "this is not YAML"),
        ("a: 1\n---\nb: 2", "2:1: a second document begins here"),
        ("models: {}\ncameras: {}\n", "1:9: models: there is no model"),
        ("models: {}\ncameras: {}\n", "2:10: cameras: there is no camera"),
        ("cameras:\n", "1:8: cameras: there is no value after the key"),
        ("{}", "models: is missing"),
        ("? [a]\n: 1", "a key must be plain text"),
        ("models: { m: { path: 'bundled:shapes', device: [], labels: [] } }", "models.m.device: the list is empty"),
        ("models: { m: { path: 'bundled:shapes', device: [], labels: [] } }", "models.m.labels: the list is empty"),
        ("a: !secret x", "the tag '!secret' means nothing here"),
        ("a: &x [*x]", "this alias stands inside its own anchor"),
    ] {
        assert_says(text, &[said]);
    }
}

#[test]
fn nesting_and_aliases_have_limits() {
    assert_says(&"[".repeat(100_000), &["nested more than 32 levels deep"]);
    assert_says(&"a: {".repeat(50_000), &["nested more than 32 levels deep"]);
    assert_says(&"- ".repeat(100_000), &["nested more than 32 levels deep"]);
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for n in 1..12 {
        let last = n - 1;
        let items = vec![format!("*a{last}"); 8].join(", ");
        writeln!(bomb, "a{n}: &a{n} [{items}]").unwrap();
    }
    assert_says(&bomb, &["more than 50000 values, counting what aliases repeat"]);
}

#[test]
fn an_alias_repeats_a_value_and_a_merge_key_is_refused() {
    let text = "models:\n  shapes: { path: 'bundled:shapes' }\ncameras:\n  a: { source: synthetic:shapes, model: shapes, \
                publish: &quiet { when: on_change } }\n  b: { source: synthetic:shapes, model: shapes, publish: *quiet }\n";
    let loaded = load(text).unwrap();
    assert_eq!(loaded.config.cameras["a"].publish, loaded.config.cameras["b"].publish);
    assert_says(&text.replace("publish: *quiet", "<<: *quiet"), &["'<<' (merge) is not part of YAML 1.2"]);
}

#[test]
fn http_beyond_loopback_needs_a_token() {
    assert_says(
        &good_and("http: { listen: '0.0.0.0:8720' }\n"),
        &["http.listen: '0.0.0.0:8720' can be reached from other machines, and there is no 'token_file'"],
    );
    assert!(load(&good_and("http: { listen: '[::1]:0' }\n")).is_ok());
}

#[test]
fn a_spool_has_a_size_with_a_unit_that_is_worth_its_name() {
    let spool = |text: &str| load(&good_and(&format!("spool: {text}\n"))).map(|loaded| loaded.config.spool);
    let default = load(&good_and("")).unwrap().config.spool;
    assert_eq!(spool("{ enabled: true, write_after: 50ms, max_size: 1GiB }").unwrap(), default);
    assert_eq!(spool("{ max_size: 500MB }").unwrap().max_size.0, 500_000_000);
    assert_says(
        &good_and("spool: { max_size: 1MiB, write_after: 1m }\n"),
        &["spool.max_size: '1MiB' is too small", "spool.write_after: '1m' is long"],
    );
    assert_says(&good_and("spool: { max_size: 1000000 }\n"), &["spool.max_size"]);
    assert_says(&good_and("spool: { max_size: lots }\n"), &["spool.max_size: 'lots' does not fit"]);
    assert_says(&good_and("spool: { size: 1GiB }\n"), &["spool.size"]);
}

#[test]
fn frigates_topics_need_mqtt_a_prefix_of_their_own_and_tracks() {
    let frigate = |text: &str| good_and(&format!("frigate: {text}\n"));
    assert!(!load(&good_and("")).unwrap().config.frigate.topics);
    assert_eq!(load(&frigate("{ topics: true }")).unwrap().config.frigate.events(), "frigate/events");
    let nats = "{ topics: true }\nbuses: { nats: {} }";
    assert_says(
        &frigate(nats),
        &["frigate.topics: Frigate's topics are MQTT's, and there is only NATS", "add 'buses.mqtt'"],
    );
    assert!(load(&frigate(&nats.replace("nats: {}", "nats: {}, mqtt: {}"))).is_ok());
    assert!(load(&frigate(&nats.replace("true", "false"))).is_ok());
    assert_says(&frigate("{ prefix: 'a/+' }"), &["frigate.prefix"]);
    assert_says(&frigate("{ prefix: 'a//b' }"), &["frigate.prefix: begins or ends with '/'"]);
    assert_says(
        &frigate("{ topics: true, prefix: sightwire }"),
        &["frigate.prefix: the prefix is that of Sightwire's own topics, too"],
    );
    let untracked = good_and("    tracker: none\nfrigate: { topics: true }\n");
    let warnings = load(&untracked).unwrap().warnings;
    let file = Path::new("f.yaml");
    let said: Vec<String> = warnings.iter().map(|warning| warning.in_file(file).to_string()).collect();
    assert_eq!(said.len(), 1);
    assert!(said[0].starts_with("f.yaml:7:5: cameras.front-door.tracker: nothing is tracked"), "{said:?}");
}

#[test]
fn keys_that_exclude_each_other_are_named_together() {
    let said = problems(&good_and(
        "buses:\n  mqtt: { password: a, password_file: b }\n  nats: { token_file: a, nkey_file: b, password: '${NO_SUCH}' }\n",
    ));
    for what in ["password and password_file exclude", "nkey_file and token_file exclude", "a password without a user"]
    {
        assert!(said.contains(what), "{what}: {said}");
    }
}

#[test]
fn a_key_with_a_problem_of_its_own_still_counts_as_given() {
    let said = problems(&good_and("buses:\n  nats: { username: bob, password: '${NO_SUCH}' }\n"));
    assert!(said.contains("NO_SUCH is not set") && !said.contains("a user without"), "{said}");
}

#[test]
fn a_model_that_no_camera_uses_is_a_warning() {
    let text = good_and("").replace("cameras:", "  spare: { path: 'bundled:shapes' }\ncameras:");
    let loaded = load(&text).unwrap();
    let file = Path::new("f.yaml");
    let warnings: Vec<String> = loaded.warnings.iter().map(|warning| warning.in_file(file).to_string()).collect();
    assert_eq!(
        warnings,
        ["f.yaml:3:3: models.spare: no camera uses this model\n    fix: remove it, or name it in a camera's 'model'"]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_text_makes_the_loader_panic(text in any::<String>()) {
        let _ = load(&text);
    }

    #[test]
    fn no_soup_of_yaml_makes_the_loader_panic(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "a", "models", "cameras", "source", ": ", ":", "\n", "\n  ", "\n    ", "- ", "[", "]", "{", "}", ", ", "&x ",
                "*x", "!t ", "!!str ", "? ", "|\n", ">-\n", "'", "\"", "#", "---\n", "...\n", "%YAML 1.2\n", "<<", "${A}", "${", "$$",
                "\t", "\\", "5", "1e9", "~", "é", "\u{feff}", "\r", "\0", "@", "`",
            ]),
            0..60,
        )
    ) {
        let _ = load(&parts.concat());
    }

    #[test]
    fn no_single_change_of_a_good_file_makes_the_loader_panic(at in 0usize..2000, with in any::<char>()) {
        let mut chars: Vec<char> = FAULTY.chars().collect();
        let at = at % chars.len();
        chars[at] = with;
        let _ = load(&chars.into_iter().collect::<String>());
    }
}
