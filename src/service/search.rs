//! Finds nodes, products, stages and countries by what a user types.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::graph::Snapshot;
use crate::model::Symbol;
use crate::model::selector::suggest;

/// What was found.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Hit {
    /// `node`, `product`, `stage` or `country`.
    pub kind: &'static str,
    /// Its id: what selectors and paths take.
    pub id: String,
    /// Name for people, where it differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Nodes that it stands for.
    pub nodes: usize,
    /// How well it fits: 3 equal, 2 starts with it, 1 holds it.
    pub score: u8,
}

/// Found things, and what may have been meant where nothing was found.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Found {
    /// Best first, at most `limit`.
    pub results: Vec<Hit>,
    /// All that were found.
    pub count: usize,
    /// Nearest known words, if nothing was found.
    pub suggestions: Vec<String>,
}

fn score(text: &str, words: &[String]) -> u8 {
    let text = text.to_lowercase();
    let whole = words.join(" ");
    if text == whole || words.len() == 1 && text == words[0] {
        return 3;
    }
    if !words.iter().all(|word| text.contains(word.as_str())) {
        return 0;
    }
    if words.first().is_some_and(|first| text.starts_with(first.as_str())) { 2 } else { 1 }
}

/// Searches ids and names; every word of `query` must occur.
pub fn search(snapshot: &Snapshot, query: &str, limit: usize) -> Found {
    let words: Vec<String> = query.to_lowercase().split_whitespace().map(str::to_owned).collect();
    let network = snapshot.network();
    let mut hits: Vec<Hit> = Vec::new();
    for (kind, column) in [
        ("product", &network.nodes.product),
        ("stage", &network.nodes.stage),
        ("country", &network.nodes.country),
    ] {
        let mut nodes: BTreeMap<Symbol, usize> = BTreeMap::new();
        for &symbol in column.iter().filter(|symbol| symbol.is_some()) {
            *nodes.entry(symbol).or_default() += 1;
        }
        for (symbol, nodes) in nodes {
            let id = snapshot.name(symbol);
            if kind == "product" && nodes == 1 && snapshot.index(id).is_some() {
                // A node that is its own product is found as a node.
                continue;
            }
            let name = (kind == "country")
                .then(|| snapshot.countries().get(id).map(|c| c.name.clone()))
                .flatten();
            let score = score(id, &words).max(name.as_deref().map_or(0, |n| score(n, &words)));
            if score > 0 {
                hits.push(Hit { kind, id: id.to_owned(), name, nodes, score });
            }
        }
    }
    for (i, id) in network.nodes.ids.iter().enumerate() {
        let name = network.nodes.attributes.get(&(i as u32)).and_then(|a| a.get("name"));
        let name = name.and_then(|n| n.as_str());
        let score = score(id, &words).max(name.map_or(0, |n| score(n, &words)));
        if score > 0 {
            let (id, name) = (id.to_owned(), name.map(str::to_owned));
            hits.push(Hit { kind: "node", id, name, nodes: 1, score });
        }
    }
    // Stable: labels before nodes, ids in order.
    hits.sort_by_key(|hit| std::cmp::Reverse(hit.score));
    let count = hits.len();
    hits.truncate(limit);
    let suggestions = if count == 0 { nearest(snapshot, query) } else { Vec::new() };
    Found { results: hits, count, suggestions }
}

fn nearest(snapshot: &Snapshot, query: &str) -> Vec<String> {
    let labels = snapshot.network().symbols.iter().map(|(_, name)| name);
    let countries = snapshot.countries().iter().map(|c| c.name.as_str());
    let mut near: Vec<String> =
        suggest(query, labels.chain(countries)).map(str::to_owned).into_iter().collect();
    let node = (snapshot.node_count() <= 100_000)
        .then(|| suggest(query, snapshot.network().nodes.ids.iter()))
        .flatten();
    near.extend(node.map(str::to_owned).filter(|node| !near.contains(node)));
    near
}
