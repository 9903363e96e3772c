//! Laws of draws: shared between scenarios, the same on any threads, exact without ranges, known
//! percentiles where the answer is known; balanced graphs beside a new synthesis.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::sync::Arc;

use chokepoint::analysis::Progress;
use chokepoint::analysis::impact::{ImpactError, ImpactModel, Shocks, TargetNodes};
use chokepoint::analysis::uncertainty::distribution::Z95;
use chokepoint::analysis::uncertainty::{
    Kinds, Ranges, Samples, ScenarioLosses, Subject, losses, sample, sensitivity, spread,
};
use chokepoint::dataset::synthesis::{Perturbation, critical_minerals, synthesize};
use chokepoint::graph::{Snapshot, SnapshotInfo};
use chokepoint::model::scenario::{Mode, ModelOptions, Shock, Substitution, Target};
use chokepoint::model::{
    Figure, FigureClass, FlowRecord, NetworkBuilder, NodeRecord, RequirementRecord, Rule, Selector,
};
use proptest::prelude::*;

fn figure(value: f64, low: Option<f64>, high: Option<f64>, class: Option<FigureClass>) -> Figure {
    Figure { low, high, class, ..Figure::bare(value) }
}

fn node(id: &str, product: &str, output: Option<Figure>) -> NodeRecord {
    NodeRecord { product: Some(product.into()), output, ..NodeRecord::new(id) }
}

fn snapshot(
    nodes: &[NodeRecord],
    flows: &[FlowRecord],
    requirements: &[RequirementRecord],
) -> Arc<Snapshot> {
    let mut builder = NetworkBuilder::new();
    for (row, node) in nodes.iter().enumerate() {
        builder.add_node(node, row).unwrap();
    }
    for flow in flows {
        builder.add_flow(flow, 0);
    }
    for requirement in requirements {
        builder.add_requirement(requirement).unwrap();
    }
    let network = builder.finish().unwrap();
    Arc::new(Snapshot::build(network, SnapshotInfo::default(), Arc::default()))
}

fn loss_of(id: &str, loss: f64) -> Shock {
    Shock { select: Some(Selector::node(id)), loss: Some(loss), ..Shock::default() }
}

fn target(snapshot: &Snapshot, id: &str) -> TargetNodes {
    let target = Target { name: id.into(), select: Selector::node(id) };
    TargetNodes::resolve(snapshot, &target, "").unwrap()
}

/// Losses of all nodes as targets, for scenarios under one model.
fn losses(
    snapshot: &Arc<Snapshot>,
    options: &ModelOptions,
    scenarios: &[Vec<Shock>],
) -> ScenarioLosses {
    let model = Arc::new(ImpactModel::new(snapshot.clone(), options, &[]).unwrap());
    let targets = snapshot.nodes().map(|v| target(snapshot, snapshot.id(v))).collect();
    let mut losses = ScenarioLosses::new(targets);
    for shocks in scenarios {
        losses.add(&model, &[], Shocks::compile(snapshot, shocks).unwrap());
    }
    losses
}

fn draws(
    snapshot: &Arc<Snapshot>,
    scenarios: &[Vec<Shock>],
    draws: u32,
    seed: u64,
) -> Result<Samples, ImpactError> {
    let losses = losses(snapshot, &ModelOptions::default(), scenarios);
    let ranges = Ranges::of(snapshot, Kinds::default());
    sample(&ranges, &losses, draws, seed, &Progress::silent())
}

fn central(snapshot: &Arc<Snapshot>, shocks: &[Shock]) -> Vec<f64> {
    let model = ImpactModel::new(snapshot.clone(), &ModelOptions::default(), &[]).unwrap();
    let shocks = Shocks::compile(snapshot, shocks).unwrap();
    let prepared = model.prepare(&shocks);
    let solution = model.solve(&prepared, &Progress::silent()).unwrap();
    snapshot.nodes().map(|v| solution.loss(v)).collect()
}

#[derive(Debug, Clone)]
struct Raw {
    products: Vec<u8>,
    /// Output with low and high as parts of it.
    outputs: Vec<(f64, f64, f64)>,
    flows: Vec<(u8, u8, f64, u8)>,
    rules: Vec<(u8, f64, f64)>,
}

const PRODUCTS: u8 = 4;

fn raw() -> impl Strategy<Value = Raw> {
    (3usize..9).prop_flat_map(|n| {
        let node = 0u8..n as u8;
        (
            prop::collection::vec(0u8..PRODUCTS, n),
            prop::collection::vec((0.1f64..10.0, 0.0f64..1.0, 1.0f64..2.0), n),
            prop::collection::vec((node.clone(), node, 0.1f64..10.0, 0u8..5), 1..25),
            prop::collection::vec(
                (0u8..4, 0.0f64..1.0, 0.0f64..0.5),
                (PRODUCTS * PRODUCTS) as usize,
            ),
        )
            .prop_map(|(products, outputs, flows, rules)| Raw {
                products,
                outputs,
                flows,
                rules,
            })
    })
}

/// The graph; without `ranges` the same numbers bare.
fn build(raw: &Raw, ranges: bool) -> Arc<Snapshot> {
    let stated = |value: f64, low: f64, high: f64| match ranges {
        true => figure(value, Some(low), Some(high), None),
        false => Figure::bare(value),
    };
    let nodes: Vec<NodeRecord> = raw
        .products
        .iter()
        .zip(&raw.outputs)
        .enumerate()
        .map(|(i, (p, &(value, low, high)))| {
            node(&format!("n{i}"), &format!("p{p}"), Some(stated(value, value * low, value * high)))
        })
        .collect();
    let flows: Vec<FlowRecord> = raw
        .flows
        .iter()
        .map(|&(from, to, quantity, class)| FlowRecord {
            class: FigureClass::ALL.get(class as usize).copied().filter(|_| ranges),
            ..FlowRecord::new(format!("n{from}"), format!("n{to}"), quantity)
        })
        .collect();
    let rules: Vec<RequirementRecord> = raw
        .rules
        .iter()
        .enumerate()
        .map(|(k, &(rule, x, half))| {
            let (output, input) = (k as u8 / PRODUCTS, k as u8 % PRODUCTS);
            let mut record = RequirementRecord {
                output: format!("p{output}"),
                input: format!("p{input}"),
                ..RequirementRecord::default()
            };
            match rule {
                0 => record.dependence = Some(stated(x, x * (1.0 - half), x * (1.0 + half))),
                1 => record.rule = Rule::Additive,
                2 => record.rule = Rule::None,
                _ => (record.rule, record.min_share) = (Rule::Threshold, Some(x)),
            }
            record
        })
        .collect();
    snapshot(&nodes, &flows, &rules)
}

proptest! {
    #![proptest_config(crate::laws::cases(60))]

    #[test]
    fn without_ranges_every_draw_is_the_central_answer(raw in raw(), loss in 0.1f64..1.0) {
        let graph = build(&raw, false);
        prop_assert!(Ranges::of(&graph, Kinds::default()).figures().is_empty());
        let shocks = vec![loss_of("n0", loss)];
        let samples = draws(&graph, std::slice::from_ref(&shocks), 5, 1).unwrap();
        for (v, loss) in graph.nodes().zip(central(&graph, &shocks)) {
            let loss = target(&graph, graph.id(v)).mean(|_| loss);
            let v = v as usize;
            prop_assert_eq!(&samples.by_quantity[v], &vec![loss; 5]);
            let s = spread(&samples.by_quantity[v]).unwrap();
            prop_assert!(s.low == loss && s.median == loss && s.high == loss);
        }
    }

    #[test]
    fn figures_at_their_values_give_the_graph_itself(raw in raw()) {
        let graph = build(&raw, true);
        let ranges = Ranges::of(&graph, Kinds::default());
        let mut room = ranges.room();
        ranges.draw(3, 7, &mut room);
        let back = ranges.set(&mut room, |_, figure| figure.distribution.value());
        prop_assert_eq!(back.fingerprint(), graph.fingerprint());
        prop_assert_eq!(back.quantities(), graph.quantities());
    }

    #[test]
    fn a_further_scenario_changes_no_draw(raw in raw(), seed in 0u64..1000) {
        let graph = build(&raw, true);
        let (a, b) = (vec![loss_of("n0", 1.0)], vec![loss_of("n1", 0.5), loss_of("n2", 1.0)]);
        let alone = draws(&graph, std::slice::from_ref(&a), 9, seed).unwrap();
        let both = draws(&graph, &[b, a], 9, seed).unwrap();
        let n = graph.node_count();
        prop_assert_eq!(&alone.by_quantity[..], &both.by_quantity[n..]);
    }

    #[test]
    fn a_further_figure_changes_no_other_draw(raw in raw(), seed in 0u64..1000, high in 1.0f64..3.0) {
        let graph = build(&raw, true);
        let mut more = raw.clone();
        more.outputs.push((1.0, 0.5, high));
        more.products.push(0);
        let larger = build(&more, true);
        let (few, many) = (Ranges::of(&graph, Kinds::default()), Ranges::of(&larger, Kinds::default()));
        for figure in few.figures() {
            let id = few.id(figure);
            let same = many.figures().iter().find(|f| many.id(f) == id).unwrap();
            for draw in 0..5 {
                prop_assert_eq!(few.value(figure, seed, draw), many.value(same, seed, draw));
            }
        }
    }

    #[test]
    fn threads_and_numbers_of_draws_change_no_byte(raw in raw(), seed in 0u64..1000) {
        let graph = build(&raw, true);
        let shocks = [vec![loss_of("n0", 0.7)]];
        let on = |threads: usize, count: u32| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| draws(&graph, &shocks, count, seed).unwrap())
        };
        let (one, two, fewer) = (on(1, 50), on(2, 50), on(2, 23));
        let bits = |s: &Samples, n: usize| -> Vec<Vec<u64>> {
            s.by_quantity.iter().map(|q| q[..n].iter().map(|x| x.to_bits()).collect()).collect()
        };
        prop_assert_eq!(bits(&one, 50), bits(&two, 50));
        prop_assert_eq!(bits(&one, 23), bits(&fewer, 23));
    }

    #[test]
    fn losses_of_draws_are_fractions_under_every_substitution(raw in raw(), seed in 0u64..1000) {
        let graph = build(&raw, true);
        for substitution in [
            Substitution::None,
            Substitution::FlowHeadroom,
            Substitution::SpareCapacity,
            Substitution::MarketShare,
            Substitution::SupplierShare,
        ] {
            let options = ModelOptions { substitution, ..ModelOptions::default() };
            let losses = losses(&graph, &options, &[vec![loss_of("n0", 1.0)]]);
            let ranges = Ranges::of(&graph, Kinds { capacities: true, stocks: true });
            let samples = sample(&ranges, &losses, 6, seed, &Progress::silent()).unwrap();
            for draw in samples.by_quantity.iter().flatten() {
                prop_assert!((0.0..=1.0).contains(draw), "{substitution:?}: {draw}");
            }
        }
    }

    #[test]
    fn balanced_tables_hold(raw in raw(), seed in 0u64..1000) {
        // Everyone supplies everyone with one product: any sums can be met.
        let n = raw.products.len();
        let nodes: Vec<NodeRecord> = raw.outputs.iter().enumerate().map(|(i, &(value, low, high))| {
            let output = figure(value, Some(value * low), Some(value * high), None);
            node(&format!("n{i}"), "p", Some(output))
        }).collect();
        let mut flows = Vec::new();
        for i in 0..n {
            for j in 0..n {
                let quantity = 0.1 + raw.outputs[i].1 * raw.outputs[j].2;
                flows.push(FlowRecord::new(format!("n{i}"), format!("n{j}"), quantity));
            }
        }
        let graph = snapshot(&nodes, &flows, &[]);
        let ranges = Ranges::of(&graph, Kinds::default());
        let mut room = ranges.room();
        let drawn = ranges.draw(seed, 0, &mut room);
        let factor = |v: u32| {
            ranges.figures().iter().find(|f| f.subject == Subject::Output(v)).map_or(1.0, |f| {
                ranges.value(f, seed, 0) / f.distribution.value()
            })
        };
        let made: f64 = graph.nodes().map(|v| graph.out_strength(v) * factor(v)).sum();
        let needed: f64 = graph.nodes().map(|v| graph.in_strength(v) * factor(v)).sum();
        for v in graph.nodes() {
            let (row, column) = (graph.out_strength(v) * factor(v), graph.in_strength(v) * factor(v) * made / needed);
            prop_assert!((drawn.out_strength(v) - row).abs() <= 1e-6 * row + 1e-300, "row {v}");
            prop_assert!((drawn.in_strength(v) - column).abs() <= 1e-9 * column + 1e-300, "column {v}");
        }
    }
}

/// Supplier a of two supplies `60` of 100, with a range; b the rest. Consumer c loses what a gives.
fn two_suppliers(low: Option<f64>, high: Option<f64>, class: Option<FigureClass>) -> Arc<Snapshot> {
    let nodes = [
        node("a", "p", Some(figure(60.0, low, high, class))),
        node("b", "p", Some(Figure::bare(40.0))),
        node("c", "q", Some(Figure::bare(1.0))),
    ];
    let flows = [FlowRecord::new("a", "c", 60.0), FlowRecord::new("b", "c", 40.0)];
    snapshot(&nodes, &flows, &[])
}

/// Losses of c over draws when a stops.
fn losses_of_c(graph: &Arc<Snapshot>, count: u32) -> Vec<f64> {
    let samples = draws(graph, &[vec![loss_of("a", 1.0)]], count, 1).unwrap();
    samples.by_quantity[graph.index("c").unwrap() as usize].clone()
}

#[test]
fn percentiles_are_those_of_the_known_answer() {
    let graph = two_suppliers(None, None, Some(FigureClass::Estimate));
    let s = spread(&losses_of_c(&graph, 4000)).unwrap();
    // The loss is a / (a + 40), which grows with a: its percentiles are at a's percentiles.
    let at = |a: f64| a / (a + 40.0);
    for (found, known) in [(s.low, at(42.0)), (s.median, at(60.0)), (s.high, at(78.0))] {
        assert!((found - known).abs() < 0.004, "{found} {known}");
    }
    // A tenth of the draws lies outside the range.
    let inside = |x: &f64| (at(42.0)..=at(78.0)).contains(x);
    let losses = losses_of_c(&graph, 4000);
    let share = losses.iter().filter(|x| inside(x)).count() as f64 / 4000.0;
    assert!((share - 0.9).abs() < 0.015, "{share}");
}

#[test]
fn the_default_ranges_grow_with_the_class() {
    let width = |class| {
        let s = spread(&losses_of_c(&two_suppliers(None, None, Some(class)), 500)).unwrap();
        s.high - s.low
    };
    let measured = width(FigureClass::Measured);
    let recalled = width(FigureClass::Recalled);
    let estimate = width(FigureClass::Estimate);
    assert!(0.0 < measured && measured < recalled && recalled < estimate);
    // A derived figure follows from its parts, and there are none here.
    assert_eq!(width(FigureClass::Derived), 0.0);
}

#[test]
fn one_stated_end_leaves_the_other_to_the_class() {
    for (low, high, class, ends) in [
        (Some(30.0), None, None, (30.0, 60.0)),
        (None, Some(90.0), None, (60.0, 90.0)),
        (Some(30.0), None, Some(FigureClass::Measured), (30.0, 63.0)),
        (None, Some(60.0), Some(FigureClass::Estimate), (42.0, 60.0)),
    ] {
        let graph = two_suppliers(low, high, class);
        let ranges = Ranges::of(&graph, Kinds::default());
        let figure = ranges.figures()[0];
        assert_eq!((figure.distribution.low(), figure.distribution.high()), ends);
        assert!(figure.stated);
        let s = spread(&losses_of_c(&graph, 1000)).unwrap();
        let at = |a: f64| a / (a + 40.0);
        assert!((s.low - at(ends.0)).abs() < 0.02 && (s.high - at(ends.1)).abs() < 0.02);
        // A side without width stays exactly at the value.
        if ends.0 == 60.0 {
            assert_eq!(s.low, 0.6);
        }
    }
}

proptest! {
    #![proptest_config(crate::laws::cases(40))]

    #[test]
    fn a_wider_range_gives_no_narrower_interval(
        below in 0.0f64..0.9, above in 0.0f64..2.0, more_below in 0.0f64..0.1, more_above in 0.0f64..1.0,
    ) {
        let interval = |below: f64, above: f64| {
            let ends = (Some(60.0 * (1.0 - below)), Some(60.0 * (1.0 + above)));
            spread(&losses_of_c(&two_suppliers(ends.0, ends.1, None), 60)).unwrap()
        };
        let (narrow, wide) = (interval(below, above), interval(below + more_below, above + more_above));
        prop_assert!(wide.low <= narrow.low && wide.high >= narrow.high);
    }
}

#[test]
fn the_drivers_are_the_figures_that_act() {
    // c's loss is d * a / (a + b); e's output and the flow to f do not act on it.
    let estimate = Some(FigureClass::Estimate);
    let nodes = [
        node("a", "p", Some(figure(60.0, None, None, estimate))),
        node("b", "p", Some(figure(40.0, None, None, Some(FigureClass::Measured)))),
        node("c", "q", Some(Figure::bare(1.0))),
        node("e", "r", Some(figure(5.0, Some(1.0), Some(50.0), None))),
        node("f", "s", None),
    ];
    let flows = [
        FlowRecord::new("a", "c", 60.0),
        FlowRecord::new("b", "c", 40.0),
        FlowRecord { class: estimate, ..FlowRecord::new("e", "f", 5.0) },
    ];
    let requirement = RequirementRecord {
        output: "q".into(),
        input: "p".into(),
        dependence: Some(figure(0.5, Some(0.2), Some(0.8), estimate)),
        ..RequirementRecord::default()
    };
    let graph = snapshot(&nodes, &flows, &[requirement]);
    let ranges = Ranges::of(&graph, Kinds::default());
    let ids: Vec<String> = ranges.figures().iter().map(|f| ranges.id(f)).collect();
    assert_eq!(
        ids,
        [
            "nodes/a/output",
            "nodes/b/output",
            "nodes/e/output",
            "flows/e..f/quantity",
            "requirements/q..p/dependence"
        ]
    );
    let losses = losses(&graph, &ModelOptions::default(), &[vec![loss_of("a", 1.0)]]);
    let silent = Progress::silent();
    let samples = sample(&ranges, &losses, 2000, 1, &silent).unwrap();
    let found = sensitivity::drivers(&ranges, &samples, 1, &silent).unwrap();
    let c = &found[graph.index("c").unwrap() as usize];
    let names: Vec<&str> = c.list.iter().map(|d| ids[d.figure].as_str()).collect();
    assert_eq!(names[..2], ["requirements/q..p/dependence", "nodes/a/output"], "{names:?}");
    assert!(!names.contains(&"nodes/e/output") && !names.contains(&"flows/e..f/quantity"));
    assert!(c.list[0].correlation > 0.8 && c.list[1].correlation > 0.1);
    if let Some(b) = c.list.iter().find(|d| ids[d.figure] == "nodes/b/output") {
        assert!(b.correlation < 0.0);
    }
    let sum: f64 = c.list.iter().map(|d| d.variance_share).sum();
    assert!(sum > 0.9 && sum + c.unexplained <= 1.0 + 1e-9, "{sum}");
    // The tornado is the engine's answer at the ends.
    let bars = sensitivity::tornado(&ranges, &losses, &[0, 4], &silent).unwrap();
    let c = graph.index("c").unwrap() as usize;
    let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} {b}");
    near(bars[0].at_low[c], 0.5 * 42.0 / 82.0);
    near(bars[0].at_high[c], 0.5 * 78.0 / 118.0);
    near(bars[1].at_low[c], 0.2 * 0.6);
    near(bars[1].at_high[c], 0.8 * 0.6);
}

#[test]
fn draws_can_be_cancelled() {
    let graph = two_suppliers(Some(1.0), None, None);
    let losses = losses(&graph, &ModelOptions::default(), &[vec![loss_of("a", 1.0)]]);
    let ranges = Ranges::of(&graph, Kinds::default());
    let progress = Progress::silent();
    progress.cancel();
    let ended = sample(&ranges, &losses, 1_000_000, 1, &progress);
    assert!(matches!(ended, Err(ImpactError::Cancelled(_))));
}

/// The bundled graph with outputs and uses moved: balancing the flows gives nearly what a new
/// synthesis from the moved tables gives.
#[test]
fn balanced_flows_stand_in_for_a_new_synthesis() {
    let tables = chokepoint::dataset::tables();
    let (network, settings) = critical_minerals(tables).unwrap();
    let info = || SnapshotInfo { settings: settings.clone(), ..SnapshotInfo::default() };
    let graph = Arc::new(Snapshot::build(network, info(), chokepoint::dataset::countries()));
    let presets = chokepoint::dataset::presets::embedded().unwrap();
    let body = &presets.iter().find(|p| p.0 == "china-refining-stops").unwrap().1;
    let answer = |graph: &Arc<Snapshot>| -> Vec<f64> {
        let model = ImpactModel::new(graph.clone(), &body.model, &[]).unwrap();
        let shocks = Shocks::compile(graph, &body.shocks).unwrap();
        let prepared = model.prepare(&shocks);
        let solution = model.solve(&prepared, &Progress::silent()).unwrap();
        let targets = body.targets.iter().map(|t| TargetNodes::resolve(graph, t, "").unwrap());
        targets.map(|t| t.mean(|v| solution.loss(v))).collect()
    };
    let ranges = Ranges::of(&graph, Kinds::default());
    assert!(ranges.figures().len() > 1000);
    let mut room = ranges.room();
    let before = answer(&graph);
    let (mut moved, mut apart, mut count) = (0.0, 0.0, 0.0);
    for draw in 0..4u64 {
        // The same factors on both ways: outputs and use shares.
        let mut perturbation = Perturbation {
            production: vec![1.0; tables.production.len()],
            use_shares: vec![1.0; tables.use_shares.len()],
            trade: Vec::new(),
        };
        for figure in ranges.figures() {
            let factor = ranges.value(figure, 5, draw) / figure.distribution.value();
            match figure.subject {
                Subject::Output(v) => {
                    let id = graph.id(v);
                    for (row, production) in tables.production.iter().enumerate() {
                        if format!(
                            "{}.{}.{}",
                            production.material, production.stage, production.country
                        ) == id
                        {
                            perturbation.production[row] = factor;
                        }
                    }
                }
                Subject::Use(k) => {
                    let u = &ranges.uses().all[k as usize];
                    let (input, consumer) = (graph.name(u.product), graph.name(u.consumer));
                    let sink = graph.name(u.consumer_stage) == "other_uses";
                    for (row, share) in tables.use_shares.iter().enumerate() {
                        let same = if sink { "other_uses" } else { consumer };
                        if share.input == input && share.consumer == same && share.kind == "use" {
                            perturbation.use_shares[row] = factor;
                        }
                    }
                }
                _ => {}
            }
        }
        let anew = synthesize(tables, &perturbation).unwrap().network;
        let anew = Arc::new(Snapshot::build(anew, info(), graph.countries().clone()));
        let balanced = ranges.set(&mut room, |_, figure| match figure.subject {
            Subject::Output(_) | Subject::Use(_) => ranges.value(figure, 5, draw),
            _ => figure.distribution.value(),
        });
        for ((a, b), c) in answer(&anew).into_iter().zip(answer(balanced)).zip(&before) {
            moved += (a - c).abs();
            apart += (a - b).abs();
            count += 1.0;
        }
    }
    println!("moved {:.4}, apart {:.4}", moved / count, apart / count);
    assert!(moved / count > 0.003, "the draws move the answer: {}", moved / count);
    assert!(apart / count < 0.35 * moved / count, "{} of {}", apart / count, moved / count);
    assert!((Z95 - 1.6449).abs() < 1e-4);
}

/// A timeline's mean loss over its horizon is drawn like any other loss, stocks included.
#[test]
fn timelines_are_drawn_too() {
    let mut nodes = vec![
        node("a", "p", Some(Figure::bare(60.0))),
        node("b", "p", Some(Figure::bare(40.0))),
        node("c", "q", Some(Figure::bare(1.0))),
    ];
    nodes[2].stock_days = Some(figure(70.0, Some(35.0), Some(105.0), None));
    let flows = [FlowRecord::new("a", "c", 60.0), FlowRecord::new("b", "c", 40.0)];
    let graph = snapshot(&nodes, &flows, &[]);
    let own = ModelOptions { mode: Mode::Timeline, ..ModelOptions::default() };
    let quantities = losses(&graph, &losses::options(&own), &[vec![loss_of("a", 1.0)]]);
    let ranges = Ranges::of(&graph, losses::kinds(&own));
    assert_eq!(ranges.id(&ranges.figures()[0]), "nodes/c/stock_days");
    let samples = sample(&ranges, &quantities, 300, 1, &Progress::silent()).unwrap();
    let c = &samples.by_quantity[graph.index("c").unwrap() as usize];
    let s = spread(c).unwrap();
    // Frozen orders: the stock lasts longer than its days, because b still delivers, and then c
    // loses what a gave. More stock, less loss.
    assert!(s.low < s.median && s.median < s.high && s.high < 0.6, "{s:?}");
    let found = sensitivity::drivers(&ranges, &samples, 1, &Progress::silent()).unwrap();
    let driver = found[graph.index("c").unwrap() as usize].list[0];
    assert!(driver.correlation < -0.99, "{driver:?}");
}
