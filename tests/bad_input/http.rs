//! Whoever knocks at the page's door with something else.

use crate::program::{Folder, decent, get, request, small};

#[test]
fn strange_requests_are_answered_and_kill_nothing() {
    let folder = Folder::new();
    let mut node = folder.node(&small(&folder, ""));
    for path in
        ["/nowhere", "/api", "/api/cameras/nobody", "/cameras/nobody/keyframe.jpg", "/../../etc/passwd", "/%2e%2e/"]
    {
        let (status, body) = request(&node.http, &get(path));
        assert_eq!(status, 404, "{path}: {body}");
        assert!(body.contains("\"detail\""), "{path}: says why: {body}");
    }
    assert_eq!(request(&node.http, &get("/cameras/%ff/keyframe.jpg")).0, 400);
    for path in ["/", "/api/cameras", "/api/cameras/good", "/metrics", "/healthz"] {
        let post =
            format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 4\r\n\r\nstop");
        assert_eq!(request(&node.http, &post).0, 405, "{path}");
    }
    let long = "a".repeat(1 << 20);
    let refused = |status: u16| status == 0 || (400..500).contains(&status);
    assert!(refused(request(&node.http, &get(&format!("/{long}"))).0));
    assert!(refused(request(&node.http, &format!("GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: {long}\r\n\r\n")).0));
    assert!(refused(request(&node.http, "\u{1}\u{2} nonsense\r\n\r\n").0));
    assert_eq!(request(&node.http, &get("/healthz")), (200, "ok\n".into()));
    node.goes_on("good");
    node.end();
}

#[test]
fn limits_and_names_that_cannot_be_are_refused() {
    let folder = Folder::new();
    let config = small(&folder, "");
    for (keys, says) in [
        ("hosts: [\"https://garage.local\"]", "without scheme"),
        ("hosts: [\"garage.local:8720\"]", "without scheme"),
        ("session: 0s", "lasts no time"),
        ("max_connections: 100, max_streams: 93", "fewer than 8"),
        ("max_connections: 7", "max_connections"),
        ("max_frame: 1GiB", "256MiB"),
        ("max_frame: 0B", "256MiB"),
    ] {
        let config = config.replace("127.0.0.1:0", &format!("\"127.0.0.1:0\", {keys}"));
        folder.with(&config, &["check", "--offline"]).fails(2, &["http", says]);
    }
}

#[test]
fn without_the_token_nothing_but_health_is_answered() {
    let folder = Folder::new();
    let config = small(&folder, "");
    folder.with(&config.replace("127.0.0.1:0", "0.0.0.0:0"), &["run"]).fails(2, &["http.listen", "token_file"]);
    let with_token = config.replace("127.0.0.1:0", "127.0.0.1:0, token_file: token");
    folder.with(&with_token, &["run"]).fails(2, &["http.token_file", "there is no file"]);
    for (token, says) in [("short\n", "16 characters"), ("", "16 characters"), ("gehäim gehäim gehäim", "ASCII")] {
        folder.write("token", token);
        folder.with(&with_token, &["run"]).fails(2, &["http.token_file", says]);
        folder.with(&with_token, &["check", "--offline"]).fails(2, &["http.token_file", says]);
    }
    folder.with(&with_token.replace(": token", ": ."), &["run"]).fails(2, &["http.token_file", "folder"]);

    folder.write("token", "geheim-geheim-geheim\n");
    let node = folder.node(&with_token);
    let ask = |path: &str, token: &str| {
        request(
            &node.http,
            &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: {token}\r\n\r\n"),
        )
    };
    for path in ["/", "/api/cameras", "/metrics", "/nowhere"] {
        let (status, body) = request(&node.http, &get(path));
        decent(&body);
        assert_eq!(status, 401, "{path}");
    }
    // Fewer wrong ones than make an address wait.
    for path in ["/", "/api/cameras", "/metrics"] {
        for wrong in ["Bearer geheim", "Bearer ", "Basic Z2VoZWlt", "geheim-geheim-geheim"] {
            assert_eq!(ask(path, wrong).0, 401, "{path} with {wrong}");
        }
    }
    assert_eq!(ask("/api/cameras", "Bearer geheim-geheim-geheim").0, 200);
    assert_eq!(request(&node.http, &get("/healthz")).0, 200);
    decent(&node.log());
}
