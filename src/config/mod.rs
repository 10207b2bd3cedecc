//! The YAML file: load, environment, validation of *all* problems with their places.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bus::BusesConfig;
use crate::domain::Name;
use crate::http::HttpConfig;
use crate::inference::ModelConfig;
use crate::pipeline::CameraConfig;

/// A node's whole configuration. The smallest useful file is one model and one camera.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// This node's name; default: the host's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Name>,
    /// Remembered switches live here; default: `sightwire` under `$XDG_STATE_HOME` (`~/.local/state`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_dir: Option<PathBuf>,
    #[serde(default)]
    pub buses: BusesConfig,
    pub models: BTreeMap<Name, ModelConfig>,
    pub cameras: BTreeMap<Name, CameraConfig>,
    #[serde(default)]
    pub http: HttpConfig,
}
