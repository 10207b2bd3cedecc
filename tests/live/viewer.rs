//! Viewers and what they can tell of the node.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use crate::client::Node;

/// Somebody who watches MJPEG.
pub struct Viewer(BufReader<TcpStream>);

pub struct Part {
    pub jpeg: Vec<u8>,
    pub timestamp: f64,
    /// 0: a slate.
    pub frame_id: u64,
}

impl Viewer {
    pub fn of(node: &Node, camera: &str) -> Self {
        let mut stream = node.connect();
        // Of HTTP 1.0 there are no chunks to be put together.
        write!(stream, "GET /cameras/{camera}/stream.mjpeg HTTP/1.0\r\nHost: {}\r\n\r\n", node.address).unwrap();
        let mut viewer = Self(BufReader::new(stream));
        let head = viewer.head();
        assert!(head[0].contains(" 200 "), "{head:?}");
        assert!(
            head.iter().any(|line| line == "content-type: multipart/x-mixed-replace; boundary=picture"),
            "{head:?}"
        );
        assert_eq!(viewer.line(), "--picture");
        viewer
    }

    /// The next picture, whole.
    pub fn part(&mut self) -> Part {
        let head = self.head();
        let field =
            |name: &str| head.iter().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{head:?}"));
        assert_eq!(field("Content-Type: "), "image/jpeg");
        let (timestamp, frame_id) = (field("X-Timestamp: ").parse().unwrap(), field("X-Frame-Id: ").parse().unwrap());
        let mut jpeg = vec![0; field("Content-Length: ").parse().unwrap()];
        self.0.read_exact(&mut jpeg).unwrap();
        assert!(jpeg.starts_with(&[0xff, 0xd8]) && jpeg.ends_with(&[0xff, 0xd9]), "a whole JPEG");
        assert_eq!((self.line(), self.line()), (String::new(), "--picture".into()));
        Part { jpeg, timestamp, frame_id }
    }

    /// The next picture of the camera's own.
    pub fn frame(&mut self) -> Part {
        loop {
            let part = self.part();
            if part.frame_id > 0 {
                return part;
            }
        }
    }

    fn head(&mut self) -> Vec<String> {
        std::iter::from_fn(|| Some(self.line()).filter(|line| !line.is_empty())).collect()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        assert!(line.ends_with("\r\n"), "the stream ended");
        line.trim_end().to_owned()
    }
}

/// A sample of `/metrics`; 0 where it is not there yet.
pub fn metric(node: &Node, sample: &str) -> f64 {
    let text = node.get("/metrics", &[]).expect(200).text();
    let found = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' ')?.parse().ok());
    found.unwrap_or(0.0)
}

/// Pictures encoded of the camera `door`.
pub fn encoded(node: &Node, format: &str) -> f64 {
    metric(node, &format!("sightwire_video_frames_total{{camera=\"door\",format=\"{format}\",outcome=\"encoded\"}}"))
}

pub fn viewers(node: &Node, way: &str) -> f64 {
    metric(node, &format!("sightwire_viewers{{camera=\"door\",way=\"{way}\"}}"))
}

/// Threads of the node that make video.
pub fn threads(node: &Node) -> usize {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", node.process.id())).unwrap();
    let name = |task: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(task.ok()?.path().join("comm")).ok();
    tasks.filter_map(name).filter(|name| name.starts_with("video ")).count()
}

/// Packed BGR, width and height.
pub fn decode(jpeg: &[u8]) -> (Vec<u8>, usize, usize) {
    use opencv::core::{Mat, MatTraitConst, MatTraitConstManual};
    let picture = opencv::imgcodecs::imdecode(&Mat::from_slice(jpeg).unwrap(), 1).unwrap();
    let size = picture.size().unwrap();
    let side = |pixels: i32| usize::try_from(pixels).unwrap();
    (picture.data_bytes().unwrap().to_vec(), side(size.width), side(size.height))
}
