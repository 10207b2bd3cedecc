//! What is told: a table for people, JSON for programs.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Serialize, Serializer};

use super::BenchArgs;
use super::capacity::{Capacity, CpuCost, estimate};
use super::measure::{Head, STAGES, Samples, millis};
use crate::inference::Device;
use crate::source::SourceSpec;

/// Why no more frames were measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// As many as were asked for.
    Asked,
    /// The source ended.
    Source,
    /// By a signal.
    Interrupted,
    /// The source or the model failed.
    Failed,
}

/// What `sightwire bench --json` prints. Times are milliseconds.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Report {
    pub model: String,
    pub family: String,
    /// The one that was taken.
    pub device: String,
    /// The model's picture.
    pub input: Size,
    /// Without credentials.
    pub source: String,
    /// The source's picture.
    pub frame: Size,
    /// Measured, by all workers.
    pub frames: u64,
    /// Asked for, by all workers; absent = all there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<u64>,
    pub ended: Ended,
    pub warmup: u32,
    pub workers: u16,
    /// Of each session.
    pub threads: u16,
    /// In a frame's order: decode, preprocess, inference, postprocess, track, encode.
    pub stages: Vec<Stage>,
    /// All stages of a frame together.
    pub whole: Times,
    /// ONNX Runtime alone, same session, same pictures, in between.
    pub bare: Times,
    /// The inference stage by the bare model, by their medians: 1 = nothing is added.
    #[serde(serialize_with = "thousandth")]
    pub inference_over_bare: f64,
    /// The bare model by all stages but decode (which has a thread of its own in a node), by their medians: 1 = the model is all
    /// there is.
    #[serde(serialize_with = "thousandth")]
    pub bare_over_whole: f64,
    /// Frames a second of all workers, reading and decoding in the same thread, the time of the bare runs left out.
    #[serde(serialize_with = "thousandth")]
    pub frames_per_second: f64,
    /// Processor time a frame.
    pub cpu: CpuCost,
    pub capacity: Capacity,
}

#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub struct Size {
    pub width: u32,
    pub height: u32,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Stage {
    pub name: &'static str,
    #[serde(flatten)]
    pub times: Times,
    /// Of all stages, 0…1.
    #[serde(serialize_with = "thousandth")]
    pub share: f64,
}

/// Milliseconds.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub struct Times {
    #[serde(serialize_with = "thousandth")]
    pub mean: f64,
    #[serde(serialize_with = "thousandth")]
    pub p50: f64,
    #[serde(serialize_with = "thousandth")]
    pub p95: f64,
    #[serde(serialize_with = "thousandth")]
    pub p99: f64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
pub(super) fn thousandth<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((value * 1e3).round() / 1e3)
}

/// Of what `--json` prints.
#[must_use]
pub fn schema() -> serde_json::Value {
    let mut schema = SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<Report>();
    schema.insert("title".into(), "sightwire bench".into());
    schema.into()
}

impl Times {
    /// Of at least one sample.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "ranks of a few thousand samples"
    )]
    fn of(samples: &[f64]) -> Self {
        let mut sorted = samples.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let count = sorted.len();
        let at = |part: f64| {
            let rank = (part * count as f64).ceil() as usize;
            sorted.get(rank.clamp(1, count.max(1)) - 1).copied().unwrap_or(0.0)
        };
        let mean = sorted.iter().sum::<f64>() / count.max(1) as f64;
        Self { mean, p50: at(0.5), p95: at(0.95), p99: at(0.99) }
    }
}

impl Report {
    pub fn new(
        args: &BenchArgs,
        source: &SourceSpec,
        frames: Option<u64>,
        ended: Ended,
        head: &Head,
        samples: &Samples,
        process: Duration,
    ) -> Self {
        let bare = Times::of(&samples.bare);
        let times: Vec<Times> = samples.stages.iter().map(|stage| Times::of(stage)).collect();
        let sum = |stages: &[Vec<f64>]| {
            let frames = 0..stages[0].len();
            Times::of(&frames.map(|at| stages.iter().map(|stage| stage[at]).sum()).collect::<Vec<f64>>())
        };
        let (whole, after_decode) = (sum(&samples.stages), sum(&samples.stages[1..]));
        let inference = times[2];
        let stage =
            |(name, times): (&'static str, Times)| Stage { name, times, share: times.mean / whole.mean.max(1e-9) };
        let cpu = cost(samples, process, head.info.device == Device::Cpu && args.model.threads == 1);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let on_cpu = matches!(head.info.device, Device::Cpu | Device::Openvino | Device::Xnnpack);
        Self {
            model: args.model.model.display().to_string(),
            family: head.info.family.into(),
            device: head.info.device.as_str().into(),
            input: Size { width: head.info.width, height: head.info.height },
            source: source.shown(),
            frame: Size { width: head.width, height: head.height },
            frames: samples.frames(),
            asked: frames.map(|frames| frames.saturating_mul(args.workers.into())),
            ended,
            warmup: args.warmup,
            workers: args.workers,
            threads: args.model.threads,
            stages: STAGES.into_iter().zip(times).map(stage).collect(),
            whole,
            bare,
            inference_over_bare: inference.p50 / bare.p50.max(1e-9),
            bare_over_whole: bare.p50 / after_decode.p50.max(1e-9),
            frames_per_second: samples.throughput,
            cpu,
            capacity: estimate(&cpu, args.fps, samples.source_fps, cores, (!on_cpu).then_some(inference.mean)),
        }
    }
}

/// Processor time a frame.
///
/// Threads that FFmpeg decodes with run beside the stages. Where the model runs on the worker's own thread, that thread's clock
/// tells the model's part, and what the process spent beyond the workers' is decoding. Where it has threads of its own, decoding
/// is taken for as long as it took, and what is left is the model's, bare or not.
#[expect(clippy::cast_precision_loss, reason = "counts of frames")]
fn cost(samples: &Samples, process: Duration, own_thread: bool) -> CpuCost {
    let frames = samples.frames().max(1) as f64;
    let (process, rest) = (millis(process), millis(samples.rest));
    let (decode, inference) = if own_thread {
        let (model, bare) = (millis(samples.inference), millis(samples.bare_cpu));
        ((process - model - bare - rest) / samples.reads.max(1) as f64, model / frames)
    } else {
        let sum = |times: &[f64]| times.iter().sum::<f64>();
        let decode = sum(&samples.stages[0]);
        let (model, bare) = (sum(&samples.stages[2]), sum(&samples.bare));
        (decode / frames, (process - rest - decode) * model / (model + bare).max(1e-9) / frames)
    };
    CpuCost { decode: decode.max(0.0), inference: inference.max(0.0), rest: rest / frames }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { model, family, device, input, source, frame, frames, workers, threads, .. } = self;
        let s = |n: u64| if n == 1 { "" } else { "s" };
        writeln!(f, "{model}: {family}, {}x{}, on {device}", input.width, input.height)?;
        write!(f, "{source}: {}x{}, {frames} frame{}", frame.width, frame.height, s(*frames))?;
        match (self.ended, self.asked) {
            (Ended::Source, Some(asked)) => write!(f, " of the {asked} asked for: the source ended")?,
            (Ended::Interrupted, _) => write!(f, ", then interrupted")?,
            (Ended::Failed, _) => write!(f, ", then it failed")?,
            _ => {}
        }
        let threads = u64::from(*threads);
        writeln!(f, "; {workers} worker{} of {threads} thread{}\n", s(u64::from(*workers)), s(threads))?;
        writeln!(f, "{:<12} {:>9} {:>9} {:>9} {:>9} {:>7}", "ms", "mean", "p50", "p95", "p99", "share")?;
        for Stage { name, times, share } in &self.stages {
            writeln!(f, "{name:<12} {times} {:>5.1} %", share * 1e2)?;
        }
        writeln!(f, "{:<12} {}", "all", self.whole)?;
        writeln!(f, "{:<12} {}   ONNX Runtime alone, in between\n", "bare model", self.bare)?;
        writeln!(
            f,
            "inference takes {:.3} times the bare model; all but decode, which a node does beside, reaches {:.1} % of its rate",
            self.inference_over_bare,
            self.bare_over_whole * 1e2
        )?;
        writeln!(f, "all of it one after the other: {:.1} frames/s", self.frames_per_second)?;
        let CpuCost { decode, inference, rest } = self.cpu;
        writeln!(
            f,
            "processor time a frame: decode {decode:.2} ms, inference {inference:.2} ms, all else {rest:.2} ms"
        )?;
        let Capacity { fps, source_fps, cores, reserve, cores_each, cameras } = self.capacity;
        write!(
            f,
            "cameras at {fps} frames/s, their sources sending {source_fps:.1}: {cameras} on {cores} core{} ({cores_each:.3} of a core each, {:.0} % kept back)",
            s(cores as u64),
            reserve * 1e2
        )
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mean, p50, p95, p99 } = self;
        write!(f, "{mean:>9.3} {p50:>9.3} {p95:>9.3} {p99:>9.3}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_of_the_samples_themselves() {
        let samples: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        let times = Times::of(&samples);
        assert_eq!((times.mean, times.p50, times.p95, times.p99), (50.5, 50.0, 95.0, 99.0));
        let one = Times::of(&[7.0]);
        assert_eq!((one.mean, one.p50, one.p99), (7.0, 7.0, 7.0));
    }
}
