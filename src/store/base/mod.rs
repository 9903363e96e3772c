//! A base: one whole network in segments of 32 nodes, in canonical order.
//!
//! Equal networks give equal bytes: symbols and figure descriptions are numbered in the order of
//! first use. Only outgoing flows are stored.

mod decode;
mod encode;

pub(super) use decode::read_base;
pub(super) use encode::write_base;

use super::bytes::{Malformed, Put, Reader};
use super::error::StoreError;
use super::{Counts, keys, log};

/// Nodes in one segment.
pub(super) const SEGMENT_NODES: usize = 32;
/// Number of the empty network, which is stored nowhere.
pub(super) const EMPTY_BASE: u64 = 0;

/// Figure columns with a dictionary of their own, in the order of the dictionary.
pub(super) const COLUMNS: usize = 6;
/// Position of a column's dictionary.
pub(super) mod column {
    pub(in crate::store::base) const OUTPUT: usize = 0;
    pub(in crate::store::base) const CAPACITY: usize = 1;
    pub(in crate::store::base) const STOCK_DAYS: usize = 2;
    pub(in crate::store::base) const QUANTITY: usize = 3;
    pub(in crate::store::base) const FLOW_CAPACITY: usize = 4;
    pub(in crate::store::base) const LEAD_DAYS: usize = 5;
}

/// Bits of a node's flag byte.
pub(super) mod node_flag {
    /// The product is the node's own id.
    pub(in crate::store::base) const OWN_PRODUCT: u8 = 1;
    pub(in crate::store::base) const STAGE: u8 = 1 << 1;
    pub(in crate::store::base) const COUNTRY: u8 = 1 << 2;
    pub(in crate::store::base) const OUTPUT: u8 = 1 << 3;
    pub(in crate::store::base) const CAPACITY: u8 = 1 << 4;
    pub(in crate::store::base) const STOCK_DAYS: u8 = 1 << 5;
    pub(in crate::store::base) const ATTRIBUTES: u8 = 1 << 6;
}

/// Bits of a flow's flag byte.
pub(super) mod flow_flag {
    /// The product is the supplier's.
    pub(in crate::store::base) const OWN_PRODUCT: u8 = 1;
    pub(in crate::store::base) const QUANTITY: u8 = 1 << 1;
    pub(in crate::store::base) const CAPACITY: u8 = 1 << 2;
    pub(in crate::store::base) const LEAD_DAYS: u8 = 1 << 3;
    pub(in crate::store::base) const JOINT: u8 = 1 << 4;
    pub(in crate::store::base) const ATTRIBUTES: u8 = 1 << 5;
}

/// What is known of a base without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct BaseHeader {
    /// Nodes, flows, requirements.
    pub(super) counts: Counts,
    /// Bytes of all node ids.
    pub(super) id_bytes: u64,
    /// Payload bytes of all its records.
    pub(super) bytes: u64,
    /// XXH3-128 of the dictionary, the requirements and the segments.
    pub(super) hashes: [u128; 3],
    /// Chain hash of the version that the base holds.
    pub(super) chain: u128,
}

impl BaseHeader {
    /// Hash of everything in the base: equal networks have equal ones.
    pub(super) fn content_hash(&self) -> u128 {
        let bytes: Vec<u8> = self.hashes.iter().flat_map(|h| h.to_le_bytes()).collect();
        log::chain(0, &bytes)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(112);
        self.counts.put(&mut out);
        out.put_varint(self.id_bytes);
        out.put_varint(self.bytes);
        for hash in self.hashes.into_iter().chain([self.chain]) {
            out.extend_from_slice(&hash.to_le_bytes());
        }
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(bytes);
        let header = Self {
            counts: Counts::read(&mut r)?,
            id_bytes: r.varint()?,
            bytes: r.varint()?,
            hashes: [r.u128()?, r.u128()?, r.u128()?],
            chain: r.u128()?,
        };
        r.end()?;
        Ok(header)
    }

    /// Reads the header of a stored base; the empty base has one without being stored.
    pub(super) fn load(kv: &dyn super::kv::Kv, base: u64) -> Result<Self, StoreError> {
        if base == EMPTY_BASE {
            return Ok(Self::default());
        }
        let bytes = super::frame::read_parts(kv, &keys::of_base(keys::BASE, base))?
            .ok_or_else(|| StoreError::corrupt(format!("base {base} is missing")))?;
        Self::decode(&bytes)
            .map_err(|Malformed| StoreError::corrupt(format!("the header of base {base}")))
    }
}
