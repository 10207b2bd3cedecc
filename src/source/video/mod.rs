//! Videos and cameras: files and streams through FFmpeg's libraries, webcams through OpenCV and V4L2.

mod container;
mod ffmpeg;
mod file;
mod live;
mod rotate;
mod webcam;

pub use file::FileSource;
pub use live::LiveSource;
