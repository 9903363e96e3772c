//! Stand-in for the store until its branch is merged: everything in memory.
#![allow(missing_docs)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::model::{Change, GraphSettings, Network};

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("there is no graph {0}")]
    NoSuchGraph(String),
    #[error("graph {0} has no version {1}")]
    NoSuchVersion(String, u64),
    #[error("there is already a graph {0}")]
    NameTaken(String),
    #[error("expected version {expected}, but the graph is at {current}")]
    Conflict { expected: u64, current: u64 },
    #[error("the store has failed")]
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    pub nodes: u64,
    pub flows: u64,
    pub requirements: u64,
}

#[derive(Debug, Clone)]
pub struct GraphHead {
    pub name: String,
    pub settings: GraphSettings,
    pub version: u64,
    pub counts: Counts,
    pub forked_from: Option<(String, u64)>,
    pub created_ms: i64,
    pub updated_ms: i64,
}

#[derive(Debug, Clone)]
pub struct VersionInfo {
    pub version: u64,
    pub time_ms: i64,
    pub author: Option<String>,
    pub message: Option<String>,
    pub counts: Counts,
    pub changes: u64,
    pub bulk: bool,
}

#[derive(Debug, Clone, Default)]
pub struct CommitMeta {
    pub author: Option<String>,
    pub message: Option<String>,
    pub time_ms: i64,
}

pub struct Commit<'a> {
    pub name: &'a str,
    pub expected: u64,
    pub changes: &'a [Change],
    pub next: &'a Network,
    pub meta: CommitMeta,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DocumentKind {
    Scenario,
    Answer,
    Job,
    Idempotency,
}

#[derive(Debug, Clone, Default)]
pub struct StoreOptions {
    pub cache_bytes: u64,
}

struct Kept {
    head: GraphHead,
    versions: Vec<(VersionInfo, Network, Option<Vec<Change>>)>,
}

#[derive(Default)]
pub struct Store {
    graphs: Mutex<BTreeMap<String, Kept>>,
    documents: Mutex<BTreeMap<(DocumentKind, String), Vec<u8>>>,
}

fn counts(network: &Network) -> Counts {
    Counts {
        nodes: network.node_count() as u64,
        flows: network.flow_count() as u64,
        requirements: network.requirements.len() as u64,
    }
}

impl Store {
    pub fn open(_dir: &Path, _options: StoreOptions) -> Result<Self, StoreError> {
        Ok(Self::default())
    }
    pub fn in_memory() -> Self {
        Self::default()
    }
    fn with<T>(&self, f: impl FnOnce(&mut BTreeMap<String, Kept>) -> T) -> T {
        f(&mut self.graphs.lock().unwrap_or_else(|e| e.into_inner()))
    }
    pub fn graphs(&self) -> Result<Vec<GraphHead>, StoreError> {
        Ok(self.with(|g| g.values().map(|k| k.head.clone()).collect()))
    }
    pub fn graph(&self, name: &str) -> Result<GraphHead, StoreError> {
        self.with(|g| g.get(name).map(|k| k.head.clone()))
            .ok_or_else(|| StoreError::NoSuchGraph(name.into()))
    }
    pub fn create(
        &self,
        name: &str,
        settings: &GraphSettings,
        time_ms: i64,
    ) -> Result<GraphHead, StoreError> {
        self.with(|g| {
            if g.contains_key(name) {
                return Err(StoreError::NameTaken(name.into()));
            }
            let head = GraphHead {
                name: name.into(),
                settings: settings.clone(),
                version: 0,
                counts: Counts::default(),
                forked_from: None,
                created_ms: time_ms,
                updated_ms: time_ms,
            };
            let info = VersionInfo {
                version: 0,
                time_ms,
                author: None,
                message: None,
                counts: Counts::default(),
                changes: 0,
                bulk: false,
            };
            g.insert(
                name.into(),
                Kept { head: head.clone(), versions: vec![(info, Network::default(), None)] },
            );
            Ok(head)
        })
    }
    pub fn fork(
        &self,
        name: &str,
        settings: &GraphSettings,
        from: &str,
        at: Option<u64>,
        time_ms: i64,
    ) -> Result<GraphHead, StoreError> {
        let (network, info) = self.load(from, at)?;
        let mut head = self.create(name, settings, time_ms)?;
        self.with(|g| {
            let kept = g.get_mut(name).ok_or(StoreError::Failed)?;
            kept.head.forked_from = Some((from.into(), info.version));
            kept.head.counts = info.counts;
            kept.versions[0].0.counts = info.counts;
            kept.versions[0].1 = network;
            head = kept.head.clone();
            Ok(head)
        })
    }
    pub fn update_settings(
        &self,
        name: &str,
        settings: &GraphSettings,
        time_ms: i64,
    ) -> Result<GraphHead, StoreError> {
        self.with(|g| {
            let kept = g.get_mut(name).ok_or_else(|| StoreError::NoSuchGraph(name.into()))?;
            kept.head.settings = settings.clone();
            kept.head.updated_ms = time_ms;
            Ok(kept.head.clone())
        })
    }
    pub fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.with(|g| g.remove(name))
            .map(drop)
            .ok_or_else(|| StoreError::NoSuchGraph(name.into()))
    }
    pub fn load(
        &self,
        name: &str,
        at: Option<u64>,
    ) -> Result<(Network, VersionInfo), StoreError> {
        self.with(|g| {
            let kept = g.get(name).ok_or_else(|| StoreError::NoSuchGraph(name.into()))?;
            let at = at.unwrap_or(kept.head.version);
            kept.versions
                .iter()
                .find(|v| v.0.version == at)
                .map(|v| (v.1.clone(), v.0.clone()))
                .ok_or_else(|| StoreError::NoSuchVersion(name.into(), at))
        })
    }
    fn push(
        &self,
        name: &str,
        expected: u64,
        next: &Network,
        changes: Option<&[Change]>,
        meta: CommitMeta,
    ) -> Result<VersionInfo, StoreError> {
        self.with(|g| {
            let kept = g.get_mut(name).ok_or_else(|| StoreError::NoSuchGraph(name.into()))?;
            if kept.head.version != expected {
                return Err(StoreError::Conflict { expected, current: kept.head.version });
            }
            let info = VersionInfo {
                version: expected + 1,
                time_ms: meta.time_ms,
                author: meta.author,
                message: meta.message,
                counts: counts(next),
                changes: changes.map_or(0, |c| c.len() as u64),
                bulk: changes.is_none(),
            };
            kept.head.version = info.version;
            kept.head.counts = info.counts;
            kept.head.updated_ms = meta.time_ms;
            kept.versions.push((info.clone(), next.clone(), changes.map(<[Change]>::to_vec)));
            Ok(info)
        })
    }
    pub fn commit_all(&self, commits: &[Commit<'_>]) -> Vec<Result<VersionInfo, StoreError>> {
        commits
            .iter()
            .map(|c| self.push(c.name, c.expected, c.next, Some(c.changes), c.meta.clone()))
            .collect()
    }
    pub fn replace(
        &self,
        name: &str,
        expected: u64,
        network: &Network,
        meta: CommitMeta,
    ) -> Result<VersionInfo, StoreError> {
        self.push(name, expected, network, None, meta)
    }
    pub fn versions(&self, name: &str) -> Result<Vec<VersionInfo>, StoreError> {
        self.with(|g| {
            let kept = g.get(name).ok_or_else(|| StoreError::NoSuchGraph(name.into()))?;
            Ok(kept.versions.iter().map(|v| v.0.clone()).collect())
        })
    }
    pub fn put_document(
        &self,
        kind: DocumentKind,
        key: &str,
        value: &[u8],
    ) -> Result<(), StoreError> {
        let mut documents = self.documents.lock().unwrap_or_else(|e| e.into_inner());
        documents.insert((kind, key.into()), value.into());
        Ok(())
    }
    pub fn get_document(
        &self,
        kind: DocumentKind,
        key: &str,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let documents = self.documents.lock().unwrap_or_else(|e| e.into_inner());
        Ok(documents.get(&(kind, key.into())).cloned())
    }
    pub fn delete_document(&self, kind: DocumentKind, key: &str) -> Result<bool, StoreError> {
        let mut documents = self.documents.lock().unwrap_or_else(|e| e.into_inner());
        Ok(documents.remove(&(kind, key.into())).is_some())
    }
    pub fn documents(
        &self,
        kind: DocumentKind,
        prefix: &str,
    ) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let documents = self.documents.lock().unwrap_or_else(|e| e.into_inner());
        Ok(documents
            .iter()
            .filter(|((k, key), _)| *k == kind && key.starts_with(prefix))
            .map(|((_, key), value)| (key.clone(), value.clone()))
            .collect())
    }
    pub fn is_failed(&self) -> bool {
        false
    }
    pub fn disk_bytes(&self) -> Result<u64, StoreError> {
        Ok(0)
    }
}
