//! A detector's stages one by one, without a model file: for `benches/`, where each is measured by itself, and
//! for the fuzz target of what reads a model file first.

use super::config::InputConfig;
use super::facts::{Element, Facts, Slot, TrialOutput};
use super::family::{self, Family};
use super::graph::Survey;
use super::nms::{Candidate, NmsConfig, suppress};
use super::output::Output;
use super::preprocess::{Pixels, Preprocessor};
use super::spec::{InputSpec, Layout, Preparation};
use super::{FamilyChoice, InferenceError};
use crate::domain::Frame;

/// Takes initialisers off the list of a model's inputs: how many there were.
///
/// # Errors
/// When the bytes are no model.
pub fn mend(bytes: &mut [u8]) -> std::io::Result<usize> {
    let survey = Survey::of(std::io::Cursor::new(&*bytes), bytes.len() as u64)?;
    survey.mend(bytes);
    Ok(survey.listed())
}

/// Preparing a picture: planes of float32, as nearly every model takes them.
pub struct Preparing {
    preprocessor: Preprocessor,
    spec: InputSpec,
    pixels: Pixels,
}

impl Preparing {
    #[must_use]
    pub fn new(width: u32, height: u32, how: &InputConfig) -> Self {
        let preparation = Preparation::YOLO.settled(how, Element::F32);
        let spec = InputSpec { width, height, layout: Layout::Nchw, preparation };
        Self { preprocessor: Preprocessor::default(), spec, pixels: Pixels::new(Element::F32) }
    }

    pub fn run(&mut self, frame: &Frame) {
        let length = 3 * self.spec.width as usize * self.spec.height as usize;
        let _placement = self.preprocessor.run(frame, &self.spec, length, &mut self.pixels);
    }
}

/// Reading a model's outputs.
pub struct Reading {
    family: Box<dyn Family>,
    outputs: Vec<TrialOutput>,
    candidates: Vec<Candidate>,
}

impl Reading {
    /// Of a model with these outputs at this size, whose values `fill` gives by output and place.
    ///
    /// # Errors
    /// When they are not those of the family.
    pub fn new(
        family: FamilyChoice,
        (width, height): (u32, u32),
        outputs: &[(&str, &[i64])],
        fill: impl Fn(usize, usize) -> f32,
    ) -> Result<Self, InferenceError> {
        let shape = vec![1, 3, i64::from(height), i64::from(width)];
        let input = Slot { name: "images".into(), element: Element::F32, shape };
        let output = |(at, &(name, shape)): (usize, &(&str, &[i64]))| TrialOutput {
            name: name.into(),
            element: Element::F32,
            shape: shape.to_vec(),
            values: (0..usize::try_from(shape.iter().product::<i64>()).unwrap_or(0)).map(|i| fill(at, i)).collect(),
        };
        let outputs = outputs.iter().enumerate().map(output).collect();
        let facts = Facts { width, height, inputs: vec![input], outputs, ..Facts::default() };
        let (_, family) = family::recognise("stage", family, &facts)?;
        Ok(Self { family, outputs: facts.outputs, candidates: Vec::new() })
    }

    /// How many candidates there are.
    ///
    /// # Errors
    /// What the family says.
    pub fn run(&mut self, confidence: f32) -> Result<usize, String> {
        self.candidates.clear();
        let mut views = [Output { name: "", shape: &[], values: &[] }; 8];
        for (view, output) in views.iter_mut().zip(&self.outputs) {
            *view = Output { name: &output.name, shape: &output.shape, values: &output.values };
        }
        let views = views.get(..self.outputs.len()).unwrap_or(&views);
        self.family.decode(views, confidence, &mut self.candidates)?;
        Ok(self.candidates.len())
    }
}

/// Non-maximum suppression.
pub struct Thinning {
    boxes: Vec<Candidate>,
    left: Vec<Candidate>,
}

impl Thinning {
    /// Of `objects` objects, each found `times` times, a little apart.
    #[must_use]
    pub fn new(objects: u16, times: u16) -> Self {
        let one = |at: u16, again: u16| {
            let (x, y) = (f32::from(at % 16) * 40.0 + f32::from(again), f32::from(at / 16) * 40.0);
            let score = 0.9 - f32::from(again) * 0.01 - f32::from(at) * 1e-4;
            Candidate { x0: x, y0: y, x1: x + 30.0, y1: y + 30.0, score, class: u32::from(at % 4) }
        };
        let boxes = (0..times).flat_map(|again| (0..objects).map(move |at| one(at, again))).collect();
        Self { boxes, left: Vec::new() }
    }

    /// How many are left.
    pub fn run(&mut self) -> usize {
        self.left.clone_from(&self.boxes);
        let config = NmsConfig { iou: 0.5, class_agnostic: false, max_candidates: 3000, max_detections: 300 };
        suppress(&mut self.left, &config);
        self.left.len()
    }
}
