//! The `models:` part of the configuration.

mod input;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::device::Devices;
pub use input::{Channels, InputConfig, Interpolation, Padding, PerChannel, Resize};

/// One ONNX model, shared by the cameras that name it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// The ONNX file, relative to the configuration file; or `bundled:shapes`, the project's own small detector.
    pub path: PathBuf,
    /// How the outputs are decoded; `auto` reads it off the model.
    #[serde(default)]
    pub family: FamilyChoice,
    /// How pictures are prepared; what is absent is as the family has it.
    #[serde(default, skip_serializing_if = "InputConfig::is_default")]
    pub input: InputConfig,
    /// A name (`coco`), a file (one label a line), or a list; default: the model's own metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<LabelsConfig>,
    /// Detections below this score are not made.
    #[serde(default = "defaults::confidence")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub confidence: f32,
    /// Of two boxes of one class that overlap more than this, the lower score goes (non-maximum suppression).
    #[serde(default = "defaults::iou")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub iou: f32,
    /// Suppress across classes too.
    #[serde(default)]
    pub class_agnostic_nms: bool,
    /// The best so many candidates enter suppression.
    #[serde(default = "defaults::max_candidates")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_candidates: usize,
    /// The best so many detections a frame are kept.
    #[serde(default = "defaults::max_detections")]
    #[schemars(range(min = 1, max = 10_000))]
    pub max_detections: usize,
    /// What it runs on, or several: the first that the ONNX Runtime at hand has and that runs the model is taken.
    #[serde(default)]
    pub device: Devices,
    /// Sessions; the cameras of this model share them in turn.
    #[serde(default = "defaults::one")]
    #[schemars(range(min = 1, max = 64))]
    pub workers: usize,
    /// Threads of one session.
    #[serde(default = "defaults::one")]
    #[schemars(range(min = 1, max = 256))]
    pub threads: usize,
    /// The newest frames of so many cameras go into one run at most, where the model's batch is open; nothing waits for a batch
    /// to fill. Default: 8 on `cuda` and `rocm`, else 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 64))]
    pub max_batch: Option<usize>,
    /// On `device: cpu`, keep the graph as ONNX Runtime optimised it in `<state_dir>/<node>/graphs`, for a quicker next start.
    #[serde(default = "defaults::yes")]
    pub keep_graph: bool,
}

impl ModelConfig {
    /// A model with every default.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            family: FamilyChoice::Auto,
            input: InputConfig::default(),
            labels: None,
            confidence: defaults::confidence(),
            iou: defaults::iou(),
            class_agnostic_nms: false,
            max_candidates: defaults::max_candidates(),
            max_detections: defaults::max_detections(),
            device: Devices::default(),
            workers: 1,
            threads: 1,
            max_batch: None,
            keep_graph: true,
        }
    }
}

/// A model family: how its input is prepared and its outputs are decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FamilyChoice {
    #[default]
    Auto,
    /// YOLOv8, YOLO11 and kin: `[1, 4+classes, anchors]`, boxes in pixels, no objectness.
    Yolo,
    /// YOLOv5 and v7: `[1, 3 * cells, 5+classes]` with objectness; YOLOv6's `[1, cells, 5+classes]`.
    Yolov5,
    /// YOLOX: grid `[1, cells, 5+classes]`, raw or decoded.
    Yolox,
    /// NanoDet (scores and box bins of each stride) and NanoDet-Plus (both in one output).
    Nanodet,
    /// FastestDet: `[1, 5+classes, rows, columns]`.
    Fastestdet,
    /// Ultra-Light face detectors (RFB, slim; 320, 640): scores and boxes of each prior.
    Ultraface,
    /// YOLO exports with suppression inside: `[1, N, 6]` (YOLOv10, YOLO26, `nms=True`), `[N, 7]` (YOLOv7), `num_dets`, ….
    YoloEnd2end,
    /// RT-DETR, D-FINE, DEIM, RF-DETR, DETR and kin: `labels`, `boxes`, `scores`, or logits and boxes.
    Detr,
    /// SSD, TensorFlow's object detection API, torchvision: boxes, classes and scores apart.
    Ssd,
}

impl FamilyChoice {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Yolo => "yolo",
            Self::Yolov5 => "yolov5",
            Self::Yolox => "yolox",
            Self::Nanodet => "nanodet",
            Self::Fastestdet => "fastestdet",
            Self::Ultraface => "ultraface",
            Self::YoloEnd2end => "yolo_end2end",
            Self::Detr => "detr",
            Self::Ssd => "ssd",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(
    description = "`coco`, `coco91` (by COCO's own numbers), a file (one label a line, or JSON), or a list of labels"
)]
pub enum LabelsConfig {
    /// `coco`, or the path of a file.
    Named(String),
    List(#[schemars(length(min = 1))] Vec<String>),
}

mod defaults {
    pub(super) fn confidence() -> f32 {
        0.4
    }
    pub(super) fn iou() -> f32 {
        0.5
    }
    pub(super) fn max_candidates() -> usize {
        3000
    }
    pub(super) fn max_detections() -> usize {
        300
    }
    pub(super) fn yes() -> bool {
        true
    }
    pub(super) fn one() -> usize {
        1
    }
}
