//! Keeps Home Assistant informed: announces devices, answers its birth message, takes back what is gone.
//!
//! What was announced is remembered in `state_dir` rather than read back from the broker: that needs no right to read other
//! people's announcements, and works while the broker is away.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::NodeFleet;
use super::notebook::Notebook;
use crate::bus::{ControlTopics, Fanout, Message, Publisher, Topic};
use crate::control::{CountedLabels, MemoryError};
use crate::domain::{Name, Target};
use crate::envelope::Encoding;
use crate::homeassistant::{
    self, CameraFacts, CameraTopics, CountTopic, HomeAssistantConfig, Ledger, MOST_LABELS, NodeFacts, NodeTopics,
};
use crate::pipeline::TrackerChoice;

const MQTT: &str = "mqtt";
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// How often it is looked whether something is to be announced or taken back.
const LOOK: Duration = Duration::from_millis(500);
/// A birth message is answered within so long, at random: all nodes hear it at the same moment.
const ANSWER: Duration = Duration::from_secs(5);

/// One node's announcements.
pub struct Announcements {
    /// None: nothing is announced, and what was is taken back.
    config: Option<HomeAssistantConfig>,
    topic_prefix: String,
    /// The live page, where others can reach it.
    page: Option<String>,
    fleet: Arc<NodeFleet>,
    counted: Arc<CountedLabels>,
    /// What Home Assistant says when it starts or ends.
    births: mpsc::Receiver<Bytes>,
    notebook: Notebook<Held>,
    held: Held,
    /// What the announcements that stand were made of: most looks find nothing new.
    told: Option<Facts>,
    said: HashMap<String, Vec<u8>>,
}

/// All that announcements are made of; None: there are to be none.
type Facts = Option<(NodeFacts, Vec<CameraFacts>)>;

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Held {
    ledger: Ledger,
    /// Labels that cameras have shown, in the order in which they came: who came first keeps its entities.
    seen: BTreeMap<Name, Vec<String>>,
}

/// What of an earlier run is remembered: `<state_dir>/<node>/homeassistant.json`.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn remembered(state_dir: &Path, node: &Name) -> Result<Notebook<Held>, MemoryError> {
    Notebook::open(state_dir, node, "homeassistant", "what is announced cannot be taken back after a restart")
}

impl Announcements {
    #[must_use]
    pub fn new(
        (config, topic_prefix): (Option<HomeAssistantConfig>, String),
        page: Option<String>,
        (fleet, counted): (Arc<NodeFleet>, Arc<CountedLabels>),
        births: mpsc::Receiver<Bytes>,
        notebook: Notebook<Held>,
    ) -> Self {
        let config = config.filter(|config| config.discovery);
        let (held, told, said) = (notebook.written().clone(), None, HashMap::new());
        Self { config, topic_prefix, page, fleet, counted, births, notebook, held, told, said }
    }

    /// Announces and answers until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut tick = tokio::time::interval(LOOK);
        let mut answer: Option<Instant> = None;
        loop {
            let due = async {
                match answer {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => self.settle().await,
                Some(payload) = self.births.recv() => {
                    // `offline` is its will. Several births become one answer.
                    if self.config.is_some() && payload.trim_ascii() == b"online" && answer.is_none() {
                        let delay = ANSWER.mul_f64(fastrand::f64());
                        tracing::info!(?delay, "Home Assistant has started: everything is announced again");
                        answer = Some(Instant::now() + delay);
                    }
                }
                () = due => {
                    answer = None;
                    // Announcements are retained states as all others are.
                    self.fleet.fanout.say_again(MQTT);
                }
            }
        }
    }

    /// Publishes what is not said yet, and clears what is gone.
    async fn settle(&mut self) {
        self.see_cleared();
        let facts = self.facts();
        if self.told.as_ref() != Some(&facts) {
            let style = self.config.clone().unwrap_or_default();
            let documents = homeassistant::documents(&style, VERSION, devices(&facts));
            let news = self.held.ledger.settle(&documents);
            // Before it is published: what is forgotten could never be taken back.
            self.notebook.keep(&self.held).await;
            for (topic, payload) in news {
                if self.said.get(&topic) != Some(&payload) {
                    publish(&self.fleet.fanout, &topic, &payload);
                    self.said.insert(topic, payload);
                }
            }
            self.told = Some(facts);
        }
        self.notebook.keep(&self.held).await;
    }

    /// Whether the broker has confirmed what was cleared.
    fn see_cleared(&mut self) {
        let waits = |topic: &String| self.fleet.fanout.is_retained(MQTT, &Topic::Absolute(topic.clone()));
        let cleared = self.held.ledger.cleared();
        if cleared.iter().any(|topic| self.said.contains_key(topic)) && !cleared.iter().any(waits) {
            self.held.ledger.has_cleared();
        }
    }

    fn facts(&mut self) -> Facts {
        let config = self.config.clone()?;
        let (fleet, prefix) = (self.fleet.clone(), self.topic_prefix.clone());
        let buses: Vec<_> = fleet.buses.iter().map(|(bus, _)| *bus).collect();
        let node = NodeFacts { page: self.page.clone(), ..node_facts(&fleet.node, &prefix, buses) };
        let cameras = fleet.cameras.all();
        let cameras = cameras.iter().map(|(name, handle)| {
            let settings = handle.state().settings;
            let known = handle.controls.as_ref().map(|controls| controls.labels.clone());
            let known: Vec<&str> = known.iter().flat_map(|labels| labels.iter()).map(|label| &**label).collect();
            let seen = self.seen(name);
            let labels = homeassistant::labels(settings.labels.as_deref(), config.labels.as_deref(), seen, &known);
            let events = settings.tracked && settings.publish.encoding == Encoding::Json;
            camera_facts(&fleet.node, &prefix, name, labels, events)
        });
        Some((node, cameras.collect()))
    }

    /// The labels this camera has shown, as many as get entities.
    fn seen(&mut self, camera: &Name) -> &[String] {
        let seen = self.held.seen.entry(camera.clone()).or_default();
        for label in self.counted.of(camera) {
            if seen.len() < MOST_LABELS && !seen.iter().any(|seen| **seen == *label) {
                seen.push(label.to_string());
            }
        }
        seen
    }
}

/// The node first: its cameras refer to it.
fn devices(facts: &Facts) -> Vec<homeassistant::Device> {
    let of = |(node, cameras): &(NodeFacts, Vec<CameraFacts>)| -> Vec<homeassistant::Device> {
        std::iter::once(homeassistant::node(node)).chain(cameras.iter().map(homeassistant::camera)).collect()
    };
    facts.as_ref().map(of).unwrap_or_default()
}

fn publish(buses: &Fanout, topic: &str, payload: &[u8]) {
    let topic = Topic::Absolute(topic.to_owned());
    buses.offer(if payload.is_empty() {
        Message::tombstone(topic, None)
    } else {
        Message::state(topic, Bytes::copy_from_slice(payload), "application/json", None)
    });
}

fn control(prefix: &str, wanted: &Target, topics: &ControlTopics) -> String {
    topics.addresses(prefix, "/").find(|(_, target)| target == wanted).map(|(address, _)| address).unwrap_or_default()
}

fn node_facts(node: &Name, prefix: &str, buses: Vec<&'static str>) -> NodeFacts {
    NodeFacts {
        name: node.clone(),
        version: VERSION.into(),
        topic_prefix: prefix.into(),
        topics: NodeTopics {
            status: Topic::NodeStatus(node.clone()).mqtt(prefix),
            state: Topic::NodeState(node.clone()).mqtt(prefix),
            control: control(prefix, &Target::Node(node.clone()), &ControlTopics::new(node, [], [])),
        },
        buses,
        page: None,
    }
}

fn camera_facts(node: &Name, prefix: &str, camera: &Name, labels: Vec<String>, events: bool) -> CameraFacts {
    let counts = labels.into_iter().map(|label| {
        let topic = Topic::Count(camera.clone(), label.clone()).mqtt(prefix);
        CountTopic { label, topic }
    });
    CameraFacts {
        name: camera.clone(),
        node: node.clone(),
        node_status: Topic::NodeStatus(node.clone()).mqtt(prefix),
        version: VERSION.into(),
        topic_prefix: prefix.into(),
        topics: CameraTopics {
            status: Topic::CameraStatus(camera.clone()).mqtt(prefix),
            state: Topic::CameraState(camera.clone()).mqtt(prefix),
            control: control(prefix, &Target::Camera(camera.clone()), &ControlTopics::new(node, [camera.clone()], [])),
            events: Topic::Events(camera.clone()).mqtt(prefix),
            keyframe: Topic::Keyframe(camera.clone()).mqtt(prefix),
            objects: Topic::Objects(camera.clone()).mqtt(prefix),
        },
        counts: counts.collect(),
        events,
    }
}

/// What a configuration would announce before anything was seen: topics and payloads, by topic.
#[must_use]
pub fn announced(config: &crate::config::Config, node: &Name) -> BTreeMap<String, String> {
    let Some(said) = config.homeassistant.as_ref().filter(|said| said.discovery) else { return BTreeMap::new() };
    let prefix = config.buses.mqtt.as_ref().map_or("sightwire", |mqtt| mqtt.topic_prefix.as_str());
    let buses = [(MQTT, true), ("nats", config.buses.nats.is_some())];
    let buses = buses.into_iter().filter(|(_, there)| *there).map(|(bus, _)| bus).collect();
    let cameras = config.cameras.iter().map(|(name, camera)| {
        let labels = homeassistant::labels(camera.labels.as_deref(), said.labels.as_deref(), &[], &[] as &[&str]);
        let tracked = camera.tracker != TrackerChoice::None;
        camera_facts(node, prefix, name, labels, tracked && camera.publish.encoding == Encoding::Json)
    });
    let facts = Some((node_facts(node, prefix, buses), cameras.collect()));
    let documents = homeassistant::documents(said, VERSION, devices(&facts));
    let settled = Ledger::default().settle(&documents).into_iter();
    settled.map(|(topic, payload)| (topic, String::from_utf8_lossy(&payload).into_owned())).collect()
}
