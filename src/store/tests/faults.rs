//! Storage that fails at every possible call, and that forgets what was not synced.

use super::super::kv::faulty::FaultyKv;
use super::super::*;
use crate::model::{Change, FlowRecord, GraphSettings, Network, NodeRecord, Retention};

fn open(kv: &FaultyKv) -> Result<Store, StoreError> {
    Store::over(Box::new(kv.clone()), false, None, false)
}

fn lines(network: &Network) -> Vec<String> {
    network.records().map(|r| serde_json::to_string(&r).unwrap()).collect()
}

fn step_changes(i: u64) -> Vec<Change> {
    vec![
        NodeRecord::new(format!("n{i}")).into(),
        FlowRecord::new(format!("n{i}"), format!("n{}", i / 2), 1.5).into(),
    ]
}

fn network_at(version: u64) -> Network {
    (0..version).fold(Network::default(), |n, i| n.apply(&step_changes(i)).unwrap())
}

/// Ten versions with a replacement, a compaction, a fork and a document. Stops at the first error;
/// the number of versions acknowledged.
fn work(store: &Store) -> (u64, Option<StoreError>) {
    let mut acknowledged = 0;
    let mut run = || -> Result<(), StoreError> {
        let retention = Retention { last: Some(3), ..Retention::default() };
        store.create("g", &GraphSettings { retention, ..Default::default() }, 0)?;
        for v in 0..10u64 {
            let next = network_at(v + 1);
            let meta = CommitMeta::default();
            match v {
                4 => drop(store.replace("g", v, &next, meta)?),
                _ => {
                    let changes = step_changes(v);
                    let text = v.to_string();
                    store
                        .commit_all(&[Commit {
                            name: "g",
                            expected: v,
                            changes: &changes,
                            counts: Counts::of(&next),
                            meta,
                            documents: vec![(DocumentKind::Audit, "last", text.as_bytes())],
                        }])
                        .remove(0)?;
                }
            }
            acknowledged = v + 1;
            match v {
                6 => drop(store.fork("f", &GraphSettings::default(), "g", None, 0)?),
                7 => store.compact("g")?,
                8 => store.delete("f")?,
                _ => {}
            }
        }
        Ok(())
    };
    let error = run().err();
    (acknowledged, error)
}

fn verify(kv: &FaultyKv, acknowledged: u64) {
    let store = open(kv).expect("opens after a crash");
    let version = match store.graph("g") {
        Ok(head) => head.version,
        Err(_) => {
            assert_eq!(acknowledged, 0);
            return;
        }
    };
    assert!(version == acknowledged || version == acknowledged + 1, "{version} {acknowledged}");
    assert_eq!(lines(&store.load("g", None).unwrap().0), lines(&network_at(version)));
    let report = store.check().unwrap();
    assert!(report.is_sound(), "{:?}", report.problems);
    assert_eq!(report.pending, 0, "what was left over is collected at the start");
}

#[test]
fn a_full_disk_at_any_call_loses_nothing_acknowledged_and_ends_writing() {
    let calm = FaultyKv::default();
    calm.fail_at(u64::MAX, StoreError::Failed);
    assert_eq!(work(&open(&calm).unwrap()), (10, None));
    let calls = calm.calls();
    assert!(calls > 30, "{calls}");
    for call in 3..=calls {
        let kv = FaultyKv::default();
        let store = open(&kv).unwrap();
        kv.fail_at(call - 2, StoreError::Full { what: "writing".into() });
        let (acknowledged, error) = work(&store);
        // Deleting old records may fail behind a write that succeeded; the next one then refuses.
        assert!(store.is_failed(), "call {call}: {error:?}");
        assert_eq!(store.create("x", &GraphSettings::default(), 0), Err(StoreError::Failed));
        assert!(store.graphs().is_ok(), "reads go on");
        if acknowledged > 0 {
            let head = store.graph("g").unwrap().version;
            assert_eq!(head, acknowledged, "nothing unacknowledged is shown");
            assert_eq!(lines(&store.load("g", None).unwrap().0), lines(&network_at(head)));
        }
        for kept in 0..=kv.unsynced() {
            verify(&kv.crash(kept), acknowledged);
        }
    }
}

#[test]
fn a_crash_between_any_two_calls_leaves_whole_versions() {
    // The failure error is not fatal for the test: what counts is what the crash leaves.
    let calm = FaultyKv::default();
    calm.fail_at(u64::MAX, StoreError::Failed);
    work(&open(&calm).unwrap());
    for kept in 0..=calm.unsynced() {
        verify(&calm.crash(kept), 10);
    }
}

#[test]
fn any_changed_or_missing_record_is_noticed() {
    let kv = FaultyKv::default();
    work(&open(&kv).unwrap());
    let store = open(&kv).unwrap();
    store.fork("f", &GraphSettings::default(), "g", None, 0).unwrap();
    store.put_document(DocumentKind::Job, "long", &[1; 20_000]).unwrap();
    let mut keys = Vec::new();
    kv.tamper(|map| keys.extend(map.keys().cloned()));
    assert!(keys.len() > 15);
    for key in &keys {
        for damage in ["gone", "flipped", "swapped", "cut"] {
            let copy = kv.crash(usize::MAX);
            copy.tamper(|map| {
                let other = keys.iter().find(|k| *k != key).unwrap();
                let value = map[key].clone();
                let new = match damage {
                    "gone" => None,
                    "flipped" => {
                        let mut value = value;
                        *value.last_mut().unwrap() ^= 0x10;
                        Some(value)
                    }
                    "swapped" => map.get(other).cloned(),
                    _ => Some(value[..value.len() - 1].to_vec()),
                };
                match new {
                    Some(value) => map.insert(key.clone(), value),
                    None => map.remove(key),
                };
            });
            let noticed = match open(&copy) {
                Err(error) => matches!(error, StoreError::Corrupt { .. }),
                Ok(store) => {
                    // A whole document or graph that is gone leaves no trace but its absence.
                    let whole = damage == "gone" && matches!(key[0], b'D' | b'G');
                    whole || !store.check().unwrap().is_sound()
                }
            };
            assert!(noticed, "{damage}: {}", super::super::keys::describe(key));
        }
    }
}

#[test]
fn a_damaged_graph_can_be_left_out_to_save_the_others() {
    let kv = FaultyKv::default();
    let store = open(&kv).unwrap();
    for name in ["bad", "good"] {
        store.create(name, &GraphSettings::default(), 0).unwrap();
        store.replace(name, 0, &network_at(5), CommitMeta::default()).unwrap();
    }
    drop(store);
    kv.tamper(|map| {
        let key = frame::part_key(&keys::of_graph(keys::HEAD, 1), 0);
        map.get_mut(&key).unwrap()[7] ^= 1;
    });
    assert!(matches!(open(&kv), Err(StoreError::Corrupt { .. })));
    let store = Store::over(Box::new(kv.clone()), true, None, true).unwrap();
    assert_eq!(store.graphs().unwrap().len(), 1);
    assert_eq!(lines(&store.load("good", None).unwrap().0), lines(&network_at(5)));
    assert!(!store.check().unwrap().is_sound());
    assert_eq!(store.delete("good"), Err(StoreError::Failed));
}

#[test]
fn a_newer_format_is_refused_by_number() {
    let kv = FaultyKv::default();
    drop(open(&kv).unwrap());
    let mut batch = Batch::default();
    let mut meta = Vec::new();
    meta.put_varint(7);
    meta.put_str("what only format 7 knows");
    frame::put_parts(&mut batch, &keys::meta(), &meta);
    kv.apply(batch).unwrap();
    let error = open(&kv).unwrap_err();
    assert_eq!(error, StoreError::Version { found: 7, expected: STORE_FORMAT });
    assert!(error.to_string().contains("export"));
}

#[test]
fn errors_name_what_where_and_what_to_do() {
    let store = Store::in_memory();
    store.create("minerals", &GraphSettings::default(), 0).unwrap();
    let error = store.graph("mineral").unwrap_err().to_string();
    assert!(error.contains("did you mean \"minerals\"?"), "{error}");
    let error = store.load("minerals", Some(4)).unwrap_err().to_string();
    assert!(error.contains("version 4") && error.contains("from 0 to 0"), "{error}");
    let error = store.commit("minerals", 3, &[], &Network::default(), CommitMeta::default());
    assert!(error.unwrap_err().to_string().contains("at version 0, not 3"));
    for name in ["", "a\nb", &"x".repeat(600)] {
        let error = store.create(name, &GraphSettings::default(), 0);
        assert!(matches!(error, Err(StoreError::BadName { .. })));
    }
    let error = store.put_document(DocumentKind::Job, "a\0b", b"");
    assert!(matches!(error, Err(StoreError::BadName { .. })));
}

#[test]
fn a_group_builds_on_itself_and_keeps_its_failures_apart() {
    let store = Store::in_memory();
    store.create("g", &GraphSettings::default(), 0).unwrap();
    let networks: Vec<Network> = (0..4).map(network_at).collect();
    let changes: Vec<Vec<Change>> = (0..4).map(step_changes).collect();
    let documents = [vec![1u8; 20_000], vec![2; 100]];
    let commit = |name, expected: usize, documents| Commit {
        name,
        expected: expected as u64,
        changes: &changes[expected],
        counts: Counts::of(&networks[expected + 1]),
        meta: CommitMeta::default(),
        documents,
    };
    let results = store.commit_all(&[
        commit("g", 0, vec![(DocumentKind::Job, "k", documents[0].as_slice())]),
        commit("absent", 0, vec![]),
        commit("g", 0, vec![]),
        commit("g", 1, vec![(DocumentKind::Job, "k", documents[1].as_slice())]),
    ]);
    assert_eq!(results[0].as_ref().unwrap().version, 1);
    assert!(matches!(results[1], Err(StoreError::NoSuchGraph { .. })));
    assert!(matches!(results[2], Err(StoreError::Conflict { current: 1, .. })));
    assert_eq!(results[3].as_ref().unwrap().version, 2);
    assert_eq!(lines(&store.load("g", None).unwrap().0), lines(&networks[2]));
    assert_eq!(store.documents(DocumentKind::Job, "").unwrap(), [("k".into(), vec![2; 100])]);
    assert!(store.check().unwrap().is_sound());
}

#[test]
fn a_hub_and_long_attributes_are_split_in_parts() {
    let mut builder = crate::model::NetworkBuilder::new();
    for i in 0..3000 {
        let mut node = NodeRecord::new(format!("n{i}"));
        if i % 10 == 0 {
            node.attributes.insert("note".into(), "a".repeat(4000).into());
        }
        builder.add_node(&node, i).unwrap();
        builder.add_flow(&FlowRecord::new("n0", format!("n{i}"), 1.0), i);
    }
    let network = builder.finish().unwrap();
    let kv = FaultyKv::default();
    let store = open(&kv).unwrap();
    store.create("g", &GraphSettings::default(), 0).unwrap();
    store.replace("g", 0, &network, CommitMeta::default()).unwrap();
    assert_eq!(lines(&store.load("g", None).unwrap().0), lines(&network));
    let mut largest = 0;
    kv.tamper(|map| largest = map.values().map(Vec::len).max().unwrap());
    assert_eq!(largest, kv::MAX_VALUE_BYTES);
}

#[test]
fn readers_see_one_version_while_writers_write() {
    let store = Store::in_memory();
    let retention = Retention { last: Some(1), ..Retention::default() };
    store.create("g", &GraphSettings { retention, ..Default::default() }, 0).unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for v in 0..60u64 {
                let (next, meta) = (network_at(v + 1), CommitMeta::default());
                if v % 7 == 3 {
                    store.replace("g", v, &next, meta).unwrap();
                } else {
                    store.commit("g", v, &step_changes(v), &next, meta).unwrap();
                }
                if v % 5 == 0 {
                    store.compact("g").unwrap();
                }
            }
        });
        let mut last = 0;
        while !writer.is_finished() {
            let (network, info) = store.load("g", None).unwrap();
            assert!(info.version >= last, "versions never go back");
            last = info.version;
            assert_eq!(network.node_count() as u64, info.version);
        }
        writer.join().unwrap();
    });
}
