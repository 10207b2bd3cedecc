//! A model file's graph, made ready to run: mended where an exporter hampered it, and optimised once, not at every start.

mod store;
mod survey;
mod wire;

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;
use std::time::Instant;

use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};

use super::device::{self, Device, Refusal};
use super::{ModelConfig, Runtime};
use store::Entry;
pub use survey::Survey;

/// ONNX Runtime's key for where a model lies that is handed over as bytes: its weights may lie beside it.
const EXTERNAL_FOLDER: &str = "session.model_external_initializers_file_folder_path";

/// A session of the model at `path`, whose graph was optimised now or once before. `refuse` says what an error of ONNX Runtime
/// means.
pub fn open(
    runtime: &Runtime,
    path: &Path,
    config: &ModelConfig,
    device: Device,
    refuse: impl Fn(ort::Error) -> Refusal,
) -> Result<Session, Refusal> {
    let begin = Instant::now();
    let builder = |level| device::builder(runtime, device, config.threads, level);
    let entry = entry(runtime, path, config, device);
    if let Some(entry) = &entry
        && let Some(kept) = entry.find()
    {
        // All was done when it was kept.
        match builder(GraphOptimizationLevel::Disable)?.commit_from_file(&kept) {
            Ok(session) => {
                tracing::info!(model = %path.display(), ms = millis(begin), "optimised graph loaded as it was kept");
                return Ok(session);
            }
            Err(error) => {
                tracing::warn!(model = %path.display(), file = %kept.display(), "a kept graph does not load and is made anew: {error}");
                Entry::discard(&kept);
            }
        }
    }
    let survey = survey(path);
    // Weights in other files may change without the model's own.
    let entry = entry.filter(|_| !survey.external);
    let bytes = mended(path, &survey);
    let commit = |builder: &mut SessionBuilder| match &bytes {
        Some(bytes) => builder.commit_from_memory(bytes),
        None => builder.commit_from_file(path),
    };
    let fresh = || {
        let builder = builder(GraphOptimizationLevel::Level3)?;
        // A model handed over as bytes says no longer where it lies.
        let folder = path.parent().filter(|_| bytes.is_some()).map(|folder| folder.to_string_lossy().into_owned());
        match folder {
            Some(folder) => builder.with_config_entry(EXTERNAL_FOLDER, folder).map_err(|e| refuse(e.into())),
            None => Ok(builder),
        }
    };
    let part = entry.as_ref().and_then(|entry| {
        let said = |error: &io::Error| tracing::debug!(model = %path.display(), "its graph is not kept: {error}");
        entry.begin().inspect_err(said).ok()
    });
    let mut kept = false;
    let session = match part {
        None => commit(&mut fresh()?).map_err(&refuse)?,
        Some(part) => {
            let mut writing = fresh()?.with_optimized_model_path(part.path()).map_err(|e| refuse(e.into()))?;
            match commit(&mut writing) {
                Ok(session) => {
                    kept = part.keep().is_ok();
                    session
                }
                // Perhaps it only cannot be written: a full disk is no reason to stand still.
                Err(_) => commit(&mut fresh()?).map_err(&refuse)?,
            }
        }
    };
    tell(path, &survey, bytes.is_some(), kept, millis(begin));
    Ok(session)
}

/// Where the optimised graph is kept, if it is. Only the CPU's: other devices keep their own, or bind it to a driver.
fn entry(runtime: &Runtime, path: &Path, config: &ModelConfig, device: Device) -> Option<Entry> {
    let folder = runtime.graphs().filter(|_| config.keep_graph && device == Device::Cpu)?;
    let said = |error: &io::Error| tracing::debug!(model = %path.display(), "its graph is not kept: {error}");
    Entry::of(folder, path, &runtime.identity()).inspect_err(said).ok().flatten()
}

/// What is no ONNX is for ONNX Runtime to refuse.
fn survey(path: &Path) -> Survey {
    let walk = || {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Survey::of(BufReader::new(file), length)
    };
    walk().unwrap_or_else(|error| {
        tracing::debug!(model = %path.display(), "the graph cannot be looked through: {error}");
        Survey::default()
    })
}

/// The model's bytes, if there is something to mend in them.
fn mended(path: &Path, survey: &Survey) -> Option<Vec<u8>> {
    if survey.listed() == 0 {
        return None;
    }
    // Read again whole: only models that need it are held in memory beside what ONNX Runtime makes of them, and not for long.
    let mut bytes = std::fs::read(path).ok()?;
    survey.mend(&mut bytes);
    Some(bytes)
}

fn tell(path: &Path, survey: &Survey, mended: bool, kept: bool, ms: u128) {
    let model = path.display();
    if mended {
        tracing::info!(
            %model, initialisers = survey.listed(), kept, ms,
            "graph mended: initialisers were listed as inputs, which keeps them from being folded; they are constants now"
        );
    } else if kept {
        tracing::info!(%model, ms, "graph optimised, and kept for the next start");
    } else {
        tracing::debug!(%model, ms, external = survey.external, "graph optimised");
    }
}

fn millis(since: Instant) -> u128 {
    since.elapsed().as_millis()
}
