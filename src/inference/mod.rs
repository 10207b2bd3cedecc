//! From a picture to boxes: one ONNX Runtime session behind one trait, one file a model family.

mod config;

pub use config::{Device, Devices, FamilyChoice, LabelsConfig, ModelConfig};
