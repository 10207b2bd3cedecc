//! The connections' places. When all are taken, who has waited longest for nothing gives his to the newcomer: a crowd of
//! connections that say nothing, or that nobody knows, keeps nobody out.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{Response, StatusCode};
use hyper::body::{Frame, SizeHint};
use tokio_util::sync::CancellationToken;

pub struct Places {
    most: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    by: HashMap<u64, Holder>,
    last: u64,
}

struct Holder {
    /// Since when nothing is done for it; `None` while something is.
    idle: Option<Instant>,
    leave: CancellationToken,
}

/// Given back when it is dropped.
pub struct Place {
    id: u64,
    places: Arc<Places>,
    /// Cancelled when somebody else needs the place.
    pub leave: CancellationToken,
}

impl Places {
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, taken: Mutex::default() })
    }

    /// A place, a free one or an idle one's; `None` when all are at work.
    pub fn take(self: &Arc<Self>) -> Option<Place> {
        let mut taken = self.lock();
        if taken.by.len() >= self.most {
            let idle = taken.by.iter().filter_map(|(id, holder)| Some((holder.idle?, *id)));
            let (_, id) = idle.min()?;
            taken.by.remove(&id)?.leave.cancel();
        }
        taken.last += 1;
        let (id, leave) = (taken.last, CancellationToken::new());
        taken.by.insert(id, Holder { idle: Some(Instant::now()), leave: leave.clone() });
        Some(Place { id, places: self.clone(), leave })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Something is done for it from here on.
    pub fn engage(&self) {
        self.idle_since(None);
    }

    fn idle_since(&self, idle: Option<Instant>) {
        if let Some(holder) = self.places.lock().by.get_mut(&self.id) {
            holder.idle = idle;
        }
    }

    /// The answer as it is; when the last of it is handed over, nothing more is to be done. What goes on as another protocol
    /// is at work until it ends.
    pub fn until_said(self: Arc<Self>, answer: Response<Body>) -> Response<Body> {
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            return answer;
        }
        answer.map(|body| Body::new(Said { body, _work: Work(self) }))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().by.remove(&self.id);
    }
}

/// What is done for a connection; ends with it.
struct Work(Arc<Place>);

impl Drop for Work {
    fn drop(&mut self) {
        self.0.idle_since(Some(Instant::now()));
    }
}

struct Said {
    body: Body,
    _work: Work,
}

impl HttpBody for Said {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_been_idle_longest_leaves_and_who_is_at_work_stays() {
        let places = Places::new(3);
        let [a, b, c] = [(); 3].map(|()| places.take().unwrap());
        a.engage();
        let d = places.take().unwrap();
        assert!(!a.leave.is_cancelled() && b.leave.is_cancelled() && !c.leave.is_cancelled());
        drop(b);
        c.engage();
        d.engage();
        assert!(places.take().is_none(), "all three are at work");
        drop(Work(Arc::new(c)));
        let e = places.take().unwrap();
        e.engage();
        assert!(places.take().is_none());
        drop((a, d));
        assert_eq!(places.lock().by.len(), 1);
        let f = places.take().unwrap();
        let upgraded = Response::builder().status(101).body(Body::empty()).unwrap();
        f.engage();
        let f = Arc::new(f);
        drop(f.clone().until_said(upgraded));
        assert!(places.lock().by[&f.id].idle.is_none(), "a socket is at work");
        drop(f.clone().until_said(Response::new(Body::empty())));
        assert!(places.lock().by[&f.id].idle.is_some());
    }
}
