//! MQTT 5 by `rumqttc-v5-next` (docs/decisions/0001-mqtt-client.md).

use std::sync::{Arc, Mutex, PoisonError};

use rumqttc_v5::mqttbytes::QoS;
use rumqttc_v5::mqttbytes::v5::{
    DisconnectProperties, DisconnectReasonCode, Packet, PubAckReason, Publish, PublishProperties, SubscribeReasonCode,
};
use rumqttc_v5::{
    AsyncClient, Broker, ClientError, Event, EventLoop, LastWill, MqttOptions, Outgoing, PublishNoticeError,
    PublishOptions, SubscribeFilter, TlsConfiguration, Transport,
};

use super::alias::{Aliases, Naming};
use super::dialect::{Asking, Closing, Dialect, Notice, Receipt, Saying};
use super::resume::Continued;
use super::setup::{BATCH, CONNECT_TIMEOUT_SECONDS, MAX_INCOMING_V5, MAX_PACKET, QUEUE, Route, Setup, WINDOW};
use super::words::closing;
use crate::bus::link::Inbound;
use crate::bus::{Message, MessageExpiry, MessageKind, Qos, Topic};
use crate::domain::{ReplyTo, Span};

pub(super) struct Client {
    inner: AsyncClient,
    aliases: Arc<Mutex<Aliases>>,
    expiry: MessageExpiry,
}

pub(super) struct Connection {
    events: EventLoop,
    aliases: Arc<Mutex<Aliases>>,
}

impl Dialect for Client {
    type Connection = Connection;

    const NAME: &'static str = "MQTT 5";
    const TELLS_ITS_LIMIT: bool = true;
    const HAS_RESPONSE_TOPICS: bool = true;

    fn open(setup: &Setup, resume: bool) -> (Self, Connection) {
        let (inner, events) = AsyncClient::builder(options(setup, resume)).capacity(QUEUE).build();
        let aliases = Arc::<Mutex<Aliases>>::default();
        (Self { inner, aliases: aliases.clone(), expiry: setup.expiry.clone() }, Connection { events, aliases })
    }

    async fn poll(connection: &mut Connection) -> Result<Option<Saying>, Closing> {
        match connection.events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(connack))) => {
                // It was only there to be read once: the client would save its state at every step.
                connection.events.options.clear_session_store();
                let offered = connack.properties.as_ref();
                lock(&connection.aliases).offered(offered.and_then(|p| p.topic_alias_max).unwrap_or(0));
                let limit = offered.and_then(|p| p.max_packet_size).map_or(MAX_PACKET, |max| max as usize);
                let max_packet = limit.min(MAX_PACKET);
                let retains = offered.and_then(|p| p.retain_available) != Some(0);
                let receive_max = offered.and_then(|p| p.receive_max).unwrap_or(u16::MAX);
                Ok(Some(Saying::Connected { max_packet, resumed: connack.session_present, retains, receive_max }))
            }
            Ok(Event::Incoming(packet)) => Ok(saying(packet)),
            // Handed out only after the flush: an id of 0 has left.
            Ok(Event::Outgoing(Outgoing::Publish(id))) => Ok(Some(Saying::Written((id != 0).then_some(id)))),
            Ok(_) => Ok(None),
            Err(error) => Err(closing(&error)),
        }
    }

    fn publish(&self, address: &str, message: &Message) -> Result<bool, String> {
        let qos = match message.qos {
            Qos::AtMostOnce => QoS::AtMostOnce,
            Qos::AtLeastOnce => QoS::AtLeastOnce,
        };
        let mut properties = PublishProperties {
            content_type: Some(message.content_type.to_owned()),
            correlation_data: message.correlation.clone(),
            user_properties: message.properties.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect(),
            message_expiry_interval: seconds(expiry(&self.expiry, message)),
            ..PublishProperties::default()
        };
        let topic = match self.naming(address, message) {
            Naming::Plain => address,
            Naming::Introduce(alias) => {
                properties.topic_alias = Some(alias);
                address
            }
            Naming::Alias(alias) => {
                properties.topic_alias = Some(alias);
                ""
            }
        };
        let options = PublishOptions::new(qos).retain(message.retain).properties(properties);
        match self.inner.try_publish(topic, message.payload.clone(), options) {
            Err(ClientError::InvalidRequest(_)) => Err(format!("'{address}' is no topic to publish to")),
            Ok(()) => Ok(true),
            // The connection is over, and its driver is about to say so.
            Err(_) => Ok(false),
        }
    }

    fn ask(&self, asking: Asking<'_>) -> Result<Notice, String> {
        let (response_topic, correlation_data) =
            asking.reply_to.map(|ReplyTo { address, correlation }| (address, correlation)).unzip();
        let properties = PublishProperties {
            content_type: Some("application/json".into()),
            response_topic,
            correlation_data: correlation_data.flatten(),
            message_expiry_interval: asking.expiry.and_then(|expiry| seconds(Span(expiry))),
            ..PublishProperties::default()
        };
        let options = PublishOptions::new(QoS::AtLeastOnce).properties(properties);
        let notice = match self.inner.try_publish_tracked(asking.address, asking.payload, options) {
            Ok(notice) => notice,
            Err(ClientError::InvalidRequest(_)) => {
                return Err(format!("'{}' is no topic to publish to", asking.address));
            }
            Err(_) => return Ok(Box::pin(std::future::ready(Receipt::Lost))),
        };
        Ok(Box::pin(async move {
            match notice.wait_completion_async().await {
                Ok(()) => Receipt::Acked,
                Err(PublishNoticeError::V5PubAck(reason)) => receipt(reason),
                Err(_) => Receipt::Lost,
            }
        }))
    }

    fn subscribe(&self, addresses: &[String]) {
        // Retain as published (MQTT 5.0, 3.8.3.1): a retained command is known as one in the moment it is published too.
        let filter = |address: &String| SubscribeFilter {
            preserve_retain: true,
            ..SubscribeFilter::new(address.clone(), QoS::AtLeastOnce)
        };
        let filters = addresses.iter().map(filter);
        if let Err(error) = self.inner.try_subscribe_many(filters) {
            tracing::error!(%error, ?addresses, "cannot ask for the control topics");
        }
    }

    fn unsubscribe(&self, addresses: &[String]) {
        if let Err(error) = self.inner.try_unsubscribe_many(addresses.iter().cloned()) {
            tracing::error!(%error, ?addresses, "cannot take back the wish for topics; what comes there is ignored");
        }
    }

    /// For good: the session ends with it, or commands would wait for a node that is gone.
    fn disconnect(&self) {
        let properties = DisconnectProperties {
            session_expiry_interval: Some(0),
            reason_string: None,
            user_properties: Vec::new(),
            server_reference: None,
        };
        // Fails only when the connection is gone already.
        let _gone =
            self.inner.try_disconnect_now_with_properties(DisconnectReasonCode::NormalDisconnection, properties);
    }
}

impl Client {
    fn naming(&self, address: &str, message: &Message) -> Naming {
        // A topic that a command names for its reply is said once: it would use up a number.
        if message.kind == MessageKind::Reply { Naming::Plain } else { lock(&self.aliases).name(address) }
    }
}

fn lock(aliases: &Mutex<Aliases>) -> std::sync::MutexGuard<'_, Aliases> {
    aliases.lock().unwrap_or_else(PoisonError::into_inner)
}

fn expiry(expiry: &MessageExpiry, message: &Message) -> Span {
    match message.kind {
        MessageKind::Event => expiry.events,
        MessageKind::Detections => expiry.detections,
        MessageKind::Keyframe => expiry.keyframes,
        MessageKind::Reply => expiry.replies,
        MessageKind::State if matches!(message.topic, Topic::KeyframeMeta(_)) => expiry.keyframes,
        MessageKind::State => Span::default(),
    }
}

/// Whole seconds, at least one; nothing for one that never expires.
fn seconds(span: Span) -> Option<u32> {
    let rounded_up = span.0.as_secs() + u64::from(span.0.subsec_nanos() > 0);
    (rounded_up > 0).then(|| u32::try_from(rounded_up).unwrap_or(u32::MAX))
}

fn options(setup: &Setup, resume: bool) -> MqttOptions {
    let (broker, tls) = (&setup.route, setup.tls.clone().map(TlsConfiguration::Rustls));
    let mut options = match (broker, tls) {
        (Route::Tcp { host, port }, None) => MqttOptions::new(&setup.client_id, (host.clone(), *port)),
        (Route::Tcp { host, port }, Some(tls)) => {
            let mut options = MqttOptions::new(&setup.client_id, (host.clone(), *port));
            options.set_transport(Transport::Tls(tls));
            options
        }
        (Route::Websocket(url), None) => Broker::websocket(url)
            .map_or_else(|_| unreachable_broker(setup), |broker| MqttOptions::new(&setup.client_id, broker)),
        (Route::Websocket(url), Some(tls)) => MqttOptions::websocket_with_tls_config(&setup.client_id, url, tls)
            .unwrap_or_else(|_| unreachable_broker(setup)),
    };
    options
        .set_keep_alive(setup.keep_alive_seconds)
        .set_clean_start(!resume)
        .set_connect_timeout(std::time::Duration::from_secs(CONNECT_TIMEOUT_SECONDS))
        .set_max_packet_size(Some(MAX_INCOMING_V5))
        .set_session_expiry_interval((setup.session_seconds > 0).then_some(setup.session_seconds))
        .set_request_channel_capacity(QUEUE)
        .set_max_request_batch(BATCH)
        .set_outgoing_inflight_upper_limit(WINDOW);
    if resume {
        options.set_session_store(Continued::of(&options));
    }
    // Small messages at once: Nagle's algorithm would hold one back until the last one is acknowledged.
    let mut network = options.network_options();
    network.set_tcp_nodelay(true);
    options.set_network_options(network);
    if let Some((username, password)) = &setup.credentials {
        options.set_credentials(username, password.clone());
    }
    if let Some(topic) = &setup.will {
        options.set_last_will(LastWill::new(topic, "offline", QoS::AtLeastOnce, true, None));
    }
    options
}

/// The URL was parsed before; should the client think otherwise, the connection fails and says so.
fn unreachable_broker(setup: &Setup) -> MqttOptions {
    MqttOptions::new(&setup.client_id, ("invalid.invalid", 1))
}

fn saying(packet: Packet) -> Option<Saying> {
    match packet {
        Packet::PubAck(ack) => Some(Saying::Answered(ack.pkid, receipt(ack.reason))),
        Packet::Publish(publish) => Some(Saying::Message(inbound(publish))),
        Packet::SubAck(suback) => {
            let refused = suback.return_codes.iter().enumerate();
            let refused = refused.filter(|(_, code)| !matches!(code, SubscribeReasonCode::Success(_)));
            Some(Saying::Subscribed { refused: refused.map(|(at, code)| (at, subscription(*code))).collect() })
        }
        Packet::UnsubAck(_) => Some(Saying::Unsubscribed),
        _ => None,
    }
}

fn receipt(reason: PubAckReason) -> Receipt {
    match reason {
        PubAckReason::Success | PubAckReason::NoMatchingSubscribers => Receipt::Acked,
        PubAckReason::NotAuthorized => Receipt::Forbidden,
        reason => Receipt::Refused(format!("{reason:?}")),
    }
}

fn subscription(code: SubscribeReasonCode) -> String {
    match code {
        SubscribeReasonCode::NotAuthorized => "not authorized".into(),
        SubscribeReasonCode::Failure | SubscribeReasonCode::Unspecified => "refused".into(),
        SubscribeReasonCode::QuotaExceeded => "quota exceeded".into(),
        SubscribeReasonCode::TopicFilterInvalid => "not a topic for this broker".into(),
        other => format!("{other:?}"),
    }
}

fn inbound(publish: Publish) -> Inbound {
    let properties = publish.properties.unwrap_or_default();
    let correlation = properties.correlation_data;
    Inbound {
        address: String::from_utf8_lossy(&publish.topic).into_owned(),
        payload: publish.payload,
        retained: publish.retain,
        reply_to: properties.response_topic.map(|address| ReplyTo { address, correlation }),
        content_type: properties.content_type,
    }
}
