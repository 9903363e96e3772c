//! Evaluates selectors on a snapshot.

use rustc_hash::FxHashSet;

use super::Snapshot;
use crate::model::Symbol;
use crate::model::network::attribute_matches;
use crate::model::selector::{OneOrMany, Selector, suggest, wildcard_match};

/// A selector that names something unknown or matches nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct SelectError {
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub hint: Option<String>,
}

/// The symbols that a key allows. Most selectors name one or a few: a search in a sorted list is
/// quicker than a hash.
struct Allowed(Vec<Symbol>);

impl FromIterator<Symbol> for Allowed {
    fn from_iter<I: IntoIterator<Item = Symbol>>(symbols: I) -> Self {
        let mut symbols: Vec<Symbol> = symbols.into_iter().collect();
        symbols.sort_unstable();
        Self(symbols)
    }
}

impl Allowed {
    fn contains(&self, symbol: Symbol) -> bool {
        match self.0.as_slice() {
            [one] => *one == symbol,
            several => several.binary_search(&symbol).is_ok(),
        }
    }
}

/// Up to this many names, looking through a column for each is quicker than a set of all its labels.
const FEW: usize = 8;

/// One selector with its names resolved.
struct Compiled<'a> {
    country: Option<Allowed>,
    bloc: Option<Allowed>,
    stage: Option<Allowed>,
    product: Option<Allowed>,
    patterns: &'a OneOrMany,
    attributes: Vec<(&'a str, &'a OneOrMany)>,
    not: Option<Box<Compiled<'a>>>,
    any: Vec<Compiled<'a>>,
}

impl Snapshot {
    /// Nodes that a selector matches, ascending.
    ///
    /// # Errors
    /// A name that the graph does not know, or no match at all, unless `allow_empty` is set.
    pub fn select(&self, selector: &Selector) -> Result<Vec<u32>, SelectError> {
        let nodes = self.matches(selector)?;
        if nodes.is_empty() && !selector.allow_empty {
            let written = serde_json::to_string(selector).unwrap_or_default();
            return Err(SelectError {
                problem: format!("the selector {written} matches no node"),
                hint: Some(
                    "each key is known but no node has all of them; widen it or set allow_empty"
                        .into(),
                ),
            });
        }
        Ok(nodes)
    }

    /// As [`Snapshot::select`], but matching nothing is fine.
    ///
    /// # Errors
    /// A name that the graph does not know, unless `allow_empty` is set.
    pub fn matches(&self, selector: &Selector) -> Result<Vec<u32>, SelectError> {
        let strict = !selector.allow_empty;
        let compiled = self.compile(selector, strict)?;
        // Exact ids need no scan.
        let exact = selector.node.0.iter().all(|p| !p.contains('*'));
        if !selector.node.is_empty() && exact {
            let mut nodes: Vec<u32> =
                selector.node.iter().filter_map(|id| self.index(id)).collect();
            nodes.sort_unstable();
            nodes.dedup();
            nodes.retain(|&node| self.holds(&compiled, node));
            return Ok(nodes);
        }
        Ok(self.nodes().filter(|&node| self.holds(&compiled, node)).collect())
    }

    fn compile<'a>(&self, s: &'a Selector, strict: bool) -> Result<Compiled<'a>, SelectError> {
        let strict = strict && !s.allow_empty;
        let mut country = None;
        if !s.country.is_empty() {
            let mut set = Vec::new();
            for written in s.country.iter() {
                // A code that the graph itself uses is known, whatever the register says.
                let code = match self.network().symbols.get(written) {
                    Some(symbol) if self.network().nodes.country.contains(&symbol) => {
                        written.to_owned()
                    }
                    _ => match self.countries().canonical(written) {
                        Ok(code) => code,
                        Err(problem) if strict => {
                            return Err(SelectError { problem, hint: None });
                        }
                        Err(_) => continue,
                    },
                };
                set.extend(self.network().symbols.get(&code));
            }
            country = Some(set.into_iter().collect());
        }
        let mut bloc = None;
        if !s.bloc.is_empty() {
            let known = self.countries().blocs();
            for name in s.bloc.iter() {
                if strict && !known.contains(&name) {
                    return Err(SelectError {
                        problem: format!("unknown bloc \"{name}\""),
                        hint: Some(format!("blocs are {}", known.join(", "))),
                    });
                }
            }
            let symbols = &self.network().symbols;
            bloc = Some(
                symbols
                    .iter()
                    .filter(|(_, code)| s.bloc.iter().any(|b| self.countries().in_bloc(code, b)))
                    .map(|(symbol, _)| symbol)
                    .collect(),
            );
        }
        let stage = self.label_set("stage", &s.stage, &self.network().nodes.stage, strict)?;
        let product =
            self.label_set("product", &s.product, &self.network().nodes.product, strict)?;
        if strict {
            for pattern in s.node.iter().filter(|p| !p.contains('*')) {
                if self.index(pattern).is_none() {
                    return Err(self.unknown_node(pattern));
                }
            }
        }
        Ok(Compiled {
            country,
            bloc,
            stage,
            product,
            patterns: &s.node,
            attributes: s.attributes.iter().map(|(k, v)| (k.as_str(), v)).collect(),
            not: s.not.as_deref().map(|n| self.compile(n, strict).map(Box::new)).transpose()?,
            any: s.any.iter().map(|a| self.compile(a, strict)).collect::<Result<_, _>>()?,
        })
    }

    /// The error for a node id that the graph does not hold, with the nearest one.
    pub fn unknown_node(&self, id: &str) -> SelectError {
        let near = (self.node_count() <= 100_000)
            .then(|| suggest(id, self.network().nodes.ids.iter()))
            .flatten();
        SelectError {
            problem: format!("there is no node \"{id}\" in {}", self.info().graph),
            hint: near.map(|n| format!("did you mean {n}?")),
        }
    }

    fn label_set(
        &self,
        key: &str,
        written: &OneOrMany,
        column: &[Symbol],
        strict: bool,
    ) -> Result<Option<Allowed>, SelectError> {
        if written.is_empty() {
            return Ok(None);
        }
        let mut set = Vec::new();
        let mut used: Option<FxHashSet<Symbol>> = None;
        let few = written.0.len() <= FEW;
        for name in written.iter() {
            let symbol = self.network().symbols.get(name).filter(|symbol| {
                if few {
                    return column.contains(symbol);
                }
                used.get_or_insert_with(|| column.iter().copied().collect()).contains(symbol)
            });
            match symbol {
                Some(symbol) => set.push(symbol),
                None if strict => {
                    let used = used
                        .get_or_insert_with(|| column.iter().copied().collect::<FxHashSet<_>>());
                    let mut known: Vec<&str> =
                        used.iter().filter(|s| s.is_some()).map(|&s| self.name(s)).collect();
                    known.sort_unstable();
                    let near = suggest(name, known.iter().copied())
                        .map(|n| format!("did you mean {n}?"))
                        .or_else(|| {
                            (known.len() <= 12).then(|| format!("known: {}", known.join(", ")))
                        });
                    return Err(SelectError {
                        problem: format!(
                            "no node of {} has the {key} \"{name}\"",
                            self.info().graph
                        ),
                        hint: near,
                    });
                }
                None => {}
            }
        }
        Ok(Some(set.into_iter().collect()))
    }

    fn holds(&self, c: &Compiled<'_>, node: u32) -> bool {
        let in_set = |set: &Option<Allowed>, symbol: Symbol| {
            set.as_ref().is_none_or(|set| set.contains(symbol))
        };
        // What rules out most comes first.
        in_set(&c.product, self.product(node))
            && in_set(&c.country, self.country(node))
            && in_set(&c.stage, self.stage(node))
            && in_set(&c.bloc, self.country(node))
            && (c.patterns.is_empty()
                || c.patterns.iter().any(|p| wildcard_match(p, self.id(node))))
            && c.attributes.iter().all(|(name, values)| {
                self.network()
                    .nodes
                    .attributes
                    .get(&node)
                    .is_some_and(|a| values.iter().any(|v| attribute_matches(a, name, v)))
            })
            && c.not.as_ref().is_none_or(|not| !self.holds(not, node))
            && (c.any.is_empty() || c.any.iter().any(|any| self.holds(any, node)))
    }
}
