//! Columns that versions share: cheap to clone, copied when an owner writes while others hold them.

use std::ops::Deref;
use std::sync::Arc;

use super::shift::{self, Shift};

/// One value for each row. Clones share their memory until one of them is written to.
#[derive(Debug, PartialEq, Eq)]
pub struct Column<T>(Arc<Vec<T>>);

impl<T> Column<T> {
    /// Makes room for exactly `more` further rows, if nobody shares the column.
    pub fn reserve_exact(&mut self, more: usize) {
        if let Some(own) = Arc::get_mut(&mut self.0) {
            own.reserve_exact(more);
        }
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.0.capacity() * size_of::<T>()
    }
}

impl<T: Clone> Column<T> {
    /// The rows to write to; copied first if others hold them.
    pub fn to_mut(&mut self) -> &mut Vec<T> {
        if Arc::get_mut(&mut self.0).is_none() {
            self.0 = Arc::new(with_room(&self.0));
        }
        Arc::make_mut(&mut self.0)
    }

    /// Appends a row.
    pub fn push(&mut self, value: T) {
        self.to_mut().push(value);
    }

    /// The rows, without a copy if nobody else holds them.
    pub fn into_vec(self) -> Vec<T> {
        Arc::try_unwrap(self.0).unwrap_or_else(|shared| Vec::clone(&shared))
    }
}

impl<T: Copy> Column<T> {
    /// Removes and inserts rows; `items` are the inserted ones in order.
    pub fn splice(&mut self, shift: &Shift, items: &[T]) {
        if shift.is_empty() {
            return;
        }
        let (removed, inserted) = (shift.removed(), shift.inserted());
        match Arc::get_mut(&mut self.0) {
            Some(own) => shift::splice_in_place(own, removed, inserted, items),
            None => self.0 = Arc::new(shift::spliced(&self.0, removed, inserted, items)),
        }
    }
}

/// A copy with some room, so that a few more rows do not move it again.
fn with_room<T: Clone>(rows: &[T]) -> Vec<T> {
    let mut copy = Vec::with_capacity(rows.len() + rows.len() / 64 + 8);
    copy.extend_from_slice(rows);
    copy
}

impl<T> Deref for Column<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> Clone for Column<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Column<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> From<Vec<T>> for Column<T> {
    fn from(rows: Vec<T>) -> Self {
        Self(Arc::new(rows))
    }
}

impl<T> FromIterator<T> for Column<T> {
    fn from_iter<I: IntoIterator<Item = T>>(rows: I) -> Self {
        Self(Arc::new(rows.into_iter().collect()))
    }
}

impl<'a, T> IntoIterator for &'a Column<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_until_one_is_written() {
        let a: Column<u32> = vec![1, 2, 3].into();
        let mut b = a.clone();
        assert!(std::ptr::eq(a.as_ptr(), b.as_ptr()));
        b.to_mut()[1] = 9;
        assert_eq!((&*a, &*b), (&[1, 2, 3][..], &[1, 9, 3][..]));
        let place = b.as_ptr();
        b.to_mut()[0] = 7;
        assert!(std::ptr::eq(place, b.as_ptr()), "an unshared column is written in place");
    }
}
