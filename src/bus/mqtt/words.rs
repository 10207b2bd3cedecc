//! Why an MQTT 5 connection is over, in words that say what to do.

use rumqttc_v5::mqttbytes::v5::{ConnectReturnCode as Code, DisconnectReasonCode as Reason};
use rumqttc_v5::{ConnectionError, StateError};

use super::dialect::Closing;

pub(super) fn closing(error: &ConnectionError) -> Closing {
    match error {
        ConnectionError::RequestsDone => Closing::Done,
        ConnectionError::ConnectionRefused(code)
        | ConnectionError::MqttState(StateError::ConnFail { reason: code }) => refusal(*code),
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, reason_string }) => {
            disconnected(*reason_code, reason_string.as_deref())
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

/// A refused CONNACK. What passes by itself is lost, what needs a person is refused.
fn refusal(code: Code) -> Closing {
    let words = match code {
        Code::RefusedProtocolVersion | Code::UnsupportedProtocolVersion => {
            "it does not speak MQTT 5; set version: 3.1.1"
        }
        Code::BadUserNamePassword => "bad user name or password",
        Code::NotAuthorized => "not authorized (user name, password or certificate, or its permissions)",
        Code::Banned => "this client is banned; its administrator has to lift that",
        Code::BadClientId | Code::ClientIdentifierNotValid => "it does not take this client id",
        Code::BadAuthenticationMethod => "it wants another way to log in",
        Code::QuotaExceeded => "its quota is exceeded",
        Code::TopicNameInvalid => "it does not take the will's topic; set another topic_prefix",
        Code::RetainNotSupported => "it keeps no retained messages, which state and status need",
        Code::QoSNotSupported => "it does not take QoS 1, which events need",
        Code::PacketTooLarge => "the connect packet is too large for it",
        Code::UseAnotherServer | Code::ServerMoved => "it sends us to another server; set its url",
        Code::ServerBusy => return passing("busy"),
        Code::ServerUnavailable | Code::ServiceUnavailable => return passing("not available"),
        Code::ConnectionRateExceeded => return passing("taking no more connections at this rate"),
        Code::MalformedPacket | Code::ProtocolError | Code::PayloadFormatInvalid => {
            "it does not understand us; is it a broker of MQTT 5?"
        }
        Code::UnspecifiedError | Code::ImplementationSpecificError | Code::Success => "it does not say why",
    };
    Closing::Refused(words.to_owned())
}

fn passing(what: &str) -> Closing {
    Closing::Lost(format!("the broker refused the connection for now: it is {what}"))
}

fn disconnected(reason: Reason, said: Option<&str>) -> Closing {
    let words = match reason {
        Reason::SessionTakenOver => return Closing::TakenOver,
        Reason::NotAuthorized => return Closing::Refused("not authorized any more".into()),
        Reason::ServerShuttingDown => "it is shutting down",
        Reason::ServerBusy => "it is busy",
        Reason::AdministrativeAction => "its administrator closed it",
        Reason::KeepAliveTimeout => "it heard nothing from us for too long",
        Reason::PacketTooLarge => "a message was too large for it",
        Reason::ReceiveMaximumExceeded => "more messages were out than it takes at once",
        Reason::MessageRateTooHigh => "messages came too fast for it",
        Reason::QuotaExceeded => "its quota is exceeded",
        Reason::ConnectionRateExceeded => "it takes no more connections at this rate",
        Reason::MaximumConnectTime => "it ends connections after some time",
        Reason::UseAnotherServer | Reason::ServerMoved => "it sends us to another server; set its url",
        other => return Closing::Lost(format!("the broker ended the connection: {}", named(other, said))),
    };
    Closing::Lost(format!(
        "the broker ended the connection: {}",
        said.map_or_else(|| words.to_owned(), |said| format!("{words} ({said})"))
    ))
}

fn named(reason: Reason, said: Option<&str>) -> String {
    said.map_or_else(|| format!("{reason:?}"), |said| format!("{reason:?} ({said})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_is_words_and_what_passes_is_tried_again() {
        for (code, word) in [
            (Code::Banned, "banned"),
            (Code::NotAuthorized, "not authorized"),
            (Code::BadUserNamePassword, "password"),
            (Code::UnsupportedProtocolVersion, "version: 3.1.1"),
        ] {
            assert!(matches!(refusal(code), Closing::Refused(why) if why.contains(word)), "{code:?}");
        }
        for (code, word) in [(Code::ServerBusy, "busy"), (Code::ServerUnavailable, "not available")] {
            assert!(matches!(refusal(code), Closing::Lost(why) if why.contains(word)), "{code:?}");
        }
        let end = disconnected(Reason::PacketTooLarge, Some("limit 20000"));
        assert!(matches!(&end, Closing::Lost(why) if why.ends_with("too large for it (limit 20000)")), "{end:?}");
        assert!(matches!(disconnected(Reason::SessionTakenOver, None), Closing::TakenOver));
    }
}
