//! `/ws`: results and figures as they come, for each viewer as fast as it takes them.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::Board;
use super::problem::Problem;
use super::table::{Answer, Content, Kind, Operation};
use crate::codec;
use crate::domain::Name;
use crate::live::{Follower, Heard, LiveCamera, LiveMessage, Snapshot};

/// A viewer is asked so often whether it is still there,
const PING: Duration = Duration::from_secs(15);
/// and left when it has been silent for so long.
const SILENT: Duration = Duration::from_secs(45);
/// A viewer whose socket takes nothing for so long is left.
const STUCK: Duration = Duration::from_secs(10);
/// What a viewer says is read and ignored; a longer message ends the connection.
const MOST_HEARD: usize = 4096;

#[derive(Deserialize)]
pub struct Wanted {
    camera: Option<String>,
}

/// Why a viewer is left.
enum Left {
    /// It went, or does not answer any more.
    Gone,
    /// The node ends.
    Closing,
}

pub fn operations() -> Vec<Operation> {
    let message = Answer {
        status: 101,
        says: "Each message is one of these",
        media: Some(("application/json", Content::of::<LiveMessage>())),
    };
    vec![
        Operation::get("/ws", "follow", "Results and figures as they come, over a WebSocket", get(follow))
            .tag("live")
            .kind(Kind::Stream)
            .details(
                "Text messages, JSON, told apart by `type`: a `snapshot` first, then each `detections` message, `event`, `picture` of an event, \
                 change of `state`; `figures` of each camera and `buses` once a second; `missed` says how many messages (of all cameras) a viewer \
                 was too slow for. What a viewer sends is ignored.",
            )
            .query("camera", "Only what concerns this camera", json!({ "type": "string" }))
            .answer(message)
            .problem(404, "No such camera on this node"),
    ]
}

pub async fn follow(
    State(board): State<Arc<dyn Board>>,
    Query(wanted): Query<Wanted>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    let known =
        |name: &str| board.cameras().into_iter().map(|state| state.camera).find(|camera| camera.as_str() == name);
    let camera = match wanted.camera.as_deref() {
        Some(name) => Some(known(name).ok_or_else(|| {
            Problem::missing("unknown_camera", "no such camera on this node; /api/cameras names them")
        })?),
        None => None,
    };
    let following = upgrade
        .max_message_size(MOST_HEARD)
        .max_frame_size(MOST_HEARD)
        .on_upgrade(move |socket| Show { socket, camera }.run(board));
    Ok(following)
}

/// One viewer's connection.
struct Show {
    socket: WebSocket,
    camera: Option<Name>,
}

impl Show {
    async fn run(mut self, board: Arc<dyn Board>) {
        // Followed before the snapshot is taken: nothing falls in between.
        let viewer = board.feed().follow();
        let snapshot = LiveMessage::Snapshot(Box::new(snapshot(board.as_ref(), self.camera.as_ref())));
        drop(board);
        if let Err(Left::Closing) = self.show(viewer, &snapshot).await {
            let goodbye = CloseFrame { code: close_code::AWAY, reason: "the node has ended".into() };
            let _late = timeout(STUCK, self.socket.send(Message::Close(Some(goodbye)))).await;
        }
    }

    async fn show(&mut self, mut viewer: Follower, snapshot: &LiveMessage) -> Result<(), Left> {
        self.say(codec::encode_json(snapshot).0).await?;
        let mut ping = interval(PING);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard_at = Instant::now();
        loop {
            tokio::select! {
                heard = viewer.next() => match heard.ok_or(Left::Closing)? {
                    Heard::Item(item) if self.camera.as_ref().is_some_and(|camera| !item.concerns(camera)) => {}
                    Heard::Item(item) => self.say(item.text()).await?,
                    Heard::Missed(count) => self.say(codec::encode_json(&LiveMessage::Missed { count }).0).await?,
                },
                said = self.socket.recv() => match said {
                    // Nothing that a viewer says means anything but that it lives.
                    Some(Ok(message)) if !matches!(message, Message::Close(_)) => heard_at = Instant::now(),
                    _ => return Err(Left::Gone),
                },
                _ = ping.tick() => {
                    if heard_at.elapsed() > SILENT {
                        return Err(Left::Gone);
                    }
                    self.send(Message::Ping(Bytes::new())).await?;
                }
            }
        }
    }

    async fn say(&mut self, json: Bytes) -> Result<(), Left> {
        let text = Utf8Bytes::try_from(json).map_err(|_| Left::Gone)?;
        self.send(Message::Text(text)).await
    }

    async fn send(&mut self, message: Message) -> Result<(), Left> {
        match timeout(STUCK, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Left::Gone),
        }
    }
}

fn snapshot(board: &dyn Board, camera: Option<&Name>) -> Snapshot {
    let states = board.cameras().into_iter().filter(|state| camera.is_none_or(|camera| state.camera == *camera));
    let live = |state: crate::envelope::CameraState| LiveCamera { latest: board.latest(state.camera.as_str()), state };
    Snapshot { node: board.node(), cameras: states.map(live).collect(), buses: board.bus_figures() }
}
