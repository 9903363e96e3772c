//! Commits: one durable batch for any number of them.

use std::collections::BTreeMap;

use super::documents::{self, DocumentKind};
use super::error::StoreError;
use super::kv::Batch;
use super::records::{self, Counts, Entry, VersionInfo, VersionRow};
use super::{Store, frame, held, keys, log};
use crate::model::change::Change;
use crate::model::network::Network;

/// Most bytes that the log record of one commit may take.
const MAX_LOG_BYTES: usize = 256 << 20;

/// Who commits, why and when.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CommitMeta {
    /// Who.
    pub author: Option<String>,
    /// Why.
    pub message: Option<String>,
    /// When, milliseconds since 1970 UTC.
    pub time_ms: i64,
}

/// One commit of a group.
#[derive(Debug, Clone)]
pub struct Commit<'a> {
    /// Graph.
    pub name: &'a str,
    /// Version that the changes were applied to.
    pub expected: u64,
    /// The changes.
    pub changes: &'a [Change],
    /// Records after them.
    pub counts: Counts,
    /// Who, why, when.
    pub meta: CommitMeta,
    /// Documents that become visible with the commit or not at all (kind, key, value): the answer
    /// to repeat for an idempotency key, an audit entry.
    pub documents: Vec<(DocumentKind, &'a str, &'a [u8])>,
}

impl Store {
    /// Makes one new version. Durable when it returns.
    ///
    /// `next` is the network after `changes`; `expected` is the version they were applied to.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the graph is at another version, [`StoreError::NoSuchGraph`],
    /// or the write failed.
    pub fn commit(
        &self,
        name: &str,
        expected: u64,
        changes: &[Change],
        next: &Network,
        meta: CommitMeta,
    ) -> Result<VersionInfo, StoreError> {
        let counts = Counts::of(next);
        let commit = Commit { name, expected, changes, counts, meta, documents: Vec::new() };
        let failed = || Err(StoreError::Failed);
        self.commit_all(std::slice::from_ref(&commit)).pop().unwrap_or_else(failed)
    }

    /// Makes many new versions, of any graphs, with one sync (group commit). Commits of one graph
    /// build on each other in the order given. Each has its own result; all that succeed are
    /// durable when it returns.
    pub fn commit_all(&self, commits: &[Commit<'_>]) -> Vec<Result<VersionInfo, StoreError>> {
        let _writer = self.lock_writer();
        let _documents = held(self.documents.lock());
        let mut batch = Batch::default();
        let mut heads: BTreeMap<&str, Entry> = BTreeMap::new();
        let results: Vec<_> =
            commits.iter().map(|commit| self.stage(&mut batch, &mut heads, commit)).collect();
        if heads.is_empty() {
            return results;
        }
        for entry in heads.values() {
            records::put_head(&mut batch, entry.id, &entry.head, entry.row.chain);
        }
        match self.write(batch) {
            Ok(()) => {
                let mut current = held(self.heads.write());
                for (name, entry) in heads {
                    current.insert(name.to_owned(), entry);
                }
                results
            }
            Err(error) => results.into_iter().map(|r| r.and_then(|_| Err(error.clone()))).collect(),
        }
    }

    /// Adds one commit to the batch, on top of what `heads` says the batch already did.
    fn stage<'a>(
        &self,
        batch: &mut Batch,
        heads: &mut BTreeMap<&'a str, Entry>,
        commit: &Commit<'a>,
    ) -> Result<VersionInfo, StoreError> {
        let mut entry = match heads.get(commit.name) {
            Some(entry) => entry.clone(),
            None => self.entry(commit.name)?,
        };
        check_expected(&entry, commit.expected)?;
        let changes = log::encode_batch(commit.changes);
        if changes.len() > MAX_LOG_BYTES {
            return Err(StoreError::TooLarge {
                what: format!("a batch of {} changes", commit.changes.len()),
                bytes: changes.len() as u64,
                limit: MAX_LOG_BYTES as u64,
            });
        }
        // Whole in a batch of its own first: a failure leaves nothing of it in the group's.
        let mut own = Batch::default();
        for (kind, key, value) in &commit.documents {
            documents::check(*kind, key, value)?;
            own.forget(&keys::document(*kind, key));
            self.stage_document(&mut own, *kind, key, value)?;
        }
        let mut record = Vec::with_capacity(changes.len() + 5);
        log::append_batch(&mut record, &changes);
        let version = commit.expected + 1;
        entry.row = VersionRow {
            info: VersionInfo {
                version,
                time_ms: commit.meta.time_ms,
                author: commit.meta.author.clone(),
                message: commit.meta.message.clone(),
                counts: commit.counts,
                changes: commit.changes.len() as u64,
                bulk: false,
            },
            base: entry.row.base,
            log_from: entry.row.log_from,
            log_bytes: record.len() as u64,
            replay_bytes: entry.row.replay_bytes + record.len() as u64,
            chain: log::chain(entry.row.chain, &changes),
        };
        frame::put_parts(&mut own, &keys::of_version(keys::LOG, entry.id, version), &record);
        entry.row.put(&mut own, entry.id);
        for (kind, key, _) in &commit.documents {
            batch.forget(&keys::document(*kind, key));
        }
        batch.append(own);
        entry.head.version = version;
        entry.head.counts = entry.row.info.counts;
        entry.head.updated_ms = commit.meta.time_ms;
        let info = entry.row.info.clone();
        heads.insert(commit.name, entry);
        Ok(info)
    }
}

/// Refuses a write that was made for another version.
pub(super) fn check_expected(entry: &Entry, expected: u64) -> Result<(), StoreError> {
    if entry.head.version == expected {
        return Ok(());
    }
    Err(StoreError::Conflict {
        graph: entry.head.name.clone(),
        expected,
        current: entry.head.version,
    })
}
