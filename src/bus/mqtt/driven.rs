//! A connection driven by a task of its own.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::dialect::{Closing, Dialect, Saying};
use super::setup::{Setup, WINDOW};

const FAREWELL: Duration = Duration::from_secs(1);
/// Filters a SUBSCRIBE packet; some brokers take no more.
pub(super) const FILTERS_A_PACKET: usize = 8;

/// The task dies with this.
pub(super) struct Driven<D: Dialect> {
    pub(super) client: D,
    sayings: mpsc::Receiver<Result<Saying, Closing>>,
    task: JoinHandle<()>,
}

impl<D: Dialect> Driven<D> {
    /// `resume`: the broker may still hold a session of ours.
    pub(super) fn open(setup: &Setup, resume: bool) -> Self {
        let (client, mut connection) = D::open(setup, resume);
        let (tell, sayings) = mpsc::channel(WINDOW.into());
        let task = tokio::spawn(async move {
            loop {
                let said = match D::poll(&mut connection).await {
                    Ok(None) => continue,
                    Ok(Some(saying)) => Ok(saying),
                    Err(closing) => Err(closing),
                };
                let last = said.is_err();
                if tell.send(said).await.is_err() || last {
                    return;
                }
            }
        });
        Self { client, sayings, task }
    }

    /// The next saying; a task that ended without a word counts as a lost connection.
    pub(super) async fn next(&mut self) -> Result<Saying, Closing> {
        self.sayings.recv().await.unwrap_or_else(|| Err(Closing::Lost("the client stopped".into())))
    }

    /// DISCONNECT, and a moment for it to leave.
    pub(super) async fn leave(mut self) {
        self.client.disconnect();
        let _late = tokio::time::timeout(FAREWELL, async { while self.next().await.is_ok() {} }).await;
    }
}

impl<D: Dialect> Drop for Driven<D> {
    fn drop(&mut self) {
        self.task.abort();
    }
}
