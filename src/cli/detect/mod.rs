//! `sightwire detect`: stills in, one line of JSON each out.
//!
//! Three threads, so that none waits for another's work: one reads pictures ahead, one detects and prints, one draws and
//! writes overlays. Lines come in the order in which the pictures were named.

mod inputs;
mod overlays;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use self::inputs::{Input, Still};
use self::overlays::{Job, Overlays};
use super::model_args::{ModelArgs, load};
use super::{BadUsage, FAILED, say, signals, tell};
use crate::domain::{BootId, Detection, Name, Timestamp};
use crate::envelope::{Detections, FrameInfo, StillDetections, StillName, Timing};
use crate::inference::{Detector, OnnxDetector};
use crate::telemetry::{StatusLine, above};

#[derive(Debug, clap::Args)]
pub struct DetectArgs {
    /// Write each picture with its boxes into this folder (made if need be), under its own name, as JPEG or PNG.
    #[arg(long, value_name = "DIR")]
    overlay: Option<PathBuf>,
    /// Pictures: files, folders, patterns such as 'street/*.jpg', or - for standard input.
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
}

/// How often a wait looks whether it is to end.
const LOOK: Duration = Duration::from_millis(100);
/// Pictures that are read ahead, and that wait to be drawn on.
const AHEAD: usize = 1;

pub async fn run(args: DetectArgs) -> anyhow::Result<ExitCode> {
    let stop = signals::stop_token()?;
    tokio::task::spawn_blocking(move || detect(&args, &stop)).await?
}

fn detect(args: &DetectArgs, stop: &CancellationToken) -> anyhow::Result<ExitCode> {
    let detector = load(&args.model.config())?;
    let overlays = match &args.overlay {
        Some(folder) => Some(Overlays::into_folder(folder).map_err(BadUsage)?),
        None => None,
    };
    let inputs = inputs::expand(&args.images);
    let bar = progress(inputs.len());
    let outcome = Run { detector, overlays, stop, bar: bar.as_ref() }.all(inputs);
    if let Some(bar) = bar {
        bar.clear();
    }
    let tally = outcome?;
    if stop.is_cancelled() && tally.done < tally.asked {
        tell(&format!(
            "error: interrupted: {} of {} pictures were not looked at",
            tally.asked - tally.done,
            tally.asked
        ));
    } else if tally.failed > 0 && tally.asked > 1 {
        tell(&format!("error: {} of {} pictures failed; the lines above say why", tally.failed, tally.asked));
    }
    let good = tally.failed == 0 && tally.done == tally.asked;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

/// How many pictures came to what.
#[derive(Debug, Default)]
struct Tally {
    asked: usize,
    done: usize,
    failed: usize,
}

struct Run<'a> {
    detector: OnnxDetector,
    overlays: Option<Overlays>,
    stop: &'a CancellationToken,
    bar: Option<&'a StatusLine>,
}

impl Run<'_> {
    fn all(self, inputs: Vec<Result<Input, String>>) -> anyhow::Result<Tally> {
        let Self { mut detector, overlays, stop, bar } = self;
        let mut tally = Tally { asked: inputs.len(), ..Tally::default() };
        let names: Vec<Option<&Input>> = inputs.iter().map(|input| input.as_ref().ok()).collect();
        let mut painter = overlays.map(|overlays| overlays.start(&names)).transpose()?;
        let stills = read_ahead(inputs).context("no thread can be started")?;
        let mut teller = Teller::new();
        while let Some((index, still)) = next(&stills, stop) {
            tally.done += 1;
            let said = still.and_then(|mut still| {
                let found = teller.tell(&mut detector, &mut still)?;
                Ok((still, found))
            });
            match said {
                Err(why) => {
                    above(|| tell(&format!("error: {why}")));
                    tally.failed += 1;
                }
                Ok((still, found)) => {
                    if let Some(painter) = &mut painter {
                        painter.put(Job { index, frame: still.frame, found });
                    }
                }
            }
            if let Some(bar) = bar {
                bar.advance();
            }
        }
        tally.failed += painter.map_or(0, overlays::Painter::finish);
        Ok(tally)
    }
}

/// Reads the pictures on a thread of its own, a little ahead. It is not waited for at the end: standard input may never end.
fn read_ahead(inputs: Vec<Result<Input, String>>) -> std::io::Result<Receiver<(usize, Result<Still, String>)>> {
    let (sender, receiver) = sync_channel(AHEAD);
    std::thread::Builder::new().name("read".into()).spawn(move || {
        for (index, input) in inputs.into_iter().enumerate() {
            let still = input.and_then(|input| input.read(index));
            if sender.send((index, still)).is_err() {
                return;
            }
        }
    })?;
    Ok(receiver)
}

fn next<T>(from: &Receiver<T>, stop: &CancellationToken) -> Option<T> {
    while !stop.is_cancelled() {
        match from.recv_timeout(LOOK) {
            Ok(next) => return Some(next),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
    None
}

/// Makes the lines of one run.
struct Teller {
    node: Name,
    boot_id: BootId,
    /// Of the line before: no line can hold the time of its own making.
    encode: Duration,
    seq: u64,
}

impl Teller {
    fn new() -> Self {
        Self { node: crate::config::this_node(), boot_id: BootId::new(), encode: Duration::ZERO, seq: 0 }
    }

    /// Looks at a picture and prints its line.
    fn tell(&mut self, detector: &mut OnnxDetector, still: &mut Still) -> Result<Vec<Detection>, String> {
        let mut found = Vec::new();
        let frame = &still.frame;
        let timing = detector.detect(frame, &mut found).map_err(|e| format!("{}: {e}", still.path))?;
        let began = std::time::Instant::now();
        self.seq += 1;
        let detections = Detections {
            timestamp: frame.captured_at,
            detections: found,
            camera: StillName::of(&still.name),
            node: self.node.clone(),
            boot_id: self.boot_id.clone(),
            seq: self.seq,
            frame: FrameInfo::from(frame),
            timing: Timing {
                decode: Timing::millis(frame.decode),
                preprocess: Timing::millis(timing.preprocess),
                inference: Timing::millis(timing.inference),
                postprocess: Timing::millis(timing.postprocess),
                encode: Timing::millis(self.encode),
                ..Timing::default()
            },
            text: Vec::new(),
            inferred_at: None,
            replayed: false,
        };
        let line = StillDetections { detections, file: still.path.clone() };
        let text = serde_json::to_string(&line).map_err(|e| format!("{}: {e}", still.path))?;
        self.encode = began.elapsed();
        above(|| say(&text));
        Ok(line.detections.detections)
    }
}

impl Still {
    /// A file was captured when it was last written, as far as anyone can tell.
    fn dated(&mut self, modified: Option<std::time::SystemTime>) {
        if let Some(modified) = modified {
            self.frame.captured_at = Timestamp::from_system(modified);
            self.frame.timestamp_source = crate::domain::TimestampSource::File;
        }
    }
}

/// For several pictures, on a terminal.
fn progress(pictures: usize) -> Option<StatusLine> {
    let total = u64::try_from(pictures).unwrap_or(u64::MAX);
    (pictures > 1 && std::io::stderr().is_terminal()).then(|| StatusLine::count(total))
}
