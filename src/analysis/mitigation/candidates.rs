//! Measures that an answer suggests: from the inputs that bind and from registers.

use std::collections::{BTreeMap, BTreeSet};

use crate::analysis::impact::explain::{Explainer, Labels, Origin};
use crate::analysis::impact::rows::InputRule;
use crate::analysis::impact::{ImpactModel, Shocks, Solution, TargetNodes};
use crate::graph::Snapshot;
use crate::model::Symbol;
use crate::model::scenario::{OTHER_USES, Response, ScenarioBody};

use super::{Action, Amount, Cost, Kind, Measure};

/// Short markets that measures are made for.
const MARKETS: usize = 12;
/// Surviving countries of a market that may make more, each for itself.
const SURVIVORS: usize = 3;
/// By how much a surviving supplier makes more, and how much of an input a consumer moves.
const EXPANSION: f64 = 0.25;
/// Consumers that may qualify another supplier.
const QUALIFIED: usize = 6;
/// Consumers of a product that hold a stock of their own.
const HOLDERS: usize = 3;
/// What part of a dependence a substitute leaves.
const LEFT: f64 = 0.5;
/// Part of a target's loss that is not followed.
const UNFOLLOWED: f64 = 1e-6;
/// Above this loss a supplier is no survivor.
const SURVIVES: f64 = 0.5;

/// A project of a register.
#[derive(Debug, Clone, PartialEq)]
pub struct RegisteredProject {
    /// Name.
    pub name: String,
    /// What it makes.
    pub product: String,
    /// Stage that it adds to.
    pub stage: String,
    /// Where it is.
    pub country: String,
    /// Capacity in the unit of the graph, if known.
    pub capacity: Option<Amount>,
    /// First year.
    pub start_year: i32,
    /// Who pays.
    pub funding: Option<String>,
    /// Where it comes from.
    pub source: String,
    /// Anything to know beside.
    pub note: Option<String>,
}

/// What a register says of replacing an input.
#[derive(Debug, Clone, PartialEq)]
pub struct SubstituteNote {
    /// Input.
    pub input: String,
    /// Uses that it speaks of: industry and component.
    pub uses: Vec<String>,
    /// `yes`, `partly` or `no`.
    pub essential: String,
    /// What could replace it.
    pub note: String,
    /// Where it comes from.
    pub source: String,
}

/// What is known beside the graph.
pub struct Registers<'a> {
    /// Projects.
    pub projects: Vec<RegisteredProject>,
    /// Substitutes.
    pub substitutes: Vec<SubstituteNote>,
    /// Cost of an amount of a product in a unit, if a price is known.
    pub cost: &'a dyn Fn(&str, &Amount) -> Option<Cost>,
}

/// An evaluated scenario.
pub struct Evaluated<'a> {
    /// The scenario.
    pub body: &'a ScenarioBody,
    /// Its model.
    pub model: &'a ImpactModel,
    /// Its shocks.
    pub shocks: &'a Shocks,
    /// Its end.
    pub solution: &'a Solution<'a>,
    /// Targets that measures should help.
    pub targets: &'a [TargetNodes],
}

/// What is short on the way to the targets.
#[derive(Default)]
struct Short {
    /// Loss that passes each market: (product, stage).
    markets: BTreeMap<(Symbol, Symbol), f64>,
    /// Loss that passes each pair of (output, input) products.
    pairs: BTreeMap<(Symbol, Symbol), f64>,
    /// Loss that starts at a shock or cut, by (consumer, group).
    frontier: BTreeMap<(u32, usize), f64>,
}

/// Largest first; ties in the order of the keys.
fn ranked<K: Copy + Ord>(by: &BTreeMap<K, f64>) -> Vec<K> {
    let mut list: Vec<(K, f64)> = by.iter().map(|(k, v)| (*k, *v)).collect();
    list.sort_by(|a, b| b.1.total_cmp(&a.1));
    list.into_iter().map(|(k, _)| k).collect()
}

fn short(e: &Evaluated<'_>) -> Short {
    let mut short = Short::default();
    let Some(side) = &e.solution.down else { return short };
    let snapshot = e.model.snapshot();
    let labels = Labels::new(snapshot);
    let explainer = Explainer::new(side, &labels);
    let group_of = |node: u32, arrival: usize| {
        side.rows.groups(node).find(|&g| side.rows.arrivals(g).contains(&arrival))
    };
    for target in e.targets {
        explainer.follow(target, UNFOLLOWED, |node, part, amount| {
            let (supplier, arrival) = match part.origin {
                Origin::Shock(_) => return,
                Origin::Cut(arrival) => (side.rows.source(arrival), arrival),
                Origin::Supplier(supplier, arrival) => (supplier, arrival),
            };
            let market = (snapshot.product(supplier), snapshot.stage(supplier));
            *short.markets.entry(market).or_default() += amount;
            let Some(group) = group_of(node, arrival) else { return };
            let pair = (snapshot.product(node), snapshot.group_product(group));
            *short.pairs.entry(pair).or_default() += amount;
            let starts = matches!(part.origin, Origin::Cut(_)) || side.shock(supplier)[0] > 0.0;
            if starts {
                *short.frontier.entry((node, group)).or_default() += amount;
            }
        });
    }
    // Other inputs may be as short behind the ones that bind: they are worth a measure too.
    for v in snapshot.nodes().filter(|&v| side.losses[v as usize][0] > 0.0) {
        let market = (snapshot.product(v), snapshot.stage(v));
        if side.shock(v)[0] > 0.0 && reaches(snapshot, v, e.targets) {
            short.markets.entry(market).or_insert(0.0);
        }
    }
    short
}

/// True if a node delivers to a target or to one that does, two steps on.
fn reaches(snapshot: &Snapshot, node: u32, targets: &[TargetNodes]) -> bool {
    let is_target =
        |v: u32| targets.iter().any(|t| t.nodes.binary_search_by_key(&v, |n| n.0).is_ok());
    snapshot.consumers(node).any(|v| is_target(v) || snapshot.consumers(v).any(is_target))
}

/// Every measure of the kinds asked for, in a fixed order, and what could not be made one: (name,
/// reason).
pub fn candidates(
    e: &Evaluated<'_>,
    registers: &Registers<'_>,
    kinds: &[Kind],
    months: f64,
) -> (Vec<Measure>, Vec<(String, String)>) {
    let short = short(e);
    let mut measures = Vec::new();
    let mut left_out = Vec::new();
    for kind in kinds {
        match kind {
            Kind::Project => projects(e, &short, registers, &mut measures, &mut left_out),
            Kind::Stockpile => stocks(e, &short, registers, months, &mut measures),
            Kind::SecondSource => {
                expansions(e, &short, &mut measures);
                qualifications(e, &short, &mut measures);
            }
            Kind::Substitute => substitutes(e, &short, registers, &mut measures),
            Kind::Policy => policies(e, &mut measures),
        }
    }
    (measures, left_out)
}

fn words(name: &str) -> String {
    name.replace('_', " ")
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

fn projects(
    e: &Evaluated<'_>,
    short: &Short,
    registers: &Registers<'_>,
    measures: &mut Vec<Measure>,
    left_out: &mut Vec<(String, String)>,
) {
    let snapshot = e.model.snapshot();
    let products: BTreeSet<&str> = short.markets.keys().map(|m| snapshot.name(m.0)).collect();
    let known = |p: &RegisteredProject| {
        snapshot.nodes().any(|v| {
            snapshot.name(snapshot.product(v)) == p.product
                && snapshot.name(snapshot.stage(v)) == p.stage
        })
    };
    for project in registers.projects.iter().filter(|p| products.contains(p.product.as_str())) {
        let Some(capacity) = &project.capacity else {
            left_out.push((project.name.clone(), "the register has no capacity of it".into()));
            continue;
        };
        if !known(project) {
            left_out.push((
                project.name.clone(),
                format!("the graph has no {} at stage {}", project.product, project.stage),
            ));
            continue;
        }
        let mut limits = vec![format!(
            "starts in {} at the earliest; counted at full capacity from the first day",
            project.start_year
        )];
        limits.extend(project.note.clone());
        let funding = project.funding.as_ref().map(|f| format!("; {f}")).unwrap_or_default();
        measures.push(Measure {
            kind: Kind::Project,
            name: project.name.clone(),
            what: format!(
                "{} {} in {}, from {}{funding}",
                words(&project.product),
                project.stage,
                project.country,
                project.start_year
            ),
            amount: Some(capacity.clone()),
            cost: None,
            source: Some(project.source.clone()),
            limits,
            resources: vec![format!("project {}", project.name)],
            action: Action::Respond(vec![Response::Project {
                project: None,
                product: Some(project.product.clone()),
                stage: Some(project.stage.clone()),
                country: Some(project.country.clone()),
                capacity: Some(capacity.value),
                from_day: None,
                ramp_days: None,
            }]),
        });
    }
}

/// Shortfall of one product by consumer product: quantity a year with its range.
#[derive(Default, Clone, Copy)]
struct Shortfall {
    value: f64,
    low: f64,
    high: f64,
    ranged: bool,
}

impl Shortfall {
    fn add(&mut self, other: Self) {
        self.value += other.value;
        self.low += other.low;
        self.high += other.high;
        self.ranged |= other.ranged;
    }

    fn amount(self, years: f64, unit: &str) -> Amount {
        Amount {
            value: self.value * years,
            range: self.ranged.then_some((self.low * years, self.high * years)),
            unit: unit.to_owned(),
        }
    }
}

fn stocks(
    e: &Evaluated<'_>,
    short: &Short,
    registers: &Registers<'_>,
    months: f64,
    measures: &mut Vec<Measure>,
) {
    let snapshot = e.model.snapshot();
    let Some(side) = &e.solution.down else { return };
    let (rows, scale, network) = (side.rows, side.scale(), snapshot.network());
    let other_uses = network.symbols.get(OTHER_USES);
    for (product, stage) in ranked(&short.markets).into_iter().take(MARKETS) {
        let mut by_consumer: BTreeMap<&str, Shortfall> = BTreeMap::new();
        let mut unit = "";
        for v in snapshot.nodes().filter(|&v| Some(snapshot.stage(v)) != other_uses) {
            for group in rows.groups(v).filter(|&g| snapshot.group_product(g) == product) {
                let arrivals = rows.arrivals(group);
                if snapshot.stage(rows.source(arrivals.start)) != stage {
                    continue;
                }
                let [lost] = rows.group_loss(group, &side.losses, &scale);
                if lost <= 1e-9 {
                    continue;
                }
                let mut sum = Shortfall::default();
                for arrival in arrivals {
                    let flow = snapshot.arrival_flows()[arrival] as usize;
                    let Some(figure) = network.figure(&network.flows.quantity, flow) else {
                        continue;
                    };
                    let (low, high) = figure.range();
                    sum.add(Shortfall {
                        value: lost * figure.value,
                        low: lost * low.max(0.0),
                        high: lost * high,
                        ranged: figure.low.is_some() || figure.high.is_some() || high > low,
                    });
                    let meta = network.flows.quantity.meta(flow).unit;
                    if unit.is_empty() {
                        unit = snapshot.name(meta);
                    }
                }
                by_consumer.entry(snapshot.name(snapshot.product(v))).or_default().add(sum);
            }
        }
        if by_consumer.is_empty() {
            continue;
        }
        let name = snapshot.name(product);
        // Yearly flows become amounts.
        let unit = match unit.strip_suffix("/a").or_else(|| unit.strip_suffix("/yr")) {
            Some(mass) => mass.to_owned(),
            None if unit.is_empty() => "units of the flows' yearly quantity".to_owned(),
            None => format!("{unit}, times one year"),
        };
        let years = months / 12.0;
        let mut make = |consumers: &[&str], all: bool| {
            let mut sum = Shortfall::default();
            for consumer in consumers {
                sum.add(by_consumer[consumer]);
            }
            let amount = sum.amount(years, &unit);
            let holder = if all { "every consumer".to_owned() } else { words(consumers[0]) };
            measures.push(Measure {
                kind: Kind::Stockpile,
                name: if all {
                    format!("stock of {name} for {months} months")
                } else {
                    format!("stock of {name} at {} for {months} months", consumers[0])
                },
                what: format!("covers what {holder} lacks of {} for {months} months", words(name)),
                cost: (registers.cost)(name, &amount),
                amount: Some(amount),
                source: None,
                limits: vec![
                    format!(
                        "coverage arithmetic: shortfall a year x {months}/12; while it lasts the \
                         input is whole, then the loss returns; the loss is the mean over the \
                         first year"
                    ),
                    "bought before the shock; uses outside the network get nothing of it".into(),
                ],
                resources: consumers.iter().map(|c| format!("stock {name} {c}")).collect(),
                action: Action::Cover(
                    consumers.iter().map(|c| ((*c).to_owned(), name.to_owned())).collect(),
                ),
            });
        };
        let mut consumers: Vec<&str> = by_consumer.keys().copied().collect();
        make(&consumers, true);
        if consumers.len() > 1 {
            consumers.sort_by(|a, b| by_consumer[b].value.total_cmp(&by_consumer[a].value));
            for &consumer in consumers.iter().take(HOLDERS) {
                make(&[consumer], false);
            }
        }
    }
}

/// Baseline amount of a node: its output, else what it delivers.
fn amount_of(snapshot: &Snapshot, node: u32) -> f64 {
    snapshot.output(node).unwrap_or_else(|| snapshot.out_strength(node))
}

fn expansions(e: &Evaluated<'_>, short: &Short, measures: &mut Vec<Measure>) {
    let snapshot = e.model.snapshot();
    let restricted = e.shocks.restricted();
    for (product, stage) in ranked(&short.markets).into_iter().take(MARKETS) {
        let mut by_country: BTreeMap<&str, f64> = BTreeMap::new();
        let mut unit = "";
        for v in snapshot.nodes() {
            let here = snapshot.product(v) == product && snapshot.stage(v) == stage;
            let survives = e.solution.loss(v) < SURVIVES && restricted.binary_search(&v).is_err();
            if here && survives {
                let left = amount_of(snapshot, v) * (1.0 - e.solution.loss(v));
                *by_country.entry(snapshot.name(snapshot.country(v))).or_default() += left;
                unit = snapshot.name(snapshot.network().nodes.output.meta(v as usize).unit);
            }
        }
        by_country.retain(|country, left| *left > 0.0 && !country.is_empty());
        let (name, at) = (snapshot.name(product), snapshot.name(stage));
        let mut make = |countries: &[&str], who: String| {
            let more: f64 = countries.iter().map(|c| by_country[c] * EXPANSION).sum();
            measures.push(Measure {
                kind: Kind::SecondSource,
                name: format!("{who}: {name} {at} +{}", percent(EXPANSION)),
                what: format!(
                    "surviving makers of {} ({at}) in {who} make {} more",
                    words(name),
                    percent(EXPANSION)
                ),
                amount: Some(Amount { value: more, range: None, unit: unit.to_owned() }),
                cost: None,
                source: None,
                limits: vec![
                    "an assumption, not a plan: plants, ore and licences for it are not checked; \
                     their own inputs limit them"
                        .into(),
                ],
                resources: countries.iter().map(|c| format!("expand {name} {at} {c}")).collect(),
                action: Action::Respond(
                    countries
                        .iter()
                        .map(|&c| Response::Project {
                            project: None,
                            product: Some(name.to_owned()),
                            stage: (!at.is_empty()).then(|| at.to_owned()),
                            country: Some(c.to_owned()),
                            capacity: Some(by_country[c] * EXPANSION),
                            from_day: None,
                            ramp_days: None,
                        })
                        .collect(),
                ),
            });
        };
        let mut countries: Vec<&str> = by_country.keys().copied().collect();
        if countries.len() > 1 {
            make(&countries, "all survivors".into());
        }
        countries.sort_by(|a, b| by_country[b].total_cmp(&by_country[a]));
        for &country in countries.iter().take(SURVIVORS) {
            make(&[country], country.to_owned());
        }
    }
}

fn qualifications(e: &Evaluated<'_>, short: &Short, measures: &mut Vec<Measure>) {
    let snapshot = e.model.snapshot();
    let Some(side) = &e.solution.down else { return };
    let (rows, network) = (side.rows, snapshot.network());
    let restricted = e.shocks.restricted();
    for (consumer, group) in ranked(&short.frontier).into_iter().take(QUALIFIED) {
        let arrivals = rows.arrivals(group);
        let flow = |arrival: usize| snapshot.arrival_flows()[arrival] as usize;
        let lost: Vec<(u32, f64)> = arrivals
            .clone()
            .map(|a| {
                let [cut] = side.cut(a);
                let loss = e.solution.loss(rows.source(a)).max(cut);
                (rows.source(a), loss * snapshot.quantity(flow(a)))
            })
            .filter(|(_, lost)| *lost > 0.0)
            .collect();
        let all_lost: f64 = lost.iter().map(|l| l.1).sum();
        let Some(&(first, _)) = lost.first() else { continue };
        let market = |v: u32| (snapshot.product(v), snapshot.stage(v));
        let survivor = snapshot
            .nodes()
            .filter(|&v| market(v) == market(first) && !lost.iter().any(|l| l.0 == v))
            .filter(|v| restricted.binary_search(v).is_err())
            .map(|v| (amount_of(snapshot, v) * (1.0 - e.solution.loss(v)), v))
            .filter(|(left, v)| *left > 0.0 && e.solution.loss(*v) < SURVIVES)
            .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        let Some((_, to)) = survivor else { continue };
        let baseline: f64 = arrivals.clone().map(|a| snapshot.quantity(flow(a))).sum();
        let moved = (EXPANSION * baseline).min(all_lost);
        let own = snapshot.product(first) == snapshot.group_product(group);
        let name = snapshot.name(snapshot.group_product(group));
        let unit = snapshot.name(network.flows.quantity.meta(flow(arrivals.start)).unit);
        measures.push(Measure {
            kind: Kind::SecondSource,
            name: format!("{} qualifies {}", snapshot.id(consumer), snapshot.id(to)),
            what: format!(
                "{} takes {} of its {} from {} instead",
                snapshot.id(consumer),
                percent(moved / baseline),
                words(name),
                snapshot.id(to)
            ),
            amount: Some(Amount { value: moved, range: None, unit: unit.to_owned() }),
            cost: None,
            source: None,
            limits: vec![
                "the new supplier makes this much more, so nobody else gets less; qualification \
                 takes 4 to 104 weeks by product (judgement)"
                    .into(),
            ],
            resources: vec![format!("input {} {name}", snapshot.id(consumer))],
            action: Action::Reroute {
                consumer: snapshot.id(consumer).to_owned(),
                from: lost
                    .iter()
                    .map(|&(v, l)| (snapshot.id(v).to_owned(), moved * l / all_lost))
                    .collect(),
                to: snapshot.id(to).to_owned(),
                product: (!own).then(|| name.to_owned()),
            },
        });
    }
}

fn substitutes(
    e: &Evaluated<'_>,
    short: &Short,
    registers: &Registers<'_>,
    measures: &mut Vec<Measure>,
) {
    let snapshot = e.model.snapshot();
    let Some(rows) = e.model.downstream() else { return };
    // The dependence in force, wherever the pair occurs.
    let dependence = |output: Symbol, input: Symbol| {
        snapshot.nodes().filter(|&v| snapshot.product(v) == output).find_map(|v| {
            rows.groups(v).find(|&g| snapshot.group_product(g) == input).map(|g| rows.rule(g))
        })
    };
    for (output, input) in ranked(&short.pairs) {
        let Some(InputRule::Limiting(depends)) = dependence(output, input) else { continue };
        if output == input || depends <= 0.0 {
            continue;
        }
        let (o, i) = (snapshot.name(output), snapshot.name(input));
        let of_input = || registers.substitutes.iter().filter(move |s| s.input == i);
        let notes: Vec<&SubstituteNote> =
            of_input().filter(|s| s.uses.iter().any(|u| u == o)).collect();
        let notes = if notes.is_empty() { of_input().collect() } else { notes };
        let mut limits = vec![format!(
            "assumption: the dependence falls from {depends} to {}; the register gives no figure",
            depends * LEFT
        )];
        limits.extend(
            notes
                .iter()
                .map(|s| format!("{}: {} (essential: {})", s.uses.join(", "), s.note, s.essential)),
        );
        if notes.is_empty() {
            limits
                .push("no register names a substitute: read it as what one would be worth".into());
        }
        let mut sources: Vec<&str> = notes.iter().map(|s| s.source.as_str()).collect();
        sources.sort_unstable();
        sources.dedup();
        measures.push(Measure {
            kind: Kind::Substitute,
            name: format!("substitute for {i} in {o}"),
            what: format!("{} needs {} less of {}", words(o), percent(1.0 - LEFT), words(i)),
            amount: Some(Amount {
                value: depends * LEFT,
                range: None,
                unit: "dependence that is left".into(),
            }),
            cost: None,
            source: (!sources.is_empty()).then(|| sources.join("; ")),
            limits,
            resources: vec![format!("substitute {o} {i}")],
            action: Action::Respond(vec![Response::Substitute {
                output: o.to_owned(),
                input: i.to_owned(),
                dependence: depends * LEFT,
                from_day: None,
            }]),
        });
    }
}

fn policies(e: &Evaluated<'_>, measures: &mut Vec<Measure>) {
    for (k, shock) in e.body.shocks.iter().enumerate() {
        let Some(restriction) = &shock.restrict else { continue };
        let pass = restriction.pass.unwrap_or(0.0);
        if pass >= 1.0 {
            continue;
        }
        let named = shock.name.clone().unwrap_or_else(|| format!("shock {}", k + 1));
        for (to, what) in [
            ((1.0 + pass) / 2.0, "half of the licences that are refused are approved"),
            (1.0, "the restriction is suspended"),
        ] {
            measures.push(Measure {
                kind: Kind::Policy,
                name: format!("{named}: {} passes", percent(to)),
                what: format!("{what}: {} passes instead of {}", percent(to), percent(pass)),
                amount: Some(Amount { value: to, range: None, unit: "share that passes".into() }),
                cost: None,
                source: None,
                limits: vec!["for the restricting government to decide".into()],
                resources: vec![format!("restriction {k}")],
                action: Action::Pass { shock: k, pass: to },
            });
        }
    }
}
