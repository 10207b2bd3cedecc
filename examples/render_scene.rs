//! The pictures of the synthetic scene with their true boxes, for whoever trains or measures a model on them.
//!
//! Each line on standard input asks for frames: `width height fps seed objects first step count`. Each frame comes to
//! standard output as one line of JSON (`width`, `height`, `seed`, `index` and `truth`: a list of `[class_id, x_min, y_min, x_max, y_max,
//! object]` in fractions of the frame), then its packed 8-bit BGR pixels, `3 * width * height` bytes.

use std::io::{BufRead, Write};

use anyhow::Context;
use serde_json::json;
use sightwire::source::synthetic::{Scene, SceneParams};

fn main() -> anyhow::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut bgr = Vec::new();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let [width, height, fps, seed, objects, first, step, count] = words[..] else {
            anyhow::bail!("'{line}': expected width height fps seed objects first step count");
        };
        let whole =
            |text: &str| text.parse::<u64>().with_context(|| format!("'{text}' in '{line}' is not a whole number"));
        let params = SceneParams {
            width: whole(width)?.try_into()?,
            height: whole(height)?.try_into()?,
            fps: fps.parse().with_context(|| format!("'{fps}' in '{line}' is not a number"))?,
            seed: whole(seed)?,
            frames: 0,
            objects: whole(objects)?.try_into()?,
            clock: false,
        };
        let (first, step, count) = (whole(first)?, whole(step)?, whole(count)?);
        let scene = Scene::new(params);
        for index in (0..count).map(|i| first + i * step) {
            let truth: Vec<_> = scene
                .truth(index)
                .iter()
                .map(|t| json!([t.class_id, t.bbox.x_min, t.bbox.y_min, t.bbox.x_max, t.bbox.y_max, t.object]))
                .collect();
            let head = json!({"width": params.width, "height": params.height, "seed": params.seed, "index": index, "truth": truth});
            writeln!(out, "{head}")?;
            scene.render(index, &mut bgr);
            out.write_all(&bgr)?;
        }
        out.flush()?;
    }
    Ok(())
}
