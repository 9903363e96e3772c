//! The number of the last acknowledged batch, in a file of its own.
//!
//! sled ends its log at the first record that it cannot read, as after a torn write. A damaged byte
//! in the middle therefore loses every later write without an error. This file tells: it is written
//! after each sync (so it is never ahead of what is durable) and compared at the next start. It is
//! not synced itself: after a power cut it may be behind, which proves less but never something
//! false. Two slots in turn, each with a checksum, survive a torn write.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Mutex;

use crate::store::held;

const SLOT_BYTES: usize = 12;

/// The open tip file.
#[derive(Debug)]
pub(super) struct TipFile {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    last: u64,
    /// Slot to write next: not the one that holds `last`.
    next_slot: u64,
}

fn slot(sequence: u64) -> [u8; SLOT_BYTES] {
    let number = sequence.to_le_bytes();
    let mut slot = [0; SLOT_BYTES];
    slot[..8].copy_from_slice(&number);
    slot[8..].copy_from_slice(&crc32c::crc32c(&number).to_le_bytes());
    slot
}

impl TipFile {
    /// Opens or creates the file; the number in it (0 if none can be read).
    pub(super) fn open(path: &Path) -> io::Result<(Self, u64)> {
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let numbers = bytes.as_chunks::<SLOT_BYTES>().0.iter().enumerate().filter_map(|(i, s)| {
            let number = u64::from_le_bytes(*s.first_chunk()?);
            (slot(number) == *s).then_some((number, i as u64))
        });
        let (last, held_in) = numbers.take(2).max().unwrap_or((0, 1));
        Ok((Self { state: Mutex::new(State { file, last, next_slot: 1 - held_in }) }, last))
    }

    /// Notes that all batches up to `sequence` are durable.
    pub(super) fn write(&self, sequence: u64) -> io::Result<()> {
        let mut state = held(self.state.lock());
        if sequence <= state.last {
            return Ok(());
        }
        let place = state.next_slot * SLOT_BYTES as u64;
        state.file.seek(SeekFrom::Start(place))?;
        state.file.write_all(&slot(sequence))?;
        state.last = sequence;
        state.next_slot = 1 - state.next_slot;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_slot_leaves_the_number_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tip");
        let (tip, none) = TipFile::open(&path).unwrap();
        assert_eq!(none, 0);
        for sequence in [1, 2, 7, 5] {
            tip.write(sequence).unwrap();
        }
        let (tip, last) = TipFile::open(&path).unwrap();
        assert_eq!(last, 7);
        tip.write(8).unwrap();
        drop(tip);
        assert_eq!(TipFile::open(&path).unwrap().1, 8);
        let mut bytes = std::fs::read(&path).unwrap();
        let place = bytes.chunks(SLOT_BYTES).position(|c| c == slot(8)).unwrap() * SLOT_BYTES;
        bytes[place] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(TipFile::open(&path).unwrap().1, 7);
    }
}
