//! The grammar of `source:`, one function a kind.

use std::path::Path;
use std::time::Duration;

use super::super::synthetic::SceneParams;
use super::{InvalidSpec, SourceKind};
use crate::domain::{Span, redact};

/// Slideshow: how long one picture is shown when `every` is not given.
const EVERY: Duration = Duration::from_secs(1);

pub(super) fn parse(text: &str) -> Result<SourceKind, InvalidSpec> {
    if text.is_empty() {
        return Err(InvalidSpec::Empty);
    }
    let Some((scheme, rest)) = split_scheme(text) else { return Ok(SourceKind::File(text.into())) };
    match scheme.to_ascii_lowercase().as_str() {
        "rtsp" | "rtsps" | "http" | "https" => stream(text),
        "file" => file(text, rest),
        "webcam" => {
            let index = rest.parse().map_err(|_| InvalidSpec::Webcam { index: shorten(rest) })?;
            Ok(SourceKind::Webcam(index))
        }
        "images" => images(rest),
        "push" => push(rest),
        "synthetic" => synthetic(rest),
        // `user:secret@camera/stream1` and `rtsp:/user:secret@camera` must not be repeated.
        _ if text.contains('@') && !text.contains("://") => Err(InvalidSpec::Hidden),
        _ => Err(InvalidSpec::UnknownScheme { shown: shorten(&redact(text)), scheme: shorten(scheme) }),
    }
}

/// A scheme by RFC 3986, section 3.1, of two characters at least.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let word = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    (scheme.len() >= 2 && scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(word))
        .then_some((scheme, rest))
}

fn stream(text: &str) -> Result<SourceKind, InvalidSpec> {
    let bad = |why: String| InvalidSpec::Address { shown: shorten(&redact(text)), why };
    if !text.contains("://") {
        // Not shown: without '//' nothing tells the password from the rest.
        return Err(InvalidSpec::Hidden);
    }
    let url = url::Url::parse(text).map_err(|e| {
        bad(format!("not a valid address ({e}); in a password write '@' as %40, ':' as %3A, '/' as %2F, '#' as %23"))
    })?;
    if url.host_str().is_none_or(str::is_empty) {
        return Err(bad("the host is missing; write rtsp://camera/stream1".into()));
    }
    if text.contains(char::is_whitespace) {
        return Err(bad("an address holds no blanks; write them as %20".into()));
    }
    Ok(SourceKind::Stream(text.to_owned()))
}

fn file(text: &str, rest: &str) -> Result<SourceKind, InvalidSpec> {
    let bad = |why: &str| InvalidSpec::Address { shown: shorten(&redact(text)), why: why.into() };
    let Some(after) = rest.strip_prefix("//") else {
        return if rest.is_empty() { Err(bad("the path is missing")) } else { Ok(SourceKind::File(rest.into())) };
    };
    if after.is_empty() {
        return Err(bad("the path is missing"));
    }
    // `file://clips/street.mp4` names no host to anyone who writes it: a relative path.
    if !after.starts_with('/') && !after.starts_with("localhost/") {
        return Ok(SourceKind::File(after.into()));
    }
    let url = url::Url::parse(text).map_err(|_| bad("not a valid file address"))?;
    url.to_file_path().map(SourceKind::File).map_err(|()| bad("not a file of this machine"))
}

fn images(rest: &str) -> Result<SourceKind, InvalidSpec> {
    // '?' is a glob character as well: only a tail of `key=value` is a query.
    let (pattern, query) = match rest.rsplit_once('?') {
        Some((pattern, query)) if query.contains('=') && !query.contains('/') => (pattern, query),
        _ => (rest, ""),
    };
    let shown = shorten(&format!("images:{rest}"));
    if pattern.is_empty() {
        return Err(InvalidSpec::Address { shown, why: "the folder is missing; write images:stills?every=5s".into() });
    }
    if let Err(e) = glob::Pattern::new(pattern)
        && !Path::new(pattern).exists()
    {
        return Err(InvalidSpec::Address { shown, why: format!("not a file name pattern: {e}") });
    }
    let mut every = EVERY;
    for (key, value) in pairs(query) {
        let bad =
            |why: String| InvalidSpec::Value { shown: shown.clone(), key: key.into(), value: shorten(value), why };
        match key {
            "every" => every = value.parse::<Span>().map_err(bad)?.0,
            _ => return Err(InvalidSpec::UnknownKey { shown, key: shorten(key), known: "every" }),
        }
        if every > Duration::from_hours(24) {
            return Err(bad("a day at most".into()));
        }
    }
    Ok(SourceKind::Images { pattern: pattern.to_owned(), every })
}

fn push(rest: &str) -> Result<SourceKind, InvalidSpec> {
    let shown = shorten(&format!("push:{rest}"));
    let Some(query) = rest.strip_prefix('?').or(rest.is_empty().then_some("")) else {
        let why = "pictures are pushed to the camera by its own name; write push: and nothing else".into();
        return Err(InvalidSpec::Address { shown, why });
    };
    let mut timeout = None;
    for (key, value) in pairs(query) {
        if key != "timeout" {
            return Err(InvalidSpec::UnknownKey { shown, key: shorten(key), known: "timeout" });
        }
        let bad =
            |why: String| InvalidSpec::Value { shown: shown.clone(), key: key.into(), value: shorten(value), why };
        let span = value.parse::<Span>().map_err(bad)?.0;
        if span.is_zero() {
            return Err(bad("a length of time above 0".into()));
        }
        timeout = Some(span);
    }
    Ok(SourceKind::Push { timeout })
}

fn synthetic(rest: &str) -> Result<SourceKind, InvalidSpec> {
    let shown = shorten(&format!("synthetic:{rest}"));
    let (scene, query) = rest.split_once('?').unwrap_or((rest, ""));
    if scene != "shapes" {
        let why = format!("no scene is called '{}'; known: shapes", shorten(scene));
        return Err(InvalidSpec::Address { shown, why });
    }
    let mut params = SceneParams::default();
    for (key, value) in pairs(query) {
        let bad =
            |why: String| InvalidSpec::Value { shown: shown.clone(), key: key.into(), value: shorten(value), why };
        let whole = |low: u64, high: u64| match value.parse::<u64>() {
            Ok(number) if (low..=high).contains(&number) => Ok(number),
            _ => Err(bad(format!("not a whole number from {low} to {high}"))),
        };
        let small = |low, high| whole(low, high).map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        match key {
            "width" => params.width = small(16, 7680)?,
            "height" => params.height = small(16, 7680)?,
            "objects" => params.objects = small(1, 100)?,
            "seed" => params.seed = whole(0, u64::MAX)?,
            "frames" => params.frames = whole(0, u64::MAX)?,
            "clock" => params.clock = value.parse().map_err(|_| bad("not true or false".into()))?,
            "fps" => match value.parse::<f64>() {
                Ok(fps) if fps > 0.0 && fps <= 1000.0 => params.fps = fps,
                _ => return Err(bad("not a number above 0 and up to 1000".into())),
            },
            _ => {
                let known = "width, height, fps, seed, frames, objects, clock";
                return Err(InvalidSpec::UnknownKey { shown, key: shorten(key), known });
            }
        }
    }
    Ok(SourceKind::Synthetic(params))
}

fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// An error repeats what was written, but not a megabyte of it.
fn shorten(text: &str) -> String {
    if text.chars().count() <= 200 { text.to_owned() } else { text.chars().take(200).chain(['…']).collect() }
}
