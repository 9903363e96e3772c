//! Rows laid out for evaluation in many scenarios: the same arithmetic as [`Rows::node_loss`] in
//! straight loops, without a decision for each input.
//!
//! Inputs of a node are sorted by what they do: limiting ones with one supplier, other limiting
//! ones, additive ones (in their order: sums keep theirs). The result is the same to the last
//! bit, so that it does not matter which of the two evaluated a node.

use super::rows::{ArrivalScale, InputRule, Rows, Unscaled, greater, lesser};

/// How a node's loss is computed.
pub trait NodeLoss<const L: usize> {
    /// Loss of a node in each of `L` scenarios, given the losses of the nodes that act on it.
    fn node_loss(&self, node: u32, shock: &[f64; L], losses: &[[f64; L]]) -> [f64; L];
}

/// Rows under a scale.
pub struct Scaled<'a, S> {
    /// The rows.
    pub rows: &'a Rows,
    /// What scales arrivals.
    pub scale: &'a S,
}

impl<const L: usize, S: ArrivalScale<L>> NodeLoss<L> for Scaled<'_, S> {
    #[inline(always)]
    fn node_loss(&self, node: u32, shock: &[f64; L], losses: &[[f64; L]]) -> [f64; L] {
        self.rows.node_loss(node, shock, losses, self.scale)
    }
}

/// One arrival.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    weight: f64,
    source: u32,
}

/// A limiting input with one supplier.
#[derive(Debug, Clone, Copy)]
struct Only {
    arrival: Arrival,
    dependence: f64,
}

/// An input with several suppliers, or an additive one.
#[derive(Debug, Clone, Copy)]
struct Input {
    /// Dependence of a limiting input, share of an additive one.
    factor: f64,
    /// End of its arrivals; they start where those of the input before end.
    end: u32,
}

/// Where the inputs of a node end; they start where those of the node before end.
#[derive(Debug, Clone, Copy, Default)]
struct Ends {
    only: u32,
    limiting: u32,
    additive: u32,
    arrivals: u32,
}

/// The plan of evaluation of some rows.
#[derive(Debug)]
pub struct Plan {
    /// By node and one before the first.
    ends: Vec<Ends>,
    only: Vec<Only>,
    inputs: Vec<Input>,
    arrivals: Vec<Arrival>,
}

impl Plan {
    /// The plan of rows that are limiting or additive and serve all consumers alike; `None` for
    /// others.
    pub fn of(rows: &Rows) -> Option<Self> {
        let mut plan = Self {
            ends: vec![Ends::default()],
            only: Vec::new(),
            inputs: Vec::new(),
            arrivals: Vec::new(),
        };
        if !rows.is_proportional() {
            return None;
        }
        for node in 0..rows.node_count() as u32 {
            let mut additive = Vec::new();
            let mut limiting = Vec::new();
            for group in rows.groups(node) {
                if rows.slack(group) > 0.0 {
                    return None;
                }
                match rows.rule(group) {
                    InputRule::Limiting(dependence) if dependence > 0.0 => {
                        limiting.push((dependence, group));
                    }
                    InputRule::Additive => additive.push((rows.share(group), group)),
                    InputRule::Limiting(_) | InputRule::None => {}
                    InputRule::Threshold(_) => return None,
                }
            }
            let of = |e: usize| Arrival { weight: rows.weight(e), source: rows.source(e) };
            let push = |plan: &mut Self, factor: f64, group: usize| {
                plan.arrivals.extend(rows.arrivals(group).map(of));
                plan.inputs.push(Input { factor, end: plan.arrivals.len() as u32 });
            };
            for (dependence, group) in limiting {
                let arrivals = rows.arrivals(group);
                if arrivals.len() == 1 {
                    plan.only.push(Only { arrival: of(arrivals.start), dependence });
                } else {
                    push(&mut plan, dependence, group);
                }
            }
            let limiting = plan.inputs.len() as u32;
            additive.into_iter().for_each(|(share, group)| push(&mut plan, share, group));
            plan.ends.push(Ends {
                only: plan.only.len() as u32,
                limiting,
                additive: plan.inputs.len() as u32,
                arrivals: plan.arrivals.len() as u32,
            });
        }
        Some(plan)
    }
}

impl<const L: usize> NodeLoss<L> for Plan {
    #[inline(always)]
    fn node_loss(&self, node: u32, shock: &[f64; L], losses: &[[f64; L]]) -> [f64; L] {
        let from = self.ends[node as usize];
        let to = self.ends[node as usize + 1];
        let mut worst = *shock;
        for only in &self.only[from.only as usize..to.only as usize] {
            let loss = &losses[only.arrival.source as usize];
            for lane in 0..L {
                let lost = only.dependence * (only.arrival.weight * loss[lane]);
                worst[lane] = greater(worst[lane], lost);
            }
        }
        let mut start = from.arrivals as usize;
        let mut sum = |input: &Input| {
            let mut sum = [0.0; L];
            for arrival in &self.arrivals[start..input.end as usize] {
                let loss = &losses[arrival.source as usize];
                for lane in 0..L {
                    sum[lane] += arrival.weight * loss[lane];
                }
            }
            start = input.end as usize;
            sum
        };
        for input in &self.inputs[from.additive as usize..to.limiting as usize] {
            let loss = sum(input);
            for lane in 0..L {
                worst[lane] = greater(worst[lane], input.factor * loss[lane]);
            }
        }
        let mut added = [0.0; L];
        for input in &self.inputs[to.limiting as usize..to.additive as usize] {
            let loss = sum(input);
            for lane in 0..L {
                added[lane] += input.factor * loss[lane];
            }
        }
        for lane in 0..L {
            worst[lane] = lesser(greater(worst[lane], added[lane]), 1.0);
        }
        worst
    }
}

/// Rows without a scale.
pub fn unscaled(rows: &Rows) -> Scaled<'_, Unscaled> {
    Scaled { rows, scale: &Unscaled }
}
