//! The longest chain of suppliers.

use crate::analysis::structure::StructureError;
use crate::analysis::structure::strongly_connected_components;
use crate::analysis::structure::traverse::require_strengths;
use crate::graph::Csr;

/// What the length of a chain is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChainLength {
    /// Number of flows.
    #[default]
    Steps,
    /// Sum of the weights of the flows (lead days, say).
    Weights,
}

/// A chain through the condensation of the graph, in which nodes that supply each other in a cycle
/// are one link (a longest path through a cycle is not defined as a chain: it depends on where one
/// stops going round).
#[derive(Debug, Clone, PartialEq)]
pub struct Chain {
    /// Links of the chain, first supplier first: the nodes of one strongly connected component
    /// each, ascending.
    pub links: Vec<Vec<u32>>,
    /// The flow between consecutive links, as (supplier, consumer).
    pub flows: Vec<(u32, u32)>,
    /// Length of the chain; flows inside a link do not count.
    pub length: f64,
}

/// The longest chain; of equally long ones the one that ends first in topological order. Empty
/// for the empty graph. O(nodes + edges).
///
/// # Errors
/// A negative weight.
pub fn longest_chain(csr: &Csr, length: ChainLength) -> Result<Chain, StructureError> {
    if length == ChainLength::Weights {
        require_strengths(csr)?;
    }
    let components = strongly_connected_components(csr);
    let (members, start) = components.members();
    let nodes_of = |c: usize| &members[start[c] as usize..start[c + 1] as usize];
    let mut longest = vec![0.0f64; components.count];
    let mut through: Vec<Option<(u32, u32)>> = vec![None; components.count];
    for c in 0..components.count {
        for &v in nodes_of(c) {
            for e in csr.edges_out(v) {
                let w = csr.target(e);
                let next = components.component[w as usize] as usize;
                let step = match length {
                    ChainLength::Steps => 1.0,
                    ChainLength::Weights => csr.weight(e),
                };
                if next != c && longest[c] + step > longest[next] {
                    longest[next] = longest[c] + step;
                    through[next] = Some((v, w));
                }
            }
        }
    }
    let mut end: Option<usize> = None;
    for c in 0..components.count {
        if end.is_none_or(|best| longest[c] > longest[best]) {
            end = Some(c);
        }
    }
    let mut chain = Chain { links: Vec::new(), flows: Vec::new(), length: 0.0 };
    chain.length = end.map_or(0.0, |c| longest[c]);
    while let Some(c) = end {
        chain.links.push(nodes_of(c).to_vec());
        end = through[c].map(|(v, w)| {
            chain.flows.push((v, w));
            components.component[v as usize] as usize
        });
    }
    chain.links.reverse();
    chain.flows.reverse();
    Ok(chain)
}
