//! The `source:` of a camera, parsed: what kind it is and where it is.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::synthetic::SceneParams;
use crate::domain::{Span, redact};

/// Slideshow: how long one picture is shown when `every` is not given.
const EVERY: Duration = Duration::from_secs(1);
const KINDS: &str = "a file path, rtsp://…, rtsps://…, http://…, https://…, webcam:0, images:DIR_OR_GLOB?every=5s \
                     or synthetic:shapes?width=640&height=480&fps=15";

/// Written as one string in the configuration; its credentials never come out of [`SourceSpec::shown`], `Debug`,
/// `Display` or an error. Only serializing gives the text back whole, as a configuration file needs it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SourceSpec {
    text: String,
    kind: SourceKind,
}

#[derive(Clone, PartialEq)]
pub enum SourceKind {
    /// A video file: `clips/street.mp4`, `file:///srv/street.mp4`
    File(PathBuf),
    /// `rtsp://`, `rtsps://`, `http://`, `https://` (MJPEG, HLS).
    Stream(String),
    /// `webcam:0`
    Webcam(u32),
    /// `images:DIR_OR_GLOB?every=5s`: stills as a slideshow.
    Images { pattern: String, every: Duration },
    /// `synthetic:shapes?width=640&height=480&fps=15&seed=1&frames=0&objects=6`
    Synthetic(SceneParams),
}

/// Why a text is no source. Safe to show: credentials are removed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSpec {
    #[error("the source is empty; write {KINDS}")]
    Empty,
    #[error("{shown}: no source is of the kind '{scheme}:'; write {KINDS} (a file of that name: ./{scheme}:…)")]
    UnknownScheme { shown: String, scheme: String },
    #[error("the text hidden here may hold a password, and it begins like no known source; write {KINDS}")]
    Hidden,
    #[error("{shown}: {why}")]
    Address { shown: String, why: String },
    #[error("webcam:{index}: '{index}' is not a webcam's number; write webcam:0 for /dev/video0")]
    Webcam { index: String },
    #[error("{shown}: unknown setting '{key}'; known here: {known}")]
    UnknownKey { shown: String, key: String, known: &'static str },
    #[error("{shown}: {key}={value}: {why}")]
    Value { shown: String, key: String, value: String, why: String },
}

impl SourceSpec {
    #[must_use]
    pub fn kind(&self) -> &SourceKind {
        &self.kind
    }

    /// For logs, errors and payloads: without credentials.
    #[must_use]
    pub fn shown(&self) -> String {
        redact(&self.text)
    }

    /// Whether it ends by itself when played with this `loop` setting.
    #[must_use]
    pub fn is_finite(&self, looping: bool) -> bool {
        match &self.kind {
            SourceKind::File(_) | SourceKind::Images { .. } => !looping,
            SourceKind::Synthetic(params) => params.frames > 0 && !looping,
            SourceKind::Stream(_) | SourceKind::Webcam(_) => false,
        }
    }

    /// Takes a relative path from `base` (the folder of the configuration file) instead of the working directory.
    pub fn resolve(&mut self, base: &Path) {
        match &mut self.kind {
            SourceKind::File(path) => *path = base.join(&*path),
            SourceKind::Images { pattern, .. } if Path::new(pattern).is_relative() => {
                // A folder whose own name holds '*' or '[' must not become part of the pattern.
                let base = base.to_string_lossy();
                let base = if is_glob(pattern) { glob::Pattern::escape(&base) } else { base.into_owned() };
                *pattern = Path::new(&base).join(&*pattern).to_string_lossy().into_owned();
            }
            _ => {}
        }
    }
}

pub(super) fn is_glob(pattern: &str) -> bool {
    pattern.contains(['*', '?', '['])
}

impl FromStr for SourceSpec {
    type Err = InvalidSpec;

    fn from_str(text: &str) -> Result<Self, InvalidSpec> {
        let text = text.trim();
        let kind = parse(text)?;
        Ok(Self { text: text.to_owned(), kind })
    }
}

impl TryFrom<String> for SourceSpec {
    type Error = InvalidSpec;

    fn try_from(text: String) -> Result<Self, InvalidSpec> {
        text.parse()
    }
}

impl From<SourceSpec> for String {
    fn from(spec: SourceSpec) -> Self {
        spec.text
    }
}

impl std::fmt::Debug for SourceSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.shown())
    }
}

impl std::fmt::Display for SourceSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown())
    }
}

impl std::fmt::Debug for SourceKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Stream(url) => f.debug_tuple("Stream").field(&redact(url)).finish(),
            Self::Webcam(index) => f.debug_tuple("Webcam").field(index).finish(),
            Self::Images { pattern, every } => {
                f.debug_struct("Images").field("pattern", pattern).field("every", every).finish()
            }
            Self::Synthetic(params) => f.debug_tuple("Synthetic").field(params).finish(),
        }
    }
}

impl JsonSchema for SourceSpec {
    fn schema_name() -> Cow<'static, str> {
        "Source".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "minLength": 1,
            "description": "Where the pictures come from: a video file (relative to this configuration file), rtsp://, \
                rtsps://, http:// or https:// (MJPEG, HLS), webcam:N, images:DIR_OR_GLOB?every=5s (a slideshow) or \
                synthetic:shapes?width=&height=&fps=&seed=&frames=&objects= (a drawn scene)",
            "examples": [
                "rtsp://user:${CAM_PASSWORD}@camera/stream1",
                "clips/street.mp4",
                "webcam:0",
                "images:stills/*.jpg?every=5s",
                "synthetic:shapes?width=640&height=480&fps=15",
            ],
        })
    }
}

fn parse(text: &str) -> Result<SourceKind, InvalidSpec> {
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
        if every > Duration::from_secs(24 * 3600) {
            return Err(bad("a day at most".into()));
        }
    }
    Ok(SourceKind::Images { pattern: pattern.to_owned(), every })
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
            "fps" => match value.parse::<f64>() {
                Ok(fps) if fps > 0.0 && fps <= 1000.0 => params.fps = fps,
                _ => return Err(bad("not a number above 0 and up to 1000".into())),
            },
            _ => {
                let known = "width, height, fps, seed, frames, objects";
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

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> SourceKind {
        text.parse::<SourceSpec>().unwrap().kind
    }

    fn refusal(text: &str) -> String {
        text.parse::<SourceSpec>().unwrap_err().to_string()
    }

    #[test]
    fn every_kind_of_source_is_recognised() {
        assert_eq!(kind("clips/street.mp4"), SourceKind::File("clips/street.mp4".into()));
        assert_eq!(kind("file:///srv/my%20clip.mp4"), SourceKind::File("/srv/my clip.mp4".into()));
        assert_eq!(kind("file://clips/street.mp4"), SourceKind::File("clips/street.mp4".into()));
        assert_eq!(kind("./odd:name.mp4"), SourceKind::File("./odd:name.mp4".into()));
        assert_eq!(kind("webcam:2"), SourceKind::Webcam(2));
        assert_eq!(kind("RTSP://cam/s"), SourceKind::Stream("RTSP://cam/s".into()));
        assert_eq!(
            kind("images:stills/*.jpg?every=5s"),
            SourceKind::Images { pattern: "stills/*.jpg".into(), every: Duration::from_secs(5) }
        );
        assert_eq!(kind("images:a?.png"), SourceKind::Images { pattern: "a?.png".into(), every: EVERY });
        let wanted = SceneParams { width: 320, height: 240, fps: 7.5, seed: 9, frames: 30, objects: 3 };
        assert_eq!(
            kind("synthetic:shapes?width=320&height=240&fps=7.5&seed=9&frames=30&objects=3"),
            SourceKind::Synthetic(wanted)
        );
        assert_eq!(kind("synthetic:shapes"), SourceKind::Synthetic(SceneParams::default()));
    }

    #[test]
    fn a_refusal_says_what_is_known() {
        for (text, words) in [
            ("  ", "empty"),
            ("ftp://host/x", "'ftp:'"),
            ("webcam:front", "webcam:0"),
            ("webcam:-1", "webcam:0"),
            ("webcam:", "webcam:0"),
            ("images:", "folder is missing"),
            ("images:x?often=1s", "known here: every"),
            ("images:x?every=fast", "length of time"),
            ("synthetic:clouds", "known: shapes"),
            ("synthetic:shapes?colour=red", "known here: width, height, fps, seed, frames, objects"),
            ("synthetic:shapes?width=8", "from 16 to 7680"),
            ("synthetic:shapes?height=99999", "from 16 to 7680"),
            ("synthetic:shapes?fps=0", "above 0"),
            ("synthetic:shapes?fps=NaN", "above 0"),
            ("synthetic:shapes?objects=101", "from 1 to 100"),
            ("synthetic:shapes?frames", "whole number"),
            ("rtsp://", "host"),
            ("rtsp:///stream", "host is missing"),
            ("rtsp://cam:99999/s", "port"),
        ] {
            let refusal = refusal(text);
            assert!(refusal.contains(words), "{text}: {refusal}");
        }
    }

    #[test]
    fn no_password_is_repeated() {
        for text in [
            "rtsp://joe:sesame@cam/s",
            "rtsp://joe:ses/ame@cam/s",
            "http://cam/s?user=joe&password=sesame",
            "rtsp://cam/user=joe&password=sesame&channel=1",
        ] {
            let said = match text.parse::<SourceSpec>() {
                Ok(spec) => format!("{spec} {spec:?} {:?} {}", spec.kind(), spec.shown()),
                Err(e) => format!("{e} {e:?}"),
            };
            assert!(!said.contains("ame") && !said.contains("joe"), "{said}");
        }
        for text in ["joe:sesame@cam/s", "rtsp:/joe:sesame@cam/s", "rtps://joe:sesame@cam/s", "rtsp:joe:sesame@cam"] {
            let said = refusal(text);
            assert!(!said.contains("sesame"), "{said}");
        }
    }

    #[test]
    fn relative_paths_belong_to_the_configuration_and_nothing_else_moves() {
        let resolved = |text: &str, base: &str| {
            let mut spec: SourceSpec = text.parse().unwrap();
            spec.resolve(Path::new(base));
            spec.kind
        };
        assert_eq!(resolved("a.mp4", "/etc/sw"), SourceKind::File("/etc/sw/a.mp4".into()));
        assert_eq!(resolved("/a.mp4", "/etc/sw"), SourceKind::File("/a.mp4".into()));
        let pattern = |kind| if let SourceKind::Images { pattern, .. } = kind { pattern } else { String::new() };
        assert_eq!(pattern(resolved("images:p/*.jpg", "/e[1]")), "/e[[]1[]]/p/*.jpg");
        assert_eq!(pattern(resolved("images:p", "/e[1]")), "/e[1]/p");
        assert_eq!(resolved("webcam:1", "/etc"), SourceKind::Webcam(1));
    }

    #[test]
    fn only_files_pictures_and_counted_scenes_end() {
        let finite = |text: &str, looping| text.parse::<SourceSpec>().unwrap().is_finite(looping);
        assert!(finite("a.mp4", false) && finite("images:x", false) && finite("synthetic:shapes?frames=5", false));
        assert!(!finite("a.mp4", true) && !finite("synthetic:shapes", false) && !finite("rtsp://c/s", false));
    }

    #[test]
    fn a_source_reads_back_as_it_was_written() {
        let json = "\"rtsp://u:p@cam/s\"";
        let spec: SourceSpec = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&spec).unwrap(), json);
    }
}
