//! Where rows go when some are removed and others inserted, and how columns follow.

/// Most breakpoints for which comparing each value with each of them beats a table.
const FEW: usize = 3;
/// Bits of a number that its place in the table leaves out: a table of millions of rows stays in
/// the first-level cache.
const BUCKET_BITS: u32 = 10;
/// Stands in the table for numbers that do not all move by the same.
const MIXED: u32 = 1 << 31;
/// Values renumbered at a time: a block and its copy stay in the first-level cache.
const BLOCK: usize = 2048;

/// Rows that leave a table and rows that enter it, both in the old numbering.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shift {
    /// Old rows that are removed, ascending.
    removed: Vec<u32>,
    /// Old rows before which new ones enter, ascending; the number of rows for the end.
    inserted: Vec<u32>,
}

impl Shift {
    /// From ascending lists.
    pub fn new(removed: Vec<u32>, inserted: Vec<u32>) -> Self {
        debug_assert!(removed.is_sorted_by(|a, b| a < b) && inserted.is_sorted());
        Self { removed, inserted }
    }

    /// True if no row moves.
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.inserted.is_empty()
    }

    /// Old rows that are removed, ascending.
    pub fn removed(&self) -> &[u32] {
        &self.removed
    }

    /// Old rows before which new ones enter, ascending.
    pub fn inserted(&self) -> &[u32] {
        &self.inserted
    }

    /// The new number of an old row that stays (or the place where a removed one was).
    pub fn row(&self, old: u32) -> u32 {
        let before = self.removed.partition_point(|&r| r < old) as u32;
        let entered = self.inserted.partition_point(|&p| p <= old) as u32;
        old + entered - before
    }

    /// True if the old row is removed.
    pub fn removes(&self, old: u32) -> bool {
        self.removed.binary_search(&old).is_ok()
    }

    /// The new number of the `k`-th inserted row.
    pub fn inserted_row(&self, k: usize) -> u32 {
        let place = self.inserted[k];
        place - self.removed.partition_point(|&r| r < place) as u32 + k as u32
    }

    /// Turns old row numbers into new ones.
    pub fn renumber(&self, values: &mut [u32]) {
        let breaks: Vec<(u32, u32)> = self
            .inserted
            .iter()
            .map(|&p| (p, 1))
            .chain(self.removed.iter().map(|&r| (r + 1, u32::MAX)))
            .collect();
        if breaks.is_empty() {
            return;
        }
        if breaks.len() <= FEW {
            let mut old = [0u32; BLOCK];
            for block in values.chunks_mut(BLOCK) {
                let old = &mut old[..block.len()];
                old.copy_from_slice(block);
                for &(from, by) in &breaks {
                    for (value, &old) in block.iter_mut().zip(&*old) {
                        *value = value.wrapping_add(if old >= from { by } else { 0 });
                    }
                }
            }
            return;
        }
        let mut breaks = breaks;
        breaks.sort_unstable();
        // How far numbers move from each breakpoint on.
        let mut moved = 0u32;
        for (_, by) in &mut breaks {
            moved = moved.wrapping_add(*by);
            *by = moved;
        }
        let by = |old: u32| match breaks.partition_point(|&(from, _)| from <= old) {
            0 => 0,
            k => breaks[k - 1].1,
        };
        let last = breaks.last().map_or(0, |&(from, _)| from >> BUCKET_BITS) as usize + 1;
        let mut table: Vec<u32> = (0..=last as u32).map(|b| by(b << BUCKET_BITS)).collect();
        for &(from, _) in &breaks {
            table[(from >> BUCKET_BITS) as usize] = MIXED;
        }
        for value in values {
            let bucket = (*value >> BUCKET_BITS) as usize;
            let moves = match table[bucket.min(last)] {
                MIXED => by(*value),
                moves => moves,
            };
            *value = value.wrapping_add(moves);
        }
    }

    /// The part of this shift below a length: what concerns a column that ends early.
    pub fn below(&self, len: usize) -> Self {
        let below = |rows: &[u32]| {
            let end = rows.partition_point(|&r| (r as usize) < len);
            rows[..end].to_vec()
        };
        Self { removed: below(&self.removed), inserted: below(&self.inserted) }
    }
}

/// Removes and inserts rows of a column with few moves of large blocks.
pub(super) fn splice_in_place<T: Copy>(
    rows: &mut Vec<T>,
    removed: &[u32],
    inserted: &[u32],
    items: &[T],
) {
    debug_assert_eq!(inserted.len(), items.len());
    if !removed.is_empty() {
        let mut write = removed[0] as usize;
        for (k, &r) in removed.iter().enumerate() {
            let end = removed.get(k + 1).map_or(rows.len(), |&next| next as usize);
            rows.copy_within(r as usize + 1..end, write);
            write += end - (r as usize + 1);
        }
        rows.truncate(write);
    }
    let Some(&filler) = items.first() else { return };
    let mut end = rows.len();
    rows.resize(end + items.len(), filler);
    for k in (0..items.len()).rev() {
        let place = inserted[k] as usize - removed.partition_point(|&r| r < inserted[k]);
        rows.copy_within(place..end, place + k + 1);
        rows[place + k] = items[k];
        end = place;
    }
}

/// As [`splice_in_place`], into a new column.
pub(super) fn spliced<T: Copy>(
    rows: &[T],
    removed: &[u32],
    inserted: &[u32],
    items: &[T],
) -> Vec<T> {
    let len = rows.len() + items.len() - removed.len();
    let mut out = Vec::with_capacity(len + len / 64 + 8);
    let (mut next, mut gone, mut entered) = (0usize, 0, 0);
    loop {
        let removal = removed.get(gone).map(|&r| r as usize);
        let insertion = inserted.get(entered).map(|&p| p as usize);
        match (insertion, removal) {
            (Some(place), _) if removal.is_none_or(|r| place <= r) => {
                out.extend_from_slice(&rows[next..place.max(next)]);
                next = place.max(next);
                out.push(items[entered]);
                entered += 1;
            }
            (_, Some(row)) => {
                out.extend_from_slice(&rows[next..row]);
                next = row + 1;
                gone += 1;
            }
            (_, None) => {
                out.extend_from_slice(&rows[next..]);
                return out;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(crate::laws::cases(256))]

        #[test]
        fn columns_and_numbers_follow(
            n in 0usize..60,
            removed in prop::collection::btree_set(0u32..60, 0..40),
            mut inserted in prop::collection::vec(0u32..=60, 0..40),
        ) {
            inserted.sort_unstable();
            let removed: Vec<u32> = removed.into_iter().filter(|&r| (r as usize) < n).collect();
            let inserted: Vec<u32> =
                inserted.into_iter().map(|p| p.min(n as u32)).collect();
            let rows: Vec<u32> = (0..n as u32).collect();
            let items: Vec<u32> = (0..inserted.len() as u32).map(|k| 1000 + k).collect();
            // One row after the other.
            let mut expected = Vec::new();
            for old in 0..=n as u32 {
                for (k, _) in inserted.iter().enumerate().filter(|(_, p)| **p == old) {
                    expected.push(1000 + k as u32);
                }
                if (old as usize) < n && !removed.contains(&old) {
                    expected.push(old);
                }
            }
            prop_assert_eq!(&spliced(&rows, &removed, &inserted, &items), &expected);
            let mut own = rows.clone();
            splice_in_place(&mut own, &removed, &inserted, &items);
            prop_assert_eq!(&own, &expected);
            let shift = Shift::new(removed.clone(), inserted);
            let mut numbers = rows;
            shift.renumber(&mut numbers);
            for old in 0..n as u32 {
                if !removed.contains(&old) {
                    prop_assert_eq!(expected[shift.row(old) as usize], old);
                    prop_assert_eq!(numbers[old as usize], shift.row(old));
                }
            }
            for k in 0..items.len() {
                prop_assert_eq!(expected[shift.inserted_row(k) as usize], items[k]);
            }
        }
    }
}
