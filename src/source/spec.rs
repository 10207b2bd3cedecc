//! The `source:` of a camera, parsed: what kind it is and where it is.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::synthetic::SceneParams;
use crate::domain::redact;

/// Written as one string in the configuration; its credentials never come out of [`SourceSpec::shown`].
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct SourceSpec {
    text: String,
    kind: SourceKind,
}

#[derive(Debug, Clone, PartialEq)]
pub enum SourceKind {
    /// A video file.
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
}

impl std::fmt::Debug for SourceSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown())
    }
}

impl From<SourceSpec> for String {
    fn from(spec: SourceSpec) -> Self {
        spec.text
    }
}

impl TryFrom<String> for SourceSpec {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let kind = if text.contains("://") {
            SourceKind::Stream(text.clone())
        } else if text == "synthetic:shapes" || text.starts_with("synthetic:shapes?") {
            SourceKind::Synthetic(SceneParams::default())
        } else if text.starts_with("synthetic:") {
            return Err(format!("'{text}': there is one synthetic scene, 'synthetic:shapes'"));
        } else {
            SourceKind::File(PathBuf::from(&text))
        };
        Ok(Self { text, kind })
    }
}
