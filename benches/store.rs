//! The store beside SQLite, and small writes of a large graph until readers see them.
//!
//! `cargo bench --bench store [--features bench-sqlite] -- [NODES FLOWS]`; without numbers 100 000
//! nodes and 500 000 flows. SQLite holds the same records in two tables (WAL, synchronous=FULL:
//! a commit is on disk when it returns, as here).
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints and may panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use chokepoint::model::change::{FlowKey, RecordKey};
use chokepoint::model::{
    Change, FlowRecord, GraphSettings, Network, NetworkBuilder, NodeRecord, Retention,
};
use chokepoint::service::graphs::WriteContext;
use chokepoint::service::writer::Write;
use chokepoint::service::{Service, ServiceOptions};
use chokepoint::store::{CommitMeta, Store, StoreOptions};

/// Rounds of full replacement whose disk space is measured.
const REPLACEMENTS: u64 = 10;
/// Single commits timed.
const COMMITS: usize = 300;
/// Concurrent writers.
const WRITERS: usize = 16;

fn main() {
    // `cargo test --benches` and `cargo bench` pass flags of the test harness.
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let (n, m) = match numbers[..] {
        [n, m] => (n, m),
        _ => (100_000, 500_000),
    };
    println!("{n} nodes, {m} flows");
    let network = network(n, m);
    println!("rss with the network {} MiB", memory("VmRSS"));
    let ours = store(&network);
    #[cfg(feature = "bench-sqlite")]
    {
        let theirs = sqlite::run(&network);
        for ((what, a), (_, b)) in ours.iter().zip(&theirs) {
            println!("{what}: {a:.4} s, SQLite {b:.4} s, ratio {:.2}", a / b);
        }
    }
    #[cfg(feature = "bench-sqlite")]
    println!("SQLite, {WRITERS} writers: {:.0} commits a second", sqlite::writers(&network));
    #[cfg(not(feature = "bench-sqlite"))]
    for (what, seconds) in &ours {
        println!("{what}: {seconds:.4} s (SQLite beside it: --features bench-sqlite)");
    }
    service(network, n);
}

/// A random network.
fn network(n: u64, m: u64) -> Network {
    let mut builder = NetworkBuilder::new();
    for i in 0..n {
        let stage = Some(format!("tier{}", i % 6));
        let node = NodeRecord { stage, ..NodeRecord::new(format!("n{i}")) };
        builder.add_node(&node, i as usize).unwrap();
    }
    let mut random = random(1);
    for row in 0..m {
        let (from, to) = (format!("n{}", random(n)), format!("n{}", random(n)));
        let quantity = (1 + random(1000)) as f64;
        builder.add_flow(&FlowRecord::new(from, to, quantity), row as usize);
    }
    builder.finish().unwrap()
}

fn random(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed;
    move |below| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    }
}

/// Bulk load and commits: what is compared with SQLite, in seconds.
fn store(network: &Network) -> Vec<(&'static str, f64)> {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), StoreOptions::default()).unwrap();
    let retention = Retention { last: Some(1), ..Retention::default() };
    let settings = GraphSettings { retention, ..GraphSettings::default() };
    store.create("g", &settings, 0).unwrap();
    let started = Instant::now();
    let mut version = store.replace("g", 0, network, CommitMeta::default()).unwrap().version;
    let load = started.elapsed().as_secs_f64();
    let live = store.disk_bytes().unwrap();
    println!("disk after the load {} MiB", live >> 20);

    let changes: [Change; 1] = [FlowRecord::new("n1", "n2", 5.0).into()];
    let next = network.apply(&changes).unwrap();
    let mut times = Vec::new();
    for _ in 0..COMMITS {
        let started = Instant::now();
        store.commit("g", version, &changes, &next, CommitMeta::default()).unwrap();
        version += 1;
        times.push(started.elapsed().as_secs_f64());
    }
    let median = quantile(&mut times, 0.5);
    drop(store);
    let started = Instant::now();
    let store = Store::open(dir.path(), StoreOptions::default()).unwrap();
    let (loaded, _) = store.load("g", None).unwrap();
    println!(
        "open and load {:.2} s, {COMMITS} commits in the log",
        started.elapsed().as_secs_f64()
    );
    drop(loaded);
    let started = Instant::now();
    store.fork("f", &GraphSettings::default(), "g", None, 0).unwrap();
    println!("fork {:.4} s", started.elapsed().as_secs_f64());
    store.delete("f").unwrap();
    let started = Instant::now();
    store.compact_from("g", version, &next).unwrap();
    println!("compact {:.2} s", started.elapsed().as_secs_f64());
    for round in 1..=REPLACEMENTS {
        store.replace("g", version, network, CommitMeta::default()).unwrap();
        version += 1;
        if round == REPLACEMENTS {
            let disk = store.disk_bytes().unwrap();
            println!(
                "disk after {round} replacements {} MiB, {:.2} of the live data",
                disk >> 20,
                disk as f64 / live as f64
            );
        }
    }
    vec![("bulk load", load), ("single commit, median", median)]
}

/// Writes through the service: durable and visible when they return.
fn service(network: Network, n: u64) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), StoreOptions::default()).unwrap();
    let service = Service::new(store, &ServiceOptions::default()).unwrap();
    let context = WriteContext::default;
    service.write_blocking("g", context(), Write::Create(GraphSettings::default())).unwrap();
    service.write_blocking("g", context(), Write::Replace(Box::new(network))).unwrap();
    println!("rss with a snapshot {} MiB", memory("VmRSS"));
    let write = |changes: Vec<Change>| {
        let started = Instant::now();
        let done = service.write_blocking("g", context(), Write::Changes(changes)).unwrap();
        let seen = service.catalogue.in_memory("g", None).unwrap().unwrap();
        assert_eq!(seen.info().version, done.head.version);
        started.elapsed().as_secs_f64()
    };
    let mut random = random(7);
    let timed = |what: &str, held: bool, mut change: Box<dyn FnMut(u64) -> Change + '_>| {
        let mut times = Vec::new();
        let mut reader = None;
        for i in 0..40 {
            if held {
                // An analysis that began just before the write, and goes on.
                reader = service.catalogue.in_memory("g", None).unwrap();
            }
            times.push(write(vec![change(i)]));
            if i == 0 {
                println!("{what}: first {:.1} ms", times[0] * 1e3);
            }
            std::thread::sleep(std::time::Duration::from_millis(60));
        }
        drop(reader);
        println!(
            "{what}{}: median {:.1} ms, p90 {:.1} ms",
            if held { ", with a reader on the version before" } else { "" },
            quantile(&mut times, 0.5) * 1e3,
            quantile(&mut times, 0.9) * 1e3
        );
    };
    for held in [false, true] {
        let r = &mut random;
        timed(
            "a changed figure",
            held,
            Box::new(|_| {
                let id = format!("n{}", r(n));
                NodeRecord {
                    output: Some(chokepoint::model::Figure::bare(r(99) as f64)),
                    ..NodeRecord::new(id)
                }
                .into()
            }),
        );
        let ends: Vec<(String, String)> =
            (0..40).map(|_| (format!("n{}", r(n)), format!("n{}", r(n)))).collect();
        timed(
            "a new flow",
            held,
            Box::new(|i| {
                let (from, to) = ends[i as usize].clone();
                FlowRecord { product: Some("fresh".into()), ..FlowRecord::new(from, to, 1.0) }
                    .into()
            }),
        );
        timed(
            "a changed flow",
            held,
            Box::new(|i| {
                let (from, to) = ends[i as usize].clone();
                FlowRecord { product: Some("fresh".into()), ..FlowRecord::new(from, to, i as f64) }
                    .into()
            }),
        );
        timed(
            "a deleted flow",
            held,
            Box::new(|i| {
                let (from, to) = ends[i as usize].clone();
                let key = FlowKey { from, to, product: Some("fresh".into()) };
                Change::Delete(RecordKey::Flow(key))
            }),
        );
        timed(
            "a new node",
            held,
            Box::new(|i| NodeRecord::new(format!("n{}x", i * n / 40)).into()),
        );
        timed(
            "a deleted node",
            held,
            Box::new(|i| {
                Change::Delete(RecordKey::Node { id: format!("n{}x", i * n / 40), detach: true })
            }),
        );
    }
    println!("rss after small writes {} MiB", memory("VmRSS"));

    let service = Arc::new(service);
    let (done, started) = (AtomicUsize::new(0), Instant::now());
    std::thread::scope(|scope| {
        for w in 0..WRITERS {
            let (service, done) = (&service, &done);
            scope.spawn(move || {
                let mut i = 0u64;
                while started.elapsed().as_secs_f64() < 5.0 {
                    let id = format!("n{}", (w as u64 * 7919 + i) % n);
                    let output = Some(chokepoint::model::Figure::bare(i as f64));
                    let change = NodeRecord { output, ..NodeRecord::new(id) }.into();
                    let context = WriteContext::default();
                    service.write_blocking("g", context, Write::Changes(vec![change])).unwrap();
                    done.fetch_add(1, Ordering::Relaxed);
                    i += 1;
                }
            });
        }
    });
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{WRITERS} writers: {:.0} commits a second, durable and visible",
        done.load(Ordering::Relaxed) as f64 / seconds
    );
    println!("peak {} MiB", memory("VmHWM"));
}

fn quantile(times: &mut [f64], q: f64) -> f64 {
    times.sort_by(f64::total_cmp);
    times[((times.len() - 1) as f64 * q).round() as usize]
}

/// A line of the process's status in MiB.
fn memory(field: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find(|l| l.starts_with(field)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0) / 1024
}

/// The same records in SQLite.
#[cfg(feature = "bench-sqlite")]
mod sqlite {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    use chokepoint::model::Network;
    use rusqlite::{Connection, params};

    const DURABLE: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;";

    /// Commits a second of as many connections at once as we have writers; they wait for each other.
    pub fn writers(network: &Network) -> f64 {
        let dir = tempfile::tempdir().unwrap();
        let open = || {
            let db = Connection::open(dir.path().join("db")).unwrap();
            db.busy_timeout(Duration::from_secs(60)).unwrap();
            db.execute_batch(DURABLE).unwrap();
            db
        };
        load(&mut open(), network);
        let (done, started) = (AtomicUsize::new(0), Instant::now());
        std::thread::scope(|scope| {
            for w in 0..super::WRITERS {
                let (done, open) = (&done, &open);
                scope.spawn(move || {
                    let db = open();
                    while started.elapsed().as_secs_f64() < 5.0 {
                        let i = done.fetch_add(1, Ordering::Relaxed);
                        let id = format!("n{}", (w * 7919 + i) % network.node_count());
                        db.execute(
                            "UPDATE nodes SET output = ? WHERE id = ?",
                            params![i as f64, id],
                        )
                        .unwrap();
                    }
                });
            }
        });
        done.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64()
    }

    pub fn run(network: &Network) -> Vec<(&'static str, f64)> {
        let dir = tempfile::tempdir().unwrap();
        let mut db = Connection::open(dir.path().join("db")).unwrap();
        db.execute_batch(DURABLE).unwrap();
        let started = Instant::now();
        load(&mut db, network);
        let load = started.elapsed().as_secs_f64();
        let mut times = Vec::new();
        for i in 0..super::COMMITS {
            let started = Instant::now();
            db.execute(
                "INSERT OR REPLACE INTO flows VALUES ('n1', 'n2', 'n1', ?)",
                params![i as f64],
            )
            .unwrap();
            times.push(started.elapsed().as_secs_f64());
        }
        vec![("bulk load", load), ("single commit, median", super::quantile(&mut times, 0.5))]
    }

    fn load(db: &mut Connection, network: &Network) {
        db.execute_batch(
            "CREATE TABLE nodes (id TEXT PRIMARY KEY, stage TEXT, product TEXT, country TEXT,
                                 output REAL) WITHOUT ROWID;
             CREATE TABLE flows (from_id TEXT, to_id TEXT, product TEXT, quantity REAL,
                                 PRIMARY KEY (from_id, to_id, product)) WITHOUT ROWID;",
        )
        .unwrap();
        let load = db.transaction().unwrap();
        {
            let mut put = load.prepare("INSERT INTO nodes VALUES (?, ?, ?, ?, ?)").unwrap();
            for i in 0..network.node_count() {
                let text = |s| network.symbols.option(s);
                put.execute(params![
                    network.node_id(i as u32),
                    text(network.nodes.stage[i]),
                    text(network.nodes.product[i]),
                    text(network.nodes.country[i]),
                    network.nodes.output.get(i)
                ])
                .unwrap();
            }
            let mut put = load.prepare("INSERT INTO flows VALUES (?, ?, ?, ?)").unwrap();
            let flows = &network.flows;
            for e in 0..network.flow_count() {
                put.execute(params![
                    network.node_id(flows.from[e]),
                    network.node_id(flows.to[e]),
                    network.symbols.name(flows.product[e]),
                    flows.quantity.get(e)
                ])
                .unwrap();
            }
        }
        load.commit().unwrap();
    }
}
