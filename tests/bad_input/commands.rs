//! Words on the command line, and what happens to a pipe.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::program::{Folder, Outcome, decent, small};

const COMMANDS: [&str; 5] = ["run", "demo", "check", "watch", "schema"];

#[test]
fn the_program_alone_teaches_and_every_command_has_help() {
    let folder = Folder::new();
    folder.sightwire(&[]).fails(2, &["Usage: sightwire", "run", "check", "sightwire demo", "--help"]);
    let help = folder.sightwire(&["--help"]);
    assert_eq!(help.code, 0);
    assert!(help.stdout.contains("The smallest useful file") && help.stdout.contains("Exit codes"), "{}", help.stdout);
    for command in COMMANDS {
        let help = folder.sightwire(&[command, "--help"]);
        assert_eq!(help.code, 0);
        assert!(help.stdout.contains(&format!("Usage: sightwire {command}")), "{}", help.stdout);
        assert!(help.stdout.contains("Examples:"), "{command}: {}", help.stdout);
    }
    folder.sightwire(&["chekc"]).fails(2, &["check"]);
    folder.sightwire(&["run", "--untildone"]).fails(2, &["--until-done"]);
    folder.sightwire(&["demo", "--cameras", "0"]).fails(2, &["--cameras"]);
}

#[test]
fn a_schema_nobody_knows_is_answered_with_those_there_are() {
    let folder = Folder::new();
    let outcome = folder.sightwire(&["schema", "nothing"]);
    outcome.fails(2, &["no schema is called 'nothing'", "config", "detections"]);
    let known = outcome.stderr.split("known: ").nth(1).expect("the names").trim().to_owned();
    for name in known.split(", ") {
        let schema = folder.sightwire(&["schema", name]);
        let schema: serde_json::Value = serde_json::from_str(&schema.stdout).expect(name);
        // AsyncAPI's documents have theirs in `info`.
        let title = if name == "asyncapi" { &schema["info"]["title"] } else { &schema["title"] };
        assert!(title.is_string(), "{name}");
    }
}

#[test]
fn a_reader_that_leaves_early_ends_the_program_quietly() {
    let folder = Folder::new();
    folder.write("sightwire.yaml", small(&folder, ""));
    for args in [&["schema", "config"][..], &["check", "--offline", "--explain"]] {
        let mut child = folder.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        BufReader::with_capacity(16, child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let rest = child.wait_with_output().unwrap();
        decent(&String::from_utf8_lossy(&rest.stderr));
        assert!(rest.stderr.is_empty() && !first.is_empty(), "{rest:?}");
    }
    // Nobody reads from the beginning.
    let mut child = folder.command(&["--help"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    decent(&String::from_utf8_lossy(&child.wait_with_output().unwrap().stderr));
}

#[test]
fn explain_prints_every_topic_of_every_camera_with_a_sample_that_can_be_read() {
    let folder = Folder::new();
    let more =
        "  cellar: { source: \"synthetic:shapes\", model: m, groups: [inside], publish: { payload: minimal } }\n";
    let outcome = folder.with(&small(&folder, more), &["check", "--offline", "--explain"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    for topic in [
        "sightwire/cameras/good/detections  (QoS 0)",
        "sightwire/cameras/good/events  (QoS 1)",
        "sightwire/cameras/good/status  (QoS 1, retained)",
        "sightwire/cameras/cellar/control",
        "sightwire/groups/inside/control",
    ] {
        assert!(outcome.stdout.contains(topic), "'{topic}' is missing in:\n{}", outcome.stdout);
    }
    let samples = outcome.stdout.lines().map(str::trim).filter(|line| line.starts_with('{'));
    let parsed: Vec<serde_json::Value> = samples.map(|sample| serde_json::from_str(sample).expect(sample)).collect();
    assert!(parsed.len() > 2, "{parsed:?}");
}

#[test]
fn logs_as_json_are_json_to_the_last_line() {
    let folder = Folder::new();
    // A camera that FFmpeg would complain about by itself.
    let config = small(
        &folder,
        "  noise: { source: noise.mp4, model: m }\n  down: { source: \"rtsp://127.0.0.1:1/x\", model: m }\n",
    );
    folder.write("noise.mp4", (0..50_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect::<Vec<_>>());
    folder.write("sightwire.yaml", config);
    let mut command = folder.command(&["check", "--log-format", "json"]);
    command.env("RUST_LOG", "info");
    let outcome = Outcome::of(command);
    assert_eq!(outcome.code, 1);
    for line in outcome.stderr.lines() {
        serde_json::from_str::<serde_json::Value>(line).expect(line);
    }
}
