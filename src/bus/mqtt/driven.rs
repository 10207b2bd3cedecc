//! A connection that is driven while its sayings are waited for: within the task that waits, so that a message costs no
//! hop to another.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::dialect::{Closing, Dialect, Saying};
use super::setup::Setup;

const FAREWELL: Duration = Duration::from_secs(1);
const LAST_WORDS: Duration = Duration::from_millis(50);
/// Filters a SUBSCRIBE packet; some brokers take no more.
pub(super) const FILTERS_A_PACKET: usize = 8;

type Heard = Arc<Mutex<VecDeque<Saying>>>;

/// The connection dies with this.
pub(super) struct Driven<D: Dialect> {
    pub(super) client: D,
    /// Polls the connection until it is over, and leaves in `heard` what it says. One future for its whole life: the
    /// client's own is not cancel-safe.
    driver: Option<BoxFuture<'static, Closing>>,
    heard: Heard,
}

impl<D: Dialect> Driven<D> {
    /// `resume`: the broker may still hold a session of ours.
    pub(super) fn open(setup: &Setup, resume: bool) -> Self {
        let (client, mut connection) = D::open(setup, resume);
        let heard = Heard::default();
        let tell = Arc::clone(&heard);
        let driver = async move {
            loop {
                match D::poll(&mut connection).await {
                    Ok(Some(saying)) => lock(&tell).push_back(saying),
                    Ok(None) => {}
                    Err(closing) => return closing,
                }
            }
        };
        Self { client, driver: Some(driver.boxed()), heard }
    }

    /// The next saying; the connection makes progress only while it is waited for. Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<Saying, Closing> {
        poll_fn(|cx| {
            let mut closing = None;
            if lock(&self.heard).is_empty() {
                closing = match self.driver.as_mut().map(|driver| driver.poll_unpin(cx)) {
                    Some(Poll::Pending) => None,
                    Some(Poll::Ready(closing)) => Some(closing),
                    None => Some(Closing::Lost("the connection is over".into())),
                };
            }
            // The last words before the end come first.
            match (self.ready(), closing) {
                (Some(saying), None) => Poll::Ready(Ok(saying)),
                (Some(saying), Some(closing)) => {
                    self.driver = Some(std::future::ready(closing).boxed());
                    Poll::Ready(Ok(saying))
                }
                (None, Some(closing)) => {
                    self.driver = None;
                    Poll::Ready(Err(closing))
                }
                (None, None) => Poll::Pending,
            }
        })
        .await
    }

    /// Drives the connection while `other` is waited for; what is said meanwhile is [`Driven::ready`] afterwards.
    pub(super) async fn beside<T>(&mut self, other: impl Future<Output = T>) -> T {
        let mut other = pin!(other);
        poll_fn(|cx| {
            if let Some(Poll::Ready(closing)) = self.driver.as_mut().map(|driver| driver.poll_unpin(cx)) {
                self.driver = Some(std::future::ready(closing).boxed());
            }
            other.as_mut().poll(cx)
        })
        .await
    }

    /// One that was heard already.
    pub(super) fn ready(&mut self) -> Option<Saying> {
        lock(&self.heard).pop_front()
    }

    /// DISCONNECT, and a moment for it to leave. What is on its way to us (the echo of a probe, say) is read before: a socket
    /// that is closed over unread bytes is reset, and a broker that sees the reset first takes the node for dead.
    pub(super) async fn leave(mut self) {
        let _over = tokio::time::timeout(LAST_WORDS, async { while self.next().await.is_ok() {} }).await;
        self.client.disconnect();
        let _late = tokio::time::timeout(FAREWELL, async { while self.next().await.is_ok() {} }).await;
    }
}

fn lock(heard: &Heard) -> MutexGuard<'_, VecDeque<Saying>> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}
