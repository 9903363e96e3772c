//! Measures the store on a random network:
//! `cargo run --release --example store_figures -- NODES FLOWS [products]`.
#![allow(clippy::print_stdout)]

use std::time::Instant;

use chokepoint::model::{Change, FlowRecord, GraphSettings, NetworkBuilder, NodeRecord, Retention};
use chokepoint::store::{Commit, CommitMeta, Counts, Store, StoreOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let nodes: u64 = arguments.next().map_or(Ok(1_000_000), |a| a.parse())?;
    let flows: u64 = arguments.next().map_or(Ok(5_000_000), |a| a.parse())?;
    let products = arguments.next().is_some();
    let rounds: u32 = std::env::var("ROUNDS").map_or(Ok(0), |r| r.parse())?;

    let started = Instant::now();
    let mut builder = NetworkBuilder::new();
    for i in 0..nodes {
        let product = products.then(|| format!("product{}", i % 500));
        builder
            .add_node(&NodeRecord { product, ..NodeRecord::new(format!("n{i}")) }, i as usize)?;
    }
    let mut seed = 1u64;
    let mut random = |n: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % n
    };
    for row in 0..flows {
        let (from, to) = (format!("n{}", random(nodes)), format!("n{}", random(nodes)));
        let quantity = (1 + random(1000)) as f64;
        builder.add_flow(&FlowRecord::new(from, to, quantity), row as usize);
    }
    let network = builder.finish().map_err(|e| format!("{e:?}"))?;
    report("built", started);

    let dir = tempfile::tempdir()?;
    let store = Store::open(dir.path(), StoreOptions::default())?;
    let retention = Retention { last: Some(1), ..Retention::default() };
    let settings = GraphSettings { retention, ..GraphSettings::default() };
    store.create("g", &settings, 0)?;
    let started = Instant::now();
    let info = store.replace("g", 0, &network, CommitMeta::default())?;
    report("replace", started);
    println!("{:?}, disk {} MiB", info.counts, store.disk_bytes()? >> 20);
    let live = store.disk_bytes()?;
    for round in 0..rounds {
        store.replace("g", info.version + u64::from(round), &network, CommitMeta::default())?;
        let disk = store.disk_bytes()?;
        println!(
            "replacement {}: disk {} MiB ({:.2} x)",
            round + 1,
            disk >> 20,
            disk as f64 / live as f64
        );
    }
    drop(network);
    drop(store);
    println!("rss before load {} MiB", rss());

    let started = Instant::now();
    let store = Store::open(dir.path(), StoreOptions::default())?;
    report("open", started);
    let started = Instant::now();
    let (mut now, info) = store.load("g", None)?;
    report("load", started);
    println!("rss after load {} MiB, peak {} MiB", rss(), peak());

    let changes: [Change; 1] = [FlowRecord::new("n1", "n2", 5.0).into()];
    let started = Instant::now();
    now = now.apply(&changes)?;
    report("apply one change in memory", started);
    let mut version = info.version;
    let mut times: Vec<f64> = Vec::new();
    for _ in 0..500 {
        let started = Instant::now();
        store.commit("g", version, &changes, &now, CommitMeta::default())?;
        version += 1;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    println!("commit median {:.2} ms, p99 {:.2} ms", times[250], times[495]);
    let started = Instant::now();
    for _ in 0..100 {
        let group: Vec<Commit<'_>> = (0..64)
            .map(|i| Commit {
                name: "g",
                expected: version + i,
                changes: &changes,
                counts: Counts::of(&now),
                meta: CommitMeta::default(),
                documents: Vec::new(),
            })
            .collect();
        for result in store.commit_all(&group) {
            version = result?.version;
        }
    }
    println!("group commit: {:.0} commits/s", 6400.0 / started.elapsed().as_secs_f64());
    let started = Instant::now();
    let (_, _) = store.load("g", None)?;
    report("load with 6900 commits in the log", started);
    let started = Instant::now();
    store.fork("f", &GraphSettings::default(), "g", None, 0)?;
    report("fork", started);
    let started = Instant::now();
    store.compact("g")?;
    report("compact", started);
    let started = Instant::now();
    let backup = store.backup(&mut std::io::sink())?;
    report("backup", started);
    let started = Instant::now();
    let check = store.check()?;
    report("check", started);
    println!("{backup:?}\n{check:?}");
    let blobs = std::fs::read_dir(dir.path().join("blobs"))?.count();
    println!("blobs {blobs}, disk {} MiB, peak {} MiB", store.disk_bytes()? >> 20, peak());
    Ok(())
}

fn report(what: &str, started: Instant) {
    println!("{what}: {:.3} s", started.elapsed().as_secs_f64());
}

fn status(field: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find(|l| l.starts_with(field)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0) / 1024
}

fn rss() -> u64 {
    status("VmRSS")
}

fn peak() -> u64 {
    status("VmHWM")
}
