//! A server of its own for a test: the real binary, a free port, a temporary directory.

#![allow(dead_code, clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use ureq::http::Response;

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    /// Its address, such as `http://127.0.0.1:4711`.
    pub base: String,
    agent: ureq::Agent,
}

/// Status, headers and body of an answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    pub text: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    /// Checks the status and gives the body.
    pub fn ok(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json()
    }

    /// Checks that this is a complete problem of the status and code.
    pub fn problem(self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["request_id"], self.header("x-request-id"), "{problem}");
        for field in ["type", "title", "detail"] {
            assert!(problem[field].as_str().is_some_and(|t| !t.is_empty()), "{field}: {problem}");
        }
        problem
    }
}

impl Server {
    /// Starts a server over a data directory and waits until it is ready.
    pub fn start(data: &Path, flags: &[&str]) -> Self {
        let server = Self::spawn(data, flags);
        let end = Instant::now() + Duration::from_secs(60);
        while server.get("/readyz").status != 200 {
            assert!(Instant::now() < end, "not ready within a minute");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// Starts a server without waiting until it is ready.
    pub fn spawn(data: &Path, flags: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_chokepoint"))
            .args(["serve", "--bind", "127.0.0.1:0", "--data-dir"])
            .arg(data)
            .args(flags)
            .env("CHOKEPOINT_LOG_FILTER", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut first).unwrap();
        // The rest is read and dropped, so that the server never waits for its reader.
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        let base = first.trim().rsplit(' ').next().unwrap().to_owned();
        assert!(base.contains("://127.0.0.1:"), "{first}");
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .into();
        Self { child, base, agent }
    }

    /// Sends SIGTERM and gives the exit code.
    pub fn terminate(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }

    /// Stops it without warning.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn get(&self, path: &str) -> Reply {
        self.get_with(path, &[])
    }

    pub fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        reply(request.call().unwrap())
    }

    /// The body of an answer as it came.
    pub fn bytes(&self, path: &str) -> Vec<u8> {
        self.bytes_with(path, &[])
    }

    /// The body of an answer as it came, with headers in the request.
    pub fn bytes_with(&self, path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = request.call().unwrap();
        assert_eq!(response.status(), 200, "{path}");
        response.body_mut().with_config().limit(1 << 30).read_to_vec().unwrap()
    }

    pub fn delete(&self, path: &str) -> Reply {
        self.delete_with(path, &[])
    }

    pub fn delete_with(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        let mut request = self.agent.delete(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        reply(request.call().unwrap())
    }

    /// Sends a body of a content type.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let url = format!("{}{path}", self.base);
        let mut request = if method == "PUT" { self.agent.put(url) } else { self.agent.post(url) };
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        reply(request.send(body).unwrap())
    }

    pub fn post(&self, path: &str, body: &Value) -> Reply {
        let json = [("content-type", "application/json")];
        self.send("POST", path, &json, body.to_string().as_bytes())
    }

    pub fn put(&self, path: &str, body: &Value) -> Reply {
        let json = [("content-type", "application/json")];
        self.send("PUT", path, &json, body.to_string().as_bytes())
    }

    /// A connection for requests that no client would send.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.base.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(8))).unwrap();
        stream
    }

    /// Sends bytes as they are and gives what comes back first.
    pub fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        let mut answer = vec![0; 64 << 10];
        let read = stream.read(&mut answer).unwrap_or(0);
        String::from_utf8_lossy(&answer[..read]).into_owned()
    }

    /// Waits until a job has ended.
    pub fn end_of_job(&self, job: &Value) -> Value {
        let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
        let late = Instant::now() + Duration::from_secs(600);
        loop {
            let job = self.get(&path).ok(200);
            if !matches!(job["state"].as_str(), Some("queued" | "running")) {
                return job;
            }
            assert!(Instant::now() < late, "{job}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn import(&self, graph: &str, query: &str, lines: &str) -> Reply {
        let ndjson = [("content-type", "application/x-ndjson")];
        let path = format!("/v1/graphs/{graph}/imports{query}");
        self.send("POST", &path, &ndjson, lines.as_bytes())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn reply(response: Response<ureq::Body>) -> Reply {
    let (head, mut body) = response.into_parts();
    let text = body.with_config().limit(1 << 30).read_to_vec().unwrap();
    Reply {
        status: head.status.as_u16(),
        headers: head.headers,
        text: String::from_utf8_lossy(&text).into_owned(),
    }
}
