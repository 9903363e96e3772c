//! The loss with measures in place: one scenario, changed and answered by the engine.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::analysis::Progress;
use crate::analysis::impact::{ImpactError, ImpactModel, Shocks, TargetNodes};
use crate::analysis::timeline::{self, Summary};
use crate::graph::Snapshot;
use crate::model::change::Change;
use crate::model::record::Record;
use crate::model::scenario::{Response, ScenarioBody, ScenarioError};

use super::{Action, Measure};

/// Evaluates measures against one scenario.
pub struct Evaluator<'a> {
    /// The graph.
    pub snapshot: &'a Arc<Snapshot>,
    /// The scenario, resolved.
    pub body: &'a ScenarioBody,
    /// Months that every stock is sized for.
    pub months: f64,
    /// Watches and stops it.
    pub progress: &'a Progress,
}

impl Evaluator<'_> {
    /// Loss of each target with `measures` in place, in the order of the scenario's targets. With a
    /// stock among them: the mean over the first year (see the module's comment).
    ///
    /// # Errors
    /// A scenario that the graph does not understand; cancellation.
    pub fn losses(&self, measures: &[&Measure]) -> Result<Vec<f64>, ImpactError> {
        let with = self.steady(measures)?;
        let (stocks, lasting): (Vec<&Measure>, Vec<&Measure>) =
            measures.iter().partition(|m| matches!(m.action, Action::Cover { .. }));
        if stocks.is_empty() {
            return Ok(with);
        }
        let without = self.steady(&lasting)?;
        let covered = (self.months / 12.0).min(1.0);
        Ok(with.iter().zip(without).map(|(w, o)| covered * w + (1.0 - covered) * o).collect())
    }

    /// Loss of each target with every measure in place for good.
    fn steady(&self, measures: &[&Measure]) -> Result<Vec<f64>, ImpactError> {
        self.progress.check()?;
        let (snapshot, body) = self.changed(measures, false)?;
        let targets = targets(&snapshot, &body)?;
        let shocks = Shocks::compile(&snapshot, &body.shocks)?;
        let model = ImpactModel::new(snapshot, &body.model, &body.responses)?;
        let prepared = model.prepare(&shocks);
        let solution = model.solve(&prepared, self.progress)?;
        Ok(targets.iter().map(|t| t.mean(|v| solution.loss(v))).collect())
    }

    /// What each target loses over time (the scenario's timeline options, by default a year of
    /// weeks), stocks released as they are needed.
    ///
    /// # Errors
    /// Options that a timeline does not take; as [`Evaluator::losses`].
    pub fn over_time(&self, measures: &[&Measure]) -> Result<Vec<Summary>, ImpactError> {
        self.progress.check()?;
        let (snapshot, body) = self.changed(measures, true)?;
        let targets = targets(&snapshot, &body)?;
        let shocks = Shocks::compile(&snapshot, &body.shocks)?;
        let options = timeline::model_options(&body.model);
        let lasting = timeline::model_responses(&body.responses);
        let model = ImpactModel::new(snapshot, &options, &lasting)?;
        let path = timeline::path(&model, &shocks, &body.responses, true, &targets, self.progress)?;
        Ok(path.targets.into_iter().map(|t| t.summary).collect())
    }

    /// Graph and scenario with `measures` in place. Stocks make their inputs whole, or are stocks
    /// where the scenario runs in time.
    fn changed(
        &self,
        measures: &[&Measure],
        in_time: bool,
    ) -> Result<(Arc<Snapshot>, ScenarioBody), ImpactError> {
        let mut body = self.body.clone();
        let mut left: BTreeMap<(String, String), (f64, Option<f64>)> = BTreeMap::new();
        for response in std::mem::take(&mut body.responses) {
            match response {
                // Of two substitutes for one input the better one counts.
                Response::Substitute { output, input, dependence, from_day } => {
                    lower(&mut left, (output, input), dependence, from_day);
                }
                other => body.responses.push(other),
            }
        }
        let mut snapshot = self.snapshot.clone();
        for measure in measures {
            match &measure.action {
                Action::Respond(responses) => {
                    for response in responses {
                        match response {
                            Response::Substitute { output, input, dependence, .. } => {
                                let pair = (output.clone(), input.clone());
                                lower(&mut left, pair, *dependence, None);
                            }
                            other => body.responses.push(other.clone()),
                        }
                    }
                }
                Action::Cover { stocks, .. } if in_time => {
                    body.responses.extend(stocks.iter().cloned());
                }
                Action::Cover { pairs, .. } => {
                    for pair in pairs {
                        lower(&mut left, pair.clone(), 0.0, None);
                    }
                }
                Action::Pass { shock, pass } => {
                    if let Some(restriction) =
                        body.shocks.get_mut(*shock).and_then(|s| s.restrict.as_mut())
                    {
                        restriction.pass = Some(pass.max(restriction.pass.unwrap_or(0.0)));
                    }
                }
                Action::Reroute { consumer, from, to, product } => {
                    snapshot = rerouted(&snapshot, consumer, from, to, product.as_deref())?;
                }
            }
        }
        body.responses.extend(left.into_iter().map(|((output, input), (dependence, from_day))| {
            Response::Substitute { output, input, dependence, from_day }
        }));
        Ok((snapshot, body))
    }
}

fn targets(snapshot: &Snapshot, body: &ScenarioBody) -> Result<Vec<TargetNodes>, ImpactError> {
    body.targets
        .iter()
        .enumerate()
        .map(|(i, t)| TargetNodes::resolve(snapshot, t, &format!("targets[{i}]")))
        .collect()
}

fn lower(
    left: &mut BTreeMap<(String, String), (f64, Option<f64>)>,
    pair: (String, String),
    dependence: f64,
    from_day: Option<f64>,
) {
    let entry = left.entry(pair).or_insert((dependence, from_day));
    if dependence < entry.0 {
        *entry = (dependence, from_day);
    }
}

/// The graph with part of a consumer's input taken from another supplier.
fn rerouted(
    snapshot: &Arc<Snapshot>,
    consumer: &str,
    from: &[(String, f64)],
    to: &str,
    product: Option<&str>,
) -> Result<Arc<Snapshot>, ImpactError> {
    let network = snapshot.network();
    let mut changes = Vec::new();
    let mut moved = 0.0;
    let mut kind = None;
    for (supplier, quantity) in from {
        let Some(flow) = network.flow_index(supplier, consumer, product) else { continue };
        let mut record = network.flow_record(flow);
        let taken = quantity.min(record.quantity.value);
        record.quantity.value -= taken;
        record.low = record.low.map(|l| l.min(record.quantity.value));
        record.high = record.high.map(|h| h.max(record.quantity.value));
        record.capacity = record.capacity.map(|c| c.max(record.quantity.value));
        moved += taken;
        kind.get_or_insert_with(|| record.clone());
        changes.push(Change::Put(Record::Flow(record)));
    }
    let Some(kind) = kind else { return Ok(snapshot.clone()) };
    let mut record = match network.flow_index(to, consumer, product) {
        Some(flow) => network.flow_record(flow),
        None => {
            let mut record = kind;
            record.from = to.to_owned();
            record.quantity.value = 0.0;
            (record.low, record.high, record.capacity) = (None, None, None);
            record
        }
    };
    record.quantity.value += moved;
    record.high = record.high.map(|h| h.max(record.quantity.value));
    record.capacity = record.capacity.map(|c| c.max(record.quantity.value));
    changes.push(Change::Put(Record::Flow(record)));
    let network =
        network.apply(&changes).map_err(|error| ScenarioError::new("mitigation", error.problem))?;
    let (info, countries) = (snapshot.info().clone(), snapshot.countries().clone());
    Ok(Arc::new(Snapshot::build(network, info, countries)))
}
