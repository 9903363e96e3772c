//! A lean view of a snapshot for structural analyses: simple directed graph, compressed sparse
//! rows both ways, one optional weight per edge.
//!
//! The snapshot keeps every flow; structure asks *who is linked to whom*, so flows of several
//! products between the same two nodes become one edge here. The view decides what a weight
//! means; an analysis says whether it reads weights as strengths (more is closer) or as lengths
//! (more is farther).

use std::cmp::Ordering;
use std::ops::Range;

use super::Snapshot;

/// What the weight of an edge is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Weighting {
    /// No weights: every edge counts 1, every step is 1 long.
    #[default]
    One,
    /// Quantity per year: a strength. Parallel flows add up. Flows of quantity 0 are left out,
    /// since nothing is supplied.
    Quantity,
    /// 1 / quantity: a length (the more flows, the closer). Parallel flows add up before the
    /// division. Flows of quantity 0 are infinitely long, so they are left out.
    InverseQuantity,
    /// A numeric flow attribute (or `capacity`, `lead_days`) as a strength, at least 0. Parallel
    /// flows add up; zeros are left out.
    Strength(String),
    /// A numeric flow attribute (or `capacity`, `lead_days`) as a length, above 0. Of parallel
    /// flows the shortest counts.
    Length(String),
}

/// A flow has no weight that the view could use.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum WeightError {
    /// The attribute is absent.
    #[error(
        "flow {flow} has no attribute \"{attribute}\"; set it on every flow or choose another weight"
    )]
    Missing {
        /// Id of the flow.
        flow: String,
        /// Attribute asked for.
        attribute: String,
    },
    /// The attribute is no number, or out of range.
    #[error("flow {flow}: attribute \"{attribute}\" is {found}; as a weight it must be {wanted}")]
    Unusable {
        /// Id of the flow.
        flow: String,
        /// Attribute asked for.
        attribute: String,
        /// What was found.
        found: String,
        /// What would do.
        wanted: &'static str,
    },
}

/// Simple directed graph over the node indices of a snapshot.
///
/// Edges are numbered by (from, to). Memory: 8 bytes a node and 8 bytes an edge; with weights 20
/// bytes an edge (a million nodes and five million edges: 48 MB, 108 MB weighted).
#[derive(Debug, Clone, PartialEq)]
pub struct Csr {
    out_start: Vec<u32>,
    out_to: Vec<u32>,
    in_start: Vec<u32>,
    in_from: Vec<u32>,
    /// Weight of each edge; empty if every edge weighs 1.
    weight: Vec<f64>,
    /// Edge of each arrival; empty if `weight` is.
    in_edge: Vec<u32>,
}

impl Csr {
    /// The view of a snapshot with the weights asked for: O(nodes + flows).
    ///
    /// # Errors
    /// [`WeightError`] for the first flow without a usable weight.
    ///
    /// ```
    /// use chokepoint::graph::{Csr, Snapshot, SnapshotInfo, Weighting};
    /// use chokepoint::model::{FlowRecord, NetworkBuilder, NodeRecord};
    ///
    /// let mut builder = NetworkBuilder::new();
    /// for id in ["mine", "smelter"] {
    ///     builder.add_node(&NodeRecord::new(id), 0).unwrap();
    /// }
    /// builder.add_flow(&FlowRecord::new("mine", "smelter", 5.0), 0);
    /// let snapshot = Snapshot::build(builder.finish().unwrap(), SnapshotInfo::default(), Default::default());
    /// let csr = Csr::from_snapshot(&snapshot, &Weighting::InverseQuantity).unwrap();
    /// assert_eq!(csr.consumers(0), [1]);
    /// assert_eq!(csr.weight(0), 0.2);
    /// ```
    pub fn from_snapshot(snapshot: &Snapshot, weighting: &Weighting) -> Result<Self, WeightError> {
        let m = snapshot.flow_count();
        let mut from = Vec::with_capacity(m);
        let mut to = Vec::with_capacity(m);
        let mut weight: Vec<f64> = Vec::new();
        for e in 0..m {
            let w = flow_weight(snapshot, weighting, e)?;
            if w == 0.0 {
                continue;
            }
            let ends = (snapshot.flow_from(e), snapshot.flow_to(e));
            let same = from.last() == Some(&ends.0) && to.last() == Some(&ends.1);
            if !same {
                from.push(ends.0);
                to.push(ends.1);
            }
            match (weighting, weight.last_mut()) {
                (Weighting::One, _) => {}
                (Weighting::Length(_), Some(last)) if same => *last = last.min(w),
                (_, Some(last)) if same => *last += w,
                _ => weight.push(w),
            }
        }
        if *weighting == Weighting::InverseQuantity {
            for w in &mut weight {
                *w = 1.0 / *w;
            }
        }
        Ok(Self::from_sorted(snapshot.node_count(), from, to, weight))
    }

    /// Who supplies whom, without weights: every flow counts, even one of quantity 0.
    pub fn links(snapshot: &Snapshot) -> Self {
        let m = snapshot.flow_count();
        let (mut from, mut to) = (Vec::with_capacity(m), Vec::with_capacity(m));
        for e in 0..m {
            let ends = (snapshot.flow_from(e), snapshot.flow_to(e));
            if from.last() != Some(&ends.0) || to.last() != Some(&ends.1) {
                from.push(ends.0);
                to.push(ends.1);
            }
        }
        Self::from_sorted(snapshot.node_count(), from, to, Vec::new())
    }

    /// A graph of `n` nodes from edges in any order; weights of equal edges add up.
    ///
    /// # Panics
    /// If an end is not below `n`.
    pub fn from_edges(n: usize, edges: &[(u32, u32, f64)]) -> Self {
        let mut edges = edges.to_vec();
        edges.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then(a.2.total_cmp(&b.2)));
        edges.dedup_by(|next, kept| {
            let same = (next.0, next.1) == (kept.0, kept.1);
            if same {
                kept.2 += next.2;
            }
            same
        });
        assert!(
            edges.iter().all(|e| (e.0.max(e.1) as usize) < n),
            "an edge ends outside the graph"
        );
        let from = edges.iter().map(|e| e.0).collect();
        let to = edges.iter().map(|e| e.1).collect();
        Self::from_sorted(n, from, to, edges.iter().map(|e| e.2).collect())
    }

    /// As [`Csr::from_edges`], without weights.
    ///
    /// # Panics
    /// If an end is not below `n`.
    pub fn from_pairs(n: usize, pairs: &[(u32, u32)]) -> Self {
        let mut pairs = pairs.to_vec();
        pairs.sort_unstable();
        pairs.dedup();
        assert!(
            pairs.iter().all(|e| (e.0.max(e.1) as usize) < n),
            "an edge ends outside the graph"
        );
        let (from, to) = pairs.into_iter().unzip();
        Self::from_sorted(n, from, to, Vec::new())
    }

    /// From distinct edges in (from, to) order.
    fn from_sorted(n: usize, from: Vec<u32>, mut out_to: Vec<u32>, mut weight: Vec<f64>) -> Self {
        out_to.shrink_to_fit();
        weight.shrink_to_fit();
        let mut out_start = vec![0u32; n + 1];
        for u in from {
            out_start[u as usize + 1] += 1;
        }
        for i in 0..n {
            out_start[i + 1] += out_start[i];
        }
        Self::from_rows(out_start, out_to, weight)
    }

    /// From rows of ascending consumers.
    fn from_rows(out_start: Vec<u32>, out_to: Vec<u32>, weight: Vec<f64>) -> Self {
        let (n, m) = (out_start.len() - 1, out_to.len());
        let mut in_start = vec![0u32; n + 1];
        for &v in &out_to {
            in_start[v as usize + 1] += 1;
        }
        for i in 0..n {
            in_start[i + 1] += in_start[i];
        }
        let mut in_from = vec![0u32; m];
        let mut in_edge = vec![0u32; if weight.is_empty() { 0 } else { m }];
        // Filled in place: `in_start` is moved along and put back afterwards.
        for u in 0..n {
            for e in out_start[u] as usize..out_start[u + 1] as usize {
                let next = &mut in_start[out_to[e] as usize];
                let slot = *next as usize;
                *next += 1;
                in_from[slot] = u as u32;
                if let Some(edge) = in_edge.get_mut(slot) {
                    *edge = e as u32;
                }
            }
        }
        in_start.copy_within(0..n, 1);
        in_start[0] = 0;
        Self { out_start, out_to, in_start, in_from, weight, in_edge }
    }

    /// The same graph without weights.
    #[must_use]
    pub fn unweighted(&self) -> Self {
        Self { weight: Vec::new(), in_edge: Vec::new(), ..self.clone() }
    }

    /// Every edge turned round.
    #[must_use]
    pub fn reversed(&self) -> Self {
        let weight: Vec<f64> = self.in_edge.iter().map(|&e| self.weight[e as usize]).collect();
        let in_edge = if weight.is_empty() {
            Vec::new()
        } else {
            let mut position = vec![0u32; self.edge_count()];
            for (slot, &e) in self.in_edge.iter().enumerate() {
                position[e as usize] = slot as u32;
            }
            position
        };
        Self {
            out_start: self.in_start.clone(),
            out_to: self.in_from.clone(),
            in_start: self.out_start.clone(),
            in_from: self.out_to.clone(),
            weight,
            in_edge,
        }
    }

    /// The undirected projection: `u` and `v` are joined both ways if either supplies the other.
    /// Where both do, `combine` makes one weight of two: `f64::add` for strengths, `f64::min` for
    /// lengths. Self-loops stay as they are.
    #[must_use]
    pub fn undirected(&self, combine: fn(f64, f64) -> f64) -> Self {
        let n = self.node_count();
        let mut from = Vec::with_capacity(2 * self.edge_count());
        let mut to = Vec::with_capacity(2 * self.edge_count());
        let mut weight = Vec::new();
        for v in 0..n as u32 {
            let (out, arrivals) = (self.edges_out(v), self.arrivals(v));
            let (mut i, mut j) = (out.start, arrivals.start);
            while i < out.end || j < arrivals.end {
                let a = if i < out.end { self.out_to[i] } else { u32::MAX };
                let b = if j < arrivals.end { self.in_from[j] } else { u32::MAX };
                if self.is_weighted() {
                    weight.push(match a.cmp(&b) {
                        Ordering::Less => self.weight(i),
                        Ordering::Greater => self.arrival_weight(j),
                        Ordering::Equal if a == v => self.weight(i),
                        Ordering::Equal => combine(self.weight(i), self.arrival_weight(j)),
                    });
                }
                i += usize::from(a <= b);
                j += usize::from(b <= a);
                from.push(v);
                to.push(a.min(b));
            }
        }
        Self::from_sorted(n, from, to, weight)
    }

    /// The same graph with other node numbers: node `order[i]` becomes `i`.
    ///
    /// Gives nearby numbers to nodes that are visited together, so traversals miss the cache less.
    #[must_use]
    pub fn renumbered(&self, order: &[u32]) -> Self {
        let n = self.node_count();
        let mut position = vec![0u32; n];
        let mut out_start = vec![0u32; n + 1];
        for (new, &old) in order.iter().enumerate() {
            position[old as usize] = new as u32;
            out_start[new + 1] = out_start[new] + self.out_degree(old);
        }
        // Consumers are dealt out in ascending order, so every row comes out sorted.
        let mut next = out_start.clone();
        let mut out_to = vec![0u32; self.edge_count()];
        let mut weight = vec![0.0; self.weight.len()];
        for (new, &old) in order.iter().enumerate() {
            for (arrival, &supplier) in self.arrivals(old).zip(self.suppliers(old)) {
                let slot = &mut next[position[supplier as usize] as usize];
                out_to[*slot as usize] = new as u32;
                if let Some(weight) = weight.get_mut(*slot as usize) {
                    *weight = self.arrival_weight(arrival);
                }
                *slot += 1;
            }
        }
        Self::from_rows(out_start, out_to, weight)
    }

    /// Number of nodes.
    pub fn node_count(&self) -> usize {
        self.out_start.len() - 1
    }

    /// Number of edges.
    pub fn edge_count(&self) -> usize {
        self.out_to.len()
    }

    /// Every node index, ascending.
    pub fn nodes(&self) -> Range<u32> {
        0..self.node_count() as u32
    }

    /// True if edges carry weights.
    pub fn is_weighted(&self) -> bool {
        !self.weight.is_empty()
    }

    /// Edges that leave a node.
    #[inline]
    pub fn edges_out(&self, node: u32) -> Range<usize> {
        self.out_start[node as usize] as usize..self.out_start[node as usize + 1] as usize
    }

    /// Positions of a node's arrivals (see [`Csr::suppliers`], [`Csr::arrival_weight`]).
    #[inline]
    pub fn arrivals(&self, node: u32) -> Range<usize> {
        self.in_start[node as usize] as usize..self.in_start[node as usize + 1] as usize
    }

    /// Consumers of a node, ascending.
    #[inline]
    pub fn consumers(&self, node: u32) -> &[u32] {
        &self.out_to[self.edges_out(node)]
    }

    /// Suppliers of a node, ascending.
    #[inline]
    pub fn suppliers(&self, node: u32) -> &[u32] {
        &self.in_from[self.arrivals(node)]
    }

    /// Number of consumers.
    #[inline]
    pub fn out_degree(&self, node: u32) -> u32 {
        self.out_start[node as usize + 1] - self.out_start[node as usize]
    }

    /// Number of suppliers.
    #[inline]
    pub fn in_degree(&self, node: u32) -> u32 {
        self.in_start[node as usize + 1] - self.in_start[node as usize]
    }

    /// Consumer at the end of an edge.
    #[inline]
    pub fn target(&self, edge: usize) -> u32 {
        self.out_to[edge]
    }

    /// Consumers at the ends of all edges.
    #[inline]
    pub(crate) fn targets(&self) -> &[u32] {
        &self.out_to
    }

    /// Reads the start of the rows of some nodes, all at once, so that waiting for memory
    /// overlaps: rows visited by a search are far apart. Returns something to keep alive.
    #[inline]
    pub(crate) fn fetch_rows(&self, nodes: &[u32]) -> u32 {
        nodes.iter().fold(0, |read, &v| {
            read ^ self.out_to.get(self.out_start[v as usize] as usize).copied().unwrap_or(0)
        })
    }

    /// Supplier at the start of an edge: O(log nodes).
    pub fn source(&self, edge: usize) -> u32 {
        self.out_start.partition_point(|&start| start as usize <= edge) as u32 - 1
    }

    /// Weight of an edge (1 without weights).
    #[inline]
    pub fn weight(&self, edge: usize) -> f64 {
        self.weight.get(edge).copied().unwrap_or(1.0)
    }

    /// Weight of an arrival (1 without weights).
    #[inline]
    pub fn arrival_weight(&self, arrival: usize) -> f64 {
        match self.in_edge.get(arrival) {
            Some(&e) => self.weight[e as usize],
            None => 1.0,
        }
    }

    /// Weights of all edges; empty without weights.
    pub fn weights(&self) -> &[f64] {
        &self.weight
    }

    /// Number of an edge by its ends: O(log degree).
    pub fn edge(&self, from: u32, to: u32) -> Option<usize> {
        let start = self.edges_out(from).start;
        self.consumers(from).binary_search(&to).ok().map(|k| start + k)
    }

    /// The edges as they point: supplier to consumer.
    #[inline]
    pub fn outgoing(&self) -> Adjacency<'_> {
        Adjacency { start: &self.out_start, head: &self.out_to }
    }

    /// The edges turned round: consumer to supplier.
    #[inline]
    pub fn incoming(&self) -> Adjacency<'_> {
        Adjacency { start: &self.in_start, head: &self.in_from }
    }

    /// Bytes that the view takes.
    pub fn bytes(&self) -> usize {
        4 * (self.out_start.len() + self.in_start.len())
            + 4 * (self.out_to.len() + self.in_from.len() + self.in_edge.len())
            + 8 * self.weight.len()
    }
}

/// One direction of a [`Csr`], borrowed: an algorithm that takes two of them (successors,
/// predecessors) runs on the graph or on its reverse without a copy.
#[derive(Debug, Clone, Copy)]
pub struct Adjacency<'a> {
    start: &'a [u32],
    head: &'a [u32],
}

impl<'a> Adjacency<'a> {
    /// Number of nodes.
    #[inline]
    pub fn node_count(self) -> usize {
        self.start.len() - 1
    }

    /// Neighbours of a node, ascending.
    #[inline]
    pub fn of(self, node: u32) -> &'a [u32] {
        &self.head[self.range(node)]
    }

    /// Positions of a node's neighbours in [`Adjacency::heads`].
    #[inline]
    pub fn range(self, node: u32) -> Range<usize> {
        self.start[node as usize] as usize..self.start[node as usize + 1] as usize
    }

    /// Neighbours of all nodes, one row after the other.
    #[inline]
    pub fn heads(self) -> &'a [u32] {
        self.head
    }
}

/// Weight of one flow before parallel ones are merged; 0 leaves it out.
fn flow_weight(snapshot: &Snapshot, weighting: &Weighting, e: usize) -> Result<f64, WeightError> {
    let (attribute, positive) = match weighting {
        Weighting::One => return Ok(1.0),
        Weighting::Quantity | Weighting::InverseQuantity => return Ok(snapshot.quantity(e)),
        Weighting::Strength(name) => (name, false),
        Weighting::Length(name) => (name, true),
    };
    let network = snapshot.network();
    let flow = || network.flow_id(e);
    let wanted = if positive { "a number above 0" } else { "a number, 0 or more" };
    let unusable = |found: String| {
        Err(WeightError::Unusable { flow: flow(), attribute: attribute.clone(), found, wanted })
    };
    let value = match attribute.as_str() {
        "capacity" => Some(snapshot.flow_capacity(e)),
        "lead_days" => network.flows.lead_days.get(e),
        name => match network.flows.attributes.get(&(e as u32)).and_then(|a| a.get(name)) {
            Some(value) => match value.as_f64() {
                Some(number) => Some(number),
                None => return unusable(value.to_string()),
            },
            None => None,
        },
    };
    match value {
        None => Err(WeightError::Missing { flow: flow(), attribute: attribute.clone() }),
        Some(w) if !w.is_finite() || w < 0.0 || (positive && w == 0.0) => unusable(w.to_string()),
        Some(w) => Ok(w),
    }
}
