//! Long lists of an answer, written as JSON once, on all threads.

use rayon::prelude::*;
use serde::Serialize;

use crate::service::ServiceError;

/// Rows that one task writes.
const CHUNK: usize = 4096;

/// A list that is JSON already. It is written behind the other fields of its answer, so that
/// 100 000 rows are formatted once and copied once.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Rows(Vec<u8>);

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
                let mut text = Vec::with_capacity(CHUNK * 48);
                for row in (start..(start + CHUNK).min(count)).filter_map(&row) {
                    serde_json::to_writer(&mut text, &row).map_err(|_| ServiceError::Internal)?;
                    text.push(b',');
                }
                Ok(text)
            })
            .collect::<Result<Vec<Vec<u8>>, ServiceError>>()?;
        let mut list = Vec::with_capacity(chunks.iter().map(Vec::len).sum::<usize>() + 2);
        list.push(b'[');
        chunks.iter().for_each(|chunk| list.extend_from_slice(chunk));
        if list.len() > 1 {
            list.pop();
        }
        list.push(b']');
        Ok(Self(list))
    }

    /// For `skip_serializing_if`: the list is written apart from the other fields.
    pub fn written_apart(&self) -> bool {
        true
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_a_json_list_in_order_whatever_their_number() {
        for count in [0, 1, 2, CHUNK, CHUNK + 1, 3 * CHUNK + 7] {
            let rows = Rows::write(count, |i| (i % 3 != 1).then_some(i)).unwrap();
            let read: Vec<usize> = serde_json::from_slice(&rows.into_bytes()).unwrap();
            let wanted: Vec<usize> = (0..count).filter(|i| i % 3 != 1).collect();
            assert_eq!(read, wanted);
        }
        let none = Rows::write(10, |_| None::<u8>).unwrap();
        assert_eq!(none.into_bytes(), b"[]");
    }
}
