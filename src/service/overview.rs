//! A graph at a glance: nodes grouped by product or country within their stage, flows bundled
//! between the groups, and, with an answer, what each group loses.

use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::ServiceError;
use crate::analysis::structure::tiers;
use crate::dataset::registers;
use crate::graph::{Csr, Snapshot};
use crate::model::{FigureClass, Symbol};

/// Nodes and flows together in an answer, unless stated.
pub const DEFAULT_LIMIT: usize = 5_000;
/// Most of them.
pub const MAX_LIMIT: usize = 20_000;
/// Members named of a group.
const MEMBERS: usize = 40;
/// Losses up to this count as none.
const NO_LOSS: f64 = 1e-12;

/// What one element of the picture stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// A stage of a product, all countries together.
    Product,
    /// A stage in a country, all products together.
    Country,
    /// A node.
    Node,
}

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct OverviewQuery {
    /// Grouping (default: single nodes if they fit, else products, else countries).
    pub by: Option<By>,
    /// Stages to show (none: all).
    pub stages: Vec<String>,
    /// Products to show.
    pub products: Vec<String>,
    /// Countries to show.
    pub countries: Vec<String>,
    /// Stages to leave out.
    pub without: Vec<String>,
    /// Show direct suppliers and customers of what was chosen too.
    pub neighbours: bool,
    /// Most elements.
    pub limit: Option<usize>,
}

/// Loss of a node in the answer that colours the picture.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hit {
    /// Loss.
    pub loss: f64,
    /// True if a shock hits the node itself.
    pub direct: bool,
}

/// A graph at a glance.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Overview {
    /// Graph.
    pub graph: String,
    /// Version.
    pub version: u64,
    /// What an element stands for.
    pub by: By,
    /// The answer that `loss` is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub impact: Option<String>,
    /// Nodes and flows of the whole graph, chosen, and shown.
    pub totals: Totals,
    /// Columns in the order of work.
    pub stages: Vec<StageColumn>,
    /// Every product of the graph.
    pub products: Vec<Facet>,
    /// Every country of the graph.
    pub countries: Vec<Facet>,
    /// Groups of nodes, by column, then by id.
    pub nodes: Vec<Group>,
    /// Bundles of flows between them.
    pub flows: Vec<Bundle>,
}

/// How much there is.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
pub struct Totals {
    /// Nodes of the graph.
    pub nodes: usize,
    /// Flows of the graph.
    pub flows: usize,
    /// Nodes that fit the filters.
    pub chosen_nodes: usize,
    /// Groups left out because there were too many; the smallest go first.
    pub left_out_nodes: usize,
    /// Bundles left out because there were too many; the smallest go first.
    pub left_out_flows: usize,
}

/// A column of the picture.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StageColumn {
    /// Stage; `tier 3` where nodes have no stage.
    pub id: String,
    /// Nodes of the graph.
    pub nodes: usize,
}

/// A product or country.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Facet {
    /// Id.
    pub id: String,
    /// Name for people, where it differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Nodes of the graph.
    pub nodes: usize,
}

/// Nodes that are drawn as one.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Group {
    /// `product.stage`, `country.stage`, or the id of the node.
    pub id: String,
    /// Column: index into `stages`.
    pub column: usize,
    /// Product, if they share one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// Country, if they share one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Nodes.
    pub nodes: usize,
    /// Sum of outputs per year, if all are known in one unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<f64>,
    /// Unit of `output`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Share of the world's output of its product and stage, 0-1 (nodes).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// Mean loss, each node weighted by its share of the world's output of its product and stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// Nodes that a shock hits itself.
    #[serde(skip_serializing_if = "is_zero")]
    pub direct: usize,
    /// Largest members (groups).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<Member>,
}

/// A node of a group.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Member {
    /// Id.
    pub id: String,
    /// Its country (products), or its product (countries).
    pub name: String,
    /// Share of the world's output of its product and stage, 0-1.
    pub share: f64,
    /// Its loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
}

/// Flows that are drawn as one.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Bundle {
    /// Supplying group.
    pub from: String,
    /// Receiving group.
    pub to: String,
    /// Flows.
    pub flows: usize,
    /// Share of the suppliers' deliveries that goes this way, 0-1.
    pub of_supply: f64,
    /// Share of the consumers' intake of what flows that comes this way, 0-1.
    pub of_intake: f64,
    /// Share of it that rests on estimates, 0-1.
    pub estimated: f64,
}

fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// What every grouping needs to know of each node.
struct Ground<'a> {
    snapshot: &'a Snapshot,
    /// Columns in order, with their nodes.
    stages: Vec<StageColumn>,
    /// Column of each node.
    column: Vec<u32>,
    /// Share of the output of its product and stage.
    weight: Vec<f64>,
}

impl<'a> Ground<'a> {
    fn new(snapshot: &'a Snapshot) -> Self {
        let (stages, column) = columns(snapshot);
        let weight = weights(snapshot);
        Self { snapshot, stages, column, weight }
    }
}

/// Columns by stage: in the register's order where all stages are in it, else by how far
/// downstream their nodes are on average. Nodes without a stage stand by their tier.
fn columns(snapshot: &Snapshot) -> (Vec<StageColumn>, Vec<u32>) {
    let known: BTreeMap<String, usize> =
        registers::stages().into_iter().enumerate().map(|(i, s)| (s.id, i)).collect();
    let plain = snapshot.nodes().all(|v| known.contains_key(snapshot.name(snapshot.stage(v))));
    let tier = if plain { Vec::new() } else { tiers(&Csr::links(snapshot)).tier };
    // Name, sum of ranks, nodes.
    let mut found: BTreeMap<String, (f64, usize)> = BTreeMap::new();
    let mut labels = Vec::with_capacity(snapshot.node_count());
    for v in snapshot.nodes() {
        let stage = snapshot.name(snapshot.stage(v));
        let rank = if plain { known[stage] as f64 } else { f64::from(tier[v as usize]) };
        let label =
            if stage.is_empty() { format!("tier {:02}", rank as u32) } else { stage.to_owned() };
        let entry = found.entry(label.clone()).or_default();
        entry.0 += rank;
        entry.1 += 1;
        labels.push(label);
    }
    let mut order: Vec<(f64, String, usize)> =
        found.into_iter().map(|(name, (sum, n))| (sum / n as f64, name, n)).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
    let position: FxHashMap<&str, u32> =
        order.iter().zip(0..).map(|((_, name, _), i)| (name.as_str(), i)).collect();
    let column = labels.iter().map(|label| position[label.as_str()]).collect();
    let stages =
        order.iter().map(|(_, id, nodes)| StageColumn { id: id.clone(), nodes: *nodes }).collect();
    (stages, column)
}

/// Share of each node in the output of its product and stage: by output where it is known for all
/// of them in one unit, else by what passes through, else alike.
fn weights(snapshot: &Snapshot) -> Vec<f64> {
    let mut groups: FxHashMap<(Symbol, Symbol), Vec<u32>> = FxHashMap::default();
    for v in snapshot.nodes() {
        groups.entry((snapshot.product(v), snapshot.stage(v))).or_default().push(v);
    }
    let unit = |v: u32| snapshot.network().nodes.output.meta(v as usize).unit;
    let mut weight = vec![0.0; snapshot.node_count()];
    for members in groups.values() {
        let same =
            members.iter().all(|&v| snapshot.output(v).is_some() && unit(v) == unit(members[0]));
        let size = |v: u32| match snapshot.output(v) {
            Some(output) if same => output,
            _ => snapshot.out_strength(v).max(snapshot.in_strength(v)),
        };
        let total: f64 = members.iter().map(|&v| size(v)).sum();
        for &v in members {
            weight[v as usize] =
                if total > 0.0 { size(v) / total } else { 1.0 / members.len() as f64 };
        }
    }
    weight
}

/// Makes the picture of a snapshot; `hits` holds the losses of the answer that colours it.
///
/// # Errors
/// A name that is not in the graph; a limit out of range.
pub fn overview(
    snapshot: &Snapshot,
    query: &OverviewQuery,
    impact: Option<(String, FxHashMap<u32, Hit>)>,
) -> Result<Overview, ServiceError> {
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(ServiceError::malformed(
            "limit",
            format!("limit must be between 1 and {MAX_LIMIT}, got {limit}"),
        ));
    }
    let ground = Ground::new(snapshot);
    let shown = chosen(&ground, query)?;
    let (impact, hits) = impact.map_or((None, None), |(id, hits)| (Some(id), Some(hits)));
    let mut drawn = None;
    let candidates = match query.by {
        Some(by) => vec![by],
        None => vec![By::Node, By::Product, By::Country],
    };
    for by in &candidates {
        let grouped = Grouped::new(&ground, *by, &shown);
        let flows = grouped.bundles(&shown);
        let fits = grouped.members.len() + flows.len() <= limit;
        drawn = Some((*by, grouped, flows));
        if fits {
            break;
        }
    }
    let Some((by, grouped, mut flows)) = drawn else { return Err(ServiceError::Internal) };
    let mut nodes = grouped.groups(hits.as_ref());
    let mut totals = Totals {
        nodes: snapshot.node_count(),
        flows: snapshot.flow_count(),
        chosen_nodes: shown.ones().count(),
        ..Totals::default()
    };
    if nodes.len() > limit {
        totals.left_out_nodes = nodes.len() - limit;
        let mut sizes: Vec<(f64, usize)> =
            grouped.throughput().into_iter().enumerate().map(|(i, t)| (t, i)).collect();
        sizes.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let kept: FxHashSet<usize> = sizes.iter().take(limit).map(|&(_, i)| i).collect();
        let ids: FxHashSet<String> = kept.iter().map(|&i| nodes[i].id.clone()).collect();
        nodes.retain(|n| ids.contains(&n.id));
        let before = flows.len();
        flows.retain(|f| ids.contains(&f.from) && ids.contains(&f.to));
        totals.left_out_flows += before - flows.len();
    }
    let room = limit - nodes.len().min(limit);
    if flows.len() > room {
        totals.left_out_flows += flows.len() - room;
        let size = |f: &Bundle| f.of_intake.max(f.of_supply);
        flows.sort_by(|a, b| {
            size(b).total_cmp(&size(a)).then_with(|| (&a.from, &a.to).cmp(&(&b.from, &b.to)))
        });
        flows.truncate(room);
    }
    flows.sort_by(|a, b| (&a.from, &a.to).cmp(&(&b.from, &b.to)));
    nodes.sort_by(|a, b| (a.column, &a.id).cmp(&(b.column, &b.id)));
    Ok(Overview {
        graph: snapshot.info().graph.to_string(),
        version: snapshot.info().version,
        by,
        impact,
        totals,
        products: facets(snapshot, Snapshot::product),
        countries: facets(snapshot, Snapshot::country),
        stages: ground.stages,
        nodes,
        flows,
    })
}

fn facets(snapshot: &Snapshot, label: impl Fn(&Snapshot, u32) -> Symbol) -> Vec<Facet> {
    snapshot
        .nodes_by(|v| label(snapshot, v))
        .into_iter()
        .map(|(symbol, nodes)| {
            let id = snapshot.name(symbol).to_owned();
            let name = snapshot.countries().get(&id).map(|c| c.name.clone());
            Facet { id, name, nodes: nodes.len() }
        })
        .collect()
}

/// Nodes that fit the filters, with their neighbours if asked for.
fn chosen(
    ground: &Ground<'_>,
    query: &OverviewQuery,
) -> Result<fixedbitset::FixedBitSet, ServiceError> {
    let snapshot = ground.snapshot;
    let stages: Vec<&str> = ground.stages.iter().map(|s| s.id.as_str()).collect();
    let wanted = |names: &[String], param: &str| -> Result<FxHashSet<Symbol>, ServiceError> {
        names
            .iter()
            .map(|name| {
                let symbol = snapshot.network().symbols.get(name);
                symbol.ok_or_else(|| ServiceError::Impossible {
                    param: Some(param.to_owned()),
                    problem: format!("nothing in {} is called \"{name}\"", snapshot.info().graph),
                    hint: crate::model::selector::suggest(
                        name,
                        snapshot.network().symbols.iter().map(|(_, n)| n),
                    )
                    .map(|near| format!("did you mean {near}?")),
                })
            })
            .collect()
    };
    let products = wanted(&query.products, "product")?;
    let countries = wanted(&query.countries, "country")?;
    for (names, param) in [(&query.stages, "stage"), (&query.without, "without")] {
        if let Some(name) = names.iter().find(|name| !stages.contains(&name.as_str())) {
            return Err(ServiceError::Impossible {
                param: Some(param.to_owned()),
                problem: format!("{} has no stage \"{name}\"", snapshot.info().graph),
                hint: Some(format!("it has {}", stages.join(", "))),
            });
        }
    }
    let without = |v: u32| {
        let stage = stages[ground.column[v as usize] as usize];
        query.without.iter().any(|name| name == stage)
    };
    let fits = |v: u32| {
        let stage = stages[ground.column[v as usize] as usize];
        (products.is_empty() || products.contains(&snapshot.product(v)))
            && (countries.is_empty() || countries.contains(&snapshot.country(v)))
            && (query.stages.is_empty() || query.stages.iter().any(|name| name == stage))
            && !without(v)
    };
    let mut shown = fixedbitset::FixedBitSet::with_capacity(snapshot.node_count());
    for v in snapshot.nodes().filter(|&v| fits(v)) {
        shown.insert(v as usize);
    }
    if query.neighbours {
        let core: Vec<usize> = shown.ones().collect();
        for v in core {
            let near = snapshot.suppliers(v as u32).chain(snapshot.consumers(v as u32));
            for w in near.filter(|&w| !without(w)) {
                shown.insert(w as usize);
            }
        }
    }
    Ok(shown)
}

/// Nodes put together.
struct Grouped<'a> {
    ground: &'a Ground<'a>,
    by: By,
    /// Id of each group with its members.
    members: Vec<(String, Vec<u32>)>,
    /// Group of each shown node.
    group: FxHashMap<u32, u32>,
}

impl<'a> Grouped<'a> {
    fn new(ground: &'a Ground<'a>, by: By, shown: &fixedbitset::FixedBitSet) -> Self {
        let snapshot = ground.snapshot;
        let mut found: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for v in shown.ones().map(|v| v as u32) {
            let label = match by {
                By::Node => snapshot.id(v).to_owned(),
                By::Product | By::Country => {
                    let symbol =
                        if by == By::Product { snapshot.product(v) } else { snapshot.country(v) };
                    let stage = &ground.stages[ground.column[v as usize] as usize].id;
                    let name = snapshot.name(symbol);
                    let name = if name.is_empty() { "unknown" } else { name };
                    format!("{name}.{stage}")
                }
            };
            found.entry(label).or_default().push(v);
        }
        let members: Vec<(String, Vec<u32>)> = found.into_iter().collect();
        let group = members
            .iter()
            .zip(0..)
            .flat_map(|((_, nodes), g)| nodes.iter().map(move |&v| (v, g)))
            .collect();
        Self { ground, by, members, group }
    }

    fn throughput(&self) -> Vec<f64> {
        let snapshot = self.ground.snapshot;
        let size = |v: &u32| snapshot.out_strength(*v).max(snapshot.in_strength(*v));
        self.members.iter().map(|(_, nodes)| nodes.iter().map(size).sum()).collect()
    }

    fn groups(&self, hits: Option<&FxHashMap<u32, Hit>>) -> Vec<Group> {
        self.members.iter().map(|(id, nodes)| self.group(id, nodes, hits)).collect()
    }

    fn group(&self, id: &str, nodes: &[u32], hits: Option<&FxHashMap<u32, Hit>>) -> Group {
        let snapshot = self.ground.snapshot;
        let network = snapshot.network();
        let weight = |v: u32| self.ground.weight[v as usize];
        let hit = |v: u32| hits.map(|hits| hits.get(&v).copied().unwrap_or_default());
        let first = nodes[0];
        let shared = |label: fn(&Snapshot, u32) -> Symbol| {
            let symbol = label(snapshot, first);
            let same = nodes.iter().all(|&v| label(snapshot, v) == symbol);
            same.then(|| network.symbols.option(symbol).map(str::to_owned)).flatten()
        };
        let unit = |v: u32| network.nodes.output.meta(v as usize).unit;
        let outputs: Option<f64> =
            nodes.iter().map(|&v| snapshot.output(v).filter(|_| unit(v) == unit(first))).sum();
        let total: f64 = nodes.iter().map(|&v| weight(v)).sum();
        let loss = hits.map(|_| {
            let lost: f64 = nodes.iter().map(|&v| weight(v) * hit(v).map_or(0.0, |h| h.loss)).sum();
            if total > 0.0 { (lost / total).clamp(0.0, 1.0) } else { 0.0 }
        });
        let direct = nodes.iter().filter(|&&v| hit(v).is_some_and(|h| h.direct)).count();
        let mut members = Vec::new();
        if self.by != By::Node {
            let mut order = nodes.to_vec();
            order.sort_by(|&a, &b| weight(b).total_cmp(&weight(a)).then(a.cmp(&b)));
            members = order
                .into_iter()
                .take(MEMBERS)
                .map(|v| {
                    let symbol = if self.by == By::Product {
                        snapshot.country(v)
                    } else {
                        snapshot.product(v)
                    };
                    Member {
                        id: snapshot.id(v).to_owned(),
                        name: snapshot.name(symbol).to_owned(),
                        share: weight(v),
                        loss: hit(v).map(|h| h.loss),
                    }
                })
                .collect();
        }
        Group {
            id: id.to_owned(),
            column: self.ground.column[first as usize] as usize,
            product: shared(Snapshot::product),
            country: shared(Snapshot::country),
            nodes: nodes.len(),
            output: outputs,
            unit: outputs.and_then(|_| network.symbols.option(unit(first)).map(str::to_owned)),
            share: (self.by == By::Node).then(|| weight(first)),
            loss,
            direct,
            members,
        }
    }

    /// Bundles of the flows between shown nodes. Shares are means over the nodes of a group, each
    /// weighted by its share of the output of its product and stage, so that products in different
    /// units can stand together.
    fn bundles(&self, shown: &fixedbitset::FixedBitSet) -> Vec<Bundle> {
        #[derive(Default)]
        struct Sum {
            flows: usize,
            supply: f64,
            intake: f64,
            estimated: f64,
        }
        let snapshot = self.ground.snapshot;
        let quantity = &snapshot.network().flows.quantity;
        let weight = |v: u32| self.ground.weight[v as usize];
        let totals: Vec<f64> =
            self.members.iter().map(|(_, nodes)| nodes.iter().map(|&v| weight(v)).sum()).collect();
        let mut sums: BTreeMap<(u32, u32), Sum> = BTreeMap::new();
        for to in shown.ones().map(|v| v as u32) {
            let consumers = self.group[&to];
            for group in snapshot.groups(to) {
                let arrivals = snapshot.group_arrivals(group);
                let flows = arrivals.map(|a| snapshot.arrival_flows()[a] as usize);
                let all: f64 = flows.clone().map(|e| snapshot.quantity(e)).sum();
                for flow in flows {
                    let from = snapshot.flow_from(flow);
                    let Some(&suppliers) = self.group.get(&from) else { continue };
                    if suppliers == consumers && self.by != By::Node {
                        continue;
                    }
                    let sum = sums.entry((suppliers, consumers)).or_default();
                    let q = snapshot.quantity(flow);
                    let part = |whole: f64| if whole > 0.0 { q / whole } else { 0.0 };
                    let supply = weight(from) * part(snapshot.out_strength(from));
                    sum.flows += 1;
                    sum.supply += supply;
                    sum.intake += weight(to) * part(all);
                    if quantity.meta(flow).class == Some(FigureClass::Estimate) {
                        sum.estimated += supply;
                    }
                }
            }
        }
        let share = |sum: f64, total: f64| if total > 0.0 { (sum / total).min(1.0) } else { 0.0 };
        sums.into_iter()
            .map(|((from, to), sum)| Bundle {
                from: self.members[from as usize].0.clone(),
                to: self.members[to as usize].0.clone(),
                flows: sum.flows,
                of_supply: share(sum.supply, totals[from as usize]),
                of_intake: share(sum.intake, totals[to as usize]),
                estimated: share(sum.estimated, sum.supply),
            })
            .collect()
    }
}

/// Loss of each country by stage, the worst hit first: rows for tables and pictures.
pub fn by_country(
    snapshot: &Snapshot,
    hits: &FxHashMap<u32, Hit>,
) -> (Vec<String>, Vec<CountryLoss>) {
    let ground = Ground::new(snapshot);
    let mut all = fixedbitset::FixedBitSet::with_capacity(snapshot.node_count());
    all.insert_range(..);
    let grouped = Grouped::new(&ground, By::Country, &all);
    let mut rows: BTreeMap<String, CountryLoss> = BTreeMap::new();
    for (group, (_, nodes)) in grouped.groups(Some(hits)).into_iter().zip(&grouped.members) {
        let Some(country) = group.country else { continue };
        let name = snapshot.countries().get(&country).map_or(country.clone(), |c| c.name.clone());
        let row = rows.entry(country.clone()).or_insert_with(|| CountryLoss {
            country,
            name,
            nodes: 0,
            hit: 0,
            stages: Vec::new(),
        });
        row.nodes += group.nodes;
        row.hit +=
            nodes.iter().filter(|v| hits.get(v).is_some_and(|hit| hit.loss > NO_LOSS)).count();
        let stage = ground.stages[group.column].id.clone();
        row.stages.push((stage, group.loss.unwrap_or(0.0), group.nodes, group.direct > 0));
    }
    let mut rows: Vec<CountryLoss> = rows.into_values().collect();
    let worst = |row: &CountryLoss| row.stages.iter().map(|s| s.1).fold(0.0, f64::max);
    rows.sort_by(|a, b| {
        b.hit
            .cmp(&a.hit)
            .then_with(|| worst(b).total_cmp(&worst(a)))
            .then_with(|| a.country.cmp(&b.country))
    });
    (ground.stages.into_iter().map(|s| s.id).collect(), rows)
}

/// What one country loses.
#[derive(Debug, Clone)]
pub struct CountryLoss {
    /// Code.
    pub country: String,
    /// Name.
    pub name: String,
    /// Its nodes.
    pub nodes: usize,
    /// Nodes that lose anything.
    pub hit: usize,
    /// Stage, mean loss, nodes, and whether a shock hits one itself.
    pub stages: Vec<(String, f64, usize, bool)>,
}
