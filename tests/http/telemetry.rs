//! Spans for a collector: what is left is sent before the server ends.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::support::Server;

/// A collector that takes what it is sent: heads and bodies, in order.
fn collector() -> (String, Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (seen, received) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let mut bytes = Vec::new();
            let mut chunk = [0; 4096];
            let (head, length) = loop {
                let read = stream.read(&mut chunk).unwrap_or(0);
                bytes.extend_from_slice(&chunk[..read]);
                if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
                    let body = bytes.split_off(end + 4);
                    let head = String::from_utf8_lossy(&bytes).to_lowercase();
                    bytes = body;
                    let length = head.split("content-length: ").nth(1).unwrap();
                    let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
                    break (head, length);
                }
                assert!(read > 0, "no request came");
            };
            while bytes.len() < length {
                let read = stream.read(&mut chunk).unwrap();
                bytes.extend_from_slice(&chunk[..read]);
            }
            let done = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            stream.write_all(done.as_bytes()).unwrap();
            if seen.send((head, bytes)).is_err() {
                return;
            }
        }
    });
    (address, received)
}

#[test]
fn the_last_spans_reach_the_collector() {
    let (address, received) = collector();
    let dir = tempfile::tempdir().unwrap();
    let setting = format!("otlp_endpoint={address}");
    let server = Server::start(dir.path(), &["--no-seed", "--set", &setting]);
    server.get("/v1/graphs/absent/nodes/a").problem(404, "not_found");
    assert_eq!(server.terminate(), Some(0));
    let mut names = Vec::new();
    while let Ok((head, body)) = received.recv_timeout(Duration::from_secs(10)) {
        assert!(head.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
        assert!(head.contains("content-type: application/x-protobuf"), "{head}");
        names.push(String::from_utf8_lossy(&body).into_owned());
        if names.iter().any(|n| n.contains("/v1/graphs/{g}/nodes/{id}")) {
            return;
        }
    }
    panic!("the span did not come: {names:?}");
}
