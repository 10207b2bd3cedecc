//! Live video by WebRTC: sessions of viewers over one UDP port, H.264 as the studio encodes it.
//!
//! The node is an ICE-lite agent: it tells its addresses in the answer, answers the checks of whoever knows the session's
//! password, and calls nobody by itself.

mod addresses;
mod config;
mod offer;
mod routes;
mod run;
mod session;
mod socket;
mod stun;
mod thrift;
mod trickle;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ring::rand::{SecureRandom, SystemRandom};
use str0m::IceCreds;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use config::WebRtcConfig;
pub use offer::OfferError;
pub use session::End;
pub use trickle::TrickleError;

use crate::domain::Name;
use crate::live::Studio;
use crate::telemetry::WebRtcMetrics;
use routes::Routes;
use run::Viewer;
use session::{Common, Session};
use socket::Socket;

/// Datagrams of one viewer that may wait for its task.
const INBOX: usize = 256;
/// After a failure of the socket itself; a broken one must not keep a core busy.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug, thiserror::Error)]
pub enum WebRtcError {
    #[error(
        "http.webrtc.listen: UDP {addr} cannot be listened on: {why}; if another program or node uses the port, set another (0 takes a free one), or set http.webrtc.enabled: false"
    )]
    Listen { addr: SocketAddr, why: String },
    #[error("no key could be made for live video by WebRTC")]
    Key,
}

/// Why a viewer is not let in.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error(transparent)]
    Offer(#[from] OfferError),
    #[error(
        "{0} viewers watch by WebRTC, as many as http.webrtc.max_sessions allows; try again later, or watch by MJPEG or HLS"
    )]
    Full(usize),
    #[error(
        "the node has no address that a viewer could reach: no network interface is up (http.webrtc.announce names one)"
    )]
    NoAddress,
    #[error("the node is shutting down")]
    ShuttingDown,
    #[error("the system gave no random numbers to make a session of")]
    NoSecret,
}

impl Refused {
    pub const ALL: [&str; 5] = ["offer", "full", "no_address", "shutting_down", "no_secret"];

    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Offer(_) => "offer",
            Self::Full(_) => "full",
            Self::NoAddress => "no_address",
            Self::ShuttingDown => "shutting_down",
            Self::NoSecret => "no_secret",
        }
    }
}

/// A session that waits for its viewer to connect.
#[derive(Debug)]
pub struct Opened {
    /// Nobody guesses it.
    pub id: String,
    /// Names the ICE session; a trickled candidate is to bring it.
    pub etag: String,
    /// The SDP answer.
    pub answer: String,
}

/// Live video by WebRTC.
#[derive(Clone)]
pub struct WebRtc(Arc<Inner>);

struct Inner {
    config: WebRtcConfig,
    socket: Arc<Socket>,
    common: Common,
    routes: Arc<Routes>,
    sessions: Mutex<HashMap<String, Entry>>,
    metrics: Arc<WebRtcMetrics>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

struct Entry {
    camera: Name,
    ufrag: String,
    leave: CancellationToken,
}

impl WebRtc {
    /// Takes the UDP port and begins to listen; ends with `shutdown`, saying good-bye to every viewer.
    ///
    /// # Errors
    /// When the port is taken.
    pub async fn start(
        config: WebRtcConfig,
        http: SocketAddr,
        shutdown: CancellationToken,
    ) -> Result<Self, WebRtcError> {
        let addr = config.listen.unwrap_or(http);
        let fail = |e: std::io::Error| WebRtcError::Listen { addr, why: e.to_string() };
        let socket = Arc::new(Socket::bind(addr).await.map_err(fail)?);
        let crypto = Arc::new(str0m::crypto::from_feature_flags());
        let cert = crypto.dtls_provider.generate_certificate().ok_or(WebRtcError::Key)?;
        let ends = End::ALL.map(End::as_str);
        let inner = Arc::new(Inner {
            config,
            socket,
            common: Common { crypto, cert },
            routes: Arc::default(),
            sessions: Mutex::default(),
            metrics: Arc::new(WebRtcMetrics::new(&ends, &Refused::ALL)),
            tasks: TaskTracker::new(),
            shutdown,
        });
        tokio::spawn(listen(inner.clone()));
        Ok(Self(inner))
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.0.socket.local
    }

    /// Lets a viewer of a camera in.
    ///
    /// # Errors
    /// Why it is not let in.
    pub fn open(&self, camera: &Name, studio: Arc<Studio>, offer: &str) -> Result<Opened, Refused> {
        self.0.clone().open(camera, studio, offer).inspect_err(|refused| self.0.metrics.refused(refused.as_str()))
    }

    /// Ends a session; false = there is none of that id at that camera.
    #[must_use]
    pub fn close(&self, camera: &Name, id: &str) -> bool {
        let sessions = self.0.lock();
        let found = sessions.get(id).filter(|entry| entry.camera == *camera);
        found.is_some_and(|entry| {
            entry.leave.cancel();
            true
        })
    }

    /// Takes candidates that a viewer found after its offer. They are checked and then not needed: the viewer calls, and is
    /// answered where it calls from.
    ///
    /// # Errors
    /// What is wrong with it; `None` of such a session.
    pub fn trickle(
        &self,
        camera: &Name,
        id: &str,
        etag: Option<&str>,
        fragment: &str,
    ) -> Option<Result<(), TrickleError>> {
        let sessions = self.0.lock();
        let entry = sessions.get(id).filter(|entry| entry.camera == *camera)?;
        Some(trickle::judge(&quoted(&entry.ufrag), etag, fragment))
    }

    /// Sessions that are open now.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.0.lock().len()
    }

    /// Waits until every viewer was told good-bye, after the shutdown.
    pub async fn ended(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(self: Arc<Self>, camera: &Name, studio: Arc<Studio>, offer: &str) -> Result<Opened, Refused> {
        let limit = self.config.max_sessions;
        // Before the work of an answer; once more when it is entered.
        if self.lock().len() >= limit {
            return Err(Refused::Full(limit));
        }
        let told = addresses::reachable(self.socket.local, &self.config.announce);
        if told.is_empty() {
            return Err(Refused::NoAddress);
        }
        let (id, ufrag, pass) = (secret::<16>()?, secret::<8>()?, secret::<16>()?);
        let creds = IceCreds { ufrag: ufrag.clone(), pass };
        let (session, answer) = Session::open(&self.common, creds, told, offer, Instant::now())?;
        let leave = self.shutdown.child_token();
        {
            let mut sessions = self.lock();
            if sessions.len() >= limit {
                return Err(Refused::Full(limit));
            }
            if self.shutdown.is_cancelled() {
                return Err(Refused::ShuttingDown);
            }
            sessions.insert(id.clone(), Entry { camera: camera.clone(), ufrag: ufrag.clone(), leave: leave.clone() });
        }
        let (mailbox, inbox) = mpsc::channel(INBOX);
        let route = self.routes.add(&ufrag, mailbox);
        let viewer = Viewer {
            session,
            studio,
            socket: self.socket.clone(),
            routes: self.routes.clone(),
            route,
            inbox,
            leave,
            shutdown: self.shutdown.clone(),
            metrics: self.metrics.clone(),
        };
        let (inner, camera, key) = (self.clone(), camera.clone(), id.clone());
        self.tasks.spawn(async move {
            // A task of its own: whatever happens in it, its place is given back.
            let end = tokio::spawn(viewer.run()).await.unwrap_or(End::Failed);
            inner.routes.remove(route);
            inner.lock().remove(&key);
            inner.metrics.ended(end.as_str());
            tracing::debug!(%camera, reason = end.as_str(), "a WebRTC viewer is gone");
        });
        Ok(Opened { id, etag: quoted(&ufrag), answer })
    }
}

/// Hands each datagram to the viewer it is for.
async fn listen(inner: Arc<Inner>) {
    let mut buffer = Vec::new();
    let drained = async {
        inner.shutdown.cancelled().await;
        inner.tasks.close();
        inner.tasks.wait().await;
    };
    tokio::pin!(drained);
    loop {
        let deliver = |datagram| {
            if !inner.routes.deliver(datagram) {
                inner.metrics.stray();
            }
        };
        tokio::select! {
            () = &mut drained => return,
            received = inner.socket.receive(&mut buffer, deliver) => if let Err(e) = received {
                tracing::debug!("the UDP port of live video: {e}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Random, as hexadecimal digits.
fn secret<const BYTES: usize>() -> Result<String, Refused> {
    let mut random = [0; BYTES];
    SystemRandom::new().fill(&mut random).map_err(|_| Refused::NoSecret)?;
    Ok(random
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect())
}

fn quoted(ufrag: &str) -> String {
    format!("\"{ufrag}\"")
}
