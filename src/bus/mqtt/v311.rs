//! MQTT 3.1.1 by `rumqttc-v4-next` (docs/decisions/0001-mqtt-client.md).

use rumqttc_v4::mqttbytes::v4::{ConnectReturnCode, Packet, Publish, SubscribeReasonCode};
use rumqttc_v4::mqttbytes::{Error, QoS};
use rumqttc_v4::{
    AsyncClient, Broker, ClientError, ConnectionError, Event, EventLoop, LastWill, MqttOptions, Outgoing,
    PublishOptions, StateError, SubscribeFilter, TlsConfiguration, Transport,
};

use super::dialect::{Asking, Closing, Dialect, Notice, Receipt, Saying};
use super::setup::{BATCH, CONNECT_TIMEOUT_SECONDS, MAX_INCOMING_V311, MAX_PACKET, QUEUE, Route, Setup, WINDOW};
use crate::bus::link::Inbound;
use crate::bus::{Message, Qos};

pub(super) struct Client(AsyncClient);

impl Dialect for Client {
    type Connection = EventLoop;

    const NAME: &'static str = "MQTT 3.1.1";

    const TELLS_ITS_LIMIT: bool = false;

    const HAS_RESPONSE_TOPICS: bool = false;

    /// Never resumes: here a broker would keep a session until somebody comes back for it, and with a new id a start nobody
    /// ever does.
    fn open(setup: &Setup, _resume: bool) -> (Self, EventLoop) {
        let (client, mut connection) = AsyncClient::builder(options(setup)).capacity(QUEUE).build();
        connection.network_options.set_connection_timeout(CONNECT_TIMEOUT_SECONDS);
        // Small messages at once: Nagle's algorithm would hold one back until the last one is acknowledged.
        connection.network_options.set_tcp_nodelay(true);
        (Self(client), connection)
    }

    async fn poll(connection: &mut EventLoop) -> Result<Option<Saying>, Closing> {
        match connection.poll().await {
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
        let options = PublishOptions::new(qos).retain(message.retain);
        match self.0.try_publish(address, message.payload.clone(), options) {
            Err(ClientError::InvalidRequest(_)) => Err(format!("'{address}' is no topic to publish to")),
            Ok(()) => Ok(true),
            // The connection is over, and its driver is about to say so.
            Err(_) => Ok(false),
        }
    }

    fn ask(&self, asking: Asking<'_>) -> Result<Notice, String> {
        let options = PublishOptions::new(QoS::AtLeastOnce);
        let notice = match self.0.try_publish_tracked(asking.address, asking.payload, options) {
            Ok(notice) => notice,
            Err(ClientError::InvalidRequest(_)) => {
                return Err(format!("'{}' is no topic to publish to", asking.address));
            }
            Err(_) => return Ok(Box::pin(std::future::ready(Receipt::Lost))),
        };
        Ok(Box::pin(async move {
            match notice.wait_async().await {
                Ok(_) => Receipt::Acked,
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

    fn unsubscribe(&self, addresses: &[String]) {
        if let Err(error) = self.0.try_unsubscribe_many(addresses.iter().cloned()) {
            tracing::error!(%error, ?addresses, "cannot take back the wish for topics; what comes there is ignored");
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
        .set_keep_alive(setup.keep_alive_seconds)
        .set_clean_session(true)
        .set_max_packet_size(MAX_INCOMING_V311, MAX_PACKET)
        .set_request_channel_capacity(QUEUE)
        .set_max_request_batch(BATCH)
        .set_inflight(WINDOW);
    if let Some((username, password)) = &setup.credentials {
        options.set_credentials(username, password.clone());
    }
    if let Some(topic) = &setup.will {
        options.set_last_will(LastWill::new(topic, "offline", QoS::AtLeastOnce, true));
    }
    options
}

/// The URL was parsed before; should the client think otherwise, the connection fails and says so.
fn unreachable_broker(setup: &Setup) -> MqttOptions {
    MqttOptions::new(&setup.client_id, ("invalid.invalid", 1))
}

fn saying(packet: Packet) -> Option<Saying> {
    match packet {
        Packet::ConnAck(_) => {
            Some(Saying::Connected { max_packet: MAX_PACKET, resumed: false, retains: true, receive_max: u16::MAX })
        }
        Packet::PubAck(ack) => Some(Saying::Answered(ack.pkid, Receipt::Acked)),
        Packet::Publish(publish) => Some(Saying::Message(inbound(publish))),
        Packet::SubAck(suback) => {
            let refused = suback.return_codes.iter().enumerate();
            let refused = refused.filter(|(_, code)| **code == SubscribeReasonCode::Failure);
            Some(Saying::Subscribed { refused: refused.map(|(at, _)| (at, "refused".to_owned())).collect() })
        }
        Packet::UnsubAck(_) => Some(Saying::Unsubscribed),
        _ => None,
    }
}

/// MQTT 3.1.1 knows no response topic: the answer goes to the node's replies.
fn inbound(publish: Publish) -> Inbound {
    Inbound {
        address: String::from_utf8_lossy(&publish.topic).into_owned(),
        payload: publish.payload,
        retained: publish.retain,
        reply_to: None,
        content_type: None,
    }
}

fn closing(error: &ConnectionError) -> Closing {
    match error {
        ConnectionError::RequestsDone => Closing::Done,
        ConnectionError::ConnectionRefused(code) => refusal(*code),
        ConnectionError::MqttState(StateError::Deserialization(Error::PayloadSizeLimitExceeded(size))) => {
            Closing::Lost(format!(
                "a message of {size} bytes came on a control topic (if it is retained there, clear it; MQTT 5 is not troubled)"
            ))
        }
        // The client reads the socket within its decoder.
        ConnectionError::MqttState(StateError::Deserialization(Error::Io(error))) => {
            Closing::Lost(format!("I/O: {error}"))
        }
        ConnectionError::MqttState(StateError::Deserialization(error)) => {
            Closing::Lost(format!("the other side does not speak MQTT as we know it: {error}"))
        }
        ConnectionError::MqttState(StateError::AwaitPingResp) => {
            Closing::Lost("no sign of life: the broker did not answer a ping".into())
        }
        ConnectionError::MqttState(StateError::ConnectionAborted) => Closing::HungUp,
        other => Closing::Lost(other.to_string()),
    }
}

fn refusal(code: ConnectReturnCode) -> Closing {
    match code {
        ConnectReturnCode::BadUserNamePassword => Closing::Refused("bad user name or password".into()),
        ConnectReturnCode::NotAuthorized => Closing::Refused("not authorized".into()),
        ConnectReturnCode::RefusedProtocolVersion => {
            Closing::Refused("the broker does not speak MQTT 3.1.1; set version: 5".into())
        }
        ConnectReturnCode::BadClientId => Closing::Refused("it does not take this client id".into()),
        ConnectReturnCode::ServiceUnavailable => Closing::Lost("the broker is not ready".into()),
        other @ ConnectReturnCode::Success => Closing::Refused(format!("{other:?}")),
    }
}
