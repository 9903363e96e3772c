//! Exposure of a target to a set of nodes, as an answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::analyses::Analysis;
use super::{Service, ServiceError};
use crate::analysis::Progress;
use crate::analysis::exposure::{Exposure, exposure};
use crate::analysis::impact::{Shocks, TargetNodes};
use crate::graph::Snapshot;
use crate::model::scenario::{ModelOptions, Target};
use crate::model::selector::Selector;

/// Nodes that an answer lists.
const LISTED: usize = 100;
/// Suppliers of an input that an answer lists.
const SUPPLIERS: usize = 10;

/// What the shares are, for people.
const FORMULA: &str = "e_j = 1 on the set, else sum over inputs k and suppliers i of s_jk w_ij e_i; \
    w: the supplier's share of the input; s: the input's dependence over the sum of the node's \
    dependences";

/// Which target, exposed to what.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExposureBody {
    /// Whose supply is followed back.
    pub target: Selector,
    /// The set that it may come from.
    pub on: Selector,
    /// How the loss without the set is evaluated.
    #[serde(default)]
    pub model: ModelOptions,
    /// Version of the graph (default: the newest).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
}

/// Exposure: shares of the target's supply, 0-1.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ExposureAnswer {
    /// What was asked.
    pub question: ExposureBody,
    /// Size of the target.
    pub target: Side,
    /// Size of the set.
    pub on: Side,
    /// Share of the target that is made in the set itself.
    pub own: f64,
    /// Share of its supply that comes from the set directly.
    pub direct: f64,
    /// Share that comes from the set through others.
    pub indirect: f64,
    /// `own + direct + indirect`.
    pub total: f64,
    /// Share that never meets the set.
    pub elsewhere: f64,
    /// Share that goes round in loops.
    pub circulating: f64,
    /// What the target loses in the steady state if the set stops: one missing input can stop all,
    /// so this may be far above or below the share of supply.
    pub loss_without: f64,
    /// Direct inputs of the target, heaviest first.
    pub by_input: Vec<InputView>,
    /// Where the supply meets the set, by product and stage, largest first.
    pub by_material: Vec<MaterialView>,
    /// Nodes of the set that supply meets, largest first.
    pub nodes: Vec<NodeView>,
    /// What the list of nodes leaves out.
    pub nodes_left_out: usize,
    /// What the shares are.
    pub formula: &'static str,
}

/// One side of the question.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Side {
    /// Number of nodes.
    pub nodes: usize,
}

/// A direct input of the target.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct InputView {
    /// Product.
    pub product: String,
    /// Weight among all inputs.
    pub weight: f64,
    /// Part of the input that comes from the set directly.
    pub direct: f64,
    /// Part of the input that comes from it through others.
    pub indirect: f64,
    /// Suppliers, largest part first.
    pub suppliers: Vec<SupplierView>,
}

/// A supplier of an input.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SupplierView {
    /// Node.
    pub id: String,
    /// Part of the input.
    pub share: f64,
    /// Its own exposure to the set (1: it belongs to it).
    pub exposure: f64,
}

/// One product and stage at which supply meets the set.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MaterialView {
    /// Product.
    pub product: String,
    /// Stage.
    pub stage: String,
    /// Share of the target's supply that first meets the set here, directly.
    pub direct: f64,
    /// The same through others.
    pub indirect: f64,
    /// Part that the set has of all supply of this product and stage on the way to the target.
    pub share_of_material: f64,
    /// Number of nodes of the set.
    pub nodes: usize,
}

/// One node of the set.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct NodeView {
    /// Node.
    pub id: String,
    /// Share of the target's supply that comes from it directly.
    pub direct: f64,
    /// Share that comes from it through others.
    pub indirect: f64,
    /// Fewest steps from the target.
    pub steps: usize,
}

impl Analysis for ExposureBody {
    const PREFIX: &'static str = "exp";
    const NAME: &'static str = "exposure";
    type Answer = ExposureAnswer;

    fn location(&self, id: &str) -> String {
        format!("/v1/exposures/{id}")
    }

    fn answer(
        &self,
        service: &Service,
        snapshot: &Arc<Snapshot>,
        progress: &Progress,
    ) -> Result<ExposureAnswer, ServiceError> {
        let target = Target { name: "target".into(), select: self.target.clone() };
        let target = TargetNodes::resolve(snapshot, &target, "target")
            .map_err(|e| at(e, "target.select", "target"))?;
        let on = snapshot.select(&self.on).map_err(|e| ServiceError::selector("on", e))?;
        let found = exposure(snapshot, &target, &on, progress)?;
        let model = service.models.get(snapshot, &self.model, &[])?;
        let shocks = Shocks::removal(&on);
        let prepared = model.prepare(&shocks);
        let solution = model.solve(&prepared, progress)?;
        Ok(ExposureAnswer {
            question: self.clone(),
            target: Side { nodes: target.nodes.len() },
            on: Side { nodes: on.len() },
            own: found.own,
            direct: found.direct,
            indirect: found.indirect,
            total: found.own + found.direct + found.indirect,
            elsewhere: found.elsewhere,
            circulating: found.circulating,
            loss_without: target.mean(|v| solution.loss(v)),
            by_input: by_input(snapshot, &found),
            by_material: by_material(snapshot, &found),
            nodes: found
                .meetings
                .iter()
                .take(LISTED)
                .map(|m| NodeView {
                    id: snapshot.id(m.node).to_owned(),
                    direct: m.direct,
                    indirect: m.indirect,
                    steps: m.steps,
                })
                .collect(),
            nodes_left_out: found.meetings.len().saturating_sub(LISTED),
            formula: FORMULA,
        })
    }
}

/// The same error with the path that this body has.
fn at(error: crate::analysis::impact::ImpactError, from: &str, to: &str) -> ServiceError {
    match ServiceError::from(error) {
        ServiceError::Impossible { param: Some(param), problem, hint } => {
            ServiceError::Impossible { param: Some(param.replacen(from, to, 1)), problem, hint }
        }
        other => other,
    }
}

fn by_input(snapshot: &Snapshot, found: &Exposure) -> Vec<InputView> {
    found
        .inputs
        .iter()
        .map(|input| InputView {
            product: snapshot.name(input.product).to_owned(),
            weight: input.weight,
            direct: input.direct,
            indirect: input.indirect,
            suppliers: input
                .suppliers
                .iter()
                .take(SUPPLIERS)
                .map(|&(node, share, exposure)| SupplierView {
                    id: snapshot.id(node).to_owned(),
                    share,
                    exposure,
                })
                .collect(),
        })
        .collect()
}

fn by_material(snapshot: &Snapshot, found: &Exposure) -> Vec<MaterialView> {
    let key = |v: u32| (snapshot.name(snapshot.product(v)), snapshot.name(snapshot.stage(v)));
    let mut passing: BTreeMap<(&str, &str), f64> = BTreeMap::new();
    for &(node, amount) in &found.passing {
        *passing.entry(key(node)).or_default() += amount;
    }
    let mut by: BTreeMap<(&str, &str), (f64, f64, usize)> = BTreeMap::new();
    for m in &found.meetings {
        let sum = by.entry(key(m.node)).or_default();
        sum.0 += m.direct;
        sum.1 += m.indirect;
        sum.2 += 1;
    }
    let mut list: Vec<MaterialView> = by
        .into_iter()
        .map(|(k, (direct, indirect, nodes))| MaterialView {
            product: k.0.to_owned(),
            stage: k.1.to_owned(),
            direct,
            indirect,
            share_of_material: (direct + indirect) / passing[&k],
            nodes,
        })
        .collect();
    list.sort_by(|a, b| (b.direct + b.indirect).total_cmp(&(a.direct + a.indirect)));
    list
}
