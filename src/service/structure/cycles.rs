//! Cycles: recycling and mutual supply.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Ask, Context, Draft, Projection, estimate, ids, in_range};
use crate::analysis::structure::{CycleOptions, cycles};
use crate::graph::Snapshot;
use crate::service::ServiceError;
use crate::service::jobs::Estimate;

/// Most cycles of one answer.
const MOST_CYCLES: usize = 1_000_000;

/// A question about cycles.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({"max_length": 4, "limit": 100}))]
pub struct CyclesBody {
    /// Most flows of a cycle (default: any number).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u32>,
    /// Most cycles (default 1000, most 1 000 000).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Version of the graph (default: the newest).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
}

/// Cycles.
#[derive(Debug, Serialize, ToSchema)]
pub struct CyclesAnswer {
    /// In what order they come.
    pub explanation: &'static str,
    /// Cycles listed.
    pub count: usize,
    /// True if there are no others (of the length allowed).
    pub complete: bool,
    /// Cycles.
    pub cycles: Vec<CycleView>,
}

/// A cycle.
#[derive(Debug, Serialize, ToSchema)]
pub struct CycleView {
    /// Number of flows.
    pub length: usize,
    /// Nodes along the flows; the last supplies the first. A self-loop is one node.
    pub nodes: Vec<String>,
    /// Least quantity per year of a link of the cycle: what can go round.
    pub quantity: f64,
}

impl Ask for CyclesBody {
    fn at(&mut self) -> &mut Option<u64> {
        &mut self.at
    }

    fn check(&self, _: &Snapshot) -> Result<(), ServiceError> {
        in_range("limit", self.limit.unwrap_or(1000), 1..=MOST_CYCLES)?;
        Ok(())
    }

    fn estimate(&self, snapshot: &Snapshot, _: usize) -> Estimate {
        let (n, m) = (snapshot.node_count(), snapshot.flow_count());
        let limit = self.limit.unwrap_or(1000);
        // Between two cycles a search may look at a part of the component.
        let units = (n + m) as f64 + limit as f64 * 1000.0;
        estimate(units, 2e-7, 60 * n + 8 * m + 64 * limit)
    }

    fn answer(&self, context: &Context<'_>) -> Result<Draft, ServiceError> {
        let snapshot = &**context.snapshot;
        let limit = self.limit.unwrap_or(1000);
        let view = context.views.links(context.snapshot)?;
        let options = CycleOptions { max_length: self.max_length.unwrap_or(u32::MAX), limit };
        let found = cycles(&view, &options, context.progress)?;
        let link = |u: u32, v: u32| {
            let flows = snapshot.flows_out(u).filter(|&e| snapshot.flow_to(e) == v);
            flows.map(|e| snapshot.quantity(e)).sum::<f64>()
        };
        let views = found.cycles.iter().map(|cycle| {
            let next = cycle.iter().cycle().skip(1);
            let links = cycle.iter().zip(next).map(|(&u, &v)| link(u, v));
            CycleView {
                length: cycle.len(),
                nodes: ids(snapshot, cycle),
                quantity: links.fold(f64::INFINITY, f64::min),
            }
        });
        let answer = CyclesAnswer {
            explanation: "elementary cycles by their first node (by id), which is the least of the \
                          cycle; flows of several products between two nodes are one link",
            count: found.cycles.len(),
            complete: found.complete,
            cycles: views.collect(),
        };
        Draft::new(Projection::Directed, &answer)
    }
}
