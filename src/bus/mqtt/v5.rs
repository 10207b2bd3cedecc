//! MQTT 5 by `rumqttc-v5-next` (docs/decisions/0001-mqtt-client.md).

use rumqttc_v5::mqttbytes::QoS;
use rumqttc_v5::mqttbytes::v5::{
    ConnectReturnCode, DisconnectReasonCode, Packet, Publish, PublishProperties, SubscribeReasonCode,
};
use rumqttc_v5::{
    AsyncClient, Broker, ClientError, ConnectionError, Event, EventLoop, LastWill, MqttOptions, Outgoing,
    PublishNoticeError, PublishOptions, StateError, SubscribeFilter, TlsConfiguration, Transport,
};

use super::dialect::{Closing, Dialect, Notice, Receipt, Saying};
use super::setup::{CONNECT_TIMEOUT_SECONDS, KEEP_ALIVE_SECONDS, MAX_INCOMING_V5, MAX_PACKET, Route, Setup, WINDOW};
use crate::bus::link::Inbound;
use crate::bus::{Message, Qos};
use crate::domain::ReplyTo;

pub(super) struct Client(AsyncClient);

impl Dialect for Client {
    type Connection = EventLoop;

    const NAME: &'static str = "MQTT 5";

    fn open(setup: &Setup) -> (Self, EventLoop) {
        let (client, connection) = AsyncClient::builder(options(setup)).capacity(WINDOW.into()).build();
        (Self(client), connection)
    }

    async fn poll(connection: &mut EventLoop) -> Result<Option<Saying>, Closing> {
        match connection.poll().await {
            Ok(Event::Incoming(packet)) => Ok(saying(packet)),
            Ok(Event::Outgoing(Outgoing::Publish(id))) if id != 0 => Ok(Some(Saying::Written)),
            Ok(_) => Ok(None),
            Err(error) => Err(closing(&error)),
        }
    }

    fn publish(&self, address: &str, message: &Message) -> Result<Notice, String> {
        let qos = match message.qos {
            Qos::AtMostOnce => QoS::AtMostOnce,
            Qos::AtLeastOnce => QoS::AtLeastOnce,
        };
        let properties = PublishProperties {
            content_type: Some(message.content_type.to_owned()),
            correlation_data: message.correlation.clone(),
            user_properties: message.properties.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect(),
            ..PublishProperties::default()
        };
        let options = PublishOptions::new(qos).retain(message.retain).properties(properties);
        let notice = match self.0.try_publish_tracked(address, message.payload.clone(), options) {
            Ok(notice) => notice,
            Err(ClientError::InvalidRequest(_)) => return Err(format!("'{address}' is no topic to publish to")),
            // The connection is over, and its driver is about to say so.
            Err(_) => return Ok(Box::pin(std::future::ready(Receipt::Lost))),
        };
        Ok(Box::pin(async move {
            match notice.wait_completion_async().await {
                Ok(()) if qos == QoS::AtMostOnce => Receipt::Sent,
                Ok(()) => Receipt::Acked,
                Err(PublishNoticeError::V5PubAck(reason)) => Receipt::Refused(format!("{reason:?}")),
                Err(error @ PublishNoticeError::RetainNotSupported) => Receipt::Refused(error.to_string()),
                Err(_) => Receipt::Lost,
            }
        }))
    }

    fn subscribe(&self, addresses: &[String]) {
        let filters = addresses.iter().map(|address| SubscribeFilter::new(address.clone(), QoS::AtLeastOnce));
        if let Err(error) = self.0.try_subscribe_many(filters) {
            tracing::error!(%error, ?addresses, "cannot ask for the control topics");
        }
    }

    fn disconnect(&self) {
        // Fails only when the connection is gone already.
        let _gone = self.0.try_disconnect_now();
    }
}

fn options(setup: &Setup) -> MqttOptions {
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
        .set_keep_alive(KEEP_ALIVE_SECONDS)
        .set_clean_start(true)
        .set_connect_timeout(std::time::Duration::from_secs(CONNECT_TIMEOUT_SECONDS))
        .set_max_packet_size(Some(MAX_INCOMING_V5))
        .set_request_channel_capacity(WINDOW.into())
        .set_max_request_batch(WINDOW.into())
        .set_outgoing_inflight_upper_limit(WINDOW);
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
        Packet::ConnAck(connack) => {
            let limit = connack.properties.and_then(|p| p.max_packet_size).map_or(MAX_PACKET, |max| max as usize);
            Some(Saying::Connected { max_packet: limit.min(MAX_PACKET) })
        }
        Packet::Publish(publish) => Some(Saying::Message(inbound(publish))),
        Packet::SubAck(suback) => {
            let refused =
                suback.return_codes.iter().filter(|code| !matches!(code, SubscribeReasonCode::Success(_))).count();
            Some(Saying::Subscribed { refused })
        }
        _ => None,
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

fn closing(error: &ConnectionError) -> Closing {
    match error {
        ConnectionError::RequestsDone => Closing::Done,
        ConnectionError::ConnectionRefused(code)
        | ConnectionError::MqttState(StateError::ConnFail { reason: code }) => refusal(*code),
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, reason_string }) => {
            let why = reason_string.clone().unwrap_or_else(|| format!("{reason_code:?}"));
            match reason_code {
                DisconnectReasonCode::SessionTakenOver => Closing::Lost(
                    "another client with this client id took the session over: is the same node running twice?".into(),
                ),
                DisconnectReasonCode::NotAuthorized => Closing::Refused(why),
                _ => Closing::Lost(format!("the broker ended the connection: {why}")),
            }
        }
        ConnectionError::MqttState(StateError::Deserialization(error)) => {
            Closing::Lost(format!("the other side does not speak MQTT as we know it: {error}"))
        }
        ConnectionError::MqttState(StateError::ConnectionAborted) => Closing::HungUp,
        other => Closing::Lost(other.to_string()),
    }
}

fn refusal(code: ConnectReturnCode) -> Closing {
    match code {
        ConnectReturnCode::BadUserNamePassword => Closing::Refused("bad user name or password".into()),
        ConnectReturnCode::NotAuthorized => Closing::Refused("not authorized".into()),
        ConnectReturnCode::RefusedProtocolVersion | ConnectReturnCode::UnsupportedProtocolVersion => {
            Closing::Refused("the broker does not speak MQTT 5; set version: 3.1.1".into())
        }
        ConnectReturnCode::ServerBusy
        | ConnectReturnCode::ServerUnavailable
        | ConnectReturnCode::ServiceUnavailable
        | ConnectReturnCode::ConnectionRateExceeded => Closing::Lost(format!("the broker is not ready: {code:?}")),
        other => Closing::Refused(format!("{other:?}")),
    }
}
