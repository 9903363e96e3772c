//! Damaged, foreign, locked and leftover files: a clear error or the same content, never a silent
//! difference and never a panic.
#![allow(clippy::unwrap_used, reason = "a test says what failed by panicking")]

use std::fs;
use std::path::Path;

use chokepoint::model::{
    Change, Figure, FlowRecord, GraphSettings, Network, NetworkBuilder, NodeRecord,
};
use chokepoint::store::{
    CommitMeta, DocumentChange, DocumentKind, Store, StoreError, StoreOptions,
};

fn open(dir: &Path) -> Result<Store, StoreError> {
    Store::open(dir, StoreOptions::default())
}

fn lines(network: &Network) -> Vec<String> {
    network.records().map(|r| serde_json::to_string(&r).unwrap()).collect()
}

fn network(nodes: usize) -> Network {
    let mut builder = NetworkBuilder::new();
    for i in 0..nodes {
        let output = Some(Figure { unit: Some("t/a".into()), ..Figure::bare(i as f64) });
        let node =
            NodeRecord { output, product: Some("p".into()), ..NodeRecord::new(format!("n{i}")) };
        builder.add_node(&node, i).unwrap();
        let to = format!("n{}", (i * 7 + 1) % nodes);
        builder.add_flow(&FlowRecord::new(format!("n{i}"), to, i as f64 + 0.5), i);
    }
    builder.finish().unwrap()
}

fn fill(store: &Store) {
    let settings = GraphSettings::default();
    store.create("metals", &settings, 1).unwrap();
    store.replace("metals", 0, &network(500), CommitMeta::default()).unwrap();
    let (mut now, _) = store.load("metals", None).unwrap();
    for v in 1..20u64 {
        let change: Change = FlowRecord::new("n1", format!("n{v}"), v as f64).into();
        let next = now.apply(std::slice::from_ref(&change)).unwrap();
        let meta = CommitMeta { message: Some("m".repeat(9000)), ..CommitMeta::default() };
        store.commit("metals", v, &[change], &next, meta).unwrap();
        now = next;
    }
    store.fork("what-if", &settings, "metals", Some(9), 2).unwrap();
    store.put_document(DocumentKind::Scenario, "s", &[7; 30_000]).unwrap();
}

/// Everything that can be seen of a store, as text.
fn content(store: &Store) -> Result<Vec<String>, StoreError> {
    let mut out = Vec::new();
    for graph in store.graphs()? {
        for info in store.versions(&graph.name)? {
            let (network, _) = store.load(&graph.name, Some(info.version))?;
            out.push(format!("{graph:?} {info:?} {:?}", store.changes(&graph.name, info.version)?));
            out.extend(lines(&network));
        }
    }
    out.push(format!("{:?}", store.documents(DocumentKind::Scenario, "")?));
    Ok(out)
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn filled() -> (tempfile::TempDir, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    fill(&store);
    let before = content(&store).unwrap();
    drop(store);
    (dir, before)
}

/// Opens a damaged copy: whatever is read without an error must be what was written.
fn judge(dir: &Path, before: &[String], what: &str) -> bool {
    let seen = open(dir).and_then(|store| content(&store));
    match seen {
        Ok(content) => {
            let first = content.iter().zip(before).find(|(a, b)| a != b);
            let cut = |text: &String| text.chars().take(300).collect::<String>();
            assert!(
                content == before,
                "silently different after {what}: {:?}",
                first.map(|(a, b)| (cut(a), cut(b)))
            );
            true
        }
        Err(error) => {
            assert!(error.to_string().len() > 20, "{what}: {error}");
            false
        }
    }
}

#[test]
fn a_flipped_byte_or_a_truncated_file_is_an_error_or_harmless() {
    let (dir, before) = filled();
    let mut seed = 7u64;
    let mut random = |n: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % n
    };
    let files: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|e| e.unwrap())
        .filter(|e| e.file_type().unwrap().is_file() && e.file_name() != "lock")
        .map(|e| (e.file_name(), e.metadata().unwrap().len()))
        .collect();
    let rounds = std::env::var("DAMAGE_ROUNDS").ok().and_then(|r| r.parse().ok()).unwrap_or(60);
    let (mut same, mut errors) = (0, 0);
    for round in 0..rounds {
        let copy = tempfile::tempdir().unwrap();
        copy_dir(dir.path(), copy.path());
        // The journal alone can bring back all that so small a store holds.
        let journal = round % 2 == 0;
        if !journal {
            fs::remove_file(copy.path().join("journal")).unwrap();
        }
        let (name, length) = &files[random(files.len() as u64) as usize];
        if !journal && name == "journal" {
            continue;
        }
        let path = copy.path().join(name);
        let mut bytes = fs::read(&path).unwrap();
        let what = match round % 3 {
            0 | 1 => {
                // Where data is: a fresh data file is mostly empty behind it.
                let used = bytes.iter().rposition(|&b| b != 0).unwrap_or(0) as u64 + 1;
                let at = random(used) as usize;
                bytes[at] ^= 1 << random(8);
                format!("a flipped bit at {at} of {name:?}")
            }
            _ => {
                let to = random(*length);
                bytes.truncate(to as usize);
                format!("{name:?} cut from {length} to {to}")
            }
        };
        fs::write(&path, bytes).unwrap();
        if judge(copy.path(), &before, &what) {
            same += 1;
        } else {
            errors += 1;
        }
    }
    println!("{same} harmless, {errors} reported");
    assert!(errors > 0, "the damage never hit anything");
}

#[test]
fn what_the_engine_had_not_written_comes_out_of_the_journal() {
    let (dir, _) = filled();
    // The engine's files as they are when it has just been opened, and the journal of later.
    let store = open(dir.path()).unwrap();
    let copy = tempfile::tempdir().unwrap();
    copy_dir(dir.path(), copy.path());
    let bare = tempfile::tempdir().unwrap();
    copy_dir(dir.path(), bare.path());
    for i in 0..40usize {
        let value = vec![i as u8; i * 200];
        store.put_document(DocumentKind::Scenario, &format!("later {i}"), &value).unwrap();
        if i % 3 == 0 {
            store.delete_document(DocumentKind::Scenario, &format!("later {}", i / 2)).unwrap();
        }
    }
    for name in ["journal", "tip"] {
        fs::copy(dir.path().join(name), copy.path().join(name)).unwrap();
    }
    let before = content(&store).unwrap();
    assert!(judge(copy.path(), &before, "a crash"));
    // It was not only read: the next start needs no journal.
    fs::remove_file(copy.path().join("journal")).unwrap();
    assert!(judge(copy.path(), &before, "a crash and a start"));

    // Without the journal the loss is told.
    fs::copy(dir.path().join("tip"), bare.path().join("tip")).unwrap();
    let error = open(bare.path()).unwrap_err().to_string();
    assert!(error.contains("acknowledged writes are missing"), "{error}");
}

#[test]
fn a_journal_that_is_full_begins_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let value = |i: usize| vec![i as u8; 6000 + i];
    // Over 10 MB, in batches of all sizes, one of them larger than the journal.
    for i in 0..400 {
        let changes: Vec<DocumentChange> = (0..if i == 200 { 900 } else { i % 9 })
            .map(|k| DocumentChange {
                kind: DocumentKind::Job,
                key: format!("{i}/{k}"),
                value: Some(value(k)),
            })
            .collect();
        store.change_documents(&changes).unwrap();
    }
    let before = store.documents(DocumentKind::Job, "").unwrap();
    assert!(before.len() > 2000);
    drop(store);
    let store = open(dir.path()).unwrap();
    assert!(store.documents(DocumentKind::Job, "").unwrap() == before);
    assert_eq!(fs::metadata(dir.path().join("journal")).unwrap().len(), 256 << 10);
}

#[test]
fn a_missing_data_file_is_not_an_empty_store() {
    let (dir, _) = filled();
    // The first record is gone with everything: a data file of another database of the same kind.
    let other = tempfile::tempdir().unwrap();
    let db = sled::open(other.path()).unwrap();
    for i in 0..2000u32 {
        db.insert(i.to_be_bytes(), vec![1u8; 1000]).unwrap();
    }
    db.flush().unwrap();
    drop(db);
    let error = open(other.path()).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("restore"), "{error}");
    drop(dir);
}

#[test]
fn leftovers_of_a_kill_do_not_keep_the_store_closed() {
    let (dir, before) = filled();
    fs::write(dir.path().join("snap.00000000FFFFFFFF.generating"), b"half a snapshot").unwrap();
    let seen = open(dir.path()).and_then(|store| content(&store));
    assert_eq!(seen.unwrap(), before);
    assert!(!dir.path().join("snap.00000000FFFFFFFF.generating").exists());

    let fresh = tempfile::tempdir().unwrap();
    fs::write(fresh.path().join("conf"), b"half a conf").unwrap();
    assert!(open(fresh.path()).unwrap().graphs().unwrap().is_empty());
}

#[test]
fn one_directory_one_store() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path()).unwrap();
    let error = open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    assert!(error.to_string().contains(&dir.path().display().to_string()), "{error}");
    drop(first);
    open(dir.path()).unwrap();
}

#[test]
fn a_file_in_the_place_of_the_directory_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = open(file.path()).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
    assert!(error.to_string().contains(&file.path().display().to_string()), "{error}");
}

#[test]
fn a_backup_while_writing_is_one_moment_and_restores() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    fill(&store);
    let mut bytes = Vec::new();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let (mut now, info) = store.load("metals", None).unwrap();
            for v in info.version..info.version + 60 {
                let change: Change = NodeRecord::new(format!("new{v}")).into();
                let next = now.apply(std::slice::from_ref(&change)).unwrap();
                store.commit("metals", v, &[change], &next, CommitMeta::default()).unwrap();
                if v % 20 == 0 {
                    store.compact("metals").unwrap();
                    let _ = store.delete("what-if");
                }
                now = next;
            }
        });
        store.backup(&mut bytes).unwrap();
        writer.join().unwrap();
    });
    let target = tempfile::tempdir().unwrap();
    let restored_dir = target.path().join("restored");
    let info = Store::restore(&restored_dir, &mut bytes.as_slice()).unwrap();
    assert_eq!(info.bytes as usize, bytes.len());
    let restored = open(&restored_dir).unwrap();
    for graph in restored.graphs().unwrap() {
        for version in restored.versions(&graph.name).unwrap() {
            let at = Some(version.version);
            let (network, _) = restored.load(&graph.name, at).unwrap();
            if graph.name == "metals" {
                assert_eq!(lines(&network), lines(&store.load("metals", at).unwrap().0));
            }
        }
    }
    assert_eq!(restored.get_document(DocumentKind::Scenario, "s").unwrap(), Some(vec![7; 30_000]));

    // Not over something else, and not from a damaged backup.
    let error = Store::restore(&restored_dir, &mut bytes.as_slice()).unwrap_err();
    assert!(matches!(error, StoreError::NotEmpty { .. }), "{error}");
    let fresh = target.path().join("fresh");
    for position in (0..bytes.len()).step_by(bytes.len() / 40) {
        let mut bad = bytes.clone();
        bad[position] ^= 4;
        assert!(Store::restore(&fresh, &mut bad.as_slice()).is_err(), "flip at {position}");
        assert!(!fresh.exists());
        assert!(Store::restore(&fresh, &mut &bytes[..position]).is_err(), "cut at {position}");
    }
}

#[test]
fn a_store_of_format_1_opens_for_ever() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/store-format-1");
    if std::env::var_os("WRITE_FIXTURE").is_some() {
        let file = fs::File::create(fixture.with_extension("backup")).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path()).unwrap();
        fill(&store);
        store.backup(&mut &file).unwrap();
        drop(store);
        let _ = fs::remove_dir_all(&fixture);
        copy_dir(dir.path(), &fixture);
    }
    let dir = tempfile::tempdir().unwrap();
    copy_dir(&fixture, dir.path());
    let store = open(dir.path()).unwrap();
    let fresh = Store::in_memory();
    fill(&fresh);
    assert!(content(&store).unwrap() == content(&fresh).unwrap());
    assert!(store.check().unwrap().is_sound());

    let backup = fs::read(fixture.with_extension("backup")).unwrap();
    let target = dir.path().join("restored");
    Store::restore(&target, &mut backup.as_slice()).unwrap();
    assert!(content(&open(&target).unwrap()).unwrap() == content(&fresh).unwrap());
}

#[test]
fn a_large_load_makes_no_blob_files_and_old_bases_give_their_space_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let retention = chokepoint::model::Retention { last: Some(1), ..Default::default() };
    let settings = GraphSettings { retention, ..GraphSettings::default() };
    store.create("g", &settings, 0).unwrap();
    let network = network(60_000);
    store.replace("g", 0, &network, CommitMeta::default()).unwrap();
    // What is in memory and in the journal until then goes to the engine's file.
    drop(store);
    let store = open(dir.path()).unwrap();
    let live = store.disk_bytes().unwrap();
    for version in 1..=10 {
        store.replace("g", version, &network, CommitMeta::default()).unwrap();
    }
    let disk = store.disk_bytes().unwrap();
    assert!(disk < 4 * live, "{live} bytes live, {disk} on disk after ten replacements");
    assert_eq!(fs::read_dir(dir.path().join("blobs")).unwrap().count(), 0);
    assert_eq!(store.versions("g").unwrap().len(), 1);
    assert!(store.check().unwrap().is_sound());
}
