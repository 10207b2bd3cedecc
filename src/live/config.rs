//! The `http.video:` part of the configuration.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is encoded for onlookers, of each camera that somebody watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VideoConfig {
    /// Wider pictures are made smaller; 0 = as they are, up to 3840x2160.
    pub max_width: u32,
    /// Frames a second at most.
    #[schemars(range(min = 1, max = 60))]
    pub max_fps: u16,
    /// Of JPEG, 1…100.
    #[schemars(range(min = 1, max = 100))]
    pub quality: u8,
    /// Of H.264, kbit/s on the average; 0 = by the picture's size: 650 at 640x480, 1900 at 1280x720.
    #[schemars(range(max = 100_000))]
    pub bitrate: u32,
}

impl Default for VideoConfig {
    fn default() -> Self {
        Self { max_width: 1280, max_fps: 30, quality: 75, bitrate: 0 }
    }
}

impl VideoConfig {
    /// For a picture of this size.
    #[must_use]
    pub(super) fn bits_per_second(&self, width: u32, height: u32) -> u32 {
        if self.bitrate > 0 {
            return self.bitrate.saturating_mul(1000);
        }
        // Some 2.1 bits a second and pixel: boxes and letters stay sharp in common scenes.
        (u64::from(width) * u64::from(height) * 21 / 10).clamp(200_000, 20_000_000).try_into().unwrap_or(20_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bit_rate_follows_the_picture_unless_it_is_set() {
        let video = VideoConfig::default();
        assert_eq!(video.bits_per_second(640, 480), 645_120);
        assert_eq!(video.bits_per_second(1280, 720), 1_935_360);
        assert_eq!(video.bits_per_second(16, 16), 200_000);
        assert_eq!(VideoConfig { bitrate: 500, ..video }.bits_per_second(1280, 720), 500_000);
    }
}
