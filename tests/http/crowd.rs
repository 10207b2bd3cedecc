//! Too many, too slow, too much.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::client::{Answer, Node, SECRET, until};

const ONE: &str = "  door: { source: \"synthetic:shapes?width=160&height=120\", model: shapes }\n";

/// A request that is let in, and whose body takes its time: the node works for it.
fn busy(node: &Node, token: &str) -> TcpStream {
    let mut stream = node.connect();
    let head = "POST /api/cameras/door/status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9";
    write!(stream, "{head}\r\nAuthorization: Bearer {token}\r\nExpect: 100-continue\r\n\r\n").unwrap();
    let mut answer = [0; 25];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

#[test]
fn when_all_are_at_work_one_more_is_told_so_and_the_next_free_place_is_given_away() {
    let node = Node::start(", max_connections: 20, max_streams: 0", ONE);
    let mut crowd: Vec<TcpStream> = (0..20).map(|_| busy(&node, "")).collect();
    Answer::read(&mut node.connect()).problem(503, "too_many_connections");
    crowd.truncate(15);
    until("there is room again", || node.get("/healthz", &[]).status == 200);
    for one in &mut crowd {
        write!(one, "         ").unwrap();
        let mut answer = [0; 12];
        one.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200", "nobody at work was sent away");
    }
}

#[test]
fn a_crowd_of_strangers_keeps_nobody_out() {
    let node = Node::start(", max_connections: 40, max_streams: 0, token_file: token", ONE);
    let bearer = format!("Bearer {SECRET}");
    let mut ours = busy(&node, SECRET);
    // Half say nothing, half begin a login and never end it.
    let mut crowd: Vec<TcpStream> = Vec::new();
    for n in 0..1000 {
        let mut one = node.connect();
        if n % 2 == 0 {
            let head = "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded";
            let _gone = write!(one, "{head}\r\nContent-Length: 1000\r\n\r\ntoken=");
        }
        crowd.push(one);
        if n % 100 == 99 {
            node.get("/api/cameras", &[("Authorization", &bearer)]).expect(200);
        }
    }
    write!(ours, "         ").unwrap();
    let mut answer = [0; 12];
    ours.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
}

#[test]
fn two_hundred_viewers_leave_room_for_everything_else() {
    let node = Node::start("", ONE);
    node.until_state("door", "running");
    let watch = || {
        let mut viewer = node.connect();
        write!(viewer, "GET /cameras/door/stream.mjpeg HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut head = [0; 12];
        viewer.read_exact(&mut head).unwrap();
        (viewer, head)
    };
    let mut viewers = Vec::new();
    for n in 0..200 {
        let (viewer, head) = watch();
        assert_eq!(&head, b"HTTP/1.1 200", "viewer {n}");
        viewers.push(viewer);
    }
    node.get("/cameras/door/stream.mjpeg", &[]).problem(503, "too_many_streams");
    for path in ["/healthz", "/metrics", "/api/cameras", "/"] {
        node.get(path, &[]).expect(200);
    }
    node.post("/api/cameras/door/pause", &[], b"").expect(200);
    viewers.truncate(190);
    until("a seat is free again", || &watch().1 == b"HTTP/1.1 200");
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
