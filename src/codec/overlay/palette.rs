//! Class colours: far apart in hue, all light enough to be seen on black; a class keeps its colour everywhere.

/// Blue, green, red.
pub(super) type Colour = [u8; 3];

/// Those of the first classes are chosen by hand, red first here: in most models they are what one sees most.
const CHOSEN: [[u8; 3]; 20] = [
    [255, 107, 87],  // coral
    [61, 220, 132],  // green
    [63, 167, 255],  // blue
    [255, 197, 49],  // amber
    [199, 125, 255], // violet
    [255, 138, 31],  // orange
    [31, 214, 208],  // turquoise
    [255, 111, 181], // pink
    [168, 225, 12],  // lime
    [140, 155, 255], // periwinkle
    [232, 212, 168], // sand
    [0, 180, 137],   // jade
    [224, 92, 230],  // magenta
    [255, 241, 92],  // lemon
    [111, 199, 232], // sky
    [217, 138, 91],  // copper
    [182, 242, 200], // mint
    [244, 182, 201], // rose
    [154, 168, 138], // sage
    [218, 218, 218], // silver
];

/// The colour of a class.
pub(super) fn colour(class_id: u32) -> Colour {
    let [r, g, b] = match CHOSEN.get(class_id as usize) {
        Some(&chosen) => chosen,
        None => spread(class_id),
    };
    [b, g, r]
}

/// Hues by the golden angle are as far apart as can be, however many there are; three kinds of lightness in turn. What is
/// still too dark to be seen on black, blue above all, gets white mixed in.
fn spread(class_id: u32) -> [u8; 3] {
    let hue = (f64::from(class_id) * 137.507_764).rem_euclid(360.0);
    let (value, saturation) = [(1.0, 0.62), (0.86, 0.78), (1.0, 0.38)][class_id as usize % 3];
    let mut colour = hsv(hue, saturation, value);
    while luminance([colour[2], colour[1], colour[0]]) < 0.24 {
        colour = colour.map(|part| part.saturating_add((255 - part) / 16 + 1));
    }
    colour
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255")]
fn hsv(hue: f64, saturation: f64, value: f64) -> [u8; 3] {
    [5.0, 3.0, 1.0].map(|n: f64| {
        let k = (n + hue / 60.0).rem_euclid(6.0);
        let part = value - value * saturation * k.min(4.0 - k).clamp(0.0, 1.0);
        (part * 255.0).round() as u8
    })
}

/// Black or white letters, whichever stands out more on this ground (contrast as WCAG 2.1 defines it).
pub(super) fn ink(ground: Colour) -> Colour {
    const DARK: Colour = [14, 14, 14];
    const LIGHT: Colour = [255, 255, 255];
    if contrast(ground, DARK) >= contrast(ground, LIGHT) { DARK } else { LIGHT }
}

pub(super) fn contrast(a: Colour, b: Colour) -> f64 {
    let (a, b) = (luminance(a) + 0.05, luminance(b) + 0.05);
    a.max(b) / a.min(b)
}

fn luminance(bgr: Colour) -> f64 {
    let [b, g, r] = bgr.map(|value| {
        let value = f64::from(value) / 255.0;
        if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    });
    0.0722 * b + 0.7152 * g + 0.2126 * r
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_can_be_read_on_every_colour_and_every_colour_be_seen_on_black() {
        for class in 0..2000 {
            let ground = colour(class);
            assert!(contrast(ground, ink(ground)) >= 4.5, "{class}: {ground:?}");
            assert!(contrast(ground, [0, 0, 0]) >= 4.5, "{class}: {ground:?}");
        }
        assert_eq!(ink([120, 20, 20]), [255, 255, 255]);
    }

    #[test]
    fn the_colours_of_the_first_classes_are_far_apart() {
        let apart = |a: Colour, b: Colour| (0..3).map(|i| u32::from(a[i].abs_diff(b[i])).pow(2)).sum::<u32>();
        for a in 0..20 {
            for b in a + 1..20 {
                assert!(apart(colour(a), colour(b)) > 40 * 40, "{a} and {b}");
            }
        }
        assert_eq!(colour(u32::MAX), colour(u32::MAX));
    }
}
