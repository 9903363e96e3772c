//! The store on disks that are full or read-only, with real file systems: needs the right to mount
//! (root); elsewhere these tests say so and pass. `src/store/tests/faults.rs` fails every single
//! call of a faulty disk in memory.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test may panic, and say why not")]

use std::path::Path;
use std::process::Command;

use chokepoint::model::{Change, GraphSettings, Network, NodeRecord};
use chokepoint::store::{CommitMeta, Store, StoreError, StoreOptions};

/// A file system of its own, gone when dropped.
struct Mount(tempfile::TempDir);

impl Mount {
    /// A small one in memory, or none without the right to mount.
    fn small(mib: u32) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let options = format!("size={mib}m");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(dir.path())
            .output();
        if mount.is_ok_and(|done| done.status.success()) {
            return Some(Self(dir));
        }
        eprintln!("no right to mount a file system: not tested here");
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn remount(&self, option: &str) {
        let options = format!("remount,{option}");
        let done = Command::new("mount").args(["-o", &options]).arg(self.path()).status();
        assert!(done.unwrap().success(), "remount {option}");
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// Nodes of one version.
const NODES: u64 = 16;

/// About 64 KB of nodes that no earlier version had.
fn batch(version: u64) -> Vec<Change> {
    let node = |i: u64| {
        let mut node = NodeRecord::new(format!("n{version}-{i}"));
        node.attributes.insert("text".into(), "0123456789abcdef".repeat(250).into());
        node.into()
    };
    (0..NODES).map(node).collect()
}

#[test]
fn a_full_disk_is_told_and_loses_nothing_that_was_acknowledged() {
    let Some(mount) = Mount::small(12) else { return };
    let dir = mount.path().join("data");
    let store = Store::open(&dir, StoreOptions::default()).unwrap();
    store.create("g", &GraphSettings::default(), 0).unwrap();
    let mut network = Network::default();
    let mut acknowledged = 0;
    let error = loop {
        let changes = batch(acknowledged + 1);
        let next = network.apply(&changes).unwrap();
        match store.commit("g", acknowledged, &changes, &next, CommitMeta::default()) {
            Ok(version) => acknowledged = version.version,
            Err(error) => break error,
        }
        network = next;
        assert!(acknowledged < 1000, "64 KB versions must fill 12 MiB");
    };
    assert!(acknowledged > 20, "{acknowledged}");
    assert!(matches!(error, StoreError::Full { .. } | StoreError::Io { .. }), "{error}");
    // From now on nothing is acknowledged.
    let refused = store.create("h", &GraphSettings::default(), 0).unwrap_err();
    assert!(matches!(refused, StoreError::Failed), "{refused}");
    assert!(store.is_failed());
    // What is there can be read, unless sled has closed itself over the failed write: it does so
    // from a thread of its own, a little later or not at all. Never is less read than was written.
    match store.load("g", Some(acknowledged)) {
        Ok((network, _)) => assert_eq!(network.node_count() as u64, NODES * acknowledged),
        Err(error) => assert!(matches!(error, StoreError::Full { .. }), "{error}"),
    }
    drop(store);
    // With space again, all of it is there and the store writes on.
    mount.remount("size=64m");
    let store = Store::open(&dir, StoreOptions::default()).unwrap();
    let (network, info) = store.load("g", None).unwrap();
    assert!(info.version >= acknowledged, "{} < {acknowledged}", info.version);
    assert_eq!(network.node_count() as u64, NODES * info.version);
    let changes = batch(info.version + 1);
    let next = network.apply(&changes).unwrap();
    store.commit("g", info.version, &changes, &next, CommitMeta::default()).unwrap();
    assert!(store.check().unwrap().is_sound());
}

#[test]
fn a_read_only_directory_is_told_and_left_as_it_is() {
    let Some(mount) = Mount::small(16) else { return };
    let dir = mount.path().join("data");
    let store = Store::open(&dir, StoreOptions::default()).unwrap();
    store.create("g", &GraphSettings::default(), 0).unwrap();
    drop(store);
    mount.remount("ro");
    for path in [dir.clone(), mount.path().join("new")] {
        let error = Store::open(&path, StoreOptions::default()).unwrap_err();
        assert!(matches!(error, StoreError::Io { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(&*path.to_string_lossy()), "{text}");
        assert!(text.contains("rights on the data directory"), "{text}");
    }
    mount.remount("rw");
    let store = Store::open(&dir, StoreOptions::default()).unwrap();
    assert_eq!(store.graph("g").unwrap().version, 0);
}
