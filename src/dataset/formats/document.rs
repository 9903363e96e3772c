//! A document that is read in one pass: counts its lines and bounds its elements.

use std::cell::Cell;
use std::fs::File;
use std::io::{BufRead, BufReader, Error, Read};
use std::rc::Rc;

/// Where the reading stands; shared with whoever holds the parser.
#[derive(Debug, Default)]
pub(super) struct Place {
    line: Cell<u64>,
    /// Bytes since the last element ended.
    element: Cell<usize>,
}

impl Place {
    /// Line being read, from 1.
    pub fn line(&self) -> u64 {
        self.line.get() + 1
    }

    /// An element ended here.
    pub fn mark(&self) {
        self.element.set(0);
    }

    fn pass(&self, bytes: &[u8]) {
        self.line.set(self.line.get() + memchr::memchr_iter(b'\n', bytes).count() as u64);
        self.element.set(self.element.get() + bytes.len());
    }
}

/// A file with its place. Reading fails once an element is longer than the limit.
#[derive(Debug)]
pub(super) struct Document {
    file: BufReader<File>,
    place: Rc<Place>,
    limit: usize,
}

impl Document {
    pub fn new(file: File, limit: usize) -> Self {
        Self { file: BufReader::with_capacity(64 << 10, file), place: Rc::default(), limit }
    }

    pub fn place(&self) -> Rc<Place> {
        self.place.clone()
    }

    fn check(&self) -> std::io::Result<()> {
        if self.place.element.get() > self.limit {
            return Err(Error::other(TooLong(self.limit)));
        }
        Ok(())
    }
}

/// An element is longer than the limit.
#[derive(Debug, thiserror::Error)]
#[error("an element is longer than {0} bytes")]
pub(super) struct TooLong(pub usize);

impl Read for Document {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.check()?;
        let n = self.file.read(buffer)?;
        self.place.pass(&buffer[..n]);
        Ok(n)
    }
}

impl BufRead for Document {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        self.check()?;
        self.file.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.place.pass(&self.file.buffer()[..amount]);
        self.file.consume(amount);
    }
}
