//! The uncertain figures of a graph: which numbers have a range, and where it comes from.
//!
//! A figure's range is what it states, else the default of its class (measured 5 %, recalled 15 %,
//! estimate 30 %). Derived figures have no range of their own: they follow from their parts. A bare
//! number without class has none either.
//!
//! *Uses* are figures that no record holds: how the supply of one product and stage is split among
//! the products made of it. Where a use's flows are derived, the split is what they were derived
//! from; it counts as an estimate.

use rustc_hash::FxHashMap;

use crate::graph::Snapshot;
use crate::model::network::FigureColumn;
use crate::model::{FigureClass, Rule, Symbol};

use super::distribution::Distribution;
use super::stream;

/// What a figure is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// Output of a node.
    Output(u32),
    /// Capacity of a node.
    Capacity(u32),
    /// Stocks of a node, in days of use.
    StockDays(u32),
    /// Quantity of a flow.
    Flow(u32),
    /// Dependence of a requirement, by its position.
    Dependence(u32),
    /// Share of a use, by its position.
    Use(u32),
}

/// Which kinds of figures can act on the quantity that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kinds {
    /// Capacities of nodes (spare capacity).
    pub capacities: bool,
    /// Stocks (timelines).
    pub stocks: bool,
}

/// A figure with its distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UncertainFigure {
    /// What it is of.
    pub subject: Subject,
    /// Address of its draws.
    pub key: u64,
    /// Where its draws lie.
    pub distribution: Distribution,
    /// How it is known.
    pub class: Option<FigureClass>,
    /// True if its range is stated, false if it is the default of its class.
    pub stated: bool,
}

/// One use: what one product and stage gives to the makers of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Use {
    /// Product that is supplied.
    pub product: Symbol,
    /// Stage of its suppliers.
    pub stage: Symbol,
    /// Product of the consumers.
    pub consumer: Symbol,
    /// Stage of the consumers.
    pub consumer_stage: Symbol,
}

/// Uses of a graph, and the use of each flow.
#[derive(Debug, Clone, Default)]
pub struct Uses {
    /// The uses, in the order of their first flow.
    pub all: Vec<Use>,
    /// Use of each flow; `u32::MAX` for joint products, which take nothing from other uses.
    pub of_flow: Vec<u32>,
    /// First flow of each use: its source speaks for the use.
    pub first_flow: Vec<u32>,
    /// Quantity of each use.
    pub quantity: Vec<f64>,
    /// Quantity of all uses of the same supply.
    pub supply: Vec<f64>,
    /// True for uses with flows that are derived.
    pub derived: Vec<bool>,
}

impl Uses {
    /// The uses of a graph.
    pub fn of(snapshot: &Snapshot) -> Self {
        let flows = &snapshot.network().flows;
        let mut uses = Self { of_flow: vec![u32::MAX; snapshot.flow_count()], ..Self::default() };
        let mut number: FxHashMap<Use, u32> = FxHashMap::default();
        let mut supply: FxHashMap<(Symbol, Symbol), f64> = FxHashMap::default();
        let mut joint = flows.joint.iter().map(|(e, ())| e).peekable();
        for e in 0..snapshot.flow_count() {
            if joint.next_if_eq(&(e as u32)).is_some() {
                continue;
            }
            let (from, to) = (flows.from[e], flows.to[e]);
            let key = Use {
                product: flows.product[e],
                stage: snapshot.stage(from),
                consumer: snapshot.product(to),
                consumer_stage: snapshot.stage(to),
            };
            let k = *number.entry(key).or_insert_with(|| {
                uses.all.push(key);
                uses.first_flow.push(e as u32);
                uses.quantity.push(0.0);
                uses.derived.push(false);
                uses.all.len() as u32 - 1
            });
            uses.of_flow[e] = k;
            uses.quantity[k as usize] += snapshot.quantity(e);
            *supply.entry((key.product, key.stage)).or_default() += snapshot.quantity(e);
            let derived = flows.quantity.meta(e).class == Some(FigureClass::Derived)
                && flows.quantity.range(e).is_none();
            uses.derived[k as usize] |= derived;
        }
        uses.supply = uses.all.iter().map(|u| supply[&(u.product, u.stage)]).collect();
        uses
    }
}

/// Distribution of a row of a column; `None` if it is one number.
fn of_column(
    column: &FigureColumn,
    row: usize,
) -> Option<(Distribution, Option<FigureClass>, bool)> {
    let value = column.get(row)?;
    let class = column.meta(row).class;
    let (low, high) = column.range(row).unwrap_or((None, None));
    let (distribution, stated) = with_default(value, low, high, class);
    (!distribution.is_fixed()).then_some((distribution, class, stated))
}

/// The stated range, each missing end from the default of the class.
fn with_default(
    value: f64,
    low: Option<f64>,
    high: Option<f64>,
    class: Option<FigureClass>,
) -> (Distribution, bool) {
    let half = match class {
        // Follows from its parts.
        None | Some(FigureClass::Derived) => 0.0,
        Some(class) => class.default_relative_range() * value.abs(),
    };
    let ends = (low.unwrap_or(value - half), high.unwrap_or(value + half));
    (Distribution::new(value, ends.0, ends.1), low.is_some() || high.is_some())
}

/// Every uncertain figure, in the order output, capacity, stock, flow, dependence, use.
pub fn figures(snapshot: &Snapshot, kinds: Kinds, uses: &Uses) -> Vec<UncertainFigure> {
    let network = snapshot.network();
    let mut all = Vec::new();
    let mut push = |subject, (distribution, class, stated)| {
        let key = stream::key(&id(snapshot, uses, subject));
        all.push(UncertainFigure { subject, key, distribution, class, stated });
    };
    type OfNode = fn(u32) -> Subject;
    let columns: [(&FigureColumn, bool, OfNode); 3] = [
        (&network.nodes.output, true, Subject::Output),
        (&network.nodes.capacity, kinds.capacities, Subject::Capacity),
        (&network.nodes.stock_days, kinds.stocks, Subject::StockDays),
    ];
    for (column, _, subject) in columns.into_iter().filter(|c| c.1) {
        for v in snapshot.nodes() {
            if let Some(found) = of_column(column, v as usize) {
                push(subject(v), found);
            }
        }
    }
    for e in 0..snapshot.flow_count() {
        if let Some(found) = of_column(&network.flows.quantity, e) {
            push(Subject::Flow(e as u32), found);
        }
    }
    for (r, requirement) in network.requirements.iter().enumerate() {
        let Some(figure) = &requirement.dependence else { continue };
        if requirement.rule != Rule::Limiting {
            continue;
        }
        let (distribution, stated) =
            with_default(figure.value, figure.low, figure.high, figure.class);
        // A dependence of 0 or 1 by class default can only move inwards.
        let distribution = distribution.at_most(1.0);
        if !distribution.is_fixed() {
            push(Subject::Dependence(r as u32), (distribution, figure.class, stated));
        }
    }
    for k in 0..uses.all.len() {
        // The only use of a supply takes all of it, whatever its share.
        if uses.derived[k] && uses.quantity[k] > 0.0 && uses.quantity[k] < uses.supply[k] {
            let share = uses.quantity[k] / uses.supply[k];
            let class = FigureClass::Estimate;
            let (distribution, stated) = with_default(share, None, None, Some(class));
            push(Subject::Use(k as u32), (distribution, Some(class), stated));
        }
    }
    all
}

/// Id of a figure: what it is of, as in the addresses of the API.
pub fn id(snapshot: &Snapshot, uses: &Uses, subject: Subject) -> String {
    let network = snapshot.network();
    match subject {
        Subject::Output(v) => format!("nodes/{}/output", snapshot.id(v)),
        Subject::Capacity(v) => format!("nodes/{}/capacity", snapshot.id(v)),
        Subject::StockDays(v) => format!("nodes/{}/stock_days", snapshot.id(v)),
        Subject::Flow(e) => format!("flows/{}/quantity", network.flow_id(e as usize)),
        Subject::Dependence(r) => {
            let r = &network.requirements[r as usize];
            let name = |s| snapshot.name(s);
            format!("requirements/{}..{}/dependence", name(r.output), name(r.input))
        }
        Subject::Use(k) => {
            let name = |product, stage| match (snapshot.name(product), snapshot.name(stage)) {
                (product, "") => product.to_owned(),
                (product, stage) => format!("{product}.{stage}"),
            };
            let u = &uses.all[k as usize];
            let (supply, use_) = (name(u.product, u.stage), name(u.consumer, u.consumer_stage));
            format!("uses/{supply}..{use_}/share")
        }
    }
}
