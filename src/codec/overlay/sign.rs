//! A sign over a picture that is none of now: what is the matter, in large letters on the darkened picture.

use super::canvas::{Canvas, Rect, to_f32, whole};
use super::palette::Colour;
use super::text::{Line, crisp};
use super::{EDGE, Overlay};

const INK: Colour = [255; 3];
const MOST_LINES: usize = 8;

impl Overlay {
    /// Writes the first paragraph large and the others below it, in the middle, each broken into lines as need be.
    /// A buffer that is not of this size is left as it is.
    pub fn sign(&mut self, bgr: &mut [u8], width: u32, height: u32, paragraphs: &[&str]) {
        let Some(mut canvas) = Canvas::new(bgr, width, height) else { return };
        let bounds = canvas.bounds();
        let small = crisp((to_f32(bounds.width().min(bounds.height())) / 16.0).max(9.0));
        let pad = whole(small * 0.8);
        let room = to_f32(bounds.width() - 4 * pad).max(1.0);
        let mut lines = Vec::new();
        for (index, paragraph) in paragraphs.iter().enumerate() {
            let size = if index == 0 { crisp(small * 1.6) } else { small };
            self.broken(paragraph, size, room, &mut lines);
        }
        lines.truncate(MOST_LINES);
        let pitch = |size: f32| whole(size * 1.35);
        let high: i32 = lines.iter().map(|(size, _)| pitch(*size)).sum();
        let widest = lines.iter().map(|(_, line)| line.width).fold(0.0, f32::max);
        let left = (bounds.width() - whole(widest)) / 2;
        let mut top = (bounds.height() - high) / 2;
        let plate = Rect { x0: left - pad, y0: top - pad, x1: left + whole(widest) + pad, y1: top + high + pad };
        canvas.fill(plate, pad, EDGE, 0.8);
        for (size, line) in &lines {
            let x = to_f32(bounds.width() - whole(line.width)) / 2.0;
            self.typesetter.draw(&mut canvas, line, (x, top + whole(size * 1.02)), INK);
            top += pitch(*size);
        }
    }

    /// Words set in lines no wider than `room`; a word that is wider has a line of its own.
    fn broken(&mut self, text: &str, size: f32, room: f32, lines: &mut Vec<(f32, Line)>) {
        let mut now = String::new();
        for word in text.split_whitespace() {
            let longer = if now.is_empty() { word.to_owned() } else { format!("{now} {word}") };
            if !now.is_empty() && self.typesetter.set(&longer, size).width > room {
                lines.push((size, self.typesetter.set(&now, size)));
                word.clone_into(&mut now);
            } else {
                now = longer;
            }
        }
        if !now.is_empty() {
            lines.push((size, self.typesetter.set(&now, size)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_is_written_in_white_and_long_reasons_are_broken() {
        let (width, height) = (320u32, 240u32);
        let mut bgr = vec![60; (width * height * 3) as usize];
        let reason = "the camera does not answer at all and nobody knows why; ".repeat(9);
        Overlay::new().sign(&mut bgr, width, height, &["stopped", "since 14:03:22 UTC", &reason]);
        let white = bgr.chunks_exact(3).enumerate().filter(|(_, p)| p.iter().all(|&c| c > 230)).map(|(i, _)| i);
        let rows: std::collections::BTreeSet<usize> = white.map(|i| i / width as usize).collect();
        assert!(rows.len() > 60, "{} rows hold letters", rows.len());
        Overlay::new().sign(&mut bgr[..9], 1, 3, &["stopped"]);
        Overlay::new().sign(&mut [], 0, 0, &["stopped"]);
    }
}
