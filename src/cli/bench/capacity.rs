//! How many cameras fit: an estimate from processor time.
//!
//! A camera costs the decoding of every frame its source sends, and all other stages for the frames it is to process. A core
//! gives a second of processor time each second, of which a part is kept back for keyframes, brokers and the rest of the
//! machine. On anything but a processor the model's own time is the device's, one run after the other.

use schemars::JsonSchema;
use serde::Serialize;

use super::report::thousandth;

/// Of the cores, this part is kept back.
pub const RESERVE: f64 = 0.15;

/// Milliseconds of processor time a frame.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub struct CpuCost {
    /// Reading and decoding, on whatever thread.
    #[serde(serialize_with = "thousandth")]
    pub decode: f64,
    /// In ONNX Runtime.
    #[serde(serialize_with = "thousandth")]
    pub inference: f64,
    /// Preprocess, postprocess, track and encode: what Sightwire itself adds.
    #[serde(serialize_with = "thousandth")]
    pub rest: f64,
}

/// How many cameras this machine carries, by an estimate.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub struct Capacity {
    /// Frames a second of each camera that are processed.
    pub fps: f64,
    /// Frames a second that its source sends, all of which are decoded.
    #[serde(serialize_with = "thousandth")]
    pub source_fps: f64,
    pub cores: usize,
    /// The part of the cores that is kept back.
    pub reserve: f64,
    /// Cores that one camera keeps busy.
    #[serde(serialize_with = "thousandth")]
    pub cores_each: f64,
    pub cameras: u64,
}

/// `device_ms`: what one run takes on a device that is no processor.
pub fn estimate(cpu: &CpuCost, fps: f64, source_fps: Option<f64>, cores: usize, device_ms: Option<f64>) -> Capacity {
    // A source slower than the rate asked for is taken as one that sends just that.
    let source_fps = source_fps.filter(|rate| rate.is_finite()).unwrap_or(fps).max(fps);
    let cores_each = (source_fps * cpu.decode + fps * (cpu.inference + cpu.rest)) / 1e3;
    #[expect(clippy::cast_precision_loss, reason = "a count of cores")]
    let by_cores = cores as f64 * (1.0 - RESERVE) / cores_each.max(1e-9);
    let by_device = device_ms.map_or(f64::INFINITY, |ms| 1e3 * (1.0 - RESERVE) / (ms * fps).max(1e-9));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative; saturates")]
    let cameras = by_cores.min(by_device).floor() as u64;
    Capacity { fps, source_fps, cores, reserve: RESERVE, cores_each, cameras }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_frame_is_decoded_and_only_the_wanted_ones_processed() {
        let cpu = CpuCost { decode: 2.0, inference: 31.0, rest: 2.0 };
        let fit = estimate(&cpu, 5.0, Some(25.0), 4, None);
        // 25 * 2 ms + 5 * 33 ms = 0.215 cores; 3.4 cores are given.
        assert!((fit.cores_each - 0.215).abs() < 1e-9, "{fit:?}");
        assert_eq!(fit.cameras, 15);
        assert_eq!(estimate(&cpu, 5.0, None, 4, None).cameras, 19, "a source of 5 frames a second");
        assert_eq!(estimate(&cpu, 5.0, Some(1.0), 4, None).cameras, 19, "one slower is taken as one of 5");
        assert_eq!(estimate(&cpu, 5.0, Some(25.0), 4, Some(50.0)).cameras, 3, "a device runs one after the other");
    }
}
