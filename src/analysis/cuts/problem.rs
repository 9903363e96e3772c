//! One source-to-target cut problem over a flow network: edges or nodes to cut, terminals, and
//! the checks that every answer passes.

use super::flow::{FlowNetwork, NodeSet};
use super::{CutError, CutKind};
use crate::analysis::Progress;
use crate::graph::Csr;

/// What there is to cut between two sets of nodes.
///
/// For node cuts every node v is split: 2v -> 2v + 1 carries its weight, links lead from 2u + 1
/// to 2v and cannot be cut. Sources start at their far half and targets end at their near half,
/// so neither can be cut.
#[derive(Debug, Clone)]
pub struct CutProblem {
    kind: CutKind,
    network: FlowNetwork,
    sources: Vec<u32>,
    sinks: Vec<u32>,
    infinite: u64,
}

/// What stands in the way of a cut between two sets, if anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CutState {
    /// There are cuts.
    Cuttable,
    /// No path leads from the sources to the targets as things are: the empty cut.
    AlreadyDisconnected,
    /// A node is both source and target, so nothing separates them.
    Overlapping {
        /// Those nodes, ascending.
        nodes: Vec<u32>,
    },
    /// Node cuts: sources supply targets directly, so no other node separates them.
    Adjacent {
        /// Those links, ascending.
        links: Vec<(u32, u32)>,
    },
}

/// A minimum cut with its sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SidedCut {
    /// Weight, in capacity units.
    pub weight: u64,
    /// What is cut: edge numbers of the graph, or nodes; ascending.
    pub units: Vec<u32>,
    /// Nodes on the source side, ascending. Cut nodes are on neither side.
    pub source_side: Vec<u32>,
    /// Nodes on the target side, ascending.
    pub target_side: Vec<u32>,
}

impl CutProblem {
    /// Checks the terminals and lays the problem out. `weight` is for each edge of the graph, or
    /// for each node; 0 means that nothing passes, so such edges and nodes are left out.
    ///
    /// # Errors
    /// [`CutError::NoTerminals`], [`CutError::UnknownNode`].
    ///
    /// # Panics
    /// If there is not one weight for each edge (or node), or their sum is 2^62 or more.
    pub fn new(
        csr: &Csr,
        kind: CutKind,
        weight: &[u64],
        sources: &[u32],
        targets: &[u32],
    ) -> Result<(Self, CutState), CutError> {
        let n = csr.node_count();
        if sources.is_empty() || targets.is_empty() {
            return Err(CutError::NoTerminals);
        }
        if let Some(&bad) = sources.iter().chain(targets).find(|&&v| v as usize >= n) {
            return Err(CutError::UnknownNode(bad));
        }
        let sum: u64 = weight.iter().sum();
        assert!(sum < 1 << 62, "the weights must leave room for an infinite one");
        let infinite = sum + 1;
        let sorted = |nodes: &[u32]| {
            let mut nodes = nodes.to_vec();
            nodes.sort_unstable();
            nodes.dedup();
            nodes
        };
        let (sources, targets) = (sorted(sources), sorted(targets));
        let mut state = CutState::Cuttable;
        let overlap: Vec<u32> =
            sources.iter().copied().filter(|s| targets.binary_search(s).is_ok()).collect();
        let problem = match kind {
            CutKind::Edge => {
                assert_eq!(weight.len(), csr.edge_count(), "one weight for each edge");
                let network = FlowNetwork::new(csr, weight);
                Self { kind, network, sources, sinks: targets, infinite }
            }
            CutKind::Vertex => {
                assert_eq!(weight.len(), n, "one weight for each node");
                let mut links = Vec::new();
                for &s in &sources {
                    let near = csr.consumers(s).iter().filter(|t| targets.binary_search(t).is_ok());
                    links.extend(near.map(|&t| (s, t)));
                }
                if !links.is_empty() {
                    state = CutState::Adjacent { links };
                }
                let mut inner = weight.to_vec();
                for &v in sources.iter().chain(&targets) {
                    inner[v as usize] = infinite;
                }
                let edges = csr.nodes().flat_map(|v| {
                    let own = ((2 * v, 2 * v + 1), (inner[v as usize], 0));
                    let links = csr.consumers(v).iter();
                    std::iter::once(own)
                        .chain(links.map(move |&w| ((2 * v + 1, 2 * w), (infinite, 0))))
                });
                Self {
                    kind,
                    network: FlowNetwork::from_sorted(2 * n, edges),
                    sources: sources.iter().map(|&v| 2 * v + 1).collect(),
                    sinks: targets.iter().map(|&v| 2 * v).collect(),
                    infinite,
                }
            }
        };
        if !overlap.is_empty() {
            state = CutState::Overlapping { nodes: overlap };
        } else if state == CutState::Cuttable
            && problem.network.reached_from(&problem.sources).is_disjoint(&problem.sink_set())
        {
            state = CutState::AlreadyDisconnected;
        }
        Ok((problem, state))
    }

    /// Bytes that a problem takes.
    pub fn bytes(kind: CutKind, nodes: usize, edges: usize) -> usize {
        match kind {
            CutKind::Edge => FlowNetwork::bytes(nodes, edges),
            CutKind::Vertex => FlowNetwork::bytes(2 * nodes, nodes + edges),
        }
    }

    pub(super) fn network(&self) -> &FlowNetwork {
        &self.network
    }

    pub(super) fn network_mut(&mut self) -> &mut FlowNetwork {
        &mut self.network
    }

    pub(super) fn sources(&self) -> &[u32] {
        &self.sources
    }

    pub(super) fn sinks(&self) -> &[u32] {
        &self.sinks
    }

    pub(super) fn sink_set(&self) -> NodeSet {
        let mut set = NodeSet::with_capacity(self.network.node_count());
        for &t in &self.sinks {
            set.insert(t as usize);
        }
        set
    }

    pub(super) fn infinite(&self) -> u64 {
        self.infinite
    }

    /// The unit that an edge of the network stands for.
    pub(super) fn unit(&self, tail: u32, edge: u32) -> u32 {
        match self.kind {
            CutKind::Edge => edge,
            CutKind::Vertex => tail / 2,
        }
    }

    /// Units of network edges, ascending.
    pub(super) fn units(&self, edges: &[u32]) -> Vec<u32> {
        edges.iter().map(|&e| self.unit(self.network.edge(e).0, e)).collect()
    }

    /// Network edges that lead out of a set of network nodes, ascending, and their weight.
    pub(super) fn leaving(&self, side: &NodeSet) -> (Vec<u32>, u64) {
        let mut edges = Vec::new();
        let mut weight = 0u64;
        for u in side.ones() {
            for (edge, position) in self.network.edges(u as u32) {
                let arc = self.network.arc(position);
                if arc.total > 0 && !side.contains(arc.head as usize) {
                    edges.push(edge);
                    weight = weight.saturating_add(arc.total);
                }
            }
        }
        (edges, weight)
    }

    /// Finds a maximum flow. Gives its value, which is the weight of every minimum cut.
    ///
    /// # Errors
    /// [`CutError::Cancelled`]; [`CutError::NoCut`] if the sets overlap or are adjacent;
    /// [`CutError::Inconsistent`] if the flow is not as heavy as the cut it proves.
    pub fn solve(&mut self, progress: &Progress) -> Result<u64, CutError> {
        let bound = self.network.uncuttable_from(&self.sources, self.infinite);
        if self.sinks.iter().any(|&t| bound.contains(t as usize)) {
            return Err(CutError::NoCut);
        }
        let flow = self.network.augment(&self.sources, &self.sinks, progress)?;
        let (_, weight) = self.leaving(&self.network.reached_from(&self.sources));
        if weight == flow { Ok(flow) } else { Err(CutError::Inconsistent { flow, cut: weight }) }
    }

    /// The minimum cut nearest to the sources, after [`CutProblem::solve`].
    pub fn nearest_source(&self) -> SidedCut {
        let side = self.network.reached_from(&self.sources);
        self.sided(&side)
    }

    /// The minimum cut nearest to the targets, after [`CutProblem::solve`].
    pub fn nearest_target(&self) -> SidedCut {
        let mut side = self.network.reaching(&self.sinks);
        side.toggle_range(..);
        self.sided(&side)
    }

    fn sided(&self, side: &NodeSet) -> SidedCut {
        let (edges, weight) = self.leaving(side);
        let (mut source_side, mut target_side) = (Vec::new(), Vec::new());
        match self.kind {
            CutKind::Edge => {
                for v in 0..self.network.node_count() {
                    let part = if side.contains(v) { &mut source_side } else { &mut target_side };
                    part.push(v as u32);
                }
            }
            CutKind::Vertex => {
                let units = self.units(&edges);
                for v in 0..self.network.node_count() as u32 / 2 {
                    if units.binary_search(&v).is_ok() {
                        continue;
                    }
                    // The halves of a node that is not cut are on one side, but for terminals and
                    // nodes that nothing passes. Targets are entered at their near half; of all
                    // others the far half says where they supply.
                    let is_target = self.sinks.binary_search(&(2 * v)).is_ok();
                    let part = if side.contains(2 * v as usize + 1) && !is_target {
                        &mut source_side
                    } else {
                        &mut target_side
                    };
                    part.push(v);
                }
            }
        }
        SidedCut { weight, units: self.units(&edges), source_side, target_side }
    }
}
