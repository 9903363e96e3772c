//! Base records -> network: the columns are filled directly, record by record.

use rustc_hash::FxHashMap;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::{BaseHeader, COLUMNS, EMPTY_BASE, SEGMENT_NODES, column, flow_flag, node_flag};
use crate::model::network::{FigureColumn, FigureMeta, Network, Requirement, StringArena};
use crate::model::symbols::{Symbol, Symbols};
use crate::store::bytes::{Malformed, Reader};
use crate::store::error::StoreError;
use crate::store::kv::{Kv, prefix_end};
use crate::store::{Counts, frame, keys};

type Read<T> = Result<T, Malformed>;

/// Reads a whole base and checks it against its header: counts, hashes, order, references.
///
/// # Errors
/// Corrupt, if anything is missing or not as written.
pub(in crate::store) fn read_base(
    kv: &dyn Kv,
    base: u64,
) -> Result<(Network, BaseHeader), StoreError> {
    let header = BaseHeader::load(kv, base)?;
    if base == EMPTY_BASE {
        return Ok((Network::default(), header));
    }
    let damaged = |part: &str| StoreError::corrupt(format!("{part} of base {base}"));
    let whole = |kind: u8, part: &str| {
        frame::read_parts(kv, &keys::of_base(kind, base))?.ok_or_else(|| damaged(part))
    };
    let dictionary = whole(keys::DICTIONARY, "the dictionary")?;
    let requirements = whole(keys::REQUIREMENTS, "the requirements")?;

    let mut decoder =
        decode_dictionary(&dictionary, &header).map_err(|Malformed| damaged("the dictionary"))?;
    let mut hash = Xxh3::new();
    let mut segment = 0u32;
    let prefix = keys::of_base(keys::SEGMENT, base);
    frame::scan_whole(kv, &prefix, prefix_end(&prefix).as_deref(), |key, payload| {
        let name = || damaged(&format!("segment {segment}"));
        if key != keys::segment(base, segment) {
            return Err(name());
        }
        hash.update(payload);
        decoder.segment(payload).map_err(|Malformed| name())?;
        segment += 1;
        Ok(())
    })?;
    let network = decoder
        .finish(&requirements)
        .map_err(|Malformed| damaged("the requirements or columns"))?;
    let hashes = [xxh3_128(&dictionary), xxh3_128(&requirements), hash.digest128()];
    if Counts::of(&network) != header.counts || hashes != header.hashes {
        return Err(damaged("the content (counts or hash differ from its header)"));
    }
    Ok((network, header))
}

/// A figure column under construction.
#[derive(Default)]
struct Column {
    values: Vec<f64>,
    meta_ids: Vec<u32>,
    metas: Vec<FigureMeta>,
    ranges: FxHashMap<u32, (Option<f64>, Option<f64>)>,
}

impl Column {
    #[inline]
    fn read(&mut self, r: &mut Reader<'_>, row: usize) -> Read<()> {
        let tag = r.varint()?;
        let meta = u32::try_from(tag >> 2).map_err(|_| Malformed)?;
        if meta as usize > self.metas.len() {
            return Err(Malformed);
        }
        if self.values.len() < row {
            self.values.resize(row, f64::NAN);
        }
        self.values.push(r.f64()?);
        if meta > 0 {
            self.meta_ids.resize(row, 0);
            self.meta_ids.push(meta);
        }
        if tag & 3 != 0 {
            let low = (tag & 1 != 0).then(|| r.f64()).transpose()?;
            let high = (tag & 2 != 0).then(|| r.f64()).transpose()?;
            self.ranges.insert(row as u32, (low, high));
        }
        Ok(())
    }

    fn finish(self) -> Read<FigureColumn> {
        FigureColumn::from_parts(self.values, self.meta_ids, self.metas, self.ranges)
            .map_err(|_| Malformed)
    }
}

struct Decoder {
    network: Network,
    columns: [Column; COLUMNS],
    /// Symbols of the dictionary, the empty one included.
    dictionary: u32,
    node_limit: usize,
    last_id: Vec<u8>,
}

fn decode_dictionary(bytes: &[u8], header: &BaseHeader) -> Read<Decoder> {
    let mut r = Reader::new(bytes);
    let mut symbols = Symbols::default();
    let count = r.count()?;
    for i in 0..count {
        if symbols.intern(r.str()?) != Symbol(i as u32 + 1) {
            return Err(Malformed);
        }
    }
    let dictionary = count as u32 + 1;
    let mut columns: [Column; COLUMNS] = Default::default();
    for column in &mut columns {
        for _ in 0..r.count()? {
            column.metas.push(FigureMeta {
                unit: read_symbol(&mut r, dictionary)?,
                source: read_symbol(&mut r, dictionary)?,
                year: r.option(Reader::year)?,
                class: r.option(Reader::class)?,
            });
        }
    }
    r.end()?;
    // The header is under a checksum, but no allocation should rest on that alone.
    let room = |n: u64| usize::try_from(n.min(header.bytes)).unwrap_or(0);
    let (nodes, flows) = (room(header.counts.nodes), room(header.counts.flows));
    let mut network = Network { symbols, ..Network::default() };
    let id_bytes = usize::try_from(header.id_bytes).unwrap_or(0).min(nodes.saturating_mul(512));
    network.nodes.ids = StringArena::with_capacity(nodes, id_bytes);
    for symbols in
        [&mut network.nodes.product, &mut network.nodes.stage, &mut network.nodes.country]
    {
        symbols.reserve_exact(nodes);
    }
    network.flows.from.reserve_exact(flows);
    network.flows.to.reserve_exact(flows);
    network.flows.product.reserve_exact(flows);
    columns[column::QUANTITY].values.reserve_exact(flows);
    if !columns[column::QUANTITY].metas.is_empty() {
        columns[column::QUANTITY].meta_ids.reserve_exact(flows);
    }
    Ok(Decoder { network, columns, dictionary, node_limit: nodes, last_id: Vec::new() })
}

fn read_symbol(r: &mut Reader<'_>, dictionary: u32) -> Read<Symbol> {
    let number = r.varint32()?;
    if number < dictionary { Ok(Symbol(number)) } else { Err(Malformed) }
}

impl Decoder {
    fn segment(&mut self, payload: &[u8]) -> Read<()> {
        let mut r = Reader::new(payload);
        let start = self.network.node_count();
        // All but the last segment are full.
        let end = self.node_limit.min(start + SEGMENT_NODES);
        if end == start {
            return Err(Malformed);
        }
        for node in start..end {
            self.node(&mut r, node, node == start)?;
            let mut to = 0;
            for _ in 0..r.count()? {
                to = self.flow(&mut r, node, to)?;
            }
        }
        r.end()
    }

    fn node(&mut self, r: &mut Reader<'_>, i: usize, first: bool) -> Read<()> {
        let shared = r.varint32()? as usize;
        let suffix = r.count()?;
        if shared > if first { 0 } else { self.last_id.len() } {
            return Err(Malformed);
        }
        let suffix = r.bytes(suffix)?;
        // Ids ascend: behind what both share, the new one is greater.
        if i > 0 && suffix <= &self.last_id[shared..] {
            return Err(Malformed);
        }
        self.last_id.truncate(shared);
        self.last_id.extend_from_slice(suffix);
        let id = std::str::from_utf8(&self.last_id).map_err(|_| Malformed)?;
        let nodes = &mut self.network.nodes;
        nodes.ids.push(id);

        let flags = r.u8()?;
        let has = |bit: u8| flags & bit != 0;
        nodes.product.push(if has(node_flag::OWN_PRODUCT) {
            self.network.symbols.intern(id)
        } else {
            read_symbol(r, self.dictionary)?
        });
        for (bit, symbols) in
            [(node_flag::STAGE, &mut nodes.stage), (node_flag::COUNTRY, &mut nodes.country)]
        {
            let symbol = if has(bit) { read_symbol(r, self.dictionary)? } else { Symbol::NONE };
            symbols.push(symbol);
        }
        for (bit, column) in [
            (node_flag::OUTPUT, column::OUTPUT),
            (node_flag::CAPACITY, column::CAPACITY),
            (node_flag::STOCK_DAYS, column::STOCK_DAYS),
        ] {
            if has(bit) {
                self.columns[column].read(r, i)?;
            }
        }
        if has(node_flag::ATTRIBUTES) {
            nodes.attributes.insert(i as u32, r.attributes()?);
        }
        Ok(())
    }

    #[inline]
    fn flow(&mut self, r: &mut Reader<'_>, from: usize, last_to: u32) -> Read<u32> {
        let e = self.network.flow_count();
        let to = last_to.checked_add(r.varint32()?).ok_or(Malformed)?;
        if to as usize >= self.node_limit || e >= u32::MAX as usize {
            return Err(Malformed);
        }
        let flags = r.u8()?;
        let has = |bit: u8| flags & bit != 0;
        let product = if has(flow_flag::OWN_PRODUCT) {
            self.network.nodes.product[from]
        } else {
            read_symbol(r, self.dictionary)?
        };
        let flows = &mut self.network.flows;
        flows.from.push(from as u32);
        flows.to.push(to);
        flows.product.push(product);
        if has(flow_flag::QUANTITY) {
            self.columns[column::QUANTITY].read(r, e)?;
        }
        if has(flow_flag::CAPACITY) {
            self.columns[column::FLOW_CAPACITY].read(r, e)?;
        }
        if has(flow_flag::LEAD_DAYS) {
            self.columns[column::LEAD_DAYS].read(r, e)?;
        }
        if has(flow_flag::JOINT) {
            flows.joint.insert(e as u32, ());
        }
        if has(flow_flag::ATTRIBUTES) {
            flows.attributes.insert(e as u32, r.attributes()?);
        }
        Ok(to)
    }

    fn finish(self, requirements: &[u8]) -> Read<Network> {
        let Self { mut network, columns, dictionary, node_limit, .. } = self;
        if network.node_count() != node_limit {
            return Err(Malformed);
        }
        let mut r = Reader::new(requirements);
        while !r.is_empty() {
            network.requirements.push(Requirement {
                output: read_symbol(&mut r, dictionary)?,
                input: read_symbol(&mut r, dictionary)?,
                rule: r.rule()?,
                dependence: r.option(Reader::figure)?,
                min_share: r.option(Reader::f64)?,
                intensity: r.option(Reader::figure)?,
            });
        }
        let [output, capacity, stock_days, quantity, flow_capacity, lead_days] = columns;
        network.nodes.output = output.finish()?;
        network.nodes.capacity = capacity.finish()?;
        network.nodes.stock_days = stock_days.finish()?;
        network.flows.quantity = quantity.finish()?;
        network.flows.capacity = flow_capacity.finish()?;
        network.flows.lead_days = lead_days.finish()?;
        Ok(network)
    }
}
