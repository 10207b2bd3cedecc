//! What onlookers see as it happens. Nothing here is waited for by a camera, and nothing is made while nobody looks.

mod feed;
mod gallery;
mod message;

pub use feed::{Feed, FeedItem, Heard, Viewer};
pub use gallery::{EventId, Gallery, GalleryEvent};
pub use message::{
    BusFigures, CameraFigures, FrameFigures, LiveCamera, LiveMessage, MessageFigures, Snapshot, Spread, schema,
};
