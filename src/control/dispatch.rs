//! From a command to its answers: every target answers once, with what was applied.

use std::future::Future;

use futures_util::future::join_all;

use super::{Guard, Refusal};
use crate::domain::{BootId, Name, Target, Timestamp};
use crate::envelope::{Audit, CameraState, Command, DesiredState, NodeState, Reply, ReplyState, Verb};
use crate::telemetry::count_command;

/// The node as the control room sees it.
pub trait Fleet: Send + Sync {
    fn node(&self) -> &Name;
    fn boot_id(&self) -> &BootId;
    /// Who may command what.
    fn guard(&self) -> &Guard;
    /// Publishes what was commanded.
    fn audit(&self, audit: Audit);
    /// The cameras of this node that the target addresses.
    fn cameras(&self, target: &Target) -> Vec<Name>;
    /// What is wanted of a camera now, acted upon or not.
    fn wished(&self, camera: &Name) -> Option<DesiredState>;
    /// Wishes the camera into the state (before the first wait: whoever polls this once has said it), then waits until it
    /// is there. `anew`: what has ended or failed begins again.
    fn switch(
        &self,
        camera: &Name,
        to: DesiredState,
        anew: bool,
    ) -> impl Future<Output = Result<CameraState, Refusal>> + Send;
    fn camera_state(&self, camera: &Name) -> Option<CameraState>;
    fn node_state(&self) -> NodeState;
}

/// Every target answers once.
pub(super) async fn carry_out<F: Fleet>(fleet: &F, target: &Target, command: &Command) -> Vec<Reply> {
    let verb = command.command;
    let cameras = fleet.cameras(target);
    let mut replies = Vec::new();
    let whole_node = matches!(target, Target::Node(_) | Target::All);
    let to = match verb {
        Verb::Start | Verb::Resume => Some(DesiredState::Running),
        Verb::Stop => Some(DesiredState::Stopped),
        Verb::Pause => Some(DesiredState::Paused),
        _ => None,
    };
    if whole_node && verb == Verb::Status {
        replies.push(node_status(fleet, command));
    } else if whole_node && cameras.is_empty() {
        let refusal = match to {
            Some(_) => Refusal::new("no_camera", "this node has no camera"),
            None => unsupported(verb),
        };
        count_command(verb.as_str(), refusal.code);
        replies.push(refused(fleet.node(), &target.to_string(), Some(command), &refusal));
    }
    let answers = cameras.iter().map(|camera| one(fleet, command, camera, to));
    replies.extend(join_all(answers).await);
    replies
}

async fn one<F: Fleet>(fleet: &F, command: &Command, camera: &Name, to: Option<DesiredState>) -> Reply {
    let target = Target::Camera(camera.clone()).to_string();
    let stopped = fleet.wished(camera) == Some(DesiredState::Stopped);
    let outcome = match (to, command.command) {
        // Resuming what is stopped would be a start by another name.
        (Some(_), Verb::Resume) if stopped => Err(Refusal::new("not_paused", "the camera is stopped; use start")),
        (Some(_), Verb::Pause) if stopped => {
            Err(Refusal::new("stopped", "the camera is stopped; there is nothing to pause"))
        }
        (Some(state), verb) => fleet.switch(camera, state, verb == Verb::Start).await,
        (None, Verb::Status) => {
            fleet.camera_state(camera).ok_or_else(|| Refusal::new("unknown_camera", "no such camera on this node"))
        }
        (None, verb) => Err(unsupported(verb)),
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

fn unsupported(verb: Verb) -> Refusal {
    let word = verb.as_str();
    Refusal::new(
        "unsupported",
        format!("{word} is not supported in this version; start, stop, pause, resume and status are"),
    )
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

pub(super) fn refused(node: &Name, target: &str, command: Option<&Command>, refusal: &Refusal) -> Reply {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use serde_json::json;

    use super::*;
    use crate::control::answer;
    use crate::domain::RawCommand;

    /// Cameras that do as they are told; `broken` cannot, and `slow` never says that it has.
    struct Cameras {
        node: Name,
        states: Mutex<BTreeMap<Name, DesiredState>>,
        guard: Guard,
        boot_id: BootId,
    }

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    impl Cameras {
        fn of(cameras: &[(&str, DesiredState)]) -> Self {
            let states = cameras.iter().map(|(camera, state)| (name(camera), *state)).collect();
            Self { node: name("garage"), states: Mutex::new(states), guard: Guard::open_door(), boot_id: BootId::new() }
        }

        fn wanted(&self, camera: &str) -> DesiredState {
            self.states.lock().unwrap()[&name(camera)]
        }

        async fn answers(&self, target: Target, payload: &'static str) -> Vec<(String, String)> {
            let raw = RawCommand { bus: "mqtt", target, payload: payload.into(), retained: false, reply_to: None };
            let said = |reply: Reply| (reply.target, reply.error.map_or_else(|| "ok".into(), |error| error.code));
            answer(self, &raw).await.into_iter().map(said).collect()
        }
    }

    impl Fleet for Cameras {
        fn node(&self) -> &Name {
            &self.node
        }

        fn boot_id(&self) -> &BootId {
            &self.boot_id
        }

        fn guard(&self) -> &Guard {
            &self.guard
        }

        fn audit(&self, _audit: Audit) {}

        fn cameras(&self, target: &Target) -> Vec<Name> {
            let states = self.states.lock().unwrap();
            let addressed = |camera: &&Name| match target {
                Target::Camera(wanted) => *camera == wanted,
                _ => true,
            };
            states.keys().filter(addressed).cloned().collect()
        }

        fn wished(&self, camera: &Name) -> Option<DesiredState> {
            self.states.lock().unwrap().get(camera).copied()
        }

        async fn switch(&self, camera: &Name, to: DesiredState, _anew: bool) -> Result<CameraState, Refusal> {
            if camera.as_str() == "broken" {
                return Err(Refusal::new("camera_failed", "its model did not load"));
            }
            self.states.lock().unwrap().insert(camera.clone(), to);
            if camera.as_str() == "slow" {
                std::future::pending::<()>().await;
            }
            Ok(self.camera_state(camera).unwrap())
        }

        fn camera_state(&self, camera: &Name) -> Option<CameraState> {
            let desired = *self.states.lock().unwrap().get(camera)?;
            let state = json!({
                "timestamp": 0, "camera": camera, "node": "garage", "boot_id": crate::domain::BootId::new(),
                "desired": desired, "actual": "running", "fps": 0.0,
                "settings": { "source": "x", "model": "m", "max_fps": 0.0, "confidence": 0.5,
                    "publish": crate::envelope::PublishConfig::default() },
                "frames": { "read": 0, "inferred": 0, "dropped": 0 },
            });
            Some(serde_json::from_value(state).unwrap())
        }

        fn node_state(&self) -> NodeState {
            let state = json!({
                "timestamp": 0, "node": "garage", "boot_id": crate::domain::BootId::new(), "version": "0",
                "started_at": 0, "cameras": [], "models": [], "buses": [],
            });
            serde_json::from_value(state).unwrap()
        }
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(target, said)| ((*target).into(), (*said).into())).collect()
    }

    #[tokio::test]
    async fn every_camera_addressed_answers_for_itself() {
        let fleet = Cameras::of(&[("broken", DesiredState::Running), ("door", DesiredState::Running)]);
        let said = fleet.answers(Target::All, "stop").await;
        assert_eq!(said, pairs(&[("camera/broken", "camera_failed"), ("camera/door", "ok")]));
        assert_eq!(fleet.wanted("door"), DesiredState::Stopped);
    }

    #[tokio::test]
    async fn a_wish_is_out_before_anything_is_waited_for() {
        let fleet = Cameras::of(&[("door", DesiredState::Running), ("slow", DesiredState::Running)]);
        let mut stopping = Box::pin(fleet.answers(Target::All, "stop"));
        assert!(futures_util::FutureExt::now_or_never(stopping.as_mut()).is_none(), "one camera is slow");
        assert_eq!((fleet.wanted("door"), fleet.wanted("slow")), (DesiredState::Stopped, DesiredState::Stopped));
        // The next command need not wait for it.
        let said = fleet.answers(Target::Camera(name("door")), "start").await;
        assert_eq!(said, pairs(&[("camera/door", "ok")]));
        assert_eq!(fleet.wanted("door"), DesiredState::Running);
    }

    #[tokio::test]
    async fn what_is_stopped_is_started_and_neither_resumed_nor_paused() {
        let fleet = Cameras::of(&[("door", DesiredState::Stopped)]);
        let door = || Target::Camera(name("door"));
        assert_eq!(fleet.answers(door(), "resume").await, pairs(&[("camera/door", "not_paused")]));
        assert_eq!(fleet.answers(door(), "pause").await, pairs(&[("camera/door", "stopped")]));
        assert_eq!(fleet.wanted("door"), DesiredState::Stopped);
        assert_eq!(fleet.answers(door(), "start").await, pairs(&[("camera/door", "ok")]));
        assert_eq!(fleet.wanted("door"), DesiredState::Running);
    }

    #[tokio::test]
    async fn ok_is_never_said_of_what_was_not_done() {
        let fleet = Cameras::of(&[("door", DesiredState::Running)]);
        let node = || Target::Node(name("garage"));
        assert_eq!(fleet.answers(node(), "restart").await, pairs(&[("camera/door", "unsupported")]));
        assert_eq!(fleet.answers(node(), "explode").await, pairs(&[("node/garage", "unknown_command")]));
        assert_eq!(fleet.answers(node(), "status").await, pairs(&[("node/garage", "ok"), ("camera/door", "ok")]));
        let empty = Cameras::of(&[]);
        assert_eq!(empty.answers(node(), "stop").await, pairs(&[("node/garage", "no_camera")]));
        assert_eq!(empty.answers(node(), "shutdown").await, pairs(&[("node/garage", "unsupported")]));
    }
}
