//! Models: loaded side by side, each with its turns and its workers' threads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::config::Config;
use crate::domain::Name;
use crate::inference::{Detector, InferenceError, ModelConfig, ModelInfo, OnnxDetector, Runtime};
use crate::pipeline::{Seats, TrackerChoice, Turns, work};
use crate::tracker::TrackerConfig;

/// A model whose workers run.
pub struct Model {
    pub info: ModelInfo,
    pub confidence: f32,
    pub turns: Arc<Turns>,
    pub seats: Seats,
}

/// The models that loaded, why the others did not, and the workers' threads.
pub struct Models {
    pub loaded: BTreeMap<Name, Model>,
    pub failed: BTreeMap<Name, InferenceError>,
    pub workers: Vec<(String, JoinHandle<()>)>,
}

impl Models {
    /// Loads every model that a camera uses. One that fails keeps the others going.
    ///
    /// # Errors
    /// When none loads, or a thread cannot be started.
    pub fn load(runtime: &Runtime, config: &Config) -> Result<Self, super::AppError> {
        let mut models = Self { loaded: BTreeMap::new(), failed: BTreeMap::new(), workers: Vec::new() };
        let used = config.models.iter().filter(|(name, _)| config.cameras.values().any(|c| c.model == **name));
        for (name, model) in used {
            let tracked = config.cameras.values().any(|c| c.model == *name && c.tracker == TrackerChoice::Bytetrack);
            match detectors(runtime, model, tracked) {
                Ok((info, detectors)) => models.hire(name, model, info, detectors)?,
                Err(error) => {
                    models.failed.insert(name.clone(), error);
                }
            }
        }
        match models.failed.values().next() {
            // The caller says it.
            Some(error) if models.loaded.is_empty() && models.failed.len() == 1 => return Err(error.clone().into()),
            _ => {}
        }
        for (name, error) in &models.failed {
            tracing::error!(model = %name, code = error.code(), "{error}; its cameras do not run");
        }
        match models.failed.values().next() {
            Some(_) if models.loaded.is_empty() => Err(super::AppError::NoModel(models.failed.len())),
            _ => Ok(models),
        }
    }

    fn hire(
        &mut self,
        name: &Name,
        config: &ModelConfig,
        info: ModelInfo,
        detectors: Vec<OnnxDetector>,
    ) -> std::io::Result<()> {
        tracing::info!(
            model = %name, path = %config.path.display(), family = info.family, input = %format_args!("{}x{}", info.width, info.height),
            classes = info.labels.len(), device = info.device.as_str(), workers = detectors.len(), "model loaded"
        );
        let model = Model { info, confidence: config.confidence, turns: Arc::default(), seats: Seats::default() };
        for (index, mut detector) in detectors.into_iter().enumerate() {
            let (turns, seats) = (model.turns.clone(), model.seats.clone());
            let title = format!("worker {name} {}", index + 1);
            let thread = std::thread::Builder::new()
                .name(title.clone())
                .spawn(move || work(&turns, &seats, &mut detector as &mut dyn Detector))?;
            self.workers.push((title, thread));
        }
        self.loaded.insert(name.clone(), model);
        Ok(())
    }
}

/// ByteTrack lives on the detections that are not good enough to be said: they keep a half-hidden object's track alive.
/// The camera's processor takes them out again.
fn detectors(
    runtime: &Runtime,
    config: &ModelConfig,
    tracked: bool,
) -> Result<(ModelInfo, Vec<OnnxDetector>), InferenceError> {
    let floor = if tracked { TrackerConfig::for_confidence(config.confidence).low } else { config.confidence };
    let config = &ModelConfig { confidence: floor, ..config.clone() };
    let first = OnnxDetector::load(runtime, config)?;
    let info = first.info();
    let mut all = vec![first];
    for _ in 1..config.workers {
        all.push(OnnxDetector::load(runtime, config)?);
    }
    Ok((info, all))
}
