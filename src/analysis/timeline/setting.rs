//! What a timeline starts from: steps, lead times, stocks and rows, from the options and the graph.

use crate::analysis::impact::rationing::rations;
use crate::analysis::impact::rows::{InputRule, Rows};
use crate::analysis::impact::{ImpactError, ImpactModel, model};
use crate::graph::Snapshot;
use crate::model::scenario::{
    Compatibility, Direction, ModelOptions, Orders, Response, ScenarioError, Substitution,
    TimeStep, TimelineOptions,
};

/// Horizon of a question that states none, in days.
pub const HORIZON_DAYS: u32 = 365;
/// Days over which a stock is refilled, unless stated.
const REFILL_DAYS: f64 = 28.0;
/// Days over which re-sourcing grows to its full share, unless stated.
const SWITCHING_RAMP_DAYS: f64 = 90.0;
/// Days that overproduction takes to build up, unless stated.
const OVERPRODUCTION_DAYS: f64 = 365.0;

/// Options of the model behind a timeline: a consumer that may switch needs markets with spare
/// capacity to switch to.
pub fn model_options(options: &ModelOptions) -> ModelOptions {
    let mut options = options.clone();
    let switches = options.timeline.as_ref().is_some_and(|t| t.switching_days.is_some());
    if switches && options.substitution == Substitution::None {
        options.substitution = Substitution::SpareCapacity;
    }
    options
}

/// Responses that are in place from the first day on as far as the rows are concerned: substitutes
/// come in later, by [`Setting::rows`].
pub fn model_responses(responses: &[Response]) -> Vec<Response> {
    responses.iter().filter(|r| !matches!(r, Response::Substitute { .. })).cloned().collect()
}

/// Everything about a run that does not change from step to step.
pub struct Setting<'m> {
    /// The model.
    pub model: &'m ImpactModel,
    /// Length of a step.
    pub step: TimeStep,
    /// Number of steps.
    pub steps: usize,
    /// The options.
    pub options: TimelineOptions,
    /// Rows of missing inputs with substitutes in place, each from a step on.
    later: Vec<(usize, Rows)>,
    /// Steps from dispatch to arrival of each arrival; empty: one.
    pub lead: Vec<u32>,
    /// The longest lead time, in steps.
    pub longest_lead: usize,
    /// Stock of each group at the start and as it should be, in steps of use; empty: none.
    pub stock: Vec<f64>,
    /// Final demand of each node, in the unit of its flows per year: what it makes beyond them, and
    /// all of it where no flow leaves.
    pub final_demand: Vec<f64>,
    /// Deliveries and final demand of each node.
    pub output: Vec<f64>,
}

impl<'m> Setting<'m> {
    /// Reads the options of the model against its graph. `stocks`: false leaves every stock of the
    /// nodes out.
    ///
    /// # Errors
    /// Options that do not go together, or a response that the graph does not understand.
    pub fn new(
        model: &'m ImpactModel,
        responses: &[Response],
        stocks: bool,
    ) -> Result<Self, ImpactError> {
        let mut options = model.options().timeline.clone().unwrap_or_default();
        if model.options().compat == Some(Compatibility::InoueTodo) {
            // It is a daily model: that is part of what it is compatible with.
            options.step = TimeStep::Day;
        }
        check(model.options(), &options)?;
        let horizon = f64::from(options.horizon_days.unwrap_or(HORIZON_DAYS));
        let step = options.step;
        let lead = leads(model.snapshot(), &options);
        let final_demand = final_demand(model.snapshot(), &options)?;
        let output = model
            .snapshot()
            .nodes()
            .map(|v| model.snapshot().out_strength(v) + final_demand[v as usize])
            .collect();
        let mut setting = Self {
            final_demand,
            output,
            steps: ((horizon / step.days()).ceil() as usize).max(1),
            later: later_rows(model, responses, step)?,
            longest_lead: lead.iter().copied().max().unwrap_or(1) as usize,
            lead,
            stock: Vec::new(),
            step,
            options,
            model,
        };
        if stocks && let Some(rows) = model.downstream() {
            setting.stock = stock(model.snapshot(), rows, &setting.options);
        }
        Ok(setting)
    }

    /// Rows of missing inputs in a step, if losses travel that way.
    pub fn rows(&self, step: usize) -> Option<&Rows> {
        let later = self.later.iter().rev().find(|(from, _)| *from <= step).map(|(_, rows)| rows);
        later.or(self.model.downstream())
    }

    /// True in the step in which other rows come into force.
    pub fn rows_change(&self, step: usize) -> bool {
        self.later.iter().any(|(from, _)| *from == step)
    }

    /// Steps over which a stock is refilled.
    pub fn refill_steps(&self) -> f64 {
        (self.options.refill_days.unwrap_or(REFILL_DAYS) / self.step.days()).max(1.0)
    }

    /// Steps before a consumer may switch, and over which it does; `None`: at once.
    pub fn switching(&self) -> Option<(f64, f64)> {
        let delay = self.options.switching_days?;
        let ramp = self.options.switching_ramp_days.unwrap_or(SWITCHING_RAMP_DAYS);
        Some((delay / self.step.days(), ramp / self.step.days()))
    }

    /// Most that output rises by overproduction, and the steps that it takes.
    pub fn overproduction(&self) -> (f64, f64) {
        let days = self.options.overproduction_days.unwrap_or(OVERPRODUCTION_DAYS);
        (self.options.overproduction.unwrap_or(1.0), (days / self.step.days()).max(1.0))
    }

    /// First day of a step.
    pub fn day(&self, step: usize) -> f64 {
        step as f64 * self.step.days()
    }

    /// Lead time of an arrival in steps.
    #[inline(always)]
    pub fn lead(&self, arrival: usize) -> usize {
        self.lead.get(arrival).map_or(1, |&l| l as usize)
    }
}

fn check(model: &ModelOptions, options: &TimelineOptions) -> Result<(), ScenarioError> {
    if model.compat == Some(Compatibility::InoueTodo) {
        if model.direction != Direction::Downstream || model.substitution != Substitution::None {
            return Err(ScenarioError::new(
                "model.compat",
                "inoue_todo goes with direction downstream and substitution none: orders travel \
                 upstream in it anyway",
            ));
        }
        return Ok(());
    }
    if options.orders == Orders::Frozen {
        return Ok(());
    }
    if model.direction != Direction::Downstream {
        return Err(ScenarioError::new(
            "model.direction",
            "with adaptive orders missing orders travel upstream anyway; use downstream",
        ));
    }
    match model.substitution {
        Substitution::None | Substitution::SpareCapacity => Ok(()),
        _ => Err(ScenarioError::new(
            "model.substitution",
            "with adaptive orders only none and spare_capacity are defined; the others need \
             \"orders\": \"frozen\"",
        )),
    }
}

fn later_rows(
    model: &ImpactModel,
    responses: &[Response],
    step: TimeStep,
) -> Result<Vec<(usize, Rows)>, ImpactError> {
    let mut later = Vec::new();
    if model.downstream().is_none() {
        return Ok(later);
    }
    let day = |r: &Response| match r {
        Response::Substitute { from_day, .. } => Some(from_day.unwrap_or(0.0)),
        _ => None,
    };
    let mut days: Vec<f64> = responses.iter().filter_map(day).collect();
    days.sort_by(f64::total_cmp);
    days.dedup();
    for until in days {
        let in_place: Vec<Response> =
            responses.iter().filter(|r| day(r).is_some_and(|d| d <= until)).cloned().collect();
        let dependence = model::substitutes(model.snapshot(), &in_place)?;
        let headroom = model.options().substitution == Substitution::FlowHeadroom;
        let rations = rations(model.snapshot(), model.rationing(), model.classes());
        let rows = Rows::downstream(model.snapshot(), headroom, rations, &dependence);
        later.push(((until / step.days()).ceil() as usize, rows));
    }
    Ok(later)
}

/// A number of an attribute; text from a table counts if it is one.
fn number(value: &serde_json::Value) -> Option<f64> {
    let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
    number.filter(|n| n.is_finite())
}

/// Final demand of every node: what the question says, else the attribute `final_demand`, else what
/// the node makes beyond its flows (in the same unit). A node without any of these from which no
/// flow leaves counts with what arrives.
pub fn final_demand(
    snapshot: &Snapshot,
    options: &TimelineOptions,
) -> Result<Vec<f64>, ScenarioError> {
    let network = snapshot.network();
    for (id, amount) in &options.final_demand {
        let at = format!("model.timeline.final_demand.{id}");
        if snapshot.index(id).is_none() {
            return Err(ScenarioError::new(at, format!("the graph has no node \"{id}\"")));
        }
        if !(amount.is_finite() && *amount >= 0.0) {
            return Err(ScenarioError::new(at, format!("must be from 0 up, got {amount}")));
        }
    }
    let of = |v: u32| {
        let stated = || options.final_demand.get(snapshot.id(v)).copied();
        let attribute = || number(network.nodes.attributes.get(&v)?.get("final_demand")?);
        let sold = snapshot.out_strength(v);
        let beyond = || {
            let output = snapshot.output(v)?;
            let unit = network.nodes.output.meta(v as usize).unit;
            let same = |e: usize| network.flows.quantity.meta(e).unit == unit;
            let rest = output - sold;
            // Sums that agree to rounding leave nothing over.
            let real = rest > 1e-9 * output && snapshot.flows_out(v).all(same);
            real.then_some(rest)
        };
        let sink = || (sold <= 0.0).then(|| snapshot.in_strength(v));
        let amount = stated().or_else(attribute).or_else(beyond).or_else(sink).unwrap_or(0.0);
        amount.max(0.0)
    };
    Ok(snapshot.nodes().map(of).collect())
}

fn leads(snapshot: &Snapshot, options: &TimelineOptions) -> Vec<u32> {
    let column = &snapshot.network().flows.lead_days;
    if column.values().is_empty() && options.lead_days.is_none() {
        return Vec::new();
    }
    let steps = |days: f64| (days / options.step.days()).ceil().clamp(1.0, 100_000.0) as u32;
    let all = snapshot
        .arrival_flows()
        .iter()
        .map(|&e| column.get(e as usize).or(options.lead_days).map_or(1, steps));
    let lead: Vec<u32> = all.collect();
    if lead.iter().all(|&l| l == 1) { Vec::new() } else { lead }
}

/// Stock of each group in steps of use: what the node states for this input (the attribute
/// `stock_days.<product>`), for all of its inputs, what the question or else the graph says for all
/// nodes. Inputs that do not matter and by-products, which come straight out of their host's
/// process, have none.
fn stock(snapshot: &Snapshot, rows: &Rows, options: &TimelineOptions) -> Vec<f64> {
    let nodes = &snapshot.network().nodes;
    let general = options.stock_days.or(snapshot.info().settings.stock_days).unwrap_or(0.0);
    let joint = &snapshot.network().flows.joint;
    let mut stock = vec![0.0; snapshot.group_count()];
    for v in snapshot.nodes() {
        let own = nodes.stock_days.get(v as usize);
        let attributes = nodes
            .attributes
            .get(&v)
            .filter(|a| a.keys().any(|name| name.starts_with("stock_days.")));
        for group in snapshot.groups(v) {
            let idle = matches!(rows.rule(group), InputRule::None | InputRule::Limiting(0.0));
            let arrivals = || snapshot.group_arrivals(group);
            if idle || arrivals().any(|e| joint.contains(&snapshot.arrival_flows()[e])) {
                continue;
            }
            let named = attributes.and_then(|a| {
                let input = snapshot.name(snapshot.group_product(group));
                number(a.get(&format!("stock_days.{input}"))?)
            });
            let days = named.or(own).unwrap_or(general);
            stock[group] = days.max(0.0) / options.step.days();
        }
    }
    if stock.iter().all(|&s| s == 0.0) { Vec::new() } else { stock }
}
