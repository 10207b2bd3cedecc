//! Connections: how many, and how long one may keep us waiting.

mod places;
mod stalled;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use places::{Place, Places};
use stalled::Stalled;

/// For the head of a request to come in, and for a connection to be idle.
const HEAD: Duration = Duration::from_secs(15);
/// A peer that takes not one byte for so long is gone.
const STALL: Duration = Duration::from_secs(30);
/// For a whole head: request line and headers. hyper's own buffer is never larger.
const HEAD_BYTES: usize = 64 * 1024;
/// For answers that are being written when the node ends.
const FAREWELL: Duration = Duration::from_secs(2);
/// To one too many: written once, unread.
const FULL: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nRetry-After: 5\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n\
    {\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,\"code\":\"too_many_connections\",\"detail\":\"this node has as many connections as http.max_connections allows; try again later\"}";

/// The other end of a connection; every request of it carries this.
#[derive(Clone)]
pub struct Peer {
    pub address: SocketAddr,
    /// Where a long-lived stream sits as long as this connection lasts.
    seat: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
    /// `None` of a request that came by no socket.
    place: Option<Arc<Place>>,
}

impl Peer {
    fn new(address: SocketAddr, place: Option<Place>) -> Self {
        Self { address, seat: Arc::default(), place: place.map(Arc::new) }
    }

    /// Of a request that came by no socket.
    pub fn nobody() -> Self {
        Self::new(SocketAddr::from(([0, 0, 0, 0], 0)), None)
    }

    /// The request is one we work for: its connection keeps its place until it is answered.
    pub fn engage(&self) {
        if let Some(place) = &self.place {
            place.engage();
        }
    }

    /// Holds the permit until the connection ends, or its next request begins.
    pub fn sit(&self, permit: Option<OwnedSemaphorePermit>) {
        *self.seat.lock().unwrap_or_else(PoisonError::into_inner) = permit;
    }
}

/// Takes connections until `shutdown`, then lets answers that are under way be finished.
pub async fn serve(listener: TcpListener, router: Router, most: usize, shutdown: CancellationToken) {
    let (places, tasks) = (Places::new(most), TaskTracker::new());
    loop {
        let accepted = tokio::select! { () = shutdown.cancelled() => break, accepted = listener.accept() => accepted };
        match accepted {
            Ok((stream, address)) => match places.take() {
                Some(place) => {
                    tasks.spawn(connection(stream, address, place, router.clone(), shutdown.clone()));
                }
                None => turn_away(stream).await,
            },
            Err(e) => {
                // Out of file descriptors, say: at once it would fail again.
                tracing::warn!("an HTTP connection could not be taken: {e}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    tasks.close();
    let _stragglers = tokio::time::timeout(FAREWELL, tasks.wait()).await;
}

async fn connection(stream: TcpStream, address: SocketAddr, place: Place, router: Router, shutdown: CancellationToken) {
    // A frame of a live stream must not wait for the next.
    let _best_effort = stream.set_nodelay(true);
    let leave = place.leave.clone();
    let peer = Peer::new(address, Some(place));
    // Place and seat go with the connection, wherever an upgrade takes it.
    let stream = Stalled::new(stream, STALL, peer.clone());
    let service = service_fn(move |mut request: Request<Incoming>| {
        peer.sit(None);
        request.extensions_mut().insert(peer.clone());
        let (answer, place) = (router.clone().oneshot(request.map(Body::new)), peer.place.clone());
        async {
            let answer = answer.await?;
            Ok::<_, Infallible>(match place {
                Some(place) => place.until_said(answer),
                None => answer,
            })
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(HEAD_BYTES);
    let connection = http.serve_connection(TokioIo::new(stream), service).with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = leave.cancelled() => return,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            // Live streams do not end by themselves.
            tokio::time::timeout(FAREWELL, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(e) = ended {
        tracing::debug!(%address, "an HTTP connection ended: {e}");
    }
}

/// Never waits: a flood must not keep us from those who hold a place.
async fn turn_away(mut stream: TcpStream) {
    let _best_effort = tokio::time::timeout(Duration::from_millis(1), stream.write_all(FULL.as_bytes())).await;
    let _read = stream.try_read(&mut [0; 4096]);
}
