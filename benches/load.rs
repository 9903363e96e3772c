//! Load over loopback: the service beside a bare actix-web hello, same generator, same run.
//!
//! `cargo bench --bench load` (`SECONDS=4 ROUNDS=3 CONNECTIONS=8`). Servers and generator share the
//! machine, so what counts is the ratio to hello; the processor time of the server for one request
//! (Linux) does not depend on what else the machine does. Prints a table in Markdown.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actix_web::{App, HttpResponse, HttpServer, web};

const NODE: &str = "/v1/graphs/critical-minerals/nodes/gallium.refine.CHN";
const IMPACTS: &str = "/v1/graphs/critical-minerals/impacts";

/// A server in a process of its own; stopped when dropped.
struct Process {
    child: Child,
    address: String,
    _data: Option<tempfile::TempDir>,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    fn hello() -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let mut command = Command::new(std::env::current_exe().unwrap());
        let child = command.env("LOAD_HELLO", &address).spawn().unwrap();
        Self { child, address, _data: None }.ready("/")
    }

    fn service() -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let data = tempfile::tempdir().unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_chokepoint"))
            .args(["serve", "--bind", &address, "--data-dir"])
            .arg(data.path())
            .env("CHOKEPOINT_LOG_FILTER", "warn")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, address, _data: Some(data) }.ready("/readyz")
    }

    fn ready(self, path: &str) -> Self {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            if let Ok(stream) = TcpStream::connect(&self.address)
                && (Connection { stream, seen: Vec::new() }).ask(&get(path)) == 200
            {
                return self;
            }
            assert!(Instant::now() < end, "not ready within a minute");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn connect(&self) -> Connection {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        Connection { stream, seen: Vec::new() }
    }

    /// User and system time so far, in microseconds (clock ticks of 10 ms).
    fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let Ok(stat) = stat else { return f64::NAN };
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) * 1e4
    }
}

/// A connection that is kept open.
struct Connection {
    stream: TcpStream,
    seen: Vec<u8>,
}

impl Connection {
    /// Sends a request, reads its whole answer and gives the status.
    fn ask(&mut self, request: &[u8]) -> u16 {
        self.stream.write_all(request).unwrap();
        self.seen.clear();
        let mut chunk = [0; 16 << 10];
        let mut whole = None;
        loop {
            let read = self.stream.read(&mut chunk).unwrap();
            if read == 0 {
                return 0;
            }
            self.seen.extend_from_slice(&chunk[..read]);
            if whole.is_none()
                && let Some(end) = memchr::memmem::find(&self.seen, b"\r\n\r\n")
            {
                let head = std::str::from_utf8(&self.seen[..end]).unwrap().to_ascii_lowercase();
                let length = head.split("content-length: ").nth(1).unwrap_or("0");
                whole = Some(end + 4 + length.lines().next().unwrap().parse::<usize>().unwrap());
            }
            if whole.is_some_and(|whole| self.seen.len() >= whole) {
                return std::str::from_utf8(&self.seen[9..12]).unwrap().parse().unwrap();
            }
        }
    }
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: load\r\n\r\n").into_bytes()
}

fn post(path: &str, kind: &str, extra: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: load\r\ncontent-type: {kind}\r\n{extra}\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// What a round saw.
#[derive(Default, Clone)]
struct Seen {
    per_second: f64,
    cpu: f64,
    /// Times of all requests in microseconds, ascending.
    times: Vec<u32>,
}

impl Seen {
    fn percentile(&self, share: f64) -> f64 {
        let place = (self.times.len() as f64 * share) as usize;
        self.times.get(place.min(self.times.len() - 1)).map_or(f64::NAN, |&us| us as f64 / 1e3)
    }
}

/// Asks over `connections` connections at once for a while; `request` makes the request of a number.
fn load(
    server: &Process,
    connections: usize,
    time: Duration,
    request: impl Fn(u64) -> Vec<u8> + Sync,
) -> Seen {
    let number = AtomicU64::new(0);
    let (start, before) = (Instant::now(), server.cpu());
    let mut times: Vec<u32> = std::thread::scope(|scope| {
        let ask = || {
            let (mut connection, mut times) = (server.connect(), Vec::new());
            while start.elapsed() < time {
                let request = request(number.fetch_add(1, Ordering::Relaxed));
                let sent = Instant::now();
                assert_eq!(connection.ask(&request), 200);
                times.push(sent.elapsed().as_micros() as u32);
            }
            times
        };
        let threads: Vec<_> = (0..connections).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let took = start.elapsed().as_secs_f64();
    let asked = times.len() as f64;
    times.sort_unstable();
    Seen { per_second: asked / took, cpu: (server.cpu() - before) / asked, times }
}

/// The flagship with one figure changed, so that no two questions are the same.
fn fresh(number: u64) -> String {
    let loss = 1.0 - (number + 1) as f64 * 1e-7;
    format!(
        r#"{{"scenario":"china-refining-stops",
            "shocks":[{{"select":{{"country":"CHN","stage":"refine"}},"loss":{loss}}}]}}"#
    )
}

/// Keeps two cores busy until told to stop: knock-outs as jobs, and imports one after the other.
fn heavy(server: &Process, done: &AtomicBool, jobs: &AtomicU64, imports: &AtomicU64) {
    let network = common::supply(20_000, 100_000, 7);
    let mut lines = String::new();
    for v in 0..network.n {
        lines += &format!("{{\"type\":\"node\",\"id\":\"n{v}\"}}\n");
    }
    for (from, to, quantity) in &network.links {
        lines += &format!(
            "{{\"type\":\"flow\",\"from\":\"n{from}\",\"to\":\"n{to}\",\"quantity\":{quantity}}}\n"
        );
    }
    let new = b"PUT /v1/graphs/big HTTP/1.1\r\nhost: load\r\n\
        content-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    assert_eq!(server.connect().ask(new), 201);
    let import = post("/v1/graphs/big/imports?mode=replace", "application/x-ndjson", "", &lines);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut connection = server.connect();
            while !done.load(Ordering::Relaxed) {
                assert_eq!(connection.ask(&import), 200);
                imports.fetch_add(1, Ordering::Relaxed);
            }
        });
        let mut connection = server.connect();
        while !done.load(Ordering::Relaxed) {
            if imports.load(Ordering::Relaxed) > 0 {
                let body = r#"{"units":{"each":"node"},"top":10}"#;
                let ask = post(
                    "/v1/graphs/big/knock-outs",
                    "application/json",
                    "prefer: respond-async\r\n",
                    body,
                );
                if connection.ask(&ask) == 202 {
                    jobs.fetch_add(1, Ordering::Relaxed);
                }
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    });
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn main() {
    if let Ok(address) = std::env::var("LOAD_HELLO") {
        let hello = || async { HttpResponse::Ok().body("hello world") };
        let app = move || App::new().route("/", web::get().to(hello));
        let server = HttpServer::new(app).bind(address).unwrap();
        return actix_web::rt::System::new().block_on(server.run()).unwrap();
    }
    let time = Duration::from_secs(setting("SECONDS", 4));
    let rounds = setting("ROUNDS", 3);
    let connections = setting("CONNECTIONS", 8) as usize;
    let (hello, service) = (Process::hello(), Process::service());
    let flagship = post(IMPACTS, "application/json", "", r#"{"scenario":"china-refining-stops"}"#);
    let next = AtomicU64::new(0);
    let mut best = vec![Seen::default(); 4];
    for _ in 0..rounds {
        let seen = [
            load(&hello, connections, time, |_| get("/")),
            load(&service, connections, time, |_| get(NODE)),
            load(&service, connections, time, |_| flagship.clone()),
            load(&service, connections, time, |_| {
                let number = next.fetch_add(1, Ordering::Relaxed);
                post(IMPACTS, "application/json", "", &fresh(number))
            }),
        ];
        for (best, seen) in best.iter_mut().zip(seen) {
            if seen.per_second > best.per_second {
                *best = seen;
            }
        }
    }
    println!(
        "| {connections} connections | req/s | of hello | server µs/req | of hello | p50 ms | p99 ms |"
    );
    println!("|---|---|---|---|---|---|---|");
    let base = best[0].clone();
    let names = ["bare actix-web hello", "GET node", "flagship, asked before", "flagship, new"];
    for (name, seen) in names.iter().zip(&best) {
        println!(
            "| {name} | {:.0} | {:.0} % | {:.1} | {:.0} % | {:.2} | {:.2} |",
            seen.per_second,
            100.0 * seen.per_second / base.per_second,
            seen.cpu,
            100.0 * base.cpu / seen.cpu,
            seen.percentile(0.5),
            seen.percentile(0.99)
        );
    }

    println!(
        "\n| small reads, one at a time | p50 ms | p99 ms | p99.9 ms | most ms |\n|---|---|---|---|---|"
    );
    let row = |name: &str, seen: &Seen| {
        println!(
            "| {name} | {:.2} | {:.2} | {:.2} | {:.2} |",
            seen.percentile(0.5),
            seen.percentile(0.99),
            seen.percentile(0.999),
            seen.percentile(1.0)
        );
    };
    let paced = |server: &Process, path: &str| {
        load(server, 1, time * 3, |_| {
            std::thread::sleep(Duration::from_millis(2));
            get(path)
        })
    };
    row("hello, service idle", &paced(&hello, "/"));
    row("node, service idle", &paced(&service, NODE));
    let (done, jobs, imports) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| heavy(&service, &done, &jobs, &imports));
        while jobs.load(Ordering::Relaxed) == 0 {
            std::thread::sleep(Duration::from_millis(50));
        }
        row("hello, while jobs and imports run", &paced(&hello, "/"));
        row("node, while jobs and imports run", &paced(&service, NODE));
        done.store(true, Ordering::Relaxed);
    });
    println!(
        "\n{} jobs and {} imports of 20,000 nodes and 100,000 flows meanwhile",
        jobs.load(Ordering::Relaxed),
        imports.load(Ordering::Relaxed)
    );
}
