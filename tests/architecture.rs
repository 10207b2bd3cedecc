//! The house's rules, held: which room may import which, and which crate is opened in which room only.
//! The table is that of `docs/architecture.md`; a new edge belongs there, with its reason, before it is added here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::format_collect,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Room, and what it may import besides itself.
const ROOMS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("telemetry", &["domain"]),
    ("source", &["domain", "telemetry"]),
    ("inference", &["domain", "telemetry"]),
    ("tracker", &["domain"]),
    ("envelope", &["domain"]),
    ("codec", &["domain", "envelope"]),
    ("bus", &["domain", "telemetry"]),
    ("control", &["domain", "telemetry", "envelope"]),
    ("live", &["domain", "telemetry", "envelope", "codec"]),
    ("frigate", &["domain", "envelope"]),
    (
        "pipeline",
        &[
            "domain",
            "telemetry",
            "source",
            "inference",
            "tracker",
            "envelope",
            "codec",
            "bus",
            "control",
            "live",
            "frigate",
        ],
    ),
    ("homeassistant", &["domain", "envelope"]),
    ("asyncapi", &["envelope", "codec", "bus", "frigate", "homeassistant"]),
    ("http", &["domain", "telemetry", "envelope", "codec", "control", "live"]),
    (
        "config",
        &[
            "domain",
            "bus",
            "control",
            "envelope",
            "frigate",
            "homeassistant",
            "http",
            "inference",
            "pipeline",
            "source",
            "telemetry",
        ],
    ),
    (
        "app",
        &[
            "domain",
            "telemetry",
            "source",
            "inference",
            "tracker",
            "envelope",
            "codec",
            "bus",
            "control",
            "live",
            "pipeline",
            "homeassistant",
            "frigate",
            "http",
            "config",
        ],
    ),
    (
        "cli",
        &[
            "app",
            "config",
            "domain",
            "telemetry",
            "source",
            "inference",
            "tracker",
            "envelope",
            "codec",
            "bus",
            "control",
            "live",
            "pipeline",
            "homeassistant",
            "frigate",
            "http",
            "asyncapi",
        ],
    ),
];

/// Crate, and the only places where it may be named.
const CUPBOARDS: &[(&str, &[&str])] = &[
    ("opencv", &["source/", "codec/jpeg.rs", "codec/png.rs", "codec/scale.rs"]),
    ("ffmpeg_next", &["source/video/ffmpeg.rs"]),
    ("ab_glyph", &["codec/overlay/"]),
    ("icu_normalizer", &["codec/overlay/"]),
    ("openh264", &["codec/h264.rs"]),
    ("ort", &["inference/"]),
    ("rumqttc_v4", &["bus/mqtt/"]),
    ("rumqttc_v5", &["bus/mqtt/"]),
    ("async_nats", &["bus/nats/"]),
    ("mqtt5", &["bus/embedded.rs"]),
    ("prost", &["codec/", "telemetry/page/protobuf.rs", "telemetry/traces/"]),
    ("opentelemetry_proto", &["telemetry/traces/"]),
    ("rusqlite", &["bus/spool/", "bus/outbox/spooled.rs"]),
    ("axum", &["http/"]),
    ("hyper", &["http/", "telemetry/traces/"]),
    ("hyper_util", &["http/", "telemetry/traces/"]),
    ("http_body_util", &["telemetry/traces/"]),
    ("tokio_rustls", &["telemetry/traces/"]),
    ("tower", &["http/"]),
    ("str0m", &["live/webrtc/"]),
    ("quinn_udp", &["live/webrtc/"]),
    ("if_addrs", &["live/webrtc/"]),
    ("metrics", &["telemetry/"]),
    ("tracing_subscriber", &["telemetry/"]),
    ("indicatif", &["telemetry/"]),
    ("rustix", &["telemetry/"]),
    ("jsonschema", &["config/"]),
    ("saphyr_parser", &["config/"]),
    ("pathfinding", &["tracker/"]),
    ("wide", &["inference/preprocess/"]),
    ("bytemuck", &["inference/preprocess/"]),
    ("yuv", &["domain/planes.rs"]),
    ("anyhow", &["cli/"]),
    ("sd_notify", &["cli/supervisor.rs"]),
    ("rustls", &["bus/", "telemetry/traces/", "main.rs"]),
    ("ring", &["control/auth/", "http/gate/", "inference/graph/store.rs", "live/webrtc/"]),
];

/// Rooms that read no clock and touch no network, disk or thread: time is an argument there.
const PURE: &[&str] = &[
    "tracker/",
    "envelope/",
    "homeassistant/",
    "frigate/",
    "asyncapi/",
    "control/parse.rs",
    "control/auth/jws.rs",
    "control/auth/seen.rs",
    "pipeline/machine/",
    "bus/backoff.rs",
    "bus/channel.rs",
    "bus/topic.rs",
];

fn source_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every source file with its path inside `src/` and its code, comments and tests left out.
fn files() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![source_root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(source_root()).unwrap().to_str().unwrap().replace('\\', "/");
                let code = fs::read_to_string(&path).unwrap();
                found.push((name, strip(&code)));
            }
        }
    }
    assert!(found.len() > 50, "the walk found only {} files", found.len());
    found
}

fn strip(code: &str) -> String {
    let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect()
}

/// The words that follow `start` in the code, each up to the next character that is no identifier's; `{a, b}` gives both.
fn words_after(code: &str, start: &str) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for (at, _) in code.match_indices(start) {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[at + start.len()..];
        if let Some(group) = rest.strip_prefix('{') {
            // The first word of each item of a group, nested groups left out.
            let mut depth = 0;
            let mut item = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => words.extend(first_word(&std::mem::take(&mut item))),
                    c if depth == 0 => item.push(c),
                    _ => {}
                }
            }
            words.extend(first_word(&item));
        } else {
            words.extend(first_word(rest));
        }
    }
    words
}

fn first_word(text: &str) -> Option<String> {
    let word: String = text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!word.is_empty()).then_some(word)
}

fn names_crate(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let whole =
            before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':' && c != '.' && c != '"' && c != '/');
        let after = &code[at + name.len()..];
        whole && (after.starts_with("::") || (code[..at].ends_with("use ") && after.starts_with(';')))
    })
}

#[test]
fn every_room_imports_only_what_the_table_allows() {
    let rooms: BTreeSet<&str> = ROOMS.iter().map(|(room, _)| *room).collect();
    let mut wrong = Vec::new();
    for (file, code) in files() {
        let Some((room, _)) = file.split_once('/') else { continue };
        let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
            wrong.push(format!("{file}: the room '{room}' is not in the table"));
            continue;
        };
        for import in words_after(&code, "crate::") {
            if import != room && rooms.contains(import.as_str()) && !allowed.contains(&import.as_str()) {
                wrong.push(format!("{file}: {room} may not import {import}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_crate_is_opened_in_its_own_room_only() {
    let mut wrong = Vec::new();
    for (file, code) in files() {
        for (name, places) in CUPBOARDS {
            if names_crate(&code, name) && !places.iter().any(|place| file.starts_with(place)) {
                wrong.push(format!("{file}: {name} belongs in {}", places.join(", ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pure_rooms_read_no_clock_and_touch_no_world() {
    let mut wrong = Vec::new();
    for (file, code) in files().into_iter().filter(|(file, _)| PURE.iter().any(|pure| file.starts_with(pure))) {
        for word in
            ["Instant::now", "SystemTime::now", "Timestamp::now", "std::fs", "std::net", "std::thread", "tokio::"]
        {
            if code.contains(word) {
                wrong.push(format!("{file}: {word} in a pure place"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_the_command_line_ends_the_process_or_prints() {
    let mut wrong = Vec::new();
    for (file, code) in files().into_iter().filter(|(file, _)| !file.starts_with("cli/") && file != "main.rs") {
        for word in ["process::exit", "println!", "print!("] {
            if code.contains(word) {
                wrong.push(format!("{file}: {word}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_readers_of_this_test_see_what_they_should() {
    assert_eq!(
        words_after("use crate::{bus, domain::{Name, Frame}, codec};", "crate::"),
        ["bus", "codec", "domain"].map(String::from).into()
    );
    assert_eq!(words_after("crate::http::Board; my_crate::x", "crate::"), ["http"].map(String::from).into());
    assert!(names_crate("use ort::session;", "ort") && names_crate("fn f(e: ort::Error)", "ort"));
    assert!(!names_crate("use crate::ort::x; import::y", "ort"));
    assert!(!strip("a\n// crate::bus\n#[cfg(test)]\nmod tests {\n crate::http\n}").contains("crate"));
}
