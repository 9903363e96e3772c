//! A write-ahead journal beside sled, so that a commit costs one write and one sync.
//!
//! sled hands its log in pieces to threads of its own and writes a small batch in two of them; that
//! takes longer than the device does. So the records of batches are appended here and synced: then
//! they are durable. What they change is kept in memory until the file is full; then all of it goes
//! to sled in one batch, sled is synced (a checkpoint), and the journal begins again at its start.
//! After a crash the batches that sled does not have are applied again, in order.
//!
//! The file is written full of zeros once, so that a later sync has no metadata to write. Record =
//! length of the rest: u32 LE, CRC32C of the rest: u32 LE, number: u64 LE, operations. Numbers of a
//! journal rise by one; what is left of the round before has smaller ones, so the first record that
//! is not whole or has another number is the end.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::Batch;
use crate::store::bytes::{Malformed, Put, Reader};

/// Bytes of the file: some hundred small batches. Large ones go to sled as they are, which gives
/// space in its file back sooner than few very large ones do.
pub(super) const CAPACITY: usize = 256 << 10;
const HEADER_BYTES: usize = 8;
const NUMBER_BYTES: usize = 8;

/// The open journal.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    /// Where the next record goes.
    position: usize,
}

/// A batch and its number.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) number: u64,
    pub(super) batch: Batch,
}

impl Journal {
    /// Opens or creates the file, with the records in it. The next one goes to its start: whoever
    /// opens it sees to it that sled has all of these.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Vec<Record>)> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path)?;
        let mut bytes = Vec::new();
        (&file).read_to_end(&mut bytes)?;
        if bytes.len() < CAPACITY {
            file.write_all_at(&vec![0; CAPACITY - bytes.len()], bytes.len() as u64)?;
            file.sync_all()?;
        }
        Ok((Self { file, position: 0 }, records(&bytes)))
    }

    /// True if so many bytes fit behind the last record.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        bytes <= CAPACITY - self.position
    }

    /// Writes records and syncs them.
    pub(super) fn append(&mut self, records: &[u8]) -> io::Result<()> {
        self.file.write_all_at(records, self.position as u64)?;
        self.file.sync_data()?;
        self.position += records.len();
        Ok(())
    }

    /// Begins again at the start of the file: all that was written is in sled.
    pub(super) fn restart(&mut self) {
        self.position = 0;
    }
}

/// Adds the record of a batch.
pub(super) fn put_record(out: &mut Vec<u8>, number: u64, batch: &Batch) {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_BYTES]);
    out.extend_from_slice(&number.to_le_bytes());
    for (key, value) in &batch.operations {
        out.put_varint(key.len() as u64);
        out.extend_from_slice(key);
        // No value is stored as a length that no value has.
        out.put_varint(value.as_ref().map_or(0, |value| value.len() as u64 + 1));
        out.extend_from_slice(value.as_deref().unwrap_or_default());
    }
    let rest = &out[start + HEADER_BYTES..];
    let (length, sum) = (rest.len() as u32, crc32c::crc32c(rest));
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..start + HEADER_BYTES].copy_from_slice(&sum.to_le_bytes());
}

/// The whole records from the start on, with numbers that rise by one.
fn records(mut bytes: &[u8]) -> Vec<Record> {
    let mut found: Vec<Record> = Vec::new();
    while let Some((record, rest)) = first_record(bytes) {
        if found.last().is_some_and(|last| record.number != last.number + 1) {
            break;
        }
        found.push(record);
        bytes = rest;
    }
    found
}

fn first_record(bytes: &[u8]) -> Option<(Record, &[u8])> {
    let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    let word = |at: usize| {
        u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    let (record, behind) = rest.split_at_checked(word(0) as usize)?;
    if crc32c::crc32c(record) != word(4) {
        return None;
    }
    let (number, operations) = record.split_first_chunk::<NUMBER_BYTES>()?;
    let batch = read_operations(operations).ok()?;
    Some((Record { number: u64::from_le_bytes(*number), batch }, behind))
}

fn read_operations(bytes: &[u8]) -> Result<Batch, Malformed> {
    let mut reader = Reader::new(bytes);
    let mut batch = Batch::default();
    while !reader.is_empty() {
        let length = reader.count()?;
        let key = reader.bytes(length)?.to_vec();
        match reader.varint()? {
            0 => batch.delete(key),
            length => {
                let length = usize::try_from(length - 1).map_err(|_| Malformed)?;
                batch.put(key, reader.bytes(length)?.to_vec());
            }
        }
    }
    Ok(batch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(i: u64) -> Batch {
        let mut batch = Batch::default();
        batch.put(format!("key {i}").into_bytes(), vec![i as u8; (i * 7 % 50) as usize]);
        batch.delete(format!("gone {i}").into_bytes());
        batch
    }

    fn append(journal: &mut Journal, numbers: impl Iterator<Item = u64>) {
        let mut records = Vec::new();
        numbers.for_each(|i| put_record(&mut records, i, &batch(i)));
        journal.append(&records).unwrap();
    }

    fn read(path: &Path) -> Vec<u64> {
        let records = Journal::open(path).unwrap().1;
        for record in &records {
            assert_eq!(record.batch.operations, batch(record.number).operations);
        }
        records.iter().map(|record| record.number).collect()
    }

    #[test]
    fn records_come_back_until_the_first_that_is_not_whole_or_of_an_older_round() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let (mut journal, none) = Journal::open(&path).unwrap();
        assert!(none.is_empty());
        append(&mut journal, 1..4);
        append(&mut journal, 4..9);
        assert_eq!(read(&path), [1, 2, 3, 4, 5, 6, 7, 8]);

        // A second round over the first.
        journal.restart();
        append(&mut journal, 9..11);
        assert_eq!(read(&path), [9, 10]);

        // Any damaged byte ends it there; a file that was cut is made whole again.
        let bytes = std::fs::read(&path).unwrap();
        let used = journal.position;
        for at in 0..used {
            let mut torn = bytes.clone();
            torn[at] ^= 0x10;
            std::fs::write(&path, &torn[..used + 100]).unwrap();
            let left = read(&path);
            assert!(left.is_empty() || left == [9], "{at}: {left:?}");
            assert_eq!(std::fs::metadata(&path).unwrap().len(), CAPACITY as u64);
        }
    }

    #[test]
    fn a_length_beyond_the_file_is_its_end() {
        let mut bytes = vec![0xff; 64];
        assert!(records(&bytes).is_empty());
        bytes.fill(0);
        assert!(records(&bytes).is_empty(), "zeros are no record");
    }
}
