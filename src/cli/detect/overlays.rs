//! The pictures with their boxes: what they are called, and the thread that draws and writes them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use anyhow::Context;

use super::super::tell;
use super::inputs::Input;
use crate::codec::{CodecError, JpegEncoder, Overlay, encode_png};
use crate::domain::{Detection, Frame};
use crate::telemetry::above;

/// Of JPEG: fine lines and letters stay sharp.
const QUALITY: u8 = 92;

/// The folder that they go to.
pub struct Overlays {
    folder: PathBuf,
}

/// One picture to be drawn on.
pub struct Job {
    /// Its place among all that were named.
    pub index: usize,
    pub frame: Frame,
    pub found: Vec<Detection>,
}

/// The thread at work.
pub struct Painter {
    jobs: SyncSender<Job>,
    thread: JoinHandle<usize>,
}

impl Overlays {
    pub fn into_folder(folder: &Path) -> Result<Self, String> {
        let wrong = |why: String| format!("--overlay {}: {why}", folder.display());
        if folder.exists() && !folder.is_dir() {
            return Err(wrong("is no folder".into()));
        }
        std::fs::create_dir_all(folder).map_err(|e| wrong(format!("cannot be made: {e}")))?;
        Ok(Self { folder: folder.to_owned() })
    }

    pub fn start(self, inputs: &[Option<&Input>]) -> anyhow::Result<Painter> {
        let (folder, names) = (self.folder, names(inputs));
        let names = spare_sources(&folder, names, inputs);
        let (jobs, received) = sync_channel::<Job>(super::AHEAD);
        let paint = move || {
            let (mut brush, mut failed) = (Brush::default(), 0);
            for job in received {
                let path = folder.join(&names[job.index]);
                if let Err(why) = brush.paint(job, &path) {
                    above(|| tell(&format!("error: {}: {why}", path.display())));
                    failed += 1;
                }
            }
            failed
        };
        let thread = std::thread::Builder::new().name("overlay".into()).spawn(paint);
        Ok(Painter { jobs, thread: thread.context("no thread can be started")? })
    }
}

impl Painter {
    pub fn put(&mut self, job: Job) {
        // The thread ends when this end does, not before.
        let _ended = self.jobs.send(job);
    }

    /// Waits until all is written; how many could not be.
    pub fn finish(self) -> usize {
        drop(self.jobs);
        self.thread.join().unwrap_or(1)
    }
}

#[derive(Default)]
struct Brush {
    overlay: Overlay,
    jpeg: JpegEncoder,
    bytes: Vec<u8>,
}

impl Brush {
    fn paint(&mut self, mut job: Job, path: &Path) -> Result<(), String> {
        let frame = &mut job.frame;
        frame.make_bgr();
        self.overlay.draw(&mut frame.bgr, frame.width, frame.height, &job.found);
        let encoded = if extension(path) == "png" {
            encode_png(frame, &mut self.bytes)
        } else {
            self.jpeg.encode(frame, 0, QUALITY, None, &mut self.bytes).map(|_size| ())
        };
        encoded.map_err(|error: CodecError| error.to_string())?;
        // Whole or not at all: nobody sees half a picture, whatever happens here.
        let part = path.with_file_name(format!(".sightwire-{}.part", std::process::id()));
        let written = std::fs::write(&part, &self.bytes).and_then(|()| std::fs::rename(&part, path));
        written.map_err(|e| {
            let _absent = std::fs::remove_file(&part);
            format!("cannot be written: {e}")
        })
    }
}

/// What each overlay is called: as its picture is, with a number where two would be called the same.
fn names(inputs: &[Option<&Input>]) -> Vec<String> {
    let mut taken = HashSet::new();
    let mut name = |input: Option<&Input>| {
        let Some(input) = input else { return String::new() };
        let (stem, extension) = target(&input.name());
        let numbered =
            (1..).map(|n| if n == 1 { format!("{stem}.{extension}") } else { format!("{stem}-{n}.{extension}") });
        // Some file systems know no difference between capitals and small letters.
        numbered.into_iter().find(|name| taken.insert(name.to_lowercase())).unwrap_or_default()
    };
    inputs.iter().map(|input| name(*input)).collect()
}

/// Stem and extension: JPEG and PNG stay what they are, what else is without loss becomes PNG, the rest JPEG.
fn target(name: &str) -> (String, String) {
    let path = Path::new(name);
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    match extension(path).as_str() {
        "jpg" | "jpeg" | "png" => (stem, path.extension().unwrap_or_default().to_string_lossy().into_owned()),
        "bmp" | "tif" | "tiff" => (name.to_owned(), "png".to_owned()),
        _ => (name.to_owned(), "jpg".to_owned()),
    }
}

fn extension(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

/// An overlay that would take the place of a picture that was named gets a name of its own.
fn spare_sources(folder: &Path, names: Vec<String>, inputs: &[Option<&Input>]) -> Vec<String> {
    let sources: HashSet<PathBuf> = inputs
        .iter()
        .filter_map(|input| match input {
            Some(Input::File(path)) => path.canonicalize().ok(),
            _ => None,
        })
        .collect();
    let is_source = |name: &str| folder.join(name).canonicalize().is_ok_and(|path| sources.contains(&path));
    let mut taken: HashSet<String> = names.iter().map(|name| name.to_lowercase()).collect();
    let spared = |name: String| {
        if !is_source(&name) {
            return name;
        }
        let (stem, extension) = target(&name);
        let marks = (1..).map(|n| if n == 1 { "overlay".to_owned() } else { format!("overlay-{n}") });
        let others = marks.map(|mark| format!("{stem}-{mark}.{extension}"));
        others.into_iter().find(|other| !is_source(other) && taken.insert(other.to_lowercase())).unwrap_or(name)
    };
    names.into_iter().map(spared).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(paths: &[&str]) -> Vec<String> {
        let inputs: Vec<Input> = paths.iter().map(|path| Input::File(path.into())).collect();
        names(&inputs.iter().map(Some).collect::<Vec<_>>())
    }

    #[test]
    fn an_overlay_is_called_as_its_picture_is() {
        assert_eq!(
            named(&["a/x.jpg", "b/x.jpg", "c/X.JPG", "y.PNG", "z.webp", "z.tif", "z.jpg", "plain"]),
            ["x.jpg", "x-2.jpg", "X-3.JPG", "y.PNG", "z.webp.jpg", "z.tif.png", "z.jpg", "plain.jpg"]
        );
        assert_eq!(named(&["a/x.jpg", "x-2.jpg", "b/x.jpg"]), ["x.jpg", "x-2.jpg", "x-3.jpg"]);
        assert_eq!(names(&[Some(&Input::StandardInput), None]), ["stdin.jpg", ""]);
    }

    #[test]
    fn no_overlay_takes_the_place_of_a_picture_that_was_named() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["x.jpg", "x-overlay.jpg", "y.png"].map(|name| folder.path().join(name));
        for path in &paths {
            std::fs::write(path, "x").unwrap();
        }
        let inputs = paths.map(Input::File);
        let inputs: Vec<Option<&Input>> = inputs.iter().map(Some).collect();
        let spared = spare_sources(folder.path(), names(&inputs), &inputs);
        assert_eq!(spared, ["x-overlay-2.jpg", "x-overlay-overlay.jpg", "y-overlay.png"]);
    }
}
