//! `sightwire bench`: what a frame costs on this machine, stage by stage, beside the bare model.

mod capacity;
mod measure;
mod report;

use std::io::IsTerminal;
use std::num::NonZeroU64;
use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

use self::measure::{Lane, Outcome, Plan};
pub use self::report::schema;
use self::report::{Ended, Report};
use super::model_args::{ModelArgs, load};
use super::{BadUsage, FAILED, say, signals, tell};
use crate::inference::ModelConfig;
use crate::source::{SourceKind, SourceSpec};
use crate::telemetry::StatusLine;
use crate::tracker::TrackerConfig;

#[derive(Debug, clap::Args)]
pub struct BenchArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Where the pictures come from, as in the configuration: a video file, rtsp://…, webcam:0, images:DIR, synthetic:shapes.
    #[arg(short, long, value_name = "SOURCE", help_heading = "Source")]
    source: String,
    /// Frames for each worker; default: all there are (a live source needs the number, an endless drawn one gives 300).
    #[arg(short = 'n', long, value_name = "N", help_heading = "Source")]
    frames: Option<NonZeroU64>,
    /// Runs on the first frame before anything is counted.
    #[arg(long, value_name = "N", default_value_t = 10, help_heading = "Measuring")]
    warmup: u32,
    /// Detectors side by side, each with a thread, a session and an open source of its own: how a loaded machine does.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64), help_heading = "Measuring")]
    workers: u16,
    /// Frames a second of the cameras of which the number that fits is told.
    #[arg(long, value_name = "RATE", default_value_t = 5.0, value_parser = rate, help_heading = "Measuring")]
    fps: f64,
    /// One JSON object (`sightwire schema bench`) instead of the table.
    #[arg(long, help_heading = "Measuring")]
    json: bool,
}

/// Of an endless scene.
const DRAWN: u64 = 300;

pub async fn run(args: BenchArgs) -> anyhow::Result<ExitCode> {
    let source = args.source.parse::<SourceSpec>().map_err(|e| BadUsage(format!("--source: {e}")))?;
    let frames = frames(&args, &source)?;
    let stop = signals::stop_token()?;
    tokio::task::spawn_blocking(move || bench(&args, &source, frames, &stop)).await?
}

/// How many frames a worker is to see; `None` = until the source ends.
fn frames(args: &BenchArgs, source: &SourceSpec) -> Result<Option<u64>, BadUsage> {
    if matches!(source.kind(), SourceKind::Webcam(_)) && args.workers > 1 {
        return Err(BadUsage("--workers: a webcam can be opened only once; take one worker, or another source".into()));
    }
    if matches!(source.kind(), SourceKind::Push { .. }) {
        return Err(BadUsage(
            "--source: pictures are pushed to a running node only; take a file or synthetic:shapes".into(),
        ));
    }
    match args.frames {
        Some(frames) => Ok(Some(frames.get())),
        None if source.is_finite(false) => Ok(None),
        None if matches!(source.kind(), SourceKind::Synthetic(_)) => Ok(Some(DRAWN)),
        None => {
            Err(BadUsage(format!("--frames is missing: {} does not end by itself; try --frames 300", source.shown())))
        }
    }
}

fn bench(
    args: &BenchArgs,
    source: &SourceSpec,
    frames: Option<u64>,
    stop: &CancellationToken,
) -> anyhow::Result<ExitCode> {
    if cfg!(debug_assertions) {
        tracing::warn!(
            "this program was built without optimisation: all stages but inference are far slower than they need be"
        );
    }
    // As a node does it: the tracker sees the unsure detections too.
    let wanted = args.model.config();
    let floor = TrackerConfig::for_confidence(wanted.confidence).low;
    let config = ModelConfig { confidence: floor, ..wanted.clone() };
    let workers = usize::from(args.workers);
    let mut lanes = Vec::with_capacity(workers);
    for _ in 0..workers {
        lanes.push(Lane::open(load(&config)?, source, wanted.confidence, stop)?);
    }
    let head = lanes[0].head();
    let bar = progress(frames.map(|frames| frames.saturating_mul(u64::from(args.workers))));
    let plan = Plan { frames, warmup: args.warmup, stop, bar: bar.as_ref() };
    let outcome = measure::all(lanes, &plan);
    if let Some(bar) = bar {
        bar.clear();
    }
    let Outcome { samples, process, failed } = outcome?;
    let ended = match &failed {
        _ if stop.is_cancelled() => Ended::Interrupted,
        Some(_) => Ended::Failed,
        None if frames.is_some_and(|frames| samples.frames() < frames.saturating_mul(args.workers.into())) => {
            Ended::Source
        }
        None if frames.is_none() => Ended::Source,
        None => Ended::Asked,
    };
    if samples.frames() == 0 {
        anyhow::bail!(failed.unwrap_or_else(|| "nothing was measured".into()));
    }
    let report = Report::new(args, source, frames, ended, &head, &samples, process);
    say(&if args.json { serde_json::to_string(&report)? } else { report.to_string() });
    if let Some(error) = failed.filter(|_| ended == Ended::Failed) {
        tell(&format!("error: {error}; the figures are of what came before"));
    }
    let whole = matches!(ended, Ended::Asked | Ended::Source);
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().map_err(|_| "it is no number; write frames a second, such as 5")?;
    if rate > 0.0 && rate <= 1000.0 { Ok(rate) } else { Err("it must be above 0, and 1000 at most".into()) }
}

/// On a terminal only.
fn progress(total: Option<u64>) -> Option<StatusLine> {
    std::io::stderr().is_terminal().then(|| total.map_or_else(StatusLine::show, StatusLine::count))
}
