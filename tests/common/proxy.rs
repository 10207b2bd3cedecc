//! A TCP proxy that does to a connection what networks do: stops one direction, cuts, refuses.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const LOOK: Duration = Duration::from_millis(10);

#[derive(Clone, Copy)]
pub enum Way {
    ToServer,
    FromServer,
}

#[derive(Default)]
struct Shared {
    stalled: [AtomicBool; 2],
    bytes: [AtomicU64; 2],
    refuses: AtomicBool,
    over: AtomicBool,
    streams: Mutex<Vec<TcpStream>>,
}

/// Ends with its last owner.
pub struct Proxy {
    pub port: u16,
    shared: Arc<Shared>,
}

impl Proxy {
    pub fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::<Shared>::default();
        let ours = shared.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if ours.over.load(SeqCst) {
                    return;
                }
                let Ok(client) = client else { continue };
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { continue };
                if ours.refuses.load(SeqCst) {
                    continue;
                }
                pump(&ours, &client, &server, Way::ToServer);
                pump(&ours, &server, &client, Way::FromServer);
                ours.streams.lock().unwrap().extend([client, server]);
            }
        });
        Self { port, shared }
    }

    /// What comes on this way is held back, nothing is lost.
    pub fn stall(&self, way: Way, yes: bool) {
        self.shared.stalled[way as usize].store(yes, SeqCst);
    }

    /// Ends all connections, and takes new ones only when told to.
    pub fn cut(&self) {
        self.shared.refuses.store(true, SeqCst);
        for stream in self.shared.streams.lock().unwrap().drain(..) {
            let _gone = stream.shutdown(Shutdown::Both);
        }
    }

    pub fn mend(&self) {
        self.shared.refuses.store(false, SeqCst);
        self.stall(Way::ToServer, false);
        self.stall(Way::FromServer, false);
    }

    pub fn bytes(&self, way: Way) -> u64 {
        self.shared.bytes[way as usize].load(SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
        self.shared.over.store(true, SeqCst);
        let _wakes_it = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn pump(shared: &Arc<Shared>, from: &TcpStream, to: &TcpStream, way: Way) {
    let (shared, mut from, mut to) = (shared.clone(), from.try_clone().unwrap(), to.try_clone().unwrap());
    for stream in [&from, &to] {
        stream.set_nodelay(true).unwrap();
    }
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(n) = from.read(&mut buffer) {
            while shared.stalled[way as usize].load(SeqCst) && !shared.refuses.load(SeqCst) {
                std::thread::sleep(LOOK);
            }
            if n == 0 || to.write_all(&buffer[..n]).is_err() {
                break;
            }
            shared.bytes[way as usize].fetch_add(n as u64, SeqCst);
        }
        let _gone = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    });
}
