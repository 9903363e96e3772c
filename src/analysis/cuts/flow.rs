//! Maximum flow: Dinic's algorithm on flat arrays, exact in u64.
//!
//! Dinic, "Algorithm for solution of a problem of maximum flow in networks with power estimation",
//! 1970. Distances are taken from the sinks, so no search walks into a dead end, and every source
//! starts at its own distance, so one phase blocks the paths of all lengths at once.

use crate::analysis::{Cancelled, Progress};
use crate::graph::Csr;

/// Distance of a node that reaches no sink.
const FAR: u32 = u32::MAX;

/// One direction of an edge, stored at its tail.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arc {
    pub head: u32,
    /// Position of the opposite arc.
    pub twin: u32,
    /// What may still be pushed along it.
    pub residual: u64,
    /// Sum of the residuals of both directions; it never changes.
    pub total: u64,
}

/// A flow network with its residual capacities.
///
/// Arcs of a node stand together: first its own edges (in the order given), then the opposite
/// directions of the edges that arrive. Edges are numbered by tail.
#[derive(Debug, Clone)]
pub(super) struct FlowNetwork {
    start: Vec<u32>,
    /// Number of the first edge of each node.
    first_edge: Vec<u32>,
    arcs: Vec<Arc>,
    distance: Vec<u32>,
    current: Vec<u32>,
    queue: Vec<u32>,
    path: Vec<u32>,
}

/// A set of nodes by index.
pub(super) type NodeSet = fixedbitset::FixedBitSet;

impl FlowNetwork {
    /// The network over a graph with a capacity for each edge.
    pub fn new(csr: &Csr, capacity: &[u64]) -> Self {
        let n = csr.node_count();
        let ends = csr.nodes().flat_map(|u| csr.consumers(u).iter().map(move |&v| (u, v)));
        Self::from_sorted(n, ends.zip(capacity.iter().map(|&c| (c, 0))))
    }

    /// From edges sorted by tail, each with its capacity there and back.
    pub fn from_sorted(
        n: usize,
        edges: impl Iterator<Item = ((u32, u32), (u64, u64))> + Clone,
    ) -> Self {
        let mut first_edge = vec![0u32; n + 1];
        let mut start = vec![0u32; n + 1];
        let mut count = 0;
        for ((u, v), _) in edges.clone() {
            first_edge[u as usize + 1] += 1;
            start[v as usize + 1] += 1;
            count += 1;
        }
        for i in 0..n {
            first_edge[i + 1] += first_edge[i];
            start[i + 1] += start[i];
        }
        // `start` counts arrivals so far; with the edges that leave it is where arcs start.
        let mut next_back: Vec<u32> = (0..n).map(|i| start[i] + first_edge[i + 1]).collect();
        for i in 0..=n {
            start[i] += first_edge[i];
        }
        let blank = Arc { head: 0, twin: 0, residual: 0, total: 0 };
        let mut arcs = vec![blank; 2 * count];
        for (e, ((u, v), (there, back))) in edges.enumerate() {
            let forward = start[u as usize] + (e as u32 - first_edge[u as usize]);
            let backward = next_back[v as usize];
            next_back[v as usize] += 1;
            let total = there + back;
            arcs[forward as usize] = Arc { head: v, twin: backward, residual: there, total };
            arcs[backward as usize] = Arc { head: u, twin: forward, residual: back, total };
        }
        Self {
            start,
            first_edge,
            arcs,
            distance: vec![FAR; n],
            current: vec![0; n],
            queue: Vec::new(),
            path: Vec::new(),
        }
    }

    /// Bytes of a network of so many nodes and edges.
    pub fn bytes(nodes: usize, edges: usize) -> usize {
        nodes * (4 * 5) + edges * 2 * size_of::<Arc>()
    }

    pub fn node_count(&self) -> usize {
        self.start.len() - 1
    }

    pub fn arcs_len(&self) -> usize {
        self.arcs.len()
    }

    pub fn arcs(&self, node: u32) -> std::ops::Range<usize> {
        self.start[node as usize] as usize..self.start[node as usize + 1] as usize
    }

    pub fn arc(&self, position: usize) -> Arc {
        self.arcs[position]
    }

    /// A node's own edges as (number, arc position).
    pub fn edges(&self, node: u32) -> impl Iterator<Item = (u32, usize)> + use<> {
        let first = self.first_edge[node as usize];
        let start = self.start[node as usize] as usize;
        (first..self.first_edge[node as usize + 1]).enumerate().map(move |(k, e)| (e, start + k))
    }

    /// Tail and arc position of an edge.
    pub fn edge(&self, edge: u32) -> (u32, usize) {
        let tail = self.first_edge.partition_point(|&first| first <= edge) as u32 - 1;
        let offset = edge - self.first_edge[tail as usize];
        (tail, (self.start[tail as usize] + offset) as usize)
    }

    /// Raises the capacity of an edge to `total`, keeping the flow on it.
    pub fn raise(&mut self, position: usize, total: u64) {
        let more = total.saturating_sub(self.arcs[position].total);
        let twin = self.arcs[position].twin as usize;
        self.arcs[position].residual += more;
        self.arcs[position].total += more;
        self.arcs[twin].total += more;
    }

    /// Forgets all flow of an undirected network (equal capacities both ways).
    pub fn reset_undirected(&mut self) {
        for arc in &mut self.arcs {
            arc.residual = arc.total / 2;
        }
    }

    /// Moves `amount` along an arc.
    fn push(&mut self, position: usize, amount: u64) {
        let twin = self.arcs[position].twin as usize;
        self.arcs[position].residual -= amount;
        self.arcs[twin].residual += amount;
    }

    /// Pushes as much as will go from the sources to the sinks, on top of the flow that is there,
    /// and gives the amount added.
    ///
    /// # Errors
    /// [`Cancelled`], checked once for each phase.
    pub fn augment(
        &mut self,
        sources: &[u32],
        sinks: &[u32],
        progress: &Progress,
    ) -> Result<u64, Cancelled> {
        let mut added = 0;
        loop {
            progress.check()?;
            self.measure(sinks);
            if sources.iter().all(|&s| self.distance[s as usize] == FAR) {
                return Ok(added);
            }
            for (current, &start) in self.current.iter_mut().zip(&self.start) {
                *current = start;
            }
            for &source in sources {
                added += self.block(source);
            }
        }
    }

    /// Distances to the nearest sink along arcs that can still take flow.
    fn measure(&mut self, sinks: &[u32]) {
        self.distance.fill(FAR);
        self.queue.clear();
        for &t in sinks {
            if self.distance[t as usize] == FAR {
                self.distance[t as usize] = 0;
                self.queue.push(t);
            }
        }
        let mut at = 0;
        while at < self.queue.len() {
            let v = self.queue[at];
            at += 1;
            let next = self.distance[v as usize] + 1;
            for arc in
                &self.arcs[self.start[v as usize] as usize..self.start[v as usize + 1] as usize]
            {
                // The opposite arc leads to v; it can take what this one's residual leaves over.
                if arc.residual < arc.total && self.distance[arc.head as usize] == FAR {
                    self.distance[arc.head as usize] = next;
                    self.queue.push(arc.head);
                }
            }
        }
    }

    /// Pushes flow along shortest paths from one source until none is left.
    fn block(&mut self, source: u32) -> u64 {
        let mut added = 0;
        let mut u = source;
        self.path.clear();
        if self.distance[source as usize] == FAR {
            return 0;
        }
        loop {
            let distance = self.distance[u as usize];
            if distance == 0 {
                // At a sink: the bottleneck is measured afresh on the whole path.
                let mut amount = u64::MAX;
                for &a in &self.path {
                    amount = amount.min(self.arcs[a as usize].residual);
                }
                if self.path.is_empty() {
                    return added;
                }
                added += amount;
                let mut keep = self.path.len();
                for k in (0..self.path.len()).rev() {
                    let a = self.path[k] as usize;
                    self.push(a, amount);
                    if self.arcs[a].residual == 0 {
                        keep = k;
                    }
                }
                // Go on from the tail of the first arc that is full.
                u = self.tail(self.path[keep]);
                self.path.truncate(keep);
                continue;
            }
            let end = self.start[u as usize + 1];
            let mut at = self.current[u as usize];
            while at < end {
                let arc = self.arcs[at as usize];
                if arc.residual > 0 && self.distance[arc.head as usize] == distance - 1 {
                    break;
                }
                at += 1;
            }
            self.current[u as usize] = at;
            if at < end {
                self.path.push(at);
                u = self.arcs[at as usize].head;
            } else {
                self.distance[u as usize] = FAR;
                let Some(a) = self.path.pop() else { return added };
                u = self.tail(a);
                self.current[u as usize] += 1;
            }
        }
    }

    fn tail(&self, position: u32) -> u32 {
        self.arcs[self.arcs[position as usize].twin as usize].head
    }

    /// Nodes that the sources still reach in the residual network: the source side of the minimum
    /// cut nearest to the sources.
    pub fn reached_from(&self, sources: &[u32]) -> NodeSet {
        self.reach(sources, |arc| arc.residual > 0)
    }

    /// Nodes that still reach the sinks in the residual network: the sink side of the minimum cut
    /// nearest to the sinks.
    pub fn reaching(&self, sinks: &[u32]) -> NodeSet {
        self.reach(sinks, |arc| arc.residual < arc.total)
    }

    fn reach(&self, from: &[u32], open: impl Fn(&Arc) -> bool) -> NodeSet {
        let mut seen = NodeSet::with_capacity(self.node_count());
        let mut stack: Vec<u32> = Vec::new();
        for &s in from {
            if !seen.put(s as usize) {
                stack.push(s);
            }
        }
        while let Some(v) = stack.pop() {
            for arc in &self.arcs[self.arcs(v)] {
                if open(arc) && !seen.put(arc.head as usize) {
                    stack.push(arc.head);
                }
            }
        }
        seen
    }

    /// Nodes that the sources reach over edges of infinite capacity alone, themselves included.
    pub fn uncuttable_from(&self, sources: &[u32], infinite: u64) -> NodeSet {
        let mut seen = NodeSet::with_capacity(self.node_count());
        let mut stack: Vec<u32> =
            sources.iter().copied().filter(|&v| !seen.put(v as usize)).collect();
        while let Some(u) = stack.pop() {
            for (_, position) in self.edges(u) {
                let arc = self.arcs[position];
                if arc.total >= infinite && !seen.put(arc.head as usize) {
                    stack.push(arc.head);
                }
            }
        }
        seen
    }

    /// What leaves the nodes less what enters them, for a directed network.
    pub fn net_outflow(&self, nodes: &[u32]) -> i128 {
        let mut sum = 0;
        for &u in nodes {
            for (_, position) in self.edges(u) {
                sum += i128::from(self.flow(position));
            }
            let back = self.arcs(u).start + self.edges(u).count()..self.arcs(u).end;
            for position in back {
                sum -= i128::from(self.arcs[position].residual);
            }
        }
        sum
    }

    /// Flow on an edge of a directed network.
    pub fn flow(&self, position: usize) -> u64 {
        self.arcs[position].total - self.arcs[position].residual
    }

    /// Takes flow out of every cycle that it runs in, so that all of it runs from sources to
    /// sinks. Values and cuts do not change.
    pub fn cancel_cycles(&mut self) {
        const NEW: u8 = 0;
        const OPEN: u8 = 1;
        const DONE: u8 = 2;
        let n = self.node_count();
        let mut state = vec![NEW; n];
        let mut next: Vec<u32> = vec![0; n];
        // The walk so far, as arc positions; the node at its end is `u`.
        let mut walk: Vec<usize> = Vec::new();
        for root in 0..n as u32 {
            if state[root as usize] != NEW {
                continue;
            }
            let mut u = root;
            state[u as usize] = OPEN;
            loop {
                let own = self.arcs(u).start;
                let degree = self.edges(u).count() as u32;
                let mut k = next[u as usize];
                let mut step = None;
                while k < degree {
                    let position = own + k as usize;
                    let head = self.arcs[position].head;
                    if self.flow(position) > 0 && state[head as usize] != DONE {
                        step = Some((position, head));
                        break;
                    }
                    k += 1;
                }
                next[u as usize] = k;
                match step {
                    Some((position, head)) if state[head as usize] == NEW => {
                        state[head as usize] = OPEN;
                        walk.push(position);
                        u = head;
                    }
                    Some((position, head)) => {
                        // A cycle: back along the walk to `head`.
                        walk.push(position);
                        let begin = walk
                            .iter()
                            .rposition(|&a| self.tail(a as u32) == head)
                            .unwrap_or(walk.len() - 1);
                        let amount = walk[begin..].iter().map(|&a| self.flow(a)).min().unwrap_or(0);
                        let mut keep = walk.len();
                        for k in (begin..walk.len()).rev() {
                            let twin = self.arcs[walk[k]].twin as usize;
                            self.push(twin, amount);
                            if self.flow(walk[k]) == 0 {
                                keep = k;
                            }
                        }
                        // Nodes after the first emptied arc are looked at again; the last arc
                        // leads back to `head`, which stays on the walk.
                        for &a in &walk[keep..walk.len() - 1] {
                            let head = self.arcs[a].head;
                            state[head as usize] = NEW;
                        }
                        u = self.tail(walk[keep] as u32);
                        state[u as usize] = OPEN;
                        walk.truncate(keep);
                    }
                    None => {
                        state[u as usize] = DONE;
                        let Some(a) = walk.pop() else { break };
                        u = self.tail(a as u32);
                    }
                }
            }
        }
    }
}
