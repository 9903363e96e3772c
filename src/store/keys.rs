//! The keys of the one tree. First byte: kind. Numbers are big endian, so that keys sort by number.
//!
//! | kind | key | value |
//! |---|---|---|
//! | `M` meta | `M` | format of the store, time of creation |
//! | `G` graph | `G` graph:u32 | name, settings, where it was forked from, time of creation |
//! | `H` head | `H` graph:u32 | newest version, its chain hash, time of the last change |
//! | `V` version | `V` graph:u32 version:u64 | time, author, message, counts, base, chain hash |
//! | `L` log | `L` graph:u32 version:u64 | the changes of the version in compact binary |
//! | `B` base | `B` base:u64 | counts, sizes and hashes of a base |
//! | `Y` dictionary | `Y` base:u64 | symbols and figure descriptions of a base |
//! | `Q` requirements | `Q` base:u64 | requirements of a base |
//! | `S` segment | `S` base:u64 segment:u32 | 32 nodes with their attributes and outgoing flows |
//! | `R` reference | `R` base:u64 graph:u32 | the graph needs the base (forks share bases) |
//! | `P` pending | `P` what ... | to be deleted in the background: a base, a graph, log records |
//! | `T` tip | `T` | number of the last batch (written by the sled engine) |
//! | `D` document | `D` kind:u8 key 0 | a small document |
//!
//! A part number (u32) follows each key: values longer than 7 KiB are stored in parts.

use super::documents::DocumentKind;

pub(super) const META: u8 = b'M';
pub(super) const GRAPH: u8 = b'G';
pub(super) const HEAD: u8 = b'H';
pub(super) const VERSION: u8 = b'V';
pub(super) const LOG: u8 = b'L';
pub(super) const BASE: u8 = b'B';
pub(super) const DICTIONARY: u8 = b'Y';
pub(super) const REQUIREMENTS: u8 = b'Q';
pub(super) const SEGMENT: u8 = b'S';
pub(super) const REFERENCE: u8 = b'R';
pub(super) const PENDING: u8 = b'P';
pub(super) const TIP: u8 = b'T';
pub(super) const DOCUMENT: u8 = b'D';

/// What is still to be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pending {
    /// A base that nothing refers to (or that is not complete yet).
    Base(u64),
    /// Versions, log and head of a deleted graph.
    Graph(u32),
    /// Log records of the versions `from..to` of a graph.
    Log { graph: u32, from: u64, to: u64 },
}

fn key(kind: u8, groups: &[&[u8]]) -> Vec<u8> {
    let mut key = vec![kind];
    groups.iter().for_each(|g| key.extend_from_slice(g));
    key
}

pub(super) fn meta() -> Vec<u8> {
    key(META, &[])
}

pub(super) fn tip() -> Vec<u8> {
    key(TIP, &[])
}

/// `G`, `H`, `V` or `L` of one graph: a key or a prefix.
pub(super) fn of_graph(kind: u8, graph: u32) -> Vec<u8> {
    key(kind, &[&graph.to_be_bytes()])
}

/// `V` or `L` of one version.
pub(super) fn of_version(kind: u8, graph: u32, version: u64) -> Vec<u8> {
    key(kind, &[&graph.to_be_bytes(), &version.to_be_bytes()])
}

/// `B`, `Y`, `Q`, `S` or `R` of one base: a key or a prefix.
pub(super) fn of_base(kind: u8, base: u64) -> Vec<u8> {
    key(kind, &[&base.to_be_bytes()])
}

pub(super) fn segment(base: u64, segment: u32) -> Vec<u8> {
    key(SEGMENT, &[&base.to_be_bytes(), &segment.to_be_bytes()])
}

pub(super) fn reference(base: u64, graph: u32) -> Vec<u8> {
    key(REFERENCE, &[&base.to_be_bytes(), &graph.to_be_bytes()])
}

pub(super) fn pending(what: Pending) -> Vec<u8> {
    match what {
        Pending::Base(base) => key(PENDING, &[b"b", &base.to_be_bytes()]),
        Pending::Graph(graph) => key(PENDING, &[b"g", &graph.to_be_bytes()]),
        Pending::Log { graph, from, to } => {
            key(PENDING, &[b"l", &graph.to_be_bytes(), &from.to_be_bytes(), &to.to_be_bytes()])
        }
    }
}

pub(super) fn document(kind: DocumentKind, name: &str) -> Vec<u8> {
    key(DOCUMENT, &[&[kind.code()], name.as_bytes(), &[0]])
}

/// Reads fixed-width numbers out of a key.
pub(super) struct KeyReader<'a>(&'a [u8]);

impl<'a> KeyReader<'a> {
    /// Behind the kind byte of `key`.
    pub(super) fn new(key: &'a [u8]) -> Self {
        Self(key.get(1..).unwrap_or_default())
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*head))
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_be_bytes(*head))
    }
}

/// What a pending key asks for.
pub(super) fn parse_pending(key: &[u8]) -> Option<Pending> {
    let mut reader = KeyReader::new(key);
    match reader.u8()? {
        b'b' => Some(Pending::Base(reader.u64()?)),
        b'g' => Some(Pending::Graph(reader.u32()?)),
        b'l' => Some(Pending::Log { graph: reader.u32()?, from: reader.u64()?, to: reader.u64()? }),
        _ => None,
    }
}

/// A key in words, for messages.
pub(super) fn describe(key: &[u8]) -> String {
    let mut r = KeyReader::new(key);
    let known = match key.first().copied() {
        Some(META) => Some("M (meta)".to_owned()),
        Some(TIP) => Some("T (tip)".to_owned()),
        Some(GRAPH) => r.u32().map(|g| format!("G (graph {g})")),
        Some(HEAD) => r.u32().map(|g| format!("H (head of graph {g})")),
        Some(VERSION) => r.u32().zip(r.u64()).map(|(g, v)| format!("V (version {v} of graph {g})")),
        Some(LOG) => r.u32().zip(r.u64()).map(|(g, v)| format!("L (log {v} of graph {g})")),
        Some(BASE) => r.u64().map(|b| format!("B (base {b})")),
        Some(DICTIONARY) => r.u64().map(|b| format!("Y (dictionary of base {b})")),
        Some(REQUIREMENTS) => r.u64().map(|b| format!("Q (requirements of base {b})")),
        Some(SEGMENT) => r.u64().zip(r.u32()).map(|(b, s)| format!("S (segment {s} of base {b})")),
        Some(REFERENCE) => {
            r.u64().zip(r.u32()).map(|(b, g)| format!("R (reference to base {b} of graph {g})"))
        }
        Some(DOCUMENT) => {
            Some(format!("D ({})", String::from_utf8_lossy(key.get(1..).unwrap_or_default())))
        }
        _ => None,
    };
    known.unwrap_or_else(|| format!("{key:02x?}"))
}
