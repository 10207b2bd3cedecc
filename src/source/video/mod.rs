//! Videos and cameras through OpenCV: FFmpeg for files and streams, V4L2 for webcams.

mod capture;
mod container;
mod file;
mod instruct;
mod live;
mod sentinel;
mod turn;

pub(super) use capture::{fill, quiet};
pub use file::FileSource;
pub use instruct::instruct_libraries;
pub use live::LiveSource;
