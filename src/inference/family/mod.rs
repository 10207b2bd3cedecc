//! Model families: how a model's input is prepared and its outputs are read. One file each, the same shape each.
//!
//! A family recognises its models by the shapes of their outputs in a trial run (so that models with dynamic sizes are
//! recognised too), says how it wants its input, and turns outputs into candidates.

mod yolo;
mod yolox;

use super::nms::Candidate;
use super::{FamilyChoice, InferenceError};

/// Where the picture lies in the model's input when the sides' ratio differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    Centred,
    TopLeft,
}

/// What the model's input is to hold: planes `[1, 3, height, width]` of `(value - subtract) / divisor`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InputSpec {
    pub width: u32,
    pub height: u32,
    pub padding: Padding,
    /// Red first; else blue first.
    pub rgb: bool,
    /// Grey value of the padding, 0…255.
    pub pad: f32,
    pub subtract: f32,
    pub divisor: f32,
}

impl InputSpec {
    #[must_use]
    pub fn normalise(&self, value: f32) -> f32 {
        (value - self.subtract) / self.divisor
    }
}

/// Reads one model's outputs.
pub trait Family: Send {
    fn name(&self) -> &'static str;
    fn classes(&self) -> usize;
    fn input(&self) -> InputSpec;
    /// Adds every candidate whose score is at least `confidence`. `outputs`: each output's values, row-major.
    fn decode(&mut self, outputs: &[&[f32]], confidence: f32, candidates: &mut Vec<Candidate>);
}

/// The shapes of a model's outputs in a trial run with an input of `width` by `height` pixels.
#[derive(Debug, Clone)]
pub struct Shapes {
    pub width: u32,
    pub height: u32,
    pub outputs: Vec<Vec<i64>>,
}

/// The family asked for, or the first that recognises the model.
///
/// # Errors
/// [`InferenceError::UnknownOutputs`], with the shapes and what they come closest to.
pub fn recognise(
    model: &str,
    choice: FamilyChoice,
    shapes: &Shapes,
    described: &str,
) -> Result<Box<dyn Family>, InferenceError> {
    let yolox = || yolox::Yolox::recognise(shapes).map(|f| Box::new(f) as Box<dyn Family>);
    let yolo = || yolo::Yolo::recognise(shapes).map(|f| Box::new(f) as Box<dyn Family>);
    let found = match choice {
        FamilyChoice::Auto => yolox().or_else(yolo),
        FamilyChoice::Yolo => yolo(),
        FamilyChoice::Yolox => yolox(),
    };
    found.ok_or_else(|| InferenceError::UnknownOutputs {
        model: model.into(),
        closest: closest(choice, shapes),
        shape: described.into(),
    })
}

fn closest(choice: FamilyChoice, shapes: &Shapes) -> String {
    let grid = grid_cells(shapes.width, shapes.height, &[8, 16, 32]);
    let named = match choice {
        FamilyChoice::Auto => "",
        FamilyChoice::Yolo => "asked for as yolo; ",
        FamilyChoice::Yolox => "asked for as yolox; ",
    };
    let guess = match shapes.outputs.as_slice() {
        [one] => match one.as_slice() {
            [1, n, c] if *n == 3 * grid && *c > 5 => "looks like YOLOv5/v7: three anchors a cell, with objectness",
            [1, _, 6] => "looks like an end-to-end export `[1, N, 6]` with suppression inside",
            [_, _, _] => "one output of three dimensions, as yolo and yolox have, but other sizes",
            _ => "yolo and yolox have one output of three dimensions",
        },
        [] => "the model has no outputs",
        _ => "yolo and yolox have one output, this model has several",
    };
    format!("{named}{guess}")
}

/// Cells of the feature maps of these strides.
fn grid_cells(width: u32, height: u32, strides: &[u32]) -> i64 {
    strides.iter().map(|s| i64::from(width / s) * i64::from(height / s)).sum()
}
