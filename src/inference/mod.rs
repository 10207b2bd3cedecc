//! From a picture to boxes: ONNX Runtime behind one trait, one file a model family.

mod batch;
mod bundled;
mod config;
mod detector;
mod device;
mod error;
mod facts;
mod family;
mod feed;
mod graph;
mod labels;
mod nms;
mod output;
mod prepared;
mod preprocess;
mod runtime;
mod session;
mod spec;
#[doc(hidden)]
pub mod stages;

pub use bundled::KNOWN as BUNDLED;
pub use config::{
    Channels, FamilyChoice, InputConfig, Interpolation, LabelsConfig, ModelConfig, Padding, PerChannel, Resize,
};
pub use detector::{Asked, DetectAhead, DetectTiming, Detector, ModelInfo, OnnxDetector};
pub use device::{Device, Devices, PassedOver};
pub use error::InferenceError;
pub use labels::COCO;
pub use prepared::Prepared;
pub use runtime::Runtime;
