//! The end, in order: sources first, then what was captured, then what was accepted, then the buses. Who is late is named.

use std::time::{Duration, Instant};

use super::node::summarise;
use super::{Node, Summary};
use crate::bus::{Message, Publisher, Topic};

/// For the cameras to stop and their frames to be processed.
const CAMERAS: Duration = Duration::from_secs(6);
/// For the threads of models and keyframes.
const THREADS: Duration = Duration::from_secs(3);
/// For what was accepted to be sent or acknowledged.
const FLUSH: Duration = Duration::from_secs(5);

impl Node {
    /// Ends the node within about twenty seconds, whatever hangs. The summary tells each camera's state before the end, and
    /// counts what the end itself lost.
    pub async fn shutdown(self) -> Summary {
        let begin = Instant::now();
        let before = summarise(&self.fleet, &self.fanout, self.started);
        self.stop_cameras.cancel();
        let deadline = tokio::time::Instant::now() + CAMERAS;
        // A reload that is under way sees that the node ends, or is nearly through.
        let mut held = self.fleet.yard.hold().await;
        for (name, tenant) in std::mem::take(&mut held.tenants) {
            if tokio::time::timeout_at(deadline, tenant.task).await.is_err() {
                tracing::warn!(camera = %name, "late: it did not stop within {CAMERAS:?} and is left behind");
            }
        }
        if let Some(webrtc) = &self.fleet.webrtc {
            webrtc.ended().await;
        }
        held.models.loaded.values().for_each(|model| model.turns.shut());
        self.keyframes.shut();
        let deadline = Instant::now() + THREADS;
        join("keyframe encoder", self.keyframe_thread, deadline).await;
        for (title, thread) in held.models.loaded.values().flat_map(|model| model.workers()) {
            join(&title, thread, deadline).await;
        }
        // Nobody speaks any more: the last word is `offline`.
        self.stop_services.cancel();
        let topic = Topic::NodeStatus(self.fleet.node.clone());
        self.fanout.offer(Message::word(topic, "offline", None));
        // Each names what it could not deliver.
        let links = futures_util::future::join_all(self.links.into_iter().map(|link| link.shutdown(FLUSH)));
        let herald = async {
            if let Some(herald) = self.herald {
                herald.stop().await;
            }
        };
        let _leftover = tokio::join!(links, herald);
        // Last: what the buses did is in the traces.
        if let Some(exporter) = self.exporter {
            exporter.finish().await;
        }
        if let Some(broker) = self.broker {
            broker.stop().await;
        }
        tracing::info!("ended in {:.1} s", begin.elapsed().as_secs_f64());
        summarise(&self.fleet, &self.fanout, self.started).with_states_of(before)
    }
}

/// Waits for a thread, but not for ever.
pub(super) async fn join(title: &str, thread: std::thread::JoinHandle<()>, deadline: Instant) {
    while !thread.is_finished() {
        if Instant::now() > deadline {
            tracing::warn!(thread = title, "late: it did not end within {THREADS:?} and is left behind");
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
