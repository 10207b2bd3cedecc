//! The login form: works without scripts.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Query, Request};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, body};
use serde::Deserialize;

use super::super::media;
use super::super::problem::Problem;
use super::super::table::{Answer, Body, Kind, Operation};
use super::{Gate, Sessions};

const PAGE: &str = include_str!("login.html");
const STYLE: &str = include_str!("login.css");
const FORM: &str = "application/x-www-form-urlencoded";

#[derive(Deserialize)]
struct Form {
    #[serde(default)]
    token: String,
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    next: String,
}

pub fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/login", "loginPage", "The login form", get(page))
            .tag("login")
            .query("next", "The path to go to afterwards", serde_json::json!({ "type": "string" }))
            .answer(Answer::page())
            .answer(Answer::empty(303, "Logged in already, or no token is needed: to `next`, or to `/`")),
        Operation::get("/login.css", "loginStyle", "The login form's style", get(style))
            .tag("login")
            .answer(Answer::media("text/css")),
        Operation::post("/login", "login", "Log a browser in: the answer's cookie stands for the token", post(login))
            .tag("login")
            .kind(Kind::Plain)
            .body(Body::form(&["token", "next"]))
            .answer(Answer::empty(303, "Logged in: to `next`, or to `/`"))
            .answer(Answer::page().status(401).says("Not the token"))
            .answer(
                Answer::page()
                    .status(429)
                    .says("Too many wrong tokens from this address; `Retry-After` says how long to wait"),
            ),
        Operation::post("/logout", "logout", "Log a browser out", post(logout))
            .tag("login")
            .answer(Answer::empty(303, "Logged out: to `/login`")),
    ]
}

async fn page(
    Extension(gate): Extension<Arc<Gate>>,
    headers: HeaderMap,
    Query(Asked { next }): Query<Asked>,
) -> Response {
    if !gate.token.is_needed() || gate.sessions.admits(&headers, Instant::now()) {
        return Redirect::to(own(&next)).into_response();
    }
    form(StatusCode::OK, "", &next)
}

async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

async fn login(Extension(gate): Extension<Arc<Gate>>, request: Request) -> Response {
    let (secure, address) = (is_secure(request.headers()), gate.visitor(&request));
    if !media::is_one_of(request.headers(), &[FORM]) {
        let detail = "the login form is application/x-www-form-urlencoded with token=…; a program sends Authorization: Bearer … with every request instead";
        return media::unsupported(detail).into_response();
    }
    // Its length is bounded where all bodies are.
    let body = body::to_bytes(request.into_body(), usize::MAX).await.unwrap_or_default();
    let Ok(Query(sent)) = form_of(&body) else {
        return Problem::new(StatusCode::BAD_REQUEST, "malformed", "not a form with token=…").into_response();
    };
    if !gate.token.is_needed() {
        return Redirect::to(own(&sent.next)).into_response();
    }
    if let Err(problem) = gate.judge(sent.token.trim(), address) {
        let refused = problem.into_response();
        let words = match refused.status() {
            StatusCode::UNAUTHORIZED => {
                "That is not the token. It is the first line of the file that http.token_file names."
            }
            _ => "Too many wrong tokens. Wait a moment, then try again.",
        };
        let mut page = form(refused.status(), words, &sent.next);
        if let Some(wait) = refused.headers().get(header::RETRY_AFTER) {
            page.headers_mut().insert(header::RETRY_AFTER, wait.clone());
        }
        return page;
    }
    match gate.sessions.begin(Instant::now()) {
        Some(word) => {
            ([(header::SET_COOKIE, gate.sessions.cookie(&word, secure))], Redirect::to(own(&sent.next))).into_response()
        }
        None => super::super::problem::internal(),
    }
}

async fn logout(Extension(gate): Extension<Arc<Gate>>, headers: HeaderMap) -> Response {
    gate.sessions.end(&headers);
    ([(header::SET_COOKIE, Sessions::no_cookie(is_secure(&headers)))], Redirect::to("/login")).into_response()
}

fn form_of(body: &[u8]) -> Result<Query<Form>, ()> {
    let text = std::str::from_utf8(body).map_err(|_| ())?;
    // A form's body is written like a query.
    let uri: Uri = format!("/?{text}").parse().map_err(|_| ())?;
    Query::try_from_uri(&uri).map_err(|_| ())
}

/// Where to log in, and to come back from.
pub fn address(asked: &Uri) -> String {
    let next = asked.path_and_query().map_or("/", |path| path.as_str());
    if next == "/" {
        return "/login".into();
    }
    let next: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
    format!("/login?next={next}")
}

/// A path of this node; whatever leads elsewhere becomes `/`.
fn own(next: &str) -> &str {
    let leads_away = next.starts_with("//") || next.contains(|c: char| c == '\\' || c.is_control() || !c.is_ascii());
    if next.starts_with('/') && !leads_away { next } else { "/" }
}

/// The browser came by https, as a proxy says. Nobody gains by lying: a cookie with `Secure` is only held more tightly.
fn is_secure(headers: &HeaderMap) -> bool {
    headers
        .get("x-forwarded-proto")
        .and_then(|proto| proto.to_str().ok())
        .is_some_and(|proto| proto.split(',').next().is_some_and(|first| first.trim().eq_ignore_ascii_case("https")))
}

fn form(status: StatusCode, words: &str, next: &str) -> Response {
    let page = PAGE.replace("{words}", words).replace("{next}", &escaped(own(next)));
    (status, [(header::CACHE_CONTROL, "no-store")], Html(page)).into_response()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_to_this_node_and_nowhere_else() {
        for (next, leads) in [
            ("/api/cameras?x=1", "/api/cameras?x=1"),
            ("", "/"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            ("https://evil.example", "/"),
            ("/a\r\nb", "/"),
            ("javascript:alert(1)", "/"),
        ] {
            assert_eq!(own(next), leads, "{next:?}");
        }
    }

    #[test]
    fn the_way_back_survives_the_form() {
        let asked: Uri = "/cameras/a?b=c&d=%22e".parse().unwrap();
        assert_eq!(address(&asked), "/login?next=%2Fcameras%2Fa%3Fb%3Dc%26d%3D%2522e");
        assert_eq!(address(&"/".parse().unwrap()), "/login");
        assert_eq!(escaped("\"><script>"), "&quot;&gt;&lt;script&gt;");
    }

    #[test]
    fn a_form_is_read_as_browsers_write_it() {
        let Query(form) = form_of(b"token=a%2Bb+c&next=%2F").unwrap();
        assert_eq!((form.token.as_str(), form.next.as_str()), ("a+b c", "/"));
        assert!(form_of(b"\xff").is_err());
    }
}
