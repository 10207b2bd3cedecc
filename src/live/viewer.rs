//! What a viewer holds: the newest picture, or the video unit by unit. Dropped, the viewer is gone.

use std::sync::Arc;

use tokio::sync::{broadcast, watch};

use super::{AccessUnit, Picture, Studio, Way};

/// One viewer, counted from its making to its drop.
pub(super) struct Seat {
    studio: Arc<Studio>,
    way: Way,
}

impl Seat {
    pub(super) fn new(studio: Arc<Studio>, way: Way) -> Self {
        Self { studio, way }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.studio.leave(self.way);
    }
}

/// The newest picture, always: who is slow sees fewer.
pub struct Pictures {
    pub(super) newest: watch::Receiver<Option<Arc<Picture>>>,
    pub(super) _seat: Seat,
}

impl Pictures {
    /// The next picture that was not seen yet. None: there will be no more, for the camera is gone or the encoder failed.
    pub async fn next(&mut self) -> Option<Arc<Picture>> {
        loop {
            // The first time, what is there already is as good as new.
            self.newest.changed().await.ok()?;
            let newest = self.newest.borrow_and_update().clone();
            if newest.is_some() {
                return newest;
            }
        }
    }
}

/// What a viewer of the video is told.
#[derive(Debug, Clone)]
pub enum Told {
    Unit(Arc<AccessUnit>),
    /// So many units were missed, for the viewer was slow. An IDR picture is on its way; those before it cannot be decoded.
    Missed(u64),
}

/// The video, from its next IDR picture on.
pub struct Units {
    pub(super) stream: broadcast::Receiver<Arc<AccessUnit>>,
    pub(super) whole: bool,
    pub(super) seat: Seat,
}

impl Units {
    /// The next unit; the first one, and the first after [`Told::Missed`], is an IDR picture. None: there will be no more,
    /// for the camera is gone or the encoder failed.
    pub async fn next(&mut self) -> Option<Told> {
        loop {
            match self.stream.recv().await {
                Ok(unit) if self.whole || unit.idr => {
                    self.whole = true;
                    return Some(Told::Unit(unit));
                }
                // What leans on a picture that this viewer has not seen.
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    self.whole = false;
                    self.seat.studio.want_idr();
                    return Some(Told::Missed(missed));
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}
