//! `sightwire check`

use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::{ConfigArg, FAILED, explain, say};
use crate::app;
use crate::bus::{self, BusConfig, SpoolPlace};
use crate::config::{self, Config, Loaded};
use crate::domain::{Frame, Name};
use crate::inference::{ModelConfig, OnnxDetector, Runtime};
use crate::pipeline::CameraConfig;
use crate::source::{self, OpenOptions, Read, SourceKind};

#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Only read the file: open no source, model or bus.
    #[arg(long)]
    offline: bool,
    /// Print every topic with QoS, retain and a sample payload.
    #[arg(long)]
    explain: bool,
}

/// For a source or a model, whatever hangs.
const LONGEST: Duration = Duration::from_mins(1);
/// For a bus to answer.
const BUS: Duration = Duration::from_secs(10);

/// One line of the table.
struct Finding {
    what: String,
    name: String,
    outcome: Result<String, String>,
}

pub async fn run(args: CheckArgs) -> anyhow::Result<ExitCode> {
    let Loaded { file, config, node, state_dir, warnings } = config::load(Some(&args.config.config))?;
    say(&format!(
        "{}: valid; node {node}, {}, {}, state in {}",
        args.config.config.display(),
        count(config.models.len(), "model"),
        count(config.cameras.len(), "camera"),
        state_dir.display()
    ));
    for warning in &warnings {
        say(&format!("warning: {}", warning.in_file(&file)));
    }
    if args.explain {
        explain::topics(&node, &config);
    }
    if args.offline {
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(warning) = app::crowded(&config) {
        say(&format!("warning: {warning}"));
    }
    let findings = open_all(&config, app::spool_place(config.spool, &state_dir, &node)).await;
    print(&findings);
    let bad = findings.iter().filter(|f| f.outcome.is_err()).count();
    say(&if bad == 0 { "everything answers".to_owned() } else { format!("{bad} of {} do not work", findings.len()) });
    Ok(if bad == 0 { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// Everything at once: a dead camera must not make the others wait.
async fn open_all(config: &Config, spools: Option<SpoolPlace>) -> Vec<Finding> {
    let mut tasks = Vec::new();
    let buses = [("mqtt", config.buses.mqtt.is_some()), ("nats", config.buses.nats.is_some())];
    for (bus, place) in
        buses.into_iter().filter(|(_, there)| *there).filter_map(|(bus, _)| Some((bus, spools.clone()?)))
    {
        let open = move || place.probe(bus).map_err(|e| e.to_string());
        tasks.push(tokio::spawn(in_time("spool", bus, open)));
    }
    if let Some(mqtt) = config.buses.mqtt.clone() {
        tasks.push(tokio::spawn(async move {
            finding("bus", "mqtt", bus::probe(&BusConfig::Mqtt(mqtt), BUS).await.map_err(|e| e.to_string()))
        }));
    }
    if let Some(nats) = config.buses.nats.clone() {
        tasks.push(tokio::spawn(async move {
            finding("bus", "nats", bus::probe(&BusConfig::Nats(nats), BUS).await.map_err(|e| e.to_string()))
        }));
    }
    for (name, model) in config.models.clone() {
        let of_model = config.cameras.iter().filter(|(_, camera)| camera.model == name);
        let cameras: Vec<_> = of_model.map(|(name, camera)| (name.clone(), camera.labels.clone())).collect();
        let open = move || open_model(&model, &cameras);
        tasks.push(tokio::spawn(in_time("model", name, open)));
    }
    for (name, camera) in config.cameras.clone() {
        tasks.push(tokio::spawn(in_time("camera", name, move || open_source(&camera))));
    }
    let mut findings = Vec::new();
    for task in tasks {
        findings.push(task.await.unwrap_or_else(|e| finding("check", "task", Err(e.to_string()))));
    }
    findings
}

/// Runs what blocks, but not for ever: a driver may hang where no time-out of ours reaches.
async fn in_time(
    what: &str,
    name: impl std::fmt::Display,
    open: impl FnOnce() -> Result<String, String> + Send + 'static,
) -> Finding {
    let opened = tokio::time::timeout(LONGEST, tokio::task::spawn_blocking(open)).await;
    let outcome = match opened {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(e)) => Err(e.to_string()),
        Err(_) => Err(format!("no answer within {LONGEST:?}")),
    };
    finding(what, &name.to_string(), outcome)
}

fn finding(what: &str, name: &str, outcome: Result<String, String>) -> Finding {
    Finding { what: what.into(), name: name.into(), outcome }
}

fn open_model(config: &ModelConfig, cameras: &[(Name, Option<Vec<String>>)]) -> Result<String, String> {
    let runtime = Runtime::load().map_err(|e| e.to_string())?;
    let info = OnnxDetector::load(&runtime, config).map_err(|e| e.to_string())?.info();
    for (camera, labels) in cameras {
        let unknown = app::unknown_labels(labels.as_deref(), &info.labels);
        if !unknown.is_empty() {
            let unknown = unknown.join(", ");
            if info.labels.is_empty() {
                return Err(format!(
                    "the camera {camera} wants labels, but the classes have no names: {unknown}; set the model's `labels:`"
                ));
            }
            let known = info.labels.iter().map(|label| &**label).collect::<Vec<_>>().join(", ");
            return Err(format!("the camera {camera} wants labels that it does not have: {unknown}; it has: {known}"));
        }
    }
    let classes = match info.labels.len() {
        0 => "classes without names".to_owned(),
        1 => "1 class".to_owned(),
        n => format!("{n} classes"),
    };
    let passed: Vec<String> = info.passed_over.iter().map(|p| format!("{}: {}", p.device.as_str(), p.why)).collect();
    let passed = if passed.is_empty() { String::new() } else { format!(" (not on {})", passed.join("; ")) };
    Ok(format!("{}, {}x{}, {classes}, on {}{passed}", info.family, info.width, info.height, info.device.as_str()))
}

fn open_source(config: &CameraConfig) -> Result<String, String> {
    if matches!(config.source.kind(), SourceKind::Push { .. }) {
        return Ok("waits for pictures: PUT /cameras/<camera>/frame once the node runs".into());
    }
    let begin = Instant::now();
    let options = OpenOptions { pace: source::Pace::Asap, ..OpenOptions::default() };
    let mut source = source::open(&config.source, &options).map_err(|e| e.to_string())?;
    let mut frame = Frame::empty();
    match source.read(&mut frame).map_err(|e| e.to_string())? {
        Read::Frame => {
            Ok(format!("{}x{}, first frame after {:.1} s", frame.width, frame.height, begin.elapsed().as_secs_f64()))
        }
        Read::End => Err(format!("{}: ended before the first frame", config.source.shown())),
    }
}

fn print(findings: &[Finding]) {
    let width = findings.iter().map(|f| f.name.chars().count()).max().unwrap_or(0);
    for Finding { what, name, outcome } in findings {
        let (mark, text) = match outcome {
            Ok(text) => ("ok  ", text),
            Err(text) => ("FAIL", text),
        };
        // What has several lines (a model's outputs) stays under its own row.
        let text = text.replace('\n', &format!("\n{}", " ".repeat(width + 16)));
        say(&format!("{mark}  {what:<7} {name:<width$}  {text}"));
    }
}
