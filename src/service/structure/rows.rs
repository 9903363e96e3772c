//! Long lists of an answer, written as JSON once, on all threads.

use rayon::prelude::*;
use serde::Serialize;

use crate::service::ServiceError;

/// Rows that one task writes.
const CHUNK: usize = 4096;

/// Bytes that most rows fit in.
const ROW: usize = 72;

/// A list that is JSON already, in pieces: rows, each followed by a comma. It is written behind
/// the other fields of its answer, so that 100 000 rows are formatted once and copied once.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Rows(Vec<Vec<u8>>);

impl Rows {
    /// The list of `row(0) .. row(count - 1)`; `None` leaves a row out.
    ///
    /// # Errors
    /// [`ServiceError::Internal`] if a row cannot be written as JSON.
    pub fn write<R: Serialize>(
        count: usize,
        row: impl Fn(usize) -> Option<R> + Sync,
    ) -> Result<Self, ServiceError> {
        let starts: Vec<usize> = (0..count).step_by(CHUNK).collect();
        let chunks = starts
            .par_iter()
            .map(|&start| {
                let mut text = Vec::with_capacity(CHUNK.min(count - start) * ROW);
                for row in (start..(start + CHUNK).min(count)).filter_map(&row) {
                    serde_json::to_writer(&mut text, &row).map_err(|_| ServiceError::Internal)?;
                    text.push(b',');
                }
                Ok(text)
            })
            .collect::<Result<Vec<Vec<u8>>, ServiceError>>()?;
        Ok(Self(chunks))
    }

    /// For `skip_serializing_if`: the list is written apart from the other fields.
    pub fn written_apart(&self) -> bool {
        true
    }

    /// Bytes that [`Rows::append`] adds, and one more.
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(Vec::len).sum::<usize>() + 2
    }

    /// Adds the list to a text.
    pub(super) fn append(self, text: &mut Vec<u8>) {
        text.push(b'[');
        let start = text.len();
        self.0.iter().for_each(|piece| text.extend_from_slice(piece));
        if text.len() > start {
            text.pop();
        }
        text.push(b']');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_a_json_list_in_order_whatever_their_number() {
        for count in [0, 1, 2, CHUNK, CHUNK + 1, 3 * CHUNK + 7] {
            let rows = Rows::write(count, |i| (i % 3 != 1).then_some(i)).unwrap();
            let mut text = Vec::new();
            rows.append(&mut text);
            let read: Vec<usize> = serde_json::from_slice(&text).unwrap();
            let wanted: Vec<usize> = (0..count).filter(|i| i % 3 != 1).collect();
            assert_eq!(read, wanted);
        }
        let none = Rows::write(10, |_| None::<u8>).unwrap();
        let mut text = b"x".to_vec();
        none.append(&mut text);
        assert_eq!(text, b"x[]");
    }
}
