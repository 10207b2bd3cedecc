//! A TCP proxy on loopback that can do what networks do: cut, refuse, hold back one direction, trickle.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::common::free_port;
use super::tap::Tap;

/// What goes on in the network now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Weather {
    /// Nothing passes to the broker; to the client.
    pub stall_up: bool,
    pub stall_down: bool,
    /// Nobody listens.
    pub refuse: bool,
    /// 0: as fast as it goes.
    pub bytes_per_second: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

pub struct Proxy {
    pub port: u16,
    shared: Arc<Shared>,
    _end: DropGuard,
}

struct Shared {
    to: u16,
    weather: watch::Sender<Weather>,
    /// Grows with every cut; true: by RST, else by FIN.
    cut: watch::Sender<(u64, bool)>,
    /// Cuts the connection after so many more bytes to the broker, in the middle of a packet; below 0: never.
    fuse: AtomicI64,
    connections: AtomicU64,
    tap: Option<Mutex<Tap>>,
}

impl Proxy {
    /// To a port of this machine; call within a runtime.
    pub fn start(to: u16, tap: Option<Tap>) -> Self {
        let port = free_port();
        let shared = Arc::new(Shared {
            to,
            weather: watch::channel(Weather::default()).0,
            cut: watch::channel((0, false)).0,
            fuse: AtomicI64::new(-1),
            connections: AtomicU64::new(0),
            tap: tap.map(Mutex::new),
        });
        let end = CancellationToken::new();
        tokio::spawn(end.clone().run_until_cancelled_owned(listen(port, Arc::clone(&shared), end.clone())));
        Self { port, shared, _end: end.drop_guard() }
    }

    pub fn weather(&self, weather: Weather) {
        self.shared.weather.send_replace(weather);
        if weather.refuse {
            self.cut(true);
        }
    }

    /// Every connection, now.
    pub fn cut(&self, by_reset: bool) {
        self.shared.cut.send_modify(|(count, reset)| {
            *count += 1;
            *reset = by_reset;
        });
    }

    pub fn cut_after(&self, bytes: i64) {
        self.shared.fuse.store(bytes, Ordering::SeqCst);
    }

    /// What the wire told.
    pub fn tap<T>(&self, look: impl FnOnce(&mut Tap) -> T) -> T {
        look(&mut self.shared.tap.as_ref().expect("a proxy with a tap").lock().unwrap())
    }
}

async fn listen(port: u16, shared: Arc<Shared>, end: CancellationToken) {
    let mut weather = shared.weather.subscribe();
    loop {
        if weather.wait_for(|weather| !weather.refuse).await.is_err() {
            return;
        }
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("the proxy's port");
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = weather.wait_for(|weather| weather.refuse) => break,
            };
            if let Ok((client, _)) = accepted {
                let end = end.clone();
                tokio::spawn(end.run_until_cancelled_owned(connection(client, Arc::clone(&shared))));
            }
        }
    }
}

async fn connection(mut client: TcpStream, shared: Arc<Shared>) {
    let mut cut = shared.cut.subscribe();
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", shared.to)).await else { return };
    let id = shared.connections.fetch_add(1, Ordering::SeqCst);
    let _best_effort = (client.set_nodelay(true), server.set_nodelay(true));
    let reset = {
        let (mut from_client, mut to_client) = client.split();
        let (mut from_server, mut to_server) = server.split();
        tokio::select! {
            burnt = pump(Way::Up, id, &mut from_client, &mut to_server, &shared) => burnt,
            burnt = pump(Way::Down, id, &mut from_server, &mut to_client, &shared) => burnt,
            _ = cut.changed() => cut.borrow().1,
        }
    };
    if reset {
        let _gone = (client.set_zero_linger(), server.set_zero_linger());
    }
    if let Some(tap) = &shared.tap {
        tap.lock().unwrap().closed(id);
    }
}

/// Until one side closes (false), or the fuse burns (true).
async fn pump(
    way: Way,
    id: u64,
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    shared: &Shared,
) -> bool {
    let mut weather = shared.weather.subscribe();
    let mut buffer = vec![0; 16 << 10];
    loop {
        let rate = weather.borrow().bytes_per_second;
        let room = if rate == 0 { buffer.len() } else { (rate as usize / 20).clamp(64, buffer.len()) };
        let Ok(count @ 1..) = from.read(&mut buffer[..room]).await else { return false };
        let mut bytes = &buffer[..count];
        // What is on its way when the stall begins stays on its way.
        let passes = |weather: &Weather| !(if way == Way::Up { weather.stall_up } else { weather.stall_down });
        if weather.wait_for(passes).await.is_err() {
            return false;
        }
        let mut burnt = false;
        if way == Way::Up {
            let fuse = shared.fuse.load(Ordering::SeqCst);
            if fuse >= 0 {
                let left = fuse - i64::try_from(count).unwrap();
                burnt = left < 0;
                shared.fuse.store(if burnt { -1 } else { left }, Ordering::SeqCst);
                bytes = &bytes[..count.min(usize::try_from(fuse).unwrap())];
            }
        }
        if let Some(tap) = &shared.tap {
            let mut tap = tap.lock().unwrap();
            if way == Way::Up { tap.up(id, bytes) } else { tap.down(id, bytes) }
        }
        if to.write_all(bytes).await.is_err() || burnt {
            return burnt;
        }
        if rate > 0 {
            tokio::time::sleep(Duration::from_secs_f64(count as f64 / f64::from(rate))).await;
        }
    }
}
