//! What Ultralytics writes into a model's metadata: the task, and with it what stands beside boxes and classes.

use super::{Facts, Miss, size};

/// Values after the classes that are no classes: mask coefficients or key points. `head`: the columns (or rows) of box and
/// objectness or class, before the classes or the extras; `columns`: all there are.
///
/// # Errors
/// When the task has no upright boxes, or the columns do not add up.
pub fn extras(facts: &Facts, head: usize, columns: usize) -> Result<usize, Miss> {
    let task = facts.metadata.get("task").map_or("detect", |task| task.trim());
    let masks = facts.outputs.iter().find_map(|output| match *output.shape.as_slice() {
        // Prototypes of masks: `[1, coefficients, height, width]`.
        [1, coefficients, _, _] => Some(size(coefficients)),
        _ => None,
    });
    let extras = match (task, masks) {
        ("detect" | "segment", Some(coefficients)) => coefficients,
        ("detect", None) => 0,
        ("segment", None) => {
            return Err(Miss::near("its metadata says `task: segment`, but the second output, of masks, is missing"));
        }
        ("pose", _) => key_points(facts).ok_or_else(|| {
            Miss::near("its metadata says `task: pose`, but `kpt_shape` does not say how many key points there are")
        })?,
        ("obb", _) => {
            return Err(Miss::near(
                "its metadata says `task: obb`: oriented boxes are not read; export a model of the task detect, segment or pose",
            ));
        }
        ("classify", _) => {
            return Err(Miss::near(
                "its metadata says `task: classify`: a classifier finds no boxes; export a model of the task detect, segment or pose",
            ));
        }
        (other, _) => {
            return Err(Miss::near(format!(
                "its metadata says `task: {other}`, which is not read here; export a model of the task detect, segment or pose"
            )));
        }
    };
    if columns.checked_sub(head).is_some_and(|rest| rest > extras) {
        Ok(extras)
    } else {
        Err(Miss::near(format!(
            "{columns} values a box are too few for {extras} beside box and classes (`task: {task}`)"
        )))
    }
}

/// `[17, 3]`: the product, if there is one that a size can hold.
fn key_points(facts: &Facts) -> Option<usize> {
    let text = facts.metadata.get("kpt_shape")?;
    let sides: Vec<usize> = text.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
    sides.iter().try_fold(1usize, |all, &side| all.checked_mul(side)).filter(|_| !sides.is_empty())
}

/// Whether every output but the first is one that a detector may leave unread: masks, or raw maps beside the decoded rows.
pub fn only_extras_follow(facts: &Facts) -> bool {
    facts.outputs.iter().skip(1).all(|output| matches!(output.shape.len(), 4 | 5))
}
