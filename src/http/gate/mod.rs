//! Who may come in: by which name, from which page, with which token.

mod login;
mod origin;
mod sessions;
mod throttle;
mod token;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

pub use login::operations;

use super::problem::Problem;
use super::server::Peer;
use super::{HttpConfig, HttpError};
use origin::Hosts;
use sessions::Sessions;
use throttle::Throttle;
use token::{Token, bearer};

/// The door of the server.
pub struct Gate {
    hosts: Hosts,
    token: Token,
    sessions: Sessions,
    throttle: Throttle,
}

/// What a path is open to.
const OPEN: [&str; 4] = ["/healthz", "/login", "/logout", "/login.css"];

impl Gate {
    pub fn new(config: &HttpConfig) -> Result<Self, HttpError> {
        Ok(Self {
            hosts: Hosts::new(&config.hosts),
            token: Token::load(config)?,
            sessions: Sessions::new(config.session.0),
            throttle: Throttle::default(),
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
    fn admits(&self, request: &Request) -> Result<(), Problem> {
        let headers = request.headers();
        // Whoever probes health holds no secrets and is told none.
        if request.uri().path() == "/healthz" {
            return Ok(());
        }
        let brought = bearer(headers).filter(|_| self.token.is_needed());
        if let Some(sent) = brought {
            self.judge(sent, peer(request).address.ip())?;
        } else {
            self.hosts.check(request.uri(), headers)?;
        }
        self.hosts.check_site(request.method(), headers)?;
        let known = brought.is_some() || !self.token.is_needed() || OPEN.contains(&request.uri().path());
        if known || self.sessions.admits(headers, Instant::now()) {
            return Ok(());
        }
        let detail = "a token is needed: send 'Authorization: Bearer …', or log in at /login; it is the first line of http.token_file";
        Err(Problem::new(StatusCode::UNAUTHORIZED, "token_needed", detail))
    }
}

/// The first thing a request meets.
pub async fn guard(State(gate): State<Arc<Gate>>, mut request: Request, next: Next) -> Response {
    let Err(problem) = gate.admits(&request) else {
        request.extensions_mut().insert(gate);
        return next.run(request).await;
    };
    let person = *request.method() == Method::GET && accepts_html(request.headers());
    let mut response = problem.into_response();
    if response.status() == StatusCode::UNAUTHORIZED {
        if person && bearer(request.headers()).is_none() {
            return Redirect::to(&login::address(request.uri())).into_response();
        }
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
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
