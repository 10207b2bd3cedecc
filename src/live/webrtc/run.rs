//! A viewer's task: carries out what its session wants, until it ends.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::routes::Routes;
use super::session::{End, Session, Step};
use super::socket::{Datagram, Socket};
use crate::live::{Studio, Told, Units, Way};
use crate::telemetry::WebRtcMetrics;

pub(super) struct Viewer {
    pub session: Session,
    pub studio: Arc<Studio>,
    pub socket: Arc<Socket>,
    pub routes: Arc<Routes>,
    pub route: u64,
    pub inbox: mpsc::Receiver<Datagram>,
    /// Somebody wants it to end: the viewer, the node.
    pub leave: CancellationToken,
    pub shutdown: CancellationToken,
    pub metrics: Arc<WebRtcMetrics>,
}

/// Of a session's due work at once, before others have their turn.
const MOST_TICKS: u32 = 512;

impl Viewer {
    pub async fn run(mut self) -> End {
        let mut units: Option<Units> = None;
        let mut leaving = false;
        loop {
            let mut ticks = 0;
            let wait = loop {
                match self.session.poll(Instant::now()) {
                    Step::Send { to, from, data } => {
                        self.socket.send(to, from, &data);
                        self.studio.metrics.sent(Way::Webrtc, data.len());
                    }
                    // Only now is it worth encoding for.
                    Step::Watch => {
                        units = self.studio.h264(Way::Webrtc);
                        if units.is_none() {
                            self.session.end(End::CameraRemoved, Instant::now());
                        }
                    }
                    Step::WantIdr => self.studio.want_idr(),
                    Step::Wait(until) => {
                        let now = Instant::now();
                        if until > now || ticks == MOST_TICKS {
                            break until;
                        }
                        // The pacer lets one packet go each time; by a timer each would cost a millisecond and more.
                        ticks += 1;
                        self.session.tick(now);
                    }
                    Step::Ended(end) => return end,
                }
            };
            tokio::select! {
                () = self.leave.cancelled(), if !leaving => {
                    leaving = true;
                    let end = if self.shutdown.is_cancelled() { End::Shutdown } else { End::Left };
                    self.session.end(end, Instant::now());
                }
                Some(datagram) = self.inbox.recv() => self.receive(&datagram),
                told = next(&mut units) => if let Some(told) = told {
                    self.show(&told);
                } else {
                    units = None;
                    self.session.end(End::CameraRemoved, Instant::now());
                },
                () = tokio::time::sleep_until(wait.into()) => self.session.tick(Instant::now()),
            }
        }
    }

    fn receive(&mut self, datagram: &Datagram) {
        if self.session.receive(datagram, Instant::now()) {
            self.routes.proven(self.route, datagram.from);
        }
    }

    fn show(&mut self, told: &Told) {
        match told {
            Told::Unit(unit) => {
                let sent = self.session.show(unit, Instant::now());
                self.metrics.frame(sent);
            }
            Told::Missed(units) => {
                self.session.missed();
                self.metrics.missed(*units);
            }
        }
    }
}

async fn next(units: &mut Option<Units>) -> Option<Told> {
    match units {
        Some(units) => units.next().await,
        None => std::future::pending().await,
    }
}
