//! Synthesis: from the shares of the reference tables to the network `critical-minerals`.
//!
//! A pure function of the tables (and, for uncertainty analyses, of factors on their numbers). The
//! rules, in order:
//!
//! * **Nodes** `product.stage.COUNTRY`: each row of production.csv of a network stage. Where all
//!   rows of a group have quantities these decide and the world total is their sum; else the shares
//!   decide and world output is 1. Shares that do not sum to 1 are normalised, which is recorded in
//!   the source. A product of the bill of materials without rows becomes one `WLD` node:
//!   `platform` if something is made of inputs, `host` if only by-products come from it,
//!   `feedstock` otherwise. What leaves the network goes to `product.other_uses.WLD`.
//! * **Stages**: a stage feeds the next one of the same product with its whole output; the last one
//!   feeds the consumers of use_shares.csv and `other_uses`, or, for products without uses, the
//!   places where they are bought (`consumption`). A product with both (semiconductors) has its
//!   purchases as a second, joint view of the same output, so that no chip is counted twice.
//! * **Inputs** enter at the last production stage of what needs them. **By-products** (`joint`)
//!   come into being at their first stage, out of the same stage of their host, or its last one.
//!   Their flows take nothing from the host's uses and are scaled so that no host gives more than
//!   it makes.
//! * **Who supplies whom**: own supply first, then known import shares for what is imported, then
//!   proportional fitting (see `balance.rs`). Net import reliance is not used: the table says that
//!   it often speaks of another stage. The newest year of an importer's shares counts; an exporter
//!   without a node leaves its share to the fitting.
//! * **Classes of flows**: pinned ones have the class of the trade row; own supply and fitted ones
//!   are derived; flows of products without rows, and by-products whose country has no host, are
//!   estimates.

mod balance;
mod finish;
mod plan;
mod records;

use serde::Serialize;
use utoipa::ToSchema;

use crate::dataset::tables::Tables;
use crate::model::change::ChangeError;
use crate::model::scenario::{Rationing, RationingRule, critical_uses};
use crate::model::{GraphSettings, Network, NetworkBuilder};

/// Factors on the numbers of the tables, by the position of the row; an empty list is all ones.
///
/// Groups are normalised afterwards: a factor moves a row's share, not the world total.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Perturbation {
    /// On the outputs of [`Tables::production`].
    pub production: Vec<f64>,
    /// On the shares of [`Tables::use_shares`].
    pub use_shares: Vec<f64>,
    /// On the import shares of [`Tables::trade`].
    pub trade: Vec<f64>,
}

impl Perturbation {
    fn production(&self, row: usize) -> f64 {
        self.production.get(row).copied().unwrap_or(1.0)
    }

    fn use_shares(&self, row: usize) -> f64 {
        self.use_shares.get(row).copied().unwrap_or(1.0)
    }

    fn trade(&self, row: usize) -> f64 {
        self.trade.get(row).copied().unwrap_or(1.0)
    }

    fn check(&self, tables: &Tables) -> Result<(), SynthesisError> {
        for (table, factors, rows) in [
            ("production", &self.production, tables.production.len()),
            ("use_shares", &self.use_shares, tables.use_shares.len()),
            ("trade", &self.trade, tables.trade.len()),
        ] {
            if !factors.is_empty() && factors.len() != rows {
                return Err(SynthesisError::Factors {
                    table,
                    problem: format!("{} factors for {rows} rows", factors.len()),
                });
            }
            if let Some(bad) = factors.iter().find(|f| !(f.is_finite() && **f >= 0.0)) {
                return Err(SynthesisError::Factors {
                    table,
                    problem: format!("{bad} is not a finite factor from 0 up"),
                });
            }
        }
        Ok(())
    }
}

/// What the synthesis had to decide that the tables do not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoteKind {
    /// Shares that did not sum to 1.
    Normalised,
    /// An exporter of trade.csv without a node: its share went to the fitting.
    ExporterWithoutNode,
    /// A trade row whose stage the product does not have: read as its supplying stage.
    StageReadAsSupply,
    /// A trade row that speaks of no group of the network.
    UnusedTrade,
    /// Import shares that the exporter's output could not serve in full.
    ShortPins,
    /// Pinned pairs that had to take more than their share to meet the balance.
    ForcedPins,
    /// A capacity of a country without a node.
    UnusedCapacity,
    /// A pair of the bill of materials without a flow.
    NoFlow,
}

/// One decision of the synthesis.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub struct Note {
    /// Kind of decision.
    pub kind: NoteKind,
    /// What it is about: a product, a group or a row.
    pub subject: String,
    /// What was decided.
    pub text: String,
}

/// A synthesised network with its settings and the decisions behind it.
#[derive(Debug, Clone)]
pub struct Synthesis {
    /// The network.
    pub network: Network,
    /// Title and defaults of the graph.
    pub settings: GraphSettings,
    /// Decisions, sorted.
    pub notes: Vec<Note>,
}

/// Why a network cannot be synthesised.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SynthesisError {
    /// Factors that do not fit the tables.
    #[error("factors on {table}: {problem}")]
    Factors {
        /// Table of the factors.
        table: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// A group whose outputs are all zero.
    #[error("{product} {stage}: the outputs sum to nothing; give at least one a share above 0")]
    EmptyGroup {
        /// Product of the group.
        product: String,
        /// Stage of the group.
        stage: String,
    },
    /// A product that is bought but made nowhere.
    #[error("{product}: production.csv says where it is bought but not where it is made")]
    OnlyConsumption {
        /// The product.
        product: String,
    },
    /// Margins that no table can meet.
    #[error("{product} {stage}: no split of its output meets the needs of its consumers")]
    Unbalanced {
        /// Product of the suppliers.
        product: String,
        /// Stage of the suppliers.
        stage: String,
    },
    /// A record that the model refuses.
    #[error("record {record}: {problem}")]
    Record {
        /// Id of the record.
        record: String,
        /// What is wrong.
        problem: String,
    },
    /// A network that cannot be put together.
    #[error(transparent)]
    Network(#[from] ChangeError),
}

/// The graph `critical-minerals` of the tables as they stand.
///
/// # Errors
/// See [`synthesize`].
pub fn critical_minerals(tables: &Tables) -> Result<(Network, GraphSettings), SynthesisError> {
    let synthesis = synthesize(tables, &Perturbation::default())?;
    Ok((synthesis.network, synthesis.settings))
}

/// Synthesises the network with factors on the numbers of the tables. The same tables and factors
/// give the same network, whatever the order of the lines in the files.
///
/// # Errors
/// Factors that do not fit the tables, a group without output, or margins that cannot be met.
pub fn synthesize(
    tables: &Tables,
    perturbation: &Perturbation,
) -> Result<Synthesis, SynthesisError> {
    perturbation.check(tables)?;
    let plan = plan::plan(tables, perturbation)?;
    let mut records = records::Records::new(tables, perturbation, &plan);
    records.links()?;
    let (nodes, flows, requirements, mut notes) = records.finish();

    let mut builder = NetworkBuilder::new();
    let refuse = |record: &str, problem| SynthesisError::Record { record: record.into(), problem };
    for (row, node) in nodes.iter().enumerate() {
        node.check().map_err(|problem| refuse(&node.id, problem))?;
        builder.add_node(node, row).map_err(|problem| refuse(&node.id, problem))?;
    }
    for (row, flow) in flows.iter().enumerate() {
        flow.check().map_err(|problem| refuse(&flow.from, problem))?;
        builder.add_flow(flow, row);
    }
    for requirement in &requirements {
        let name = &requirement.output;
        requirement.check().map_err(|problem| refuse(name, problem))?;
        builder.add_requirement(requirement).map_err(|problem| refuse(name, problem))?;
    }
    let network = builder
        .finish()
        .map_err(|mut problems| SynthesisError::Network(problems.swap_remove(0)))?;
    notes.sort();
    notes.dedup();
    Ok(Synthesis { network, settings: settings(tables), notes })
}

fn settings(tables: &Tables) -> GraphSettings {
    let default_stock = tables
        .stockpiles
        .iter()
        .find(|s| {
            s.holder == "WLD-INDUSTRY" && s.material == "default" && s.kind == "industry_stock"
        })
        .and_then(|s| s.days_of_cover);
    GraphSettings {
        title: Some("Critical minerals, from mine to industry".into()),
        description: Some(
            "Who supplies whom with critical minerals, by product, stage and country. Quantities \
             are per year: in tonnes or another physical unit where the tables give quantities, \
             else as shares of the world output of that product and stage. A loss in per cent is a \
             share of the selected nodes' yearly output before the shock. Flows between countries \
             are synthesised from shares, import statistics and bills of materials; the class and \
             source of each flow say how."
                .into(),
        ),
        rationing: Rationing {
            rule: RationingRule::Priority,
            order: critical_uses(),
            inherit: Some(true),
            divert: None,
            floor: None,
        },
        stock_days: default_stock,
        ..GraphSettings::default()
    }
}
