//! Models: loaded side by side, each with its turns and its workers' threads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::config::Config;
use crate::domain::Name;
use crate::inference::{Detector, Devices, InferenceError, ModelConfig, ModelInfo, OnnxDetector, Runtime};
use crate::pipeline::{Seats, Turns, work};
use crate::telemetry::set_model_info;

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
        if let Some(warning) = crowded(config) {
            tracing::warn!("{warning}");
        }
        for (name, model) in used(config) {
            match detectors(runtime, model) {
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
        set_model_info(name.as_str(), info.family, info.device.as_str());
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

fn detectors(runtime: &Runtime, config: &ModelConfig) -> Result<(ModelInfo, Vec<OnnxDetector>), InferenceError> {
    let first = OnnxDetector::load(runtime, config)?;
    let info = first.info();
    // The others go where the first one went, without a word of what was passed over.
    let config = &ModelConfig { device: Devices::One(info.device), ..config.clone() };
    let mut all = vec![first];
    for _ in 1..config.workers {
        all.push(OnnxDetector::load(runtime, config)?);
    }
    Ok((info, all))
}

/// A warning when the models want more threads than the machine has cores: then they only take turns, and wait longer.
#[must_use]
pub fn crowded(config: &Config) -> Option<String> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let models: Vec<_> = used(config).map(|(name, m)| (name, m.workers * m.threads)).collect();
    let threads: usize = models.iter().map(|(_, threads)| threads).sum();
    if threads <= cores {
        return None;
    }
    let list: Vec<String> = models.iter().map(|(name, threads)| format!("{name} {threads}")).collect();
    Some(format!(
        "the models want {threads} threads (workers times threads: {}), and this machine has {cores} cores: frames wait for one another; \
         lower `workers` or `threads`, or let cameras share a model",
        list.join(", ")
    ))
}

/// The models that cameras use.
fn used(config: &Config) -> impl Iterator<Item = (&Name, &ModelConfig)> {
    config.models.iter().filter(|(name, _)| config.cameras.values().any(|c| c.model == **name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_threads_than_cores_are_warned_of() {
        let config = |threads: usize| {
            let text = format!(
                "models: {{ m: {{ path: 'bundled:shapes', workers: 2, threads: {threads} }}, idle: {{ path: 'bundled:shapes', threads: 256 }} }}\n\
                 cameras: {{ c: {{ source: 'synthetic:shapes', model: m }} }}\n"
            );
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("sightwire.yaml");
            std::fs::write(&file, text).unwrap();
            crate::config::load(Some(&file)).unwrap().config
        };
        let cores = std::thread::available_parallelism().unwrap().get();
        let warning = crowded(&config(cores)).unwrap();
        assert!(warning.contains(&format!("m {}", 2 * cores)) && !warning.contains("idle"), "{warning}");
        assert!(cores < 2 || crowded(&config(1)).is_none(), "two workers of one thread");
    }
}
