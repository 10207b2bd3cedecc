//! SIGINT and SIGTERM: the first asks the node to end, the second ends the process at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that the first signal cancels.
///
/// # Errors
/// When the handlers cannot be set.
pub fn stop_token() -> std::io::Result<CancellationToken> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let token = CancellationToken::new();
    let stop = token.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if stop.is_cancelled() {
                super::tell("second signal: ended at once, what was not delivered is lost");
                // 128 + SIGINT, as shells have it.
                std::process::exit(130);
            }
            tracing::info!("signal: ending in order; a second one ends at once");
            stop.cancel();
        }
    });
    Ok(token)
}
