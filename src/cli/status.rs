//! On a terminal: one line under the log that says how the cameras are. In a pipe: nothing.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use crate::app::NodeFleet;
use crate::envelope::ActualState;
use crate::http::Board;
use crate::telemetry::StatusLine;

/// The running status line.
pub struct Following(Option<(StatusLine, tokio::task::JoinHandle<()>)>);

/// Shows the line until [`Following::end`].
pub fn follow(fleet: Arc<NodeFleet>) -> Following {
    if !std::io::stderr().is_terminal() {
        return Following(None);
    }
    let line = StatusLine::show();
    let task = tokio::spawn({
        let line = line.clone();
        async move {
            loop {
                line.set(&text(fleet.as_ref()));
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
    });
    Following(Some((line, task)))
}

impl Following {
    pub fn end(self) {
        if let Some((line, task)) = self.0 {
            task.abort();
            line.clear();
        }
    }
}

fn text(board: &NodeFleet) -> String {
    let cameras = Board::cameras(board);
    let running = cameras.iter().filter(|c| c.actual == ActualState::Running).count();
    let failed = cameras.iter().filter(|c| c.actual == ActualState::Failed).count();
    let fps: f32 = cameras.iter().map(|c| c.fps).sum();
    let buses = board.readiness().buses;
    let buses: Vec<String> =
        buses.iter().map(|b| format!("{} {}", b.name, if b.ready { "up" } else { "DOWN" })).collect();
    let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
    format!("{running} of {} cameras running{failed} · {fps:.1} frames/s · {}", cameras.len(), buses.join(" · "))
}
