//! Which viewer a datagram is for: the one whose user fragment a STUN request names, or who has proven itself at that address.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::socket::Datagram;
use super::stun;

/// Addresses of one viewer that are remembered.
const MOST_ADDRESSES: usize = 16;

#[derive(Default)]
pub(super) struct Routes(Mutex<Tables>);

#[derive(Default)]
struct Tables {
    next: u64,
    by_ufrag: HashMap<String, u64>,
    by_address: HashMap<SocketAddr, u64>,
    viewers: HashMap<u64, Entry>,
}

struct Entry {
    ufrag: String,
    inbox: mpsc::Sender<Datagram>,
    addresses: Vec<SocketAddr>,
}

impl Routes {
    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn add(&self, ufrag: &str, inbox: mpsc::Sender<Datagram>) -> u64 {
        let mut tables = self.lock();
        tables.next += 1;
        let route = tables.next;
        tables.by_ufrag.insert(ufrag.to_owned(), route);
        tables.viewers.insert(route, Entry { ufrag: ufrag.to_owned(), inbox, addresses: Vec::new() });
        route
    }

    /// What comes from `address` is this viewer's from now on, whosever it was: networks give addresses to others.
    pub fn proven(&self, route: u64, address: SocketAddr) {
        let tables = &mut *self.lock();
        if tables.by_address.get(&address) == Some(&route) {
            return;
        }
        let Some(entry) = tables.viewers.get_mut(&route) else { return };
        entry.addresses.push(address);
        if entry.addresses.len() > MOST_ADDRESSES {
            let oldest = entry.addresses.remove(0);
            tables.by_address.retain(|at, of| !(*at == oldest && *of == route));
        }
        tables.by_address.insert(address, route);
    }

    pub fn remove(&self, route: u64) {
        let tables = &mut *self.lock();
        if let Some(entry) = tables.viewers.remove(&route) {
            tables.by_ufrag.remove(&entry.ufrag);
            tables.by_address.retain(|_, of| *of != route);
        }
    }

    /// Hands the datagram to its viewer; false = it is nobody's, or the viewer has too many waiting.
    pub fn deliver(&self, datagram: Datagram) -> bool {
        let inbox = {
            let tables = self.lock();
            let route = match stun::receiver(&datagram.data) {
                Some(ufrag) => tables.by_ufrag.get(ufrag),
                None => tables.by_address.get(&datagram.from),
            };
            route.and_then(|route| tables.viewers.get(route)).map(|entry| entry.inbox.clone())
        };
        inbox.is_some_and(|inbox| inbox.try_send(datagram).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn datagram(from: &str) -> Datagram {
        Datagram { from: from.parse().unwrap(), to: None, data: Bytes::from_static(&[0x80, 1, 2, 3]) }
    }

    #[test]
    fn an_address_is_whose_that_last_proved_it_and_nobodys_after_the_end() {
        let routes = Routes::default();
        let (one, mut ones) = mpsc::channel(4);
        let (two, mut twos) = mpsc::channel(4);
        let (one, two) = (routes.add("one", one), routes.add("two", two));
        assert!(!routes.deliver(datagram("1.1.1.1:1")), "an address nobody has proven");
        routes.proven(one, "1.1.1.1:1".parse().unwrap());
        assert!(routes.deliver(datagram("1.1.1.1:1")) && ones.try_recv().is_ok());
        routes.proven(two, "1.1.1.1:1".parse().unwrap());
        assert!(routes.deliver(datagram("1.1.1.1:1")) && twos.try_recv().is_ok() && ones.try_recv().is_err());
        routes.remove(one);
        assert!(routes.deliver(datagram("1.1.1.1:1")));
        routes.remove(two);
        assert!(!routes.deliver(datagram("1.1.1.1:1")));
        let tables = routes.lock();
        assert!(tables.by_ufrag.is_empty() && tables.by_address.is_empty() && tables.viewers.is_empty());
    }

    #[test]
    fn a_viewer_that_walks_through_addresses_fills_no_table() {
        let routes = Routes::default();
        let (inbox, _kept) = mpsc::channel(4);
        let route = routes.add("one", inbox);
        for port in 1..1000 {
            routes.proven(route, SocketAddr::from(([1, 1, 1, 1], port)));
        }
        assert_eq!(routes.lock().by_address.len(), MOST_ADDRESSES);
    }
}
