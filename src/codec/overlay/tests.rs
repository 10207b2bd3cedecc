use super::*;
use crate::domain::BBox;

struct Picture {
    width: u32,
    height: u32,
    bgr: Vec<u8>,
}

impl Picture {
    fn plain(width: u32, height: u32, value: u8) -> Self {
        Self { width, height, bgr: vec![value; (width * height * 3) as usize] }
    }

    fn drawn(mut self, detections: &[Detection]) -> Self {
        Overlay::new().draw(&mut self.bgr, self.width, self.height, detections);
        self
    }

    fn at(&self, x: u32, y: u32) -> Colour {
        let at = 3 * (y * self.width + x) as usize;
        self.bgr[at..at + 3].try_into().unwrap()
    }

    /// Pixels of exactly this colour.
    fn count(&self, colour: Colour) -> usize {
        self.bgr.chunks_exact(3).filter(|pixel| *pixel == colour).count()
    }

    fn changed(&self, from: u8) -> usize {
        self.bgr.chunks_exact(3).filter(|pixel| pixel.iter().any(|value| value.abs_diff(from) > 24)).count()
    }
}

fn detection(label: &str, class_id: u32, bbox: [f32; 4]) -> Detection {
    Detection { label: label.into(), score: 0.94, bbox: bbox.into(), class_id, track_id: Some(17) }
}

#[test]
fn a_box_is_a_line_in_its_classes_colour_between_dark_edges() {
    for ground in [0, 255] {
        let car = palette::colour(2);
        let picture = Picture::plain(640, 480, ground).drawn(&[detection("car", 2, [0.25, 0.5, 0.75, 0.9])]);
        // Two pixels of line around x = 160, and a dark one on either side.
        assert_eq!([picture.at(159, 300), picture.at(160, 300)], [car; 2], "on {ground}");
        for x in [158, 161] {
            assert!(palette::contrast(car, picture.at(x, 300)) > 2.0, "on {ground}: {:?}", picture.at(x, 300));
        }
        assert_eq!(picture.at(157, 300), [ground; 3]);
        assert_eq!(picture.at(320, 350), [ground; 3], "the inside is untouched");
    }
}

#[test]
fn the_plate_has_the_classes_colour_and_letters_that_stand_out() {
    let picture = Picture::plain(640, 480, 128).drawn(&[detection("car", 2, [0.25, 0.5, 0.75, 0.9])]);
    let colour = palette::colour(2);
    let above: Vec<Colour> =
        (220..238).flat_map(|y| (160..250).map(move |x| (x, y))).map(|(x, y)| picture.at(x, y)).collect();
    let ground = above.iter().filter(|pixel| **pixel == colour).count();
    let ink = above.iter().filter(|pixel| palette::contrast(**pixel, colour) > 4.5).count();
    assert!(ground > 400 && ink > 80, "{ground} of ground, {ink} of ink");
}

#[test]
fn lines_and_letters_grow_with_the_picture() {
    let share = |width: u32, height: u32| {
        let picture = Picture::plain(width, height, 90).drawn(&[detection("person", 0, [0.2, 0.3, 0.8, 0.9])]);
        f64::from(u32::try_from(picture.changed(90)).unwrap()) / f64::from(width * height)
    };
    let (small, middle, large) = (share(64, 64), share(1280, 720), share(7680, 4320));
    assert!(small > middle && middle > large, "{small} {middle} {large}");
    assert!(large > middle / 3.0, "an 8K picture that is looked at as a whole: {middle} and {large}");
}

#[test]
fn a_tiny_object_is_framed_and_not_covered() {
    // Six pixels of 1920x1080.
    let side = |at: f32, size: f32| (at - 3.0) / size;
    let bbox = [side(960.0, 1920.0), side(540.0, 1080.0), side(966.0, 1920.0), side(546.0, 1080.0)];
    let picture = Picture::plain(1920, 1080, 200).drawn(&[detection("ball", 7, bbox)]);
    assert_eq!(picture.at(960, 540), [200; 3], "its middle can be seen");
    assert_eq!(picture.at(956, 540), palette::colour(7), "its line lies outside of it");
}

#[test]
fn a_label_at_the_edge_stays_in_the_picture() {
    let plate = palette::colour(3);
    for bbox in [[0.0, 0.0, 1.0, 1.0], [0.97, 0.0, 1.0, 0.05], [0.0, 0.95, 0.05, 1.0], [0.97, 0.95, 1.0, 1.0]] {
        let whole = Picture::plain(640, 480, 90).drawn(&[detection("car", 3, bbox)]).count(plate);
        let middle = Picture::plain(640, 480, 90).drawn(&[detection("car", 3, [0.45, 0.45, 0.5, 0.5])]).count(plate);
        assert!(whole > middle / 2, "{bbox:?}: {whole} of {middle}");
    }
}

#[test]
fn a_small_box_lies_over_a_large_one_whatever_their_order() {
    let (large, small) = (detection("bus", 5, [0.1, 0.1, 0.9, 0.9]), detection("car", 2, [0.1, 0.4, 0.3, 0.6]));
    let one = Picture::plain(640, 480, 90).drawn(&[large.clone(), small.clone()]);
    let other = Picture::plain(640, 480, 90).drawn(&[small, large]);
    assert!(one.bgr == other.bgr);
    assert_eq!(one.at(64, 240), palette::colour(2));
}

#[test]
fn odd_boxes_labels_and_pictures_do_no_harm() {
    let odd = [
        detection("", 0, [0.0; 4]),
        detection("人\n\0", 1, [1.0; 4]),
        detection(&"long ".repeat(100), 2, [0.9, 0.0, 1.0, 0.02]),
        detection("inside out", 3, [0.9, 0.9, 0.1, 0.1]),
        detection("far away", 4, [-1e30, -5.0, 1e30, f32::INFINITY]),
        Detection {
            score: f32::NAN,
            bbox: BBox { x_min: f32::NAN, ..BBox::default() },
            class_id: u32::MAX,
            track_id: Some(u64::MAX),
            ..detection("n", 0, [0.0; 4])
        },
    ];
    for (width, height) in [(1, 1), (1, 400), (16, 16), (3, 500), (500, 3), (64, 64), (640, 360)] {
        Picture::plain(width, height, 90).drawn(&odd);
    }
    let mut short = vec![7; 5];
    Overlay::new().draw(&mut short, 2, 2, &odd);
    Overlay::new().draw(&mut [], 0, 0, &odd);
    assert_eq!(short, [7; 5]);
}

#[test]
fn a_crowd_of_thousands_is_drawn() {
    let mut crowd = Vec::new();
    for i in 0..5000u16 {
        let (x, y) = (f32::from(i % 100) / 100.0, f32::from(i / 100) / 50.0);
        let score = f32::from(i) / 5000.0;
        crowd.push(Detection { score, ..detection("person", 0, [x, y, x + 0.02, y + 0.04]) });
    }
    let picture = Picture::plain(1280, 720, 90).drawn(&crowd);
    assert!(picture.changed(90) > 100_000);
}

#[test]
fn in_a_crowd_the_best_scored_box_keeps_its_label_whole() {
    let best = Detection { score: 0.99, ..detection("car", 2, [0.4, 0.4, 0.6, 0.6]) };
    let mut crowd = vec![best.clone()];
    for i in 0..150u8 {
        let at = 0.3 + f32::from(i) / 500.0;
        crowd.push(Detection { score: 0.3, ..detection("person", 0, [at, at, at + 0.05, at + 0.1]) });
    }
    // Its plate, which is no line: more in a row than the line of the box is wide.
    let plate = |picture: &Picture| {
        let colour = palette::colour(2);
        picture.bgr.chunks_exact(3 * 8).filter(|run| run.chunks_exact(3).all(|pixel| pixel == colour)).count()
    };
    let alone = Picture::plain(640, 480, 90).drawn(std::slice::from_ref(&best));
    let among = Picture::plain(640, 480, 90).drawn(&crowd);
    assert!(plate(&alone) > 10 && plate(&among) > plate(&alone) / 4, "{} and {}", plate(&alone), plate(&among));
}
