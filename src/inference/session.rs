//! One ONNX Runtime session: loaded on a device, its input described, its outputs run.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read;

use ort::ErrorCode;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{Session, SessionInputValue, SessionOutputs};
use ort::value::{DynValue, Outlet, TensorRef, ValueType};

use super::device::{self, Device, Refusal};
use super::facts::{Element, Facts, Slot, TrialOutput};
use super::feed::{self, Picture};
use super::output::{self, Kept, Output};
use super::preprocess::Pixels;
use super::{InferenceError, ModelConfig, Runtime, graph};

/// The model's bytes come from a file or from the program itself.
pub enum ModelBytes {
    File(std::path::PathBuf),
    Bundled(&'static [u8]),
}

pub struct OnnxSession {
    session: Session,
    model: String,
    pub picture: Picture,
    /// What the inputs beside the picture are given.
    constants: Vec<(String, DynValue)>,
    outputs: Vec<Kept>,
    pub device: Device,
}

impl OnnxSession {
    pub fn load(
        runtime: &Runtime,
        model: &str,
        bytes: &ModelBytes,
        config: &ModelConfig,
        device: Device,
    ) -> Result<Self, Refusal> {
        if let ModelBytes::File(path) = bytes {
            let unreadable = |why: String| InferenceError::Unreadable { model: model.into(), why };
            let meta = std::fs::metadata(path).map_err(|e| unreadable(e.to_string()))?;
            if !meta.is_file() {
                return Err(unreadable("is no file".into()).into());
            }
        }
        let refuse = |error: ort::Error| refusal(bytes, model, device, &error);
        let session = match bytes {
            ModelBytes::File(path) => graph::open(runtime, path, config, device, refuse)?,
            ModelBytes::Bundled(bytes) => {
                device::builder(runtime, device, config.threads, GraphOptimizationLevel::Level3)?
                    .commit_from_memory(bytes)
                    .map_err(refuse)?
            }
        };
        let slots = slots(session.inputs());
        let unknown =
            |why: String| InferenceError::UnknownInput { model: model.into(), why, shape: describe(&session) };
        let picture = feed::picture(&slots, &metadata(&session), &config.input).map_err(unknown)?;
        let constants = feed::constants(&slots, &picture).map_err(unknown)?;
        let outputs = session.outputs().iter().map(|outlet| Kept::new(outlet.name())).collect();
        if picture.batch > 1 {
            tracing::warn!(
                model,
                "the model takes {n} pictures a run, and is given one: it does {n} times the work; export it with a batch of one",
                n = picture.batch
            );
        }
        Ok(Self { session, model: model.into(), picture, constants, outputs, device })
    }

    /// Values that a run takes.
    pub fn length(&self) -> usize {
        self.picture.sides.iter().product()
    }

    /// Runs the model on `pixels` and hands the outputs to `read`.
    pub fn run<T>(&mut self, pixels: &Pixels, read: impl FnOnce(&[Output<'_>]) -> T) -> Result<T, InferenceError> {
        let fail = failed(&self.model);
        let outputs = forward(&mut self.session, &self.picture, &self.constants, pixels).map_err(&fail)?;
        let views = output::views(&outputs, &mut self.outputs, self.picture.batch).map_err(&fail)?;
        Ok(read(&views))
    }

    /// Runs the model on several pictures at once and hands the outputs of each to `read`.
    pub fn run_batch(
        &mut self,
        pixels: &Pixels,
        count: usize,
        mut read: impl FnMut(usize, &[Output<'_>]) -> Result<(), InferenceError>,
    ) -> Result<(), InferenceError> {
        let fail = failed(&self.model);
        let outputs = forward(&mut self.session, &self.picture.times(count), &self.constants, pixels).map_err(&fail)?;
        let whole = output::views(&outputs, &mut self.outputs, 1).map_err(&fail)?;
        let mut shapes: Vec<Vec<i64>> = whole.iter().map(|output| output.shape.to_vec()).collect();
        for shape in &mut shapes {
            let first = shape.first_mut().filter(|first| usize::try_from(**first) == Ok(count));
            let why = || format!("a run of {count} pictures gives an output that is not one part a picture");
            *first.ok_or_else(|| InferenceError::Run { model: self.model.clone(), why: why() })? = 1;
        }
        for at in 0..count {
            let parts = whole.iter().zip(&shapes).map(|(output, shape)| output.part(at, count, shape));
            let parts: Vec<Output<'_>> = parts.collect();
            read(at, &parts)?;
        }
        Ok(())
    }

    /// Whether runs of so many pictures give for each what a run of one gives; each size is tried once, which warms it up.
    ///
    /// # Errors
    /// Why not.
    pub fn try_batches(&mut self, sizes: &[usize], facts: &Facts) -> Result<(), String> {
        if !self.picture.open_batch {
            return Err("it takes a fixed number of pictures; export it with an open (dynamic) batch".into());
        }
        if !self.constants.is_empty() {
            return Err("it has inputs beside the picture".into());
        }
        for &count in sizes {
            if count * self.length() / 3 > feed::MOST_PIXELS {
                return Err(format!("{count} pictures of its size are too many pixels"));
            }
            let pixels = Pixels::grey(self.picture.element, count * self.length());
            let fits = |parts: &[Output<'_>]| {
                parts.len() == facts.outputs.len()
                    && parts.iter().zip(&facts.outputs).all(|(part, alone)| part.shape == alone.shape)
            };
            let model = self.model.clone();
            let tried = self.run_batch(&pixels, count, |_, parts| {
                let why =
                    || format!("a run of {count} pictures gives outputs of another shape than {count} runs of one");
                if fits(parts) { Ok(()) } else { Err(InferenceError::Run { model: model.clone(), why: why() }) }
            });
            tried.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Runs the model on `pixels` and looks at nothing it says.
    pub fn run_bare<M>(&mut self, pixels: &Pixels, mark: impl Fn() -> M) -> Result<[M; 2], InferenceError> {
        let fail = failed(&self.model);
        let begin = mark();
        let _outputs = forward(&mut self.session, &self.picture, &self.constants, pixels).map_err(&fail)?;
        Ok([begin, mark()])
    }

    /// A run on a grey picture: warms the session up and tells what a family is recognised by.
    pub fn trial(&mut self) -> Result<Facts, InferenceError> {
        let fail = failed(&self.model);
        let (width, height) = (self.picture.width, self.picture.height);
        let open = self.picture.open;
        let untried = |e: ort::Error| InferenceError::Run {
            model: self.model.clone(),
            why: if open {
                format!(
                    "{e}\nIt leaves its input's size open, and was tried with {width}x{height}: `input: {{ size: [width, height] }}` sets another"
                )
            } else {
                e.to_string()
            },
        };
        let (inputs, metadata) = (slots(self.session.inputs()), metadata(&self.session));
        let pixels = Pixels::grey(self.picture.element, self.length());
        let outputs = forward(&mut self.session, &self.picture, &self.constants, &pixels).map_err(untried)?;
        let elements: Vec<Element> = (0..outputs.len()).map(|at| output::element(&outputs[at])).collect();
        let views = output::views(&outputs, &mut self.outputs, self.picture.batch).map_err(&fail)?;
        let outputs = views.iter().zip(elements).map(|(view, element)| TrialOutput {
            name: view.name.into(),
            element,
            shape: view.shape.to_vec(),
            values: view.values.to_vec(),
        });
        let outputs = outputs.collect();
        Ok(Facts { width, height, inputs, outputs, metadata })
    }
}

/// Why a model does not load.
fn refusal(bytes: &ModelBytes, model: &str, device: Device, error: &ort::Error) -> Refusal {
    // A file that is no model is none on any device.
    let broken = matches!(error.code(), ErrorCode::InvalidProtobuf | ErrorCode::InvalidGraph | ErrorCode::NoModel);
    if device == Device::Cpu || broken {
        InferenceError::NotLoadable { model: model.into(), why: suspicion(bytes, &error.to_string()) }.into()
    } else {
        Refusal::Device(error.to_string())
    }
}

fn failed(model: &str) -> impl Fn(ort::Error) -> InferenceError + use<'_> {
    move |e| InferenceError::Run { model: model.into(), why: e.to_string() }
}

fn forward<'s>(
    session: &'s mut Session,
    picture: &Picture,
    constants: &[(String, DynValue)],
    pixels: &Pixels,
) -> Result<SessionOutputs<'s>, ort::Error> {
    let sides = picture.sides.as_slice();
    let tensor: SessionInputValue<'_> = match pixels {
        Pixels::F32(values) => TensorRef::from_array_view((sides, values.as_slice()))?.into(),
        Pixels::F16(values) => TensorRef::from_array_view((sides, values.as_slice()))?.into(),
        Pixels::U8(values) => TensorRef::from_array_view((sides, values.as_slice()))?.into(),
    };
    if constants.is_empty() {
        return session.run([tensor]);
    }
    let mut inputs: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = Vec::with_capacity(1 + constants.len());
    inputs.push((picture.name.as_str().into(), tensor));
    inputs.extend(constants.iter().map(|(name, value)| (name.as_str().into(), value.into())));
    session.run(inputs)
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

fn slots(outlets: &[Outlet]) -> Vec<Slot> {
    let slot = |outlet: &Outlet| {
        let (element, shape) = match outlet.dtype() {
            ValueType::Tensor { ty, shape, .. } => ((*ty).into(), shape.to_vec()),
            _ => (Element::Other, Vec::new()),
        };
        Slot { name: outlet.name().into(), element, shape }
    };
    outlets.iter().map(slot).collect()
}

fn metadata(session: &Session) -> BTreeMap<String, String> {
    let Ok(metadata) = session.metadata() else { return BTreeMap::new() };
    let keys = metadata.custom_keys().unwrap_or_default();
    keys.into_iter().filter_map(|key| metadata.custom(&key).map(|value| (key, value))).collect()
}

/// Inputs and outputs as the file declares them, one a line.
fn describe(session: &Session) -> String {
    let inputs = slots(session.inputs()).into_iter().map(|slot| format!("  input {slot}"));
    let outputs = slots(session.outputs()).into_iter().map(|slot| format!("  output {slot}"));
    inputs.chain(outputs).collect::<Vec<_>>().join("\n")
}
