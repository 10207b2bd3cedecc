//! Whose request it is: behind a proxy all come from the proxy's address, and one stranger's wrong tokens must not lock out the rest.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;

use super::super::network::Network;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The proxies whose word is believed.
pub struct Proxies(Vec<Network>);

impl Proxies {
    pub fn new(trusted: &[Network]) -> Self {
        Self(trusted.to_vec())
    }

    /// The visitor's address. Each proxy adds at the end whom it heard, so the list is read from there, as far as those who
    /// speak are trusted; what stands before them is the visitor's own invention.
    pub fn visitor(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let lines = headers.get_all(FORWARDED_FOR).iter().filter_map(|line| line.to_str().ok());
        let said: Vec<&str> = lines.flat_map(|line| line.split(',')).collect();
        let mut visitor = peer;
        for one in said.into_iter().rev() {
            if !self.0.iter().any(|network| network.contains(visitor)) {
                break;
            }
            match address(one.trim()) {
                Some(address) => visitor = address,
                None => break,
            }
        }
        visitor
    }
}

/// Some proxies add the port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    text.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip())).or_else(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trusted_proxy_says_who_the_visitor_is() {
        let proxies = Proxies::new(&["127.0.0.1".parse().unwrap(), "10.0.0.0/8".parse().unwrap()]);
        let visitor = |peer: &str, said: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in said {
                headers.append(FORWARDED_FOR, line.parse().unwrap());
            }
            proxies.visitor(peer.parse().unwrap(), &headers).to_string()
        };
        assert_eq!(visitor("127.0.0.1", &["203.0.113.7"]), "203.0.113.7");
        assert_eq!(
            visitor("127.0.0.1", &["198.51.100.1, 203.0.113.7:4711"]),
            "203.0.113.7",
            "the first is an invention"
        );
        assert_eq!(visitor("127.0.0.1", &["203.0.113.7", "10.1.1.1"]), "203.0.113.7", "two proxies");
        assert_eq!(visitor("::ffff:127.0.0.1", &["[2001:db8::1]:80"]), "2001:db8::1");
        assert_eq!(visitor("127.0.0.1", &["unknown"]), "127.0.0.1");
        assert_eq!(visitor("127.0.0.1", &[]), "127.0.0.1");
        assert_eq!(visitor("192.0.2.1", &["203.0.113.7"]), "192.0.2.1", "a stranger's word");
    }
}
