//! The frame around each stored value: format, checksum, and long values in parts.
//!
//! Value = format:u8, flags:u8 (bit 0: more parts follow), CRC32C:u32 LE, payload. The checksum
//! covers the key too, so a value that turns up under another key is noticed.

use super::error::StoreError;
use super::kv::{Batch, Kv, MAX_VALUE_BYTES};

/// Format of the frame.
const FRAME_FORMAT: u8 = 1;
const MORE: u8 = 1;
const HEADER_BYTES: usize = 6;
/// Most payload of one value.
pub(super) const MAX_PAYLOAD_BYTES: usize = MAX_VALUE_BYTES - HEADER_BYTES;

fn checksum(key: &[u8], flags: u8, payload: &[u8]) -> u32 {
    let crc = crc32c::crc32c(key);
    let crc = crc32c::crc32c_append(crc, &[FRAME_FORMAT, flags]);
    crc32c::crc32c_append(crc, payload)
}

fn seal(key: &[u8], payload: &[u8], more: bool) -> Vec<u8> {
    let flags = if more { MORE } else { 0 };
    let mut value = Vec::with_capacity(HEADER_BYTES + payload.len());
    value.extend_from_slice(&[FRAME_FORMAT, flags]);
    value.extend_from_slice(&checksum(key, flags, payload).to_le_bytes());
    value.extend_from_slice(payload);
    value
}

/// The payload of a stored value, and whether more parts follow.
///
/// # Errors
/// Corrupt, if the frame is cut short, of an unknown format, or its checksum is wrong.
pub(super) fn open<'a>(key: &[u8], value: &'a [u8]) -> Result<(&'a [u8], bool), StoreError> {
    let damaged = |problem: &str| {
        StoreError::corrupt(format!("{problem} in record {}", super::keys::describe(key)))
    };
    let Some((&[format, flags, a, b, c, d], payload)) = value.split_first_chunk() else {
        return Err(damaged("too few bytes"));
    };
    if format != FRAME_FORMAT || flags > MORE {
        return Err(damaged("unknown record format"));
    }
    if u32::from_le_bytes([a, b, c, d]) != checksum(key, flags, payload) {
        return Err(damaged("wrong checksum"));
    }
    Ok((payload, flags == MORE))
}

/// Key of one part.
pub(super) fn part_key(prefix: &[u8], part: u32) -> Vec<u8> {
    let mut key = Vec::with_capacity(prefix.len() + 4);
    key.extend_from_slice(prefix);
    key.extend_from_slice(&part.to_be_bytes());
    key
}

/// Splits `payload` into framed parts under `prefix` and hands each to `put`.
pub(super) fn for_each_part(
    prefix: &[u8],
    payload: &[u8],
    mut put: impl FnMut(Vec<u8>, Vec<u8>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let parts = payload.len().div_ceil(MAX_PAYLOAD_BYTES).max(1);
    for part in 0..parts {
        let start = part * MAX_PAYLOAD_BYTES;
        let end = payload.len().min(start + MAX_PAYLOAD_BYTES);
        let key = part_key(prefix, part as u32);
        let value = seal(&key, &payload[start..end], part + 1 < parts);
        put(key, value)?;
    }
    Ok(())
}

/// Puts a value of any length into a batch.
pub(super) fn put_parts(batch: &mut Batch, prefix: &[u8], payload: &[u8]) {
    let done = for_each_part(prefix, payload, |key, value| {
        batch.put(key, value);
        Ok(())
    });
    debug_assert!(done.is_ok(), "a batch in memory takes every part");
}

/// Collects the parts of consecutive values of a scan.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    prefix: Vec<u8>,
    buffer: Vec<u8>,
    next_part: u32,
}

impl Assembler {
    /// Takes the next key and value; calls `whole` with the prefix and payload once complete.
    pub(super) fn take(
        &mut self,
        key: &[u8],
        value: &[u8],
        whole: impl FnOnce(&[u8], &[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let (payload, more) = open(key, value)?;
        let missing =
            || StoreError::corrupt(format!("a part is missing at {}", super::keys::describe(key)));
        let (prefix, part) = key.split_last_chunk::<4>().ok_or_else(missing)?;
        let part = u32::from_be_bytes(*part);
        if part != self.next_part || (part > 0 && prefix != self.prefix) {
            return Err(missing());
        }
        if part == 0 && !more {
            return whole(prefix, payload);
        }
        if part == 0 {
            self.prefix.clear();
            self.prefix.extend_from_slice(prefix);
            self.buffer.clear();
        }
        self.buffer.extend_from_slice(payload);
        if more {
            self.next_part += 1;
            return Ok(());
        }
        self.next_part = 0;
        whole(&self.prefix, &self.buffer)
    }

    /// Fails if the last value is incomplete.
    pub(super) fn finish(&self) -> Result<(), StoreError> {
        if self.next_part == 0 {
            return Ok(());
        }
        let place = super::keys::describe(&self.prefix);
        Err(StoreError::corrupt(format!("the last part is missing of {place}")))
    }
}

/// Visits the whole values whose part keys start with `prefix`, in order.
pub(super) fn scan_whole(
    kv: &dyn Kv,
    start: &[u8],
    end: Option<&[u8]>,
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut assembler = Assembler::default();
    kv.scan(start, end, &mut |key, value| {
        assembler.take(key, value, &mut visit)?;
        Ok(true)
    })?;
    assembler.finish()
}

/// Reads a value of any length.
pub(super) fn read_parts(kv: &dyn Kv, prefix: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    let mut out = Vec::new();
    for part in 0u32.. {
        let key = part_key(prefix, part);
        let Some(value) = kv.get(&key)? else {
            if part == 0 {
                return Ok(None);
            }
            let place = super::keys::describe(&key);
            return Err(StoreError::corrupt(format!("the value ends before {place}")));
        };
        let (payload, more) = open(&key, &value)?;
        out.extend_from_slice(payload);
        if !more {
            break;
        }
    }
    Ok(Some(out))
}
