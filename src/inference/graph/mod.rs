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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use ort::value::TensorRef;

    use super::*;
    use crate::domain::{Detection, Frame};
    use crate::inference::{Detector, InferenceError, OnnxDetector};
    use crate::source::synthetic::{Scene, SceneParams};

    const SHAPES: &[u8] = include_bytes!("../../../models/shapes.onnx");

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut field = vec![number << 3 | 2];
        let mut length = bytes.len();
        while length >= 0x80 {
            field.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        field.push(u8::try_from(length).unwrap());
        [field.as_slice(), bytes].concat()
    }

    /// The bundled model as an old exporter would have written it. A second `graph` field adds to the first: protobuf merges them.
    fn listed() -> (Vec<u8>, usize) {
        let names = survey::float_initialisers(SHAPES);
        // `float` of any shape.
        let kind = field(2, &field(1, &[1 << 3, 1]));
        let inputs = names.iter().map(|name| field(11, &[field(1, name), kind.clone()].concat()));
        let more = field(7, &inputs.collect::<Vec<_>>().concat());
        ([SHAPES, &more].concat(), names.len())
    }

    struct Place {
        folder: tempfile::TempDir,
        model: PathBuf,
    }

    impl Place {
        fn new(bytes: &[u8]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let model = folder.path().join("m.onnx");
            fs::write(&model, bytes).unwrap();
            Self { folder, model }
        }

        fn graphs(&self) -> PathBuf {
            self.folder.path().join("state/graphs")
        }

        fn look(&self, keep_graph: bool) -> Result<Vec<Detection>, InferenceError> {
            let runtime = Runtime::load().unwrap().keeping_graphs(self.graphs());
            look(&runtime, &ModelConfig { keep_graph, ..ModelConfig::new(&self.model) })
        }

        fn kept(&self) -> Vec<PathBuf> {
            fs::read_dir(self.graphs()).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
        }
    }

    fn look(runtime: &Runtime, config: &ModelConfig) -> Result<Vec<Detection>, InferenceError> {
        let mut frame = Frame { width: 640, height: 480, ..Frame::empty() };
        Scene::new(SceneParams { width: 640, height: 480, ..SceneParams::default() }).render(40, &mut frame.bgr);
        let mut found = Vec::new();
        OnnxDetector::load(runtime, config)?.detect(&frame, &mut found)?;
        Ok(found)
    }

    #[test]
    fn a_model_with_listed_initialisers_finds_what_the_model_without_finds() {
        let (bytes, count) = listed();
        assert!(count > 5, "{count}");
        let place = Place::new(&bytes);
        assert_eq!(survey(&place.model).listed(), count);
        let wanted = look(&Runtime::load().unwrap(), &ModelConfig::new("bundled:shapes")).unwrap();
        assert!(!wanted.is_empty());
        assert_eq!(place.look(false).unwrap(), wanted);
        assert_eq!(place.kept(), Vec::<PathBuf>::new(), "nothing is kept that is not to be");
        assert_eq!(place.look(true).unwrap(), wanted);
        let kept = place.kept();
        assert_eq!(kept.len(), 1);
        assert_eq!(place.look(true).unwrap(), wanted, "from the kept graph");
        assert_eq!(place.kept(), kept);
    }

    #[test]
    fn a_kept_graph_that_is_damaged_or_no_graph_is_made_anew() {
        let place = Place::new(SHAPES);
        let wanted = place.look(true).unwrap();
        let kept = place.kept();
        let whole = fs::read(&kept[0]).unwrap();
        let runtime = Runtime::load().unwrap();
        let entry = Entry::of(&place.graphs(), &place.model, &runtime.identity()).unwrap().unwrap();
        // ONNX Runtime does not write the same bytes twice; what fits its name is whole.
        let is_whole = || entry.find().is_some_and(|path| fs::metadata(path).unwrap().len() > whole.len() as u64 / 2);
        for spoilt in [&whole[..whole.len() / 2], b"", b"no graph"] {
            fs::write(&place.kept()[0], spoilt).unwrap();
            assert_eq!(place.look(true).unwrap(), wanted);
            assert!(is_whole() && place.kept().len() == 1);
        }
        // One that fits its name and is no graph: somebody means well.
        fs::remove_file(&place.kept()[0]).unwrap();
        let part = entry.begin().unwrap();
        fs::write(part.path(), "no graph").unwrap();
        part.keep().unwrap();
        assert_eq!(place.look(true).unwrap(), wanted);
        assert!(is_whole() && place.kept().len() == 1);
    }

    #[test]
    fn a_model_loads_where_nothing_can_be_kept_and_a_broken_one_leaves_nothing() {
        let place = Place::new(SHAPES);
        fs::write(place.folder.path().join("state"), "a file where the folder should be").unwrap();
        assert!(!place.look(true).unwrap().is_empty());
        let broken = Place::new(&SHAPES[..SHAPES.len() / 2]);
        assert!(matches!(broken.look(true), Err(InferenceError::NotLoadable { .. })));
        assert_eq!(broken.kept(), Vec::<PathBuf>::new());
    }

    /// The outputs of every model at hand, as it is and as it is made ready here. Constants that are folded and layers that are
    /// merged add up in another order: that is all that may differ.
    #[test]
    fn outputs_of_real_models_are_the_same() {
        let models = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/models");
        for file in ["version-RFB-320.onnx", "nanodet_m_416.onnx", "yolox_nano_416.onnx"] {
            let path = models.join(file);
            if !path.is_file() {
                eprintln!("skipped: {} is not there", path.display());
                continue;
            }
            let graphs = tempfile::tempdir().unwrap();
            let runtime = Runtime::load().unwrap().keeping_graphs(graphs.path().into());
            let config = ModelConfig::new(&path);
            let ready = || open(&runtime, &path, &config, Device::Cpu, |e| Refusal::Device(e.to_string()));
            let plain = device::builder(&runtime, Device::Cpu, 1, GraphOptimizationLevel::Level3);
            let Ok((mut builder, fresh, kept)) = plain.and_then(|builder| Ok((builder, ready()?, ready()?))) else {
                panic!("{file} does not load");
            };
            let mut as_it_is = builder.commit_from_file(&path).unwrap();
            let shape = as_it_is.inputs()[0].dtype().tensor_shape().unwrap().to_vec();
            let mut random = fastrand::Rng::with_seed(1);
            let length = usize::try_from(shape.iter().product::<i64>()).unwrap();
            let picture: Vec<f32> = std::iter::repeat_with(|| random.f32()).take(length).collect();
            let run = |session: &mut Session| -> Vec<Vec<f32>> {
                let input = TensorRef::from_array_view((shape.as_slice(), picture.as_slice())).unwrap();
                let outputs = session.run(ort::inputs![input]).unwrap();
                outputs.values().map(|value| value.try_extract_tensor::<f32>().unwrap().1.to_vec()).collect()
            };
            let wanted = run(&mut as_it_is);
            let (mut fresh, mut kept) = (fresh, kept);
            let got = run(&mut fresh);
            assert_eq!(run(&mut kept), got, "{file}: a kept graph is the graph");
            let apart = |(a, b): (&f32, &f32)| (a - b).abs() / a.abs().max(1.0);
            let worst = wanted.iter().flatten().zip(got.iter().flatten()).map(apart).fold(0.0, f32::max);
            eprintln!("{file}: {} initialisers listed, outputs {worst:e} apart", survey(&path).listed());
            assert!(wanted.len() == got.len() && worst < 1e-4, "{file}: {worst}");
        }
    }
}
