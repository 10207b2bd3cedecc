//! A model's input with what fills it from a frame, apart from the session: a frame can be prepared where it comes from, and
//! while the model runs on the one before.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::InferenceError;
use super::preprocess::{Pixels, Placement, Preprocessor};
use super::spec::InputSpec;
use crate::domain::Frame;

/// Filled again and again: its tables and its padding are made once for a frame size.
#[derive(Debug)]
pub struct Prepared {
    model: String,
    spec: InputSpec,
    /// Values that a run takes.
    length: usize,
    preprocessor: Preprocessor,
    pub(super) pixels: Pixels,
    /// Of the frame that it was filled with.
    pub(super) placement: Option<Placement>,
    took: Duration,
}

impl Prepared {
    pub(super) fn new(model: &str, spec: InputSpec, length: usize, pixels: Pixels) -> Self {
        Self {
            model: model.into(),
            spec,
            length,
            preprocessor: Preprocessor::default(),
            pixels,
            placement: None,
            took: Duration::ZERO,
        }
    }

    /// Another one of the same kind, empty.
    #[must_use]
    pub fn another(&self) -> Self {
        Self::new(&self.model, self.spec, self.length, self.pixels.empty())
    }

    /// # Errors
    /// When the frame holds no picture.
    pub fn fill(&mut self, frame: &Frame) -> Result<(), InferenceError> {
        let begin = Instant::now();
        (self.placement, self.took) = (None, Duration::ZERO);
        let (width, height, bytes) = (frame.width, frame.height, frame.bgr.len());
        if !frame.is_whole() {
            return Err(InferenceError::NoPicture { model: self.model.clone(), width, height, bytes });
        }
        self.placement = Some(self.preprocessor.run(frame, &self.spec, self.length, &mut self.pixels));
        self.took = begin.elapsed();
        Ok(())
    }

    /// [`Prepared::fill`] where nobody can be told: what goes wrong, a panic too, goes wrong again where the frame is looked
    /// at unprepared, and there it is known whose fault it is.
    pub fn fill_quietly(&mut self, frame: &Frame) {
        let _again = catch_unwind(AssertUnwindSafe(|| self.fill(frame)));
    }

    /// Whether it holds a frame, and the last attempt to fill it did not fail.
    #[must_use]
    pub fn is_filled(&self) -> bool {
        self.placement.is_some()
    }

    /// How long filling it took.
    #[must_use]
    pub fn took(&self) -> Duration {
        self.took
    }
}
