//! The synthetic scene as an imperfect detector sees it, with the truth and our tracks, for whoever compares another
//! tracker with ours: `tests/golden/tracking.py` does.
//!
//! One line of JSON a scene: `scene`, `fps`, and `frames` of `truth` (`[object, x_min, y_min, x_max, y_max]`), `found`
//! (`[class, score, x_min, y_min, x_max, y_max]`) and `ids` (our track of each find, 0 = none).
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small numbers"
)]

#[path = "../tests/tracking/noise.rs"]
mod noise;

use std::io::Write;

use noise::{NOISES, SEEDS};
use serde_json::json;
use sightwire::tracker::{Tracker, TrackerConfig};

fn main() -> std::io::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for (noise, seed) in NOISES.iter().flat_map(|noise| SEEDS.map(|seed| (noise, seed))) {
        let (mut tracker, mut events) = (Tracker::new(TrackerConfig::for_confidence(0.4)), Vec::new());
        let frames = noise.frames(seed).into_iter().map(|mut seen| {
            tracker.update(&mut seen.found, seen.at, &mut events);
            let corners = |b: sightwire::domain::BBox| [b.x_min, b.y_min, b.x_max, b.y_max];
            let truth = seen.truth.iter().map(|t| {
                let [x0, y0, x1, y1] = corners(t.bbox);
                json!([t.object, x0, y0, x1, y1])
            });
            let found = seen.found.iter().map(|d| {
                let [x0, y0, x1, y1] = corners(d.bbox);
                json!([d.class_id, d.score, x0, y0, x1, y1])
            });
            let ids = seen.found.iter().map(|d| json!(d.track_id.unwrap_or(0)));
            json!({"truth": truth.collect::<Vec<_>>(), "found": found.collect::<Vec<_>>(), "ids": ids.collect::<Vec<_>>()})
        });
        let frames: Vec<_> = frames.collect();
        writeln!(
            out,
            "{}",
            json!({"scene": format!("{}, seed {seed}", noise.name), "fps": noise.fps(), "frames": frames})
        )?;
    }
    out.flush()
}
