//! Network -> base records.

use rustc_hash::FxHashMap;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::{BaseHeader, COLUMNS, SEGMENT_NODES, column, flow_flag, node_flag};
use crate::model::network::{FigureColumn, FigureMeta, Network};
use crate::model::symbols::Symbol;
use crate::store::bytes::{Put, class_code, rule_code};
use crate::store::error::StoreError;
use crate::store::kv::{Batch, Kv};
use crate::store::{Counts, frame, keys};

/// Bytes after which a streamed batch is handed on.
const BATCH_BYTES: usize = 1 << 20;

/// Symbols and figure descriptions in the order of first use.
struct Dictionary<'a> {
    network: &'a Network,
    /// New number of each of the network's symbols; 0 = not used yet.
    numbers: Vec<u32>,
    names: Vec<&'a str>,
    columns: [ColumnDictionary; COLUMNS],
}

#[derive(Default)]
struct ColumnDictionary {
    /// New number of each of the column's descriptions; 0 = not used yet.
    numbers: FxHashMap<u32, u32>,
    metas: Vec<FigureMeta>,
}

impl<'a> Dictionary<'a> {
    fn new(network: &'a Network) -> Self {
        Self {
            network,
            numbers: vec![0; network.symbols.len()],
            names: Vec::new(),
            columns: Default::default(),
        }
    }

    #[inline]
    fn symbol(&mut self, symbol: Symbol) -> u64 {
        if !symbol.is_some() {
            return 0;
        }
        let number = &mut self.numbers[symbol.0 as usize];
        if *number == 0 {
            self.names.push(self.network.symbols.name(symbol));
            *number = self.names.len() as u32;
        }
        (*number).into()
    }

    #[inline]
    fn meta(&mut self, column: usize, figures: &FigureColumn, row: usize) -> u64 {
        let old = figures.meta_id(row);
        if old == 0 {
            return 0;
        }
        let dictionary = &mut self.columns[column];
        let next = dictionary.metas.len() as u32 + 1;
        let number = *dictionary.numbers.entry(old).or_insert(next);
        if number == next {
            dictionary.metas.push(figures.meta(row));
        }
        number.into()
    }

    /// Value, description and stated range of one row that has a value.
    #[inline]
    fn put_figure(&mut self, out: &mut Vec<u8>, column: usize, figures: &FigureColumn, row: usize) {
        let range = figures.range(row).unwrap_or((None, None));
        let ends = u64::from(range.0.is_some()) | u64::from(range.1.is_some()) << 1;
        out.put_varint(self.meta(column, figures, row) << 2 | ends);
        out.put_f64(figures.get(row).unwrap_or(f64::NAN));
        range.0.into_iter().chain(range.1).for_each(|end| out.put_f64(end));
    }

    fn encode(mut self) -> Vec<u8> {
        // Descriptions first: they may bring new symbols.
        let mut metas = Vec::new();
        for column in std::mem::take(&mut self.columns) {
            metas.put_varint(column.metas.len() as u64);
            for meta in column.metas {
                metas.put_varint(self.symbol(meta.unit));
                metas.put_varint(self.symbol(meta.source));
                metas.put_option(meta.year, |o, y| o.put_signed(y.into()));
                metas.put_option(meta.class, |o, c| o.push(class_code(c)));
            }
        }
        let mut out = Vec::with_capacity(metas.len() + self.names.len() * 16);
        out.put_varint(self.names.len() as u64);
        self.names.iter().for_each(|name| out.put_str(name));
        out.extend_from_slice(&metas);
        out
    }
}

/// Hands batches on as they fill up, so that memory stays bounded.
struct Stream<'a> {
    kv: &'a dyn Kv,
    batch: Batch,
    bytes: u64,
}

impl Stream<'_> {
    fn value(&mut self, prefix: &[u8], payload: &[u8]) -> Result<(), StoreError> {
        self.bytes += payload.len() as u64;
        frame::for_each_part(prefix, payload, |key, value| {
            self.batch.put(key, value);
            if self.batch.bytes() >= BATCH_BYTES {
                self.kv.apply(std::mem::take(&mut self.batch))?;
            }
            Ok(())
        })
    }

    fn finish(self) -> Result<u64, StoreError> {
        if !self.batch.is_empty() {
            self.kv.apply(self.batch)?;
        }
        Ok(self.bytes)
    }
}

/// Writes all records of a base but its header, in bounded batches; nothing refers to them yet.
/// The caller puts the header (with its chain hash) into the batch that starts to refer to it.
pub(in crate::store) fn write_base(
    kv: &dyn Kv,
    base: u64,
    network: &Network,
) -> Result<BaseHeader, StoreError> {
    let mut stream = Stream { kv, batch: Batch::default(), bytes: 0 };
    let mut dictionary = Dictionary::new(network);
    let mut hash = Xxh3::new();
    let mut buffer = Vec::new();
    let (n, m) = (network.node_count(), network.flow_count());
    let mut flow = 0;
    for (segment, start) in (0..n).step_by(SEGMENT_NODES).enumerate() {
        buffer.clear();
        let end = n.min(start + SEGMENT_NODES);
        for node in start..end {
            let previous = (node > start).then(|| network.node_id(node as u32 - 1));
            put_node(&mut buffer, &mut dictionary, node, previous);
            let first = flow;
            while flow < m && network.flows.from[flow] as usize == node {
                flow += 1;
            }
            buffer.put_varint((flow - first) as u64);
            let mut last = 0;
            for e in first..flow {
                put_flow(&mut buffer, &mut dictionary, e, last);
                last = network.flows.to[e];
            }
        }
        hash.update(&buffer);
        stream.value(&keys::segment(base, segment as u32), &buffer)?;
    }

    let mut requirements = Vec::new();
    for r in &network.requirements {
        requirements.put_varint(dictionary.symbol(r.output));
        requirements.put_varint(dictionary.symbol(r.input));
        requirements.push(rule_code(r.rule));
        requirements.put_option(r.dependence.as_ref(), |o, f| o.put_figure(f));
        requirements.put_option(r.min_share, |o, v| o.put_f64(v));
        requirements.put_option(r.intensity.as_ref(), |o, f| o.put_figure(f));
    }
    stream.value(&keys::of_base(keys::REQUIREMENTS, base), &requirements)?;
    let dictionary = dictionary.encode();
    stream.value(&keys::of_base(keys::DICTIONARY, base), &dictionary)?;
    Ok(BaseHeader {
        counts: Counts::of(network),
        id_bytes: network.nodes.ids.byte_len() as u64,
        bytes: stream.finish()?,
        hashes: [xxh3_128(&dictionary), xxh3_128(&requirements), hash.digest128()],
        chain: 0,
    })
}

fn put_node(out: &mut Vec<u8>, dictionary: &mut Dictionary<'_>, i: usize, previous: Option<&str>) {
    let network = dictionary.network;
    let nodes = &network.nodes;
    let id = network.node_id(i as u32);
    let shared =
        previous.map_or(0, |p| p.bytes().zip(id.bytes()).take_while(|(a, b)| a == b).count());
    out.put_varint(shared as u64);
    out.put_varint((id.len() - shared) as u64);
    out.extend_from_slice(&id.as_bytes()[shared..]);

    let own = network.symbols.name(nodes.product[i]) == id;
    let attributes = nodes.attributes.get(&(i as u32)).filter(|a| !a.is_empty());
    let mut flags = if own { node_flag::OWN_PRODUCT } else { 0 };
    let mut flag = |set: bool, bit: u8| flags |= if set { bit } else { 0 };
    flag(nodes.stage[i].is_some(), node_flag::STAGE);
    flag(nodes.country[i].is_some(), node_flag::COUNTRY);
    flag(nodes.output.get(i).is_some(), node_flag::OUTPUT);
    flag(nodes.capacity.get(i).is_some(), node_flag::CAPACITY);
    flag(nodes.stock_days.get(i).is_some(), node_flag::STOCK_DAYS);
    flag(attributes.is_some(), node_flag::ATTRIBUTES);
    out.push(flags);
    if !own {
        out.put_varint(dictionary.symbol(nodes.product[i]));
    }
    for symbol in [nodes.stage[i], nodes.country[i]] {
        if symbol.is_some() {
            out.put_varint(dictionary.symbol(symbol));
        }
    }
    for (column, figures) in [
        (column::OUTPUT, &nodes.output),
        (column::CAPACITY, &nodes.capacity),
        (column::STOCK_DAYS, &nodes.stock_days),
    ] {
        if figures.get(i).is_some() {
            dictionary.put_figure(out, column, figures, i);
        }
    }
    attributes.into_iter().for_each(|a| out.put_attributes(a));
}

fn put_flow(out: &mut Vec<u8>, dictionary: &mut Dictionary<'_>, e: usize, last_to: u32) {
    let network = dictionary.network;
    let flows = &network.flows;
    let own = flows.product[e] == network.nodes.product[flows.from[e] as usize];
    let attributes = (!flows.attributes.is_empty())
        .then(|| flows.attributes.get(&(e as u32)).filter(|a| !a.is_empty()))
        .flatten();
    let mut flags = if own { flow_flag::OWN_PRODUCT } else { 0 };
    let mut flag = |set: bool, bit: u8| flags |= if set { bit } else { 0 };
    flag(flows.quantity.get(e).is_some(), flow_flag::QUANTITY);
    flag(flows.capacity.get(e).is_some(), flow_flag::CAPACITY);
    flag(flows.lead_days.get(e).is_some(), flow_flag::LEAD_DAYS);
    flag(!flows.joint.is_empty() && flows.joint.contains(&(e as u32)), flow_flag::JOINT);
    flag(attributes.is_some(), flow_flag::ATTRIBUTES);
    out.put_varint((flows.to[e] - last_to).into());
    out.push(flags);
    if !own {
        out.put_varint(dictionary.symbol(flows.product[e]));
    }
    for (column, figures) in [
        (column::QUANTITY, &flows.quantity),
        (column::FLOW_CAPACITY, &flows.capacity),
        (column::LEAD_DAYS, &flows.lead_days),
    ] {
        if figures.get(e).is_some() {
            dictionary.put_figure(out, column, figures, e);
        }
    }
    attributes.into_iter().for_each(|a| out.put_attributes(a));
}
