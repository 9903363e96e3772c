//! Strongly connected components in one pass and one array.
//!
//! Pearce, "A space-efficient algorithm for finding strongly connected components", Information
//! Processing Letters 116 (2016).

use crate::graph::Adjacency;

/// Strongly connected components.
#[derive(Debug, Clone)]
pub struct StrongComponents {
    /// Component of each node. Numbers are in topological order of the condensation: an edge
    /// never goes from a greater component to a smaller one.
    pub component: Vec<u32>,
    /// Number of components.
    pub count: u32,
}

impl StrongComponents {
    /// Number of nodes of each component.
    pub fn sizes(&self) -> Vec<u32> {
        let mut size = vec![0; self.count as usize];
        for &c in &self.component {
            size[c as usize] += 1;
        }
        size
    }
}

/// Finds the strongly connected components: O(nodes + edges), 4 bytes a node and the stacks.
pub fn strong_components(successors: Adjacency<'_>) -> StrongComponents {
    let mut component = vec![0u32; successors.node_count()];
    let count = search(successors, &mut component);
    let first = component.len() as u32 + 1 - count;
    for c in &mut component {
        *c -= first;
    }
    StrongComponents { component, count }
}

/// Depth-first search; leaves `n`, `n - 1`, ... as the components in the order of completion, so
/// that a finished component is never below a live index, and 0 stays "not seen".
fn search(successors: Adjacency<'_>, index: &mut [u32]) -> u32 {
    let n = index.len() as u32;
    let heads = successors.heads();
    let mut next_index = 1u32;
    let mut next_component = n + 1;
    let mut pending: Vec<u32> = Vec::new();
    // (node, lowest index seen, is a root so far, next arc, end)
    let mut stack: Vec<(u32, u32, bool, u32, u32)> = Vec::new();
    for start in 0..n {
        if index[start as usize] != 0 {
            continue;
        }
        let open = |v: u32| {
            let row = successors.range(v);
            (row.start as u32, row.end as u32)
        };
        let (mut at, mut end) = open(start);
        let (mut v, mut low, mut root) = (start, next_index, true);
        index[v as usize] = low;
        next_index += 1;
        loop {
            let mut child = u32::MAX;
            while at < end {
                let w = heads[at as usize];
                at += 1;
                let seen = index[w as usize];
                if seen == 0 {
                    child = w;
                    break;
                }
                if seen < low {
                    (low, root) = (seen, false);
                }
            }
            if child != u32::MAX {
                stack.push((v, low, root, at, end));
                (v, low, root) = (child, next_index, true);
                index[v as usize] = low;
                next_index += 1;
                (at, end) = open(v);
                continue;
            }
            if root {
                next_component -= 1;
                next_index -= 1;
                while let Some(&w) = pending.last() {
                    if index[w as usize] < low {
                        break;
                    }
                    pending.pop();
                    index[w as usize] = next_component;
                    next_index -= 1;
                }
                index[v as usize] = next_component;
                low = next_component;
            } else {
                index[v as usize] = low;
                pending.push(v);
            }
            let Some(up) = stack.pop() else { break };
            let child_low = low;
            (v, low, root, at, end) = up;
            if child_low < low {
                (low, root) = (child_low, false);
            }
        }
    }
    n + 1 - next_component
}
