//! Ultra-Light-Fast-Generic-Face-Detector (slim and RFB, 320 and 640): `scores [1, priors, 2]` (background, face) and
//! `boxes [1, priors, 4]`, corners in fractions of the input. Input: RGB, `(value - 127) / 128`, stretched.
//! Source: Linzaer/Ultra-Light-Fast-Generic-Face-Detector-1MB, `run_video_face_detect_onnx.py`, `vision/ssd/config/fd_config.py`.

use super::{Candidate, Facts, Family, Miss, Output, Preparation, Recognised, size};
use crate::inference::output::values;

/// Prior boxes a cell, by feature map.
const PRIORS: [(u32, u32); 4] = [(8, 3), (16, 2), (32, 2), (64, 3)];

struct UltraFace {
    priors: usize,
    width: f32,
    height: f32,
    scores: usize,
    boxes: usize,
}

#[expect(clippy::cast_precision_loss, reason = "an input's sides are small")]
pub fn recognise(facts: &Facts) -> Recognised {
    let (scores, boxes, priors) = match *facts.shapes().as_slice() {
        [&[1, n, 2], &[1, m, 4]] if n == m => (0, 1, size(n)),
        [&[1, m, 4], &[1, n, 2]] if n == m => (1, 0, size(n)),
        [_, _] => return Err(Miss::far("its outputs are scores [1, priors, 2] and boxes [1, priors, 4]")),
        _ => return Err(Miss::far(format!("it has two outputs, this model has {}", facts.outputs.len()))),
    };
    let cells = |stride: u32| facts.width.div_ceil(stride) as usize * facts.height.div_ceil(stride) as usize;
    let wanted: usize = PRIORS.iter().map(|&(stride, priors)| cells(stride) * priors as usize).sum();
    if priors != wanted {
        let size = format!("{}x{}", facts.width, facts.height);
        return Err(Miss::near(format!("at {size} it has {wanted} priors, this model has {priors}")));
    }
    Ok(Box::new(UltraFace { priors, width: facts.width as f32, height: facts.height as f32, scores, boxes }))
}

impl Family for UltraFace {
    /// The background is no class.
    fn classes(&self) -> Option<usize> {
        Some(1)
    }

    fn labels(&self) -> Option<&'static [&'static str]> {
        Some(&["face"])
    }

    fn preparation(&self) -> Preparation {
        Preparation { mean: [127.0; 3], std: [128.0; 3], ..Preparation::STRETCHED }
    }

    fn decode(
        &mut self,
        outputs: &[Output<'_>],
        confidence: f32,
        candidates: &mut Vec<Candidate>,
    ) -> Result<(), String> {
        let scores = values(outputs, self.scores, 2 * self.priors)?;
        let boxes = values(outputs, self.boxes, 4 * self.priors)?;
        let (w, h) = (self.width, self.height);
        for (score, corners) in scores.chunks_exact(2).zip(boxes.chunks_exact(4)) {
            if score[1] >= confidence {
                let (x0, y0, x1, y1) = (corners[0] * w, corners[1] * h, corners[2] * w, corners[3] * h);
                candidates.push(Candidate { x0, y0, x1, y1, score: score[1], class: 0 });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts::of(320, 240).with("scores", &[1, 4420, 2]).with("boxes", &[1, 4420, 4])
    }

    #[test]
    fn a_face_is_read_from_fractions_and_called_so() {
        let facts = facts();
        let mut family = recognise(&facts).unwrap();
        assert_eq!(family.labels(), Some(["face"].as_slice()));
        let (mut scores, mut boxes) = (facts.outputs[0].values.clone(), facts.outputs[1].values.clone());
        scores[8..10].copy_from_slice(&[0.1, 0.9]);
        // Sure of the background: no face.
        scores[0..2].copy_from_slice(&[0.9, 0.1]);
        boxes[16..20].copy_from_slice(&[0.25, 0.5, 0.5, 0.75]);
        let views = [
            Output { name: "scores", shape: &[1, 4420, 2], values: &scores },
            Output { name: "boxes", shape: &[1, 4420, 4], values: &boxes },
        ];
        let mut found = Vec::new();
        family.decode(&views, 0.5, &mut found).unwrap();
        assert_eq!(found, [Candidate { x0: 80.0, y0: 120.0, x1: 160.0, y1: 180.0, score: 0.9, class: 0 }]);
    }

    #[test]
    fn the_priors_of_both_sizes_are_counted() {
        assert!(recognise(&Facts::of(640, 480).with("scores", &[1, 17640, 2]).with("boxes", &[1, 17640, 4])).is_ok());
        let other = Facts::of(640, 480).with("scores", &[1, 4420, 2]).with("boxes", &[1, 4420, 4]);
        assert!(recognise(&other).err().unwrap().why.contains("17640"));
    }
}
