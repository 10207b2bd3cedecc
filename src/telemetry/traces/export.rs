//! The task that tells the collector. It may be away for as long as it likes: the queue is bounded, what overflows is counted.

use std::path::PathBuf;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource as OtlpResource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use prost::Message;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::post::{NotTaken, Post};
use super::spans::{Value, Whole, attributes};
use super::{TracesConfig, count};
use crate::domain::{BootId, Name};

/// Traces that wait for the collector.
const ROOM: usize = 64;
/// Traces in one request.
const BATCH: usize = 16;
/// Between attempts while the collector is away: the first, and the longest.
const REST: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// For the last traces when the node ends.
const FAREWELL: Duration = Duration::from_secs(2);

#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    #[error("telemetry.traces.endpoint cannot be used: {0}")]
    Endpoint(String),
    #[error("telemetry.traces.{field}: {path}: {what}")]
    File { field: &'static str, path: PathBuf, what: String },
}

/// Who speaks.
#[derive(Debug, Clone)]
pub struct Resource {
    pub node: Name,
    pub boot_id: BootId,
}

/// The running task.
#[derive(Debug)]
pub struct Exporter {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Exporter {
    /// Tells what is still there, within two seconds, and ends.
    pub async fn finish(self) {
        self.stop.cancel();
        if tokio::time::timeout(FAREWELL, self.task).await.is_err() {
            tracing::debug!("the collector did not take the last traces in time");
        }
    }
}

pub(super) fn start(
    config: &TracesConfig,
    resource: &Resource,
) -> Result<(mpsc::Sender<Whole>, Exporter), TracesError> {
    let post = Post::new(config)?;
    let (queue, receiver) = mpsc::channel(ROOM);
    let stop = CancellationToken::new();
    let resource = OtlpResource {
        attributes: attributes([
            ("service.name", Value::Text(config.service_name.clone())),
            ("service.version", env!("CARGO_PKG_VERSION").into()),
            ("service.instance.id", resource.boot_id.as_str().into()),
            ("sightwire.node", resource.node.as_str().into()),
        ]),
        ..OtlpResource::default()
    };
    for outcome in ["exported", "dropped", "failed"] {
        count(outcome, 0);
    }
    let endpoint = post.shown();
    let task = Task { post, endpoint, resource, receiver, stop: stop.clone(), away: false, refused: false };
    Ok((queue, Exporter { stop, task: tokio::spawn(task.run()) }))
}

struct Task {
    post: Post,
    endpoint: String,
    resource: OtlpResource,
    receiver: mpsc::Receiver<Whole>,
    stop: CancellationToken,
    /// It was said.
    away: bool,
    refused: bool,
}

impl Task {
    async fn run(mut self) {
        loop {
            let first = tokio::select! {
                biased;
                first = self.receiver.recv() => first,
                () = self.stop.cancelled() => None,
            };
            let Some(first) = first else { return };
            let mut batch = vec![first];
            while let Some(next) = (batch.len() < BATCH).then(|| self.receiver.try_recv().ok()).flatten() {
                batch.push(next);
            }
            let traces = batch.len() as u64;
            let outcome = self.deliver(self.request(batch)).await;
            count(if outcome { "exported" } else { "failed" }, traces);
        }
    }

    fn request(&self, batch: Vec<Whole>) -> Vec<u8> {
        let scope = InstrumentationScope {
            name: "sightwire".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            ..Default::default()
        };
        let scope_spans = ScopeSpans {
            scope: Some(scope),
            spans: batch.into_iter().flat_map(Whole::written).collect(),
            ..Default::default()
        };
        let spans = ResourceSpans {
            resource: Some(self.resource.clone()),
            scope_spans: vec![scope_spans],
            ..Default::default()
        };
        ExportTraceServiceRequest { resource_spans: vec![spans] }.encode_to_vec()
    }

    /// Tries until the collector takes it or will never; once only when the node ends.
    async fn deliver(&mut self, body: Vec<u8>) -> bool {
        let mut rest = REST.0;
        loop {
            match self.post.send(body.clone()).await {
                Ok(answer) => {
                    self.taken(&answer);
                    return true;
                }
                Err(NotTaken { why, passes: false }) => {
                    if !std::mem::replace(&mut self.refused, true) {
                        tracing::warn!(
                            endpoint = self.endpoint,
                            "the collector refuses traces: {why}; they are counted and dropped"
                        );
                    }
                    return false;
                }
                Err(NotTaken { why, passes: true }) => self.is_away(&why),
            }
            tokio::select! {
                () = self.stop.cancelled() => return false,
                () = tokio::time::sleep(rest) => rest = (rest * 2).min(REST.1),
            }
        }
    }

    fn is_away(&mut self, why: &str) {
        if !std::mem::replace(&mut self.away, true) {
            tracing::warn!(
                endpoint = self.endpoint,
                "the collector takes no traces: {why}; frames go on, traces wait and then are dropped"
            );
        }
    }

    fn taken(&mut self, answer: &[u8]) {
        if std::mem::take(&mut self.away) {
            tracing::info!(endpoint = self.endpoint, "the collector takes traces again");
        }
        // An answer that is none of this kind says nothing.
        let partial = ExportTraceServiceResponse::decode(answer).ok().and_then(|answer| answer.partial_success);
        if let Some(partial) = partial.filter(|partial| partial.rejected_spans > 0)
            && !std::mem::replace(&mut self.refused, true)
        {
            let (spans, why) = (partial.rejected_spans, partial.error_message);
            tracing::warn!(endpoint = self.endpoint, spans, "the collector refuses spans: {why}");
        }
    }
}
