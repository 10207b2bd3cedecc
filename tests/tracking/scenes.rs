//! The synthetic scene through an imperfect detector: the truth is known, and another `ByteTrack` had the same finds.

use serde::Deserialize;
use sightwire::tracker::{Tracker, TrackerConfig};

use crate::noise::{NOISES, Noise, SEEDS, Seen};
use crate::score::{Figures, Film, measure};

#[derive(Deserialize)]
struct Golden {
    scenes: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    scene: String,
    /// The other tracker's figures, by `motmetrics`.
    theirs: Theirs,
    /// Its ids, by frame and find; 0 = none.
    ids: Vec<Vec<u64>>,
}

#[derive(Deserialize)]
struct Theirs {
    mota: f64,
    idf1: f64,
    switches: usize,
    identities: usize,
}

fn film(frames: &[Seen], ids: impl Iterator<Item = Vec<u64>>) -> Film {
    let tracked = |(seen, ids): (&Seen, Vec<u64>)| {
        assert_eq!(seen.found.len(), ids.len(), "the scene is not the one of the golden file: make it anew");
        ids.into_iter().zip(&seen.found).filter(|(id, _)| *id > 0).map(|(id, d)| (id, d.bbox)).collect()
    };
    frames.iter().zip(ids).map(tracked).collect()
}

fn ours(frames: &[Seen]) -> Film {
    let (mut tracker, mut events) = (Tracker::new(TrackerConfig::for_confidence(0.4)), Vec::new());
    let ids = frames.iter().map(|seen| {
        let mut found = seen.found.clone();
        tracker.update(&mut found, seen.at, &mut events);
        found.iter().map(|d| d.track_id.unwrap_or(0)).collect()
    });
    film(frames, ids)
}

/// Ours and theirs.
fn compare(noise: &Noise, seed: u64, golden: &Golden) -> [Figures; 2] {
    let name = format!("{}, seed {seed}", noise.name);
    let row = golden
        .scenes
        .iter()
        .find(|row| row.scene == name)
        .unwrap_or_else(|| panic!("{name} is not in the golden file"));
    let frames = noise.frames(seed);
    let truth: Film = frames.iter().map(|f| f.truth.iter().map(|t| (t.object, t.bbox)).collect()).collect();
    let ours = measure(&truth, &ours(&frames));
    let theirs = measure(&truth, &film(&frames, row.ids.iter().cloned()));
    // Our own counting is held to that of motmetrics.
    let wanted = &row.theirs;
    assert!((theirs.mota - wanted.mota).abs() < 1e-3 && (theirs.idf1 - wanted.idf1).abs() < 1e-3, "{name}: {theirs:?}");
    assert_eq!((theirs.switches, theirs.identities), (wanted.switches, wanted.identities), "{name}");
    [ours, theirs]
}

#[test]
fn fewer_or_as_many_switches_as_the_other_bytetrack_on_the_same_finds() {
    let golden: Golden = serde_json::from_str(include_str!("../golden/tracking_scenes.json")).unwrap();
    for noise in &NOISES {
        let both = SEEDS.map(|seed| compare(noise, seed, &golden));
        let of = |who: usize| both.map(|pair| pair[who]);
        let (ours, theirs) = (mean(of(0)), mean(of(1)));
        assert!(both.iter().all(|[ours, theirs]| ours.switches <= theirs.switches), "{}: {both:?}", noise.name);
        assert!(ours.mota >= theirs.mota && ours.idf1 >= theirs.idf1, "{}: {ours:?}, theirs {theirs:?}", noise.name);
        println!("{:<18} {ours:.3?}, theirs {theirs:.3?}", noise.name);
    }
}

/// Rates on average, counts in all.
fn mean(figures: [Figures; 3]) -> Figures {
    let rate = |of: fn(&Figures) -> f64| figures.iter().map(of).sum::<f64>() / 3.0;
    let count = |of: fn(&Figures) -> usize| figures.iter().map(of).sum();
    Figures {
        mota: rate(|f| f.mota),
        idf1: rate(|f| f.idf1),
        switches: count(|f| f.switches),
        identities: count(|f| f.identities),
    }
}
