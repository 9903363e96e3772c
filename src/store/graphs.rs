//! The catalogue: create, fork, settings, delete.

use std::collections::BTreeMap;

use super::base::EMPTY_BASE;
use super::error::StoreError;
use super::keys::{KeyReader, Pending};
use super::kv::{Batch, prefix_end};
use super::records::{self, Counts, Entry, GraphHead, VersionInfo, VersionRow};
use super::{Store, base, frame, held, keys, log};
use crate::model::settings::GraphSettings;

/// Longest name of a graph, in bytes.
const MAX_GRAPH_NAME_BYTES: usize = 512;
/// A fork copies the log between its base and its start up to this size; beyond it gets a base of
/// its own.
const MAX_COPIED_LOG_BYTES: u64 = 4 << 20;

impl Store {
    /// Reads the heads of all graphs, and the numbers in use.
    pub(super) fn read_heads(&mut self, salvage: bool) -> Result<(), StoreError> {
        let mut graphs = Vec::new();
        let prefix = [keys::GRAPH];
        frame::scan_whole(&*self.kv, &prefix, prefix_end(&prefix).as_deref(), |key, bytes| {
            let id = KeyReader::new(key).u32().unwrap_or_default();
            graphs.push((id, bytes.to_vec()));
            Ok(())
        })?;
        let mut heads = BTreeMap::new();
        let numbers = held(self.writer.get_mut());
        for (id, bytes) in graphs {
            numbers.graph = numbers.graph.max(id + 1);
            let entry = match records::load_entry(&*self.kv, id, &bytes) {
                Err(StoreError::Corrupt { what, .. }) if salvage => {
                    self.damaged.push(what);
                    continue;
                }
                other => other?,
            };
            if let Some(twin) = heads.insert(entry.head.name.clone(), entry) {
                let name = twin.head.name;
                return Err(StoreError::corrupt(format!("there are two graphs \"{name}\"")));
            }
        }
        self.kv.scan_prefix(&[keys::BASE], &mut |key, _| {
            numbers.base = numbers.base.max(KeyReader::new(key).u64().unwrap_or(0) + 1);
            Ok(true)
        })?;
        self.kv.scan_prefix(&[keys::PENDING], &mut |key, _| {
            match keys::parse_pending(key) {
                Some(Pending::Base(base)) => numbers.base = numbers.base.max(base + 1),
                Some(Pending::Graph(graph) | Pending::Log { graph, .. }) => {
                    numbers.graph = numbers.graph.max(graph + 1);
                }
                None => {}
            }
            Ok(true)
        })?;
        *held(self.heads.get_mut()) = heads;
        Ok(())
    }

    /// All graphs, by name.
    ///
    /// # Errors
    /// None today; reading may come to need the disk.
    pub fn graphs(&self) -> Result<Vec<GraphHead>, StoreError> {
        Ok(self.heads().values().map(|e| e.head.clone()).collect())
    }

    /// One graph.
    ///
    /// # Errors
    /// [`StoreError::NoSuchGraph`].
    pub fn graph(&self, name: &str) -> Result<GraphHead, StoreError> {
        self.entry(name).map(|e| e.head)
    }

    /// Creates an empty graph: its version 0.
    ///
    /// # Errors
    /// The name is taken or cannot be used, or the write failed.
    pub fn create(
        &self,
        name: &str,
        settings: &GraphSettings,
        time_ms: i64,
    ) -> Result<GraphHead, StoreError> {
        let row = VersionRow {
            info: VersionInfo {
                version: 0,
                time_ms,
                author: None,
                message: None,
                counts: Counts::default(),
                changes: 0,
                bulk: false,
            },
            base: EMPTY_BASE,
            log_from: 1,
            log_bytes: 0,
            replay_bytes: 0,
            chain: 0,
        };
        let mut numbers = self.lock_writer();
        self.start(&mut numbers, name, settings, None, row, Batch::default())
    }

    /// Starts a graph from a version of another (the newest, unless `at` is given). It shares the
    /// base; later changes of either do not touch the other.
    ///
    /// # Errors
    /// The source or its version is not there, the name is taken, or the write failed.
    pub fn fork(
        &self,
        name: &str,
        settings: &GraphSettings,
        from: &str,
        at: Option<u64>,
        time_ms: i64,
    ) -> Result<GraphHead, StoreError> {
        let mut numbers = self.lock_writer();
        self.check_free(name)?;
        let source = self.entry(from)?;
        let version = at.unwrap_or(source.head.version);
        let origin = self.row(&source, version)?;
        let mut row = VersionRow {
            info: VersionInfo {
                version: 0,
                time_ms,
                author: None,
                message: Some(format!("fork of {from} at version {version}")),
                changes: 0,
                bulk: true,
                ..origin.info
            },
            log_from: 1,
            log_bytes: 0,
            replay_bytes: 0,
            ..origin
        };
        let mut batch = Batch::default();
        if origin.replay_bytes > MAX_COPIED_LOG_BYTES {
            let (network, _) = self.load(from, Some(version))?;
            let number = self.new_base(&mut numbers)?;
            let mut header = self.writing(|| base::write_base(&*self.kv, number, &network))?;
            header.chain = log::chain(origin.chain, &header.content_hash().to_le_bytes());
            row.chain = header.chain;
            row.base = number;
            self.adopt_base(&mut batch, number, &header);
            let result = self.start_fork(&mut numbers, name, settings, from, version, row, batch);
            self.built(number, result.is_ok());
            return result;
        }
        if origin.replay_bytes > 0 {
            let mut copied = Vec::with_capacity(origin.replay_bytes as usize);
            self.log_records(source.id, origin.log_from, version, |_, record| {
                copied.extend_from_slice(record);
                Ok(())
            })?;
            row.log_from = 0;
            row.log_bytes = copied.len() as u64;
            row.replay_bytes = row.log_bytes;
            frame::put_parts(&mut batch, &keys::of_version(keys::LOG, numbers.graph, 0), &copied);
        }
        self.start_fork(&mut numbers, name, settings, from, version, row, batch)
    }

    #[expect(clippy::too_many_arguments, reason = "one call for both kinds of fork")]
    fn start_fork(
        &self,
        numbers: &mut super::Numbers,
        name: &str,
        settings: &GraphSettings,
        from: &str,
        version: u64,
        row: VersionRow,
        batch: Batch,
    ) -> Result<GraphHead, StoreError> {
        self.start(numbers, name, settings, Some((from.to_owned(), version)), row, batch)
    }

    /// Writes the records of a new graph whose version 0 is `row`.
    fn start(
        &self,
        numbers: &mut super::Numbers,
        name: &str,
        settings: &GraphSettings,
        forked_from: Option<(String, u64)>,
        row: VersionRow,
        mut batch: Batch,
    ) -> Result<GraphHead, StoreError> {
        self.check_free(name)?;
        let id = numbers.graph;
        let time_ms = row.info.time_ms;
        let head = GraphHead {
            name: name.to_owned(),
            settings: settings.clone(),
            version: 0,
            counts: row.info.counts,
            forked_from,
            created_ms: time_ms,
            updated_ms: time_ms,
        };
        records::put_graph(&mut batch, id, &head)?;
        records::put_head(&mut batch, id, &head, row.chain);
        row.put(&mut batch, id);
        if row.base != EMPTY_BASE {
            frame::put_parts(&mut batch, &keys::reference(row.base, id), &[]);
        }
        self.write(batch)?;
        numbers.graph += 1;
        let entry = Entry { id, head: head.clone(), row };
        held(self.heads.write()).insert(name.to_owned(), entry);
        Ok(head)
    }

    fn check_free(&self, name: &str) -> Result<(), StoreError> {
        let bad = |problem: &str| {
            let what = format!("the graph name \"{}\"", name.escape_debug());
            Err(StoreError::BadName { what, problem: problem.into() })
        };
        if name.is_empty() {
            return bad("it is empty");
        }
        if name.len() > MAX_GRAPH_NAME_BYTES {
            return bad("it is longer than 512 bytes");
        }
        if name.chars().any(char::is_control) {
            return bad("it holds a control character");
        }
        if self.heads().contains_key(name) {
            return Err(StoreError::NameTaken { name: name.to_owned() });
        }
        Ok(())
    }

    /// Replaces title and defaults. Not a version: the network stays as it is.
    ///
    /// # Errors
    /// [`StoreError::NoSuchGraph`], or the write failed.
    pub fn update_settings(
        &self,
        name: &str,
        settings: &GraphSettings,
        time_ms: i64,
    ) -> Result<GraphHead, StoreError> {
        let _writer = self.lock_writer();
        let mut entry = self.entry(name)?;
        entry.head.settings = settings.clone();
        entry.head.updated_ms = time_ms;
        let mut batch = Batch::default();
        let graph = keys::of_graph(keys::GRAPH, entry.id);
        self.delete_parts(&mut batch, &graph)?;
        records::put_graph(&mut batch, entry.id, &entry.head)?;
        records::put_head(&mut batch, entry.id, &entry.head, entry.row.chain);
        self.write(batch)?;
        let head = entry.head.clone();
        held(self.heads.write()).insert(name.to_owned(), entry);
        Ok(head)
    }

    /// Deletes a graph and its versions. A base that a fork shares stays.
    ///
    /// # Errors
    /// [`StoreError::NoSuchGraph`], or the write failed.
    pub fn delete(&self, name: &str) -> Result<(), StoreError> {
        {
            let _writer = self.lock_writer();
            let entry = self.entry(name)?;
            let rows = VersionRow::load_all(&*self.kv, entry.id)?;
            let mut batch = Batch::default();
            self.delete_parts(&mut batch, &keys::of_graph(keys::GRAPH, entry.id))?;
            frame::put_parts(&mut batch, &keys::pending(Pending::Graph(entry.id)), &[]);
            for base in rows.iter().map(|r| r.base).collect::<std::collections::BTreeSet<_>>() {
                self.release_base(&mut batch, base, entry.id)?;
            }
            self.write(batch)?;
            held(self.heads.write()).remove(name);
        }
        self.collect_garbage();
        Ok(())
    }
}
