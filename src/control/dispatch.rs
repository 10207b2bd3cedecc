//! From a command to its answers: every target answers once, with what was applied.

use std::future::Future;

use futures_util::future::join_all;
use serde_json::{Map, Value};

use super::{Refusal, parse};
use crate::domain::{Name, RawCommand, Target, Timestamp};
use crate::envelope::{CameraState, Command, DesiredState, KeyframeMeta, NodeState, Reply, ReplyState, Verb};
use crate::telemetry::count_command;

/// The node as the control room sees it. What a method does to a camera's wishes or settings is done before its first wait:
/// whoever polls it once has said it. The rest is waiting until it is applied.
pub trait Fleet: Send + Sync {
    fn node(&self) -> &Name;
    /// The cameras of this node that the target addresses.
    fn cameras(&self, target: &Target) -> Vec<Name>;
    /// What is wanted of a camera now, acted upon or not.
    fn wished(&self, camera: &Name) -> Option<DesiredState>;
    fn camera_state(&self, camera: &Name) -> Option<CameraState>;
    fn node_state(&self) -> NodeState;

    /// Wishes the camera into the state. `anew`: what has ended or failed begins again.
    fn switch(&self, camera: &Name, to: DesiredState, anew: bool) -> impl Future<Output = Answer> + Send;
    /// Closes the camera's session and opens another.
    fn restart(&self, camera: &Name) -> impl Future<Output = Answer> + Send;
    /// Changes settings: all of them or none.
    fn set(&self, camera: &Name, args: &Map<String, Value>) -> impl Future<Output = Answer> + Send;
    /// Takes back what `set` changed.
    fn reset(&self, camera: &Name) -> impl Future<Output = Answer> + Send;
    /// A keyframe now.
    fn snapshot(&self, camera: &Name) -> impl Future<Output = Result<(CameraState, KeyframeMeta), Refusal>> + Send;
    /// Reads the configuration again.
    fn reload(&self) -> impl Future<Output = Result<NodeState, Refusal>> + Send;
    /// Ends the node in order, once this is answered.
    fn shutdown(&self) -> impl Future<Output = Result<NodeState, Refusal>> + Send;
}

/// What became of a camera.
pub type Answer = Result<CameraState, Refusal>;

/// Judges and carries out one command; the answers are to be sent where it came from. All wishes are said in the first
/// poll, so commands that are polled once in their order are carried out in that order, however long the answers take.
pub async fn answer<F: Fleet>(fleet: &F, raw: &RawCommand) -> Vec<Reply> {
    let command = match parse(raw, Timestamp::now()) {
        Ok(command) => command,
        Err(refusal) => {
            let word = refusal.word.as_deref().and_then(|w| w.parse::<Verb>().ok()).map_or("unknown", Verb::as_str);
            count_command(word, refusal.code);
            tracing::warn!(target_name = %raw.target, bus = raw.bus, code = refusal.code, "command refused: {}", refusal.message);
            return vec![refused(fleet.node(), &raw.target.to_string(), None, &refusal)];
        }
    };
    let (word, id) = (command.command.as_str(), command.id.as_deref());
    tracing::info!(target_name = %raw.target, bus = raw.bus, command = word, id, "command");
    carry_out(fleet, &raw.target, &command).await
}

/// Every target answers once.
async fn carry_out<F: Fleet>(fleet: &F, target: &Target, command: &Command) -> Vec<Reply> {
    let verb = command.command;
    let whole_node = matches!(target, Target::Node(_) | Target::All);
    let at_once = |refusal| vec![judged(fleet, &target.to_string(), command, Err(refusal))];
    if verb != Verb::Set && !command.args.is_empty() {
        return at_once(Refusal::new("bad_args", format!("{} takes no args; nothing was done", verb.as_str())));
    }
    if verb.is_for_nodes() {
        if !whole_node {
            let topic = format!("nodes/{}/control", fleet.node());
            let why = format!("{} is for a whole node: send it to {topic}, or to control for all nodes", verb.as_str());
            return at_once(Refusal::new("wrong_target", why));
        }
        let outcome = if verb == Verb::Reload { fleet.reload().await } else { fleet.shutdown().await };
        return vec![node_reply(fleet, command, outcome)];
    }
    let cameras = fleet.cameras(target);
    let mut replies = Vec::new();
    if whole_node && verb == Verb::Status {
        replies.push(node_reply(fleet, command, Ok(fleet.node_state())));
    } else if cameras.is_empty() {
        return at_once(match target {
            Target::Camera(_) => unknown_camera(),
            Target::Group(_) => Refusal::new("no_camera", "no camera of this node is in the group"),
            Target::Node(_) | Target::All => Refusal::new("no_camera", "this node has no camera"),
        });
    }
    replies.extend(join_all(cameras.iter().map(|camera| one(fleet, command, camera))).await);
    replies
}

async fn one<F: Fleet>(fleet: &F, command: &Command, camera: &Name) -> Reply {
    let target = Target::Camera(camera.clone()).to_string();
    let verb = command.command;
    if let Some(refusal) = refused_while_stopped(fleet, verb, camera) {
        return judged(fleet, &target, command, Err(refusal));
    }
    let outcome = match verb {
        Verb::Start | Verb::Resume => fleet.switch(camera, DesiredState::Running, verb == Verb::Start).await,
        Verb::Stop => fleet.switch(camera, DesiredState::Stopped, false).await,
        Verb::Pause => fleet.switch(camera, DesiredState::Paused, false).await,
        Verb::Restart => fleet.restart(camera).await,
        Verb::Set => fleet.set(camera, &command.args).await,
        Verb::Reset => fleet.reset(camera).await,
        Verb::Status => fleet.camera_state(camera).ok_or_else(unknown_camera),
        Verb::Snapshot => match fleet.snapshot(camera).await {
            Ok((state, keyframe)) => {
                let state = ReplyState::Camera(Box::new(state));
                return Reply { keyframe: Some(keyframe), ..judged(fleet, &target, command, Ok(state)) };
            }
            Err(refusal) => Err(refusal),
        },
        Verb::Reload | Verb::Shutdown => Err(Refusal::new("wrong_target", "this is for a whole node")),
    };
    judged(fleet, &target, command, outcome.map(|state| ReplyState::Camera(Box::new(state))))
}

/// What would be a start by another name, or has nothing to work on.
fn refused_while_stopped<F: Fleet>(fleet: &F, verb: Verb, camera: &Name) -> Option<Refusal> {
    if fleet.wished(camera) != Some(DesiredState::Stopped) {
        return None;
    }
    Some(match verb {
        Verb::Resume => Refusal::new("not_paused", "the camera is stopped; use start"),
        Verb::Pause => Refusal::new("stopped", "the camera is stopped; there is nothing to pause"),
        Verb::Restart => Refusal::new("stopped", "the camera is stopped; use start"),
        Verb::Snapshot => Refusal::new("stopped", "the camera is stopped: its source is closed; use start"),
        _ => return None,
    })
}

fn unknown_camera() -> Refusal {
    Refusal::new("unknown_camera", "no such camera on this node")
}

fn node_reply<F: Fleet>(fleet: &F, command: &Command, outcome: Result<NodeState, Refusal>) -> Reply {
    let target = Target::Node(fleet.node().clone()).to_string();
    judged(fleet, &target, command, outcome.map(|state| ReplyState::Node(Box::new(state))))
}

/// The answer to a command that could be read; counted.
fn judged<F: Fleet>(fleet: &F, target: &str, command: &Command, outcome: Result<ReplyState, Refusal>) -> Reply {
    let verb = command.command.as_str();
    match outcome {
        Ok(state) => {
            count_command(verb, "ok");
            ok(fleet.node(), target, command, state)
        }
        Err(refusal) => {
            count_command(verb, refusal.code);
            refused(fleet.node(), target, Some(command), &refusal)
        }
    }
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
        keyframe: None,
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
        keyframe: None,
        error: Some(refusal.error()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use serde_json::json;

    use super::*;

    /// Cameras that do as they are told; `broken` cannot, and `slow` never says that it has.
    struct Cameras {
        node: Name,
        states: Mutex<BTreeMap<Name, DesiredState>>,
        done: Mutex<Vec<String>>,
    }

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    impl Cameras {
        fn of(cameras: &[(&str, DesiredState)]) -> Self {
            let states = cameras.iter().map(|(camera, state)| (name(camera), *state)).collect();
            Self { node: name("garage"), states: Mutex::new(states), done: Mutex::default() }
        }

        fn did(&self, what: String) {
            self.done.lock().unwrap().push(what);
        }

        /// What was done since it was asked last.
        fn done(&self) -> Vec<String> {
            std::mem::take(&mut self.done.lock().unwrap())
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

        fn cameras(&self, target: &Target) -> Vec<Name> {
            let states = self.states.lock().unwrap();
            let addressed = |camera: &&Name| match target {
                Target::Camera(wanted) => *camera == wanted,
                Target::Group(group) => group.as_str() == "outdoor" && camera.as_str() == "door",
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

        async fn restart(&self, camera: &Name) -> Answer {
            self.did(format!("restart {camera}"));
            Ok(self.camera_state(camera).unwrap())
        }

        async fn set(&self, camera: &Name, args: &Map<String, Value>) -> Answer {
            self.did(format!("set {camera} {}", Value::Object(args.clone())));
            Ok(self.camera_state(camera).unwrap())
        }

        async fn reset(&self, camera: &Name) -> Answer {
            self.did(format!("reset {camera}"));
            Ok(self.camera_state(camera).unwrap())
        }

        async fn snapshot(&self, _: &Name) -> Result<(CameraState, KeyframeMeta), Refusal> {
            Err(Refusal::new("timeout", "no frame"))
        }

        async fn reload(&self) -> Result<NodeState, Refusal> {
            self.did("reload".into());
            Ok(self.node_state())
        }

        async fn shutdown(&self) -> Result<NodeState, Refusal> {
            self.did("shutdown".into());
            Ok(self.node_state())
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
        assert_eq!(fleet.answers(node(), "snapshot").await, pairs(&[("camera/door", "timeout")]));
        assert_eq!(fleet.answers(node(), "explode").await, pairs(&[("node/garage", "unknown_command")]));
        assert_eq!(fleet.answers(node(), "status").await, pairs(&[("node/garage", "ok"), ("camera/door", "ok")]));
        let empty = Cameras::of(&[]);
        assert_eq!(empty.answers(node(), "stop").await, pairs(&[("node/garage", "no_camera")]));
        assert_eq!(
            empty.answers(Target::Camera(name("door")), "stop").await,
            pairs(&[("camera/door", "unknown_camera")])
        );
        assert_eq!(empty.answers(Target::Group(name("attic")), "stop").await, pairs(&[("group/attic", "no_camera")]));
    }

    #[tokio::test]
    async fn a_nodes_command_is_carried_out_once_and_refused_from_a_camera_or_a_group() {
        let fleet = Cameras::of(&[("door", DesiredState::Running), ("yard", DesiredState::Running)]);
        for verb in ["reload", "shutdown"] {
            for target in [Target::Node(name("garage")), Target::All] {
                assert_eq!(fleet.answers(target, verb).await, pairs(&[("node/garage", "ok")]));
                assert_eq!(fleet.done(), [verb]);
            }
            let (camera, group) = (Target::Camera(name("door")), Target::Group(name("outdoor")));
            assert_eq!(fleet.answers(camera, verb).await, pairs(&[("camera/door", "wrong_target")]));
            assert_eq!(fleet.answers(group, verb).await, pairs(&[("group/outdoor", "wrong_target")]));
            assert!(fleet.done().is_empty());
        }
    }

    #[tokio::test]
    async fn a_cameras_command_fans_out_to_all_that_are_addressed() {
        let fleet = Cameras::of(&[("door", DesiredState::Running), ("yard", DesiredState::Running)]);
        let both = pairs(&[("camera/door", "ok"), ("camera/yard", "ok")]);
        for verb in ["restart", "reset"] {
            assert_eq!(fleet.answers(Target::All, verb).await, both);
            assert_eq!(fleet.done(), [format!("{verb} door"), format!("{verb} yard")]);
            assert_eq!(fleet.answers(Target::Group(name("outdoor")), verb).await, pairs(&[("camera/door", "ok")]));
            assert_eq!(fleet.done(), [format!("{verb} door")]);
        }
        assert_eq!(
            fleet.answers(Target::Node(name("garage")), r#"{"command":"set","args":{"max_fps":2}}"#).await,
            both
        );
        assert_eq!(fleet.done(), [r#"set door {"max_fps":2}"#, r#"set yard {"max_fps":2}"#]);
    }

    #[tokio::test]
    async fn args_that_a_command_does_not_take_are_refused_and_not_passed_over() {
        let fleet = Cameras::of(&[("door", DesiredState::Running)]);
        for verb in Verb::ALL.into_iter().filter(|verb| *verb != Verb::Set) {
            let payload = json!({"command": verb, "args": {"after": "10s"}}).to_string().leak();
            assert_eq!(fleet.answers(Target::All, payload).await, pairs(&[("all", "bad_args")]), "{verb:?}");
        }
        assert!(fleet.done().is_empty() && fleet.wanted("door") == DesiredState::Running);
    }

    #[tokio::test]
    async fn a_stopped_camera_is_neither_restarted_nor_photographed_but_can_be_set() {
        let fleet = Cameras::of(&[("door", DesiredState::Stopped)]);
        let door = || Target::Camera(name("door"));
        for verb in ["restart", "snapshot"] {
            assert_eq!(fleet.answers(door(), verb).await, pairs(&[("camera/door", "stopped")]));
        }
        assert!(fleet.done().is_empty());
        assert_eq!(
            fleet.answers(door(), r#"{"command":"set","args":{"max_fps":2}}"#).await,
            pairs(&[("camera/door", "ok")])
        );
        assert_eq!(fleet.answers(door(), "reset").await, pairs(&[("camera/door", "ok")]));
    }
}
