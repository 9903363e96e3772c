//! petgraph's visit traits on a snapshot: petgraph's and rustworkx-core's algorithms run on it
//! unchanged. Node ids are `u32`, edge ids are flow indices, edge weights are quantities.

use fixedbitset::FixedBitSet;
use petgraph::visit::{
    Data, EdgeCount, EdgeRef, GraphBase, GraphProp, IntoEdgeReferences, IntoEdges,
    IntoEdgesDirected, IntoNeighbors, IntoNeighborsDirected, IntoNodeIdentifiers,
    NodeCompactIndexable, NodeCount, NodeIndexable, Visitable,
};
use petgraph::{Directed, Direction};

use super::Snapshot;

impl GraphBase for Snapshot {
    type NodeId = u32;
    type EdgeId = usize;
}

impl GraphProp for Snapshot {
    type EdgeType = Directed;
}

impl Data for Snapshot {
    type NodeWeight = u32;
    type EdgeWeight = f64;
}

impl NodeCount for Snapshot {
    fn node_count(&self) -> usize {
        Snapshot::node_count(self)
    }
}

impl EdgeCount for Snapshot {
    fn edge_count(&self) -> usize {
        self.flow_count()
    }
}

impl NodeIndexable for Snapshot {
    fn node_bound(&self) -> usize {
        Snapshot::node_count(self)
    }

    fn to_index(&self, node: u32) -> usize {
        node as usize
    }

    fn from_index(&self, index: usize) -> u32 {
        index as u32
    }
}

impl NodeCompactIndexable for Snapshot {}

impl Visitable for Snapshot {
    type Map = FixedBitSet;

    fn visit_map(&self) -> FixedBitSet {
        FixedBitSet::with_capacity(Snapshot::node_count(self))
    }

    fn reset_map(&self, map: &mut FixedBitSet) {
        map.clear();
        map.grow(Snapshot::node_count(self));
    }
}

impl IntoNodeIdentifiers for &Snapshot {
    type NodeIdentifiers = std::ops::Range<u32>;

    fn node_identifiers(self) -> Self::NodeIdentifiers {
        self.nodes()
    }
}

/// One flow as petgraph sees it: source is the supplier, target the consumer.
#[derive(Debug, Clone, Copy)]
pub struct FlowRef<'a> {
    snapshot: &'a Snapshot,
    flow: usize,
}

impl<'a> EdgeRef for FlowRef<'a> {
    type NodeId = u32;
    type EdgeId = usize;
    type Weight = f64;

    fn source(&self) -> u32 {
        self.snapshot.flow_from(self.flow)
    }

    fn target(&self) -> u32 {
        self.snapshot.flow_to(self.flow)
    }

    fn weight(&self) -> &'a f64 {
        &self.snapshot.quantities()[self.flow]
    }

    fn id(&self) -> usize {
        self.flow
    }
}

/// Flows of one node, either way.
#[derive(Debug, Clone)]
pub struct Flows<'a> {
    snapshot: &'a Snapshot,
    range: std::ops::Range<usize>,
    direction: Direction,
}

impl<'a> Iterator for Flows<'a> {
    type Item = FlowRef<'a>;

    fn next(&mut self) -> Option<FlowRef<'a>> {
        let position = self.range.next()?;
        let flow = match self.direction {
            Direction::Outgoing => position,
            Direction::Incoming => self.snapshot.arrival_flows()[position] as usize,
        };
        Some(FlowRef { snapshot: self.snapshot, flow })
    }
}

/// Neighbours of one node, either way.
#[derive(Debug, Clone)]
pub struct Neighbors<'a>(std::iter::Copied<std::slice::Iter<'a, u32>>);

impl Iterator for Neighbors<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        self.0.next()
    }
}

impl<'a> IntoNeighbors for &'a Snapshot {
    type Neighbors = Neighbors<'a>;

    fn neighbors(self, node: u32) -> Neighbors<'a> {
        self.neighbors_directed(node, Direction::Outgoing)
    }
}

impl<'a> IntoNeighborsDirected for &'a Snapshot {
    type NeighborsDirected = Neighbors<'a>;

    fn neighbors_directed(self, node: u32, direction: Direction) -> Neighbors<'a> {
        let slice = match direction {
            Direction::Outgoing => &self.network().flows.to[self.flows_out(node)],
            Direction::Incoming => &self.arrival_suppliers()[self.arrivals(node)],
        };
        Neighbors(slice.iter().copied())
    }
}

impl<'a> IntoEdgeReferences for &'a Snapshot {
    type EdgeRef = FlowRef<'a>;
    type EdgeReferences = Flows<'a>;

    fn edge_references(self) -> Flows<'a> {
        Flows { snapshot: self, range: 0..self.flow_count(), direction: Direction::Outgoing }
    }
}

impl<'a> IntoEdges for &'a Snapshot {
    type Edges = Flows<'a>;

    fn edges(self, node: u32) -> Flows<'a> {
        self.edges_directed(node, Direction::Outgoing)
    }
}

impl<'a> IntoEdgesDirected for &'a Snapshot {
    type EdgesDirected = Flows<'a>;

    fn edges_directed(self, node: u32, direction: Direction) -> Flows<'a> {
        let range = match direction {
            Direction::Outgoing => self.flows_out(node),
            Direction::Incoming => self.arrivals(node),
        };
        Flows { snapshot: self, range, direction }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Snapshot, SnapshotInfo};
    use crate::model::{FlowRecord, NetworkBuilder, NodeRecord};

    #[test]
    fn petgraph_finds_the_cycle_and_the_order() {
        let mut builder = NetworkBuilder::new();
        for id in ["a", "b", "c", "d"] {
            builder.add_node(&NodeRecord::new(id), 0).unwrap();
        }
        for (from, to) in [("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")] {
            builder.add_flow(&FlowRecord::new(from, to, 1.0), 0);
        }
        let snapshot =
            Snapshot::build(builder.finish().unwrap(), SnapshotInfo::default(), Default::default());
        let mut components = petgraph::algo::tarjan_scc(&snapshot);
        for component in &mut components {
            component.sort_unstable();
        }
        assert_eq!(components, [vec![3], vec![1, 2], vec![0]]);
    }
}
