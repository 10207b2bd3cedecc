//! What systemd is told (`Type=notify`): ready, ending, and, while its watchdog is on, that the process still gets to its work.
//! Without systemd all of it does nothing.

use sd_notify::NotifyState;

/// The node was built and everything of it was started. Cameras and brokers may come later: `/readyz` tells of them.
pub fn ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("running")]);
    // Said by a task as all others are: a process whose tasks no longer run falls silent. A hung camera is no reason.
    if let Some(patience) = sd_notify::watchdog_enabled().filter(|patience| !patience.is_zero()) {
        tokio::spawn(async move {
            let mut beat = tokio::time::interval(patience / 3);
            loop {
                beat.tick().await;
                tell(&[NotifyState::Watchdog]);
            }
        });
    }
}

pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("ending: what was accepted is delivered")]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd cannot be told");
    }
}
