//! From a picture to boxes: ONNX Runtime behind one trait, one file a model family.

mod bundled;
mod config;
mod detector;
mod error;
mod family;
mod labels;
mod nms;
mod preprocess;
mod runtime;
mod session;

pub use bundled::KNOWN as BUNDLED;
pub use config::{Device, Devices, FamilyChoice, LabelsConfig, ModelConfig};
pub use detector::{DetectTiming, Detector, ModelInfo, OnnxDetector};
pub use error::InferenceError;
pub use labels::COCO;
pub use runtime::Runtime;
