//! The measuring: each worker reads a frame, runs every stage of a node on it, and the bare model in between.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::codec::Encoder;
use crate::domain::{BootId, Detection, Frame, Timestamp};
use crate::envelope::{Detections, Encoding, EnvelopeBuilder, Origin, PayloadChoice, Timing};
use crate::inference::{ModelInfo, OnnxDetector};
use crate::source::{self, Cancel, FrameSource, OpenOptions, Pace, Read, SourceError, SourceKind, SourceSpec};
use crate::telemetry::{StatusLine, process_cpu, thread_cpu};
use crate::tracker::{TrackEvent, Tracker, TrackerConfig};

/// The stages that are told of, in their order.
pub const STAGES: [&str; 6] = ["decode", "preprocess", "inference", "postprocess", "track", "encode"];

pub struct Plan<'a> {
    /// For each worker; `None` = until the source ends.
    pub frames: Option<u64>,
    pub warmup: u32,
    pub stop: &'a CancellationToken,
    pub bar: Option<&'a StatusLine>,
}

/// What is known before the first measure.
pub struct Head {
    pub info: ModelInfo,
    pub width: u32,
    pub height: u32,
}

/// What was measured, of all workers together.
#[derive(Default)]
pub struct Samples {
    /// Milliseconds, by stage and frame.
    pub stages: [Vec<f64>; STAGES.len()],
    /// Milliseconds of the bare model.
    pub bare: Vec<f64>,
    /// Processor time of the workers' threads: in the model, in the bare model, and in all else but reading.
    pub inference: Duration,
    pub bare_cpu: Duration,
    pub rest: Duration,
    /// Frames that were read while it was measured.
    pub reads: u64,
    /// Frames a second: the workers' own, added up, without the time of the bare runs.
    pub throughput: f64,
    /// Frames a second that the source sends by its own time, where that can be told.
    pub source_fps: Option<f64>,
}

pub struct Outcome {
    pub samples: Samples,
    /// Processor time of the whole process, from the first measured frame to the last.
    pub process: Duration,
    /// Why it ended before its time.
    pub failed: Option<String>,
}

impl Samples {
    pub fn frames(&self) -> u64 {
        self.bare.len() as u64
    }

    fn add(&mut self, other: Self) {
        for (stage, more) in self.stages.iter_mut().zip(other.stages) {
            stage.extend(more);
        }
        self.bare.extend(other.bare);
        self.inference += other.inference;
        self.bare_cpu += other.bare_cpu;
        self.rest += other.rest;
        self.reads += other.reads;
        self.throughput += other.throughput;
        self.source_fps = self.source_fps.or(other.source_fps);
    }
}

/// A moment, by the clock and by this thread's processor time.
#[derive(Clone, Copy)]
struct Mark {
    at: Instant,
    cpu: Duration,
}

impl Mark {
    fn now() -> Self {
        Self { at: Instant::now(), cpu: thread_cpu() }
    }
}

/// One worker: a camera of its own, with its first frame read.
pub struct Lane {
    detector: OnnxDetector,
    kind: SourceKind,
    source: Box<dyn FrameSource>,
    frame: Frame,
    tracker: Tracker,
    confidence: f32,
    builder: EnvelopeBuilder,
    encoder: Encoder,
    /// What a frame leaves to the next, as in a node.
    found: Vec<Detection>,
    events: Vec<TrackEvent>,
    message: Option<Detections>,
}

impl Lane {
    pub fn open(
        detector: OnnxDetector,
        spec: &SourceSpec,
        confidence: f32,
        stop: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let cancel = Cancel::default();
        let (ended, stopped) = (cancel.clone(), stop.clone());
        tokio::spawn(async move {
            stopped.cancelled().await;
            ended.cancel();
        });
        let options = OpenOptions { pace: Pace::Asap, cancel, ..OpenOptions::default() };
        let mut source = source::open(spec, &options)?;
        let mut frame = Frame::empty();
        anyhow::ensure!(source.read(&mut frame)? == Read::Frame, "{}: ended before the first frame", spec.shown());
        let origin = Origin { camera: "bench".parse()?, node: "bench".parse()?, boot_id: BootId::new() };
        Ok(Self {
            detector,
            kind: spec.kind().clone(),
            source,
            frame,
            tracker: Tracker::new(TrackerConfig::for_confidence(confidence)),
            confidence,
            builder: EnvelopeBuilder::new(origin),
            encoder: Encoder::default(),
            found: Vec::new(),
            events: Vec::new(),
            message: None,
        })
    }

    pub fn head(&self) -> Head {
        Head { info: self.detector.info(), width: self.frame.width, height: self.frame.height }
    }

    fn warm_up(&mut self, plan: &Plan<'_>) -> anyhow::Result<()> {
        let mut found = Vec::new();
        // At least once: the bare runs need a prepared picture.
        for _ in 0..plan.warmup.max(1) {
            if plan.stop.is_cancelled() {
                break;
            }
            self.detector.detect_marking(&self.frame, &mut found, || ())?;
            self.detector.run_bare(|| ())?;
        }
        Ok(())
    }

    /// Until the plan is fulfilled, the source has ended, or something fails; what was measured until then counts.
    fn measure(&mut self, plan: &Plan<'_>) -> (Samples, Option<String>) {
        let mut samples = Samples::default();
        let (begun, first) = (Instant::now(), self.frame.captured_at);
        let mut failed = None;
        loop {
            if let Err(error) = self.frame(&mut samples) {
                failed = Some(error);
                break;
            }
            if let Some(bar) = plan.bar {
                bar.advance();
            }
            if plan.stop.is_cancelled() || plan.frames.is_some_and(|frames| samples.frames() >= frames) {
                break;
            }
            match self.source.read(&mut self.frame) {
                Ok(Read::Frame) => samples.reads += 1,
                Ok(Read::End) | Err(SourceError::Cancelled) => break,
                Err(error) => {
                    failed = Some(error.to_string());
                    break;
                }
            }
        }
        samples.source_fps = self.source_fps(first, samples.reads);
        let alone: f64 = samples.bare.iter().sum::<f64>() / 1e3;
        let worked = (begun.elapsed().as_secs_f64() - alone).max(f64::EPSILON);
        #[expect(clippy::cast_precision_loss, reason = "a count of frames")]
        let frames = samples.frames() as f64;
        samples.throughput = frames / worked;
        (samples, failed)
    }

    #[expect(clippy::cast_precision_loss, reason = "a count of frames")]
    fn source_fps(&self, first: Timestamp, reads: u64) -> Option<f64> {
        match &self.kind {
            SourceKind::Synthetic(scene) => Some(scene.fps),
            // Read as fast as possible, a slideshow's times say nothing.
            SourceKind::Images { .. } | SourceKind::Push { .. } => None,
            SourceKind::File(_) | SourceKind::Stream(_) | SourceKind::Webcam(_) => {
                let seconds = self.frame.captured_at.since(first).as_secs_f64();
                (seconds > 0.0).then(|| reads as f64 / seconds)
            }
        }
    }

    /// Everything a node does with a frame, and the bare model before or after it in turn: whoever comes second finds warm
    /// caches.
    fn frame(&mut self, samples: &mut Samples) -> Result<(), String> {
        let bare_first = samples.bare.len() % 2 == 1;
        if bare_first {
            self.bare(samples)?;
        }
        let Self { detector, frame, found, events, builder, encoder, message, .. } = self;
        let marks = detector.detect_marking(frame, found, Mark::now).map_err(|e| e.to_string())?;
        let [begin, prepared, ran, read] = marks;
        events.clear();
        self.tracker.update(found, frame.captured_at, events);
        found.retain(|d: &Detection| d.score >= self.confidence);
        let tracked = Mark::now();
        match message {
            Some(message) => builder.refill(message, frame, found, Timing::default()),
            None => *message = Some(builder.detections(frame, found.clone(), Timing::default())),
        }
        let _payload = message.as_ref().map(|full| encoder.detections(full, PayloadChoice::Full, Encoding::Json));
        let encoded = Mark::now();
        let spans = [
            self.frame.decode,
            prepared.at - begin.at,
            ran.at - prepared.at,
            read.at - ran.at,
            tracked.at - read.at,
            encoded.at - tracked.at,
        ];
        for (stage, span) in samples.stages.iter_mut().zip(spans) {
            stage.push(millis(span));
        }
        samples.inference += ran.cpu.saturating_sub(prepared.cpu);
        samples.rest += prepared.cpu.saturating_sub(begin.cpu) + encoded.cpu.saturating_sub(ran.cpu);
        if !bare_first {
            self.bare(samples)?;
        }
        Ok(())
    }

    fn bare(&mut self, samples: &mut Samples) -> Result<(), String> {
        let [begin, end] = self.detector.run_bare(Mark::now).map_err(|e| e.to_string())?;
        samples.bare.push(millis(end.at - begin.at));
        samples.bare_cpu += end.cpu.saturating_sub(begin.cpu);
        Ok(())
    }
}

/// All workers at the same time.
pub fn all(mut lanes: Vec<Lane>, plan: &Plan<'_>) -> anyhow::Result<Outcome> {
    for lane in &mut lanes {
        lane.warm_up(plan)?;
    }
    tracing::info!(workers = lanes.len(), device = lanes[0].head().info.device.as_str(), "measuring");
    let begun = process_cpu();
    let results = std::thread::scope(|scope| {
        let threads: Vec<_> = lanes.iter_mut().map(|lane| scope.spawn(|| lane.measure(plan))).collect();
        threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect::<Vec<_>>()
    });
    let process = process_cpu().saturating_sub(begun);
    let (mut samples, mut failed) = (Samples::default(), None);
    for result in results {
        let (more, error) = result.map_err(|_| anyhow::anyhow!("a panic in a worker; please report it"))?;
        samples.add(more);
        failed = failed.or(error);
    }
    Ok(Outcome { samples, process, failed })
}

pub fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}
