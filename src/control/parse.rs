//! From a payload to a command, or to the reason why not. Pure: `now` is an argument.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::domain::{RawCommand, Timestamp, redact_text};
use crate::envelope::{Command, ReplyError, Verb};

/// Longer payloads are refused unread.
pub const MAX_PAYLOAD: usize = 64 * 1024;

/// A command that is not carried out, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: &'static str,
    pub message: String,
    /// As far as they could be read, for the answer.
    pub id: Option<String>,
    pub word: Option<String>,
}

impl Refusal {
    #[must_use]
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), id: None, word: None }
    }

    #[must_use]
    pub fn error(&self) -> ReplyError {
        ReplyError { code: self.code.into(), message: self.message.clone() }
    }
}

/// Bytes of an id, which answers repeat.
const LONGEST_ID: usize = 1024;

/// Looser than [`Command`]: an unknown word must still be answered with the command's id.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Loose {
    command: String,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    args: Map<String, Value>,
    #[serde(default)]
    expires_at: Option<Timestamp>,
}

/// Reads a command.
///
/// # Errors
/// A [`Refusal`] with the code `too_large`, `malformed`, `retained`, `expired` or `unknown_command`.
pub fn parse(raw: &RawCommand, now: Timestamp) -> Result<Command, Refusal> {
    let loose = read(&raw.payload)?;
    // It is repeated to everybody who hears the answers, once a target.
    if loose.id.as_ref().is_some_and(|id| id.len() > LONGEST_ID) {
        let word = Some(loose.command.chars().take(64).collect());
        return Err(Refusal { word, ..Refusal::new("malformed", format!("its id is longer than {LONGEST_ID} bytes")) });
    }
    let refuse = |code, message: String| Refusal {
        code,
        message,
        id: loose.id.clone(),
        word: Some(loose.command.chars().take(64).collect()),
    };
    if raw.retained {
        return Err(refuse("retained", "a retained command is stale: publish commands without the retain flag".into()));
    }
    if let Some(at) = loose.expires_at.filter(|at| *at < now) {
        let late = now.since(at);
        return Err(refuse("expired", format!("it expired {:.1} s ago", late.as_secs_f64())));
    }
    let Ok(command) = loose.command.parse::<Verb>() else {
        let Refusal { code, message, .. } = unknown_command();
        return Err(refuse(code, message));
    };
    Ok(Command { command, id: loose.id, args: loose.args, expires_at: loose.expires_at })
}

/// What serde says quotes the value it found, which may be a password; and a field's name as it came.
fn without_values(error: &str) -> String {
    let said = match (error.find('"'), error.rfind('"')) {
        (Some(first), Some(last)) if first < last => format!("{}…{}", &error[..=first], &error[last..]),
        _ => error.to_owned(),
    };
    redact_text(&said).chars().filter(|c| !c.is_control()).take(300).collect()
}

pub(super) fn unknown_command() -> Refusal {
    let known = Verb::ALL.map(Verb::as_str).join(", ");
    Refusal::new("unknown_command", format!("no such command; known: {known}"))
}

fn read(payload: &[u8]) -> Result<Loose, Refusal> {
    let malformed = |why: &str| Refusal::new("malformed", why);
    if payload.len() > MAX_PAYLOAD {
        // How long it really was the buses keep to themselves: they cut what is too long anyway.
        let why = format!("more than the {MAX_PAYLOAD} bytes that are read");
        return Err(Refusal::new("too_large", why));
    }
    let text = std::str::from_utf8(payload)
        .map_err(|_| malformed("not UTF-8 text; send a bare word such as `stop`, or JSON"))?
        .trim();
    if text.is_empty() {
        return Err(malformed("empty; send a bare word such as `stop`, or JSON"));
    }
    if text.starts_with('{') {
        // serde_json gives up at 128 levels, so nesting cannot exhaust the stack. A field that is said twice is no command:
        // who knows which one was meant.
        return serde_json::from_str(text).map_err(|error| {
            let kind = if error.is_data() { "a command" } else { "JSON" };
            let value: Value = serde_json::from_str(text).unwrap_or_default();
            let (id, word) = (value["id"].as_str().filter(|id| id.len() <= LONGEST_ID), value["command"].as_str());
            let word = word.map(|text| text.chars().take(64).collect());
            let why = without_values(&error.to_string());
            Refusal { id: id.map(str::to_owned), word, ..malformed(&format!("not {kind}: {why}")) }
        });
    }
    // A JSON string is taken as the bare word it holds: Node-RED and others quote by habit.
    let word = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text);
    if word.len() > 64 || !word.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-')) {
        return Err(malformed("neither a bare word nor a JSON object"));
    }
    Ok(Loose { command: word.to_ascii_lowercase(), id: None, args: Map::new(), expires_at: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Target;
    use bytes::Bytes;
    use proptest::prelude::*;

    fn raw(payload: impl Into<Bytes>) -> RawCommand {
        RawCommand { bus: "mqtt", target: Target::All, payload: payload.into(), retained: false, reply_to: None }
    }

    fn code(payload: impl Into<Bytes>) -> &'static str {
        parse(&raw(payload), Timestamp::from_micros(10_000_000)).unwrap_err().code
    }

    #[test]
    fn a_bare_word_and_json_say_the_same() {
        let now = Timestamp::now();
        for text in ["stop", " Stop\n", "\"stop\"", r#"{"command":"stop"}"#] {
            assert_eq!(parse(&raw(text), now).unwrap(), Command::bare(Verb::Stop), "{text}");
        }
        let full = parse(&raw(r#"{"command":"start","id":"a","expires_at":99999999999}"#), now).unwrap();
        assert_eq!((full.command, full.id.as_deref()), (Verb::Start, Some("a")));
    }

    #[test]
    fn what_is_wrong_is_refused_with_its_reason() {
        assert_eq!(code(""), "malformed");
        assert_eq!(code(&b"\xff\xfe\x00stop"[..]), "malformed");
        assert_eq!(code("stop now"), "malformed");
        assert_eq!(code("{"), "malformed");
        assert_eq!(code(r#"{"command":"stop","colour":1}"#), "malformed");
        assert_eq!(code(r#"{"command":"stop","command":"start"}"#), "malformed");
        assert_eq!(code(r#"{"command":"stop","id":7}"#), "malformed");
        assert_eq!(code("explode"), "unknown_command");
        assert_eq!(code(r#"{"command":"stop","expires_at":9}"#), "expired");
        assert_eq!(code(vec![b'x'; 10_000_000]), "too_large");
        assert_eq!(code(format!("{{\"command\":{}", "[".repeat(60_000))), "malformed");
    }

    #[test]
    fn an_unknown_command_is_answered_with_its_id() {
        let refusal = parse(&raw(r#"{"command":"explode","id":"7"}"#), Timestamp::now()).unwrap_err();
        assert_eq!((refusal.id.as_deref(), refusal.word.as_deref()), (Some("7"), Some("explode")));
    }

    #[test]
    fn a_command_with_a_field_too_many_is_answered_with_its_id() {
        let refusal = parse(&raw(r#"{"command":"stop","id":"7","colour":1}"#), Timestamp::now()).unwrap_err();
        assert_eq!(
            (refusal.code, refusal.id.as_deref(), refusal.word.as_deref()),
            ("malformed", Some("7"), Some("stop"))
        );
        assert!(refusal.message.contains("colour"), "{}", refusal.message);
    }

    #[test]
    fn a_retained_stop_stops_nothing() {
        let refusal = parse(&RawCommand { retained: true, ..raw("stop") }, Timestamp::now()).unwrap_err();
        assert_eq!(refusal.code, "retained");
    }

    proptest! {
        #[test]
        fn no_payload_panics(payload in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _judged = parse(&raw(payload), Timestamp::from_micros(0));
        }
    }

    #[test]
    fn what_is_refused_repeats_neither_values_nor_an_endless_id() {
        let refusal = |payload: &str| read(payload.as_bytes()).err().unwrap();
        let said = refusal(r#"{"command":"set","id":"7","args":"rtsp://u:geheim@cam"}"#);
        assert!(!said.message.contains("geheim") && said.message.contains("expected a map"), "{}", said.message);
        assert_eq!(said.id.as_deref(), Some("7"));
        let said = refusal("{\"command\":\"set\",\"a\\nb\":1}");
        assert!(!said.message.contains('\n'), "{}", said.message);
        let with_id = |bytes: usize| raw(format!(r#"{{"command":"stop","id":"{}"}}"#, "x".repeat(bytes)));
        assert!(parse(&with_id(LONGEST_ID), Timestamp::now()).is_ok());
        let said = parse(&with_id(LONGEST_ID + 1), Timestamp::now()).unwrap_err();
        assert_eq!((said.code, said.id), ("malformed", None));
    }
}
