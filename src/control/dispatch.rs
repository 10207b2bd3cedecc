//! From a command to its answers: every target answers once, with what was applied.

use std::future::Future;

use futures_util::future::join_all;

use super::{Refusal, parse};
use crate::domain::{Name, RawCommand, Target, Timestamp};
use crate::envelope::{CameraState, Command, DesiredState, NodeState, Reply, ReplyState, Verb};
use crate::telemetry::count_command;

/// The node as the control room sees it.
pub trait Fleet: Send + Sync {
    fn node(&self) -> &Name;
    /// The cameras of this node that the target addresses.
    fn cameras(&self, target: &Target) -> Vec<Name>;
    /// Brings a camera into the state and waits until it is.
    fn switch(&self, camera: &Name, to: DesiredState) -> impl Future<Output = Result<CameraState, Refusal>> + Send;
    fn camera_state(&self, camera: &Name) -> Option<CameraState>;
    fn node_state(&self) -> NodeState;
}

/// Judges and carries out one command; the answers are to be sent where it came from.
pub async fn answer<F: Fleet>(fleet: &F, raw: &RawCommand) -> Vec<Reply> {
    let now = Timestamp::now();
    let command = match parse(raw, now) {
        Ok(command) => command,
        Err(refusal) => {
            let word = refusal.word.as_deref().and_then(|w| w.parse::<Verb>().ok()).map_or("unknown", Verb::as_str);
            count_command(word, refusal.code);
            tracing::warn!(target_name = %raw.target, bus = raw.bus, code = refusal.code, "command refused: {}", refusal.message);
            return vec![refused(fleet.node(), &raw.target.to_string(), None, &refusal)];
        }
    };
    let verb = command.command;
    tracing::info!(target_name = %raw.target, bus = raw.bus, command = verb.as_str(), id = command.id.as_deref(), "command");
    let cameras = fleet.cameras(&raw.target);
    let mut replies = Vec::new();
    let whole_node = matches!(raw.target, Target::Node(_) | Target::All);
    if whole_node && (verb == Verb::Status || cameras.is_empty()) {
        replies.push(node_status(fleet, &command));
    }
    let to = match verb {
        Verb::Start | Verb::Resume => Some(DesiredState::Running),
        Verb::Stop => Some(DesiredState::Stopped),
        Verb::Pause => Some(DesiredState::Paused),
        _ => None,
    };
    let answers = cameras.iter().map(|camera| one(fleet, &command, camera, to));
    replies.extend(join_all(answers).await);
    replies
}

async fn one<F: Fleet>(fleet: &F, command: &Command, camera: &Name, to: Option<DesiredState>) -> Reply {
    let target = Target::Camera(camera.clone()).to_string();
    let outcome = match (to, command.command) {
        // Resuming what is stopped would be a start by another name.
        (Some(_), Verb::Resume) if is_stopped(fleet, camera) => {
            Err(Refusal::new("not_paused", "the camera is stopped; use start"))
        }
        (Some(_), Verb::Pause) if is_stopped(fleet, camera) => {
            Err(Refusal::new("stopped", "the camera is stopped; there is nothing to pause"))
        }
        (Some(state), _) => fleet.switch(camera, state).await,
        (None, Verb::Status) => {
            fleet.camera_state(camera).ok_or_else(|| Refusal::new("unknown_camera", "no such camera on this node"))
        }
        (None, verb) => Err(Refusal::new(
            "unsupported",
            format!("{} is not supported in this version; start, stop, pause, resume and status are", verb.as_str()),
        )),
    };
    let verb = command.command.as_str();
    match outcome {
        Ok(state) => {
            count_command(verb, "ok");
            ok(fleet.node(), &target, command, ReplyState::Camera(Box::new(state)))
        }
        Err(refusal) => {
            count_command(verb, refusal.code);
            refused(fleet.node(), &target, Some(command), &refusal)
        }
    }
}

fn is_stopped<F: Fleet>(fleet: &F, camera: &Name) -> bool {
    fleet.camera_state(camera).is_some_and(|state| state.desired == DesiredState::Stopped)
}

fn node_status<F: Fleet>(fleet: &F, command: &Command) -> Reply {
    count_command(command.command.as_str(), "ok");
    let target = Target::Node(fleet.node().clone()).to_string();
    ok(fleet.node(), &target, command, ReplyState::Node(Box::new(fleet.node_state())))
}

fn ok(node: &Name, target: &str, command: &Command, state: ReplyState) -> Reply {
    Reply {
        id: command.id.clone(),
        node: node.clone(),
        command: Some(command.command.as_str().into()),
        target: target.into(),
        ok: true,
        applied_at: Some(Timestamp::now()),
        state: Some(state),
        error: None,
    }
}

fn refused(node: &Name, target: &str, command: Option<&Command>, refusal: &Refusal) -> Reply {
    Reply {
        id: command.and_then(|c| c.id.clone()).or_else(|| refusal.id.clone()),
        node: node.clone(),
        command: command.map(|c| c.command.as_str().to_owned()).or_else(|| refusal.word.clone()),
        target: target.into(),
        ok: false,
        applied_at: None,
        state: None,
        error: Some(refusal.error()),
    }
}
