//! The `source:` of a camera, parsed: what kind it is and where it is.

mod parse;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::synthetic::SceneParams;
use crate::domain::redact;

const KINDS: &str = "a file path, rtsp://…, rtsps://…, http://…, https://…, webcam:0, images:DIR_OR_GLOB?every=5s, push: \
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
    /// `push:?timeout=30s`: a program hands its pictures to the node.
    Push {
        /// Without a picture for so long, the camera is said not to run; `None` = however long.
        timeout: Option<Duration>,
    },
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

    /// What it is, in a word: the scheme it is written with, `stream` for those that come over the network.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self.kind {
            SourceKind::File(_) => "file",
            SourceKind::Stream(_) => "stream",
            SourceKind::Webcam(_) => "webcam",
            SourceKind::Images { .. } => "images",
            SourceKind::Push { .. } => "push",
            SourceKind::Synthetic(_) => "synthetic",
        }
    }

    /// Waits for the world: a read that takes long is a fault, not a timeline.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(self.kind, SourceKind::Stream(_) | SourceKind::Webcam(_))
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
            SourceKind::Stream(_) | SourceKind::Webcam(_) | SourceKind::Push { .. } => false,
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
        let kind = parse::parse(text)?;
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
            Self::Push { timeout } => f.debug_struct("Push").field("timeout", timeout).finish(),
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
                rtsps://, http:// or https:// (MJPEG, HLS), webcam:N, images:DIR_OR_GLOB?every=5s (a slideshow), push: (a program hands \
                them over by HTTP) or \
                synthetic:shapes?width=&height=&fps=&seed=&frames=&objects=&clock= (a drawn scene)",
            "examples": [
                "rtsp://user:${CAM_PASSWORD}@camera/stream1",
                "clips/street.mp4",
                "webcam:0",
                "images:stills/*.jpg?every=5s",
                "push:",
                "synthetic:shapes?width=640&height=480&fps=15",
            ],
        })
    }
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
        assert_eq!(
            kind("images:a?.png"),
            SourceKind::Images { pattern: "a?.png".into(), every: Duration::from_secs(1) }
        );
        let wanted = SceneParams { width: 320, height: 240, fps: 7.5, seed: 9, frames: 30, objects: 3, clock: true };
        assert_eq!(
            kind("synthetic:shapes?width=320&height=240&fps=7.5&seed=9&frames=30&objects=3&clock=true"),
            SourceKind::Synthetic(wanted)
        );
        assert_eq!(kind("push:"), SourceKind::Push { timeout: None });
        assert_eq!(kind("push:?timeout=30s"), SourceKind::Push { timeout: Some(Duration::from_secs(30)) });
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
            ("push:here", "write push:"),
            ("push:?width=3", "known here: timeout"),
            ("push:?timeout=0s", "above 0"),
            ("synthetic:clouds", "known: shapes"),
            ("synthetic:shapes?colour=red", "known here: width, height, fps, seed, frames, objects, clock"),
            ("synthetic:shapes?clock=1", "not true or false"),
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
