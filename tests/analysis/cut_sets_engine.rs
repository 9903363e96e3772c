//! One semantics: the structure that cut sets are computed on loses what the impact engine loses.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use chokepoint::analysis::Progress;
use chokepoint::analysis::cut_sets::bounded::minimal_cut_sets;
use chokepoint::analysis::cut_sets::levels::Levels;
use chokepoint::analysis::cut_sets::problem::{Problem, Reading, Unit};
use chokepoint::analysis::cut_sets::{
    AtLeast, Budget, EngineOracle, LossOracle, Order, SetError, Status,
};
use chokepoint::analysis::impact::rationing::rations;
use chokepoint::analysis::impact::{ImpactModel, TargetNodes};
use chokepoint::graph::{Snapshot, SnapshotInfo};
use chokepoint::model::scenario::{ModelOptions, Rationing, RationingRule, Substitution, Target};
use chokepoint::model::{
    Figure, FlowRecord, NetworkBuilder, NodeRecord, RequirementRecord, Rule, Selector,
};
use proptest::prelude::*;

/// A random snapshot: a few products in tiers, every rule, spare capacity, loops if wanted.
fn snapshot(mut next: impl FnMut(usize) -> usize, loops: bool) -> Snapshot {
    let count = 6 + next(7);
    let mut builder = NetworkBuilder::new();
    let product = |i: usize| format!("p{}", i / 2);
    for i in 0..count {
        let node = NodeRecord {
            product: Some(product(i)),
            stage: Some(if i + 1 == count { "target" } else { "other" }.into()),
            ..NodeRecord::new(format!("n{i:02}"))
        };
        builder.add_node(&node, 0).unwrap();
    }
    for i in 2..count {
        for _ in 0..1 + next(4) {
            let from = if loops && next(4) == 0 { next(count) } else { next(i) };
            let quantity = 1.0 + next(4) as f64;
            let mut flow = FlowRecord::new(format!("n{from:02}"), format!("n{i:02}"), quantity);
            if next(3) == 0 {
                flow.capacity = Some(quantity * 2.0);
            }
            builder.add_flow(&flow, 0);
        }
    }
    let products = count.div_ceil(2);
    for output in 0..products {
        for input in 0..products {
            let mut requirement = RequirementRecord {
                output: format!("p{output}"),
                input: format!("p{input}"),
                ..RequirementRecord::default()
            };
            match next(5) {
                0 => requirement.rule = Rule::Additive,
                1 => {
                    requirement.rule = Rule::Threshold;
                    requirement.min_share = Some([0.3, 0.5, 0.7, 1.0][next(4)]);
                }
                2 => requirement.dependence = Some(Figure::bare([0.1, 0.5, 0.9][next(3)])),
                3 => requirement.rule = Rule::None,
                _ => continue,
            }
            builder.add_requirement(&requirement).unwrap();
        }
    }
    Snapshot::build(builder.finish().unwrap(), SnapshotInfo::default(), Default::default())
}

proptest! {
    #![proptest_config(crate::laws::cases(150))]

    #[test]
    fn the_loss_of_each_cut_is_the_engines(seed: u64, loops: bool, headroom: bool, priority: bool, diverts: bool) {
        let mut state = seed | 1;
        let mut next = |n: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) as usize) % n
        };
        let snapshot = Arc::new(snapshot(&mut next, loops));
        let mut options = ModelOptions::default();
        // Diverted supply has no headroom beside it.
        let diverts = diverts && priority;
        if headroom && !diverts {
            options.substitution = Substitution::FlowHeadroom;
        }
        if priority {
            let order = vec![Selector { node: ["n03", "n05", "n06"].into(), allow_empty: true, ..Selector::default() }];
            let rule = RationingRule::Priority;
            options.rationing = Some(Rationing { rule, order, divert: Some(diverts), ..Rationing::default() });
        }
        let model = ImpactModel::new(snapshot.clone(), &options, &[]).unwrap();
        let select = Selector { stage: ["target"].into(), ..Selector::default() };
        let target = TargetNodes::resolve(&snapshot, &Target { name: "t".into(), select }, "t").unwrap();
        let units: Vec<Unit> = (0..7)
            .map(|_| match next(4) {
                0 if snapshot.flow_count() > 0 => Unit { nodes: Vec::new(), flows: vec![next(snapshot.flow_count()) as u32] },
                _ => Unit { nodes: (0..1 + next(2)).map(|_| next(snapshot.node_count()) as u32).collect(), flows: Vec::new() },
            })
            .collect();
        let (budget, quiet) = (Budget::default(), Progress::silent());
        let engine = EngineOracle::new(&model, &target, &units, false, &quiet);
        let rations = rations(&snapshot, model.rationing(), model.classes());
        // Everything drawn here is covered.
        let reading = Reading::of(&model, &rations, false).unwrap();
        let problem = Problem::compile(&snapshot, &target.nodes, &units, &reading).unwrap();
        let sets: Vec<Vec<u32>> = (0..128u32).map(|mask| (0..7).filter(|u| mask >> u & 1 == 1).collect()).collect();
        for (set, loss) in sets.iter().zip(engine.losses(&sets).unwrap()) {
            prop_assert!((loss - engine.loss(set).unwrap()).abs() < 1e-9, "batch of {:?}", set);
            prop_assert!((loss - problem.loss(set).unwrap()).abs() < 1e-9, "{:?}: engine {} structure {}", set, loss, problem.loss(set).unwrap());
        }
        if engine.subadditive() {
            prop_assert!(problem.subadditive());
        }
        // So the families are the same, where diagrams can be drawn at all.
        for loss in [0.2003, 0.5003, 1.0] {
            if !problem.has_levels() {
                prop_assert!(matches!(Levels::build(&problem, &budget, &quiet), Err(SetError::NotCovered(_))));
                let by_structure = minimal_cut_sets(&AtLeast::new(&problem, loss), 7, &budget, &quiet).unwrap();
                let by_engine = minimal_cut_sets(&AtLeast::new(&engine, loss), 7, &budget, &quiet).unwrap();
                prop_assert_eq!(by_structure.sets, by_engine.sets);
                continue;
            }
            let family = Levels::build(&problem, &budget, &quiet).unwrap().family(loss, &budget, &quiet).unwrap();
            let complete: Vec<Vec<u32>> = family.list(Order::Size, 0, &budget, &quiet).unwrap().map(|s| s.unwrap()).collect();
            let bounded = minimal_cut_sets(&AtLeast::new(&engine, loss), 7, &budget, &quiet).unwrap();
            prop_assert_eq!(complete, bounded.sets);
        }
    }
}

/// The question the program exists for: which few country stages cost an industry a fifth or half
/// of its output.
#[test]
fn country_stages_that_stop_an_industry_of_the_bundled_graph() {
    use chokepoint::analysis::cut_sets::worst_case::worst_case;
    use chokepoint::dataset;

    let (network, settings) = dataset::synthesis::critical_minerals(dataset::tables()).unwrap();
    let info = SnapshotInfo { settings, ..SnapshotInfo::default() };
    let snapshot = Arc::new(Snapshot::build(network, info, dataset::countries()));
    let mut members: std::collections::BTreeMap<(String, String), Unit> = Default::default();
    for node in snapshot.nodes() {
        let (country, stage) = (snapshot.country(node), snapshot.stage(node));
        if country.is_some() && ["mine", "refine", "component"].contains(&snapshot.name(stage)) {
            let key = (snapshot.name(country).to_owned(), snapshot.name(stage).to_owned());
            members.entry(key).or_default().nodes.push(node);
        }
    }
    let names: Vec<String> = members.keys().map(|(c, s)| format!("{c} {s}")).collect();
    let units: Vec<Unit> = members.into_values().collect();
    let model = ImpactModel::new(snapshot.clone(), &ModelOptions::default(), &[]).unwrap();
    let (budget, quiet) = (Budget::default(), Progress::silent());
    let rations = rations(&snapshot, model.rationing(), model.classes());
    let size = 3;
    for product in ["semiconductors", "electric_vehicles", "defence"] {
        let select = Selector {
            product: [product].into(),
            stage: ["industry"].into(),
            ..Selector::default()
        };
        let target =
            TargetNodes::resolve(&snapshot, &Target { name: product.into(), select }, "t").unwrap();
        let engine = EngineOracle::new(&model, &target, &units, false, &quiet);
        let reading = Reading::of(&model, &rations, false).unwrap();
        let problem = Problem::compile(&snapshot, &target.nodes, &units, &reading).unwrap();
        // The bundled graph diverts supply to critical uses: no matter of on and off.
        assert!(!problem.has_levels());
        // Structure and engine agree, and losses grow with the set.
        let n = units.len() as u32;
        let sets: Vec<Vec<u32>> = (0..n)
            .map(|u| {
                let mut set = vec![u, (u * 7 + 3) % n, (u * 5 + 1) % n];
                set.sort_unstable();
                set.dedup();
                set
            })
            .collect();
        let by_engine = engine.losses(&sets).unwrap();
        for ((set, engine), structure) in
            sets.iter().zip(by_engine).zip(problem.losses(&sets).unwrap())
        {
            assert!(
                (engine - structure).abs() < 1e-9,
                "{set:?}: engine {engine} structure {structure}"
            );
            assert!((structure - problem.loss(set).unwrap()).abs() < 1e-12);
            for unit in set {
                let rest: Vec<u32> = set.iter().copied().filter(|u| u != unit).collect();
                assert!(
                    problem.loss(&rest).unwrap() <= structure + 1e-12,
                    "{set:?} without {unit}"
                );
            }
        }
        for loss in [0.2, 0.5] {
            let start = std::time::Instant::now();
            let found =
                minimal_cut_sets(&AtLeast::new(&problem, loss), size, &budget, &quiet).unwrap();
            let first = found
                .sets
                .first()
                .map(|set| set.iter().map(|&u| names[u as usize].as_str()).collect::<Vec<_>>());
            eprintln!(
                "{product} {loss}: {} sets of {} units, {} calls, {:?} in {:?}; first {first:?}",
                found.sets.len(),
                units.len(),
                found.calls,
                found.status,
                start.elapsed()
            );
            assert_eq!(found.status, Status::CompleteToSize { size });
            for set in found.sets.iter().step_by(1 + found.sets.len() / 20) {
                assert!(engine.loss(set).unwrap() >= loss - 1e-9);
                for unit in set {
                    let rest: Vec<u32> = set.iter().copied().filter(|u| u != unit).collect();
                    assert!(engine.loss(&rest).unwrap() < loss);
                }
            }
            // One thread finds the same.
            if loss < 0.5 {
                continue;
            }
            let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
            let alone = pool.install(|| {
                minimal_cut_sets(&AtLeast::new(&problem, loss), size, &budget, &quiet).unwrap()
            });
            assert_eq!(alone, found);
        }
        let start = std::time::Instant::now();
        let worst = worst_case(&problem, None, 2.0, &budget, &quiet).unwrap();
        eprintln!(
            "{product}: worst two {:?} lose {:.4}, {:?}, {} calls in {:?}",
            worst.units,
            worst.loss,
            worst.status,
            worst.calls,
            start.elapsed()
        );
        assert_eq!(worst.status, Status::Exact);
        assert!((engine.loss(&worst.units).unwrap() - worst.loss).abs() < 1e-9);
    }
}
