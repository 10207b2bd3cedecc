//! ONNX Runtime's library: found, loaded once a process, and named when it is not there.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::InferenceError;

const LIBRARY: &str = "libonnxruntime.so";

/// The loaded library. Cheap to clone.
#[derive(Clone)]
pub struct Runtime {
    pub(super) environment: ort::environment::Environment,
    path: PathBuf,
    version: String,
    /// Where optimised graphs are kept.
    graphs: Option<PathBuf>,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime").field("path", &self.path).field("version", &self.version).finish_non_exhaustive()
    }
}

impl Runtime {
    /// Loads the library from the first place that has one: `ORT_DYLIB_PATH`, beside the program, `../lib/sightwire` from
    /// it, and where `make setup` put it in the checkout. Later calls give the same answer.
    ///
    /// # Errors
    /// When there is none (the places are named), or it is too old or no ONNX Runtime at all.
    pub fn load() -> Result<Self, InferenceError> {
        // Any other first call into `ort` panics without a library, and only one environment may exist: once, here.
        static LOADED: OnceLock<Result<Runtime, InferenceError>> = OnceLock::new();
        LOADED.get_or_init(|| Self::load_first(&places())).clone()
    }

    fn load_first(places: &[PathBuf]) -> Result<Self, InferenceError> {
        let Some(path) = places.iter().find(|path| path.is_file()) else {
            if let Some(path) = named() {
                return Err(InferenceError::RuntimeMisnamed { path: path.display().to_string() });
            }
            let looked = places.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ");
            return Err(InferenceError::RuntimeMissing { looked });
        };
        // ort looks a relative path up beside the program first: say exactly which one is meant.
        let path = path.canonicalize().unwrap_or_else(|_| path.clone());
        let unusable = |why: String| InferenceError::RuntimeUnusable { path: path.display().to_string(), why };
        let builder = ort::init_from(&path).map_err(|e| unusable(in_words(&e)))?;
        let environment = builder
            .with_name("sightwire")
            .with_telemetry(false)
            .with_logger(std::sync::Arc::new(|level, category, _, _, text| log(level, category, text)))
            .build()
            .map_err(|e| unusable(e.to_string()))?;
        Ok(Self { environment, version: version_of(&path), path, graphs: None })
    }

    /// The same library, keeping the graphs it optimises in this folder (made when it is needed) and loading them from there.
    #[must_use]
    pub fn keeping_graphs(self, folder: PathBuf) -> Self {
        Self { graphs: Some(folder), ..self }
    }

    pub(super) fn graphs(&self) -> Option<&Path> {
        self.graphs.as_deref()
    }

    /// What tells this library from another one: its version, and its length where two builds call themselves the same.
    pub(super) fn identity(&self) -> String {
        let length = std::fs::metadata(&self.path).map_or(0, |meta| meta.len());
        format!("{} {length}", self.version)
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// As far as the file says it: `1.31.1`, or `unknown`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }
}

fn log(level: ort::logging::LogLevel, category: &str, text: &str) {
    match level {
        // Model-specific chatter (constant folding, fallbacks) is noise for an operator; errors come back as errors too.
        ort::logging::LogLevel::Fatal | ort::logging::LogLevel::Error => {
            tracing::debug!(category, "onnxruntime: {text}");
        }
        _ => tracing::trace!(category, "onnxruntime: {text}"),
    }
}

fn in_words(error: &ort::LoadDynamicError) -> String {
    use ort::LoadDynamicError::{BadVersion, Dlopen, InvalidVersionString, MissingApi};
    match error {
        // The loader's own words are at the bottom.
        Dlopen { error, .. } => std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string),
        MissingApi { .. } => "it is a library, but not ONNX Runtime".into(),
        BadVersion { version_str, .. } => format!("it is version {version_str}"),
        InvalidVersionString => error.to_string(),
    }
}

/// The user's choice of a library.
fn named() -> Option<PathBuf> {
    std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn places() -> Vec<PathBuf> {
    if let Some(named) = named() {
        // Named means named: a wrong path is an error, not a reason to take another library.
        return vec![named];
    }
    let program = std::env::current_exe().ok().and_then(|p| p.parent().map(Path::to_path_buf));
    let mut places = Vec::new();
    if let Some(folder) = program {
        places.push(folder.join(LIBRARY));
        places.push(folder.join("../lib/sightwire").join(LIBRARY));
    }
    places.push(Path::new(env!("CARGO_MANIFEST_DIR")).join(".onnxruntime").join(LIBRARY));
    places
}

/// The library's own build information names branch and commit, not always the version: the version stands in the file.
fn version_of(path: &Path) -> String {
    let info = ort::info();
    let from_info = info.split("git-branch=rel-").nth(1).and_then(|rest| rest.split([',', ' ']).next());
    let beside = || std::fs::read_to_string(path.with_file_name("VERSION")).ok().map(|text| text.trim().to_owned());
    from_info.map(str::to_owned).or_else(beside).unwrap_or_else(|| "unknown".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_library_names_the_places_and_the_remedy() {
        let looked = "/nowhere/a.so, /nowhere/b.so".into();
        let error = InferenceError::RuntimeMissing { looked }.to_string();
        for part in ["/nowhere/a.so", "/nowhere/b.so", "make setup", "ORT_DYLIB_PATH"] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_no_library_is_an_error_and_no_panic() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Runtime::load_first(&[file.path().into()]).unwrap_err();
        assert!(matches!(error, InferenceError::RuntimeUnusable { .. }), "{error}");
    }
}
