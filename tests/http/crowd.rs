//! Too many, too slow, too much.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::client::{Answer, Node, until};

const ONE: &str = "  door: { source: \"synthetic:shapes?width=160&height=120\", model: shapes }\n";

#[test]
fn one_connection_too_many_is_told_so_and_the_next_free_place_is_given_away() {
    let node = Node::start(", max_connections: 300, max_streams: 0", ONE);
    let mut crowd: Vec<TcpStream> = (0..300).map(|_| node.connect()).collect();
    // Each is served, so each has its place.
    for one in &mut crowd {
        write!(one, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = [0; 12];
        one.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
    }
    Answer::read(&mut node.connect()).problem(503, "too_many_connections");
    crowd.truncate(290);
    until("there is room again", || node.get("/healthz", &[]).status == 200);
    drop(crowd);
    node.get("/api/cameras", &[]).expect(200);
}

#[test]
fn who_sends_slowly_is_not_waited_for() {
    let node = Node::start("", ONE);
    let begun = Instant::now();
    let mut head = node.connect();
    write!(head, "GET /api/cameras HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").unwrap();
    let mut silent = node.connect();
    let mut body = node.connect();
    write!(
        body,
        "POST /api/cameras/door/stop HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
    )
    .unwrap();
    // A byte now and then keeps nobody's place.
    while begun.elapsed() < Duration::from_secs(13) {
        let _gone = head.write_all(b"a").and_then(|()| body.write_all(b" "));
        std::thread::sleep(Duration::from_millis(500));
    }
    Answer::read(&mut body).problem(408, "timeout");
    for stream in [&mut head, &mut silent] {
        let answer = Answer::read(stream);
        assert!(matches!(answer.status, 0 | 408), "closed: {}", answer.status);
    }
    assert!(begun.elapsed() < crate::common::PATIENCE, "closed by the server, not by our own patience");
    assert_eq!(node.camera("door")["desired"], "running");
}

#[test]
fn what_is_too_large_is_refused_before_it_is_sent() {
    let node = Node::start("", ONE);
    let mut stream = node.connect();
    write!(stream, "POST /api/cameras/door/stop HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999999\r\n\r\n")
        .unwrap();
    Answer::read(&mut stream).problem(413, "too_large");
    let mut endless = node.connect();
    write!(endless, "POST /api/cameras/door/stop HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        .unwrap();
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(4096));
    while endless.write_all(chunk.as_bytes()).is_ok() {}
    // Two lengths, a length and chunks: the usual ways to smuggle a request in.
    for smuggled in ["Content-Length: 1\r\nContent-Length: 2", "Content-Length: x"] {
        let mut stream = node.connect();
        write!(stream, "POST /api/cameras/door/stop HTTP/1.1\r\nHost: localhost\r\n{smuggled}\r\n\r\nxx").unwrap();
        assert_eq!(Answer::read(&mut stream).status, 400, "{smuggled}");
    }
    assert_eq!(node.camera("door")["desired"], "running");
}
