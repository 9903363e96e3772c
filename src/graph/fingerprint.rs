//! A hash of a graph's content that follows small changes without reading the rest.
//!
//! Each row has a hash over what users see of it (ids, not indices), so rows that only move keep
//! theirs. The sum of them, modulo 2^64, does not depend on an order: an edit takes the old rows
//! off and adds the new ones.

use rayon::prelude::*;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::Snapshot;
use crate::model::Symbol;
use crate::model::network::{FigureColumn, FigureMeta};
use crate::model::record::Attributes;

/// Rows hashed by one thread at a time.
const CHUNK: usize = 1 << 14;

/// What starts the hash of a row of each table.
const NODE: u8 = 1;
const FLOW: u8 = 2;
const REQUIREMENT: u8 = 3;

/// Hashes of names, computed once where all rows are read.
enum Names<'a> {
    One(&'a Snapshot),
    All { symbols: Vec<u64>, nodes: Vec<u64> },
}

fn text(text: &str) -> u64 {
    xxh3_64(text.as_bytes())
}

impl Names<'_> {
    fn symbol(&self, symbol: Symbol) -> u64 {
        match self {
            Self::One(snapshot) => text(snapshot.name(symbol)),
            Self::All { symbols, .. } => symbols[symbol.0 as usize],
        }
    }

    fn node(&self, node: u32) -> u64 {
        match self {
            Self::One(snapshot) => text(snapshot.id(node)),
            Self::All { nodes, .. } => nodes[node as usize],
        }
    }
}

/// Most bytes that describe a row: ids and attributes count as their hashes.
const ROW_BYTES: usize = 256;

/// A hash over a few numbers.
struct Row {
    bytes: [u8; ROW_BYTES],
    len: usize,
}

impl Row {
    fn new(kind: u8) -> Self {
        let mut row = Self { bytes: [0; ROW_BYTES], len: 0 };
        row.byte(kind);
        row
    }

    fn byte(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    fn put(&mut self, number: u64) {
        self.bytes[self.len..self.len + 8].copy_from_slice(&number.to_le_bytes());
        self.len += 8;
    }

    fn figure(&mut self, names: &Names<'_>, column: &FigureColumn, row: usize) {
        let Some(value) = column.get(row) else { return self.byte(0) };
        self.put(value.to_bits());
        let meta = column.meta(row);
        if meta != FigureMeta::default() {
            self.put(names.symbol(meta.unit));
            self.put(names.symbol(meta.source));
            self.put(meta.year.map_or(u64::MAX, |year| year as u32 as u64));
            self.byte(meta.class.map_or(0, |class| class as u8 + 1));
        }
        if let Some((low, high)) = column.range(row) {
            for end in [low, high] {
                self.put(end.unwrap_or(f64::NAN).to_bits());
            }
        }
    }

    fn attributes(&mut self, attributes: Option<&Attributes>) {
        if let Some(attributes) = attributes {
            self.put(text(&format!("{attributes:?}")));
        }
    }

    fn hash(&self) -> u64 {
        xxh3_64(&self.bytes[..self.len])
    }
}

impl Snapshot {
    /// A hash of everything that an analysis can depend on (computed at first use, then kept up to
    /// date by edits): equal for equal graphs, whatever the order in which their rows came.
    pub fn fingerprint(&self) -> u64 {
        let rows = self.row_sum();
        *self.fingerprint.get_or_init(|| {
            let settings = &self.info.settings;
            let mut hash = Xxh3::new();
            hash.update(&rows.to_le_bytes());
            hash.update(format!("{:?} {:?}", settings.rationing, settings.stock_days).as_bytes());
            hash.digest()
        })
    }

    /// Not computed inside its cell: a thread of a pool that waits for parts of its work takes up
    /// other work meanwhile, which may ask the same, and would wait for itself.
    fn row_sum(&self) -> u64 {
        if let Some(&sum) = self.row_sum.get() {
            return sum;
        }
        let sum = self.sum_of_rows();
        *self.row_sum.get_or_init(|| sum)
    }

    fn sum_of_rows(&self) -> u64 {
        let network = &self.network;
        let names = Names::All {
            symbols: network.symbols.iter().map(|(_, name)| text(name)).collect(),
            nodes: network.nodes.ids.iter().map(text).collect(),
        };
        let sum = |len: usize, hash: &(dyn Fn(usize) -> u64 + Sync)| {
            (0..len.div_ceil(CHUNK))
                .into_par_iter()
                .map(|chunk| {
                    let rows = chunk * CHUNK..len.min((chunk + 1) * CHUNK);
                    rows.map(hash).fold(0, u64::wrapping_add)
                })
                .reduce(|| 0, u64::wrapping_add)
        };
        sum(self.node_count(), &|v| self.node_hash(&names, v as u32))
            .wrapping_add(sum(self.flow_count(), &|e| self.flow_hash(&names, e)))
            .wrapping_add(sum(network.requirements.len(), &|r| self.requirement_hash(r)))
    }

    /// Sum of the hashes of some rows.
    pub(super) fn sum_of(
        &self,
        nodes: impl Iterator<Item = u32>,
        flows: impl Iterator<Item = usize>,
        requirements: impl Iterator<Item = usize>,
    ) -> u64 {
        let names = Names::One(self);
        nodes
            .map(|v| self.node_hash(&names, v))
            .chain(flows.map(|e| self.flow_hash(&names, e)))
            .chain(requirements.map(|r| self.requirement_hash(r)))
            .fold(0, u64::wrapping_add)
    }

    fn node_hash(&self, names: &Names<'_>, v: u32) -> u64 {
        let nodes = &self.network.nodes;
        let mut row = Row::new(NODE);
        row.put(names.node(v));
        for symbol in [self.product(v), self.stage(v), self.country(v)] {
            row.put(names.symbol(symbol));
        }
        for column in [&nodes.output, &nodes.capacity, &nodes.stock_days] {
            row.figure(names, column, v as usize);
        }
        row.attributes(nodes.attributes.get(&v));
        row.hash()
    }

    fn flow_hash(&self, names: &Names<'_>, e: usize) -> u64 {
        let flows = &self.network.flows;
        let mut row = Row::new(FLOW);
        row.put(names.node(flows.from[e]));
        row.put(names.node(flows.to[e]));
        row.put(names.symbol(flows.product[e]));
        for column in [&flows.quantity, &flows.capacity, &flows.lead_days] {
            row.figure(names, column, e);
        }
        row.byte(flows.joint.contains(&(e as u32)).into());
        row.attributes(flows.attributes.get(&(e as u32)));
        row.hash()
    }

    fn requirement_hash(&self, r: usize) -> u64 {
        let mut row = Row::new(REQUIREMENT);
        row.put(text(&format!("{:?}", self.network.requirement_record(r))));
        row.hash()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};
    use std::time::Duration;

    use super::*;
    use crate::graph::SnapshotInfo;
    use crate::model::{FlowRecord, NetworkBuilder, NodeRecord};

    /// Questions about a graph that was just loaded all begin with its fingerprint, on one pool.
    #[test]
    fn a_thread_that_waits_for_a_part_of_the_hash_may_be_asked_for_it_again() {
        const THREADS: usize = 2;
        let pool = rayon::ThreadPoolBuilder::new().num_threads(THREADS).build().unwrap();
        let mut builder = NetworkBuilder::new();
        for i in 0..4 * CHUNK {
            builder.add_node(&NodeRecord::new(format!("n{i}")), 0).unwrap();
        }
        for i in 1..4 * CHUNK {
            builder.add_flow(&FlowRecord::new("n0", format!("n{i}"), 1.0), 0);
        }
        let network = builder.finish().unwrap();
        let snapshot = Snapshot::build(network, SnapshotInfo::default(), Default::default());
        let expected = snapshot.fingerprint();
        for round in 0..40 {
            let mut fresh = snapshot.clone();
            fresh.renumber(|_| {});
            let (fresh, (send, receive)) = (Arc::new(fresh), mpsc::channel());
            let ask = || {
                let (fresh, send) = (fresh.clone(), send.clone());
                pool.spawn(move || send.send(fresh.fingerprint()).unwrap());
            };
            // The others come when both threads are at the first one's parts, sooner or later.
            ask();
            std::thread::sleep(Duration::from_micros(100 * (round % 20)));
            (1..8 * THREADS).for_each(|_| ask());
            for _ in 0..8 * THREADS {
                let found = receive.recv_timeout(Duration::from_secs(60)).expect("no deadlock");
                assert_eq!(found, expected);
            }
        }
    }
}
