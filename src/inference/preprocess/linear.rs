//! The quick way of scaling: between the four nearest pixels, as OpenCV's `INTER_LINEAR`.

use super::fit::Area;

/// Reused tables and rows.
#[derive(Debug, Default)]
pub struct Linear {
    columns: Vec<Tap>,
    rows: Vec<Tap>,
    /// Two scaled source rows as planes, and which source row each holds.
    cache: [(Option<usize>, Vec<f32>); 2],
}

/// One output position between two input positions.
#[derive(Debug, Clone, Copy)]
struct Tap {
    first: usize,
    second: usize,
    weight: f32,
}

impl Linear {
    /// For pictures of this size.
    pub fn set(&mut self, width: u32, height: u32, area: &Area) {
        self.columns = taps(width as usize, area.width);
        self.rows = taps(height as usize, area.height);
    }

    /// Another picture: nothing kept of the last one is true.
    pub fn begin(&mut self) {
        self.cache.iter_mut().for_each(|(row, _)| *row = None);
    }

    /// The two horizontally scaled source rows of row `y`, and how much the second one counts. Neighbours share rows, so
    /// each is scaled once.
    pub fn rows(&mut self, bgr: &[u8], stride: usize, y: usize) -> (&[f32], &[f32], f32) {
        let tap = self.rows[y];
        for wanted in [tap.first, tap.second] {
            if self.cache.iter().all(|(row, _)| *row != Some(wanted)) {
                let keep = if wanted == tap.first { tap.second } else { tap.first };
                let slot = usize::from(self.cache[0].0 == Some(keep));
                let (row, buffer) = &mut self.cache[slot];
                *row = Some(wanted);
                buffer.resize(3 * self.columns.len(), 0.0);
                scale_row(&bgr[wanted * stride..(wanted + 1) * stride], &self.columns, buffer);
            }
        }
        let find = |row| usize::from(self.cache[0].0 != Some(row));
        (&self.cache[find(tap.first)].1, &self.cache[find(tap.second)].1, tap.weight)
    }
}

fn scale_row(row: &[u8], columns: &[Tap], out: &mut [f32]) {
    let width = columns.len();
    let (blue, rest) = out.split_at_mut(width);
    let (green, red) = rest.split_at_mut(width);
    for (((tap, b), g), r) in columns.iter().zip(blue).zip(green).zip(red) {
        let (Some(p), Some(q)) =
            (row.get(tap.first * 3..tap.first * 3 + 3), row.get(tap.second * 3..tap.second * 3 + 3))
        else {
            continue;
        };
        let mix = |p: u8, q: u8| f32::from(p) + (f32::from(q) - f32::from(p)) * tap.weight;
        (*b, *g, *r) = (mix(p[0], q[0]), mix(p[1], q[1]), mix(p[2], q[2]));
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "picture sizes are small positive numbers"
)]
fn taps(from: usize, to: usize) -> Vec<Tap> {
    let ratio = from as f32 / to as f32;
    let last = from - 1;
    (0..to)
        .map(|at| {
            let centre = ((at as f32 + 0.5) * ratio - 0.5).clamp(0.0, last as f32);
            let first = centre as usize;
            Tap { first, second: (first + 1).min(last), weight: centre - first as f32 }
        })
        .collect()
}
