//! Shocks of a scenario, resolved against a snapshot.

use std::collections::BTreeMap;

use crate::graph::{SelectError, Snapshot};
use crate::model::scenario::{Recovery, ScenarioError, Shock};
use crate::model::selector::Selector;

/// Why a scenario cannot be evaluated on a graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImpactError {
    /// A part of the scenario cannot be right.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// A selector names something unknown or matches nothing.
    #[error("{param}: {source}")]
    Select {
        /// Path of the selector in the body.
        param: String,
        /// What is wrong.
        source: SelectError,
    },
    /// It was asked to stop.
    #[error(transparent)]
    Cancelled(#[from] crate::analysis::Cancelled),
}

impl ImpactError {
    /// A selection error at `param`.
    pub fn select(param: impl Into<String>) -> impl FnOnce(SelectError) -> Self {
        let param = param.into();
        move |source| Self::Select { param, source }
    }
}

/// When a shock acts (timelines).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Window {
    /// First day.
    pub from_day: f64,
    /// Length in days; `None`: for ever.
    pub days: Option<f64>,
    /// The way back.
    pub recovery: Option<Recovery>,
}

/// What one shock does.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Nodes lose a share of output and of demand.
    Loss {
        /// Nodes, ascending.
        nodes: Vec<u32>,
        /// Share of output lost.
        down: f64,
        /// Share of demand lost.
        up: f64,
    },
    /// Flows are shut to a share.
    Shut {
        /// Flows, ascending.
        flows: Vec<u32>,
        /// Share that no longer passes.
        share: f64,
        /// Days at the start in which nothing passes.
        delay_days: f64,
        /// Suppliers under an export restriction (their spare capacity serves nobody abroad).
        restricted: Vec<u32>,
    },
}

/// One shock on one snapshot.
#[derive(Debug, Clone, PartialEq)]
pub struct CompiledShock {
    /// Name of the group for attribution.
    pub name: String,
    /// What it does.
    pub effect: Effect,
    /// When.
    pub window: Window,
}

/// All shocks of a scenario on one snapshot.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Shocks {
    /// The shocks in the order given.
    pub all: Vec<CompiledShock>,
}

impl Shocks {
    /// Resolves the shocks of a scenario. Policies must have been resolved to restrictions.
    ///
    /// # Errors
    /// A bad part, an unknown name, a selector without match, or shocks that contradict.
    pub fn compile(snapshot: &Snapshot, shocks: &[Shock]) -> Result<Self, ImpactError> {
        contradictions(shocks)?;
        let all = shocks
            .iter()
            .enumerate()
            .map(|(i, shock)| {
                let at = format!("shocks[{i}]");
                shock.check(&at)?;
                Ok(CompiledShock {
                    name: shock.name.clone().unwrap_or_else(|| format!("shock {}", i + 1)),
                    effect: effect(snapshot, shock, &at)?,
                    window: Window {
                        from_day: shock.from_day.unwrap_or(0.0),
                        days: shock.days,
                        recovery: shock.recovery.clone(),
                    },
                })
            })
            .collect::<Result<_, ImpactError>>()?;
        Ok(Self { all })
    }

    /// One shock: these nodes lose everything.
    pub fn removal(nodes: &[u32]) -> Self {
        let mut nodes = nodes.to_vec();
        nodes.sort_unstable();
        nodes.dedup();
        let effect = Effect::Loss { nodes, down: 1.0, up: 1.0 };
        let shock = CompiledShock { name: "removal".into(), effect, window: Window::default() };
        Self { all: vec![shock] }
    }

    /// One shock: nothing passes these flows any more.
    pub fn cut(flows: &[u32]) -> Self {
        let mut flows = flows.to_vec();
        flows.sort_unstable();
        flows.dedup();
        let effect = Effect::Shut { flows, share: 1.0, delay_days: 0.0, restricted: Vec::new() };
        let shock = CompiledShock { name: "cut".into(), effect, window: Window::default() };
        Self { all: vec![shock] }
    }

    /// The permanent shock of every node, ascending: (node, downstream loss, upstream loss). Where
    /// shocks overlap, the greater loss counts.
    pub fn node_losses(&self) -> Vec<(u32, f64, f64)> {
        let mut by_node: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
        for shock in &self.all {
            if let Effect::Loss { nodes, down, up } = &shock.effect {
                for &node in nodes {
                    let entry = by_node.entry(node).or_default();
                    *entry = (entry.0.max(*down), entry.1.max(*up));
                }
            }
        }
        by_node.into_iter().map(|(node, (down, up))| (node, down, up)).collect()
    }

    /// The permanent cut of every flow, ascending. Where shocks overlap, the greater cut counts.
    pub fn flow_cuts(&self) -> Vec<(u32, f64)> {
        let mut by_flow: BTreeMap<u32, f64> = BTreeMap::new();
        for shock in &self.all {
            if let Effect::Shut { flows, share, .. } = &shock.effect {
                for &flow in flows {
                    let entry = by_flow.entry(flow).or_default();
                    *entry = entry.max(*share);
                }
            }
        }
        by_flow.into_iter().filter(|(_, share)| *share > 0.0).collect()
    }

    /// Suppliers under an export restriction, ascending.
    pub fn restricted(&self) -> Vec<u32> {
        let mut nodes: Vec<u32> = self
            .all
            .iter()
            .filter_map(|s| match &s.effect {
                Effect::Shut { restricted, .. } => Some(restricted.iter().copied()),
                Effect::Loss { .. } => None,
            })
            .flatten()
            .collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }

    /// The first node that any shock acts on: a loss of its own, or what arrives over a cut flow.
    pub fn first_node(&self, snapshot: &Snapshot) -> Option<u32> {
        self.all
            .iter()
            .filter_map(|shock| match &shock.effect {
                Effect::Loss { nodes, .. } => nodes.first().copied(),
                Effect::Shut { flows, .. } => flows.first().map(|&e| snapshot.flow_to(e as usize)),
            })
            .min()
    }

    /// True if any shock acts on flows.
    pub fn has_cuts(&self) -> bool {
        self.all.iter().any(|s| matches!(s.effect, Effect::Shut { .. }))
    }

    /// Number of nodes that lose something, and of flows that are cut, by the shocks themselves.
    pub fn removed(&self) -> (usize, usize) {
        let nodes = self.node_losses().iter().filter(|(_, d, u)| d.max(*u) > 0.0).count();
        (nodes, self.flow_cuts().len())
    }
}

/// Two shocks on the same selection at the same time that say different things.
fn contradictions(shocks: &[Shock]) -> Result<(), ScenarioError> {
    let value =
        |s: &Shock| (s.loss, s.loss_upstream, s.restrict.as_ref().and_then(|r| r.pass), s.cut);
    let place = |s: &Shock| {
        let to = s.restrict.as_ref().map(|r| r.to.clone());
        (s.select.clone(), to, s.flow.clone(), s.policy.clone())
    };
    let window = |s: &Shock| {
        let from = s.from_day.unwrap_or(0.0);
        (from, s.days.map_or(f64::INFINITY, |d| from + d))
    };
    for (i, a) in shocks.iter().enumerate().take(1000) {
        for (j, b) in shocks.iter().enumerate().take(1000).skip(i + 1) {
            let ((af, at), (bf, bt)) = (window(a), window(b));
            if place(a) == place(b) && value(a) != value(b) && af < bt && bf < at {
                return Err(ScenarioError::new(
                    format!("shocks[{j}]"),
                    format!(
                        "contradicts shocks[{i}]: the same selection at the same time with \
                         another value; keep one, or give them different times"
                    ),
                ));
            }
        }
    }
    Ok(())
}

fn effect(snapshot: &Snapshot, shock: &Shock, at: &str) -> Result<Effect, ImpactError> {
    if let Some(flow) = &shock.flow {
        let from =
            snapshot.select(&flow.from).map_err(ImpactError::select(format!("{at}.flow.from")))?;
        let to = snapshot.select(&flow.to).map_err(ImpactError::select(format!("{at}.flow.to")))?;
        let product =
            |name: &str| flow.product.is_empty() || flow.product.iter().any(|p| p == name);
        let flows = flows_between(snapshot, &from, &to, product);
        if flows.is_empty() && !(flow.from.allow_empty || flow.to.allow_empty) {
            return Err(ImpactError::Select {
                param: format!("{at}.flow"),
                source: SelectError {
                    problem: "no flow leads from the one selection to the other".into(),
                    hint: Some("look at GET /v1/graphs/{g}/flows, or set allow_empty".into()),
                },
            });
        }
        return Ok(Effect::Shut {
            flows,
            share: shock.cut.unwrap_or(1.0),
            delay_days: 0.0,
            restricted: Vec::new(),
        });
    }
    let Some(select) = &shock.select else {
        return Err(ScenarioError::new(at, "the policy was not resolved").into());
    };
    let nodes = snapshot.select(select).map_err(ImpactError::select(format!("{at}.select")))?;
    if let Some(restriction) = &shock.restrict {
        let outside;
        let to = match &restriction.to {
            Some(to) => to,
            None => {
                outside = Selector { not: Some(Box::new(select.clone())), ..Selector::default() };
                &outside
            }
        };
        let destinations =
            snapshot.select(to).map_err(ImpactError::select(format!("{at}.restrict.to")))?;
        return Ok(Effect::Shut {
            flows: flows_between(snapshot, &nodes, &destinations, |_| true),
            share: 1.0 - restriction.pass.unwrap_or(0.0),
            delay_days: restriction.delay_days.unwrap_or(0.0),
            restricted: nodes,
        });
    }
    let down = shock.loss.unwrap_or(1.0);
    Ok(Effect::Loss { nodes, down, up: shock.loss_upstream.unwrap_or(down) })
}

fn flows_between(
    snapshot: &Snapshot,
    from: &[u32],
    to: &[u32],
    product: impl Fn(&str) -> bool,
) -> Vec<u32> {
    let flows = &snapshot.network().flows;
    let mut found = Vec::new();
    for &supplier in from {
        for e in snapshot.flows_out(supplier) {
            if to.binary_search(&flows.to[e]).is_ok() && product(snapshot.name(flows.product[e])) {
                found.push(e as u32);
            }
        }
    }
    found
}
