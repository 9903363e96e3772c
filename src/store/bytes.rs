//! Compact binary: varints, strings, numbers, figures, attributes.

use crate::model::figure::{Figure, FigureClass};
use crate::model::record::{Attributes, Rule};

/// The bytes do not say what they should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Writing half. All fixed-width numbers are little endian.
pub(super) trait Put {
    /// LEB128.
    fn put_varint(&mut self, value: u64);
    /// Length and UTF-8 bytes.
    fn put_str(&mut self, text: &str);
    /// The bits of a number.
    fn put_f64(&mut self, value: f64);
    /// A signed number, zigzag coded.
    fn put_signed(&mut self, value: i64);
    /// Presence byte and value.
    fn put_option<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T));
    /// A figure with all its texts.
    fn put_figure(&mut self, figure: &Figure);
    /// Attributes as JSON.
    fn put_attributes(&mut self, attributes: &Attributes);
}

impl Put for Vec<u8> {
    #[inline]
    fn put_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.push(value as u8);
    }

    fn put_str(&mut self, text: &str) {
        self.put_varint(text.len() as u64);
        self.extend_from_slice(text.as_bytes());
    }

    #[inline]
    fn put_f64(&mut self, value: f64) {
        self.extend_from_slice(&value.to_bits().to_le_bytes());
    }

    fn put_signed(&mut self, value: i64) {
        self.put_varint(((value << 1) ^ (value >> 63)) as u64);
    }

    fn put_option<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T)) {
        match value {
            None => self.push(0),
            Some(value) => {
                self.push(1);
                put(self, value);
            }
        }
    }

    fn put_figure(&mut self, f: &Figure) {
        let flags = u8::from(f.low.is_some())
            | u8::from(f.high.is_some()) << 1
            | u8::from(f.unit.is_some()) << 2
            | u8::from(f.year.is_some()) << 3
            | u8::from(f.class.is_some()) << 4
            | u8::from(f.source.is_some()) << 5;
        self.push(flags);
        self.put_f64(f.value);
        f.low.into_iter().chain(f.high).for_each(|v| self.put_f64(v));
        f.unit.iter().for_each(|t| self.put_str(t));
        f.year.into_iter().for_each(|y| self.put_signed(y.into()));
        f.class.into_iter().for_each(|c| self.push(class_code(c)));
        f.source.iter().for_each(|t| self.put_str(t));
    }

    fn put_attributes(&mut self, attributes: &Attributes) {
        // A map of JSON values always has a text.
        self.put_str(&serde_json::to_string(attributes).unwrap_or_default());
    }
}

/// Stored number of a class; part of the format.
pub(super) fn class_code(class: FigureClass) -> u8 {
    match class {
        FigureClass::Measured => 0,
        FigureClass::Recalled => 1,
        FigureClass::Estimate => 2,
        FigureClass::Derived => 3,
    }
}

/// Stored number of a rule; part of the format.
pub(super) fn rule_code(rule: Rule) -> u8 {
    match rule {
        Rule::Limiting => 0,
        Rule::Additive => 1,
        Rule::None => 2,
        Rule::Threshold => 3,
    }
}

/// Reading half: a cursor that never reads past its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

type Read<T> = Result<T, Malformed>;

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// True if all was read.
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Fails unless all was read.
    pub(super) fn end(&self) -> Read<()> {
        if self.is_empty() { Ok(()) } else { Err(Malformed) }
    }

    #[inline]
    pub(super) fn bytes(&mut self, n: usize) -> Read<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(n).ok_or(Malformed)?;
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(Malformed)?;
        self.rest = rest;
        Ok(*head)
    }

    #[inline]
    pub(super) fn u8(&mut self) -> Read<u8> {
        let (&first, rest) = self.rest.split_first().ok_or(Malformed)?;
        self.rest = rest;
        Ok(first)
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Read<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    /// A varint that fits 32 bits.
    #[inline]
    pub(super) fn varint32(&mut self) -> Read<u32> {
        u32::try_from(self.varint()?).map_err(|_| Malformed)
    }

    /// A count of things that take at least one byte each, so no more than there are bytes.
    pub(super) fn count(&mut self) -> Read<usize> {
        usize::try_from(self.varint()?).ok().filter(|&n| n <= self.rest.len()).ok_or(Malformed)
    }

    pub(super) fn signed(&mut self) -> Read<i64> {
        let coded = self.varint()?;
        Ok((coded >> 1) as i64 ^ -((coded & 1) as i64))
    }

    #[inline]
    pub(super) fn f64(&mut self) -> Read<f64> {
        Ok(f64::from_bits(u64::from_le_bytes(self.array()?)))
    }

    pub(super) fn u128(&mut self) -> Read<u128> {
        Ok(u128::from_le_bytes(self.array()?))
    }

    pub(super) fn str(&mut self) -> Read<&'a str> {
        let n = self.count()?;
        std::str::from_utf8(self.bytes(n)?).map_err(|_| Malformed)
    }

    pub(super) fn string(&mut self) -> Read<String> {
        self.str().map(str::to_owned)
    }

    pub(super) fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<Option<T>> {
        match self.u8()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(Malformed),
        }
    }

    pub(super) fn class(&mut self) -> Read<FigureClass> {
        let code = self.u8()?;
        FigureClass::ALL.into_iter().find(|&c| class_code(c) == code).ok_or(Malformed)
    }

    pub(super) fn rule(&mut self) -> Read<Rule> {
        let code = self.u8()?;
        [Rule::Limiting, Rule::Additive, Rule::None, Rule::Threshold]
            .into_iter()
            .find(|&r| rule_code(r) == code)
            .ok_or(Malformed)
    }

    pub(super) fn figure(&mut self) -> Read<Figure> {
        let flags = self.u8()?;
        let has = |bit: u8| flags & (1 << bit) != 0;
        if flags >= 1 << 6 {
            return Err(Malformed);
        }
        Ok(Figure {
            value: self.f64()?,
            low: has(0).then(|| self.f64()).transpose()?,
            high: has(1).then(|| self.f64()).transpose()?,
            unit: has(2).then(|| self.string()).transpose()?,
            year: has(3).then(|| self.year()).transpose()?,
            class: has(4).then(|| self.class()).transpose()?,
            source: has(5).then(|| self.string()).transpose()?,
        })
    }

    pub(super) fn year(&mut self) -> Read<i32> {
        i32::try_from(self.signed()?).map_err(|_| Malformed)
    }

    pub(super) fn attributes(&mut self) -> Read<Attributes> {
        serde_json::from_str(self.str()?).map_err(|_| Malformed)
    }
}
