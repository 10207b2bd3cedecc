//! Going on with the session that an MQTT 5 broker kept over a cut: what we listen on, and the commands that came meanwhile.

use std::pin::Pin;

use rumqttc_v5::{MqttOptions, PersistedAckMode, PersistedSession, SessionStore, SessionStoreError, SessionStoreKey};

type Stored<'a, T> = Pin<Box<dyn Future<Output = Result<T, SessionStoreError>> + Send + 'a>>;

/// What a new client has to remember of the session before: nothing. Our own messages are sent again by the outbox, under
/// new packet ids, and of those at QoS 1 a broker remembers nothing either.
#[derive(Debug)]
pub(super) struct Continued(PersistedSession);

impl Continued {
    pub(super) fn of(options: &MqttOptions) -> Self {
        Self(PersistedSession {
            format_version: 1,
            client_id: options.client_id(),
            clean_start: options.clean_start(),
            session_expiry_interval: options.session_expiry_interval(),
            outgoing_inflight_upper_limit: options.get_outgoing_inflight_upper_limit(),
            ack_mode: PersistedAckMode::Automatic,
            last_pkid: 0,
            last_puback: 0,
            replay: Vec::new(),
            incoming_qos2: Vec::new(),
        })
    }
}

impl SessionStore for Continued {
    fn load<'a>(&'a self, _key: &'a SessionStoreKey) -> Stored<'a, Option<PersistedSession>> {
        Box::pin(std::future::ready(Ok(Some(self.0.clone()))))
    }

    fn save<'a>(&'a self, _key: &'a SessionStoreKey, _session: &'a PersistedSession) -> Stored<'a, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn clear<'a>(&'a self, _key: &'a SessionStoreKey) -> Stored<'a, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}
