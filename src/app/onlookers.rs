//! Each second's figures, for whoever looks on; nothing is measured or made while nobody does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::NodeFleet;
use super::cameras::CameraHandle;
use crate::domain::{Name, Timestamp};
use crate::envelope::FrameCounts;
use crate::http::Board as _;
use crate::live::{CameraFigures, FrameFigures, LiveMessage};

/// Says the figures once a second until `stop`.
pub async fn tell(fleet: Arc<NodeFleet>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = BTreeMap::new();
    while tokio::select! { () = stop.cancelled() => false, _ = tick.tick() => true } {
        let cameras = fleet.cameras.all();
        if fleet.feed.viewers() == 0 {
            for (_, camera) in &cameras {
                camera.view.metrics.recent.rest();
            }
            before.clear();
            continue;
        }
        let mut counts = BTreeMap::new();
        for (name, camera) in &cameras {
            let now = camera.state().frames;
            if let Some(figures) = figures(name, camera, before.get(name).copied().unwrap_or(now), now) {
                fleet.feed.say(Some(name), || LiveMessage::Figures(figures));
            }
            counts.insert(name.clone(), now);
        }
        before = counts;
        fleet.feed.say(None, || LiveMessage::Buses { timestamp: Timestamp::now(), buses: fleet.bus_figures() });
    }
}

/// `None` in the first second of a viewer: measuring begins with it.
fn figures(name: &Name, camera: &CameraHandle, before: FrameCounts, now: FrameCounts) -> Option<CameraFigures> {
    let metrics = &camera.view.metrics;
    let taken = metrics.recent.take()?;
    Some(CameraFigures {
        timestamp: Timestamp::now(),
        camera: name.clone(),
        fps: camera.view.fps(),
        frames: FrameFigures {
            read: now.read.saturating_sub(before.read),
            inferred: now.inferred.saturating_sub(before.inferred),
            still: now.still.saturating_sub(before.still),
            dropped: now.dropped.saturating_sub(before.dropped),
        },
        queue: metrics.totals.queued(),
        latency: taken.publish.map(Into::into),
        stages: taken.stages.into_iter().map(|(stage, spread)| (stage.as_str(), spread.into())).collect(),
        labels: taken.labels,
    })
}
