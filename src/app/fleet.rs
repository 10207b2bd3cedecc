//! The node as the control room and the HTTP room see it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::cameras::{CameraHandle, Cameras};
use crate::bus::{Fanout, LinkState, SpoolState};
use crate::control::{Fleet, Refusal, Switches, answer};
use crate::domain::{BootId, Name, RawCommand, Target, Timestamp};
use crate::envelope::{
    ActualState, BusState, CameraState, CameraSummary, DesiredState, Detections, ModelSummary, NodeState, Reply,
    SpoolSummary,
};
use crate::http::{Board, Part, Readiness};
use crate::live::Studio;
use crate::live::webrtc::WebRtc;
use crate::telemetry::Telemetry;

/// A camera that has not acted upon a wish by then is answered for as late.
const APPLY: Duration = Duration::from_secs(5);

/// For what a camera said before it was switched off to be sent or acknowledged, before the switch is answered.
const QUIET: Duration = Duration::from_secs(2);

pub struct NodeFleet {
    pub node: Name,
    pub boot_id: BootId,
    pub started_at: Timestamp,
    pub onnxruntime: String,
    pub cameras: Arc<Cameras>,
    pub models: Vec<ModelSummary>,
    pub buses: Vec<(&'static str, watch::Receiver<LinkState>)>,
    pub spools: Vec<(&'static str, watch::Receiver<SpoolState>)>,
    pub fanout: Arc<Fanout>,
    pub switches: Arc<Switches>,
    pub telemetry: Telemetry,
    pub webrtc: Option<WebRtc>,
}

impl NodeFleet {
    fn spool(&self, bus: &str) -> Option<SpoolState> {
        let (_, state) = self.spools.iter().find(|(name, _)| *name == bus)?;
        Some(state.borrow().clone()).filter(|state| !state.detail.is_empty())
    }

    async fn remember(&self) -> Result<(), Refusal> {
        let (cameras, switches) = (self.cameras.clone(), self.switches.clone());
        let wished =
            move || cameras.all().into_iter().map(|(name, handle)| (name, handle.desired.borrow().state)).collect();
        let written = tokio::task::spawn_blocking(move || switches.remember(wished)).await;
        let refuse =
            |why: String| Refusal::new("not_remembered", format!("applied, but lost with the next restart: {why}"));
        written.map_err(|e| refuse(e.to_string()))?.map_err(|e| refuse(e.to_string()))
    }

    /// Lets what the camera said go out before the answer, for replies overtake everything else in the outbox: after the
    /// answer to a stop nothing of the camera may come. What waits for a bus that is down is not waited for.
    async fn quiet(&self, camera: &Name, handle: &CameraHandle) {
        let keyframes = handle.keyframes.clone();
        let waits = || {
            let up = self.buses.iter().filter(|(_, state)| state.borrow().connected);
            up.map(|(bus, _)| self.fanout.waiting_of(bus, camera)).sum::<u64>() > 0
        };
        let quiet = async {
            let _joined = tokio::task::spawn_blocking(move || keyframes.settle()).await;
            while waits() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(QUIET, quiet).await.is_err() {
            tracing::warn!(%camera, "a slow bus: messages from before the switch may come after its answer");
        }
    }
}

impl Fleet for NodeFleet {
    fn node(&self) -> &Name {
        &self.node
    }

    fn cameras(&self, target: &Target) -> Vec<Name> {
        let addressed = |(name, handle): &(Name, Arc<CameraHandle>)| match target {
            Target::Camera(camera) => camera == name,
            Target::Group(group) => handle.groups.contains(group),
            Target::Node(node) => *node == self.node,
            Target::All => true,
        };
        self.cameras.all().into_iter().filter(addressed).map(|(name, _)| name).collect()
    }

    fn wished(&self, camera: &Name) -> Option<DesiredState> {
        self.cameras.get(camera.as_str()).map(|handle| handle.desired.borrow().state)
    }

    async fn switch(&self, camera: &Name, to: DesiredState, anew: bool) -> Result<CameraState, Refusal> {
        let unknown = || Refusal::new("unknown_camera", "no such camera on this node");
        let handle = self.cameras.get(camera.as_str()).ok_or_else(unknown)?;
        let mut wanted = 0;
        // The wish first: a full disk must not keep a camera from stopping.
        handle.desired.send_modify(|desired| {
            desired.state = to;
            desired.generation += 1;
            desired.begins += u64::from(anew);
            wanted = desired.generation;
        });
        let remembered = self.remember().await;
        let mut applied = handle.applied.clone();
        let acted = tokio::time::timeout(APPLY, applied.wait_for(|a| a.desired.generation >= wanted));
        let acted = acted.await.is_ok_and(|applied| applied.is_ok());
        if !acted {
            return Err(Refusal::new("timeout", format!("not applied within {APPLY:?}; it is still wanted")));
        }
        if to != DesiredState::Running {
            self.quiet(camera, &handle).await;
        }
        // A stop that was answered with ok must hold even if the power fails now.
        remembered?;
        let state = handle.state();
        match state.reason {
            Some(reason) if handle.broken && to != DesiredState::Stopped => {
                Err(Refusal::new("camera_failed", reason.message))
            }
            _ => Ok(state),
        }
    }

    fn camera_state(&self, camera: &Name) -> Option<CameraState> {
        self.cameras.get(camera.as_str()).map(|handle| handle.state())
    }

    fn node_state(&self) -> NodeState {
        NodeState {
            timestamp: Timestamp::now(),
            node: self.node.clone(),
            boot_id: self.boot_id.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            onnxruntime: Some(self.onnxruntime.clone()),
            started_at: self.started_at,
            cameras: self
                .cameras
                .all()
                .into_iter()
                .map(|(name, handle)| CameraSummary { name, state: handle.applied.borrow().actual })
                .collect(),
            models: self.models.clone(),
            buses: self
                .buses
                .iter()
                .map(|(name, state)| {
                    let state = state.borrow();
                    BusState {
                        name: (*name).into(),
                        connected: state.connected,
                        problem: state.problem(),
                        spool: self.spool(name).map(|SpoolState { ok, detail }| SpoolSummary { ok, detail }),
                    }
                })
                .collect(),
        }
    }
}

impl Board for NodeFleet {
    fn cameras(&self) -> Vec<CameraState> {
        self.cameras.all().iter().map(|(_, handle)| handle.state()).collect()
    }

    fn latest(&self, camera: &str) -> Option<Arc<Detections>> {
        self.cameras.get(camera)?.latest.borrow().clone()
    }

    fn keyframe(&self, camera: &str) -> Option<Bytes> {
        self.cameras.get(camera)?.keyframes.last()
    }

    fn studio(&self, camera: &str) -> Option<Arc<Studio>> {
        Some(self.cameras.get(camera)?.studio.clone())
    }

    fn webrtc(&self) -> Option<&WebRtc> {
        self.webrtc.as_ref()
    }

    fn node(&self) -> NodeState {
        self.node_state()
    }

    fn readiness(&self) -> Readiness {
        let bus = |(name, state): &(&'static str, watch::Receiver<LinkState>)| {
            let state = state.borrow();
            Part { name: (*name).into(), ready: state.ready(), detail: state.shown() }
        };
        let camera = |(name, handle): &(Name, Arc<CameraHandle>)| {
            let applied = handle.applied.borrow();
            // Stopped, paused and ended are as somebody wanted them.
            let ready = !matches!(applied.actual, ActualState::Connecting | ActualState::Failed);
            let why = applied.reason.as_ref().map(|r| format!(": {}: {}", r.code, r.message)).unwrap_or_default();
            Part { name: name.to_string(), ready, detail: format!("{}{why}", applied.actual.as_str()) }
        };
        let spool = |(name, _): &(&'static str, watch::Receiver<SpoolState>)| {
            let SpoolState { ok, detail } = self.spool(name)?;
            Some(Part { name: (*name).into(), ready: ok, detail })
        };
        // Without its spool a node does its work all the same, so this part decides nothing.
        let spools = self.spools.iter().filter_map(spool).collect();
        let buses: Vec<Part> = self.buses.iter().map(bus).collect();
        let cameras: Vec<Part> = self.cameras.all().iter().map(camera).collect();
        Readiness { ready: buses.iter().chain(&cameras).all(|part| part.ready), buses, cameras, spools }
    }

    fn command<'a>(&'a self, command: &'a RawCommand) -> BoxFuture<'a, Vec<Reply>> {
        Box::pin(answer(self, command))
    }

    fn metrics(&self) -> String {
        self.telemetry.render()
    }
}
