//! Core numbers: how deep in the dense part of the network a node lies.

use std::sync::atomic::{AtomicU32, Ordering};

use rayon::prelude::*;

use crate::analysis::Progress;
use crate::analysis::structure::{Direction, StructureError};
use crate::graph::Csr;

/// Nodes per task.
const BLOCK: usize = 8192;
/// Up to so many nodes one thread is done before several have shared the work.
const ALONE: usize = 4 * BLOCK;

/// Core number of every node: the greatest k such that it lies in a subgraph in which every node
/// has degree k or more (Seidman 1983). The degree is the number of suppliers (in), of consumers
/// (out), or both added up; self-loops do not count. For the undirected core take the undirected
/// view and `Out`.
///
/// Small graphs are peeled node by node from buckets (Batagelj and Zaversnik 2003), O(nodes + edges).
/// Others level by level (Kabir and Madduri 2017): the nodes of the current level are found first,
/// then taken away together with what falls to the level meanwhile, O(nodes x levels + edges). The
/// numbers do not depend on the order.
///
/// # Errors
/// [`StructureError::Cancelled`].
pub fn core_numbers(
    csr: &Csr,
    direction: Direction,
    progress: &Progress,
) -> Result<Vec<u32>, StructureError> {
    let n = csr.node_count();
    let (to_consumers, to_suppliers) = match direction {
        Direction::In => (true, false),
        Direction::Out => (false, true),
        Direction::Both => (true, true),
    };
    // Taking away a node lowers the in-degree of its consumers and the out-degree of its suppliers.
    let degree = |v: u32| {
        let mut degree = 0;
        if to_consumers {
            degree += csr.in_degree(v);
        }
        if to_suppliers {
            degree += csr.out_degree(v);
        }
        if csr.edge(v, v).is_some() {
            degree -= u32::from(to_consumers) + u32::from(to_suppliers);
        }
        degree
    };
    progress.start(n as u64);
    if n <= ALONE {
        let degree: Vec<u32> = csr.nodes().map(degree).collect();
        let numbers = peeled(degree, |v, lower: &mut dyn FnMut(u32)| {
            if to_consumers {
                csr.consumers(v).iter().copied().for_each(&mut *lower);
            }
            if to_suppliers {
                csr.suppliers(v).iter().copied().for_each(&mut *lower);
            }
        });
        progress.advance(n as u64)?;
        return Ok(numbers);
    }
    let degree: Vec<AtomicU32> = (0..n as u32)
        .into_par_iter()
        .with_min_len(BLOCK)
        .map(|v| AtomicU32::new(degree(v)))
        .collect();
    // A node that has been taken away keeps its level as its degree.
    let at = |v: u32| degree[v as usize].load(Ordering::Relaxed);
    let mut left: Vec<u32> = csr.nodes().collect();
    while !left.is_empty() {
        let level = left.par_iter().with_min_len(BLOCK).map(|&v| at(v)).min().unwrap_or(0);
        let lower = |w: u32, queue: &mut Vec<u32>| {
            let slot = &degree[w as usize];
            if slot.load(Ordering::Relaxed) <= level {
                return;
            }
            let before = slot.fetch_sub(1, Ordering::Relaxed);
            if before == level + 1 {
                queue.push(w);
            } else if before <= level {
                // Another task brought it to the level first.
                slot.fetch_add(1, Ordering::Relaxed);
            }
        };
        let found: Vec<Vec<u32>> = left
            .par_chunks(BLOCK)
            .map(|chunk| chunk.iter().copied().filter(|&v| at(v) == level).collect())
            .collect();
        found.into_par_iter().with_max_len(1).for_each(|mut queue| {
            while let Some(v) = queue.pop() {
                if to_consumers {
                    for &w in csr.consumers(v) {
                        lower(w, &mut queue);
                    }
                }
                if to_suppliers {
                    for &w in csr.suppliers(v) {
                        lower(w, &mut queue);
                    }
                }
            }
        });
        let before = left.len();
        left = left
            .par_chunks(BLOCK)
            .flat_map_iter(|chunk| chunk.iter().copied().filter(|&v| at(v) > level))
            .collect();
        progress.advance((before - left.len()) as u64)?;
    }
    Ok(degree.into_iter().map(AtomicU32::into_inner).collect())
}

/// Core numbers from degrees; `neighbours` names those whose degree falls with a node.
fn peeled(mut degree: Vec<u32>, neighbours: impl Fn(u32, &mut dyn FnMut(u32))) -> Vec<u32> {
    // Nodes by degree, where each stands, and where each degree starts.
    let most = degree.iter().copied().max().unwrap_or(0) as usize;
    let mut start = vec![0_u32; most + 2];
    for &d in &degree {
        start[d as usize + 1] += 1;
    }
    for d in 1..start.len() {
        start[d] += start[d - 1];
    }
    let mut free = start.clone();
    let mut order = vec![0_u32; degree.len()];
    let mut place = vec![0_u32; degree.len()];
    for (v, &d) in degree.iter().enumerate() {
        let at = &mut free[d as usize];
        (order[*at as usize], place[v]) = (v as u32, *at);
        *at += 1;
    }
    for i in 0..order.len() {
        let v = order[i];
        let level = degree[v as usize];
        neighbours(v, &mut |w| {
            let d = degree[w as usize];
            if d > level {
                // It changes places with the first of its bucket, which then starts behind it.
                let (from, first) = (place[w as usize], start[d as usize]);
                let other = order[first as usize];
                order.swap(from as usize, first as usize);
                (place[other as usize], place[w as usize]) = (from, first);
                start[d as usize] += 1;
                degree[w as usize] = d - 1;
            }
        });
    }
    degree
}

/// Bytes that a run takes beside the view.
pub fn core_bytes(csr: &Csr) -> u64 {
    (csr.node_count() * 16) as u64
}
