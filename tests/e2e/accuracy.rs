//! What arrives is what was there: measured on the far side of the broker, against boxes known by construction.

use sightwire::source::synthetic::{Scene, SceneParams};

use crate::common::Mosquitto;
use crate::map::{Labelled, mean_average_precision};
use crate::node::{Home, buses};
use crate::witness::MqttWitness;

/// From here on seeds are the evaluation's: the training saw none of them.
const SEED: u64 = 1_000_077;
const FRAMES: u64 = 300;

#[test]
fn the_bundled_model_finds_the_scenes_true_boxes() {
    let broker = Mosquitto::open();
    let witness = MqttWitness::v5(broker.port);
    let home = Home::new(&format!(
        "{}models: {{ shapes: {{ path: \"bundled:shapes\", confidence: 0.05 }} }}\n\
         cameras:\n  scene:\n    source: \"synthetic:shapes?frames={FRAMES}&seed={SEED}\"\n    model: shapes\n    \
         pace: asap\n    max_fps: 0\n    tracker: none\n    queue: {{ depth: 2, when_full: block }}\n    \
         publish: {{ qos: 1 }}\n",
        buses(Some((broker.port, "5")), None)
    ));
    home.run_until_done();
    let count = usize::try_from(FRAMES).unwrap();
    let messages = witness.inbox.wait_many("every frame's message", count, |m| m.is_of("scene", "detections"));

    let scene = Scene::new(SceneParams { seed: SEED, frames: FRAMES, ..SceneParams::default() });
    let (mut found, mut truth) = (Vec::new(), Vec::new());
    for message in messages {
        let message = message.detections();
        let picture = message.frame.id;
        found.extend(message.detections.into_iter().map(|d| Labelled {
            picture,
            class: d.label.to_string(),
            bbox: d.bbox,
            score: d.score,
        }));
        truth.extend(scene.truth(picture - 1).into_iter().map(|t| Labelled {
            picture,
            class: t.label.into(),
            bbox: t.bbox,
            score: 1.0,
        }));
    }
    let precision = mean_average_precision(&found, &truth, 0.5);
    println!("mAP@0.5 = {precision:.3} ({} boxes found, {} true)", found.len(), truth.len());
    assert!(precision >= 0.9, "mAP@0.5 is only {precision:.3}");
}
