//! Pictures that programs push: from the HTTP room to a camera's source.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::cameras::CameraHandle;
use crate::envelope::DesiredState;
use crate::http::{PushRefusal, PushedPicture};
use crate::pipeline::{LaneId, Turns, WhenFull};
use crate::source::{Opener, Push, PushError, SourceKind, SourceSpec};

/// With `block`: for room in the camera's queue.
const ROOM: Duration = Duration::from_secs(20);
/// For the camera to take what there is room for, or to be there at all after a start.
const HAND_OVER: Duration = Duration::from_secs(5);

/// The way in to one camera.
pub struct PushDoor {
    push: Push,
    /// One picture at a time, in the order they came: more would only fill the memory.
    turn: Semaphore,
    when_full: WhenFull,
    turns: Arc<Turns>,
    lane: LaneId,
}

/// What a camera's sessions open, and the other end of it where that is pushed to.
pub fn opener(source: &SourceSpec, ids: &Arc<AtomicU64>) -> (Arc<dyn Opener>, Option<Push>) {
    let SourceKind::Push { timeout } = source.kind() else { return (Arc::new(source.clone()), None) };
    let push = Push::new(*timeout, ids.clone());
    (Arc::new(push.clone()), Some(push))
}

impl PushDoor {
    #[must_use]
    pub fn new(push: Push, when_full: WhenFull, turns: Arc<Turns>, lane: LaneId) -> Self {
        Self { push, turn: Semaphore::new(1), when_full, turns, lane }
    }
}

/// Hands a picture to the camera; its number among the camera's frames.
pub async fn push(camera: &Arc<CameraHandle>, picture: PushedPicture) -> Result<u64, PushRefusal> {
    if camera.is_broken() {
        let applied = camera.applied.borrow();
        let why = applied.reason.as_ref().map(|reason| reason.message.clone());
        return Err(PushRefusal::Failed(why.unwrap_or_default()));
    }
    let Some(door) = &camera.push else { return Err(PushRefusal::NotPushed) };
    switched(camera)?;
    let patience = if door.when_full == WhenFull::Block { ROOM } else { HAND_OVER };
    let turn = tokio::time::timeout(patience, door.turn.acquire()).await;
    let Ok(Ok(_turn)) = turn else { return Err(PushRefusal::Full) };
    // Nothing that was taken is thrown away for what comes later: who pushes is told, and decides.
    if door.when_full == WhenFull::DropOldest && !door.turns.has_room(door.lane) {
        return Err(PushRefusal::Full);
    }
    let source = door.push.clone();
    let taken =
        tokio::task::spawn_blocking(move || source.offer(&picture.bytes, picture.text, picture.timestamp, patience));
    match taken.await {
        Ok(Ok(id)) => Ok(id),
        Ok(Err(PushError::Undecodable(why))) => Err(PushRefusal::Undecodable(why)),
        Ok(Err(PushError::Full)) => Err(PushRefusal::Full),
        // Stopped meanwhile, or not begun yet.
        Ok(Err(PushError::Closed)) => switched(camera).and(Err(PushRefusal::NotThere)),
        Err(_panic) => Err(PushRefusal::Undecodable("it made the decoder fail; please report it".into())),
    }
}

fn switched(camera: &CameraHandle) -> Result<(), PushRefusal> {
    match camera.desired.borrow().state {
        DesiredState::Stopped => Err(PushRefusal::Stopped),
        DesiredState::Paused => Err(PushRefusal::Paused),
        DesiredState::Running => Ok(()),
    }
}
