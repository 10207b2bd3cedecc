//! One link of the program's own, one real broker, the proxy between them, and the faults.

use std::time::{Duration, Instant};

use fastrand::Rng;
use sightwire::bus::{Link, MessageKind, Outbox};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::faults::{Fault, Server, Struck};
use super::plan::{between, ms, plan};
use super::proxy::{Proxy, Weather};
use super::stream::{Promised, Stream};

/// After the last fault: the link may be at the end of its longest pause, with everything still to send.
const CALM: Duration = Duration::from_secs(150);
const CAMERAS: usize = 4;

pub struct Arena<S> {
    pub server: S,
    pub proxy: Proxy,
    pub link: Link,
    pub dice: Rng,
}

/// What a storm was.
#[derive(Debug, Default)]
pub struct Report {
    pub links: u32,
    pub struck: Struck,
    pub sessions: u64,
    pub events: u64,
    pub duplicates: u64,
    /// How often the law was looked at.
    pub looks: u64,
}

impl Report {
    pub fn add(&mut self, other: &Self) {
        self.links += other.links;
        self.struck.add(&other.struck);
        self.sessions += other.sessions;
        self.events += other.events;
        self.duplicates += other.duplicates;
        self.looks += other.looks;
    }

    /// One row; only a run that lost nothing comes so far.
    pub fn say(&self, what: &str) {
        let Self { links, struck, sessions, events, duplicates, looks } = self;
        println!(
            "chaos: {what}: {} faults ({struck}) on {links} links, {sessions} sessions; {events} events, 0 lost, \
             0 out of order, {duplicates} repeated; the law held at {looks} looks",
            struck.total()
        );
    }
}

impl<S: Server> Arena<S> {
    /// Faults at random moments of a stream, then calm until everything is delivered.
    pub async fn storm(&mut self, kills: bool) -> (Promised, Report) {
        let stop = CancellationToken::new();
        let stream = Stream::new(self.link.outbox().clone(), CAMERAS);
        let producer = tokio::spawn(stream.flow(self.dice.fork(), stop.clone()));
        let looks = look_at_the_law(self.link.outbox().clone(), self.dice.fork(), stop.clone());
        let sessions = count_sessions(&self.link, stop.clone());

        let mut report = Report { links: 1, ..Report::default() };
        let end = Instant::now() + plan().storm();
        self.connected().await;
        while Instant::now() < end {
            let fault = Fault::roll(&mut self.dice, kills);
            report.struck.count(fault.name());
            fault.strike(&mut self.server, &self.proxy).await;
            self.rest().await;
        }
        self.proxy.weather(Weather::default());
        self.proxy.cut_after(-1);
        stop.cancel();
        let promised = producer.await.unwrap();
        (report.looks, report.sessions) = (looks.await.unwrap(), sessions.await.unwrap());
        self.calm(&promised).await;
        report.events = promised.event_count();
        (promised, report)
    }

    /// A link needs a session to lose one; but a fault may also strike while it has none.
    async fn rest(&mut self) {
        match self.dice.u8(..20) {
            0..6 => sleep(between(&mut self.dice, ms(0), ms(500))).await,
            // So long that its next pause is a short one again.
            6..9 if plan().full => {
                self.connected().await;
                sleep(ms(10_500)).await;
            }
            _ => {
                self.connected().await;
                sleep(between(&mut self.dice, ms(0), ms(1_200))).await;
            }
        }
    }

    async fn connected(&self) {
        let mut state = self.link.state();
        let up = timeout(CALM, state.wait_for(|state| state.connected)).await;
        assert!(up.is_ok(), "never connected again: {:?}", self.link.state().borrow());
    }

    async fn calm(&self, promised: &Promised) {
        let outbox = self.link.outbox();
        let drained = timeout(CALM, outbox.drained()).await;
        assert!(drained.is_ok(), "still waiting: {:?}, {:?}", outbox.waiting(), self.link.state().borrow());
        assert_law(outbox);
        let events = outbox.tally(MessageKind::Event);
        assert_eq!((events.offered, events.acked), (promised.event_count(), promised.event_count()), "{events:?}");
    }
}

pub fn assert_law(outbox: &Outbox) {
    for kind in MessageKind::ALL {
        let tally = outbox.tally(kind);
        assert!(tally.law_holds(), "{kind:?}: {tally:?}");
    }
}

fn look_at_the_law(outbox: std::sync::Arc<Outbox>, mut dice: Rng, stop: CancellationToken) -> JoinHandle<u64> {
    tokio::spawn(async move {
        let mut looks = 0;
        while !stop.is_cancelled() {
            assert_law(&outbox);
            looks += 1;
            sleep(between(&mut dice, ms(0), ms(20))).await;
        }
        looks
    })
}

fn count_sessions(link: &Link, stop: CancellationToken) -> JoinHandle<u64> {
    let mut state = link.state();
    tokio::spawn(async move {
        let (mut sessions, mut up) = (0, false);
        while stop.run_until_cancelled(state.changed()).await.is_some_and(|changed| changed.is_ok()) {
            let now = state.borrow_and_update().connected;
            sessions += u64::from(now && !up);
            up = now;
        }
        sessions
    })
}
