//! Columns in which few rows have a value.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::column::Column;
use super::shift::Shift;
use crate::model::record::Attributes;

/// Values of the rows that have one, in the order of the rows. Clones share their memory.
#[derive(Debug, Clone)]
pub struct Sparse<T> {
    rows: Column<u32>,
    values: Column<T>,
    /// Values that came out of order, until [`Sparse::settle`]: a builder's rows may.
    late: FxHashMap<u32, T>,
}

impl<T> Default for Sparse<T> {
    fn default() -> Self {
        Self { rows: Column::default(), values: Column::default(), late: FxHashMap::default() }
    }
}

impl<T: Clone> Sparse<T> {
    /// The value of a row.
    pub fn get(&self, row: &u32) -> Option<&T> {
        match self.rows.binary_search(row) {
            Ok(place) => Some(&self.values[place]),
            Err(_) if self.late.is_empty() => None,
            Err(_) => self.late.get(row),
        }
    }

    /// True if a row has a value.
    pub fn contains(&self, row: &u32) -> bool {
        self.get(row).is_some()
    }

    /// True if no row has a value.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.late.is_empty()
    }

    /// Number of rows with a value.
    pub fn len(&self) -> usize {
        self.rows.len() + self.late.len()
    }

    /// Gives a row its value.
    pub fn insert(&mut self, row: u32, value: T) {
        if self.rows.last().is_none_or(|&last| last < row) {
            self.late.remove(&row);
            self.rows.push(row);
            self.values.push(value);
            return;
        }
        match self.rows.binary_search(&row) {
            Ok(place) => self.values.to_mut()[place] = value,
            Err(_) => {
                self.late.insert(row, value);
            }
        }
    }

    /// Takes the value of a row away.
    pub fn remove(&mut self, row: &u32) {
        self.late.remove(row);
        if let Ok(place) = self.rows.binary_search(row) {
            self.rows.to_mut().remove(place);
            self.values.to_mut().remove(place);
        }
    }

    /// Puts values that came out of order in their places.
    pub fn settle(&mut self) {
        if self.late.is_empty() {
            return;
        }
        let late = std::mem::take(&mut self.late);
        if late.len() <= 4 {
            for (row, value) in late {
                let place = self.rows.partition_point(|&r| r < row);
                self.rows.to_mut().insert(place, row);
                self.values.to_mut().insert(place, value);
            }
            return;
        }
        let mut all: Vec<(u32, T)> =
            self.rows.iter().copied().zip(self.values.iter().cloned()).chain(late).collect();
        all.sort_by_key(|(row, _)| *row);
        (self.rows, self.values) = pair(all);
    }

    /// Rows with their values, in the order of the rows (after [`Sparse::settle`]).
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.rows.iter().copied().zip(&self.values)
    }

    /// The values of the rows `order`: row `i` of the result is row `order[i]`.
    pub(super) fn select(&self, order: &[u32]) -> Self {
        if self.is_empty() {
            return Self::default();
        }
        let mut place = FxHashMap::default();
        if self.late.is_empty() && self.len() < order.len() / 8 {
            place.extend(self.rows.iter().enumerate().map(|(i, &row)| (row, i)));
        }
        let find = |row: &u32| match place.is_empty() {
            true => self.get(row),
            false => place.get(row).map(|&i| &self.values[i]),
        };
        let found = order.iter().enumerate();
        let all = found.filter_map(|(row, old)| Some((row as u32, find(old)?.clone()))).collect();
        let (rows, values) = pair(all);
        Self { rows, values, late: FxHashMap::default() }
    }

    /// Follows rows that are removed or inserted; inserted ones have no value.
    pub(super) fn shift(&mut self, shift: &Shift) {
        self.settle();
        if self.rows.is_empty() || shift.is_empty() {
            return;
        }
        let places: Vec<usize> =
            shift.removed().iter().filter_map(|r| self.rows.binary_search(r).ok()).collect();
        if !places.is_empty() {
            let mut next = places.iter().copied().peekable();
            let mut place = 0;
            self.values.to_mut().retain(|_| {
                let gone = next.next_if_eq(&place).is_some();
                place += 1;
                !gone
            });
            self.rows.to_mut().retain(|row| !shift.removes(*row));
        }
        shift.renumber(self.rows.to_mut());
    }

    /// Bytes on the heap, those behind the values left out.
    pub fn heap_bytes(&self) -> usize {
        self.rows.heap_bytes() + self.values.heap_bytes()
    }
}

fn pair<T>(all: Vec<(u32, T)>) -> (Column<u32>, Column<T>) {
    let (rows, values): (Vec<u32>, Vec<T>) = all.into_iter().unzip();
    (rows.into(), values.into())
}

impl<T: Clone> From<FxHashMap<u32, T>> for Sparse<T> {
    fn from(values: FxHashMap<u32, T>) -> Self {
        let mut sparse = Self { late: values, ..Self::default() };
        sparse.settle();
        sparse
    }
}

/// Attributes of the rows that have any.
#[derive(Debug, Clone, Default)]
pub struct AttributeColumn(pub(super) Sparse<Arc<Attributes>>);

impl AttributeColumn {
    /// The attributes of a row.
    pub fn get(&self, row: &u32) -> Option<&Attributes> {
        self.0.get(row).map(|shared| &**shared)
    }

    /// True if no row has attributes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of rows with attributes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Gives a row its attributes; empty ones are none.
    pub fn insert(&mut self, row: u32, attributes: Attributes) {
        if attributes.is_empty() {
            self.0.remove(&row);
        } else {
            self.0.insert(row, Arc::new(attributes));
        }
    }

    /// Rows with their attributes, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Attributes)> {
        self.0.iter().map(|(row, attributes)| (row, &**attributes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #![proptest_config(crate::laws::cases(256))]

        #[test]
        fn it_is_a_map(
            edits in prop::collection::vec((0u32..30, prop::option::of(0u8..9)), 0..60),
            removed in prop::collection::btree_set(0u32..30, 0..20),
        ) {
            let (mut sparse, mut map) = (Sparse::default(), BTreeMap::new());
            for (row, value) in edits {
                match value {
                    Some(value) => {
                        sparse.insert(row, value);
                        map.insert(row, value);
                    }
                    None => {
                        sparse.remove(&row);
                        map.remove(&row);
                    }
                }
                prop_assert_eq!(sparse.len(), map.len());
                prop_assert!((0..30).all(|row| sparse.get(&row) == map.get(&row)));
            }
            let reversed: Vec<u32> = (0..30).rev().collect();
            let turned = sparse.select(&reversed);
            prop_assert!((0..30).all(|row| turned.get(&(29 - row)) == map.get(&row)));
            let shift = Shift::new(removed.iter().copied().collect(), vec![0, 7]);
            sparse.shift(&shift);
            let moved: BTreeMap<u32, u8> = map
                .into_iter()
                .filter(|(row, _)| !removed.contains(row))
                .map(|(row, value)| (shift.row(row), value))
                .collect();
            prop_assert_eq!(sparse.iter().map(|(r, v)| (r, *v)).collect::<BTreeMap<_, _>>(), moved);
        }
    }
}
