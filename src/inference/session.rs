//! One ONNX Runtime session: loaded on the first device that takes it, its input described, its outputs run.

use std::io::Read;

use ort::ep;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{Session, SessionOutputs};
use ort::value::{TensorElementType, TensorRef, ValueType};

use super::family::Shapes;
use super::{Device, InferenceError, ModelConfig, Runtime};

/// Side of the input where the model leaves it open and its metadata does not say.
const OPEN_SIDE: i64 = 640;

/// The model's bytes come from a file or from the program itself.
pub enum ModelBytes {
    File(std::path::PathBuf),
    Bundled(&'static [u8]),
}

pub struct OnnxSession {
    session: Session,
    model: String,
    input: String,
    pub width: u32,
    pub height: u32,
    pub device: Device,
}

impl OnnxSession {
    pub fn load(
        runtime: &Runtime,
        model: &str,
        bytes: &ModelBytes,
        config: &ModelConfig,
    ) -> Result<Self, InferenceError> {
        if let ModelBytes::File(path) = bytes {
            let unreadable = |why: String| InferenceError::Unreadable { model: model.into(), why };
            let meta = std::fs::metadata(path).map_err(|e| unreadable(e.to_string()))?;
            if !meta.is_file() {
                return Err(unreadable("is no file".into()));
            }
        }
        let (session, device) = Self::on_first_device(runtime, model, bytes, config)?;
        let (input, width, height) = describe_input(model, &session)?;
        Ok(Self { session, model: model.into(), input, width, height, device })
    }

    fn on_first_device(
        runtime: &Runtime,
        model: &str,
        bytes: &ModelBytes,
        config: &ModelConfig,
    ) -> Result<(Session, Device), InferenceError> {
        let mut refused = Vec::new();
        for &device in config.device.as_slice() {
            let mut builder = match builder(runtime, device, config.threads) {
                Ok(builder) => builder,
                Err(why) => {
                    let name = device.as_str();
                    if config.device.as_slice().len() > 1 {
                        tracing::warn!(model, "device {name} cannot be used ({}); the next one is tried", why.trim());
                    }
                    refused.push(format!("{name} ({})", why.trim().trim_end_matches('.')));
                    continue;
                }
            };
            let loaded = match bytes {
                ModelBytes::File(path) => builder.commit_from_file(path),
                ModelBytes::Bundled(bytes) => builder.commit_from_memory(bytes),
            };
            return match loaded {
                Ok(session) => Ok((session, device)),
                Err(e) => {
                    Err(InferenceError::NotLoadable { model: model.into(), why: suspicion(bytes, &e.to_string()) })
                }
            };
        }
        Err(InferenceError::Device { model: model.into(), why: refused.join("; ") })
    }

    /// Inputs and outputs as the file declares them, one a line.
    pub fn described(&self) -> String {
        describe(&self.session)
    }

    pub fn metadata(&self, key: &str) -> Option<String> {
        self.session.metadata().ok()?.custom(key)
    }

    /// Runs the model on `planes` (`[1, 3, height, width]`) and hands the outputs to `read`.
    pub fn run<T>(&mut self, planes: &[f32], read: impl FnOnce(&[&[f32]]) -> T) -> Result<T, InferenceError> {
        let fail = failed(&self.model);
        let outputs = forward(&mut self.session, &self.input, (self.width, self.height), planes).map_err(&fail)?;
        let mut views = Vec::with_capacity(outputs.len());
        for at in 0..outputs.len() {
            views.push(outputs[at].try_extract_tensor::<f32>().map_err(&fail)?.1);
        }
        Ok(read(&views))
    }

    /// A run on a black picture: warms the session up and tells the true shapes of the outputs.
    ///
    /// An output that is no float32 has the shape of none: no family here reads it.
    pub fn trial(&mut self) -> Result<Shapes, InferenceError> {
        let planes = vec![0.0; 3 * self.width as usize * self.height as usize];
        let outputs =
            forward(&mut self.session, &self.input, (self.width, self.height), &planes).map_err(failed(&self.model))?;
        let shape = |at: usize| match outputs[at].dtype() {
            ValueType::Tensor { ty: TensorElementType::Float32, shape, .. } => shape.to_vec(),
            _ => Vec::new(),
        };
        Ok(Shapes { width: self.width, height: self.height, outputs: (0..outputs.len()).map(shape).collect() })
    }
}

fn failed(model: &str) -> impl Fn(ort::Error) -> InferenceError + use<'_> {
    move |e| InferenceError::Run { model: model.into(), why: e.to_string() }
}

fn forward<'s>(
    session: &'s mut Session,
    input: &str,
    (width, height): (u32, u32),
    planes: &[f32],
) -> Result<SessionOutputs<'s>, ort::Error> {
    let tensor = TensorRef::from_array_view(([1usize, 3, height as usize, width as usize], planes))?;
    session.run(ort::inputs![input => tensor])
}

fn builder(runtime: &Runtime, device: Device, threads: usize) -> Result<SessionBuilder, String> {
    let text = |e: ort::Error<SessionBuilder>| e.to_string();
    let builder = Session::builder(&runtime.environment)
        .map_err(|e| e.to_string())?
        .with_optimization_level(GraphOptimizationLevel::Level3)
        .map_err(text)?
        .with_intra_threads(threads)
        .map_err(text)?
        .with_inter_threads(1)
        .map_err(text)?
        // Spinning threads burn a core each while a camera is idle.
        .with_intra_op_spinning(false)
        .map_err(text)?;
    // What was asked for must load: the default would fall back to the CPU without a word.
    let provider = match device {
        Device::Cpu => return Ok(builder),
        Device::Cuda => ep::CUDA::default().build(),
        Device::Tensorrt => ep::TensorRT::default().build(),
        Device::Openvino => ep::OpenVINO::default().build(),
    };
    builder.with_execution_providers([provider.error_on_failure()]).map_err(text)
}

/// What a file that does not load most likely is; else ONNX Runtime's own words.
fn suspicion(bytes: &ModelBytes, why: &str) -> String {
    let mut head = Vec::new();
    if let ModelBytes::File(path) = bytes {
        let read = std::fs::File::open(path).and_then(|file| file.take(256).read_to_end(&mut head));
        match read {
            Ok(0) => return "the file is empty (0 bytes)".into(),
            Ok(_) if head.starts_with(b"version https://git-lfs") => {
                return "it is a Git LFS pointer, not the model; `git lfs pull` fetches it".into();
            }
            Ok(_) if head.iter().all(|&c| c.is_ascii_graphic() || c.is_ascii_whitespace()) => {
                return "it is a text file".into();
            }
            _ => {}
        }
    }
    // `Load model from x.onnx failed:Protobuf parsing failed.`
    let why = why.rsplit("failed:").next().unwrap_or(why).trim().trim_end_matches('.');
    if why == "Protobuf parsing failed" {
        "it is cut short, or not ONNX (protobuf parsing failed)".into()
    } else {
        why.into()
    }
}

/// Name, width and height of the picture input.
fn describe_input(model: &str, session: &Session) -> Result<(String, u32, u32), InferenceError> {
    let unknown = |why: String| InferenceError::UnknownInput { model: model.into(), why, shape: describe(session) };
    let [input] = session.inputs() else {
        return Err(unknown(format!("one input is expected, this model has {}", session.inputs().len())));
    };
    let ValueType::Tensor { ty, shape, .. } = input.dtype() else { return Err(unknown("it is no tensor".into())) };
    if *ty != TensorElementType::Float32 {
        return Err(unknown(format!("float32 is expected, this model takes {ty}")));
    }
    let &[batch, 3 | -1, height, width] = &shape[..] else {
        return Err(unknown("the shape [1, 3, height, width] is expected".into()));
    };
    if !matches!(batch, 1 | -1) {
        return Err(unknown(format!("a batch of one is expected, this model takes {batch}")));
    }
    let said = session.metadata().ok().and_then(|m| m.custom("imgsz")).and_then(|text| {
        let sides: Vec<u32> = text.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
        sides.first().map(|&h| (i64::from(h), i64::from(sides.get(1).copied().unwrap_or(h))))
    });
    let (open_h, open_w) = said.unwrap_or((OPEN_SIDE, OPEN_SIDE));
    // The metadata is the model maker's: it is believed within the same limits.
    let side = |declared: i64, open: i64| {
        let n = if declared == -1 { open } else { declared };
        let fits = u32::try_from(n).ok().filter(|n| (1..=8192).contains(n));
        fits.ok_or_else(|| unknown(format!("a side of {n} pixels; 1 to 8192 can be used")))
    };
    Ok((input.name().to_owned(), side(width, open_w)?, side(height, open_h)?))
}

fn describe(session: &Session) -> String {
    let line = |kind: &str, outlet: &ort::value::Outlet| format!("  {kind} {}: {}", outlet.name(), outlet.dtype());
    let inputs = session.inputs().iter().map(|o| line("input", o));
    let outputs = session.outputs().iter().map(|o| line("output", o));
    inputs.chain(outputs).collect::<Vec<_>>().join("\n")
}
