//! `bench`: figures that fit together, for people and for programs, and what comes when it cannot go on.

use serde_json::Value;

use crate::node::Program;

fn bench(arguments: &[&str]) -> Program {
    let folder = std::env::temp_dir();
    Program::start(&folder, &[&["bench", "--model", "bundled:shapes"], arguments].concat())
}

/// Exit code, standard output, log.
fn done(arguments: &[&str]) -> (i32, String, String) {
    let mut program = bench(arguments);
    let code = program.process.wait().code().unwrap();
    (code, settled(&program), program.log.text())
}

/// What was printed, once the pipe is read to its end.
fn settled(program: &Program) -> String {
    let mut before = program.out.text();
    loop {
        std::thread::sleep(std::time::Duration::from_millis(100));
        let now = program.out.text();
        if now == before {
            return now;
        }
        before = now;
    }
}

fn report(text: &str) -> Value {
    let report: Value =
        serde_json::from_str(text.lines().last().unwrap_or_default()).unwrap_or_else(|e| panic!("{e}: {text}"));
    let schema = sightwire::cli::bench_schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(&report).map(|e| e.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}: {report}");
    report
}

fn number(report: &Value, pointer: &str) -> f64 {
    report.pointer(pointer).and_then(Value::as_f64).unwrap_or_else(|| panic!("no {pointer} in {report}"))
}

#[test]
fn bench_needs_no_file_and_its_figures_fit_together() {
    let (code, out, log) = done(&[
        "--source",
        "synthetic:shapes?width=320&height=240",
        "--frames",
        "12",
        "--warmup",
        "2",
        "--workers",
        "2",
        "--json",
    ]);
    assert_eq!(code, 0, "{log}");
    let report = report(&out);
    assert_eq!((report["frames"].as_u64(), &report["ended"]), (Some(24), &"asked".into()));
    assert_eq!((&report["device"], &report["family"]), (&"cpu".into(), &"yolo".into()));
    let names: Vec<&str> = report["stages"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["decode", "preprocess", "inference", "postprocess", "track", "encode"]);
    let stages = report["stages"].as_array().unwrap();
    let sum = |key: &str| stages.iter().map(|stage| stage[key].as_f64().unwrap()).sum::<f64>();
    assert!(
        (sum("share") - 1.0).abs() < 0.01 && (sum("mean") - number(&report, "/whole/mean")).abs() < 0.05,
        "{report}"
    );
    for times in stages.iter().chain([&report["bare"], &report["whole"]]) {
        let at = |key: &str| times[key].as_f64().unwrap();
        assert!(at("p50") <= at("p95") && at("p95") <= at("p99") && at("mean") > 0.0, "{times}");
    }
    let wanted = number(&report, "/stages/2/p50") / number(&report, "/bare/p50");
    assert!((number(&report, "/inference_over_bare") - wanted).abs() < 0.01, "{report}");
    let [decode, inference, rest] =
        ["decode", "inference", "rest"].map(|part| number(&report, &format!("/cpu/{part}")));
    let each = (15.0 * decode + 5.0 * (inference + rest)) / 1e3;
    assert!((number(&report, "/capacity/cores_each") - each).abs() < 0.002, "{report}");
    let cores = number(&report, "/capacity/cores");
    assert_eq!(report["capacity"]["cores"], std::thread::available_parallelism().unwrap().get());
    assert!((number(&report, "/capacity/cameras") - (cores * 0.85 / each).floor()).abs() <= 1.0, "{report}");
}

#[test]
fn bench_prints_a_table_and_says_that_the_source_ended_early() {
    let (code, out, log) =
        done(&["--source", "synthetic:shapes?frames=5", "--frames", "50", "--warmup", "1", "--fps", "3"]);
    assert_eq!(code, 0, "{log}");
    for part in
        ["5 frames of the 50 asked for: the source ended", "preprocess", "bare model", "cameras at 3 frames/s", " core"]
    {
        assert!(out.contains(part), "no '{part}' in\n{out}");
    }
}

#[test]
fn bench_prints_what_there_is_when_it_is_interrupted() {
    let mut program = bench(&["--source", "synthetic:shapes?width=64&height=48", "--frames", "10000000", "--json"]);
    program.log.wait("that it is under way", |line| line.contains("measuring"));
    program.process.signal("INT");
    assert_eq!(program.process.wait().code(), Some(1));
    let report = report(&settled(&program));
    assert_eq!(report["ended"], "interrupted");
    assert!(number(&report, "/frames") >= 1.0);
}

#[test]
fn bench_says_what_is_wrong_and_no_password() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.mp4");
    std::fs::write(&text, "this is no video").unwrap();
    let empty = format!("images:{}", folder.path().display());
    for (arguments, code, words) in [
        (vec!["--source", "rtsp://joe:sesame@cam/s"], 2, "--frames is missing: rtsp://***@cam/s does not end"),
        (vec!["--source", "rtps://joe:sesame@cam/s"], 2, "no source is of the kind 'rtps:'"),
        (vec!["--source", "webcam:0", "--frames", "5", "--workers", "2"], 2, "only once"),
        (vec!["--source", "synthetic:shapes", "--fps", "0"], 2, "above 0"),
        (vec!["--source", "synthetic:shapes", "--frames", "0"], 2, "--frames"),
        (vec!["--source", "synthetic:shapes", "--family", "yolo9000"], 2, "possible values: auto"),
        (vec!["--source", "synthetic:shapes", "--labels", "a,b"], 2, "2 labels"),
        (vec!["--source", "synthetic:shapes", "--device", "cuda"], 1, "this library has: cpu"),
        (vec!["--source", text.to_str().unwrap()], 1, "text.mp4"),
        (vec!["--source", &empty], 1, "holds no jpg"),
    ] {
        let mut program = bench(&arguments);
        assert_eq!(program.process.wait().code(), Some(code), "{arguments:?}: {}", program.log.text());
        program.log.wait(words, |line| line.contains(words));
        assert!(!program.log.text().contains("sesame") && program.out.all().is_empty(), "{}", program.log.text());
    }
}
