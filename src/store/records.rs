//! The small records: graphs, heads, versions.

use super::bytes::{Malformed, Put, Reader};
use super::error::StoreError;
use super::kv::{Batch, Kv, prefix_end};
use super::{frame, keys};
use crate::model::network::{Network, RecordCounts};
use crate::model::settings::GraphSettings;

/// How many nodes, flows and requirements a version has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Counts {
    /// Nodes.
    pub nodes: u64,
    /// Flows.
    pub flows: u64,
    /// Requirements.
    pub requirements: u64,
}

impl From<RecordCounts> for Counts {
    fn from(counts: RecordCounts) -> Self {
        let RecordCounts { nodes, flows, requirements } = counts;
        Self { nodes, flows, requirements }
    }
}

impl Counts {
    /// The counts of a network.
    pub fn of(network: &Network) -> Self {
        Self {
            nodes: network.node_count() as u64,
            flows: network.flow_count() as u64,
            requirements: network.requirements.len() as u64,
        }
    }

    /// All records together.
    pub fn total(&self) -> u64 {
        self.nodes + self.flows + self.requirements
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        [self.nodes, self.flows, self.requirements].into_iter().for_each(|n| out.put_varint(n));
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self { nodes: r.varint()?, flows: r.varint()?, requirements: r.varint()? })
    }
}

/// A graph as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphHead {
    /// Name.
    pub name: String,
    /// Title and defaults.
    pub settings: GraphSettings,
    /// Newest version.
    pub version: u64,
    /// Counts of the newest version.
    pub counts: Counts,
    /// Graph and version that it started from.
    pub forked_from: Option<(String, u64)>,
    /// Time of creation, milliseconds since 1970 UTC.
    pub created_ms: i64,
    /// Time of the last commit or change of settings, milliseconds since 1970 UTC.
    pub updated_ms: i64,
}

/// One entry of the commit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionInfo {
    /// Version; 0 is the graph as created.
    pub version: u64,
    /// Time of the commit, milliseconds since 1970 UTC.
    pub time_ms: i64,
    /// Who made it.
    pub author: Option<String>,
    /// Why.
    pub message: Option<String>,
    /// Counts after it.
    pub counts: Counts,
    /// Changes applied; for a bulk version the records written.
    pub changes: u64,
    /// True if the version replaced everything (or is a fork's start), so that it has no list of
    /// changes.
    pub bulk: bool,
}

/// A version and where its content is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct VersionRow {
    pub(super) info: VersionInfo,
    /// Base to start from.
    pub(super) base: u64,
    /// First version whose log is applied to the base; beyond `version` if the base is all.
    pub(super) log_from: u64,
    /// Bytes of this version's log record.
    pub(super) log_bytes: u64,
    /// Bytes of all log records from `log_from` to here.
    pub(super) replay_bytes: u64,
    /// Hash chained over everything that made this version.
    pub(super) chain: u128,
}

/// What the store remembers of each graph.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) id: u32,
    pub(super) head: GraphHead,
    /// Row of the newest version.
    pub(super) row: VersionRow,
}

impl VersionRow {
    pub(super) fn put(&self, batch: &mut Batch, graph: u32) {
        let key = keys::of_version(keys::VERSION, graph, self.info.version);
        frame::put_parts(batch, &key, &self.encode());
    }

    fn encode(&self) -> Vec<u8> {
        let info = &self.info;
        let mut out = Vec::with_capacity(96);
        out.put_varint(info.version);
        out.put_signed(info.time_ms);
        out.put_option(info.author.as_deref(), |o, t| o.put_str(t));
        out.put_option(info.message.as_deref(), |o, t| o.put_str(t));
        info.counts.put(&mut out);
        out.put_varint(info.changes);
        out.push(info.bulk.into());
        for number in [self.base, self.log_from, self.log_bytes, self.replay_bytes] {
            out.put_varint(number);
        }
        out.extend_from_slice(&self.chain.to_le_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let row = Self {
            info: VersionInfo {
                version: r.varint()?,
                time_ms: r.signed()?,
                author: r.option(Reader::string)?,
                message: r.option(Reader::string)?,
                counts: Counts::read(&mut r)?,
                changes: r.varint()?,
                bulk: r.u8()? != 0,
            },
            base: r.varint()?,
            log_from: r.varint()?,
            log_bytes: r.varint()?,
            replay_bytes: r.varint()?,
            chain: r.u128()?,
        };
        r.end()?;
        Ok(row)
    }

    /// The row of one version, if it is kept.
    pub(super) fn load(kv: &dyn Kv, graph: u32, version: u64) -> Result<Option<Self>, StoreError> {
        let key = keys::of_version(keys::VERSION, graph, version);
        let Some(bytes) = frame::read_parts(kv, &key)? else { return Ok(None) };
        Self::from_stored(graph, &bytes).map(Some)
    }

    /// The rows of all versions that are kept, oldest first.
    pub(super) fn load_all(kv: &dyn Kv, graph: u32) -> Result<Vec<Self>, StoreError> {
        let mut rows = Vec::new();
        let prefix = keys::of_graph(keys::VERSION, graph);
        frame::scan_whole(kv, &prefix, prefix_end(&prefix).as_deref(), |_, bytes| {
            rows.push(Self::from_stored(graph, bytes)?);
            Ok(())
        })?;
        Ok(rows)
    }

    fn from_stored(graph: u32, bytes: &[u8]) -> Result<Self, StoreError> {
        Self::decode(bytes).map_err(|Malformed| {
            StoreError::corrupt(format!("a version record of graph number {graph}"))
        })
    }
}

/// Writes the `G` record: what rarely changes.
pub(super) fn put_graph(batch: &mut Batch, id: u32, head: &GraphHead) -> Result<(), StoreError> {
    let mut out = Vec::new();
    out.put_str(&head.name);
    let settings = serde_json::to_string(&head.settings).map_err(|e| StoreError::BadName {
        what: format!("the settings of \"{}\"", head.name),
        problem: e.to_string(),
    })?;
    out.put_str(&settings);
    out.put_option(head.forked_from.as_ref(), |o, (name, version)| {
        o.put_str(name);
        o.put_varint(*version);
    });
    out.put_signed(head.created_ms);
    frame::put_parts(batch, &keys::of_graph(keys::GRAPH, id), &out);
    Ok(())
}

/// Writes the `H` record: what every commit changes.
pub(super) fn put_head(batch: &mut Batch, id: u32, head: &GraphHead, chain: u128) {
    let mut out = Vec::with_capacity(32);
    out.put_varint(head.version);
    out.put_signed(head.updated_ms);
    out.extend_from_slice(&chain.to_le_bytes());
    frame::put_parts(batch, &keys::of_graph(keys::HEAD, id), &out);
}

/// Reads a graph's head from its records.
pub(super) fn load_entry(kv: &dyn Kv, id: u32, graph: &[u8]) -> Result<Entry, StoreError> {
    let mut r = Reader::new(graph);
    let parsed = (|| {
        let name = r.string()?;
        let settings = serde_json::from_str(r.str()?).map_err(|_| Malformed)?;
        let forked_from = r.option(|r| Ok((r.string()?, r.varint()?)))?;
        Ok::<_, Malformed>((name, settings, forked_from, r.signed()?))
    })();
    let (name, settings, forked_from, created_ms) = parsed
        .map_err(|Malformed| StoreError::corrupt(format!("the record of graph number {id}")))?;
    let damaged = |part: &str| StoreError::corrupt(format!("{part} of graph \"{name}\""));
    let head = frame::read_parts(kv, &keys::of_graph(keys::HEAD, id))?
        .ok_or_else(|| damaged("the head record"))?;
    let mut r = Reader::new(&head);
    let (version, updated_ms, chain) =
        (|| Ok::<_, Malformed>((r.varint()?, r.signed()?, r.u128()?)))()
            .map_err(|Malformed| damaged("the head record"))?;
    let row = VersionRow::load(kv, id, version)?
        .filter(|row| row.chain == chain && row.info.version == version)
        .ok_or_else(|| damaged(&format!("the record of version {version}, the newest,")))?;
    let head = GraphHead {
        settings,
        version,
        counts: row.info.counts,
        forked_from,
        created_ms,
        updated_ms,
        name,
    };
    Ok(Entry { id, head, row })
}
