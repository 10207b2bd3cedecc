//! Requests that no honest client sends.

use std::io::{Read, Write};

use crate::client::{Answer, Node, SECRET};

const TWO: &str = "  door: { source: \"synthetic:shapes?width=160&height=120\", model: shapes }\n  \
                   canvas: { source: \"push:\", model: shapes }\n";

/// These bytes, then all that comes back.
fn raw(node: &Node, bytes: &str) -> Answer {
    let mut stream = node.connect();
    stream.write_all(bytes.as_bytes()).unwrap();
    Answer::read(&mut stream)
}

#[test]
fn a_bent_name_does_not_get_in_however_it_is_written() {
    let node = Node::start("", TWO);
    let status = |line: &str, host: &str| raw(&node, &format!("{line}\r\n{host}Connection: close\r\n\r\n")).status;
    for (line, host, expected) in [
        ("GET /api/node HTTP/1.1", "Host: LOCALHOST.:8720\r\n", 200),
        ("GET http://localhost/api/node HTTP/1.1", "Host: localhost\r\n", 200),
        ("GET /api/node HTTP/1.1", "Host: EVIL.Example.:80\r\n", 421),
        ("GET http://evil.example/api/node HTTP/1.1", "Host: localhost\r\n", 421),
        ("GET http://localhost/api/node HTTP/1.1", "Host: evil.example\r\n", 421),
        ("GET /api/node HTTP/1.1", "Host: 2130706433\r\n", 421),
        ("GET /api/node HTTP/1.1", "Host: 0x7f.1\r\n", 421),
        ("CONNECT evil.example:80 HTTP/1.1", "Host: localhost\r\n", 421),
        ("GET /api/node HTTP/1.1", "Host: evil@localhost\r\n", 400),
        ("GET http://evil@localhost/api/node HTTP/1.1", "Host: localhost\r\n", 400),
        ("GET /api/node HTTP/1.1", "Host: localhost/evil\r\n", 400),
        ("GET /api/node HTTP/1.1", "Host: localhost\r\nHost: localhost\r\n", 400),
        ("GET /api/node HTTP/1.0", "", 400),
    ] {
        assert_eq!(status(line, host), expected, "{line} {host}");
    }
}

#[test]
fn no_path_leads_out_and_no_method_leads_astray() {
    let node = Node::start("", TWO);
    for path in [
        "/page/..%2f..%2fCargo.toml",
        "/page/../page/main.js",
        "/cameras/door/hls/..%2f..%2fetc%2fpasswd",
        "/cameras/%00/frame.jpg",
        "/cameras/a%0d%0aX-Evil:%20b/frame.jpg",
        "/api/events/..%2f..%2fx/picture.jpg",
        "//api/node",
        "/%68ealthz%2f",
    ] {
        node.get(path, &[]).expect(404);
    }
    for (line, status) in [("CONNECT localhost:80", 404), ("OPTIONS *", 404), ("TRACE /", 405), ("BREW /", 405)] {
        let answer =
            raw(&node, &format!("{line} HTTP/1.1\r\nHost: localhost\r\nX-Echo: me\r\nConnection: close\r\n\r\n"));
        assert_eq!(answer.status, status, "{line}");
        assert!(!answer.text().contains("X-Echo"), "{line} says back what was sent");
    }
    for (path, status) in [("/", 200), ("/metrics", 200), ("/cameras/door/stream.mjpeg", 200), ("/nowhere", 404)] {
        let answer = node.send("HEAD", path, &[], b"").expect(status);
        assert!(answer.body.is_empty(), "{path}");
    }
    assert!(!node.log().contains("panic"), "{}", node.log());
}

#[test]
fn no_second_request_hides_in_the_body_of_the_first() {
    let node = Node::start("", TWO);
    let hidden = "POST /api/cameras/door/stop HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
    for head in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: identity\r\nContent-Length: 5",
        "Content-Length: 5, 5",
        "Content-Length: +5",
        "Content-Length : 5",
        "Content-Length: 5\r\n Transfer-Encoding: chunked",
        "X: a\rTransfer-Encoding: chunked",
    ] {
        let answer = raw(
            &node,
            &format!("POST /api/cameras/door/status HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n0\r\n\r\n{hidden}"),
        );
        assert!(!answer.text().contains("HTTP/1.1"), "{head:?} was answered twice: {}", answer.text());
        assert_eq!(node.camera("door")["desired"], "running", "{head:?}");
    }
}

#[test]
fn what_a_node_is_offered_for_webrtc_is_looked_at_like_everything_else() {
    let node = Node::start(", token_file: token", TWO);
    let bearer = format!("Bearer {SECRET}");
    let (ours, sdp, evil) =
        (("Authorization", bearer.as_str()), ("Content-Type", "application/sdp"), ("Origin", "http://evil.example"));
    let (offer, session) = ("/cameras/canvas/whep", "/cameras/canvas/whep/x");
    for (method, path) in [("OPTIONS", offer), ("POST", offer), ("PATCH", session), ("DELETE", session)] {
        node.send(method, path, &[], b"").problem(401, "token_needed");
        let answer = node.send(method, path, &[ours, evil, ("Access-Control-Request-Method", "POST")], b"");
        assert!(!answer.headers.keys().any(|name| name.starts_with("access-control")), "{:?}", answer.headers);
        answer.problem(403, "cross_site");
    }
    assert_eq!(node.send("OPTIONS", offer, &[ours], b"").expect(204).header("accept-post"), "application/sdp");
    node.post(offer, &[ours, sdp], &vec![b'v'; 70_000]).problem(413, "too_large");
    node.post(offer, &[ours, sdp], b"\xff\xfe").problem(400, "malformed");
    node.post(offer, &[ours, sdp], b"v=0\r\n").expect(400);
    node.post(offer, &[ours], b"v=0\r\n").expect(415);
    node.post("/cameras/nobody/whep", &[ours, sdp], b"v=0\r\n").problem(404, "unknown_camera");
    node.send("OPTIONS", "/cameras/nobody/whep", &[ours], b"").problem(404, "unknown_camera");
    assert!(!node.log().contains("panic"), "{}", node.log());
}

#[test]
fn a_socket_of_another_site_is_not_opened_and_one_that_talks_too_much_is_closed() {
    let node = Node::start("", TWO);
    let shake = "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    for origin in ["http://evil.example", "null", "http://localhost:1", "https://localhost.evil.example"] {
        assert_eq!(raw(&node, &format!("{shake}Origin: {origin}\r\n\r\n")).status, 403, "{origin}");
    }
    let mut stream = node.connect();
    write!(stream, "{shake}Origin: http://localhost\r\n\r\n").unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 101");
    // A frame that claims 2^62 bytes.
    stream.write_all(&[0x82, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]).unwrap();
    // It ends by the server's hand, whatever came before: snapshot, messages.
    let _closed = stream.read_to_end(&mut Vec::new()).map_err(|e| {
        assert_eq!(e.kind(), std::io::ErrorKind::ConnectionReset, "the server did not close it");
    });
}
