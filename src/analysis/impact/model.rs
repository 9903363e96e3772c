//! A model ready to evaluate scenarios: one snapshot under one set of options.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use crate::analysis::Progress;
use crate::graph::Snapshot;
use crate::model::Symbol;
use crate::model::scenario::{
    ModelOptions, Rationing, RationingRule, Response, ScenarioError, Substitution,
};
use crate::model::selector::suggest;

use super::explain::Labels;
use super::lanes::greater;
use super::node_set::NodeSet;
use super::rationing::{Classes, rations};
use super::rows::Rows;
use super::shock::{ImpactError, Shocks};
use super::solve::{ArrivalCuts, Ending, NodeShock, Side, StopAt, run, stream};
use super::substitution::{
    FactorRule, Markets, NewSupply, PoolPlan, PooledGroup, PooledMarket, Pools,
};

/// Scenarios that are evaluated in one pass of the rows: the more, the less each pays for finding
/// its way; losses of twice as many would not fit the cache of a core.
pub const LANES: usize = 16;
/// Most scenarios that one thread takes at once.
const LONGEST_STREAM: usize = 512;

/// One snapshot under one set of options.
pub struct ImpactModel {
    snapshot: Arc<Snapshot>,
    options: ModelOptions,
    rationing: Rationing,
    classes: Classes,
    down: Option<Rows>,
    up: Option<Rows>,
    /// Markets of the replaceability factors.
    markets: Option<Markets>,
    /// Which markets settle losses.
    pooled: Option<PoolPlan>,
    index_weight: Vec<f64>,
    labels: OnceLock<Labels>,
    critical_first: OnceLock<Option<Rationing>>,
}

/// The node of a country whose process gives a product as a by-product elsewhere.
fn host_process(snapshot: &Snapshot, product: &str, country: &str) -> Option<u32> {
    let flows = &snapshot.network().flows;
    let (host, stage) = (0..snapshot.flow_count())
        .filter(|&e| flows.joint.contains(&(e as u32)))
        .find(|&e| snapshot.name(snapshot.product(flows.to[e])) == product)
        .map(|e| (snapshot.product(flows.from[e]), snapshot.stage(flows.from[e])))?;
    snapshot.nodes().find(|&v| {
        snapshot.product(v) == host
            && snapshot.stage(v) == stage
            && snapshot.name(snapshot.country(v)) == country
    })
}

/// Order of the nodes of one product by how late in its chain they are: those that deliver before
/// sinks, those that need inputs after those that do not.
pub(crate) fn last_stage(snapshot: &Snapshot, node: u32) -> (bool, bool, u32) {
    (!snapshot.flows_out(node).is_empty(), !snapshot.groups(node).is_empty(), node)
}

/// A project, ready to join a market.
struct NewCapacity<'a> {
    product: &'a str,
    stage: Option<&'a str>,
    country: &'a str,
    capacity: f64,
    from_day: f64,
    ramp_days: f64,
}

impl<'a> NewCapacity<'a> {
    /// Days from the start to full capacity of a project that does not say.
    const RAMP_DAYS: f64 = 365.0;

    fn of(response: &'a Response) -> Option<Self> {
        let Response::Project { product, country, stage, capacity, from_day, ramp_days, .. } =
            response
        else {
            return None;
        };
        Some(Self {
            product: product.as_deref()?,
            stage: stage.as_deref(),
            country: country.as_deref()?,
            capacity: (*capacity)?,
            from_day: from_day.unwrap_or(0.0),
            ramp_days: ramp_days.unwrap_or(Self::RAMP_DAYS),
        })
    }
}

/// A scenario that was run: the state at its end.
pub struct Solution<'m> {
    /// Missing inputs.
    pub down: Option<Side<'m, 1>>,
    /// Missing orders.
    pub up: Option<Side<'m, 1>>,
    /// How it ended.
    pub ending: Ending,
}

impl Solution<'_> {
    /// Loss of a node by missing inputs.
    pub fn down(&self, node: u32) -> f64 {
        self.down.as_ref().map_or(0.0, |s| s.losses[node as usize][0])
    }

    /// Loss of a node by missing orders.
    pub fn up(&self, node: u32) -> f64 {
        self.up.as_ref().map_or(0.0, |s| s.losses[node as usize][0])
    }

    /// Loss of a node: the greater of the two.
    pub fn loss(&self, node: u32) -> f64 {
        self.down(node).max(self.up(node))
    }
}

/// What a scenario's shocks and responses do to the rows: must outlive its [`Solution`].
pub struct Prepared<'m> {
    pools: Option<Pools<'m>>,
    down: (NodeShock, ArrivalCuts),
    up: (NodeShock, ArrivalCuts),
}

/// Losses of one scenario of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Losses {
    /// Nodes with a loss: (node, downstream, upstream), ascending.
    pub nodes: Vec<(u32, f64, f64)>,
    /// How it ended.
    pub ending: Ending,
}

impl ImpactModel {
    /// Prepares a snapshot for scenarios under `options`, with `responses` in place.
    ///
    /// # Errors
    /// Options or responses that the graph does not understand.
    pub fn new(
        snapshot: Arc<Snapshot>,
        options: &ModelOptions,
        responses: &[Response],
    ) -> Result<Self, ImpactError> {
        options.check()?;
        let rationing =
            options.rationing.clone().unwrap_or_else(|| snapshot.info().settings.rationing.clone());
        let classes = Classes::of(&snapshot, &rationing)
            .map_err(ImpactError::select("model.rationing.order"))?;
        Self::with_classes(snapshot, options, responses, rationing, classes)
    }

    /// The same question on the same nodes and flows with other numbers (a draw of an uncertain
    /// graph): what depends on names alone is kept.
    ///
    /// # Errors
    /// As [`ImpactModel::new`].
    pub fn redrawn(
        &self,
        snapshot: Arc<Snapshot>,
        responses: &[Response],
    ) -> Result<Self, ImpactError> {
        let (rationing, classes) = (self.rationing.clone(), self.classes.clone());
        Self::with_classes(snapshot, &self.options, responses, rationing, classes)
    }

    fn with_classes(
        snapshot: Arc<Snapshot>,
        options: &ModelOptions,
        responses: &[Response],
        rationing: Rationing,
        classes: Classes,
    ) -> Result<Self, ImpactError> {
        let dependence = substitutes(&snapshot, responses)?;
        let headroom = options.substitution == Substitution::FlowHeadroom;
        let down = options.direction.downstream().then(|| {
            Rows::downstream(
                &snapshot,
                headroom,
                rations(&snapshot, &rationing, &classes),
                &dependence,
            )
        });
        let up = options.direction.upstream().then(|| Rows::upstream(&snapshot));
        let index_weight = index_weights(&snapshot, options.index_weight.as_deref())?;
        let mut model = Self {
            options: options.clone(),
            rationing,
            classes,
            down,
            up,
            markets: None,
            pooled: None,
            index_weight,
            labels: OnceLock::new(),
            critical_first: OnceLock::new(),
            snapshot,
        };
        match options.substitution {
            Substitution::SupplierShare | Substitution::MarketShare => {
                model.markets = Some(markets_by_key(&model.snapshot, options)?);
            }
            _ => model.make_pools(responses),
        }
        Ok(model)
    }

    /// The snapshot.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// The options.
    pub fn options(&self) -> &ModelOptions {
        &self.options
    }

    /// The rationing in force.
    pub fn rationing(&self) -> &Rationing {
        &self.rationing
    }

    /// Consumer classes under the rationing in force.
    pub fn classes(&self) -> &Classes {
        &self.classes
    }

    /// Product and stage of every node, numbered (made at first use).
    pub fn labels(&self) -> &Labels {
        self.labels.get_or_init(|| Labels::new(&self.snapshot))
    }

    /// The rationing that serves critical uses first: that in force if it has an order of service,
    /// else the standard one; `None` where the graph has no critical uses (found at first use).
    pub fn critical_first(&self) -> Option<&Rationing> {
        let found = self.critical_first.get_or_init(|| {
            let standard = Rationing { rule: RationingRule::Priority, ..Rationing::default() };
            let (rationing, classes) = if self.rationing.rule == RationingRule::Priority {
                (self.rationing.clone(), Some(self.classes.clone()))
            } else {
                let classes = Classes::of(&self.snapshot, &standard).ok();
                (standard, classes)
            };
            classes.filter(|c| c.of.iter().any(|&class| class < c.rest())).map(|_| rationing)
        });
        found.as_ref()
    }

    /// Rows of missing inputs, if asked for.
    pub fn downstream(&self) -> Option<&Rows> {
        self.down.as_ref()
    }

    /// Rows of missing orders, if asked for.
    pub fn upstream(&self) -> Option<&Rows> {
        self.up.as_ref()
    }

    /// What node losses are weighed with in the index.
    pub fn index_weight(&self) -> &[f64] {
        &self.index_weight
    }

    /// Decides which markets settle losses: all where deliveries may be diverted or capacity may
    /// be spare, those of the projects otherwise. Markets are by (product, stage): ore does not
    /// stand in for metal.
    fn make_pools(&mut self, responses: &[Response]) {
        let snapshot = self.snapshot.clone();
        let diverts = self.rationing.diverts() && self.classes.named.contains(&true);
        let spare = self.options.substitution == Substitution::SpareCapacity;
        let projects: Vec<NewCapacity<'_>> = responses.iter().filter_map(NewCapacity::of).collect();
        let Some(rows) = &self.down else { return };
        if !(diverts || spare || !projects.is_empty()) {
            return;
        }
        let mut number: FxHashMap<(Symbol, Symbol), u32> = FxHashMap::default();
        let mut markets: Vec<PooledMarket> = Vec::new();
        let mut market_of_node = Vec::with_capacity(snapshot.node_count());
        for v in snapshot.nodes() {
            let market =
                *number.entry((snapshot.product(v), snapshot.stage(v))).or_insert_with(|| {
                    markets.push(PooledMarket::default());
                    markets.len() as u32 - 1
                });
            market_of_node.push(market);
            markets[market as usize].suppliers.push((v, snapshot.out_strength(v)));
            if spare {
                let capacity = snapshot.network().nodes.capacity.get(v as usize);
                let amount = match (capacity, snapshot.output(v)) {
                    (Some(capacity), Some(output)) if output > 0.0 => {
                        (capacity / output - 1.0) * snapshot.out_strength(v)
                    }
                    (Some(capacity), _) => capacity - snapshot.out_strength(v),
                    _ => 0.0,
                };
                if amount > 0.0 {
                    markets[market as usize].spare.push((v, amount));
                }
            }
        }
        for project in projects {
            // A project that names no stage joins the last one of its product.
            let stage = |v: u32| last_stage(&snapshot, v);
            let all = || {
                snapshot.nodes().filter(|&v| {
                    snapshot.name(snapshot.product(v)) == project.product
                        && project.stage.is_none_or(|s| snapshot.name(snapshot.stage(v)) == s)
                })
            };
            let at_home = all()
                .filter(|&v| snapshot.name(snapshot.country(v)) == project.country)
                .max_by_key(|&v| stage(v));
            if let Some(place) = at_home.or_else(|| all().max_by_key(|&v| stage(v))) {
                let market = &mut markets[market_of_node[place as usize] as usize];
                market.new_supply.push(NewSupply {
                    quantity: project.capacity,
                    from_day: project.from_day,
                    ramp_days: project.ramp_days,
                    host: at_home,
                    process: if at_home.is_none() {
                        host_process(&snapshot, project.product, project.country)
                    } else {
                        None
                    },
                });
            }
        }
        let critical = if diverts {
            self.classes.critical_shares(&snapshot)
        } else {
            vec![0.0; snapshot.node_count()]
        };
        let flows = &snapshot.network().flows;
        let rest = self.classes.rest();
        let mut slot = vec![u32::MAX; snapshot.group_count()];
        let mut market_of = Vec::new();
        let mut consumer_of = Vec::new();
        for v in snapshot.nodes() {
            for group in snapshot.groups(v) {
                let arrivals = snapshot.group_arrivals(group);
                let joint = |e: usize| flows.joint.contains(&snapshot.arrival_flows()[e]);
                if arrivals.clone().any(joint) {
                    continue;
                }
                let market = market_of_node[rows.source(arrivals.start) as usize];
                let pool = &mut markets[market as usize];
                if !diverts && pool.spare.is_empty() && pool.new_supply.is_empty() {
                    continue;
                }
                let end_use = diverts
                    && self.classes.of[v as usize] == rest
                    && snapshot.flows_out(v).is_empty();
                slot[group] = market_of.len() as u32;
                market_of.push(market);
                let quantity =
                    arrivals.map(|e| snapshot.quantity(snapshot.arrival_flows()[e] as usize)).sum();
                pool.groups.push(PooledGroup {
                    group: group as u32,
                    quantity,
                    class: self.classes.of[v as usize],
                    critical: critical[v as usize],
                    end_use,
                });
                consumer_of.push(v);
            }
        }
        let classes = self.classes.count;
        self.pooled = Some(PoolPlan::new(rows, markets, slot, market_of, consumer_of, classes));
    }

    /// Markets that settle losses under these shocks and cuts of arrivals.
    pub(crate) fn pools(&self, shocks: &Shocks, cuts: &[(usize, f64, u32)]) -> Option<Pools<'_>> {
        Some(Pools {
            plan: self.pooled.as_ref()?,
            rows: self.down.as_ref()?,
            shut: cuts.iter().map(|&(arrival, share, _)| (arrival, share)).collect(),
            restricted: shocks.restricted(),
        })
    }

    /// Turns shocks into what the rows need.
    pub fn prepare(&self, shocks: &Shocks) -> Prepared<'_> {
        let (down, up) = self.sides_of(shocks);
        Prepared { pools: self.pools(shocks, &down.1), down, up }
    }

    /// Shocks and cuts of both directions.
    fn sides_of(&self, shocks: &Shocks) -> ((NodeShock, ArrivalCuts), (NodeShock, ArrivalCuts)) {
        let flows = &self.snapshot.network().flows;
        let (mut down_cuts, mut up_cuts) = (ArrivalCuts::new(), ArrivalCuts::new());
        for (flow, share) in shocks.flow_cuts() {
            let (from, to) = (flows.from[flow as usize], flows.to[flow as usize]);
            let arrivals = self.snapshot.arrivals(to);
            let of_consumer = &self.snapshot.arrival_flows()[arrivals.clone()];
            if let Some(k) = of_consumer.iter().position(|&e| e == flow) {
                down_cuts.push((arrivals.start + k, share, to));
            }
            up_cuts.push((flow as usize, share, from));
        }
        down_cuts.sort_unstable_by_key(|cut| cut.0);
        let nodes = shocks.node_losses();
        let down = nodes.iter().map(|&(v, d, _)| (v, d)).filter(|(_, d)| *d > 0.0).collect();
        let up = nodes.iter().map(|&(v, _, u)| (v, u)).filter(|(_, u)| *u > 0.0).collect();
        ((down, down_cuts), (up, up_cuts))
    }

    /// What scales arrivals under the options.
    pub(crate) fn factor_rule<'p>(
        &'p self,
        pools: Option<&'p Pools<'p>>,
    ) -> Option<FactorRule<'p>> {
        match self.options.substitution {
            Substitution::SupplierShare => self.markets.as_ref().map(FactorRule::SupplierShare),
            Substitution::MarketShare => self.markets.as_ref().map(FactorRule::MarketShare),
            _ => pools.map(FactorRule::Pools),
        }
    }

    fn stop(&self) -> StopAt {
        StopAt {
            rule: self.options.stop.rule,
            tolerance: self.options.stop.tolerance_value(),
            max_sweeps: self.options.max_sweeps,
        }
    }

    /// True if the options may end a run before its limit: the published early stop, or a bound on
    /// the sweeps.
    pub fn stops_early(&self) -> bool {
        !self.stop().is_exact()
    }

    /// Runs one scenario to its end.
    ///
    /// # Errors
    /// Only if `progress` asks to stop.
    pub fn solve<'p>(
        &'p self,
        prepared: &'p Prepared<'p>,
        progress: &Progress,
    ) -> Result<Solution<'p>, ImpactError> {
        self.solve_until(prepared, self.stop(), progress)
    }

    /// Runs one scenario to its exact limit, whatever the options' stop rule.
    ///
    /// # Errors
    /// Only if `progress` asks to stop.
    pub fn solve_limit<'p>(
        &'p self,
        prepared: &'p Prepared<'p>,
        progress: &Progress,
    ) -> Result<Solution<'p>, ImpactError> {
        self.solve_until(prepared, StopAt::LIMIT, progress)
    }

    fn solve_until<'p>(
        &'p self,
        prepared: &'p Prepared<'p>,
        stop: StopAt,
        progress: &Progress,
    ) -> Result<Solution<'p>, ImpactError> {
        let mut sides: Vec<Side<'p, 1>> = Vec::with_capacity(2);
        if let Some(rows) = &self.down {
            let factors = self.factor_rule(prepared.pools.as_ref());
            let mut side = Side::new(rows, factors);
            side.start(std::iter::once((&prepared.down.0, &prepared.down.1)));
            sides.push(side);
        }
        if let Some(rows) = &self.up {
            let mut side = Side::new(rows, None);
            side.start(std::iter::once((&prepared.up.0, &prepared.up.1)));
            sides.push(side);
        }
        let ending = run(&mut sides, 1, stop, progress)?[0];
        let mut sides = sides.into_iter();
        let down = self.down.as_ref().and_then(|_| sides.next());
        let up = self.up.as_ref().and_then(|_| sides.next());
        Ok(Solution { down, up, ending })
    }

    /// Runs many scenarios side by side, on all threads of the pool that this is called in, and
    /// hands each one's losses to `finish`. Results are in the order of `scenarios`.
    ///
    /// # Errors
    /// Only if `progress` asks to stop.
    pub fn solve_many<T: Send>(
        &self,
        scenarios: &[Shocks],
        progress: &Progress,
        finish: impl Fn(usize, Losses) -> T + Sync,
    ) -> Result<Vec<T>, ImpactError> {
        self.solve_many_until(scenarios, self.stop(), progress, finish)
    }

    /// As [`ImpactModel::solve_many`], each scenario to its exact limit, whatever the options' stop
    /// rule.
    ///
    /// # Errors
    /// Only if `progress` asks to stop.
    pub fn solve_many_limits<T: Send>(
        &self,
        scenarios: &[Shocks],
        progress: &Progress,
        finish: impl Fn(usize, Losses) -> T + Sync,
    ) -> Result<Vec<T>, ImpactError> {
        self.solve_many_until(scenarios, StopAt::LIMIT, progress, finish)
    }

    fn solve_many_until<T: Send>(
        &self,
        scenarios: &[Shocks],
        stop: StopAt,
        progress: &Progress,
        finish: impl Fn(usize, Losses) -> T + Sync,
    ) -> Result<Vec<T>, ImpactError> {
        let order = self.neighbours(scenarios);
        let pools = self.pools(&Shocks::default(), &[]);
        // Lanes that end early take the next scenario; what is solved exactly runs group by group.
        let streams =
            !stop.is_exact() && self.pooled.is_none() && !scenarios.iter().any(Shocks::has_cuts);
        let size = if streams {
            (scenarios.len() / (4 * rayon::current_num_threads())).clamp(LANES, LONGEST_STREAM)
        } else {
            scenarios.len().div_ceil(rayon::current_num_threads()).clamp(1, LANES)
        };
        // Scratch space, reused from chunk to chunk.
        let idle: Mutex<Vec<Vec<Side<'_, LANES>>>> = Mutex::new(Vec::new());
        let idle_now = || idle.lock().unwrap_or_else(PoisonError::into_inner);
        let chunks: Vec<Vec<(usize, T)>> = order
            .par_chunks(size)
            .map(|chunk| {
                let kept = idle_now().pop();
                let mut sides = kept.unwrap_or_else(|| self.sides(pools.as_ref()));
                let results = if streams {
                    self.stream_chunk(scenarios, chunk, &mut sides, stop, progress, &finish)?
                } else {
                    let losses = self.solve_chunk(scenarios, chunk, &mut sides, stop, progress)?;
                    progress.advance(chunk.len() as u64)?;
                    chunk.iter().zip(losses).map(|(&k, l)| (k, finish(k, l))).collect()
                };
                idle_now().push(sides);
                Ok(results)
            })
            .collect::<Result<_, ImpactError>>()?;
        let mut results: Vec<Option<T>> = scenarios.iter().map(|_| None).collect();
        for (k, result) in chunks.into_iter().flatten() {
            results[k] = Some(result);
        }
        Ok(results.into_iter().flatten().collect())
    }

    /// Scenarios in an order in which those side by side act on much the same nodes: by the place
    /// of their first node in the direction in which losses travel.
    fn neighbours(&self, scenarios: &[Shocks]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..scenarios.len()).collect();
        if let Some(rows) = self.down.as_ref().or(self.up.as_ref())
            && scenarios.len() > LANES
        {
            let rank = &rows.order().rank;
            order.sort_by_cached_key(|&k| {
                scenarios[k].first_node(&self.snapshot).map_or(u32::MAX, |v| rank[v as usize])
            });
        }
        order
    }

    fn sides<'p>(&'p self, pools: Option<&'p Pools<'p>>) -> Vec<Side<'p, LANES>> {
        let down = self.down.as_ref().map(|rows| Side::new(rows, self.factor_rule(pools)));
        let up = self.up.as_ref().map(|rows| Side::new(rows, None));
        down.into_iter().chain(up).collect()
    }

    fn stream_chunk<T>(
        &self,
        scenarios: &[Shocks],
        chunk: &[usize],
        sides: &mut [Side<'_, LANES>],
        stop: StopAt,
        progress: &Progress,
        finish: impl Fn(usize, Losses) -> T,
    ) -> Result<Vec<(usize, T)>, ImpactError> {
        let down_first = self.down.is_some();
        sides.iter_mut().for_each(|side| side.start(std::iter::empty()));
        let mut results = Vec::with_capacity(chunk.len());
        let shock = |side: usize, scenario: usize| {
            let (down, up) = self.sides_of(&scenarios[chunk[scenario]]);
            if side == 0 && down_first { down.0 } else { up.0 }
        };
        stream(sides, chunk.len(), shock, stop, progress, |sides, scenario, lane, ending| {
            let [down, up] = split(sides.iter(), down_first);
            let nodes = losses_of(down, up, &touched(down, up), lane);
            let scenario = chunk[scenario];
            results.push((scenario, finish(scenario, Losses { nodes, ending })));
            progress.advance(1)
        })?;
        Ok(results)
    }

    fn solve_chunk(
        &self,
        scenarios: &[Shocks],
        chunk: &[usize],
        sides: &mut [Side<'_, LANES>],
        stop: StopAt,
        progress: &Progress,
    ) -> Result<Vec<Losses>, ImpactError> {
        // What markets may divert differs with the cuts: such scenarios run alone.
        if self.pooled.is_some() && chunk.iter().any(|&k| scenarios[k].has_cuts()) {
            return chunk
                .iter()
                .map(|&k| {
                    let prepared = self.prepare(&scenarios[k]);
                    let solution = self.solve_until(&prepared, stop, progress)?;
                    let (down, up) = (solution.down.as_ref(), solution.up.as_ref());
                    let nodes = losses_of(down, up, &touched(down, up), 0);
                    Ok(Losses { nodes, ending: solution.ending })
                })
                .collect();
        }
        let shocks: Vec<_> = chunk.iter().map(|&k| self.sides_of(&scenarios[k])).collect();
        let [down, up] = split(sides.iter_mut(), self.down.is_some());
        if let Some(side) = down {
            side.start(shocks.iter().map(|(down, _)| (&down.0, &down.1)));
        }
        if let Some(side) = up {
            side.start(shocks.iter().map(|(_, up)| (&up.0, &up.1)));
        }
        let endings = run(sides, chunk.len(), stop, progress)?;
        let [down, up] = split(sides.iter(), self.down.is_some());
        let touched = touched(down, up);
        Ok(endings
            .into_iter()
            .enumerate()
            .map(|(lane, ending)| Losses { nodes: losses_of(down, up, &touched, lane), ending })
            .collect())
    }
}

/// The sides of a run by direction: downstream, upstream.
fn split<S>(mut sides: impl Iterator<Item = S>, downstream: bool) -> [Option<S>; 2] {
    let down = if downstream { sides.next() } else { None };
    [down, sides.next()]
}

/// At least the nodes with a loss in some lane, ascending.
fn touched<const L: usize>(down: Option<&Side<'_, L>>, up: Option<&Side<'_, L>>) -> Vec<u32> {
    let sides = || [down, up].into_iter().flatten();
    let n = sides().map(|s| s.losses.len()).max().unwrap_or(0);
    if sides().any(|s| s.touched().len() > n / 8) {
        return (0..n as u32).collect();
    }
    let mut set = NodeSet::new(n);
    sides().flat_map(|s| s.touched()).for_each(|&v| set.insert(v));
    let mut nodes = Vec::new();
    while let Some(v) = set.take(nodes.last().copied().unwrap_or(0), u32::MAX) {
        nodes.push(v);
    }
    nodes
}

/// Losses of one lane, ascending by node.
fn losses_of<const L: usize>(
    down: Option<&Side<'_, L>>,
    up: Option<&Side<'_, L>>,
    touched: &[u32],
    lane: usize,
) -> Vec<(u32, f64, f64)> {
    let of = |side: Option<&Side<'_, L>>, v: u32| side.map_or(0.0, |s| s.losses[v as usize][lane]);
    let mut nodes = Vec::with_capacity(touched.len());
    for &v in touched {
        let (down, up) = (of(down, v), of(up, v));
        if greater(down, up) > 0.0 {
            nodes.push((v, down, up));
        }
    }
    nodes
}

/// Dependence that is left of (output, input) pairs with a substitute.
pub(crate) fn substitutes(
    snapshot: &Snapshot,
    responses: &[Response],
) -> Result<FxHashMap<(Symbol, Symbol), f64>, ImpactError> {
    let mut left = FxHashMap::default();
    for (i, response) in responses.iter().enumerate() {
        let Response::Substitute { output, input, dependence, .. } = response else { continue };
        let symbol = |field: &str, name: &str| {
            snapshot.network().symbols.get(name).ok_or_else(|| {
                let near = suggest(name, snapshot.network().symbols.iter().map(|(_, n)| n))
                    .map(|n| format!("; did you mean {n}?"))
                    .unwrap_or_default();
                ImpactError::Scenario(ScenarioError::new(
                    format!("responses[{i}].{field}"),
                    format!("the graph has no product \"{name}\"{near}"),
                ))
            })
        };
        left.insert((symbol("output", output)?, symbol("input", input)?), *dependence);
    }
    Ok(left)
}

fn index_weights(snapshot: &Snapshot, name: Option<&str>) -> Result<Vec<f64>, ImpactError> {
    let of = |f: &dyn Fn(u32) -> f64| snapshot.nodes().map(f).collect::<Vec<f64>>();
    Ok(match name.unwrap_or("out_strength") {
        "out_strength" => of(&|v| snapshot.out_strength(v)),
        "in_strength" => of(&|v| snapshot.in_strength(v)),
        "max_strength" => of(&|v| snapshot.out_strength(v).max(snapshot.in_strength(v))),
        "output" => of(&|v| snapshot.output(v).unwrap_or(0.0)),
        attribute => {
            let attributes = &snapshot.network().nodes.attributes;
            let number = |v: u32| attributes.get(&v)?.get(attribute)?.as_f64();
            if !snapshot.nodes().any(|v| number(v).is_some()) {
                return Err(ScenarioError::new(
                    "model.index_weight",
                    format!(
                        "no node has a numeric attribute \"{attribute}\"; use out_strength, \
                         in_strength, max_strength, output or such an attribute"
                    ),
                )
                .into());
            }
            of(&|v| number(v).unwrap_or(0.0))
        }
    })
}

/// Markets of the replaceability factors: by product, or by an attribute.
fn markets_by_key(snapshot: &Snapshot, options: &ModelOptions) -> Result<Markets, ImpactError> {
    let out = snapshot.nodes().map(|v| snapshot.out_strength(v)).collect();
    let mut numbers: FxHashMap<String, u32> = FxHashMap::default();
    let mut number = |label: String| {
        let next = numbers.len() as u32;
        *numbers.entry(label).or_insert(next)
    };
    let mut of = Vec::with_capacity(snapshot.node_count());
    for v in snapshot.nodes() {
        let product = || snapshot.name(snapshot.product(v)).to_owned();
        let label = match options.market_key.as_deref() {
            None | Some("product") => product(),
            Some(key) => match snapshot.network().nodes.attributes.get(&v).and_then(|a| a.get(key))
            {
                Some(value) => value.to_string(),
                None => {
                    return Err(ScenarioError::new(
                        "model.market_key",
                        format!("node {} has no attribute \"{key}\"", snapshot.id(v)),
                    )
                    .into());
                }
            },
        };
        of.push(number(label));
    }
    Ok(Markets::new(of, numbers.len(), out))
}
