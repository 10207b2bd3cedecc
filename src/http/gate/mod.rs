//! Who may come in: by which name, from which page, with which token.

mod login;
mod origin;
mod sessions;
mod throttle;
mod token;
mod visitor;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

pub use login::operations;
pub use token::Token;

use super::problem::Problem;
use super::server::Peer;
use super::{HttpConfig, HttpError};
use origin::Hosts;
use sessions::Sessions;
use throttle::Throttle;
use token::Sent;
use visitor::Proxies;

/// The door of the server.
pub struct Gate {
    hosts: Hosts,
    token: Token,
    sessions: Sessions,
    throttle: Throttle,
    proxies: Proxies,
}

/// Whose request it is that is let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// May do everything.
    Known,
    /// May see that the node is there, and log in.
    Stranger,
}

/// Paths that strangers see as well.
const OPEN: [&str; 4] = ["/healthz", "/login", "/logout", "/login.css"];

impl Gate {
    pub fn new(config: &HttpConfig) -> Result<Self, HttpError> {
        Ok(Self {
            hosts: Hosts::new(&config.hosts),
            token: Token::load(config)?,
            sessions: Sessions::new(config.session.0),
            throttle: Throttle::default(),
            proxies: Proxies::new(&config.proxies),
        })
    }

    /// Whether who is in had to say who he is.
    pub fn asks_for_token(&self) -> bool {
        self.token.is_needed()
    }

    /// Whether this is the token; wrong ones of one address are looked at slowly.
    fn judge(&self, sent: &str, address: IpAddr) -> Result<(), Problem> {
        let now = Instant::now();
        self.throttle.admits(address, now).map_err(|wait| {
            let detail = "too many wrong tokens came from this address; wait, then bring the right one";
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", detail)
                .retry_after(u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1))
        })?;
        if self.token.is(sent) {
            return Ok(());
        }
        self.throttle.failed(address, now);
        tracing::warn!(%address, "a wrong HTTP token");
        Err(Problem::new(StatusCode::UNAUTHORIZED, "wrong_token", "this is not the token of http.token_file"))
    }

    /// Carried by its own hands, the token proves more than any header: a program may call the node what it likes.
    fn admits(&self, request: &Request) -> Result<Standing, Problem> {
        let (headers, path) = (request.headers(), request.uri().path());
        // Whoever probes health holds no secrets and is told none.
        if path == "/healthz" {
            return Ok(Standing::Stranger);
        }
        let known = !self.token.is_needed() || self.sessions.admits(headers, Instant::now());
        let open = OPEN.contains(&path);
        let proof = match token::sent(headers).filter(|_| self.token.is_needed()) {
            Some(Sent::Bearer(token)) => Some(token),
            // Of one who is known otherwise, or asks for the login form, it may be meant for a proxy before us.
            Some(Sent::Basic(token)) if !known && !open => Some(token),
            _ => None,
        };
        let proven = proof.is_some();
        if let Some(token) = proof {
            self.judge(&token, self.visitor(request))?;
        } else if let Err(wrong) = self.hosts.check(request.uri(), headers) {
            return self.probe(request, wrong);
        }
        self.hosts.check_site(request.method(), headers)?;
        if known || proven {
            return Ok(Standing::Known);
        }
        if open {
            return Ok(Standing::Stranger);
        }
        let detail = "a token is needed: send 'Authorization: Bearer …', or log in at /login; it is the first line of http.token_file";
        self.probe(request, Problem::new(StatusCode::UNAUTHORIZED, "token_needed", detail))
    }

    /// A supervisor without the token may know whether the node is ready, not why.
    fn probe(&self, request: &Request, refused: Problem) -> Result<Standing, Problem> {
        self.hosts.check_site(request.method(), request.headers())?;
        if request.uri().path() == "/readyz" { Ok(Standing::Stranger) } else { Err(refused) }
    }

    fn visitor(&self, request: &Request) -> IpAddr {
        self.proxies.visitor(peer(request).address.ip(), request.headers())
    }
}

/// The first thing a request meets.
pub async fn guard(State(gate): State<Arc<Gate>>, mut request: Request, next: Next) -> Response {
    let problem = match gate.admits(&request) {
        Ok(standing) => {
            if standing == Standing::Known {
                peer(&request).engage();
            }
            request.extensions_mut().insert(standing);
            request.extensions_mut().insert(gate);
            return next.run(request).await;
        }
        Err(problem) => problem,
    };
    let headers = request.headers();
    let mut response = problem.into_response();
    if response.status() == StatusCode::UNAUTHORIZED {
        let person = *request.method() == Method::GET && accepts_html(headers);
        if person && !matches!(token::sent(headers), Some(Sent::Bearer(_))) {
            return Redirect::to(&login::address(request.uri())).into_response();
        }
        // Players bring a password only when they are asked for it; a browser that is asked would ask the person, beside our form.
        // Each in a line of its own: FFmpeg reads no further than the first of a line.
        let asked = if is_browser(headers) { &["Bearer"][..] } else { &["Bearer", "Basic realm=\"sightwire\""] };
        for challenge in asked {
            response.headers_mut().append(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
    }
    response
}

/// All browsers call themselves so, and next to nobody else.
fn is_browser(headers: &HeaderMap) -> bool {
    headers.get(header::USER_AGENT).is_some_and(|agent| agent.as_bytes().starts_with(b"Mozilla/"))
}

fn accepts_html(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"))
}

/// A request that came by no socket (in a test) is nobody's.
fn peer(request: &Request) -> Peer {
    request.extensions().get::<Peer>().cloned().unwrap_or_else(Peer::nobody)
}
