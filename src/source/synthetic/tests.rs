#![expect(clippy::cast_precision_loss, reason = "pixel positions are small")]

use std::collections::{BTreeMap, BTreeSet};

use super::*;

fn scene(width: u32, height: u32, seed: u64) -> Scene {
    Scene::new(SceneParams { width, height, seed, ..SceneParams::default() })
}

fn picture(scene: &Scene, index: u64) -> Vec<u8> {
    let mut bgr = Vec::new();
    scene.render(index, &mut bgr);
    bgr
}

/// FNV-1a, 64 bits.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

#[test]
fn the_same_seed_gives_the_same_pixels_for_ever() {
    assert_eq!(picture(&scene(160, 120, 7), 30), picture(&scene(160, 120, 7), 30));
    assert_ne!(picture(&scene(160, 120, 7), 30), picture(&scene(160, 120, 8), 30));
    assert_ne!(picture(&scene(160, 120, 7), 30), picture(&scene(160, 120, 7), 31));
    // The bundled model was trained on these pictures: who changes them trains it again.
    assert_eq!(hash(&picture(&scene(160, 120, 7), 30)), 14_484_083_911_532_046_387);
}

#[test]
fn every_size_is_drawn_in_full() {
    for (width, height) in [(1, 1), (64, 48), (333, 777), (1920, 1080), (7, 400)] {
        let scene = scene(width, height, 3);
        assert_eq!(picture(&scene, 100).len(), 3 * width as usize * height as usize);
        for truth in (0..200).flat_map(|i| scene.truth(i)) {
            let b = truth.bbox;
            assert!(b.x_min >= 0.0 && b.y_min >= 0.0 && b.x_max <= 1.0 && b.y_max <= 1.0 && b.area() > 0.0, "{b:?}");
        }
    }
}

#[test]
fn odd_parameters_are_put_right() {
    let params = SceneParams { width: 0, height: 0, fps: f64::NAN, objects: 0, ..SceneParams::default() };
    let scene = Scene::new(params);
    assert_eq!(picture(&scene, u64::MAX).len(), 3);
    assert!(scene.truth(u64::MAX).is_empty());
}

#[test]
fn a_true_box_encloses_the_drawn_pixels_closely() {
    let scene = scene(320, 240, 11);
    let mut checked = 0;
    for index in (0..600).step_by(20) {
        for body in scene.bodies(index) {
            let mut bgr = vec![0; 320 * 240 * 3];
            draw(&mut Canvas { width: 320, height: 240, bgr: &mut bgr }, &body);
            let drawn: Vec<_> = (0..320 * 240).filter(|i| bgr[i * 3..i * 3 + 3] != [0, 0, 0]).collect();
            let Some(top) = drawn.first().map(|i| i / 320) else { continue };
            let bottom = drawn.iter().map(|i| i / 320).max().unwrap() + 1;
            let left = drawn.iter().map(|i| i % 320).min().unwrap();
            let right = drawn.iter().map(|i| i % 320).max().unwrap() + 1;
            let b = scene.describe(&body).bbox;
            let slack = [left as f32 - b.x_min * 320.0, top as f32 - b.y_min * 240.0]
                .into_iter()
                .chain([b.x_max * 320.0 - right as f32, b.y_max * 240.0 - bottom as f32]);
            // A pixel that is touched counts as drawn; what the frame cuts off leaves its box loose.
            let whole = b.x_min > 0.0 && b.y_min > 0.0 && b.x_max < 1.0 && b.y_max < 1.0;
            for slack in slack {
                assert!(slack >= -1.0 && (slack <= 1.5 || !whole), "{slack} {b:?} {body:?}");
            }
            checked += 1;
        }
    }
    assert!(checked > 100);
}

#[test]
fn an_object_keeps_its_identity_moves_smoothly_and_is_replaced_by_another() {
    let scene = scene(640, 480, 5);
    let mut last: BTreeMap<u64, (u64, Truth)> = BTreeMap::new();
    let mut labels = BTreeSet::new();
    for index in 0..1500 {
        let truths = scene.truth(index);
        assert!(truths.len() <= 5);
        assert_eq!(truths.iter().map(|t| t.object).collect::<BTreeSet<_>>().len(), truths.len());
        for truth in truths {
            labels.insert(truth.label);
            if let Some((seen, before)) = last.insert(truth.object, (index, truth)) {
                assert_eq!(before.label, truth.label);
                assert!(seen + 1 < index || before.bbox.iou(&truth.bbox) > 0.3, "{before:?} {truth:?}");
            }
        }
    }
    assert!(last.len() > 20, "objects come and go: {}", last.len());
    assert_eq!(labels.len(), LABELS.len());
}

#[test]
fn a_hidden_object_is_not_in_the_truth_and_most_are_to_be_seen() {
    let scene = scene(640, 480, 2);
    let (mut there, mut seen) = (0, 0);
    for index in 0..1500 {
        there += scene.bodies(index).len();
        seen += scene.truth(index).len();
    }
    assert!(seen < there && seen * 10 > there * 8, "{seen} of {there}");
}
