//! Kill -9 at random moments: what was acknowledged is there after reopening, the rest whole or
//! absent, and the store always opens.
//!
//! The test starts itself again as the writer (`CRASH_DIR` set), reads its acknowledgements and
//! kills it. `CRASH_CYCLES` and `CRASH_SEED` set length and randomness (default: 300 kills, about a minute).
#![allow(clippy::unwrap_used, reason = "a test says what failed by panicking")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use chokepoint::model::{
    Change, Figure, FlowRecord, GraphSettings, Network, NodeRecord, Retention,
};
use chokepoint::store::{Commit, CommitMeta, Counts, DocumentKind, Store, StoreOptions};

const NODES: u64 = 40;

/// The changes of version `v`: they tell the version from the content alone.
fn changes(v: u64) -> Vec<Change> {
    let node =
        |id: String| NodeRecord { output: Some(Figure::bare(v as f64)), ..NodeRecord::new(id) };
    let own = format!("n{}", v % NODES);
    vec![
        node("marker".into()).into(),
        node(own.clone()).into(),
        FlowRecord::new(own, "marker", v as f64).into(),
    ]
}

fn lines(network: &Network) -> Vec<String> {
    network.records().map(|r| serde_json::to_string(&r).unwrap()).collect()
}

/// The network at version `v`, from scratch.
fn expected(v: u64) -> Network {
    let mut network = Network::default();
    for i in v.saturating_sub(NODES - 1).max(1)..=v {
        network = network.apply(&changes(i)).unwrap();
    }
    network
}

/// The writer: commits, group commits with documents, replacements, compactions, forks, deletes.
fn write_until_killed(dir: &Path) {
    let store = Store::open(dir, StoreOptions::default()).expect("the store opens after a kill");
    let out = std::io::stdout();
    let say = |text: String| {
        let mut out = out.lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).expect("the parent listens");
    };
    if store.graph("g").is_err() {
        let retention = Retention { last: Some(50), ..Retention::default() };
        let settings = GraphSettings { retention, ..GraphSettings::default() };
        store.create("g", &settings, 0).unwrap();
    }
    let (mut network, info) = store.load("g", None).unwrap();
    let mut version = info.version;
    say("open\n".into());
    loop {
        version += 1;
        let changes = changes(version);
        let next = network.apply(&changes).unwrap();
        let meta = CommitMeta { time_ms: version as i64, ..CommitMeta::default() };
        if version % 23 == 0 {
            store.replace("g", version - 1, &next, meta).unwrap();
        } else {
            let text = format!("{version}:{}", "x".repeat((version % 5 * 20_000) as usize));
            let documents = vec![(DocumentKind::Setting, "last", text.as_bytes())];
            let commit = Commit {
                name: "g",
                expected: version - 1,
                changes: &changes,
                counts: Counts::of(&next),
                meta,
                documents,
            };
            store.commit_all(&[commit]).remove(0).unwrap();
        }
        say(format!("{version}\n"));
        network = next;
        match version % 31 {
            7 => store.compact("g").unwrap(),
            11 => {
                let _ = store.delete("fork");
                store.fork("fork", &GraphSettings::default(), "g", None, 0).unwrap();
            }
            _ => {}
        }
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

fn verify(dir: &Path, acknowledged: u64) -> u64 {
    let store = match Store::open(dir, StoreOptions::default()) {
        Ok(store) => store,
        Err(error) => panic!("does not open after a kill: {error}"),
    };
    let Ok(head) = store.graph("g") else {
        assert_eq!(acknowledged, 0, "the graph is lost");
        return 0;
    };
    assert!(
        head.version == acknowledged || head.version == acknowledged + 1,
        "acknowledged {acknowledged}, found {}",
        head.version
    );
    let (network, _) = store.load("g", None).unwrap();
    assert_eq!(lines(&network), lines(&expected(head.version)));
    let document = store.get_document(DocumentKind::Setting, "last").unwrap();
    if head.version % 23 != 0 && head.version > 0 {
        let text = String::from_utf8(document.unwrap()).unwrap();
        let number: u64 = text.split(':').next().unwrap().parse().unwrap();
        assert_eq!(number, head.version, "a document is not of its commit's version");
    }
    if let Ok(fork) = store.graph("fork") {
        let (_, at) = fork.forked_from.unwrap();
        let (network, _) = store.load("fork", None).unwrap();
        assert_eq!(lines(&network), lines(&expected(at)));
    }
    let report = store.check().unwrap();
    assert!(report.is_sound(), "{:?}", report.problems);
    head.version
}

#[test]
fn acknowledged_versions_survive_kill_9() {
    if let Some(dir) = std::env::var_os("CRASH_DIR") {
        write_until_killed(Path::new(&dir));
        return;
    }
    let number = |name: &str, default: u64| {
        std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
    };
    let cycles = number("CRASH_CYCLES", 300);
    let mut random = Random(number("CRASH_SEED", 1));
    let limit = std::env::var_os("CRASH_CYCLES").map_or(Duration::from_secs(90), |_| Duration::MAX);
    let started = Instant::now();
    let (mut dir, mut version, mut done, mut directories) =
        (tempfile::tempdir().unwrap(), 0, 0u64, 1);
    while done < cycles && started.elapsed() < limit {
        if random.below(12) == 0 {
            dir = tempfile::tempdir().unwrap();
            version = 0;
            directories += 1;
        }
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::acknowledged_versions_survive_kill_9", "--nocapture"])
            .env("CRASH_DIR", dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().unwrap();
        // Some kills fall into opening, the others well into writing.
        let opening = random.below(3) == 0;
        let delay = Duration::from_millis(5 + random.below(if opening { 40 } else { 195 }));
        let (opened, wait_open) = std::sync::mpsc::channel();
        let reader = std::thread::spawn(move || {
            let mut last = None;
            for line in BufReader::new(stdout).lines() {
                let Ok(line) = line else { break };
                match line.trim().rsplit(' ').next().and_then(|w| w.parse::<u64>().ok()) {
                    Some(v) => last = Some(v),
                    None if line.contains("open") => drop(opened.send(())),
                    None => {}
                }
            }
            last
        });
        if !opening {
            let _ = wait_open.recv_timeout(Duration::from_secs(30));
        }
        std::thread::sleep(delay);
        let ended = child.try_wait().unwrap();
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(ended.is_none(), "the writer stopped by itself: {stderr}");
        let acknowledged = reader.join().unwrap().unwrap_or(version);
        version = verify(dir.path(), acknowledged);
        done += 1;
    }
    println!("{done} kills, {directories} directories, last version {version}");
    assert!(done >= 5, "too slow to say anything: {done} kills");
}
