//! Models: loaded side by side, each with its turns and its workers' threads.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::SystemTime;

use super::AppError;
use super::yard::used;
use crate::config::Config;
use crate::domain::Name;
use crate::envelope::{InputSize, ModelSummary};
use crate::inference::{
    Detector, Devices, InferenceError, LabelsConfig, ModelConfig, ModelInfo, OnnxDetector, Runtime,
};
use crate::pipeline::{Seats, Turns, work};
use crate::telemetry::ModelMetrics;

/// A model whose workers run.
pub struct Model {
    pub info: ModelInfo,
    pub confidence: f32,
    pub turns: Arc<Turns>,
    pub seats: Seats,
    /// Its files, as they were when it was loaded.
    print: Fingerprint,
    /// Of its workers.
    pub count: usize,
    workers: Mutex<Vec<(String, JoinHandle<()>)>>,
}

/// The models that loaded, and why the others did not.
#[derive(Default)]
pub struct Models {
    pub loaded: BTreeMap<Name, Arc<Model>>,
    pub failed: BTreeMap<Name, InferenceError>,
}

impl Model {
    /// Loads it and starts its workers.
    fn start(runtime: &Runtime, name: &Name, config: &ModelConfig) -> Result<Self, AppError> {
        // Before the files are read: a change meanwhile must be seen the next time.
        let print = Fingerprint::of(config);
        let (info, detectors) = detectors(runtime, config)?;
        tracing::info!(
            model = %name, path = %config.path.display(), family = info.family, input = %format_args!("{}x{}", info.width, info.height),
            classes = info.labels.len(), device = info.device.as_str(), workers = detectors.len(), "model loaded"
        );
        let (turns, seats) = (Arc::<Turns>::default(), Seats::default());
        let (metrics, count) = (ModelMetrics::new(name.as_str()), detectors.len());
        let model = Self { info, confidence: config.confidence, turns, seats, print, count, workers: Mutex::default() };
        for (index, mut detector) in detectors.into_iter().enumerate() {
            let (turns, seats, metrics) = (model.turns.clone(), model.seats.clone(), metrics.clone());
            let title = format!("worker {name} {}", index + 1);
            let thread = std::thread::Builder::new()
                .name(title.clone())
                .spawn(move || work(&turns, &seats, &mut detector as &mut dyn Detector, &metrics))?;
            model.workers.lock().unwrap_or_else(PoisonError::into_inner).push((title, thread));
        }
        Ok(model)
    }

    /// The workers' threads, once; they end when the turns are shut, and the sessions' memory goes with them.
    pub fn workers(&self) -> Vec<(String, JoinHandle<()>)> {
        std::mem::take(&mut *self.workers.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether its files are others than those that were loaded.
    #[must_use]
    pub fn is_stale(&self, config: &ModelConfig) -> bool {
        self.print != Fingerprint::of(config)
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        self.turns.shut();
    }
}

impl Models {
    /// Loads every model that a camera uses. One that fails keeps the others going.
    ///
    /// # Errors
    /// When none loads, or a thread cannot be started.
    pub fn load(runtime: &Runtime, config: &Config) -> Result<Self, AppError> {
        if let Some(warning) = crowded(config) {
            tracing::warn!("{warning}");
        }
        let models = Self::load_some(runtime, config, used(config).into_keys())?;
        match models.failed.values().next() {
            // The caller says it.
            Some(error) if models.loaded.is_empty() && models.failed.len() == 1 => return Err(error.clone().into()),
            _ => {}
        }
        for (name, error) in &models.failed {
            tracing::error!(model = %name, code = error.code(), "{error}; its cameras do not run");
        }
        match models.failed.values().next() {
            Some(_) if models.loaded.is_empty() => Err(AppError::NoModel(models.failed.len())),
            _ => Ok(models),
        }
    }

    /// Loads these.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn load_some<'a>(
        runtime: &Runtime,
        config: &Config,
        names: impl IntoIterator<Item = &'a Name>,
    ) -> Result<Self, AppError> {
        let mut models = Self::default();
        for name in names {
            let Some(model) = config.models.get(name) else { continue };
            match Model::start(runtime, name, model) {
                Ok(model) => {
                    models.loaded.insert(name.clone(), Arc::new(model));
                }
                Err(AppError::Inference(error)) => {
                    models.failed.insert(name.clone(), error);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(models)
    }

    /// As the node's state tells of them.
    #[must_use]
    pub fn summaries(&self) -> Vec<ModelSummary> {
        let loaded = self.loaded.iter().map(|(name, model)| ModelSummary {
            name: name.clone(),
            family: Some(model.info.family.into()),
            device: Some(model.info.device.as_str().into()),
            input: Some(InputSize { width: model.info.width, height: model.info.height }),
        });
        let failed =
            self.failed.keys().map(|name| ModelSummary { name: name.clone(), family: None, device: None, input: None });
        loaded.chain(failed).collect()
    }
}

/// Length, time of the last change and inode of a model's files: who writes one anew changes one of them. A file that is not
/// there has none; neither has a model that comes with the program.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fingerprint(Vec<Option<(u64, SystemTime, u64)>>);

impl Fingerprint {
    fn of(config: &ModelConfig) -> Self {
        let labels = match &config.labels {
            Some(LabelsConfig::Named(file)) => Some(Path::new(file)),
            _ => None,
        };
        let look = |path: &Path| {
            let found = std::fs::metadata(path).ok()?;
            Some((found.len(), found.modified().ok()?, found.ino()))
        };
        Self([Some(config.path.as_path()), labels].into_iter().flatten().map(look).collect())
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
    let models: Vec<_> = used(config).into_iter().map(|(name, m)| (name, m.workers * m.threads)).collect();
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

    #[test]
    fn a_model_whose_file_was_written_anew_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let (file, labels) = (folder.path().join("m.onnx"), folder.path().join("labels.txt"));
        let named = LabelsConfig::Named(labels.to_string_lossy().into_owned());
        let config = ModelConfig { labels: Some(named), ..ModelConfig::new(&file) };
        let mut prints = vec![Fingerprint::of(&config)];
        std::fs::write(&file, "one").unwrap();
        prints.push(Fingerprint::of(&config));
        // Put in its place whole, as careful people do; with the same length, and perhaps within the clock's grain.
        std::fs::write(folder.path().join("new"), "two").unwrap();
        std::fs::rename(folder.path().join("new"), &file).unwrap();
        prints.push(Fingerprint::of(&config));
        std::fs::write(&labels, "cat").unwrap();
        prints.push(Fingerprint::of(&config));
        assert!(prints.windows(2).all(|pair| pair[0] != pair[1]), "{prints:?}");
        assert_eq!(prints.last(), Some(&Fingerprint::of(&config)));
        let bundled = ModelConfig::new("bundled:shapes");
        assert_eq!(Fingerprint::of(&bundled), Fingerprint::of(&bundled));
    }
}
