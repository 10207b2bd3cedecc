//! From the command line to a command: words, settings, moments. Pure.

use serde_json::{Map, Value};

use super::super::BadUsage;
use crate::envelope::Verb;

/// Settings that are lists, so that one word alone is a list as well.
const LISTS: [&str; 2] = ["labels", "keyframes.when"];

/// The word of a command.
pub fn verb(word: &str) -> Result<Verb, String> {
    word.parse().map_err(|()| format!("no such command; there are: {}", Verb::ALL.map(Verb::as_str).join(", ")))
}

/// `confidence=0.6 labels=person,car publish.when=on_change`, for `set`.
pub fn settings(verb: Verb, words: &[String]) -> Result<Map<String, Value>, BadUsage> {
    if verb != Verb::Set && !words.is_empty() {
        let why = format!("{} takes no settings ({}); key=value goes with set", verb.as_str(), words.join(" "));
        return Err(BadUsage(why));
    }
    if verb == Verb::Set && words.is_empty() {
        return Err(BadUsage("set what? give settings: sightwire ctl set confidence=0.6 --camera door".into()));
    }
    let mut settings = Map::new();
    for word in words {
        let (key, text) = word
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| BadUsage(format!("'{word}' is no setting: write key=value, such as confidence=0.6")))?;
        if settings.insert(key.to_owned(), value(key, text)).is_some() {
            return Err(BadUsage(format!("'{key}' is given twice")));
        }
    }
    Ok(settings)
}

/// A JSON value as it stands; else a list by its commas; else a word.
fn value(key: &str, text: &str) -> Value {
    match serde_json::from_str::<Value>(text) {
        Ok(value) if value.is_null() || value.is_array() || !LISTS.contains(&key) => return value,
        _ if matches!(text, "~" | "") => return Value::Null,
        _ => {}
    }
    // `[person, car]`, as YAML writes lists.
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if LISTS.contains(&key) || bare.len() < text.len() || text.contains(',') {
        return bare.split(',').map(str::trim).filter(|item| !item.is_empty()).map(scalar).collect();
    }
    scalar(text)
}

fn scalar(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.trim_matches(['"', '\'']).to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(words: &[&str]) -> Result<Value, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        settings(Verb::Set, &words).map(Value::Object).map_err(|error| error.to_string())
    }

    #[test]
    fn settings_are_read_as_people_write_them() {
        let words = [
            "confidence=0.6",
            "labels=person,car",
            "publish.when=on_change",
            "keyframes=null",
            "publish.qos=1",
            "a=true",
        ];
        let read = json!({ "confidence": 0.6, "labels": ["person", "car"], "publish.when": "on_change",
            "keyframes": null, "publish.qos": 1, "a": true });
        assert_eq!(set(&words), Ok(read));
        let lists = ["labels=person", "keyframes.when=[event]"];
        assert_eq!(set(&lists), Ok(json!({ "labels": ["person"], "keyframes.when": ["event"] })));
        assert_eq!(set(&["labels=[\"traffic light\", \"car\"]"]), Ok(json!({ "labels": ["traffic light", "car"] })));
        assert_eq!(set(&["labels=traffic light,car"]), Ok(json!({ "labels": ["traffic light", "car"] })));
        assert_eq!(set(&["labels=~", "labels.x="]), Ok(json!({ "labels": null, "labels.x": null })));
        assert_eq!(set(&["publish={\"min_interval\":\"1s\"}"]), Ok(json!({ "publish": { "min_interval": "1s" } })));
        assert_eq!(set(&["publish.min_interval=1s"]), Ok(json!({ "publish.min_interval": "1s" })));
    }

    #[test]
    fn what_is_no_setting_is_said() {
        for (words, why) in
            [(&["confidence"][..], "key=value"), (&["=1"], "key=value"), (&["a=1", "a=2"], "twice"), (&[], "set what?")]
        {
            assert!(set(words).unwrap_err().contains(why), "{words:?}");
        }
        assert!(settings(Verb::Stop, &["a=1".into()]).unwrap_err().to_string().contains("goes with set"));
        assert!(verb("explode").unwrap_err().contains("stop"));
    }
}
