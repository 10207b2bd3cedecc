//! A running node.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::balcony::Balcony;
use super::cameras::CameraHandle;
use super::frigate::{self, Frigate};
use super::homeassistant::{self, Announcements};
use super::models::Models;
use super::onlookers;
use super::yard::{Grounds, Yard, control_topics};
use super::{AppError, CameraRow, NodeFleet, Summary};
use crate::bus::{
    self, Absolute, BusContext, BusesConfig, Fanout, Heard, Herald, Link, Message, MqttConfig, OutboxLimits, Publisher,
    SpoolConfig, SpoolPlace, Subscriptions, Topic,
    embedded::{self, Embedded},
    spool,
};
use crate::codec;
use crate::config::Loaded;
use crate::control::{CountedLabels, Fleet, Guard, Overrides, Switches, answer};
use crate::domain::{BootId, Label, Name, RawCommand, Timestamp};
use crate::envelope::ActualState;
use crate::http::Server;
use crate::inference::Runtime;
use crate::live::webrtc::WebRtc;
use crate::live::{Feed, LiveMessage};
use crate::pipeline::{Applied, KeyframeQueue, smaller_keyframe};
use crate::telemetry::{CameraMetrics, Telemetry, set_build_info, set_last_reload};

/// Commands that may wait to be judged; more are counted and dropped by the bus that brings them.
const COMMANDS: usize = 256;
/// Home Assistant's births that may wait to be answered: all of them get one answer.
const BIRTHS: usize = 4;
/// After so long somebody who waits for the end is told what for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often the node's own state is looked at.
const LOOK: Duration = Duration::from_millis(500);

pub struct Node {
    pub fleet: Arc<NodeFleet>,
    /// Where the live page is.
    pub http: SocketAddr,
    /// The embedded broker's address, when there is one.
    pub embedded: Option<SocketAddr>,
    pub(super) started: Instant,
    pub(super) links: Vec<Link>,
    pub(super) fanout: Arc<Fanout>,
    pub(super) broker: Option<Embedded>,
    /// Says at Frigate's topic whether the node is there.
    pub(super) herald: Option<Herald>,
    pub(super) keyframes: Arc<KeyframeQueue>,
    pub(super) keyframe_thread: std::thread::JoinHandle<()>,
    pub(super) stop_cameras: CancellationToken,
    pub(super) stop_services: CancellationToken,
    pub(super) _balcony: Balcony,
}

impl Node {
    /// Builds and starts everything. A bus that is down, a source that does not answer, a model that does not load do not
    /// keep the rest from starting.
    ///
    /// # Errors
    /// When nothing useful can run: no ONNX Runtime, no model that loads, the HTTP port in use, a bus that cannot even be tried.
    pub async fn start(config: Loaded, telemetry: Telemetry) -> Result<Self, AppError> {
        let graphs = config.state_dir.join(config.node.as_str()).join("graphs");
        let runtime = Runtime::load()?.keeping_graphs(graphs);
        // Before anything is said on a bus: a port in use ends the start.
        let balcony = Balcony::open()?;
        let server = Server::bind(&config.config.http).await?;
        let (stop_cameras, stop_services) = (CancellationToken::new(), CancellationToken::new());
        let webrtc = match config.config.http.webrtc.clone() {
            off if !off.enabled => None,
            on => {
                let start = WebRtc::start(on, server.addr, stop_cameras.clone());
                Some(balcony.tasks.spawn(start).await.map_err(std::io::Error::other)??)
            }
        };
        set_build_info(env!("CARGO_PKG_VERSION"), runtime.version());
        tokio::spawn(telemetry.clone().upkeep());
        let boot_id = BootId::new();
        let Loaded { file, node, state_dir, config, .. } = config;
        let switches = Arc::new(Switches::open(&state_dir, &node)?);
        let overrides = Arc::new(Overrides::open(&state_dir, &node)?);
        let counted = Arc::new(CountedLabels::open(&state_dir, &node)?);
        let remembered = homeassistant::remembered(&state_dir, &node)?;
        let retained = frigate::remembered(&state_dir, &node)?;
        let (first_seen, labels) = mpsc::unbounded_channel();
        tokio::spawn(note(counted.clone(), labels));
        let guard = Arc::new(Guard::open(config.control.clone(), &state_dir, &node, Timestamp::now())?);
        let (runtime_for_models, config_for_models) = (runtime.clone(), config.clone());
        let models = tokio::task::spawn_blocking(move || Models::load(&runtime_for_models, &config_for_models))
            .await
            .map_err(|e| std::io::Error::other(e.to_string()))??;

        let metrics: HashMap<Name, Arc<CameraMetrics>> =
            config.cameras.keys().map(|name| (name.clone(), Arc::new(CameraMetrics::new(name.as_str())))).collect();
        let (heard, incoming) = mpsc::channel(COMMANDS);
        let subscriptions = Subscriptions::new(control_topics(&node, &config));
        if let Some(said) = config.homeassistant.as_ref().filter(|said| said.discovery) {
            subscriptions.add(said.birth_topic(), Absolute::Birth);
        }
        let context = BusContext {
            node: node.clone(),
            boot_id: boot_id.clone(),
            subscriptions: subscriptions.clone(),
            heard,
            cameras: metrics.clone(),
            limits: OutboxLimits::default(),
            spool: spool_place(config.spool, &state_dir, &node),
        };
        let (broker, mqtt, links) = connect(&config.buses, &context).await?;
        name_left_behind(&spool_folder(&state_dir, &node), &links);
        let fanout = Arc::new(Fanout::new(&links));
        let publisher: Arc<dyn Publisher> = fanout.clone();
        publisher.offer(Message::word(Topic::NodeStatus(node.clone()), "online", None));

        let (frigate, upkeep) = Frigate::new(&config, fanout.clone(), subscriptions.clone(), retained);
        let link = links.iter().find(|link| link.name() == "mqtt");
        let herald = mqtt
            .zip(link)
            .filter(|_| config.frigate.topics)
            .map(|(mqtt, link)| bus::start_herald(&mqtt, (&node, &boot_id), &config.frigate.available(), link.state()));
        let herald = herald.transpose()?;

        let keyframes = Arc::new(KeyframeQueue::default());
        let keyframe_thread = std::thread::Builder::new().name("keyframes".into()).spawn({
            let (queue, publisher) = (keyframes.clone(), publisher.clone());
            move || queue.run(publisher.as_ref())
        })?;
        let feed = Arc::new(Feed::default());
        let grounds = Grounds {
            file,
            node: node.clone(),
            boot_id: boot_id.clone(),
            runtime: runtime.clone(),
            fanout: fanout.clone(),
            subscriptions,
            keyframes: keyframes.clone(),
            video: config.http.video,
            switches: switches.clone(),
            overrides: overrides.clone(),
            guard: guard.clone(),
            feed: feed.clone(),
            telemetry: telemetry.clone(),
            counted: counted.clone(),
            first_seen,
            tasks: Handle::current(),
            frigate,
            shutdown: stop_cameras.clone(),
        };
        let prefix = config.buses.mqtt.clone().unwrap_or_default().topic_prefix;
        let told = (config.homeassistant.clone(), prefix);
        let yard = Yard::open(grounds, config, models, metrics.into_iter().collect());
        set_last_reload(true, Timestamp::now());
        let fleet = Arc::new(NodeFleet {
            node,
            boot_id,
            started_at: Timestamp::now(),
            onnxruntime: runtime.version().to_owned(),
            cameras: yard.cameras.clone(),
            yard,
            buses: links.iter().map(|link| (link.name(), link.state())).collect(),
            spools: links.iter().filter_map(|link| Some((link.name(), link.spool()?))).collect(),
            fanout: fanout.clone(),
            switches,
            guard,
            overrides,
            ending: CancellationToken::new(),
            telemetry,
            feed,
            webrtc,
        });
        let http = server.addr;
        balcony.tasks.spawn(server.serve(fleet.clone(), stop_services.clone()));
        let (births, heard_births) = mpsc::channel(BIRTHS);
        tokio::spawn(judge(fleet.clone(), (incoming, births), fanout.clone(), stop_services.clone()));
        // Where there is no MQTT nobody can be told, and nothing can be taken back.
        if links.iter().any(|link| link.name() == "mqtt") {
            let announcements =
                Announcements::new(told, page(http), (fleet.clone(), counted), heard_births, remembered);
            tokio::spawn(announcements.run(stop_services.clone()));
            tokio::spawn(upkeep.run(fleet.cameras.clone(), stop_services.clone()));
        }
        tokio::spawn(announce(fleet.clone(), publisher.clone(), stop_services.clone()));
        tokio::spawn(onlookers::tell(fleet.clone(), stop_services.clone()));
        Ok(Self {
            fleet,
            http,
            embedded: broker.as_ref().map(Embedded::addr),
            started: Instant::now(),
            links,
            fanout,
            broker,
            herald,
            keyframes,
            keyframe_thread,
            stop_cameras,
            stop_services,
            _balcony: balcony,
        })
    }

    /// Waits until every finite source has ended or failed, and everything accepted is sent or acknowledged. Whether any
    /// source is finite is for [`AppError::unless_something_ends`] to say, before the start.
    pub async fn until_done(&self) {
        while let Some(camera) = self.still_going().await {
            // An error: its task ended, since it was restarted or removed.
            let mut applied = camera.applied.clone();
            let _changed = applied.wait_for(is_over).await;
        }
        let queue = self.keyframes.clone();
        let _joined = tokio::task::spawn_blocking(move || queue.drain()).await;
        while tokio::time::timeout(PATIENCE, self.fanout.drained()).await.is_err() {
            let down: Vec<&str> = self.links.iter().filter(|l| !l.state().borrow().connected).map(Link::name).collect();
            tracing::info!(
                ?down,
                "all sources have ended; still waiting until everything is delivered (Ctrl-C gives up)"
            );
        }
    }
}

impl Node {
    /// A finite camera that is not over. All at the same moment: one that failed may have come back while another was waited
    /// for, and a reload may have brought another.
    async fn still_going(&self) -> Option<Arc<CameraHandle>> {
        let _no_reload = self.fleet.yard.hold().await;
        let mut cameras = self.fleet.cameras.all().into_iter().map(|(_, camera)| camera);
        // A camera whose task ended by itself gives nothing any more to wait for.
        let ended = |camera: &CameraHandle| camera.applied.has_changed().is_err() || is_over(&camera.applied.borrow());
        cameras.find(|camera| camera.finite && !ended(camera))
    }
}

fn is_over(applied: &Applied) -> bool {
    matches!(applied.actual, ActualState::Ended | ActualState::Failed | ActualState::Stopped)
}

/// What every camera did, so far.
pub(super) fn summarise(fleet: &NodeFleet, fanout: &Fanout, started: Instant) -> Summary {
    let row = |(name, handle): &(Name, Arc<CameraHandle>)| {
        CameraRow::new(&handle.state(), &handle.view.metrics.totals, &fanout.camera_tally(name))
    };
    Summary { seconds: started.elapsed().as_secs_f64(), cameras: fleet.cameras.all().iter().map(row).collect() }
}

/// Where undelivered messages wait, one file a bus.
#[must_use]
pub fn spool_place(config: SpoolConfig, state_dir: &Path, node: &Name) -> Option<SpoolPlace> {
    config.enabled.then_some(SpoolPlace {
        folder: spool_folder(state_dir, node),
        max_bytes: config.max_size.0,
        write_after: config.write_after.0,
        mark: |content_type| codec::late(codec::encoding_of(Some(content_type))),
        shrink: smaller_keyframe,
    })
}

fn spool_folder(state_dir: &Path, node: &Name) -> PathBuf {
    state_dir.join(node.as_str()).join("spool")
}

/// What was meant for a bus that is no longer in the configuration goes nowhere by itself.
fn name_left_behind(folder: &Path, links: &[Link]) {
    let buses: Vec<&str> = links.iter().filter(|link| link.spool().is_some()).map(Link::name).collect();
    for (path, bytes) in spool::left_behind(folder, &buses) {
        tracing::warn!(path = %path.display(), bytes, "a spool that is not used: what it holds is delivered once its bus is \
            configured (and spool.enabled) again; remove the file to give it up");
    }
}

/// The links, the configuration of the one to MQTT, and the broker of our own where none is configured.
async fn connect(
    config: &BusesConfig,
    context: &BusContext,
) -> Result<(Option<Embedded>, Option<MqttConfig>, Vec<Link>), AppError> {
    let mut links = Vec::new();
    let mut broker = None;
    let mut mqtt = config.mqtt.clone();
    if config.mqtt.is_none() && config.nats.is_none() {
        let started = own_broker().await?;
        tracing::info!(addr = %started.addr(), "no bus is configured: an embedded MQTT broker listens on loopback");
        mqtt = Some(MqttConfig { url: format!("mqtt://{}", started.addr()), ..MqttConfig::default() });
        broker = Some(started);
    }
    if let Some(mqtt) = &mqtt {
        // A broker in this very process is never away while the process lives, and forgets everything with it.
        let spool = context.spool.clone().filter(|_| broker.is_none());
        links.push(bus::start_mqtt(mqtt, BusContext { spool, ..context.clone() })?);
    }
    if let Some(nats) = &config.nats {
        // A frame's way to the socket is counted once: by the first bus.
        let cameras = if links.is_empty() { context.cameras.clone() } else { HashMap::new() };
        links.push(bus::start_nats(nats, BusContext { cameras, ..context.clone() })?);
    }
    Ok((broker, mqtt, links))
}

/// On MQTT's own port, where `mosquitto_sub` looks; when that is taken (a second node, a broker), on a free one.
async fn own_broker() -> Result<Embedded, AppError> {
    let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
    match embedded::start(at(1883)).await {
        Ok(broker) => Ok(broker),
        Err(taken) => {
            tracing::warn!("{taken}; a free port is taken instead");
            Ok(embedded::start(at(0)).await?)
        }
    }
}

/// The live page's address, if other machines can reach it there.
fn page(http: SocketAddr) -> Option<String> {
    (!http.ip().is_loopback() && !http.ip().is_unspecified()).then(|| format!("http://{http}/"))
}

/// Commands are said in their order, each at once: its wishes are out after the first poll. Waiting until they are applied
/// and answering goes on beside the next ones, so that nobody's stop waits for another's.
async fn judge(
    fleet: Arc<NodeFleet>,
    (mut incoming, births): (mpsc::Receiver<Heard>, mpsc::Sender<Bytes>),
    buses: Arc<Fanout>,
    stop: CancellationToken,
) {
    while let Some(heard) = tokio::select! { () = stop.cancelled() => None, heard = incoming.recv() => heard } {
        let raw = match heard {
            Heard::Command(raw) => raw,
            Heard::Birth(payload) => {
                // Full: one is about to be answered.
                let _full = births.try_send(payload);
                continue;
            }
        };
        let mut answering = Box::pin(reply(fleet.clone(), raw, buses.clone()));
        let first = std::future::poll_fn(|cx| std::task::Poll::Ready(answering.as_mut().poll(cx))).await;
        if first.is_pending() {
            tokio::spawn(answering);
        }
    }
}

async fn reply(fleet: Arc<NodeFleet>, raw: RawCommand, buses: Arc<Fanout>) {
    for reply in answer(fleet.as_ref(), &raw).await {
        let topic = Topic::reply(raw.reply_to.as_ref(), &fleet.node);
        let correlation = raw.reply_to.as_ref().and_then(|to| to.correlation.clone());
        buses.offer_to(raw.bus, Message::reply(topic, codec::encode_json(&reply).0, correlation));
    }
}

/// Remembers which labels were counted, so that the next boot can say that there are none.
async fn note(counted: Arc<CountedLabels>, mut labels: mpsc::UnboundedReceiver<(Name, Label)>) {
    let mut some = Vec::new();
    while labels.recv_many(&mut some, 64).await > 0 {
        let (counted, news) = (counted.clone(), std::mem::take(&mut some));
        if let Ok(Err(e)) = tokio::task::spawn_blocking(move || counted.add(news)).await {
            tracing::warn!("{e}; after a crash their last counts may stand on the broker");
        }
    }
}

/// Says the node's state whenever a part of it changes.
async fn announce(fleet: Arc<NodeFleet>, publisher: Arc<dyn Publisher>, stop: CancellationToken) {
    let mut said = None;
    let mut tick = tokio::time::interval(LOOK);
    while tokio::select! { () = stop.cancelled() => false, _ = tick.tick() => true } {
        let state = fleet.node_state();
        let essence = (state.cameras.clone(), state.models.clone(), state.buses.clone(), state.reload.clone());
        if said.as_ref() != Some(&essence) {
            said = Some(essence);
            let (payload, content_type) = codec::encode_json(&state);
            publisher.offer(Message::state(Topic::NodeState(fleet.node.clone()), payload, content_type, None));
            fleet.feed.say(None, || LiveMessage::Node(state));
        }
    }
}
