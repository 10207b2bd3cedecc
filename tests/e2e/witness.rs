//! Who receives: `mosquitto_sub`, which shares no code with the program, and a plain NATS client.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::Value;
use sightwire::codec;
use sightwire::envelope::{Detections, Event};
use tokio::runtime::Runtime;

use crate::node::{PATIENCE, Running};

/// A message as it arrived.
#[derive(Debug, Clone, Default)]
pub struct Received {
    /// MQTT's topic, or the NATS subject with `/` for `.`, so that both read alike.
    pub topic: String,
    pub retain: bool,
    pub qos: u8,
    pub content_type: Option<String>,
    /// MQTT 5 user properties, NATS headers.
    pub properties: BTreeMap<String, String>,
    pub correlation: String,
    pub payload: Vec<u8>,
}

impl Received {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.payload).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.payload).unwrap_or_else(|e| panic!("{}: {e}: {}", self.topic, self.text()))
    }

    pub fn detections(&self) -> Detections {
        let encoding = codec::encoding_of(self.content_type.as_deref());
        codec::decode_detections(&self.payload, encoding).unwrap_or_else(|e| panic!("{}: {e}", self.topic))
    }

    pub fn event(&self) -> Event {
        let encoding = codec::encoding_of(self.content_type.as_deref());
        codec::decode_event(&self.payload, encoding).unwrap_or_else(|e| panic!("{}: {e}", self.topic))
    }

    pub fn is_of(&self, camera: &str, kind: &str) -> bool {
        self.topic == format!("sightwire/cameras/{camera}/{kind}")
    }
}

/// Fails unless the payload is what the schema of this name says.
pub fn assert_valid(schema: &str, payload: &Value) {
    let schema = sightwire::envelope::schema(schema).unwrap();
    if let Err(error) = jsonschema::validate(&schema, payload) {
        panic!("{error}\n{payload:#}");
    }
}

/// Everything received so far, in the order of arrival.
#[derive(Clone, Default)]
pub struct Inbox(Arc<Mutex<Vec<Received>>>);

impl Inbox {
    pub fn all(&self) -> Vec<Received> {
        self.0.lock().unwrap().clone()
    }

    pub fn of(&self, camera: &str, kind: &str) -> Vec<Received> {
        self.0.lock().unwrap().iter().filter(|message| message.is_of(camera, kind)).cloned().collect()
    }

    pub fn wait(&self, what: &str, wanted: impl Fn(&Received) -> bool) -> Received {
        self.wait_many(what, 1, wanted).remove(0)
    }

    /// The first `count` that are wanted.
    pub fn wait_many(&self, what: &str, count: usize, wanted: impl Fn(&Received) -> bool) -> Vec<Received> {
        let start = Instant::now();
        loop {
            let all = self.0.lock().unwrap();
            let found: Vec<_> = all.iter().filter(|message| wanted(message)).take(count).cloned().collect();
            if found.len() == count {
                return found;
            }
            let topics: Vec<_> = all.iter().rev().take(30).map(|message| message.topic.clone()).collect();
            drop(all);
            assert!(start.elapsed() < PATIENCE, "never arrived: {what} ({} of {count}); last: {topics:?}", found.len());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What arrived after the first message that is `mark`.
    pub fn after(&self, mark: impl Fn(&Received) -> bool) -> Vec<Received> {
        self.all().into_iter().skip_while(|message| !mark(message)).skip(1).collect()
    }

    fn push(&self, message: Received) {
        self.0.lock().unwrap().push(message);
    }
}

impl FromIterator<Received> for Inbox {
    fn from_iter<I: IntoIterator<Item = Received>>(messages: I) -> Self {
        Self(Arc::new(Mutex::new(messages.into_iter().collect())))
    }
}

/// `mosquitto_sub`.
pub struct MqttWitness {
    pub inbox: Inbox,
    _process: Running,
}

/// Every field of a message, the payload in hexadecimal.
const FORMAT: &str = "%t\\t%r\\t%q\\t%C\\t%D\\t%P\\t%x";
const MARK: &str = "test/mark";

impl MqttWitness {
    /// Of everything, by MQTT 5 with the retain flag as it was published; subscribed when this returns.
    pub fn v5(port: u16) -> Self {
        Self::with(port, &["-V", "mqttv5", "--retain-as-published", "-t", "sightwire/#", "-t", "test/replies"])
    }

    pub fn v311(port: u16) -> Self {
        Self::with(port, &["-V", "mqttv311", "-t", "sightwire/#", "-t", "test/replies"])
    }

    pub fn with(port: u16, arguments: &[&str]) -> Self {
        let mut command = Command::new("mosquitto_sub");
        command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-q", "1", "-t", MARK, "-F", FORMAT]);
        let mut process = Running::spawn(command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()));
        let output = process.0.stdout.take().unwrap();
        let inbox = Inbox::default();
        let into = inbox.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                into.push(parse(&line));
            }
        });
        let start = Instant::now();
        // Its own mark comes back once the subscription stands.
        while !inbox.all().iter().any(|message| message.topic == MARK) {
            assert!(start.elapsed() < PATIENCE, "mosquitto_sub is not ready");
            publish(port, MARK, b"here", &[]);
            std::thread::sleep(Duration::from_millis(30));
        }
        Self { inbox, _process: process }
    }
}

fn parse(line: &str) -> Received {
    let mut fields = line.split('\t');
    let mut next = || fields.next().unwrap_or_default().to_owned();
    let (topic, retain, qos, content_type, correlation) = (next(), next(), next(), next(), next());
    let (properties, payload) = (next(), next());
    Received {
        topic,
        retain: retain == "1",
        qos: qos.parse().unwrap_or(9),
        content_type: Some(content_type).filter(|text| !text.is_empty()),
        // No value of ours holds a blank.
        properties: properties.split(' ').filter_map(|pair| pair.split_once(':')).map(owned).collect(),
        correlation,
        payload: unhex(&payload),
    }
}

fn owned((key, value): (&str, &str)) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes().chunks_exact(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// `mosquitto_pub`, the payload by its standard input, which it does not take empty.
pub fn publish(port: u16, topic: &str, payload: &[u8], more: &[&str]) {
    let mut command = Command::new("mosquitto_pub");
    let from = if payload.is_empty() { "-n" } else { "-s" };
    command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-t", topic, from, "-q", "1"]).args(more);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(payload).unwrap();
    assert!(child.wait().unwrap().success(), "mosquitto_pub {topic}");
}

/// A NATS client of the test's own.
pub struct NatsWitness {
    pub inbox: Inbox,
    pub client: async_nats::Client,
    pub runtime: Runtime,
}

impl NatsWitness {
    /// Of everything; subscribed when this returns.
    pub fn new(port: u16) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let inbox = Inbox::default();
        let into = inbox.clone();
        let client = runtime.block_on(async {
            let client = async_nats::connect(format!("nats://127.0.0.1:{port}")).await.unwrap();
            let mut messages = client.subscribe("sightwire.>").await.unwrap();
            client.flush().await.unwrap();
            tokio::spawn(async move {
                while let Some(message) = messages.next().await {
                    into.push(from_nats(&message));
                }
            });
            client
        });
        Self { inbox, client, runtime }
    }

    /// Asks, and gives every answer that comes until there are `count`.
    pub fn ask(&self, subject: &str, payload: &str, count: usize) -> Vec<Value> {
        self.runtime.block_on(async {
            let address = self.client.new_inbox();
            let mut answers = self.client.subscribe(address.clone()).await.unwrap();
            let payload = payload.to_owned().into();
            self.client.publish_with_reply(subject.to_owned(), address, payload).await.unwrap();
            let mut got = Vec::new();
            while got.len() < count {
                let next = tokio::time::timeout(PATIENCE, answers.next()).await;
                let message = next.unwrap_or_else(|_| panic!("{subject}: {} of {count} answers", got.len())).unwrap();
                let answer: Value = serde_json::from_slice(&message.payload).unwrap();
                assert_valid("reply", &answer);
                got.push(answer);
            }
            got
        })
    }

    /// What the stream stores under this subject, in its order.
    pub fn stored(&self, subject: &str) -> Vec<Received> {
        self.runtime.block_on(async {
            let jetstream = async_nats::jetstream::new(self.client.clone());
            let stream = jetstream.get_stream("SIGHTWIRE").await.unwrap();
            let consumer = stream
                .create_consumer(async_nats::jetstream::consumer::pull::Config {
                    filter_subject: subject.to_owned(),
                    ..Default::default()
                })
                .await
                .unwrap();
            let mut batch = consumer.fetch().max_messages(10_000).messages().await.unwrap();
            let mut got = Vec::new();
            while let Some(message) = batch.next().await {
                got.push(from_nats(&message.unwrap()));
            }
            got
        })
    }
}

fn from_nats(message: &async_nats::Message) -> Received {
    let headers = message.headers.iter().flat_map(|headers| headers.iter());
    let properties: BTreeMap<String, String> =
        headers.filter_map(|(name, values)| Some((name.to_string(), values.first()?.as_str().to_owned()))).collect();
    Received {
        topic: message.subject.replace('.', "/"),
        content_type: properties.get("Content-Type").cloned(),
        properties,
        payload: message.payload.to_vec(),
        ..Received::default()
    }
}
