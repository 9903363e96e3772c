//! Drawn graphs: the topology of a graph with drawn numbers on it.

use std::sync::Arc;

use super::balance::{Drawn, Markets, Workspace};
use super::figures::{self, Kinds, Subject, UncertainFigure, Uses};
use super::stream;
use crate::graph::Snapshot;

/// The uncertain figures of a graph and how they act on its numbers.
#[derive(Debug)]
pub struct Ranges {
    base: Arc<Snapshot>,
    figures: Vec<UncertainFigure>,
    uses: Uses,
    markets: Markets,
}

/// One graph with drawn numbers, to be drawn again and again.
#[derive(Debug, Clone)]
pub struct DrawnGraph {
    snapshot: Arc<Snapshot>,
    drawn: Drawn,
    quantities: Vec<f64>,
    work: Workspace,
}

impl Ranges {
    /// The ranges of a graph; `kinds`: which figures can act on the quantity asked for.
    pub fn of(snapshot: &Arc<Snapshot>, kinds: Kinds) -> Self {
        let uses = Uses::of(snapshot);
        let figures = figures::figures(snapshot, kinds, &uses);
        let markets = Markets::of(snapshot, &uses);
        Self { base: snapshot.clone(), figures, uses, markets }
    }

    /// The graph itself.
    pub fn base(&self) -> &Arc<Snapshot> {
        &self.base
    }

    /// The uncertain figures.
    pub fn figures(&self) -> &[UncertainFigure] {
        &self.figures
    }

    /// The uses of the graph.
    pub fn uses(&self) -> &Uses {
        &self.uses
    }

    /// Id of a figure.
    pub fn id(&self, figure: &UncertainFigure) -> String {
        figures::id(&self.base, &self.uses, figure.subject)
    }

    /// The value of a figure in a draw.
    pub fn value(&self, figure: &UncertainFigure, seed: u64, draw: u64) -> f64 {
        figure.distribution.quantile(stream::uniform(seed, figure.key, draw))
    }

    /// Room for drawn graphs: a copy of the graph.
    pub fn room(&self) -> DrawnGraph {
        DrawnGraph {
            snapshot: self.base.clone(),
            drawn: Drawn {
                node: vec![1.0; self.base.node_count()],
                usage: vec![1.0; self.uses.all.len()],
                flow: vec![1.0; self.base.flow_count()],
            },
            quantities: self.base.quantities().to_vec(),
            work: Workspace::default(),
        }
    }

    /// Draws every figure; the graph lives in `room` until the next draw.
    pub fn draw<'r>(&self, seed: u64, draw: u64, room: &'r mut DrawnGraph) -> &'r Arc<Snapshot> {
        self.set(room, |_, figure| self.value(figure, seed, draw))
    }

    /// Sets every figure to its value, except one.
    pub fn with<'r>(
        &self,
        position: usize,
        value: f64,
        room: &'r mut DrawnGraph,
    ) -> &'r Arc<Snapshot> {
        self.set(room, |k, figure| if k == position { value } else { figure.distribution.value() })
    }

    /// Sets every figure to a value of one's own: given its position and itself.
    pub fn set<'r>(
        &self,
        room: &'r mut DrawnGraph,
        value: impl Fn(usize, &UncertainFigure) -> f64,
    ) -> &'r Arc<Snapshot> {
        let DrawnGraph { snapshot, drawn, quantities, work } = room;
        let values: Vec<f64> = self.figures.iter().enumerate().map(|(k, f)| value(k, f)).collect();
        for (figure, &value) in self.figures.iter().zip(&values) {
            let median = figure.distribution.value();
            // Flows of something that is not there have no factor.
            let factor = if median > 0.0 { value / median } else { 1.0 };
            match figure.subject {
                Subject::Output(v) => drawn.node[v as usize] = factor,
                Subject::Flow(e) => drawn.flow[e as usize] = factor,
                Subject::Use(k) => drawn.usage[k as usize] = factor,
                Subject::Capacity(_) | Subject::StockDays(_) | Subject::Dependence(_) => {}
            }
        }
        self.markets.balance(drawn, quantities, work);
        // Joint products follow their host and stand outside the balance.
        for (e, ()) in self.base.network().flows.joint.iter() {
            let from = self.base.flow_from(e as usize);
            quantities[e as usize] =
                self.base.quantity(e as usize) * drawn.node[from as usize] * drawn.flow[e as usize];
        }
        // A copy is made only if someone kept the last drawn graph (or the graph itself).
        Arc::make_mut(snapshot).renumber(|network| {
            network.flows.quantity.values_mut().copy_from_slice(quantities);
            for (figure, &value) in self.figures.iter().zip(&values) {
                match figure.subject {
                    Subject::Output(v) => network.nodes.output.values_mut()[v as usize] = value,
                    Subject::Capacity(v) => network.nodes.capacity.values_mut()[v as usize] = value,
                    Subject::StockDays(v) => {
                        network.nodes.stock_days.values_mut()[v as usize] = value;
                    }
                    Subject::Dependence(r) => {
                        if let Some(figure) =
                            &mut network.requirements.to_mut()[r as usize].dependence
                        {
                            figure.value = value;
                        }
                    }
                    Subject::Flow(_) | Subject::Use(_) => {}
                }
            }
        });
        snapshot
    }
}
