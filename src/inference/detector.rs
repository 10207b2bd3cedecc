//! A detector: one session with its family, labels and buffers. One a worker thread.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::batch;
use super::device::{self, Device, PassedOver, Refusal};
use super::family::{self, Family};
use super::nms::{Candidate, NmsConfig, rank, suppress};
use super::output::no_numbers;
use super::prepared::Prepared;
use super::preprocess::{Pixels, Placement};
use super::session::{ModelBytes, OnnxSession};
use super::spec::InputSpec;
use super::{InferenceError, ModelConfig, Runtime, bundled, labels};
use crate::domain::{BBox, Detection, Frame, Label};

/// What a frame cost, by stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DetectTiming {
    pub preprocess: Duration,
    pub inference: Duration,
    pub postprocess: Duration,
}

/// Finds objects in frames. Implementations keep their buffers; calls come from one thread.
pub trait Detector: Send {
    /// From now on detections below this score are not made. Cameras share a model and may differ in what they want of it.
    fn set_confidence(&mut self, confidence: f32);

    /// Fills `found` (cleared first) with what is in the frame, best score first.
    fn detect(&mut self, frame: &Frame, found: &mut Vec<Detection>) -> Result<DetectTiming, InferenceError>;

    /// For frames that somebody else prepares; `None` where that is of no use.
    fn ahead(&mut self) -> Option<&mut dyn DetectAhead> {
        None
    }

    /// So many frames are best given at once; 1: one after the other.
    fn max_batch(&self) -> usize {
        1
    }

    /// Finds objects in several frames, in one run where that is possible; `found` has a place for each. A timing is what its
    /// frame took, the time for its companions included.
    ///
    /// # Errors
    /// When any of them fails; then nothing of the others counts either, and they are to be asked one by one.
    fn detect_batch(
        &mut self,
        asked: &[Asked<'_>],
        found: &mut [Vec<Detection>],
    ) -> Result<Vec<DetectTiming>, InferenceError> {
        asked
            .iter()
            .zip(found)
            .map(|(asked, found)| {
                self.set_confidence(asked.confidence);
                self.detect(asked.frame, found)
            })
            .collect()
    }
}

/// A detector whose frames may be prepared by somebody else, and while it runs.
pub trait DetectAhead {
    /// An input to be filled, while the detector has its own.
    fn spare(&self) -> Prepared;

    /// [`Detector::detect`] of the frame that `filled` was filled with.
    ///
    /// # Errors
    /// As [`Detector::detect`], and when it was filled with none.
    fn detect_filled(
        &mut self,
        filled: &mut Prepared,
        found: &mut Vec<Detection>,
    ) -> Result<DetectTiming, InferenceError>;
}

/// A frame of several, and from which score on objects are wanted in it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub frame: &'a Frame,
    pub confidence: f32,
}

/// What is known of a model once it is loaded.
#[derive(Debug, Clone)]
pub struct ModelInfo {
    pub family: &'static str,
    pub width: u32,
    pub height: u32,
    pub labels: Arc<[Label]>,
    pub device: Device,
    /// Devices named before it that could not be used.
    pub passed_over: Vec<PassedOver>,
}

/// A detector that runs an ONNX model.
pub struct OnnxDetector {
    model: String,
    session: OnnxSession,
    passed_over: Vec<PassedOver>,
    family_name: &'static str,
    family: Box<dyn Family>,
    input: Prepared,
    labels: Arc<[Label]>,
    confidence: f32,
    nms: NmsConfig,
    candidates: Vec<Candidate>,
    /// Pictures that go into one run at most.
    max_batch: usize,
    /// The input of such a run; empty as long as there was none.
    stacked: Pixels,
}

impl OnnxDetector {
    /// Loads the model, recognises its family by a trial run (which warms it up), and settles its labels.
    ///
    /// # Errors
    /// When the file, its inputs, outputs or labels do not fit; the error says which and what to do.
    pub fn load(runtime: &Runtime, config: &ModelConfig) -> Result<Self, InferenceError> {
        let model = config.path.display().to_string();
        let bytes = match bundled::find(&model) {
            Some(bytes) => ModelBytes::Bundled(bytes),
            None if bundled::is_bundled(&model) => {
                return Err(InferenceError::NotBundled { model, known: bundled::KNOWN });
            }
            None => ModelBytes::File(config.path.clone()),
        };
        let open = |device| {
            let mut session = OnnxSession::load(runtime, &model, &bytes, config, device)?;
            match session.trial() {
                Ok(facts) => Ok((session, facts)),
                // Loaded, but not able: a driver that does not fit shows itself here.
                Err(InferenceError::Run { why, .. }) if device != Device::Cpu => Err(Refusal::Device(why)),
                Err(error) => Err(error.into()),
            }
        };
        let ((mut session, facts), passed_over) = device::first(&model, config.device.as_slice(), open)?;
        if !facts.outputs.is_empty() && facts.outputs.iter().all(|output| no_numbers(&output.values)) {
            return Err(InferenceError::NotNumbers { model });
        }
        let (family_name, family) = family::recognise(&model, config.family, &facts)?;
        // Ultralytics' word for it, and Hugging Face's.
        let names = ["names", "id2label"].iter().find_map(|key| facts.metadata.get(*key)).map(String::as_str);
        let classes =
            labels::Classes { count: family.classes(), own: family.labels(), from_one: family.counts_from_one() };
        let labels = labels::resolve(&model, config.labels.as_ref(), names, classes)?;
        let max_batch = batch::settle(&model, config, &mut session, &facts);
        let picture = &session.picture;
        let input = InputSpec {
            width: picture.width,
            height: picture.height,
            layout: picture.layout,
            preparation: family.preparation().settled(&config.input, picture.element),
        };
        Ok(Self {
            input: Prepared::new(&model, input, session.length(), Pixels::new(picture.element)),
            stacked: Pixels::new(picture.element),
            max_batch,
            model,
            session,
            passed_over,
            family_name,
            family,
            labels,
            confidence: config.confidence,
            nms: NmsConfig {
                iou: config.iou,
                class_agnostic: config.class_agnostic_nms,
                max_candidates: config.max_candidates.max(1),
                max_detections: config.max_detections.max(1),
            },
            candidates: Vec::new(),
        })
    }

    #[must_use]
    pub fn info(&self) -> ModelInfo {
        ModelInfo {
            family: self.family_name,
            width: self.session.picture.width,
            height: self.session.picture.height,
            labels: self.labels.clone(),
            device: self.session.device,
            passed_over: self.passed_over.clone(),
        }
    }
}

impl OnnxDetector {
    /// [`Detector::detect`], with a `mark` taken at the start, when the picture is prepared, when the model has run, and when
    /// its outputs are read.
    ///
    /// # Errors
    /// As [`Detector::detect`].
    pub fn detect_marking<M>(
        &mut self,
        frame: &Frame,
        found: &mut Vec<Detection>,
        mark: impl Fn() -> M,
    ) -> Result<[M; 4], InferenceError> {
        let begin = mark();
        self.input.fill(frame)?;
        let prepared = mark();
        let ran = self.run(found, &mark)?;
        Ok([begin, prepared, ran, mark()])
    }

    /// Runs the model on its input, and reads what it says; a `mark` is taken in between.
    fn run<M>(&mut self, found: &mut Vec<Detection>, mark: impl Fn() -> M) -> Result<M, InferenceError> {
        found.clear();
        let none = || InferenceError::NoPicture { model: self.model.clone(), width: 0, height: 0, bytes: 0 };
        let placement = self.input.placement.ok_or_else(none)?;
        self.candidates.clear();
        let (family, candidates, confidence) = (&mut self.family, &mut self.candidates, self.confidence);
        let (ran, read, nothing) = self.session.run(&self.input.pixels, |outputs| {
            let ran = mark();
            let read = family.decode(outputs, confidence, candidates);
            // An empty street or a broken model: only then is it worth to look through everything.
            (ran, read, candidates.is_empty() && outputs.iter().any(|output| no_numbers(output.values)))
        })?;
        let reader = Reader { model: &self.model, family_name: self.family_name, nms: &self.nms, labels: &self.labels };
        reader.settle((read, nothing), self.family.overlaps(), &mut self.candidates, &placement, found)?;
        Ok(ran)
    }

    /// One run of as many pictures as there are.
    fn run_together(
        &mut self,
        asked: &[Asked<'_>],
        found: &mut [Vec<Detection>],
        timings: &mut Vec<DetectTiming>,
    ) -> Result<(), InferenceError> {
        let begin = Instant::now();
        self.stacked.clear();
        let mut placements = Vec::with_capacity(asked.len());
        for Asked { frame, .. } in asked {
            self.input.fill(frame)?;
            placements.extend(self.input.placement);
            self.stacked.append(&self.input.pixels);
        }
        let prepared = Instant::now();
        let mut ran = None;
        let reader = Reader { model: &self.model, family_name: self.family_name, nms: &self.nms, labels: &self.labels };
        let (family, candidates) = (&mut self.family, &mut self.candidates);
        self.session.run_batch(&self.stacked, asked.len(), |at, outputs| {
            let ran = *ran.get_or_insert_with(Instant::now);
            candidates.clear();
            let read = family.decode(outputs, asked[at].confidence, candidates);
            let nothing = candidates.is_empty() && outputs.iter().any(|output| no_numbers(output.values));
            found[at].clear();
            reader.settle((read, nothing), family.overlaps(), candidates, &placements[at], &mut found[at])?;
            timings.push(DetectTiming {
                preprocess: prepared - begin,
                inference: ran - prepared,
                postprocess: ran.elapsed(),
            });
            Ok(())
        })
    }

    /// ONNX Runtime alone, on the picture that was prepared last: what any program would pay for this model. A `mark` is taken
    /// before and after.
    ///
    /// # Errors
    /// When the model cannot run.
    pub fn run_bare<M>(&mut self, mark: impl Fn() -> M) -> Result<[M; 2], InferenceError> {
        self.session.run_bare(&self.input.pixels, mark)
    }
}

impl Detector for OnnxDetector {
    fn set_confidence(&mut self, confidence: f32) {
        self.confidence = confidence;
    }

    fn detect(&mut self, frame: &Frame, found: &mut Vec<Detection>) -> Result<DetectTiming, InferenceError> {
        let [begin, prepared, ran, read] = self.detect_marking(frame, found, Instant::now)?;
        Ok(DetectTiming { preprocess: prepared - begin, inference: ran - prepared, postprocess: read - ran })
    }

    fn ahead(&mut self) -> Option<&mut dyn DetectAhead> {
        // Several in one run are prepared for that run.
        (self.max_batch == 1).then_some(self)
    }

    fn max_batch(&self) -> usize {
        self.max_batch
    }

    fn detect_batch(
        &mut self,
        asked: &[Asked<'_>],
        found: &mut [Vec<Detection>],
    ) -> Result<Vec<DetectTiming>, InferenceError> {
        let mut timings = Vec::with_capacity(asked.len());
        while timings.len() < asked.len() {
            let done = timings.len();
            let count = batch::next(asked.len() - done, self.max_batch);
            self.run_together(&asked[done..done + count], &mut found[done..done + count], &mut timings)?;
        }
        Ok(timings)
    }
}

impl DetectAhead for OnnxDetector {
    fn spare(&self) -> Prepared {
        self.input.another()
    }

    fn detect_filled(
        &mut self,
        filled: &mut Prepared,
        found: &mut Vec<Detection>,
    ) -> Result<DetectTiming, InferenceError> {
        let begin = Instant::now();
        std::mem::swap(&mut self.input, filled);
        let ran = self.run(found, Instant::now);
        // Each back in its place: what an input is filled by was made for the pictures of one camera.
        std::mem::swap(&mut self.input, filled);
        let ran = ran?;
        Ok(DetectTiming { preprocess: filled.took(), inference: ran - begin, postprocess: ran.elapsed() })
    }
}

/// What the outputs of one picture are read by.
struct Reader<'a> {
    model: &'a str,
    family_name: &'static str,
    nms: &'a NmsConfig,
    labels: &'a [Label],
}

impl Reader<'_> {
    /// The candidates' best as detections; `read`: how decoding went, and whether it found nothing where there are no numbers.
    fn settle(
        &self,
        (read, mut nothing): (Result<(), String>, bool),
        overlaps: bool,
        candidates: &mut Vec<Candidate>,
        placement: &Placement,
        found: &mut Vec<Detection>,
    ) -> Result<(), InferenceError> {
        let (model, family, some) = (self.model, self.family_name, !candidates.is_empty());
        read.map_err(|why| InferenceError::Decode { model: model.into(), family, why })?;
        if overlaps {
            suppress(candidates, self.nms);
        } else {
            rank(candidates, self.nms.max_detections);
        }
        nothing |= some && candidates.is_empty();
        if nothing {
            return Err(InferenceError::NotNumbers { model: model.into() });
        }
        found.extend(candidates.iter().map(|c| to_detection(c, placement, self.labels)));
        Ok(())
    }
}

fn to_detection(c: &Candidate, at: &Placement, labels: &[Label]) -> Detection {
    let x = |v: f32| (v - at.left) / at.scale_x / at.frame_width;
    let y = |v: f32| (v - at.top) / at.scale_y / at.frame_height;
    Detection {
        // A class count that the outputs tell was held against the labels when the model was loaded.
        label: labels.get(c.class as usize).cloned().unwrap_or_else(|| c.class.to_string().into()),
        score: c.score.clamp(0.0, 1.0),
        bbox: BBox::clamped(x(c.x0), y(c.y0), x(c.x1), y(c.y1)),
        class_id: c.class,
        track_id: None,
    }
}
