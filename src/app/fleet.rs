//! The node as the control room and the HTTP room see it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde_json::{Map, Value};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::cameras::{CameraHandle, Cameras};
use super::push;
use super::yard::Yard;
use crate::bus::{Fanout, LinkState, Message, Publisher, SpoolState};
use crate::codec;
use crate::control::{Answer, Fleet, Guard, Overrides, Refusal, Switches, answer};
use crate::domain::{BootId, Name, RawCommand, Target, Timestamp};
use crate::envelope::{
    ActualState, Audit, BusState, CameraState, CameraSummary, DesiredState, Detections, Encoding, KeyframeMeta,
    NodeState, Reply, SpoolSummary,
};
use crate::http::{Board, Part, PushRefusal, PushedPicture, Readiness};
use crate::live::webrtc::WebRtc;
use crate::live::{BusFigures, Feed, MessageFigures, Studio};
use crate::pipeline::Desired;
use crate::telemetry::{Format, Telemetry};

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
    pub yard: Arc<Yard>,
    pub buses: Vec<(&'static str, watch::Receiver<LinkState>)>,
    pub spools: Vec<(&'static str, watch::Receiver<SpoolState>)>,
    pub fanout: Arc<Fanout>,
    pub switches: Arc<Switches>,
    pub guard: Arc<Guard>,
    pub overrides: Arc<Overrides>,
    /// Cancelled by `shutdown`: whoever runs the node ends it.
    pub ending: CancellationToken,
    pub telemetry: Telemetry,
    pub feed: Arc<Feed>,
    pub webrtc: Option<WebRtc>,
}

impl NodeFleet {
    /// Reads the configuration again and carries it out; what became of it is logged, and part of the node's state.
    pub async fn read_again(&self) {
        let _told = self.yard.reload().await;
    }

    fn spool(&self, bus: &str) -> Option<SpoolState> {
        let (_, state) = self.spools.iter().find(|(name, _)| *name == bus)?;
        Some(state.borrow().clone()).filter(|state| !state.detail.is_empty())
    }

    pub(super) fn handle(&self, camera: &Name) -> Result<Arc<CameraHandle>, Refusal> {
        let unknown = || Refusal::new("unknown_camera", "no such camera on this node");
        self.cameras.get(camera.as_str()).ok_or_else(unknown)
    }

    /// Waits until the camera has acted upon what was wished; by which handle, for a reload may have exchanged it.
    async fn acted(&self, camera: &Name, generation: u64) -> Result<Arc<CameraHandle>, Refusal> {
        let mut changes = self.cameras.changes();
        let acted = async {
            loop {
                changes.mark_unchanged();
                let handle = self.handle(camera)?;
                let mut applied = handle.applied.clone();
                if applied.wait_for(|a| a.desired.generation >= generation).await.is_ok() {
                    return Ok(handle);
                }
                // Its task has ended: another takes its place, or none does.
                tokio::select! {
                    _ = changes.changed() => {}
                    () = self.yard.ending().cancelled() => {
                        return Err(Refusal::new("shutting_down", "the node is ending, and its cameras with it"));
                    }
                }
            }
        };
        let late = || Refusal::new("timeout", format!("not applied within {APPLY:?}; it is still wanted"));
        tokio::time::timeout(APPLY, acted).await.map_err(|_| late())?
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

    fn boot_id(&self) -> &BootId {
        &self.boot_id
    }

    fn guard(&self) -> &Guard {
        &self.guard
    }

    fn audit(&self, audit: Audit) {
        let id = format!("{}-{}-audit-{}", self.node, self.boot_id, audit.seq);
        let payload = codec::encode_json(&audit).0;
        self.fanout.offer(Message::audit(self.node.clone(), payload, id, codec::late(Encoding::Json)));
    }

    fn cameras(&self, target: &Target) -> Vec<Name> {
        let addressed = |(name, handle): &(Name, Arc<CameraHandle>)| match target {
            Target::Camera(camera) => camera == name,
            Target::Group(group) => handle.is_in(group),
            Target::Node(node) => *node == self.node,
            Target::All => true,
        };
        self.cameras.all().into_iter().filter(addressed).map(|(name, _)| name).collect()
    }

    fn wished(&self, camera: &Name) -> Option<DesiredState> {
        self.cameras.get(camera.as_str()).map(|handle| handle.desired.borrow().state)
    }

    async fn switch(&self, camera: &Name, to: DesiredState, anew: bool) -> Answer {
        let handle = self.handle(camera)?;
        // The wish first: a full disk must not keep a camera from stopping.
        let wanted = wish(&handle, |desired| {
            desired.state = to;
            desired.begins += u64::from(anew);
        });
        let remembered = self.remember().await;
        let handle = self.acted(camera, wanted).await?;
        if to != DesiredState::Running {
            self.quiet(camera, &handle).await;
        }
        // A stop that was answered with ok must hold even if the power fails now.
        remembered?;
        alive(&handle)
    }

    async fn restart(&self, camera: &Name) -> Answer {
        let handle = self.handle(camera)?;
        let wanted = wish(&handle, |desired| desired.restarts += 1);
        alive(&*self.acted(camera, wanted).await?)
    }

    async fn set(&self, camera: &Name, args: &Map<String, Value>) -> Answer {
        self.set_settings(camera, args).await
    }

    async fn reset(&self, camera: &Name) -> Answer {
        self.reset_settings(camera).await
    }

    async fn snapshot(&self, camera: &Name) -> Result<(CameraState, KeyframeMeta), Refusal> {
        self.shoot(camera).await
    }

    async fn reload(&self) -> Result<NodeState, Refusal> {
        self.yard.reload().await?;
        Ok(self.node_state())
    }

    async fn shutdown(&self) -> Result<NodeState, Refusal> {
        tracing::info!("a command: ending in order");
        // The answer is offered before the buses close, and they are given time to deliver it.
        self.ending.cancel();
        Ok(self.node_state())
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
            models: self.yard.models(),
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
            reload: self.yard.last_reload(),
        }
    }
}

/// Changes what is wanted of a camera; gives the wish's number.
fn wish(handle: &CameraHandle, change: impl FnOnce(&mut Desired)) -> u64 {
    let mut number = 0;
    handle.desired.send_modify(|desired| {
        change(desired);
        desired.generation += 1;
        number = desired.generation;
    });
    number
}

/// The camera's state, unless nothing can bring it to life.
fn alive(handle: &CameraHandle) -> Answer {
    let state = handle.state();
    match state.reason {
        Some(reason) if handle.is_broken() && state.desired != DesiredState::Stopped => {
            Err(Refusal::new("camera_failed", reason.message))
        }
        _ => Ok(state),
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
            // Stopped, paused and ended are as somebody wanted them. Who waits to be pushed a picture is ready for it: held
            // back by a load balancer until one came, none would ever come.
            let ready = match applied.actual {
                ActualState::Connecting => handle.push.is_some(),
                ActualState::Failed => false,
                _ => true,
            };
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

    fn push<'a>(&'a self, camera: &'a str, picture: PushedPicture) -> BoxFuture<'a, Result<u64, PushRefusal>> {
        Box::pin(async move {
            let camera = self.cameras.get(camera).ok_or(PushRefusal::UnknownCamera)?;
            push::push(&camera, picture).await
        })
    }

    fn feed(&self) -> &Feed {
        &self.feed
    }

    fn bus_figures(&self) -> Vec<BusFigures> {
        let figures = self.fanout.figures().into_iter();
        figures
            .map(|(name, tally, round_trip)| {
                let state = self.buses.iter().find(|(bus, _)| *bus == name).map(|(_, state)| state.borrow().clone());
                let state = state.unwrap_or_default();
                BusFigures {
                    name: name.into(),
                    connected: state.connected,
                    problem: state.problem(),
                    round_trip: round_trip.map(|took| took.as_secs_f64() * 1e3),
                    messages: MessageFigures {
                        waiting: tally.waiting,
                        delivered: tally.delivered(),
                        lost: tally.lost(),
                    },
                }
            })
            .collect()
    }

    fn metrics(&self, format: Format) -> Vec<u8> {
        self.telemetry.write(format)
    }
}
