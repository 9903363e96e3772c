//! The operation log: the changes of one version in compact binary.
//!
//! A log record is a list of batches (one for a commit; a fork's version 0 has those of its
//! source since the base): length:varint, bytes. A batch is a count and its changes.

use super::bytes::{Malformed, Put, Reader};
use crate::model::change::{Change, FlowKey, RecordKey};
use crate::model::record::{FlowRecord, NodeRecord, Record, RequirementRecord};

const PUT_NODE: u8 = 0;
const PUT_FLOW: u8 = 1;
const PUT_REQUIREMENT: u8 = 2;
const DELETE_NODE: u8 = 3;
const DETACH_NODE: u8 = 4;
const DELETE_FLOW: u8 = 5;
const DELETE_REQUIREMENT: u8 = 6;

/// The chain hash after one more batch (or base).
pub(super) fn chain(previous: u128, bytes: &[u8]) -> u128 {
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    hash.update(&previous.to_le_bytes());
    hash.update(bytes);
    hash.digest128()
}

/// One batch as bytes.
pub(super) fn encode_batch(changes: &[Change]) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + changes.len() * 64);
    out.put_varint(changes.len() as u64);
    changes.iter().for_each(|c| put_change(&mut out, c));
    out
}

/// Appends a batch to a log record.
pub(super) fn append_batch(record: &mut Vec<u8>, batch: &[u8]) {
    record.put_varint(batch.len() as u64);
    record.extend_from_slice(batch);
}

/// The batches of a log record.
pub(super) fn batches(record: &[u8]) -> impl Iterator<Item = Result<&[u8], Malformed>> {
    let mut reader = Reader::new(record);
    std::iter::from_fn(move || {
        if reader.is_empty() {
            return None;
        }
        let batch = reader.count().and_then(|n| reader.bytes(n));
        if batch.is_err() {
            reader = Reader::new(&[]);
        }
        Some(batch)
    })
}

/// The changes of one batch.
pub(super) fn decode_batch(bytes: &[u8]) -> Result<Vec<Change>, Malformed> {
    let mut reader = Reader::new(bytes);
    let count = reader.count()?;
    let mut changes = Vec::with_capacity(count.min(1 << 16));
    for _ in 0..count {
        changes.push(read_change(&mut reader)?);
    }
    reader.end()?;
    Ok(changes)
}

fn put_change(out: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Put(Record::Node(node)) => put_node(out, node),
        Change::Put(Record::Flow(flow)) => put_flow(out, flow),
        Change::Put(Record::Requirement(r)) => {
            out.push(PUT_REQUIREMENT);
            out.put_str(&r.output);
            out.put_str(&r.input);
            out.push(super::bytes::rule_code(r.rule));
            out.put_option(r.dependence.as_ref(), |o, f| o.put_figure(f));
            out.put_option(r.min_share, |o, v| o.put_f64(v));
            out.put_option(r.intensity.as_ref(), |o, f| o.put_figure(f));
        }
        Change::Delete(RecordKey::Node { id, detach }) => {
            out.push(if *detach { DETACH_NODE } else { DELETE_NODE });
            out.put_str(id);
        }
        Change::Delete(RecordKey::Flow(key)) => {
            out.push(DELETE_FLOW);
            out.put_str(&key.from);
            out.put_str(&key.to);
            out.put_option(key.product.as_deref(), |o, t| o.put_str(t));
        }
        Change::Delete(RecordKey::Requirement { output, input }) => {
            out.push(DELETE_REQUIREMENT);
            out.put_str(output);
            out.put_str(input);
        }
    }
}

fn put_node(out: &mut Vec<u8>, n: &NodeRecord) {
    out.push(PUT_NODE);
    out.put_str(&n.id);
    for text in [&n.stage, &n.product, &n.country] {
        out.put_option(text.as_deref(), |o, t| o.put_str(t));
    }
    for figure in [&n.output, &n.capacity, &n.stock_days] {
        out.put_option(figure.as_ref(), |o, f| o.put_figure(f));
    }
    out.put_option((!n.attributes.is_empty()).then_some(&n.attributes), |o, a| o.put_attributes(a));
}

fn put_flow(out: &mut Vec<u8>, f: &FlowRecord) {
    out.push(PUT_FLOW);
    out.put_str(&f.from);
    out.put_str(&f.to);
    let flags = u16::from(f.product.is_some())
        | u16::from(f.unit.is_some()) << 1
        | u16::from(f.class.is_some()) << 2
        | u16::from(f.source.is_some()) << 3
        | u16::from(f.year.is_some()) << 4
        | u16::from(f.low.is_some()) << 5
        | u16::from(f.high.is_some()) << 6
        | u16::from(f.capacity.is_some()) << 7
        | u16::from(f.joint) << 8
        | u16::from(f.lead_days.is_some()) << 9
        | u16::from(!f.attributes.is_empty()) << 10;
    out.put_varint(flags.into());
    out.put_figure(&f.quantity);
    f.product.iter().for_each(|t| out.put_str(t));
    f.unit.iter().for_each(|t| out.put_str(t));
    f.class.into_iter().for_each(|c| out.push(super::bytes::class_code(c)));
    f.source.iter().for_each(|t| out.put_str(t));
    f.year.into_iter().for_each(|y| out.put_signed(y.into()));
    [f.low, f.high, f.capacity, f.lead_days].into_iter().flatten().for_each(|v| out.put_f64(v));
    if !f.attributes.is_empty() {
        out.put_attributes(&f.attributes);
    }
}

fn read_change(r: &mut Reader<'_>) -> Result<Change, Malformed> {
    Ok(match r.u8()? {
        PUT_NODE => Change::Put(Record::Node(NodeRecord {
            id: r.string()?,
            stage: r.option(Reader::string)?,
            product: r.option(Reader::string)?,
            country: r.option(Reader::string)?,
            output: r.option(Reader::figure)?,
            capacity: r.option(Reader::figure)?,
            stock_days: r.option(Reader::figure)?,
            attributes: r.option(Reader::attributes)?.unwrap_or_default(),
        })),
        PUT_FLOW => Change::Put(Record::Flow(read_flow(r)?)),
        PUT_REQUIREMENT => Change::Put(Record::Requirement(RequirementRecord {
            output: r.string()?,
            input: r.string()?,
            rule: r.rule()?,
            dependence: r.option(Reader::figure)?,
            min_share: r.option(Reader::f64)?,
            intensity: r.option(Reader::figure)?,
        })),
        DELETE_NODE => Change::Delete(RecordKey::Node { id: r.string()?, detach: false }),
        DETACH_NODE => Change::Delete(RecordKey::Node { id: r.string()?, detach: true }),
        DELETE_FLOW => Change::Delete(RecordKey::Flow(FlowKey {
            from: r.string()?,
            to: r.string()?,
            product: r.option(Reader::string)?,
        })),
        DELETE_REQUIREMENT => {
            Change::Delete(RecordKey::Requirement { output: r.string()?, input: r.string()? })
        }
        _ => return Err(Malformed),
    })
}

fn read_flow(r: &mut Reader<'_>) -> Result<FlowRecord, Malformed> {
    let (from, to) = (r.string()?, r.string()?);
    let flags = r.varint()?;
    if flags >= 1 << 11 {
        return Err(Malformed);
    }
    let has = |bit: u32| flags & (1 << bit) != 0;
    Ok(FlowRecord {
        from,
        to,
        quantity: r.figure()?,
        product: has(0).then(|| r.string()).transpose()?,
        unit: has(1).then(|| r.string()).transpose()?,
        class: has(2).then(|| r.class()).transpose()?,
        source: has(3).then(|| r.string()).transpose()?,
        year: has(4).then(|| r.year()).transpose()?,
        low: has(5).then(|| r.f64()).transpose()?,
        high: has(6).then(|| r.f64()).transpose()?,
        capacity: has(7).then(|| r.f64()).transpose()?,
        lead_days: has(9).then(|| r.f64()).transpose()?,
        joint: has(8),
        attributes: has(10).then(|| r.attributes()).transpose()?.unwrap_or_default(),
    })
}
