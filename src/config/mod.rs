//! The YAML file: load, environment, validation of *all* problems with their places.
//!
//! `yaml` reads a tree that knows its lines, `scalar` resolves variables, `schema` (made from each room's own types) says
//! what fits, `explain` says it in plain words, `sections` makes the types, `check` knows what no schema can say.

mod check;
mod explain;
mod live;
mod load;
mod problem;
mod resolve;
mod scalar;
mod schema;
mod sections;
mod tree;
mod yaml;

pub use live::{ChangeError, Changeable};
pub use load::{Loaded, load, load_text, load_with};
pub use problem::{ConfigError, Problem};
pub use schema::schema;
pub use tree::Place;

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bus::{BusesConfig, SpoolConfig};
use crate::control::ControlConfig;
use crate::domain::Name;
use crate::frigate::FrigateConfig;
use crate::homeassistant::HomeAssistantConfig;
use crate::http::HttpConfig;
use crate::inference::ModelConfig;
use crate::pipeline::CameraConfig;
use crate::telemetry::TelemetryConfig;

/// This node's name where no configuration gives one: the host's.
#[must_use]
pub fn this_node() -> Name {
    resolve::host_name(&|name| std::env::var(name).ok())
}

/// What is read when no file is named, in the current folder.
pub const DEFAULT_FILE: &str = "sightwire.yaml";

/// The remedy for a file without what it needs.
const SMALLEST: &str = "the smallest useful file: 'models: { shapes: { path: bundled:shapes } }' and \
                        'cameras: { demo: { source: synthetic:shapes, model: shapes } }'";

/// A node's whole configuration. The smallest useful file is one model and one camera.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// This node's name; default: the host's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Name>,
    /// Remembered switches and undelivered messages live here; default: `sightwire` under `$XDG_STATE_HOME` (`~/.local/state`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_dir: Option<PathBuf>,
    #[serde(default)]
    pub buses: BusesConfig,
    #[serde(default)]
    pub spool: SpoolConfig,
    pub models: BTreeMap<Name, ModelConfig>,
    pub cameras: BTreeMap<Name, CameraConfig>,
    #[serde(default)]
    pub control: ControlConfig,
    #[serde(default)]
    pub http: HttpConfig,
    /// Absent = nothing is announced to Home Assistant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub homeassistant: Option<HomeAssistantConfig>,
    /// Frigate's topics beside Sightwire's own; none by default.
    #[serde(default)]
    pub frigate: FrigateConfig,
    /// Traced frames; none by default.
    #[serde(default)]
    pub telemetry: TelemetryConfig,
}
