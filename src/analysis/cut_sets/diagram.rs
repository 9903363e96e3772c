//! Decision diagrams: one hash-consed table of (variable, low, high) nodes with an operation cache.
//!
//! The same table holds three kinds of diagram, which differ only in how a node is read:
//! binary decision diagrams of failure functions (bdd.rs), diagrams with numbers at the leaves for
//! operating levels (levels.rs), and zero-suppressed diagrams of set families (zbdd.rs; Minato
//! 1993). Equal diagrams are equal references. Children are made before their parents, so ascending
//! references are a bottom-up order.

use super::SetError;
use crate::analysis::Progress;

/// Reference to a diagram node.
pub type Ref = u32;
/// The number 0, the constant false, the empty family.
pub const ZERO: Ref = 0;
/// The number 1, the constant true, the family that holds only the empty set.
pub const ONE: Ref = 1;
/// Variable of a leaf: below every real variable.
pub const LEAF: u32 = u32::MAX;

/// Why an operation on diagrams gave up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The node budget is used up.
    Nodes,
    /// The caller asked to stop.
    Cancelled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Node {
    var: u32,
    low: u32,
    high: u32,
}

#[derive(Debug, Clone, Copy)]
struct Cached {
    a: u32,
    b: u32,
    c: u32,
    result: u32,
}

const EMPTY: Cached = Cached { a: u32::MAX, b: u32::MAX, c: u32::MAX, result: 0 };

/// Slots of the table for each result that the cache holds: a power of two. A larger cache forgets
/// less, but new memory costs more than what it saves.
const SLOTS_PER_RESULT: usize = 4;

/// The table of nodes.
#[derive(Debug, Clone)]
pub struct Diagrams {
    nodes: Vec<Node>,
    slots: Vec<u32>,
    cache: Vec<Cached>,
    limit: usize,
}

fn mix(a: u32, b: u32, c: u32) -> u64 {
    let mut h = u64::from(a).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    h = (h ^ (h >> 29) ^ u64::from(b)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    h = (h ^ (h >> 32) ^ u64::from(c)).wrapping_mul(0x94D0_49BB_1331_11EB);
    h ^ (h >> 31)
}

impl Diagrams {
    /// An empty table of at most `limit` nodes (about 40 bytes each, cache included).
    pub fn new(limit: usize) -> Self {
        let mut table = Self {
            nodes: Vec::new(),
            slots: vec![u32::MAX; 1 << 12],
            cache: vec![EMPTY; (1 << 12) / SLOTS_PER_RESULT],
            limit: limit.clamp(16, 1 << 30),
        };
        for value in [0.0f64, 1.0] {
            let bits = value.to_bits();
            table.insert(Node { var: LEAF, low: bits as u32, high: (bits >> 32) as u32 });
        }
        table
    }

    /// Allows this many nodes from now on.
    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit.clamp(16, 1 << 30);
    }

    /// Number of nodes made so far.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// Never: the two leaves are there from the start.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Variable of a node, [`LEAF`] for a leaf.
    pub fn var(&self, f: Ref) -> u32 {
        self.nodes[f as usize].var
    }

    /// The branch where the variable is false (BDD) or absent (ZBDD).
    pub fn low(&self, f: Ref) -> Ref {
        self.nodes[f as usize].low
    }

    /// The branch where the variable is true (BDD) or present (ZBDD).
    pub fn high(&self, f: Ref) -> Ref {
        self.nodes[f as usize].high
    }

    /// The number at a leaf.
    pub fn value(&self, f: Ref) -> f64 {
        let node = self.nodes[f as usize];
        f64::from_bits(u64::from(node.high) << 32 | u64::from(node.low))
    }

    /// All nodes of a diagram, leaves included, ascending: children before parents.
    pub fn reachable(&self, root: Ref) -> Vec<Ref> {
        let mut seen = fixedbitset::FixedBitSet::with_capacity(root as usize + 1);
        let mut stack = vec![root];
        seen.insert(root as usize);
        while let Some(f) = stack.pop() {
            if self.var(f) != LEAF {
                for child in [self.low(f), self.high(f)] {
                    if !seen.put(child as usize) {
                        stack.push(child);
                    }
                }
            }
        }
        seen.ones().map(|f| f as Ref).collect()
    }

    /// Variables that a diagram branches on, ascending.
    pub fn support(&self, root: Ref) -> Vec<u32> {
        let mut vars: Vec<u32> =
            self.reachable(root).into_iter().map(|f| self.var(f)).filter(|&v| v != LEAF).collect();
        vars.sort_unstable();
        vars.dedup();
        vars
    }

    fn insert(&mut self, node: Node) -> Ref {
        let mask = self.slots.len() - 1;
        let mut slot = mix(node.var, node.low, node.high) as usize & mask;
        loop {
            match self.slots[slot] {
                u32::MAX => break,
                f if self.nodes[f as usize] == node => return f,
                _ => slot = (slot + 1) & mask,
            }
        }
        let f = self.nodes.len() as Ref;
        self.nodes.push(node);
        self.slots[slot] = f;
        if self.nodes.len() * 2 > self.slots.len() {
            self.grow();
        }
        f
    }

    fn grow(&mut self) {
        let size = self.slots.len() * 2;
        self.slots = vec![u32::MAX; size];
        for (f, node) in self.nodes.iter().enumerate() {
            let mut slot = mix(node.var, node.low, node.high) as usize & (size - 1);
            while self.slots[slot] != u32::MAX {
                slot = (slot + 1) & (size - 1);
            }
            self.slots[slot] = f as Ref;
        }
        // The cache grows with the table and keeps what it holds.
        let size = size / SLOTS_PER_RESULT;
        let old = std::mem::replace(&mut self.cache, vec![EMPTY; size]);
        for entry in old {
            if entry.a != u32::MAX {
                self.cache[mix(entry.a, entry.b, entry.c) as usize & (size - 1)] = entry;
            }
        }
    }

    fn cached(&self, a: u32, b: u32, c: u32) -> Option<Ref> {
        let entry = self.cache[mix(a, b, c) as usize & (self.cache.len() - 1)];
        (entry.a == a && entry.b == b && entry.c == c).then_some(entry.result)
    }

    fn remember(&mut self, a: u32, b: u32, c: u32, result: Ref) {
        let slot = mix(a, b, c) as usize & (self.cache.len() - 1);
        self.cache[slot] = Cached { a, b, c, result };
    }
}

/// Operations in progress: the table, whom to ask whether to go on, and the steps since then.
pub struct Work<'a> {
    /// The table that the operations work in.
    pub table: &'a mut Diagrams,
    progress: &'a Progress,
    steps: u32,
}

impl<'a> Work<'a> {
    /// Starts working in a table.
    pub fn new(table: &'a mut Diagrams, progress: &'a Progress) -> Self {
        Self { table, progress, steps: 0 }
    }

    /// A leaf with a number. Numbers are rounded to multiples of 2^-40 (about 1e-12), so that sums
    /// taken in different orders meet in one leaf.
    pub fn leaf(&mut self, value: f64) -> Ref {
        const GRID: f64 = (1u64 << 40) as f64;
        let bits = ((value * GRID).round() / GRID + 0.0).to_bits();
        self.table.insert(Node { var: LEAF, low: bits as u32, high: (bits >> 32) as u32 })
    }

    /// The node with these parts, as they are (no reduction).
    pub(super) fn node(&mut self, var: u32, low: Ref, high: Ref) -> Result<Ref, Stop> {
        if self.table.nodes.len() >= self.table.limit {
            return Err(Stop::Nodes);
        }
        Ok(self.table.insert(Node { var, low, high }))
    }

    /// A remembered result. Operations of two operands use codes above any reference as `c`.
    pub(super) fn cached(&mut self, a: u32, b: u32, c: u32) -> Result<Option<Ref>, Stop> {
        if let Some(result) = self.table.cached(a, b, c) {
            return Ok(Some(result));
        }
        self.steps += 1;
        if self.steps & 0xFFFF == 0 {
            self.progress.check().map_err(|_| Stop::Cancelled)?;
        }
        Ok(None)
    }

    pub(super) fn remember(&mut self, a: u32, b: u32, c: u32, result: Ref) -> Ref {
        self.table.remember(a, b, c, result);
        result
    }
}

/// Codes of operations of two operands in the cache.
pub(super) mod code {
    pub const AND: u32 = u32::MAX - 1;
    pub const OR: u32 = u32::MAX - 2;
    pub const MIN: u32 = u32::MAX - 3;
    pub const ADD: u32 = u32::MAX - 4;
    pub const UNION: u32 = u32::MAX - 5;
    pub const WITHOUT: u32 = u32::MAX - 6;
    pub const MINIMAL: u32 = u32::MAX - 7;
    pub const WITH: u32 = u32::MAX - 8;
    pub const LACKING: u32 = u32::MAX - 9;
    pub const GRAFT: u32 = u32::MAX - 10;
    pub const ANY: u32 = u32::MAX - 11;
    pub const GAP: u32 = u32::MAX - 12;
}

/// Most variables that operations recurse over: each takes up to 2 KiB of stack.
const MOST_DEPTH: usize = 500_000;

/// Refuses more variables than [`with_deep_stack`] has room for.
pub(super) fn check_depth(depth: usize) -> Result<(), SetError> {
    if depth <= MOST_DEPTH {
        return Ok(());
    }
    Err(SetError::NotCovered(format!(
        "the structure has {depth} parts, and diagrams of more than {MOST_DEPTH} are too deep"
    )))
}

/// Runs `f` on a thread with room for recursions as deep as `depth` variables.
///
/// Operations recurse once per variable; a fixed stack would overflow on large models.
pub(super) fn with_deep_stack<T: Send>(depth: usize, f: impl FnOnce() -> T + Send) -> T {
    if depth < 2_000 {
        return f();
    }
    std::thread::scope(|scope| {
        let bytes = depth.min(MOST_DEPTH) * 2_048 + (8 << 20);
        match std::thread::Builder::new().stack_size(bytes).spawn_scoped(scope, f) {
            Ok(handle) => match handle.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            },
            Err(error) => {
                panic!("the system refuses a thread with {bytes} bytes of stack: {error}")
            }
        }
    })
}
