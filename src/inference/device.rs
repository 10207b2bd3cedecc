//! What a model runs on: the execution providers of ONNX Runtime, and how one is chosen.
//!
//! The library that is loaded decides what there is: it is asked, provider by provider. The first device named that it has,
//! whose driver loads, and on which the model runs once, is taken; those passed over are said, with their reasons.

use ort::ep::{self, ExecutionProvider};
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{InferenceError, Runtime};

/// What a model runs on: an execution provider of ONNX Runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    /// Every library has it.
    Cpu,
    /// NVIDIA.
    Cuda,
    /// NVIDIA `TensorRT`; what it cannot do runs on CUDA.
    Tensorrt,
    /// Intel processors, GPUs and NPUs.
    Openvino,
    /// AMD GPUs.
    Migraphx,
    /// AMD GPUs, older libraries.
    Rocm,
    /// Small processors: ARM, `WebAssembly`, x86.
    Xnnpack,
    /// Qualcomm NPUs.
    Qnn,
    /// Huawei Ascend NPUs.
    Cann,
    /// Apple.
    Coreml,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(description = "a device, or a list of them: the first that can be used is taken")]
pub enum Devices {
    One(Device),
    Several(#[schemars(length(min = 1))] Vec<Device>),
}

impl Default for Devices {
    fn default() -> Self {
        Self::One(Device::Cpu)
    }
}

impl Devices {
    #[must_use]
    pub fn as_slice(&self) -> &[Device] {
        match self {
            Self::One(device) => std::slice::from_ref(device),
            Self::Several(devices) => devices,
        }
    }
}

impl Device {
    pub const ALL: [Self; 10] = [
        Self::Cpu,
        Self::Cuda,
        Self::Tensorrt,
        Self::Openvino,
        Self::Migraphx,
        Self::Rocm,
        Self::Xnnpack,
        Self::Qnn,
        Self::Cann,
        Self::Coreml,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::Tensorrt => "tensorrt",
            Self::Openvino => "openvino",
            Self::Migraphx => "migraphx",
            Self::Rocm => "rocm",
            Self::Xnnpack => "xnnpack",
            Self::Qnn => "qnn",
            Self::Cann => "cann",
            Self::Coreml => "coreml",
        }
    }

    /// The provider's name in ONNX Runtime, and whether the library was built with it.
    fn provider(self) -> (&'static str, bool) {
        fn of<E: ExecutionProvider>() -> (&'static str, bool) {
            (E::NAME, E::is_available().unwrap_or(false))
        }
        match self {
            Self::Cpu => of::<ep::CPU>(),
            Self::Cuda => of::<ep::CUDA>(),
            Self::Tensorrt => of::<ep::TensorRT>(),
            Self::Openvino => of::<ep::OpenVINO>(),
            Self::Migraphx => of::<ep::MIGraphX>(),
            Self::Rocm => of::<ep::ROCm>(),
            Self::Xnnpack => of::<ep::XNNPACK>(),
            Self::Qnn => of::<ep::QNN>(),
            Self::Cann => of::<ep::CANN>(),
            Self::Coreml => of::<ep::CoreML>(),
        }
    }

    /// Tells ONNX Runtime to use it. What was asked for must load: the default would fall back to the CPU without a word.
    fn register(self, builder: SessionBuilder, threads: usize) -> Result<SessionBuilder, String> {
        let provider = match self {
            Self::Cpu => return Ok(builder),
            Self::Cuda => ep::CUDA::default().build(),
            Self::Tensorrt => ep::TensorRT::default().build(),
            // It would take every core otherwise.
            Self::Openvino => ep::OpenVINO::default().with_num_threads(threads).build(),
            Self::Migraphx => ep::MIGraphX::default().build(),
            Self::Rocm => ep::ROCm::default().build(),
            Self::Xnnpack => {
                let threads = std::num::NonZeroUsize::new(threads).unwrap_or(std::num::NonZeroUsize::MIN);
                ep::XNNPACK::default().with_intra_op_num_threads(threads).build()
            }
            Self::Qnn => ep::QNN::default().build(),
            Self::Cann => ep::CANN::default().build(),
            Self::Coreml => ep::CoreML::default().build(),
        };
        let mut providers = vec![provider.error_on_failure()];
        if self == Self::Tensorrt && Self::Cuda.provider().1 {
            providers.push(ep::CUDA::default().build());
        }
        builder.with_execution_providers(providers).map_err(|e| e.to_string())
    }
}

/// What the loaded library was built with, for a message: `cpu (CPUExecutionProvider), cuda (CUDAExecutionProvider)`.
fn offered() -> String {
    let has = Device::ALL.into_iter().filter_map(|device| match device.provider() {
        (name, true) => Some(format!("{} ({name})", device.as_str())),
        _ => None,
    });
    has.collect::<Vec<_>>().join(", ")
}

/// A device that was named and could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedOver {
    pub device: Device,
    pub why: String,
}

/// Why a model does not run on one device.
pub(super) enum Refusal {
    /// It is the device's fault: another may do.
    Device(String),
    /// It would run on none.
    Model(InferenceError),
}

impl From<InferenceError> for Refusal {
    fn from(error: InferenceError) -> Self {
        Self::Model(error)
    }
}

/// Opens the model on the first device that can be used; gives those passed over too.
pub(super) fn first<T>(
    model: &str,
    devices: &[Device],
    mut open: impl FnMut(Device) -> Result<T, Refusal>,
) -> Result<(T, Vec<PassedOver>), InferenceError> {
    let mut passed = Vec::new();
    for (at, &device) in devices.iter().enumerate() {
        match open(device) {
            Ok(opened) => return Ok((opened, passed)),
            Err(Refusal::Model(error)) => return Err(error),
            Err(Refusal::Device(why)) => {
                let why = in_short(&why);
                if let Some(next) = devices.get(at + 1) {
                    let (name, next) = (device.as_str(), next.as_str());
                    tracing::warn!(model, "device {name} cannot be used ({why}); {next} is tried");
                }
                passed.push(PassedOver { device, why });
            }
        }
    }
    let why: Vec<String> = passed.iter().map(|p| format!("{} ({})", p.device.as_str(), p.why)).collect();
    Err(InferenceError::Device { model: model.into(), why: why.join("; "), offered: offered() })
}

/// A builder for a session on this device, whose graph is optimised up to this level.
///
/// # Errors
/// Why the device cannot be used.
pub(super) fn builder(
    runtime: &Runtime,
    device: Device,
    threads: usize,
    level: GraphOptimizationLevel,
) -> Result<SessionBuilder, Refusal> {
    let (name, has) = device.provider();
    if !has {
        return Err(Refusal::Device(format!("this library was built without {name}")));
    }
    // Threads of one session wait for one another: more than are asked for only take turns with other cameras'.
    let settings = || -> Result<SessionBuilder, String> {
        let text = |e: ort::Error<SessionBuilder>| e.to_string();
        Session::builder(&runtime.environment)
            .map_err(|e| e.to_string())?
            .with_optimization_level(level)
            .map_err(text)?
            .with_intra_threads(threads)
            .map_err(text)?
            .with_inter_threads(1)
            .map_err(text)?
            // Spinning threads burn a core each while a camera is idle.
            .with_intra_op_spinning(false)
            .map_err(text)
    };
    settings().and_then(|builder| device.register(builder, threads)).map_err(Refusal::Device)
}

/// The first line of ONNX Runtime's words, without the place in its source.
fn in_short(why: &str) -> String {
    let line = why.trim().lines().next().unwrap_or_default();
    // `/onnxruntime_src/onnxruntime/core/session/provider_bridge_ort.cc:1695 Provider& … [ONNXRuntimeError] : 1 : FAIL : …`
    let line = line.rsplit_once("] : ").map_or(line, |(_, said)| said.splitn(3, " : ").last().unwrap_or(said));
    line.trim().trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(devices: &[Device], able: &[Device]) -> Result<(Device, Vec<PassedOver>), InferenceError> {
        first("m.onnx", devices, |device| {
            let able = able.contains(&device);
            if able { Ok(device) } else { Err(Refusal::Device(format!("no {}.\n  at x", device.as_str()))) }
        })
    }

    #[test]
    fn the_first_that_can_be_used_is_taken_and_the_others_are_told() {
        use Device::{Cpu, Cuda, Openvino};
        let (device, passed) = pick(&[Cuda, Openvino, Cpu], &[Openvino, Cpu]).unwrap();
        assert_eq!((device, passed), (Openvino, vec![PassedOver { device: Cuda, why: "no cuda".into() }]));
        assert_eq!(pick(&[Cpu, Cuda], &[Cpu, Cuda]).unwrap(), (Cpu, vec![]));
    }

    #[test]
    fn none_is_an_error_that_says_what_the_library_has() {
        Runtime::load().unwrap();
        let error = pick(&[Device::Cuda, Device::Openvino], &[]).unwrap_err().to_string();
        for part in ["cuda (no cuda); openvino (no openvino)", "this library has: cpu (CPUExecutionProvider)"] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_model_that_runs_nowhere_is_not_tried_elsewhere() {
        let mut tried = 0;
        let error = first("m.onnx", &[Device::Cuda, Device::Cpu], |_| -> Result<(), Refusal> {
            tried += 1;
            Err(InferenceError::Unreadable { model: "m.onnx".into(), why: "gone".into() }.into())
        });
        assert!(matches!(error, Err(InferenceError::Unreadable { .. })) && tried == 1);
    }

    #[test]
    fn a_reason_is_what_onnx_runtime_says_and_not_where_in_its_source() {
        let said = "/src/bridge.cc:1695 Provider& Get() [ONNXRuntimeError] : 1 : FAIL : Failed to load library a.so with error: b.so: no.\n\n";
        assert_eq!(in_short(said), "Failed to load library a.so with error: b.so: no");
        assert_eq!(in_short("built without it"), "built without it");
    }

    #[test]
    fn every_device_is_written_as_the_configuration_has_it() {
        for device in Device::ALL {
            assert_eq!(serde_json::to_value(device).unwrap(), device.as_str());
        }
    }
}
