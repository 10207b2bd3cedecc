//! The live page's own files, compiled in. Nothing of it comes from anywhere else.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, LazyLock};

use axum::Extension;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::gate::Gate;
use super::problem::Problem;
use super::table::{Answer, Operation};

/// A file of the page.
#[derive(Clone, Copy)]
struct Asset {
    path: &'static str,
    kind: &'static str,
    body: &'static [u8],
}

macro_rules! assets {
    ($($kind:literal: $($file:literal)+;)+) => {
        &[Asset { path: "/", kind: "text/html; charset=utf-8", body: include_bytes!("page/index.html") },
          $($(Asset { path: concat!("/page/", $file), kind: $kind, body: include_bytes!(concat!("page/", $file)) }),+),+]
    };
}

const ASSETS: &[Asset] = assets! {
    "text/css; charset=utf-8": "base.css" "grid.css" "opened.css";
    "text/javascript; charset=utf-8": "main.js" "api.js" "feed.js" "store.js" "dom.js" "words.js" "header.js" "grid.js" "thumbs.js"
        "opened.js" "controls.js" "player.js" "whep.js" "hls.js" "mjpeg.js" "chart.js" "charts.js" "events.js";
    "image/svg+xml": "icon.svg";
};

/// The page for who had to log in: with a way out.
static BEHIND_TOKEN: LazyLock<String> = LazyLock::new(|| {
    String::from_utf8_lossy(ASSETS[0].body).replace(r#"action="/logout" hidden>"#, r#"action="/logout">"#)
});

/// One for all: they change together, with the program.
static VERSION: LazyLock<u64> = LazyLock::new(|| {
    let mut hasher = DefaultHasher::new();
    for asset in ASSETS {
        asset.body.hash(&mut hasher);
    }
    hasher.finish()
});

pub fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/", "page", "The live page", get(page)).tag("live").answer(Answer::page()),
        Operation::get("/page/{file}", "pageFile", "A file of the live page", get(file))
            .tag("live")
            .answer(Answer::media("*/*").says("A style, a script or a picture"))
            .problem(404, "No such file"),
    ]
}

async fn page(Extension(gate): Extension<Arc<Gate>>, headers: HeaderMap) -> Response {
    let body = if gate.asks_for_token() { BEHIND_TOKEN.as_bytes() } else { ASSETS[0].body };
    Asset { body, ..ASSETS[0] }.respond(&headers)
}

async fn file(headers: HeaderMap, Path(name): Path<String>) -> Result<Response, Problem> {
    let found = ASSETS.iter().find(|asset| asset.path.strip_prefix("/page/") == Some(&name));
    found
        .map(|asset| asset.respond(&headers))
        .ok_or_else(|| Problem::missing("not_found", "the live page has no such file"))
}

impl Asset {
    /// With its length: the page behind a token is another one.
    fn tag(&self) -> String {
        format!("\"{:016x}-{:x}\"", *VERSION, self.body.len())
    }

    fn respond(&self, headers: &HeaderMap) -> Response {
        // Asked for each time, answered by a few bytes: a new program never runs with an old page.
        let tag = self.tag();
        let common = [(header::ETAG, tag.clone()), (header::CACHE_CONTROL, "no-cache".to_owned())];
        if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
            return (StatusCode::NOT_MODIFIED, common).into_response();
        }
        (common, [(header::CONTENT_TYPE, self.kind)], self.body).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_page_is_under_300_kilobytes() {
        let bytes: usize = ASSETS.iter().map(|asset| asset.body.len()).sum();
        assert!(bytes < 300_000, "{bytes} bytes");
    }

    #[test]
    fn every_file_of_the_page_is_served_and_used() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/page");
        let all: String = ASSETS.iter().map(|asset| String::from_utf8_lossy(asset.body)).collect();
        for entry in std::fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let served = name == "index.html" || ASSETS.iter().any(|asset| asset.path == format!("/page/{name}"));
            assert!(served, "{name} is not served");
            assert!(name == "index.html" || all.contains(&name), "{name} is named nowhere in the page");
        }
    }

    #[test]
    fn the_page_names_no_outside_address() {
        for asset in ASSETS {
            let text = String::from_utf8_lossy(asset.body).replace("http://www.w3.org/", "");
            assert!(!text.contains("http://") && !text.contains("https://"), "{}", asset.path);
        }
    }

    #[test]
    fn only_the_page_behind_a_token_offers_a_way_out() {
        let open = String::from_utf8_lossy(ASSETS[0].body);
        assert!(open.contains(r#"action="/logout" hidden>"#) && !BEHIND_TOKEN.contains(r#"action="/logout" hidden>"#));
        assert!(BEHIND_TOKEN.contains(r#"action="/logout">"#));
        let behind = Asset { body: BEHIND_TOKEN.as_bytes(), ..ASSETS[0] };
        assert_ne!(behind.tag(), ASSETS[0].tag(), "a browser that has the one has not the other");
    }

    #[test]
    fn a_browser_that_has_it_is_sent_nothing() {
        let mut headers = HeaderMap::new();
        assert_eq!(ASSETS[0].respond(&headers).status(), StatusCode::OK);
        headers.insert(header::IF_NONE_MATCH, ASSETS[0].tag().try_into().unwrap());
        assert_eq!(ASSETS[0].respond(&headers).status(), StatusCode::NOT_MODIFIED);
        headers.insert(header::IF_NONE_MATCH, "\"old\"".parse().unwrap());
        assert_eq!(ASSETS[0].respond(&headers).status(), StatusCode::OK);
    }
}
