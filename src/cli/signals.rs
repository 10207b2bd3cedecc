//! SIGINT and SIGTERM: the first asks the node to end, the second ends the process at once. SIGHUP asks it to read its
//! configuration again.

use tokio::signal::unix::{Signal, SignalKind, signal};
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

/// SIGHUPs from now on, for [`on_hangup`]: one that comes while the node starts must not end the process.
///
/// # Errors
/// When the handler cannot be set.
pub fn hangups() -> std::io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// Calls `reload` for every SIGHUP; those that come while one is under way are one.
pub fn on_hangup<F: Future<Output = ()> + Send>(mut hangups: Signal, reload: impl Fn() -> F + Send + 'static) {
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            tracing::info!("SIGHUP: the configuration is read again");
            reload().await;
        }
    });
}
