//! Rows of a snapshot: nodes, flows and requirements, filtered, sorted and paged.

use rustc_hash::FxHashSet;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::ServiceError;
use super::filter::{Clause, Cursor, ListQuery};
use crate::graph::Snapshot;
use crate::model::network::attribute_matches;
use crate::model::selector::{suggest, wildcard_match};
use crate::model::{Record, Symbol};

/// Length of a list and where its next page starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Meta {
    /// Rows that match, on all pages together.
    pub count: usize,
    /// Give it as `cursor` to get the next page; null on the last page.
    pub next_cursor: Option<String>,
}

/// One page of a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Page<T> {
    /// Length of the list and the next page.
    pub meta: Meta,
    /// Rows of this page.
    pub results: Vec<T>,
}

/// Which table of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// Nodes, in the order of their ids.
    Nodes,
    /// Flows, in the order of (from, to, product).
    Flows,
    /// Requirements, in the order of (output, input).
    Requirements,
}

type Test<'a> = Box<dyn Fn(usize) -> bool + Send + Sync + 'a>;
type Number<'a> = Box<dyn Fn(usize) -> Option<f64> + 'a>;

impl Table {
    /// Name of the list in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nodes => "nodes",
            Self::Flows => "flows",
            Self::Requirements => "requirements",
        }
    }

    /// Number of rows.
    pub fn len(self, snapshot: &Snapshot) -> usize {
        match self {
            Self::Nodes => snapshot.node_count(),
            Self::Flows => snapshot.flow_count(),
            Self::Requirements => snapshot.network().requirements.len(),
        }
    }

    /// One row as users see it.
    pub fn record(self, snapshot: &Snapshot, row: usize) -> Record {
        match self {
            Self::Nodes => Record::Node(snapshot.network().node_record(row as u32)),
            Self::Flows => Record::Flow(snapshot.network().flow_record(row)),
            Self::Requirements => Record::Requirement(snapshot.network().requirement_record(row)),
        }
    }

    fn filter_keys(self) -> &'static [&'static str] {
        match self {
            Self::Nodes => &["id", "country", "bloc", "stage", "product", "class"],
            Self::Flows => &["from", "to", "product", "from_country", "to_country", "class"],
            Self::Requirements => &["output", "input", "rule"],
        }
    }

    fn sort_keys(self) -> &'static [&'static str] {
        match self {
            Self::Nodes => {
                &["id", "country", "stage", "product", "output", "capacity", "stock_days"]
            }
            Self::Flows => &["from", "to", "product", "quantity", "capacity"],
            Self::Requirements => &["output", "input", "dependence"],
        }
    }

    /// Rows that match, in the order asked for.
    ///
    /// # Errors
    /// An unknown filter or sort key, or a country that nobody knows.
    pub fn select(self, snapshot: &Snapshot, query: &ListQuery) -> Result<Vec<u32>, ServiceError> {
        let tests = self.tests(snapshot, &query.clauses()?)?;
        let mut rows: Vec<u32> = (0..self.len(snapshot))
            .filter(|&row| tests.iter().all(|test| test(row)))
            .map(|row| row as u32)
            .collect();
        self.sort(snapshot, query, &mut rows)?;
        Ok(rows)
    }

    /// One page.
    ///
    /// # Errors
    /// As [`Table::select`]; a bad limit or cursor.
    pub fn page(
        self,
        snapshot: &Snapshot,
        query: &ListQuery,
    ) -> Result<Page<Record>, ServiceError> {
        let limit = query.page_limit()?;
        let fingerprint = query.fingerprint(self.name());
        let start = match &query.cursor {
            Some(text) => Cursor::decode(text, fingerprint)?.position as usize,
            None => 0,
        };
        let (count, rows): (usize, Vec<usize>) = if query.filter.is_none() && query.sort.is_none() {
            let count = self.len(snapshot);
            (count, (start.min(count)..count.min(start.saturating_add(limit))).collect())
        } else {
            let all = self.select(snapshot, query)?;
            (all.len(), all.iter().skip(start).take(limit).map(|&row| row as usize).collect())
        };
        let next = start.saturating_add(rows.len());
        let next_cursor = (next < count).then(|| {
            Cursor { version: snapshot.info().version, position: next as u64 }.encode(fingerprint)
        });
        let results = rows.into_iter().map(|row| self.record(snapshot, row)).collect();
        Ok(Page { meta: Meta { count, next_cursor }, results })
    }

    fn tests<'a>(
        self,
        snapshot: &'a Snapshot,
        clauses: &[Clause],
    ) -> Result<Vec<Test<'a>>, ServiceError> {
        clauses.iter().map(|clause| self.test(snapshot, clause)).collect()
    }

    fn test<'a>(self, s: &'a Snapshot, clause: &Clause) -> Result<Test<'a>, ServiceError> {
        let network = s.network();
        let key = clause.key.as_str();
        let negated = clause.negated;
        if let Some(name) = key.strip_prefix("attributes.") {
            let (name, values) = (name.to_owned(), clause.values.clone());
            let attributes = match self {
                Self::Nodes => &network.nodes.attributes,
                Self::Flows => &network.flows.attributes,
                Self::Requirements => return Err(unknown_key(self, "filter", key)),
            };
            return Ok(Box::new(move |row| {
                attributes
                    .get(&(row as u32))
                    .is_some_and(|a| values.iter().any(|v| attribute_matches(a, &name, v)))
                    != negated
            }));
        }
        Ok(match (self, key) {
            (Self::Nodes, "id") => {
                let clause = clause.clone();
                Box::new(move |row| clause.accepts(s.id(row as u32)))
            }
            (Self::Nodes, "country" | "bloc" | "stage" | "product") => {
                let set = self.symbols(s, clause)?;
                let column = match key {
                    "stage" => &network.nodes.stage,
                    "product" => &network.nodes.product,
                    _ => &network.nodes.country,
                };
                Box::new(move |row| set.contains(&column[row]) != negated)
            }
            (Self::Flows, "from_country" | "to_country") => {
                let set = self.symbols(s, clause)?;
                let ends =
                    if key == "to_country" { &network.flows.to } else { &network.flows.from };
                Box::new(move |row| set.contains(&s.country(ends[row])) != negated)
            }
            (Self::Flows, "from" | "to") => {
                let ends = if key == "to" { &network.flows.to } else { &network.flows.from };
                let exact = clause.values.iter().all(|v| !v.contains('*'));
                if exact {
                    let set: FxHashSet<u32> =
                        clause.values.iter().filter_map(|id| s.index(id)).collect();
                    Box::new(move |row| set.contains(&ends[row]) != negated)
                } else {
                    let clause = clause.clone();
                    Box::new(move |row| clause.accepts(s.id(ends[row])))
                }
            }
            (Self::Flows, "product") => {
                let set = self.symbols(s, clause)?;
                Box::new(move |row| set.contains(&network.flows.product[row]) != negated)
            }
            (Self::Nodes | Self::Flows, "class") => {
                let clause = clause.clone();
                let column = if self == Self::Nodes {
                    &network.nodes.output
                } else {
                    &network.flows.quantity
                };
                Box::new(move |row| {
                    clause.accepts(column.meta(row).class.map_or("", |class| class.as_str()))
                })
            }
            (Self::Requirements, "output" | "input") => {
                let set = self.symbols(s, clause)?;
                let output = key == "output";
                Box::new(move |row| {
                    let r = &network.requirements[row];
                    set.contains(if output { &r.output } else { &r.input }) != negated
                })
            }
            (Self::Requirements, "rule") => {
                let clause = clause.clone();
                Box::new(move |row| clause.accepts(&network.requirements[row].rule.to_string()))
            }
            _ => return Err(unknown_key(self, "filter", key)),
        })
    }

    /// Symbols whose names a clause lists; wildcards, country names and blocs are understood.
    fn symbols(self, s: &Snapshot, clause: &Clause) -> Result<FxHashSet<Symbol>, ServiceError> {
        let symbols = &s.network().symbols;
        let mut set = FxHashSet::default();
        for value in &clause.values {
            if clause.key == "bloc" {
                let known = s.countries().blocs();
                if !known.contains(&value.as_str()) {
                    return Err(ServiceError::malformed_hint(
                        "filter",
                        format!("unknown bloc \"{value}\""),
                        format!("blocs are {}", known.join(", ")),
                    ));
                }
                let members = symbols.iter().filter(|(_, code)| s.countries().in_bloc(code, value));
                set.extend(members.map(|(symbol, _)| symbol));
            } else if value.contains('*') {
                let named = symbols.iter().filter(|(_, name)| wildcard_match(value, name));
                set.extend(named.map(|(symbol, _)| symbol).filter(|symbol| symbol.is_some()));
            } else if let Some(symbol) = symbols.get(value) {
                set.insert(symbol);
            } else if clause.key.ends_with("country") {
                let code = s
                    .countries()
                    .canonical(value)
                    .map_err(|problem| ServiceError::malformed("filter", problem))?;
                set.extend(symbols.get(&code));
            }
        }
        Ok(set)
    }

    fn sort(self, s: &Snapshot, query: &ListQuery, rows: &mut [u32]) -> Result<(), ServiceError> {
        let Some((key, descending)) = query.sort_key() else { return Ok(()) };
        let network = s.network();
        let number: Number<'_> = match (self, key) {
            (Self::Nodes, "id") | (Self::Flows, "from") | (Self::Requirements, "output") => {
                // The natural order.
                if descending {
                    rows.reverse();
                }
                return Ok(());
            }
            (Self::Nodes, "output") => Box::new(|row| network.nodes.output.get(row)),
            (Self::Nodes, "capacity") => Box::new(|row| network.nodes.capacity.get(row)),
            (Self::Nodes, "stock_days") => Box::new(|row| network.nodes.stock_days.get(row)),
            (Self::Flows, "quantity") => Box::new(|row| network.flows.quantity.get(row)),
            (Self::Flows, "capacity") => Box::new(|row| Some(s.flow_capacity(row))),
            (Self::Flows, "to") => Box::new(|row| Some(f64::from(network.flows.to[row]))),
            (Self::Requirements, "dependence") => {
                Box::new(|row| Some(network.requirements[row].dependence_value()))
            }
            _ => {
                let name = |row: u32| -> Option<&str> {
                    let i = row as usize;
                    Some(s.name(match (self, key) {
                        (Self::Nodes, "country") => network.nodes.country[i],
                        (Self::Nodes, "stage") => network.nodes.stage[i],
                        (Self::Nodes, "product") => network.nodes.product[i],
                        (Self::Flows, "product") => network.flows.product[i],
                        (Self::Requirements, "input") => network.requirements[i].input,
                        _ => return None,
                    }))
                };
                if !self.sort_keys().contains(&key) {
                    return Err(unknown_key(self, "sort", key));
                }
                rows.sort_by(|&a, &b| {
                    let order = name(a).cmp(&name(b));
                    (if descending { order.reverse() } else { order }).then(a.cmp(&b))
                });
                return Ok(());
            }
        };
        // Unknown numbers come last, whichever way the list runs.
        rows.sort_by(|&a, &b| {
            let order = match (number(a as usize), number(b as usize)) {
                (Some(x), Some(y)) if descending => y.total_cmp(&x),
                (Some(x), Some(y)) => x.total_cmp(&y),
                (x, y) => y.is_some().cmp(&x.is_some()),
            };
            order.then(a.cmp(&b))
        });
        Ok(())
    }
}

fn unknown_key(table: Table, param: &str, key: &str) -> ServiceError {
    let known = if param == "sort" { table.sort_keys() } else { table.filter_keys() };
    let near = suggest(key, known.iter().copied());
    ServiceError::malformed_hint(
        param,
        format!("{} have no {param} key \"{key}\"", table.name()),
        near.map_or_else(
            || format!("keys are {}", known.join(", ")),
            |near| format!("did you mean {near}?"),
        ),
    )
}
