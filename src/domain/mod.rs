//! The shared words: ids, time, frame, box, detection, command. No async, no I/O; every room may import this one.

mod bbox;
mod boot;
mod command;
mod detection;
mod frame;
mod name;
pub mod number;
mod planes;
mod redact;
mod size;
mod span;
mod time;

pub use bbox::BBox;
pub use boot::BootId;
pub use command::{RawCommand, ReplyTo, Target};
pub use detection::{Detection, Label};
pub use frame::{Frame, Greys, TimestampSource};
pub use name::{InvalidName, Name};
pub use planes::{Colours, Matrix, Planes, Yuv};
pub use redact::{redact, redact_text};
pub use size::Size;
pub use span::Span;
pub use time::Timestamp;
