//! Text to value: variables from the environment, then YAML 1.2's core schema (section 10.3.2 of the specification).

use serde_json::{Number, Value};

/// Looks a variable up.
pub(super) type Environment<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// A text with its variables resolved.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Interpolated {
    pub text: String,
    /// What the environment put in.
    pub values: Vec<String>,
}

/// What keeps a text from being resolved.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// No such variable, and no default.
    Absent(String),
    /// `${` that is not followed by a name and `}`.
    Malformed,
}

/// `${VAR}`, `${VAR:-default}` (when the variable is absent or empty), `$$` for a `$`. Any other `$` is itself.
pub(super) fn interpolate(raw: &str, environment: &Environment<'_>) -> Result<Interpolated, Vec<Fault>> {
    let (mut text, mut values, mut faults) = (String::with_capacity(raw.len()), Vec::new(), Vec::new());
    let mut rest = raw;
    while let Some(at) = rest.find('$') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            text.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let Some(end) = after.find('}') else {
                faults.push(Fault::Malformed);
                break;
            };
            let (inside, after) = (&after[..end], &after[end + 1..]);
            rest = after;
            let (name, default) = inside.split_once(":-").map_or((inside, None), |(n, d)| (n, Some(d)));
            if !is_variable(name) {
                faults.push(Fault::Malformed);
                continue;
            }
            match (environment(name), default) {
                (Some(value), None) => values.push(value),
                (Some(value), Some(_)) if !value.is_empty() => values.push(value),
                (_, Some(default)) => {
                    text.push_str(default);
                    continue;
                }
                (None, None) => {
                    faults.push(Fault::Absent(name.into()));
                    continue;
                }
            }
            text.push_str(values.last().map_or("", String::as_str));
        } else {
            text.push('$');
        }
    }
    text.push_str(rest);
    if faults.is_empty() { Ok(Interpolated { text, values }) } else { Err(faults) }
}

fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A plain scalar's value. What JSON cannot carry (`.inf`, `.nan`, numbers out of range) stays text, and is refused as such.
pub(super) fn typed(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    number(text).map_or_else(|| Value::String(text.into()), Value::Number)
}

fn number(text: &str) -> Option<Number> {
    let radix = |digits: &str, radix| {
        // `from_str_radix` takes a sign, YAML does not.
        let plain = digits.starts_with(|c: char| c.is_ascii_hexdigit());
        if plain { u64::from_str_radix(digits, radix).ok().map(Number::from) } else { None }
    };
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8);
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if unsigned.bytes().all(|c| c.is_ascii_digit()) && !unsigned.is_empty() {
        let text = text.strip_prefix('+').unwrap_or(text);
        return text.parse::<u64>().map(Number::from).or_else(|_| text.parse::<i64>().map(Number::from)).ok();
    }
    // Rust's own float syntax also has `inf` and `nan`: only digits, a point and an exponent get there.
    let begins = unsigned.strip_prefix('.').unwrap_or(unsigned).starts_with(|c: char| c.is_ascii_digit());
    let allowed = unsigned.bytes().all(|c| c.is_ascii_digit() || matches!(c, b'.' | b'e' | b'E' | b'+' | b'-'));
    if !begins || !allowed {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    #[expect(clippy::cast_possible_truncation, reason = "whole and within i64 by the test")]
    if value.fract() == 0.0 && value.abs() < 9e15 { Some((value as i64).into()) } else { Number::from_f64(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "USER" => Some("anna".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    fn text(raw: &str) -> String {
        interpolate(raw, &env).unwrap().text
    }

    #[test]
    fn variables_defaults_and_dollars_are_resolved() {
        assert_eq!(text("rtsp://${USER}:${PW:-x}@cam"), "rtsp://anna:x@cam");
        assert_eq!(text("${EMPTY}|${EMPTY:-d}|${NONE:-}"), "|d|");
        assert_eq!(text("$$ $x $${USER} 5$"), "$ $x ${USER} 5$");
        assert_eq!(interpolate("${USER}", &env).unwrap().values, ["anna"]);
        assert!(interpolate("${NONE:-d}", &env).unwrap().values.is_empty());
    }

    #[test]
    fn every_absent_variable_is_named() {
        assert_eq!(
            interpolate("${A}${USER}${B}", &env),
            Err(vec![Fault::Absent("A".into()), Fault::Absent("B".into())])
        );
        for malformed in ["${", "${}", "${A B}", "${1}", "x${USER"] {
            assert_eq!(interpolate(malformed, &env), Err(vec![Fault::Malformed]), "{malformed}");
        }
    }

    #[test]
    fn plain_scalars_follow_the_core_schema_of_yaml_1_2() {
        use serde_json::json;
        for (text, value) in [
            ("5", json!(5)),
            ("-3", json!(-3)),
            ("+7", json!(7)),
            ("0o17", json!(15)),
            ("0xff", json!(255)),
            ("0x+f", json!("0x+f")),
            ("1.50", json!(1.5)),
            (".5", json!(0.5)),
            ("5.0", json!(5)),
            ("1e3", json!(1000)),
            ("~", json!(null)),
            ("True", json!(true)),
            ("no", json!("no")),
            ("3.1.1", json!("3.1.1")),
            ("inf", json!("inf")),
            (".inf", json!(".inf")),
            ("1e999", json!("1e999")),
            ("-", json!("-")),
            (".", json!(".")),
            ("0123", json!(123)),
            ("99999999999999999999999", json!("99999999999999999999999")),
        ] {
            assert_eq!(typed(text), value, "{text}");
        }
    }
}
