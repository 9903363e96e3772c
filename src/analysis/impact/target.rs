//! Whose loss is asked for.

use crate::graph::Snapshot;
use crate::model::Symbol;
use crate::model::scenario::Target;

use super::shock::ImpactError;

/// The nodes behind a target, with the weight of each.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetNodes {
    /// Name of the target.
    pub name: String,
    /// Nodes, ascending, with their weights (output, else throughput).
    pub nodes: Vec<(u32, f64)>,
    /// Sum of the weights: what the loss is a share of.
    pub baseline: f64,
    /// Unit of the baseline.
    pub unit: String,
}

impl TargetNodes {
    /// Resolves a target. Weights are the nodes' outputs if all are known, else their throughput
    /// (the greater of what arrives and what leaves), else equal.
    ///
    /// # Errors
    /// A selector that the graph does not understand or that matches nothing.
    pub fn resolve(snapshot: &Snapshot, target: &Target, at: &str) -> Result<Self, ImpactError> {
        let nodes =
            snapshot.select(&target.select).map_err(ImpactError::select(format!("{at}.select")))?;
        Ok(Self::weigh(snapshot, target.name.clone(), nodes))
    }

    /// The same nodes with the weights that they have in a graph with other numbers.
    pub fn reweighed(&self, snapshot: &Snapshot) -> Self {
        let nodes = self.nodes.iter().map(|n| n.0).collect();
        Self::weigh(snapshot, self.name.clone(), nodes)
    }

    fn weigh(snapshot: &Snapshot, name: String, nodes: Vec<u32>) -> Self {
        let outputs: Option<Vec<f64>> = nodes.iter().map(|&v| snapshot.output(v)).collect();
        let (weights, unit) = match outputs.filter(|o| o.iter().sum::<f64>() > 0.0) {
            Some(outputs) => {
                let units: Vec<Symbol> = nodes
                    .iter()
                    .map(|&v| snapshot.network().nodes.output.meta(v as usize).unit)
                    .collect();
                let same = units.iter().all(|u| *u == units[0]);
                let unit = if same { snapshot.name(units[0]) } else { "mixed units" };
                (outputs, if unit.is_empty() { "output" } else { unit }.to_owned())
            }
            None => {
                let through: Vec<f64> = nodes
                    .iter()
                    .map(|&v| snapshot.in_strength(v).max(snapshot.out_strength(v)))
                    .collect();
                if through.iter().sum::<f64>() > 0.0 {
                    (through, "throughput".to_owned())
                } else {
                    (vec![1.0; nodes.len()], "nodes".to_owned())
                }
            }
        };
        let baseline = weights.iter().sum();
        let nodes = nodes.into_iter().zip(weights).collect();
        Self { name, nodes, baseline, unit }
    }

    /// Weighted mean of a node value over the target.
    pub fn mean(&self, value: impl Fn(u32) -> f64) -> f64 {
        if self.baseline <= 0.0 {
            return 0.0;
        }
        self.nodes.iter().map(|&(v, w)| w * value(v)).sum::<f64>() / self.baseline
    }
}
