//! From where a request comes. A page of another site must reach nothing here: not by a name that was bent to this address
//! (DNS rebinding), not by a form or script that posts across sites.

use std::net::IpAddr;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};

use super::super::problem::Problem;

/// Names by which this node may be called.
#[derive(Debug, Clone, Default)]
pub struct Hosts(Vec<String>);

impl Hosts {
    pub fn new(configured: &[String]) -> Self {
        Self(configured.iter().map(|name| plain(name)).collect())
    }

    /// Whether no stranger can have bent this name to us. A number cannot be bent, nor can localhost (RFC 6761, section 6.3).
    fn trusts(&self, host: &str) -> bool {
        let host = plain(host);
        let number = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
        number || host == "localhost" || host.ends_with(".localhost") || self.0.contains(&host)
    }

    /// The request names a host that we are known by.
    ///
    /// # Errors
    /// 421, which says what to configure.
    pub fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let mut named = headers.get_all(header::HOST).iter();
        let one = named.next().filter(|_| named.next().is_none()).and_then(|host| host.to_str().ok());
        let host = one.filter(|host| !host.contains('@')).and_then(|host| host.parse::<Authority>().ok());
        let unnamed =
            || Problem::new(StatusCode::BAD_REQUEST, "wrong_host", "the header Host is missing, doubled or not a name");
        let wrong = |shown: &str| {
            let detail = format!(
                "this node does not go by the name {shown}; if it is to, name it in the configuration: http: {{ hosts: [{shown}] }}"
            );
            Problem::new(StatusCode::MISDIRECTED_REQUEST, "wrong_host", detail)
        };
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(unnamed());
        }
        // Who sends the whole address in the request line is held to that, too.
        for authority in [host.as_ref(), uri.authority()].into_iter().flatten() {
            if !self.trusts(authority.host()) {
                let shown: String = authority.host().chars().take(253).collect();
                return Err(wrong(&shown));
            }
        }
        if host.is_some() {
            return Ok(());
        }
        Err(unnamed())
    }

    /// A browser says whose page sent it; who sends neither header is no browser.
    ///
    /// # Errors
    /// 403.
    pub fn check_site(&self, method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
        let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
        let refuse = |why: String| Err(Problem::new(StatusCode::FORBIDDEN, "cross_site", why));
        let reads = matches!(*method, Method::GET | Method::HEAD);
        let upgrades = headers.contains_key(header::UPGRADE);
        if let Some(site) = text("sec-fetch-site")
            && !matches!(site, "same-origin" | "none")
        {
            // A link from elsewhere to the page is no attack; a picture, a script or a form of it may be.
            let followed = reads
                && !upgrades
                && text("sec-fetch-mode") == Some("navigate")
                && text("sec-fetch-dest") == Some("document");
            return if followed {
                Ok(())
            } else {
                refuse(format!("a page of another site ({site}) sent this request"))
            };
        }
        let Some(origin) = text("origin").filter(|_| !reads || upgrades) else { return Ok(()) };
        if self.is_own(origin, text("host")) {
            return Ok(());
        }
        let shown: String = origin.chars().take(253).collect();
        refuse(format!(
            "a page of {shown} sent this request; if it is a proxy of this node, name its host in the configuration: http: {{ hosts: […] }}"
        ))
    }

    /// The page's host and port are those that the request goes to, or, behind a proxy that says another Host, a configured name.
    fn is_own(&self, origin: &str, host: Option<&str>) -> bool {
        let Ok(origin) = origin.parse::<Uri>() else { return false };
        let (Some("http" | "https"), Some(authority)) = (origin.scheme_str(), origin.authority()) else { return false };
        host.is_some_and(|host| host.eq_ignore_ascii_case(authority.as_str()))
            || self.0.contains(&plain(authority.host()))
    }
}

fn plain(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse::<header::HeaderName>().unwrap(), value.parse().unwrap()))
            .collect()
    }

    fn hosts() -> Hosts {
        Hosts::new(&["Garage.local".into()])
    }

    #[test]
    fn a_name_that_was_bent_to_us_is_refused() {
        let good = |host: &str| hosts().check(&Uri::from_static("/"), &headers(&[("host", host)])).is_ok();
        for own in [
            "localhost",
            "localhost:8720",
            "LOCALHOST.",
            "a.localhost:1",
            "127.0.0.1:8720",
            "[::1]:8720",
            "192.168.1.5",
            "garage.local:80",
        ] {
            assert!(good(own), "{own}");
        }
        for bent in [
            "evil.example",
            "evil.example:8720",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "",
            "a b",
            "garage",
            "xlocalhost",
            "someone@localhost",
            "2130706433",
        ] {
            assert!(!good(bent), "{bent}");
        }
        let twice = headers(&[("host", "localhost"), ("host", "localhost")]);
        assert!(hosts().check(&Uri::from_static("/"), &twice).is_err());
        let absolute = Uri::from_static("http://evil.example/");
        assert!(hosts().check(&absolute, &headers(&[("host", "localhost")])).is_err());
        assert!(hosts().check(&Uri::from_static("/"), &HeaderMap::new()).is_err());
    }

    #[test]
    fn other_sites_post_nothing_and_open_no_socket() {
        let may = |method: &str, pairs: &[(&'static str, &str)]| {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            hosts().check_site(&method, &headers(&[&[("host", "localhost:8720")], pairs].concat())).is_ok()
        };
        assert!(may("POST", &[]), "curl sends neither");
        assert!(
            may("POST", &[("origin", "http://localhost:8720")]) && may("POST", &[("origin", "https://garage.local")])
        );
        assert!(may("POST", &[("origin", "http://localhost:8720"), ("sec-fetch-site", "same-origin")]));
        for origin in [
            "null",
            "http://evil.example",
            "http://localhost:3000",
            "http://localhost",
            "file://localhost:8720",
            "?",
            "",
        ] {
            assert!(!may("POST", &[("origin", origin)]), "{origin}");
            assert!(!may("PUT", &[("origin", origin)]) && !may("DELETE", &[("origin", origin)]), "{origin}");
            assert!(!may("GET", &[("origin", origin), ("upgrade", "websocket")]), "{origin}");
        }
        assert!(!may("POST", &[("sec-fetch-site", "cross-site")]) && !may("POST", &[("sec-fetch-site", "same-site")]));
        let link = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
        assert!(may("GET", &link) && !may("POST", &link));
        assert!(!may(
            "GET",
            &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")]
        ));
        assert!(!may(
            "GET",
            &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")]
        ));
    }
}
