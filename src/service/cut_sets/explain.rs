//! What one set of units means: a sentence, failing chains to the target, the scenario to run.

use serde::Serialize;
use utoipa::ToSchema;

use super::ask::Common;
use super::ground::Ground;
use crate::analysis::Progress;
use crate::analysis::cut_sets::engine::removal;
use crate::analysis::impact::explain::{Explainer, Labels};
use crate::model::scenario::ScenarioBody;
use crate::service::ServiceError;
use crate::service::impacts::answer::{ChainView, NodeOnPath};

/// Chains of one set.
const CHAINS: usize = 5;

/// One set of units with what its removal does.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SetView {
    /// Position in the order asked for, from 1.
    pub rank: u64,
    /// Units.
    pub units: Vec<String>,
    /// Number of units.
    pub size: usize,
    /// What their removal costs.
    pub cost: f64,
    /// Loss of the target if they are removed, 0-1 of its baseline.
    pub loss: f64,
    /// The same if the running system is hit (`collapse`), where the question is `bootstrap`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collapse_loss: Option<f64>,
    /// Probability that all of them are lost, for independent units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// In words.
    pub sentence: String,
    /// Where the loss travels: from what is removed to the target, strongest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chains: Option<Vec<ChainView>>,
    /// The impact question that removes them: POST it to `/v1/graphs/{g}/impacts`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scenario: Option<ScenarioBody>,
    /// Runs the set as an impact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

/// A share in words: `52.3 %`.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if (percent - percent.round()).abs() < 0.05 || percent >= 99.95 {
        format!("{percent:.0} %")
    } else {
        format!("{percent:.1} %")
    }
}

/// Names as an enumeration.
pub fn enumerated(names: &[String]) -> String {
    match names {
        [] => "nothing".into(),
        [one] => one.clone(),
        _ if names.len() > 8 => {
            format!("{} and {} more", names[..7].join(", "), names.len() - 7)
        }
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Explains sets of one question.
pub struct Sentences<'a> {
    ground: &'a Ground,
    common: Common<'a>,
    labels: Labels,
}

impl<'a> Sentences<'a> {
    /// For the sets of a question.
    pub fn new(ground: &'a Ground, common: Common<'a>) -> Self {
        Self { ground, common, labels: Labels::new(&ground.snapshot) }
    }

    /// Sets that are explained unless the question says how many.
    pub fn usual(&self) -> usize {
        let size = self.ground.snapshot.node_count() + self.ground.snapshot.flow_count();
        (10_000_000 / size.max(1)).clamp(1, 100)
    }

    /// The sentence of a set whose chains are not followed.
    pub fn short(&self, set: &[u32], loss: f64) -> String {
        let target = &self.ground.asked_target.name;
        match set {
            [] => format!("{target} loses {} with nothing removed.", percent(loss)),
            _ => {
                let names = enumerated(&self.ground.names(set));
                let what = if loss >= 1.0 - 1e-9 {
                    format!("stops {target}")
                } else {
                    format!("costs {target} {} of its output", percent(loss))
                };
                format!("Losing {names} {what}.")
            }
        }
    }

    /// Adds chains, scenario and the long sentence.
    ///
    /// # Errors
    /// Cancelled.
    pub fn explain(
        &self,
        view: &mut SetView,
        set: &[u32],
        progress: &Progress,
    ) -> Result<(), ServiceError> {
        let ground = self.ground;
        let shocks = removal(&ground.units.members, set);
        let prepared = ground.model.prepare(&shocks);
        let solution = ground.model.solve_limit(&prepared, progress)?;
        view.scenario = Some(ground.scenario(&self.common, set));
        let Some(side) = solution.down.as_ref().or(solution.up.as_ref()) else { return Ok(()) };
        let loss = ground.target.mean(|v| side.losses[v as usize][0]);
        if loss <= 0.0 {
            view.chains = Some(Vec::new());
            return Ok(());
        }
        let snapshot = &ground.snapshot;
        let chains = Explainer::new(side, &self.labels).chains(&ground.target, CHAINS);
        let views: Vec<ChainView> = chains
            .chains
            .iter()
            .map(|chain| ChainView {
                path: chain.labels.iter().rev().map(|&l| self.labels.name(l).to_owned()).collect(),
                amount: chain.amount,
                share: chain.amount / loss,
                origin: if chain.ends_in_cut { "cut" } else { "shock" },
                example: chain
                    .nodes
                    .iter()
                    .rev()
                    .map(|&v| NodeOnPath {
                        id: snapshot.id(v).to_owned(),
                        loss: side.losses[v as usize][0],
                    })
                    .collect(),
            })
            .collect();
        if let Some(first) = views.first() {
            let path = first.path.join(" -> ");
            let short = view.sentence.trim_end_matches('.').to_owned();
            view.sentence = match first.share {
                share if share < 0.995 => {
                    format!("{short}: {} of that through {path}.", percent(share))
                }
                _ => format!("{short}, through {path}."),
            };
        }
        view.chains = Some(views);
        Ok(())
    }
}
