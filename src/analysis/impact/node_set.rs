//! A set of small numbers that is filled, read in ascending order and emptied again, many times.

/// A set over `0..n`: a bit for each member, and a bit for each word of 64 that has one.
#[derive(Debug, Clone, Default)]
pub struct NodeSet {
    words: Vec<u64>,
    summary: Vec<u64>,
}

impl NodeSet {
    /// The empty set over `0..n`.
    pub fn new(n: usize) -> Self {
        let words = n.div_ceil(64);
        Self { words: vec![0; words], summary: vec![0; words.div_ceil(64)] }
    }

    /// Adds a member.
    #[inline(always)]
    pub fn insert(&mut self, member: u32) {
        let word = member as usize / 64;
        self.words[word] |= 1 << (member % 64);
        self.summary[word / 64] |= 1 << (word % 64);
    }

    /// Adds the members of another set over the same numbers.
    pub fn add(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(a, b)| *a |= b);
        self.summary.iter_mut().zip(&other.summary).for_each(|(a, b)| *a |= b);
    }

    /// Adds all of `0..n`.
    pub fn fill(&mut self, n: usize) {
        self.words[..n / 64].fill(u64::MAX);
        if !n.is_multiple_of(64) {
            self.words[n / 64] |= (1 << (n % 64)) - 1;
        }
        let words = n.div_ceil(64);
        self.summary[..words / 64].fill(u64::MAX);
        if !words.is_multiple_of(64) {
            self.summary[words / 64] |= (1 << (words % 64)) - 1;
        }
    }

    /// The least member at or above `from`.
    #[inline(always)]
    pub fn next(&self, from: u32) -> Option<u32> {
        let word = from as usize / 64;
        let here = self.words.get(word)? & (u64::MAX << (from % 64));
        if here != 0 {
            return Some(word as u32 * 64 + here.trailing_zeros());
        }
        let first = word + 1;
        let mut block = first / 64;
        let mut blocks = self.summary.get(block)? & (u64::MAX << (first % 64));
        while blocks == 0 {
            block += 1;
            blocks = *self.summary.get(block)?;
        }
        let word = block * 64 + blocks.trailing_zeros() as usize;
        Some(word as u32 * 64 + self.words[word].trailing_zeros())
    }

    /// Takes out the least member in `from..end`.
    #[inline(always)]
    pub fn take(&mut self, from: u32, end: u32) -> Option<u32> {
        let member = self.next(from).filter(|&m| m < end)?;
        let word = member as usize / 64;
        self.words[word] &= !(1 << (member % 64));
        if self.words[word] == 0 {
            self.summary[word / 64] &= !(1 << (word % 64));
        }
        Some(member)
    }

    /// Empties the set.
    pub fn clear(&mut self) {
        for (block, blocks) in self.summary.iter_mut().enumerate() {
            while *blocks != 0 {
                self.words[block * 64 + blocks.trailing_zeros() as usize] = 0;
                *blocks &= *blocks - 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #![proptest_config(crate::laws::cases(256))]

        #[test]
        fn it_behaves_like_an_ordered_set(
            n in 1u32..10_000,
            members in prop::collection::vec(0u32..10_000, 0..100),
            from in 0u32..10_000,
        ) {
            let members: BTreeSet<u32> = members.into_iter().map(|m| m % n).collect();
            let mut set = NodeSet::new(n as usize);
            members.iter().for_each(|&m| set.insert(m));
            prop_assert_eq!(set.next(from), members.range(from..).next().copied());
            let mut other = set.clone();
            let mut taken = BTreeSet::new();
            while let Some(m) = set.take(0, n) {
                taken.insert(m);
            }
            prop_assert_eq!(&taken, &members);
            prop_assert_eq!(set.next(0), None);
            other.clear();
            prop_assert_eq!(other.next(0), None);
            other.fill(n as usize);
            for m in 0..n {
                prop_assert_eq!(other.take(m, n), Some(m));
            }
            prop_assert_eq!(other.next(0), None);
        }
    }
}
