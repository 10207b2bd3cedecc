//! The end, in order: sources first, then what was captured, then what was accepted, then the buses. Who is late is named.

use std::time::{Duration, Instant};

use super::Node;
use crate::bus::{Message, Publisher, Topic};

/// For the cameras to stop and their frames to be processed.
const CAMERAS: Duration = Duration::from_secs(6);
/// For the threads of models and keyframes.
const THREADS: Duration = Duration::from_secs(3);
/// For what was accepted to be sent or acknowledged.
const FLUSH: Duration = Duration::from_secs(5);

impl Node {
    /// Ends the node within about fifteen seconds, whatever hangs.
    pub async fn shutdown(self) {
        let begin = Instant::now();
        self.stop_cameras.cancel();
        let deadline = tokio::time::Instant::now() + CAMERAS;
        for (name, task) in self.cameras {
            if tokio::time::timeout_at(deadline, task).await.is_err() {
                tracing::warn!(camera = %name, "late: it did not stop within {CAMERAS:?} and is left behind");
            }
        }
        self.models.loaded.values().for_each(|model| model.turns.shut());
        join("keyframe encoder", self.keyframe_thread, Some(&|| self.keyframes.shut())).await;
        for (title, thread) in self.models.workers {
            join(&title, thread, None).await;
        }
        let topic = Topic::NodeStatus(self.fleet.node.clone());
        self.fanout.offer(Message::state(topic, bytes::Bytes::from_static(b"offline"), "text/plain", None));
        // Each names what it could not deliver.
        futures_util::future::join_all(self.links.into_iter().map(|link| link.shutdown(FLUSH))).await;
        self.stop_services.cancel();
        if let Some(broker) = self.broker {
            broker.stop().await;
        }
        tracing::info!("ended in {:.1} s", begin.elapsed().as_secs_f64());
    }
}

/// Waits for a thread, but not for ever; `wake` makes it look up first.
async fn join(title: &str, thread: std::thread::JoinHandle<()>, wake: Option<&(dyn Fn() + Sync)>) {
    if let Some(wake) = wake {
        wake();
    }
    let deadline = Instant::now() + THREADS;
    while !thread.is_finished() {
        if Instant::now() > deadline {
            tracing::warn!(thread = title, "late: it did not end within {THREADS:?} and is left behind");
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
