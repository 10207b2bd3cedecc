//! What can go wrong between a model file and a box.

/// Every text names the model and what to do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum InferenceError {
    #[error(
        "ONNX Runtime's library was not found; looked at: {looked}. Run `make setup`, or set ORT_DYLIB_PATH to libonnxruntime.so"
    )]
    RuntimeMissing { looked: String },
    #[error(
        "ORT_DYLIB_PATH names {path}, and there is no such file; set it to ONNX Runtime's libonnxruntime.so, or unset it to use the one of `make setup`"
    )]
    RuntimeMisnamed { path: String },
    #[error(
        "{path}: ONNX Runtime's library cannot be used: {why}. ONNX Runtime 1.22 or newer is needed: run `make setup`, or set ORT_DYLIB_PATH to its libonnxruntime.so"
    )]
    RuntimeUnusable { path: String, why: String },
    #[error("{model}: cannot be read: {why}; check `path` (it is taken relative to the configuration file)")]
    Unreadable { model: String, why: String },
    #[error("{model}: no detector of this name comes with the program; known: {known}")]
    NotBundled { model: String, known: &'static str },
    #[error("{model}: is no ONNX model that ONNX Runtime can load: {why}; export or copy it again")]
    NotLoadable { model: String, why: String },
    #[error(
        "{model}: none of the devices asked for can be used: {why}; this library has: {offered}; set `device: cpu`, or ORT_DYLIB_PATH to an ONNX Runtime built for the device"
    )]
    Device { model: String, why: String, offered: String },
    #[error("{model}: its input is not understood: {why}\n{shape}")]
    UnknownInput { model: String, why: String, shape: String },
    #[error(
        "{model}: its outputs are of no family known here\n{shape}\n{closest}\nKnown families: {known}. If it is one of them, export it again in one of the forms that docs/families.md lists"
    )]
    UnknownOutputs { model: String, closest: String, shape: String, known: String },
    #[error("{model}: `family: {asked}` does not fit: {why}\n{shape}\nKnown families: auto, {known}")]
    OtherFamily { model: String, asked: &'static str, why: String, shape: String, known: String },
    #[error(
        "{model}: {labels_from} gives {labels} labels, but the model has {classes} classes; make them the same number"
    )]
    LabelCount { model: String, labels_from: String, labels: usize, classes: usize },
    #[error("{model}: {classes}, and has no names in its metadata; set `labels:` (coco, a file, or a list)")]
    NoLabels { model: String, classes: String },
    #[error("{model}: labels file {path}: {why}")]
    LabelsFile { model: String, path: String, why: String },
    #[error("{model}: a picture of {width}x{height} pixels and {bytes} bytes is none")]
    NoPicture { model: String, width: u32, height: u32, bytes: usize },
    #[error("{model}: its outputs cannot be read as those of {family}: {why}")]
    Decode { model: String, family: &'static str, why: String },
    #[error(
        "{model}: what it finds is no numbers (NaN or infinite). Float16 that overflows does so: export the model as float32, or run it on another `device:`; or its input is prepared wrongly (`input:`)"
    )]
    NotNumbers { model: String },
    #[error("{model}: inference failed: {why}")]
    Run { model: String, why: String },
}

impl InferenceError {
    /// The reason code of a camera's `state`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::RuntimeMissing { .. } | Self::RuntimeMisnamed { .. } | Self::RuntimeUnusable { .. } => {
                "onnxruntime_unusable"
            }
            Self::Unreadable { .. } | Self::NotBundled { .. } => "model_not_found",
            Self::NotLoadable { .. } => "model_not_loadable",
            Self::Device { .. } => "device_unusable",
            Self::UnknownInput { .. } | Self::UnknownOutputs { .. } | Self::OtherFamily { .. } => {
                "model_not_recognised"
            }
            Self::LabelCount { .. } | Self::NoLabels { .. } | Self::LabelsFile { .. } => "model_labels",
            Self::NoPicture { .. } | Self::Decode { .. } | Self::NotNumbers { .. } | Self::Run { .. } => {
                "inference_failed"
            }
        }
    }
}
