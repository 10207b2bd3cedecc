//! Where viewers can reach this node: what is announced, or the machine's own addresses.

use std::net::{IpAddr, SocketAddr};

/// More would only make viewers try longer.
const MOST: usize = 16;

/// The addresses that viewers are told, asked anew for every viewer: a network may have come up since the start.
pub(super) fn reachable(listening: SocketAddr, announce: &[IpAddr]) -> Vec<SocketAddr> {
    let own = || if_addrs::get_if_addrs().unwrap_or_default().into_iter().map(|interface| interface.ip()).collect();
    choose(listening, announce, own)
}

fn choose(listening: SocketAddr, announce: &[IpAddr], own: impl FnOnce() -> Vec<IpAddr>) -> Vec<SocketAddr> {
    let addresses = if !announce.is_empty() {
        announce.to_vec()
    } else if listening.ip().is_unspecified() {
        let mut own = own();
        own.retain(|ip| (ip.is_ipv4() || listening.is_ipv6()) && !needs_an_interface(*ip));
        // A viewer on this very machine needs loopback only where nothing else is.
        if own.iter().any(|ip| !ip.is_loopback()) {
            own.retain(|ip| !ip.is_loopback());
        }
        own
    } else {
        vec![listening.ip()]
    };
    addresses.into_iter().take(MOST).map(|ip| SocketAddr::new(ip, listening.port())).collect()
}

/// An IPv6 link-local address says nothing without the interface, which differs on the viewer's side.
fn needs_an_interface(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(listening: &str, announce: &[&str], own: &[&str]) -> Vec<String> {
        let parse = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpAddr>>();
        let chosen = choose(listening.parse().unwrap(), &parse(announce), || parse(own));
        chosen.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_node_that_listens_everywhere_tells_its_own_addresses() {
        let own = ["127.0.0.1", "192.168.1.10", "::1", "fe80::1", "2001:db8::1"];
        assert_eq!(chosen("0.0.0.0:9", &[], &own), ["192.168.1.10:9"]);
        assert_eq!(chosen("[::]:9", &[], &own), ["192.168.1.10:9", "[2001:db8::1]:9"]);
        assert_eq!(chosen("0.0.0.0:9", &[], &["127.0.0.1"]), ["127.0.0.1:9"]);
    }

    #[test]
    fn what_is_announced_or_listened_on_is_told_alone() {
        assert_eq!(chosen("0.0.0.0:9", &["203.0.113.7"], &["172.17.0.2"]), ["203.0.113.7:9"]);
        assert_eq!(chosen("127.0.0.1:9", &[], &["192.168.1.10"]), ["127.0.0.1:9"]);
    }
}
