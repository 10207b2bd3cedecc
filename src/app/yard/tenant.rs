//! One camera's place in the yard: what is kept of it while it lives, and after.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::app::cameras::CameraHandle;
use crate::app::models::Model;
use crate::domain::Name;
use crate::envelope::{DesiredState, Reason};
use crate::pipeline::{Desired, LaneId, Past, Processor, lock_processor};
use crate::telemetry::CameraMetrics;

/// For a camera to say what was captured and its last word: more than it takes itself.
const LEAVE: Duration = Duration::from_secs(8);

/// What goes on when a camera is restarted, or comes back: its numbers never go back within a boot.
pub struct CameraPast {
    pub metrics: Arc<CameraMetrics>,
    pub frame_ids: Arc<AtomicU64>,
    pub said: Past,
    /// What is wanted of it.
    pub desired: Arc<watch::Sender<Desired>>,
}

/// A camera's place at its model.
pub struct Tenancy {
    pub model: Arc<Model>,
    pub lane: LaneId,
    pub processor: Arc<Mutex<Processor>>,
}

/// A camera that lives.
pub struct Tenant {
    pub handle: Arc<CameraHandle>,
    pub end: CancellationToken,
    pub task: JoinHandle<()>,
    /// None where its model did not load.
    pub tenancy: Option<Tenancy>,
}

impl CameraPast {
    pub fn new(metrics: Arc<CameraMetrics>, remembered: DesiredState) -> Self {
        let desired = Desired { state: remembered, ..Desired::default() };
        let desired = Arc::new(watch::Sender::new(desired));
        Self { metrics, frame_ids: Arc::default(), said: Past::default(), desired }
    }
}

impl Tenant {
    /// Ends the camera and gives up its place; how far its numbers went. Nothing of it is said after this.
    pub async fn leave(mut self, name: &Name, why: Reason) -> Option<Past> {
        self.handle.view.leaves_because(why);
        self.end.cancel();
        if tokio::time::timeout(LEAVE, &mut self.task).await.is_err() {
            tracing::warn!(camera = %name, "late: it did not stop within {LEAVE:?}, and is cut off");
            self.task.abort();
        }
        let Tenancy { model, lane, processor } = self.tenancy?;
        model.turns.remove(lane);
        model.seats.write().unwrap_or_else(PoisonError::into_inner).retain(|seat| seat.lane != lane);
        let keyframes = self.handle.keyframes.clone();
        let past = tokio::task::spawn_blocking(move || {
            // A worker in mid-frame holds it until it has spoken; afterwards the lane is gone, and it speaks no more.
            let past = lock_processor(&processor).past();
            keyframes.settle();
            past
        });
        past.await.ok()
    }
}
