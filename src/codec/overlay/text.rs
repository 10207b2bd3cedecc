//! Letters: set in lines, and drawn smoothly from a font that comes with the program.

use std::collections::HashMap;

use ab_glyph::{Font, FontArc, GlyphId, PxScale, point};

use super::canvas::{Canvas, whole};
use super::fallback;
use super::palette::Colour;

/// Inter by Rasmus Andersson and others (SIL Open Font License 1.1, beside the file): made for screens and small sizes.
/// Latin, Greek and Cyrillic, digits of one width; `font/subset.py` made it.
pub(super) const INTER: &[u8] = include_bytes!("font/Inter-SemiBold.otf");
/// The height of its small letters, in parts of the size.
const X_HEIGHT: f32 = 1536.0 / 2816.0;
/// Places between two pixels that a letter may begin at.
const STEPS: f32 = 4.0;
/// Letters that are kept; they are of few sizes, unless someone's pictures are of all sizes.
const MOST_KEPT: usize = 4096;

/// The size nearest to `size` whose small letters are of whole pixels: their edges are sharp then.
pub(super) fn crisp(size: f32) -> f32 {
    (size * X_HEIGHT).round().max(4.0) / X_HEIGHT
}

/// Stands for a letter that no font has.
const UNKNOWN: char = '□';

/// A text of which it is known which letter lies where.
#[derive(Debug, Default)]
pub(super) struct Line {
    pub width: f32,
    size: f32,
    letters: Vec<(Face, GlyphId, f32)>,
}

/// A font's place among those at hand.
type Face = usize;

/// One letter's coverage, in a box around its origin.
struct Bitmap {
    left: i32,
    top: i32,
    width: usize,
    coverage: Vec<u8>,
}

/// Letter, size and place between two pixels.
type Key = (Face, GlyphId, u32, u8);

/// Sets and draws text.
pub(super) struct Typesetter {
    /// Inter, then the machine's fonts as they were needed.
    fonts: Vec<FontArc>,
    /// Where each letter was found; Inter, for its empty box, when nowhere.
    found: HashMap<char, Face>,
    bitmaps: HashMap<Key, Option<Bitmap>>,
}

impl Default for Typesetter {
    fn default() -> Self {
        let fonts = FontArc::try_from_slice(INTER).into_iter().collect();
        Self { fonts, found: HashMap::new(), bitmaps: HashMap::new() }
    }
}

impl Typesetter {
    /// The text in one line; `size` is that of the em, in pixels.
    pub fn set(&mut self, text: &str, size: f32) -> Line {
        let mut line = Line { size, ..Line::default() };
        for letter in text.chars() {
            let face = self.face_of(letter);
            let Some(font) = self.fonts.get(face) else { continue };
            let id = Some(font.glyph_id(letter)).filter(|id| id.0 != 0).unwrap_or_else(|| font.glyph_id(UNKNOWN));
            line.letters.push((face, id, line.width));
            line.width += font.h_advance_unscaled(id) / em(font) * size;
        }
        line
    }

    /// Draws a line; `at` is where its baseline begins.
    pub fn draw(&mut self, canvas: &mut Canvas<'_>, line: &Line, at: (f32, i32), ink: Colour) {
        if self.bitmaps.len() > MOST_KEPT {
            self.bitmaps.clear();
        }
        for &(face, id, x) in &line.letters {
            let x = ((at.0 + x) * STEPS).round() / STEPS;
            let between = x - x.floor();
            let Some(bitmap) = self.bitmap(face, id, line.size, between) else { continue };
            let (left, top) = (whole(x.floor()) + bitmap.left, at.1 + bitmap.top);
            for (row, y) in bitmap.coverage.chunks_exact(bitmap.width).zip(top..) {
                for (&cover, x) in row.iter().zip(left..) {
                    canvas.blend(x, y, ink, f32::from(cover) / 255.0);
                }
            }
        }
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a quarter is 1")]
    fn bitmap(&mut self, face: Face, id: GlyphId, size: f32, between: f32) -> Option<&Bitmap> {
        let key = (face, id, size.to_bits(), (between * STEPS) as u8);
        if !self.bitmaps.contains_key(&key) {
            let bitmap = self.fonts.get(face).and_then(|font| rasterise(font, id, size, between));
            self.bitmaps.insert(key, bitmap);
        }
        self.bitmaps.get(&key)?.as_ref()
    }

    /// The font that has this letter.
    fn face_of(&mut self, letter: char) -> Face {
        if let Some(&known) = self.found.get(&letter) {
            return known;
        }
        let mut face = self.fonts.iter().position(|font| fallback::has(font, letter));
        if face.is_none()
            && let Some(font) = fallback::find(letter)
        {
            self.fonts.push(font);
            face = Some(self.fonts.len() - 1);
        }
        let face = face.unwrap_or(0);
        self.found.insert(letter, face);
        face
    }
}

fn em(font: &FontArc) -> f32 {
    font.units_per_em().unwrap_or(1000.0)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a letter's pixels")]
fn rasterise(font: &FontArc, id: GlyphId, size: f32, between: f32) -> Option<Bitmap> {
    // A scale of this crate is the height from ascent to descent, not the em.
    let scale = PxScale::from(size * font.height_unscaled() / em(font));
    let outline = font.outline_glyph(id.with_scale_and_position(scale, point(between, 0.0)))?;
    let bounds = outline.px_bounds();
    let (width, height) = (bounds.width() as usize, bounds.height() as usize);
    let mut coverage = vec![0; width * height];
    outline.draw(|x, y, cover| {
        if let Some(pixel) = coverage.get_mut(y as usize * width + x as usize) {
            *pixel = (cover.clamp(0.0, 1.0) * 255.0).round() as u8;
        }
    });
    (width > 0).then_some(Bitmap { left: bounds.min.x as i32, top: bounds.min.y as i32, width, coverage })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_font_has_the_letters_of_european_languages_and_digits_of_one_width() {
        let mut typesetter = Typesetter::default();
        for letter in "AZaz09.#…äéßøłőžñçğřĐÅþЖщїґΩβώ–’“”€ắ".chars() {
            assert_eq!(typesetter.face_of(letter), 0, "{letter}");
            assert_ne!(typesetter.fonts[0].glyph_id(letter), GlyphId(0), "{letter}");
        }
        let width = |typesetter: &mut Typesetter, text| typesetter.set(text, 20.0).width;
        assert!((width(&mut typesetter, "0.11") - width(&mut typesetter, "0.98")).abs() < 0.01);
        assert!((2.0 * width(&mut typesetter, "ab") - width(&mut typesetter, "abab")).abs() < 0.01);
    }

    #[test]
    fn a_letter_that_no_font_has_is_a_box_and_not_a_question_mark() {
        let mut typesetter = Typesetter::default();
        // Private use: nobody's letter.
        let line = typesetter.set("\u{f8ff0}", 20.0);
        let mut bgr = vec![255; 40 * 40 * 3];
        let mut canvas = Canvas::new(&mut bgr, 40, 40).unwrap();
        typesetter.draw(&mut canvas, &line, (5.0, 30), [0; 3]);
        assert!(bgr.iter().filter(|&&value| value < 100).count() > 60, "something is drawn");
    }

    #[test]
    fn small_letters_are_of_whole_pixels() {
        for size in [1.0, 9.0, 11.3, 20.0, 64.6] {
            let height = crisp(size) * X_HEIGHT;
            assert!((height - height.round()).abs() < 1e-3 && height >= 4.0, "{size}");
        }
    }
}
