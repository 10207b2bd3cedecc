//! The yard: cameras and models of a node that lives, and how they come and go while the others go on.

mod plan;
mod reload;
mod tenant;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Mutex, MutexGuard, RwLockReadGuard};
use tokio_util::sync::CancellationToken;

pub use self::plan::used;
pub use self::tenant::{CameraPast, Tenancy, Tenant};
use super::cameras::{CameraYard, Cameras};
use super::frigate::Frigate;
use super::models::Models;
use crate::bus::{ControlTopics, Fanout, Subscriptions};
use crate::config::Config;
use crate::control::{CountedLabels, Guard, Overrides, Switches};
use crate::domain::{BootId, Name};
use crate::envelope::{ModelSummary, ReloadSummary};
use crate::inference::Runtime;
use crate::live::{Feed, VideoConfig};
use crate::pipeline::{FirstSeen, KeyframeQueue};
use crate::telemetry::{CameraMetrics, ModelMetrics, Telemetry, Tracer};

/// What cameras are made from, for as long as the node lives.
pub struct Grounds {
    /// The configuration's file.
    pub file: PathBuf,
    pub node: Name,
    pub boot_id: BootId,
    pub runtime: Runtime,
    pub fanout: Arc<Fanout>,
    pub subscriptions: Subscriptions,
    pub keyframes: Arc<KeyframeQueue>,
    pub video: VideoConfig,
    pub switches: Arc<Switches>,
    pub overrides: Arc<Overrides>,
    pub guard: Arc<Guard>,
    pub counted: Arc<CountedLabels>,
    pub first_seen: FirstSeen,
    pub frigate: Arc<Frigate>,
    pub feed: Arc<Feed>,
    pub telemetry: Telemetry,
    /// None: no frame is traced.
    pub tracer: Option<Tracer>,
    /// Where cameras live, whoever asks for a reload and from where.
    pub tasks: Handle,
    /// The node ends.
    pub shutdown: CancellationToken,
}

/// See the module's words.
pub struct Yard {
    grounds: Grounds,
    pub cameras: Arc<Cameras>,
    /// Who holds it changes cameras and models; one at a time.
    held: Mutex<Held>,
    /// Written while a reload exchanges cameras and their settings, read by who changes settings.
    exchange: tokio::sync::RwLock<()>,
    models: RwLock<Vec<ModelSummary>>,
    last: RwLock<Option<ReloadSummary>>,
}

/// What a reload changes.
pub struct Held {
    pub config: Config,
    pub models: Models,
    pub tenants: BTreeMap<Name, Tenant>,
    /// Of every camera that ever was in this boot.
    pasts: BTreeMap<Name, CameraPast>,
}

impl Yard {
    /// Starts every camera. `metrics`: of the cameras that are there from the beginning.
    #[must_use]
    pub fn open(
        grounds: Grounds,
        config: Config,
        models: Models,
        metrics: BTreeMap<Name, Arc<CameraMetrics>>,
    ) -> Arc<Self> {
        let past = |(name, metrics)| {
            let past = CameraPast::new(metrics, grounds.switches.get(&name));
            (name, past)
        };
        let pasts = metrics.into_iter().map(past).collect();
        let shown = RwLock::new(models.summaries());
        for (name, model) in &models.loaded {
            show_model(&grounds.telemetry, name, model, true);
        }
        let mut held = Held { config, models, tenants: BTreeMap::new(), pasts };
        let cameras = Arc::new(Cameras::default());
        let names: Vec<Name> = held.config.cameras.keys().cloned().collect();
        for name in names {
            start(&grounds, &cameras, &mut held, &name);
        }
        let (held, exchange) = (Mutex::new(held), tokio::sync::RwLock::default());
        Arc::new(Self { grounds, cameras, held, exchange, models: shown, last: RwLock::default() })
    }

    /// Waits until no reload is under way, and keeps others away while it is held.
    pub async fn hold(&self) -> MutexGuard<'_, Held> {
        self.held.lock().await
    }

    /// No reload exchanges cameras or their settings while this is held; `None` if one goes on for so long.
    pub async fn steady(&self, patience: Duration) -> Option<RwLockReadGuard<'_, ()>> {
        if let Ok(steady) = self.exchange.try_read() {
            return Some(steady);
        }
        tokio::time::timeout(patience, self.exchange.read()).await.ok()
    }

    /// The node ends, or has ended.
    pub fn ending(&self) -> &CancellationToken {
        &self.grounds.shutdown
    }

    /// The models as they are now.
    pub fn models(&self) -> Vec<ModelSummary> {
        self.models.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the last reload did.
    pub fn last_reload(&self) -> Option<ReloadSummary> {
        self.last.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Starts a camera of the configuration: as it was wanted until now, else as is remembered.
fn start(grounds: &Grounds, cameras: &Cameras, held: &mut Held, name: &Name) {
    let Some(config) = held.config.cameras.get(name) else { return };
    let yard = CameraYard {
        node: grounds.node.clone(),
        boot_id: grounds.boot_id.clone(),
        publisher: grounds.fanout.clone(),
        keyframes: grounds.keyframes.clone(),
        video: grounds.video,
        models: &held.models,
        overrides: &grounds.overrides,
        counted: &grounds.counted,
        first_seen: grounds.first_seen.clone(),
        frigate: grounds.frigate.topics(),
        tracer: grounds.tracer.clone(),
        feed: grounds.feed.clone(),
        shutdown: grounds.shutdown.child_token(),
    };
    let past = held.pasts.entry(name.clone()).or_insert_with(|| {
        let metrics = Arc::new(CameraMetrics::new(name.as_str()));
        grounds.fanout.fill(name, &metrics);
        CameraPast::new(metrics, grounds.switches.get(name))
    });
    let end = yard.shutdown.clone();
    let (handle, task, tenancy) = yard.start(name, config, past);
    let handle = cameras.insert(name.clone(), handle);
    held.tenants.insert(name.clone(), Tenant { handle, end, task, tenancy });
    grounds.telemetry.hide(&[("camera", name.as_str())], false);
}

/// All control topics of a configuration.
#[must_use]
pub fn control_topics(node: &Name, config: &Config) -> ControlTopics {
    let groups: std::collections::BTreeSet<Name> =
        config.cameras.values().flat_map(|camera| camera.groups.iter().cloned()).collect();
    ControlTopics::new(node, config.cameras.keys().cloned(), groups)
}

fn show_model(telemetry: &Telemetry, name: &Name, model: &super::models::Model, yes: bool) {
    let (family, device) = (model.info.family, model.info.device.as_str());
    if yes {
        crate::telemetry::set_model_info(name.as_str(), family, device);
        ModelMetrics::new(name.as_str()).workers(model.count);
    }
    telemetry.hide(&[("model", name.as_str()), ("family", family), ("device", device)], !yes);
    telemetry.hide(&[("model", name.as_str())], !yes);
}
