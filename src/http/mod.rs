//! What the node says over HTTP: live page, API, metrics, health. It only looks on: a slow browser costs nothing.

mod api;
mod assets;
mod commands;
mod config;
mod events;
mod frames;
mod gate;
mod limits;
mod media;
mod network;
mod openapi;
mod problem;
mod routes;
mod server;
mod table;
mod video;
mod whep;
mod ws;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use config::HttpConfig;
pub use frames::{PushRefusal, PushedPicture};
pub use openapi::document as openapi;

use crate::domain::RawCommand;
use crate::envelope::{CameraState, Detections, NodeState, Reply};
use crate::live::webrtc::WebRtc;
use crate::live::{BusFigures, Feed, Studio};

#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error(
        "http.listen: {addr} cannot be listened on: {why}; if another program or node uses the port, set another (0 takes a free one)"
    )]
    Listen { addr: SocketAddr, why: String },
    #[error("http.token_file: {path}: {why}")]
    Token { path: String, why: String },
}

/// The node as the HTTP room sees it.
pub trait Board: Send + Sync {
    fn cameras(&self) -> Vec<CameraState>;
    /// The camera's latest detections message.
    fn latest(&self, camera: &str) -> Option<Arc<Detections>>;
    /// The camera's last keyframe, JPEG.
    fn keyframe(&self, camera: &str) -> Option<Bytes>;
    /// Where the camera's pictures and video are made for those who watch.
    fn studio(&self, camera: &str) -> Option<Arc<Studio>>;
    /// Live video by WebRTC; None = switched off.
    fn webrtc(&self) -> Option<&WebRtc>;
    /// What the node says of itself on its `state` topic: cameras, models with their devices, buses.
    fn node(&self) -> NodeState;
    fn readiness(&self) -> Readiness;
    /// Carries a command out as if a bus had brought it (`bus` is `http`); one answer a target.
    fn command<'a>(&'a self, command: &'a RawCommand) -> BoxFuture<'a, Vec<Reply>>;
    /// Hands a picture to a camera that is pushed to, and waits until it is taken; its number among the camera's frames.
    fn push<'a>(&'a self, camera: &'a str, picture: PushedPicture) -> BoxFuture<'a, Result<u64, PushRefusal>>;
    /// What the node's viewers follow, and the latest events.
    fn feed(&self) -> &Feed;
    fn bus_figures(&self) -> Vec<BusFigures>;
    /// The metrics page, Prometheus text format 0.0.4.
    fn metrics(&self) -> String;
}

/// Whether the node does its work, part by part.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Readiness {
    pub ready: bool,
    pub buses: Vec<Part>,
    pub cameras: Vec<Part>,
    /// Where messages wait on disk, by bus. One that does not work leaves the node ready: they wait in memory.
    pub spools: Vec<Part>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Part {
    pub name: String,
    pub ready: bool,
    /// The state, and why it is not ready.
    pub detail: String,
}

/// A listening server that does not answer yet.
pub struct Server {
    pub addr: SocketAddr,
    listener: TcpListener,
    config: HttpConfig,
    gate: gate::Gate,
}

impl Server {
    /// Takes the port now, so that a port in use is known before anything else starts.
    ///
    /// # Errors
    /// When the port is taken or the token cannot be read.
    pub async fn bind(config: &HttpConfig) -> Result<Self, HttpError> {
        let gate = gate::Gate::new(config)?;
        let fail = |e: std::io::Error| HttpError::Listen { addr: config.listen, why: e.to_string() };
        let listener = TcpListener::bind(config.listen).await.map_err(fail)?;
        let addr = listener.local_addr().map_err(fail)?;
        Ok(Self { addr, listener, config: config.clone(), gate })
    }

    /// Serves until `shutdown`.
    pub async fn serve(self, board: Arc<dyn Board>, shutdown: CancellationToken) {
        let router = routes::router(board, self.gate, &self.config);
        server::serve(self.listener, router, self.config.max_connections, shutdown).await;
    }
}
